// SPDX-License-Identifier: MIT
// Datagrams. They arrive whole or not at all, perhaps twice, and in any order. Only Linux's
// behaviour at the two ends is certain (udp_sendmsg, udp_recvmsg): a receiver without room drops
// them, a host without a receiver answers, and a connected sender gets that error at its next call.
//
// Not simulated: multicast and broadcast (they reach no socket), merged datagrams (UDP_GRO).
#include <netinet/udp.h>
#include <poll.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <utility>

#include "kernel/simulator/socket.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr std::uint32_t segments_max = 128;  // UDP_MAX_SEGMENTS; before Linux 6.10 it was 64

/// Returns: the bytes that a datagram takes of its receiver's buffer, as measured on Linux 6.18.
/// Its memory is a power of two with the headers in it, and pages if it is large.
std::size_t cost_of(std::size_t size) noexcept {
    constexpr std::size_t headers = 379, record = 256, small = 576, largest = 16'384;
    const std::size_t needed = size + headers;
    if (needed <= small) return small + record;
    return needed <= largest ? std::max<std::size_t>(std::bit_ceil(needed), 1024) + record
                             : size + small + record;
}

std::uint32_t largest(int family) noexcept {
    return family == AF_INET ? 65'507 : 65'527;
}

/// Returns: the destination that the entry names. Size 0 means the connected peer.
std::pair<const sockaddr*, socklen_t> destination_of(const entry& what) noexcept {
    if (what.code == opcode::sendmsg) {
        const auto* message = sim_pointer<const msghdr>(what.address);
        return {static_cast<const sockaddr*>(message->msg_name), message->msg_namelen};
    }
    if (what.code == opcode::send && what.offset != 0)
        return {sim_pointer<const sockaddr>(what.offset),
                static_cast<socklen_t>(what.file_index & 0xffff)};
    return {nullptr, 0};
}

/// Returns: the UDP_SEGMENT of the control message, or 0.
std::uint32_t segment_of(const entry& what) noexcept {
    if (what.code != opcode::sendmsg) return 0;
    auto* message = sim_pointer<msghdr>(what.address);
    for (cmsghdr* at = CMSG_FIRSTHDR(message); at != nullptr; at = CMSG_NXTHDR(message, at)) {
        if (at->cmsg_level != SOL_UDP || at->cmsg_type != UDP_SEGMENT) continue;
        std::uint16_t size = 0;
        std::memcpy(&size, CMSG_DATA(at), sizeof size);
        return size;
    }
    return 0;
}

}  // namespace

int sim_network::bind_to_free_port(sim_socket& socket) {
    if (socket.bound) return 0;
    const std::uint16_t port = free_port(socket.local);
    if (port == 0) return -EAGAIN;
    socket.local.set_port(port);
    socket.bound = true;
    bound_.push_back(&socket);
    return 0;
}

std::int32_t sim_network::connect_datagrams(sim_operation& operation) {
    sim_socket& socket = *operation.socket;
    const auto* address = sim_pointer<const sockaddr>(operation.what.address);
    const auto size = static_cast<socklen_t>(operation.what.offset);
    if (size >= sizeof(sa_family_t) && address->sa_family == AF_UNSPEC) {
        socket.state = sim_socket::phase::fresh;
        socket.remote = sim_name::any(socket.local.family());
        return 0;
    }
    sim_name peer;
    if (const int error = sim_name::read(socket.local.family(), address, size, peer); error < 0)
        return error;
    peer.any_to_loopback();
    if (const int error = bind_to_free_port(socket); error < 0) return error;
    if (socket.local.any_host()) {
        const std::uint16_t port = socket.local.port();
        socket.local = peer.source_to();
        socket.local.set_port(port);
    }
    socket.remote = peer;
    socket.state = sim_socket::phase::connected;
    return 0;
}

std::int32_t sim_network::send_datagrams(sim_operation& operation) {
    sim_socket& socket = *operation.socket;
    if (socket.shut_write) return broken_pipe(operation);
    const auto [address, size] = destination_of(operation.what);
    sim_name to = socket.remote;
    if (size != 0) {
        if (const int error = sim_name::read(socket.local.family(), address, size, to); error < 0)
            return error;
        to.any_to_loopback();
    } else if (socket.state != sim_socket::phase::connected) {
        return -EDESTADDRREQ;
    }
    if (to.port() == 0) return -EINVAL;
    if (to.is_broadcast() && option_of(socket, SOL_SOCKET, SO_BROADCAST) == 0) return -EACCES;
    sim_cursor from(operation.what, 0);
    const std::uint32_t all = from.left();
    const std::uint32_t segment = segment_of(operation.what);
    if (all > largest(to.family())) return -EMSGSIZE;
    if (segment != 0 && all > segments_max * segment) return -EINVAL;
    if (socket.error != 0) return -std::exchange(socket.error, 0);
    if (const int error = bind_to_free_port(socket); error < 0) return error;
    do {
        const std::uint32_t part = segment != 0 ? std::min(segment, from.left()) : all;
        launch(socket, to, from, part);
    } while (from.left() > 0);
    return static_cast<std::int32_t>(all);
}

