// SPDX-License-Identifier: MIT
// Transfers on simulated streams: when one can move bytes, how many, and its result otherwise. See
// socket.hpp.
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "kernel/simulator/socket.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr std::uint32_t no_signal_flag = 0x100;  // RWF_NOSIGNAL (since 6.18)

bool writes(opcode code) noexcept {
    return code == opcode::send || code == opcode::sendmsg || code == opcode::write ||
           code == opcode::writev;
}

bool is_message(opcode code) noexcept {
    return code == opcode::send || code == opcode::sendmsg || code == opcode::recv ||
           code == opcode::recvmsg;
}

/// Returns: the MSG_* flags of a send or receive; read and write have none.
int message_flags(const entry& what) noexcept {
    return is_message(what.code) ? static_cast<int>(what.op_flags) : 0;
}

bool all_or_wait(const sim_operation& operation) noexcept {
    return (message_flags(operation.what) & MSG_WAITALL) != 0 && operation.max_bytes == 0;
}

/// Whether it is a transfer of no bytes that looks at nothing: a read, which takes no datagram
/// either, or a write to a pipe.
bool is_empty(const entry& what, const sim_socket& socket) noexcept {
    const bool reads = what.code == opcode::read || what.code == opcode::readv;
    if (!reads && !(is_pipe(socket) && writes(what.code))) return false;
    return (what.flags & entry_pick_buffer) == 0 && sim_cursor(what, 0).left() == 0;
}

/// Returns: where the unread message with that byte ends.
std::uint64_t end_of_message(const sim_socket& socket, std::uint64_t at) noexcept {
    return *std::upper_bound(socket.messages.begin(), socket.messages.end(), at);
}

/// Returns: the events that complete the poll. io_uring adds those of IO_POLL_UNMASK.
short wanted_events(const sim_operation& poll) noexcept {
    return static_cast<short>(poll.what.op_flags | POLLERR | POLLHUP | POLLRDHUP);
}

}  // namespace

// -- readiness --

bool sim_network::readable(const sim_socket& socket) const noexcept {
    if (socket.state == sim_socket::phase::listening) return socket.waiting > 0;
    if (socket.kind == sim_socket_kind::datagram)
        return !socket.datagrams.empty() || socket.shut_read || socket.error != 0;
    return socket.state == sim_socket::phase::fresh ||  // no longer a listener: accepts end
           socket.incoming.arrived() > 0 || socket.ended || socket.reset || socket.shut_read ||
           socket.error != 0;
}

/// Returns: how many bytes the socket can write now. A peer that has closed takes a buffer full of
/// them, until its reset arrives.
std::uint32_t sim_network::room_for(const sim_socket& socket) const noexcept {
    const sim_socket* const peer = peer_of(socket);
    if (peer != nullptr) return peer->incoming.room();
    const std::uint32_t most = std::max(core_.options.buffer_max, 1U);
    return most - std::min(most, socket.sent_in_vain);
}

bool sim_network::writable(const sim_socket& socket) const noexcept {
    if (socket.reset || socket.shut_write || socket.error != 0) return true;
    const sim_socket* const peer = peer_of(socket);
    if (peer == nullptr) return is_unix(socket) || room_for(socket) > 0;
    return peer->incoming.room() >= (is_pipe(socket) ? pipe_atomic : 1U) &&
           peer->messages.size() < unix_messages_max;
}

/// The poll events of a pipe, like Linux's pipe_poll().
short sim_network::pipe_events(const sim_socket& socket) const noexcept {
    int events = 0;
    if (socket.kind == sim_socket_kind::pipe_source) {
        if (socket.incoming.arrived() > 0) events |= POLLIN | POLLRDNORM;
        if (socket.ended) events |= POLLHUP;
    } else {
        if (writable(socket)) events |= POLLOUT | POLLWRNORM;
        if (socket.ended || socket.reset) events |= POLLERR;
    }
    return static_cast<short>(events);
}

/// The poll events of a socket, like Linux's tcp_poll(). A fresh socket is writable and hung up.
short sim_network::events_of(const sim_socket& socket) const noexcept {
    if (is_pipe(socket)) return pipe_events(socket);
    if (socket.kind == sim_socket_kind::datagram) return datagram_events(socket);
    constexpr short in = POLLIN | POLLRDNORM;
    constexpr short out = POLLOUT | POLLWRNORM;
    int events = 0;
    switch (socket.state) {
        case sim_socket::phase::fresh:
            return out | POLLHUP;
        case sim_socket::phase::connecting:
            return 0;
        case sim_socket::phase::listening:
            return socket.waiting > 0 ? in : short(0);
        case sim_socket::phase::connected:
            break;
    }
    const bool over = socket.ended || socket.shut_read || socket.reset;
    if (readable(socket)) events |= in;
    if (writable(socket)) events |= out;
    if (over) events |= POLLRDHUP;
    const bool closed = is_unix(socket) && over && peer_of(socket) == nullptr;
    if (socket.reset || closed || (over && socket.shut_write)) events |= POLLHUP;
    if (socket.error != 0) events |= POLLERR;
    return static_cast<short>(events);
}

