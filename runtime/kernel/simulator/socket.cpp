// SPDX-License-Identifier: MIT
// Simulated sockets: names, options, connecting, closing. Transfers are in stream.cpp and
// datagram.cpp.
#include "kernel/simulator/socket.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

namespace rondo {
inline namespace v0 {
namespace detail {

sim_socket* sim_network::create(int family, sim_socket_kind kind) {
    sim_socket& socket = sockets_.take();
    socket.kind = kind;
    socket.local = socket.remote = sim_name::any(family);
    return &socket;
}

// -- names --

namespace {

/// Whether a socket at `name`, of IPv6 and any host, takes IPv4 as well.
bool takes_ipv4(const sim_socket& socket, const sim_name& name) noexcept {
    return name.family() == AF_INET6 && name.any_host() &&
           option_of(socket, IPPROTO_IPV6, IPV6_V6ONLY) == 0;
}

/// Whether both sockets allow the other one its name.
bool may_share(const sim_socket& one, const sim_socket& other) noexcept {
    const auto both = [&](int option) {
        return option_of(one, SOL_SOCKET, option) != 0 &&
               option_of(other, SOL_SOCKET, option) != 0;
    };
    return both(SO_REUSEPORT) || (one.kind == sim_socket_kind::datagram && both(SO_REUSEADDR));
}

}  // namespace

/// For a Unix socket with a path the file system decides.
bool sim_network::is_name_taken(const sim_socket& asking, const sim_name& name) const noexcept {
    if (name.has_path()) return false;
    return std::any_of(bound_.begin(), bound_.end(), [&](const sim_socket* other) {
        if (other == &asking || other->kind != asking.kind) return false;
        const bool meets = other->local.meets(name) ||
                           (other->local.family() != name.family() &&
                            other->local.port() == name.port() && name.port() != 0 &&
                            (takes_ipv4(*other, other->local) || takes_ipv4(asking, name)));
        return meets && !may_share(asking, *other);
    });
}

/// Whether a connection that a former listener has accepted still has the port, or lingers there.
/// That matters unless both sides have SO_REUSEADDR.
bool sim_network::is_port_used(const sim_socket& asking, const sim_name& name) noexcept {
    if (is_unix(asking) || asking.kind != sim_socket_kind::stream) return false;
    const bool shares = option_of(asking, SOL_SOCKET, SO_REUSEADDR) != 0;
    for (std::uint32_t at = 0; at < sockets_.capacity(); ++at) {
        const sim_socket& other = sockets_[at];
        if (!other.is_accepted || !is_connected(other) || !other.local.meets(name)) continue;
        if (!shares || option_of(other, SOL_SOCKET, SO_REUSEADDR) == 0) return true;
    }
    return std::any_of(lingering_.begin(), lingering_.end(), [&](const sim_lingering& one) {
        return one.until > core_.now && one.name.meets(name) && !(shares && one.is_shared);
    });
}

/// Remembers the port of a connection that ends. Only of accepted ones: others have a port that no
/// program names.
void sim_network::let_linger(const sim_socket& socket) {
    constexpr auto linger_time = std::chrono::seconds(60);
    const bool is_shared = option_of(socket, SOL_SOCKET, SO_REUSEADDR) != 0;
    std::erase_if(lingering_, [&](const sim_lingering& one) {
        return one.until <= core_.now ||
               (one.name == socket.local && one.is_shared == is_shared);
    });
    lingering_.push_back({socket.local, core_.now + linger_time, is_shared});
}

/// Returns: the next free port of Linux's ephemeral range, or 0 if none is free. Streams and
/// datagrams do not share ports here, although they could.
std::uint16_t sim_network::free_port(const sim_name& name) noexcept {
    sim_name wanted = name;
    for (int tries = 32768; tries < 61000; ++tries) {
        last_port_ = last_port_ < 60999 ? static_cast<std::uint16_t>(last_port_ + 1) : 32768;
        wanted.set_port(last_port_);
        if (std::none_of(bound_.begin(), bound_.end(),
                         [&](const sim_socket* other) { return other->local.meets(wanted); }))
            return last_port_;
    }
    return 0;
}

int sim_network::bind(sim_socket& socket, const sockaddr* address, socklen_t size) {
    sim_name name;
    if (const int error = sim_name::read(socket.local.family(), address, size, name); error < 0)
        return error;
    if (socket.bound || socket.state != sim_socket::phase::fresh) return -EINVAL;
    if (name.family() != AF_UNIX && name.port() == 0) {
        const std::uint16_t port = free_port(name);
        if (port == 0) return -EADDRINUSE;
        name.set_port(port);
    } else if (is_name_taken(socket, name) || is_port_used(socket, name)) {
        return -EADDRINUSE;
    }
    socket.local = name;
    socket.bound = true;
    bound_.push_back(&socket);
    return 0;
}

int sim_network::listen(sim_socket& socket, int backlog) {
    if (socket.kind != sim_socket_kind::stream) return -EOPNOTSUPP;
    if (socket.state != sim_socket::phase::fresh && socket.state != sim_socket::phase::listening)
        return -EINVAL;
    if (!socket.bound) {
        if (is_unix(socket)) return -EINVAL;
        socket.local.set_port(free_port(socket.local));
        socket.bound = true;
        bound_.push_back(&socket);
    }
    socket.state = sim_socket::phase::listening;
    socket.backlog = backlog < 0 || backlog > 4096 ? 4096 : static_cast<std::uint32_t>(backlog);
    return 0;
}

// -- connecting --

/// Whether the connection exists. A TCP connection is gone when both directions were shut down; a
/// Unix one never goes.
bool sim_network::is_connected(const sim_socket& socket) noexcept {
    if (socket.state != sim_socket::phase::connected) return false;
    return is_unix(socket) || !(socket.reset || (socket.ended && socket.shut_write));
}

sim_latency sim_network::latency_of(const sim_socket& socket) const noexcept {
    return is_unix(socket) ? core_.options.local : core_.options.network;
}

sim_socket* sim_network::peer_of(const sim_socket& socket) const noexcept {
    return socket.peer != nullptr && socket.peer->ticket == socket.peer_ticket ? socket.peer
                                                                               : nullptr;
}

/// Returns: the listener at the destination. If several share the port (SO_REUSEPORT), the seed
/// decides.
sim_socket* sim_network::find_listener(const sim_name& destination) noexcept {
    const auto listens = [&](const sim_socket* socket) {
        if (socket->state != sim_socket::phase::listening) return false;
        return socket->local.meets(destination) ||
               (destination.family() == AF_INET && socket->local.port() == destination.port() &&
                takes_ipv4(*socket, socket->local));
    };
    if (destination.has_path()) {  // the last one that was bound has the name
        const auto last = std::find_if(bound_.rbegin(), bound_.rend(), [&](const sim_socket* s) {
            return s->local.meets(destination);
        });
        return last != bound_.rend() && listens(*last) ? *last : nullptr;
    }
    const auto count = std::count_if(bound_.begin(), bound_.end(), listens);
    if (count == 0) return nullptr;
    std::uint32_t skip = count > 1 ? core_.dice.below(static_cast<std::uint32_t>(count)) : 0;
    return *std::find_if(bound_.begin(), bound_.end(),
                         [&](const sim_socket* socket) { return listens(socket) && skip-- == 0; });
}

bool sim_network::has_listener(const sockaddr* address, socklen_t size) noexcept {
    sim_name name;
    return sim_name::read(AF_UNIX, address, size, name) == 0 && find_listener(name) != nullptr;
}

std::int32_t sim_network::connect(sim_operation& operation) {
    sim_socket& socket = *operation.socket;
    const bool listens = socket.state == sim_socket::phase::listening;
    const bool is_taken = listens || socket.state == sim_socket::phase::connected;
    if (is_taken && !is_unix(socket)) return -EISCONN;
    sim_name destination;
    const int error =
        sim_name::read(socket.local.family(), sim_pointer<const sockaddr>(operation.what.address),
                       static_cast<socklen_t>(operation.what.offset), destination);
    if (error < 0) return error;
    destination.any_to_loopback();
    if (is_cut(destination)) {
        unanswered_.push(operation);
        return sim_wait;
    }
    sim_socket* const listener = find_listener(destination);
    if (listener == nullptr) return -ECONNREFUSED;
    if (listener->waiting > listener->backlog) {
        listener->writers.push(operation);
        return sim_wait;
    }
    if (is_taken) return listens ? -EINVAL : -EISCONN;  // a Unix socket tells it last
    join(socket, *listener, destination);
    return 0;
}

/// Connects both ends at the time of the client's completion. The listener's accept completes a
/// little later.
void sim_network::join(sim_socket& client, sim_socket& listener, const sim_name& destination) {
    if (!is_unix(client)) {
        const std::uint16_t port = client.bound ? client.local.port() : free_port(destination);
        if (!client.bound || client.local.any_host()) client.local = destination.source_to();
        client.local.set_port(port);
        if (!std::exchange(client.bound, true)) bound_.push_back(&client);
    }
    sim_socket& server = *create(listener.local.family());
    const bool is_mapped = client.local.family() != listener.local.family();
    client.remote = destination;
    server.local = is_mapped ? destination.mapped() : destination;
    server.remote = is_mapped ? client.local.mapped() : client.local;
    server.options = listener.options;
    server.is_accepted = !is_unix(listener);
    couple(client, server);
    listener.accept_queue.append(server);
    ++listener.waiting;
    wake_waiters(listener, POLLIN | POLLRDNORM);
    wake_waiters(client, POLLOUT | POLLWRNORM);
}

/// Of a TCP connection's buffer one half is the sender's and one the receiver's: what is in the
/// sender's half is lost if it resets the connection.
void sim_network::couple(sim_socket& one, sim_socket& other) {
    const std::uint32_t least =
        std::max(core_.options.buffer_min, is_pipe(one) ? pipe_atomic : 1U);
    const std::uint32_t most = std::max(core_.options.buffer_max, least);
    for (sim_socket* end : {&one, &other}) {
        sim_socket* const far = end == &one ? &other : &one;
        end->state = sim_socket::phase::connected;
        const std::uint32_t size = least + core_.dice.below(most - least + 1);
        end->incoming.limit(size, is_unix(one) ? size : (size + 1) / 2);
        end->last_arrival = core_.now;
        end->peer = far;
        end->peer_ticket = far->ticket;
    }
}

sim_socket* sim_network::accept(sim_socket& listener, std::int32_t& result) noexcept {
    result = listener.state == sim_socket::phase::listening ? sim_wait : -EINVAL;
    if (result == -EINVAL || listener.accept_queue.empty()) return nullptr;
    sim_socket& first = listener.accept_queue.pop();
    --listener.waiting;
    retry_connects(listener);
    return &first;
}

void sim_network::retry_connects(sim_socket& listener) {
    while (sim_operation* const operation = listener.writers.first()) {
        listener.writers.remove(*operation);
        core_.schedule(*operation, latency_of(listener));
    }
}

void sim_network::finish(sim_operation& operation, std::int32_t result) noexcept {
    if (std::exchange(operation.is_connecting, false) && result < 0 &&
        operation.socket->state == sim_socket::phase::connecting)
        operation.socket->state = sim_socket::phase::fresh;
}

// -- ending --

/// Posts an arrival at `to`, later than now and later than everything sent to it before.
void sim_network::deliver(sim_socket& to, sim_event_kind kind, std::uint32_t amount) {
    sim_event event;
    event.kind = kind;
    event.index = to.index;
    event.ticket = to.ticket;
    event.amount = amount;
    event.time = std::max(core_.now + core_.dice.between(latency_of(to)),
                          to.last_arrival + std::chrono::nanoseconds(1));
    to.last_arrival = event.time;
    core_.post(event);
}

/// Lets bytes that were written arrive, as many as the receiver's window takes.
void sim_network::transmit(sim_socket& to) {
    if (const std::uint32_t bytes = to.incoming.send(); bytes > 0)
        deliver(to, sim_event_kind::bytes, bytes);
    if (to.end_waits && to.incoming.unsent() == 0) {
        to.end_waits = false;
        deliver(to, sim_event_kind::end, 0);
    }
}

/// Sends the end of the stream, after its bytes.
void sim_network::send_end(sim_socket& to) {
    to.end_waits = true;
    transmit(to);
}

/// Sends a reset, with the end before it if `ends`. Bytes that are not sent yet are lost, and then
/// so is the end.
void sim_network::send_reset(sim_socket& to, bool ends) {
    const bool lost = to.incoming.drop_unsent() > 0;
    to.end_waits = false;
    if (ends && !lost) deliver(to, sim_event_kind::end, 0);
    deliver(to, sim_event_kind::reset, 0);
}

int sim_network::shutdown(sim_socket& socket, int how) {
    if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR) return -EINVAL;
    if (socket.state == sim_socket::phase::listening) {
        if (how == SHUT_WR) return 0;
        stop_listening(socket);
        wake_waiters(socket, POLLIN | POLLHUP);
        return 0;
    }
    const bool is_datagram = socket.kind == sim_socket_kind::datagram;
    const int result = is_connected(socket) || is_unix(socket) ? 0 : -ENOTCONN;
    if (!is_connected(socket) && !is_datagram) return result;
    sim_socket* const peer = peer_of(socket);
    if (how != SHUT_WR) socket.shut_read = true;
    if (how != SHUT_RD && !std::exchange(socket.shut_write, true)) {
        socket.ended_first = !socket.ended;
        if (peer != nullptr) send_end(*peer);
    }
    wake_waiters(socket, POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
    if (how != SHUT_WR && peer != nullptr && is_unix(socket)) {  // its writes would reach no reader
        peer->shut_write = true;
        wake_waiters(*peer, POLLOUT | POLLHUP);
    }
    return result;
}

/// Ends listening. Connections that were not accepted are reset. Connects that waited for the
/// backlog are tried again, with another listener.
void sim_network::stop_listening(sim_socket& listener) {
    while (!listener.accept_queue.empty()) {
        sim_socket& server = listener.accept_queue.pop();
        if (sim_socket* const client = peer_of(server)) deliver(*client, sim_event_kind::reset, 0);
        server.peer = nullptr;
        close(server);
    }
    listener.waiting = 0;
    listener.state = sim_socket::phase::fresh;
    retry_connects(listener);
}

/// If data is unread, or still in transit, the peer gets a reset: so it learns that its data was
/// not read.
void sim_network::close(sim_socket& socket) {
    if (--socket.references > 0) return;
    if (socket.state == sim_socket::phase::listening) stop_listening(socket);
    if (sim_socket* const peer = peer_of(socket)) {
        const bool unread = socket.incoming.arrived() > 0;
        const bool abort = resets_on_close(socket);
        const bool ends = !unread && !abort && !socket.shut_write;
        if (!socket.shut_write) socket.ended_first = !socket.ended;
        if (socket.is_accepted && socket.ended_first && !unread && !abort && !socket.reset)
            let_linger(socket);
        if (unread || abort || socket.incoming.on_the_way() > 0)
            send_reset(*peer, ends);
        else if (ends)
            send_end(*peer);
    }
    for (sim_rights& rights : socket.rights)
        unreachable_.insert(unreachable_.end(), rights.opened.begin(), rights.opened.end());
    if (socket.bound) bound_.erase(std::find(bound_.begin(), bound_.end(), &socket));
    const std::uint32_t index = socket.index;
    const std::uint32_t ticket = socket.ticket + 1;
    std::destroy_at(&socket);
    std::construct_at(&socket);
    socket.index = index;
    socket.ticket = ticket;
    sockets_.give(socket);
}

void sim_network::attach(sim_socket& from, std::uint32_t moved, std::vector<sim_opened> opened) {
    sim_socket* const peer = peer_of(from);
    if (peer == nullptr || moved == 0) {
        unreachable_.insert(unreachable_.end(), opened.begin(), opened.end());
        return;
    }
    peer->rights.push_back({peer->incoming.written() - moved, std::move(opened)});
}

void sim_network::arrive(const sim_event& event) {
    if (event.kind == sim_event_kind::datagram) return arrive_datagram(event);
    sim_socket& socket = sockets_[event.index];
    if (socket.ticket != event.ticket || socket.reset) return;
    if (is_cut(socket)) {
        held_.push_back(event);
        return;
    }
    switch (event.kind) {
        case sim_event_kind::bytes:
            socket.incoming.arrive(event.amount);
            break;
        case sim_event_kind::end:
            socket.ended = true;
            break;
        default:
            // Nothing of a TCP connection is left after both ends.
            if (!is_connected(socket)) return;
            socket.error = socket.ended && !is_unix(socket) ? EPIPE : ECONNRESET;
            socket.reset = true;
    }
    wake_waiters(socket, event.kind == sim_event_kind::reset
                     ? short(POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP)
                 : is_pipe(socket) ? short(POLLIN | POLLHUP | POLLERR)
                                   : short(POLLIN | POLLRDHUP | POLLHUP));
}

// -- network faults for tests --

bool sim_network::is_cut(const sim_name& name) const noexcept {
    return std::any_of(cut_.begin(), cut_.end(),
                       [&](const sim_name& part) { return part.covers(name.unmapped()); });
}

bool sim_network::is_cut(const sim_socket& socket) const noexcept {
    return !cut_.empty() && !is_unix(socket) && (is_cut(socket.local) || is_cut(socket.remote));
}

void sim_network::cut_off(const sim_name& part) { cut_.push_back(part); }

/// Data that was held back arrives at once, in order. Connects without an answer are tried again.
void sim_network::restore(const sim_name& part) {
    std::erase_if(cut_, [&](const sim_name& other) { return other == part; });
    std::vector<sim_event> held;
    held.swap(held_);
    for (const sim_event& event : held) arrive(event);
    while (sim_operation* const operation = unanswered_.first()) {
        unanswered_.remove(*operation);
        core_.schedule(*operation, latency_of(*operation->socket));
    }
}

void sim_network::reset_connection(sim_socket& socket) {
    socket.error = ECONNRESET;
    socket.reset = true;
    socket.incoming.drop_unsent();
    wake_waiters(socket, POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
}

/// Resets all TCP connections, including those not accepted yet.
void sim_network::reset_connections() {
    for (std::uint32_t at = 0; at < sockets_.capacity(); ++at) {
        sim_socket& socket = sockets_[at];
        if (socket.kind == sim_socket_kind::stream && !is_unix(socket) && is_connected(socket))
            reset_connection(socket);
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