/// Posts the arrival of a datagram; by seed not at all, twice or late.
void sim_network::launch(sim_socket& sender, const sim_name& to, sim_cursor& from,
                         std::uint32_t size) {
    std::vector<std::byte> bytes(size);
    from.get(bytes.data(), size);
    sim_name source = sender.local;
    if (source.any_host()) {
        source = to.source_to();
        source.set_port(sender.local.port());
    }
    const sim_datagram_fate& fate = core_.options.datagrams;
    const auto happens = [this](std::uint32_t percent) {
        return percent > 0 && core_.dice.percent(percent);
    };
    if (happens(fate.lost_percent)) return;
    for (int copies = happens(fate.duplicated_percent) ? 2 : 1; copies > 0; --copies) {
        sim_datagram& flying = in_transit_.take();
        flying.from = source;
        flying.to = to;
        flying.bytes = bytes;
        flying.sender = &sender;
        flying.sender_ticket = sender.ticket;
        sim_event event;
        event.kind = sim_event_kind::datagram;
        event.index = flying.index;
        event.time = core_.now + core_.dice.between(core_.options.network);
        if (happens(fate.reordered_percent)) {
            event.time += 3 * (event.time - core_.now);
        } else {  // the others keep their order
            event.time = std::max(event.time, sender.last_arrival + std::chrono::nanoseconds(1));
            sender.last_arrival = event.time;
        }
        core_.post(event);
    }
}

/// Returns: the socket that receives the datagram. A socket that is connected to the sender is
/// preferred; among equal ones the seed decides.
sim_socket* sim_network::find_receiver(const sim_datagram& datagram) noexcept {
    for (const bool connected : {true, false}) {
        const auto takes = [&](const sim_socket* socket) {
            return socket->kind == sim_socket_kind::datagram && socket->local.meets(datagram.to) &&
                   (socket->state == sim_socket::phase::connected) == connected &&
                   (!connected || socket->remote == datagram.from);
        };
        const auto count = std::count_if(bound_.begin(), bound_.end(), takes);
        if (count == 0) continue;
        std::uint32_t skip = count > 1 ? core_.dice.below(static_cast<std::uint32_t>(count)) : 0;
        return *std::find_if(bound_.begin(), bound_.end(), [&](const sim_socket* socket) {
            return takes(socket) && skip-- == 0;
        });
    }
    return nullptr;
}

void sim_network::arrive_datagram(const sim_event& event) {
    sim_datagram& flying = in_transit_[event.index];
    sim_datagram datagram = std::exchange(flying, {});
    datagram.index = flying.index = event.index;
    in_transit_.give(flying);
    if (!cut_.empty() && (is_cut(datagram.from) || is_cut(datagram.to))) return;
    sim_socket* const receiver = find_receiver(datagram);
    if (receiver == nullptr) {  // an ICMP error is sent; only a connected sender receives it
        sim_socket& sender = *datagram.sender;
        if (sender.ticket == datagram.sender_ticket &&
            sender.state == sim_socket::phase::connected && sender.remote == datagram.to) {
            sender.error = ECONNREFUSED;
            wake_waiters(sender, POLLIN | POLLOUT | POLLERR);
        }
        return;
    }
    const std::size_t all = receiver->datagram_bytes + cost_of(datagram.bytes.size());
    const auto room = static_cast<std::size_t>(option_of(*receiver, SOL_SOCKET, SO_RCVBUF));
    if (all > room && !receiver->datagrams.empty()) return;  // one is always taken
    receiver->datagram_bytes = all;
    receiver->datagrams.push_back(std::move(datagram));
    wake_waiters(*receiver, POLLIN | POLLRDNORM);
}

std::int32_t sim_network::receive_datagram(sim_operation& operation) {
    sim_socket& socket = *operation.socket;
    const entry& what = operation.what;
    const int flags = what.code == opcode::recv || what.code == opcode::recvmsg
                          ? static_cast<int>(what.op_flags)
                          : 0;
    if (socket.error != 0) return -std::exchange(socket.error, 0);
    auto* const message =
        what.code == opcode::recvmsg ? sim_pointer<msghdr>(what.address) : nullptr;
    if (message != nullptr) {
        message->msg_controllen = 0;
        message->msg_flags = 0;
    }
    if (socket.datagrams.empty()) {
        if (operation.queue == nullptr) return -EAGAIN;
        if (!socket.shut_read) return sim_wait;
        if (message != nullptr) message->msg_namelen = 0;
        return 0;
    }
    const sim_datagram& first = socket.datagrams.front();
    sim_cursor into(what, 0);
    const auto size = static_cast<std::uint32_t>(first.bytes.size());
    const std::uint32_t fits = std::min(into.left(), size);
    into.put(first.bytes.data(), fits);
    if (message != nullptr) {
        if (message->msg_name != nullptr)
            first.from.copy_to(static_cast<sockaddr*>(message->msg_name), &message->msg_namelen);
        if (fits < size) message->msg_flags |= MSG_TRUNC;
    }
    if ((flags & MSG_PEEK) == 0) {
        socket.datagram_bytes -= cost_of(size);
        socket.datagrams.pop_front();
    }
    return static_cast<std::int32_t>((flags & MSG_TRUNC) != 0 ? size : fits);
}

short sim_network::datagram_events(const sim_socket& socket) const noexcept {
    int events = POLLOUT | POLLWRNORM;
    if (!socket.datagrams.empty() || socket.shut_read) events |= POLLIN | POLLRDNORM;
    if (socket.shut_read) events |= POLLRDHUP;
    if (socket.shut_read && socket.shut_write) events |= POLLHUP;
    if (socket.error != 0) events |= POLLERR;
    return static_cast<short>(events);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