void sim_network::schedule_first(sim_queue& queue, bool ready) {
    sim_operation* const first = queue.first();
    if (ready && first != nullptr && !first->scheduled)
        core_.schedule(*first, core_.options.local);
}

void sim_network::wake_waiters(sim_socket& socket, short events) {
    schedule_first(socket.readers, readable(socket));
    if (socket.state != sim_socket::phase::listening)  // a listener's writers are connects
        schedule_first(socket.writers, writable(socket));
    for (sim_operation* poll = socket.polls.first(); poll != nullptr; poll = poll->links.next)
        if (!poll->scheduled && (wanted_events(*poll) & events & events_of(socket)) != 0)
            core_.schedule(*poll, core_.options.local);
}

// -- operations --

void sim_network::begin(sim_operation& operation) {
    sim_socket& socket = *operation.socket;
    if (is_pipe(socket) && operation.what.code != opcode::poll_add &&
        writes(operation.what.code) != (socket.kind == sim_socket_kind::pipe_sink))
        return core_.decide(operation, -EBADF);
    if (is_empty(operation.what, socket)) return core_.decide(operation, 0);
    if (socket.kind == sim_socket_kind::datagram && operation.what.code != opcode::poll_add) {
        if (operation.what.code == opcode::connect || writes(operation.what.code))
            return core_.schedule(operation, core_.options.local);
        if (operation.what.code == opcode::accept) return core_.decide(operation, -EOPNOTSUPP);
        return enqueue(socket.readers, operation);
    }
    switch (operation.what.code) {
        case opcode::connect:
            if (socket.state == sim_socket::phase::connecting)
                return core_.decide(operation, -EALREADY);
            if (socket.state == sim_socket::phase::fresh) {
                socket.state = sim_socket::phase::connecting;
                operation.is_connecting = true;
            }
            return core_.schedule(operation, latency_of(socket));
        case opcode::poll_add:
            socket.polls.push(operation);
            if ((wanted_events(operation) & events_of(socket)) != 0)
                core_.schedule(operation, core_.options.local);
            return;
        case opcode::accept:
            if (socket.state != sim_socket::phase::listening)
                return core_.decide(operation, -EINVAL);
            return enqueue(socket.readers, operation);
        case opcode::send:
        case opcode::sendmsg:
        case opcode::write:
        case opcode::writev:
            if (socket.state != sim_socket::phase::connected)
                return core_.decide(operation,
                                    is_unix(socket) ? -ENOTCONN : broken_pipe(operation));
            return enqueue(socket.writers, operation);
        default:
            if (socket.state != sim_socket::phase::connected)
                return core_.decide(operation, is_unix(socket) ? -EINVAL : -ENOTCONN);
            enqueue(socket.readers, operation);
    }
}

/// Puts an operation into a queue. With MSG_DONTWAIT it does not wait there: it is attempted once.
void sim_network::enqueue(sim_queue& queue, sim_operation& operation) {
    if ((message_flags(operation.what) & MSG_DONTWAIT) != 0)
        return core_.schedule(operation, core_.options.local);
    queue.push(operation);
    advance(*operation.socket);
}

std::int32_t sim_network::attempt(sim_operation& operation) {
    const bool datagrams = operation.socket->kind == sim_socket_kind::datagram;
    switch (operation.what.code) {
        case opcode::connect:
            return datagrams ? connect_datagrams(operation) : connect(operation);
        case opcode::poll_add: {
            const int events = wanted_events(operation) & events_of(*operation.socket);
            return events != 0 ? events : sim_wait;
        }
        case opcode::send:
        case opcode::sendmsg:
        case opcode::write:
        case opcode::writev:
            return datagrams ? send_datagrams(operation) : send(operation);
        default:
            return datagrams ? receive_datagram(operation) : receive(operation);
    }
}

/// Called after a transfer. Returns: the bytes moved, if it is done. The rest of a MSG_WAITALL goes
/// to the end of the queue. So two such transfers on one socket interleave, as on the real kernel.
std::int32_t sim_network::continue_transfer(sim_operation& operation, std::uint32_t moved,
                                            std::uint32_t left) {
    operation.moved += moved;
    if (left > 0 && all_or_wait(operation) && operation.queue != nullptr) {
        sim_queue* const queue = operation.queue;
        queue->remove(operation);
        queue->push(operation);
        return sim_wait;
    }
    return static_cast<std::int32_t>(operation.moved);
}

std::int32_t sim_network::broken_pipe(const sim_operation& operation) noexcept {
    const bool quiet = is_message(operation.what.code)
                           ? (operation.what.op_flags & MSG_NOSIGNAL) != 0
                           : (operation.what.op_flags & no_signal_flag) != 0;
    if (!quiet) ++sigpipes_;
    return -EPIPE;
}

std::int32_t sim_network::send(sim_operation& operation) {
    sim_socket& socket = *operation.socket;
    sim_socket* const peer = peer_of(socket);
    const bool local = is_unix(socket);  // sees the peer's end at once; only receives get `error`
    const bool gone = socket.reset || socket.shut_write || (local && peer == nullptr);
    if (operation.moved > 0 && (gone || socket.error != 0))
        return static_cast<std::int32_t>(operation.moved);
    if (!local && socket.error != 0)
        if (const int error = std::exchange(socket.error, 0); error != EPIPE) return -error;
    if (gone) return broken_pipe(operation);
    sim_cursor from(operation.what, operation.moved);
    if (from.left() == 0) return static_cast<std::int32_t>(operation.moved);
    std::uint32_t bytes = std::min(from.left(), room_for(socket));
    if (local && !writable(socket)) bytes = 0;
    if (bytes == 0)
        return operation.queue != nullptr ? sim_wait
               : operation.moved > 0      ? static_cast<std::int32_t>(operation.moved)
                                          : -EAGAIN;
    const bool whole = all_or_wait(operation) || (is_pipe(socket) && from.left() <= pipe_atomic &&
                                                  operation.max_bytes == 0);
    if (!whole) bytes = core_.shorten(operation, bytes);
    if (peer == nullptr) {  // closed: the bytes are accepted, and a reset comes back
        if (!std::exchange(socket.reset_sent, true)) deliver(socket, sim_event_kind::reset, 0);
        socket.sent_in_vain += bytes;
        return continue_transfer(operation, bytes, from.left() - bytes);
    }
    peer->incoming.write(from, bytes);
    if (local && !is_pipe(socket)) peer->messages.push_back(peer->incoming.written());
    transmit(*peer);
    return continue_transfer(operation, bytes, from.left());
}

std::int32_t sim_network::receive(sim_operation& operation) {
    sim_socket& socket = *operation.socket;
    sim_cursor into(operation.what, operation.moved);
    if (operation.what.code == opcode::recvmsg) {
        auto* const message = sim_pointer<msghdr>(operation.what.address);
        message->msg_namelen = 0;
        message->msg_controllen = 0;
        message->msg_flags = 0;
    }
    if (into.left() == 0) return static_cast<std::int32_t>(operation.moved);
    std::uint32_t bytes = std::min(into.left(), socket.incoming.arrived());
    if (bytes == 0) {
        const bool over = socket.ended || socket.reset || socket.shut_read || socket.error != 0;
        if (!over && operation.queue != nullptr) return sim_wait;
        if (operation.moved > 0) return static_cast<std::int32_t>(operation.moved);
        if (!over) return -EAGAIN;
        const bool is_error = !socket.ended || is_unix(socket);  // TCP: the end comes first
        return is_error ? -std::exchange(socket.error, 0) : 0;
    }
    const bool keep = (message_flags(operation.what) & MSG_PEEK) != 0;
    // A receive takes the bytes before a message with descriptors along, and ends with it.
    const std::uint64_t at = socket.incoming.taken();
    if (!socket.rights.empty())
        bytes = static_cast<std::uint32_t>(
            std::min(std::uint64_t{bytes}, end_of_message(socket, socket.rights.front().at) - at));
    if (keep || !all_or_wait(operation)) bytes = core_.shorten(operation, bytes);
    const bool hands = !socket.rights.empty() && socket.rights.front().at < at + bytes;
    socket.incoming.read(into, bytes, keep);
    if (keep) return static_cast<std::int32_t>(bytes);
    const std::uint64_t taken = socket.incoming.taken();
    std::erase_if(socket.messages, [taken](std::uint64_t end) { return end <= taken; });
    if (hands) {
        received_ = std::move(socket.rights.front().opened);
        socket.rights.pop_front();
    }
    transmit(socket);
    if (sim_socket* const peer = peer_of(socket)) wake_waiters(*peer, POLLOUT | POLLWRNORM);
    return continue_transfer(operation, bytes, hands ? 0 : into.left());
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
