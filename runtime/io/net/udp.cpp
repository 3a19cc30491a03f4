// SPDX-License-Identifier: MIT
// UDP sockets: each datagram is one recvmsg or sendmsg.
#include <rondo/udp.hpp>

#include <net/if.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <string>

#include "io/net/socket_calls.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

static_assert(sizeof(msghdr) <= 7 * sizeof(std::uint64_t));
static_assert(sizeof(iovec) == 2 * sizeof(std::uint64_t));
static_assert(CMSG_SPACE(sizeof(int)) <= 4 * sizeof(std::uint64_t));

/// A datagram whose receive lost a race. The next receive gives it.
struct kept_datagram {
    std::string bytes;
    endpoint from;
    bool truncated = false;
    std::uint16_t segment_size = 0;

    explicit kept_datagram(const datagram& got)
        : bytes(got.data.text()),
          from(got.from),
          truncated(got.truncated),
          segment_size(got.segment_size) {}
    datagram copy_to(buffer_view into) const {
        const std::size_t size = std::min(bytes.size(), into.size());
        std::copy_n(bytes.data(), size, into.data());
        datagram got;
        got.data = chunk(into.first(size));
        got.from = from;
        got.truncated = truncated || size < bytes.size();
        got.segment_size = segment_size;
        return got;
    }
};

struct udp_state final : stream_state {
    using stream_state::stream_state;
    std::optional<kept_datagram> kept;

    static udp_state& of(const held<>& socket) noexcept {
        return static_cast<udp_state&>(*socket);
    }

private:
    std::string make_name() override {
        endpoint own;
        return ask_name(fd, local_name, own) >= 0 ? own.text() : std::string();
    }
};

}  // namespace

struct datagram_kind {
    static const char* socket(const leaf_wait& wait) {
        return static_cast<const datagram_awaiter&>(wait).socket_->name();
    }
    static constexpr wait_kind receive{"recvfrom", cancel_operation, socket};
    static constexpr wait_kind send{"sendto", cancel_operation, socket};
};

void datagram_awaiter::prepare(const void* data, std::size_t size) noexcept {
    const iovec part{const_cast<void*>(data), size};
    std::memcpy(part_, &part, sizeof part);
    msghdr message{};
    message.msg_iov = reinterpret_cast<iovec*>(part_);
    message.msg_iovlen = 1;
    std::memcpy(message_, &message, sizeof message);
}

// -- sending --------------------------------------------------------------------------------------

send_datagram_awaiter::send_datagram_awaiter(held<> socket, const_buffer data, const endpoint& to,
                                             std::size_t segment) noexcept
    : datagram_awaiter(datagram_kind::send, std::move(socket), opcode::sendmsg),
      data_(data),
      to_(to),
      segment_(segment) {
    request.op_flags = MSG_NOSIGNAL;
}

bool send_datagram_awaiter::await_ready() noexcept {
    if (is_cancelled()) return refuse_operation(*this);
    if (segment_ > 0xffff) state |= too_large;
    return state != 0;
}

void send_datagram_awaiter::await_suspend(std::coroutine_handle<> frame, location at) noexcept {
    park(*this, frame, at);
    prepare(data_.data(), data_.size());
    auto& message = *reinterpret_cast<msghdr*>(message_);
    if (to_.size() != 0) {
        message.msg_name = const_cast<void*>(to_.data());
        message.msg_namelen = to_.size();
    }
    if (segment_ != 0) {
        std::memset(control_, 0, sizeof control_);
        message.msg_control = control_;
        message.msg_controllen = CMSG_SPACE(sizeof(std::uint16_t));
        cmsghdr* control = CMSG_FIRSTHDR(&message);
        control->cmsg_level = SOL_UDP;
        control->cmsg_type = UDP_SEGMENT;
        control->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
        const auto size = static_cast<std::uint16_t>(segment_);
        std::memcpy(CMSG_DATA(control), &size, sizeof size);
    }
    begin(*this);
}

void send_datagram_awaiter::await_resume() {
    if (is_refused()) throw cancelled();
    if ((state & too_large) != 0) result = -EMSGSIZE;
    if (result >= 0) return;
    if (to_.size() == 0 || (result == -ECANCELED && is_cancelled())) throw_failed(*this);
    throw_system_error(-result, kind->what, to_.text());
}

// -- receiving ------------------------------------------------------------------------------------

receive_datagram_awaiter::receive_datagram_awaiter(held<> socket, buffer_view into) noexcept
    : datagram_awaiter(datagram_kind::receive, std::move(socket), opcode::recvmsg), into_(into) {}

receive_datagram_awaiter::~receive_datagram_awaiter() { let_go(); }

void receive_datagram_awaiter::let_go() noexcept {
    if ((state & ours) != 0) socket_->reading = false;
    state &= ~std::uint32_t(ours);
}

bool receive_datagram_awaiter::await_ready() noexcept {
    if (is_cancelled()) return refuse_operation(*this);
    if (socket_->reading)
        state |= busy;
    else if (udp_state::of(socket_).kept)
        state |= kept;
    return state != 0;
}

void receive_datagram_awaiter::await_suspend(std::coroutine_handle<> frame, location at) noexcept {
    if (state != 0) {  // refused; suspends without marking the socket, so others may receive
        park(*this, frame, at);
        return begin(*this);
    }
    socket_->reading = true;
    state = ours;
    park(*this, frame, at);
    prepare(into_.data(), into_.size());
    auto& message = *reinterpret_cast<msghdr*>(message_);
    message.msg_name = from_;
    message.msg_namelen = sizeof from_;
    message.msg_control = control_;
    message.msg_controllen = sizeof control_;
    begin(*this);
}

datagram receive_datagram_awaiter::await_resume() {
    let_go();
    if (is_refused()) throw cancelled();
    if ((state & busy) != 0)
        throw invalid_state_error(std::string("recvfrom ") + socket_->name() +
                                  ": another task is receiving from this socket");
    std::optional<kept_datagram>& left = udp_state::of(socket_).kept;
    const bool is_kept = (state & kept) != 0;
    const datagram got = is_kept ? left->copy_to(into_) : arrived();
    left.reset();
    if (!is_kept && is_cancelled() && has_lost_race()) {
        left.emplace(got);
        throw cancelled();
    }
    return got;
}

datagram receive_datagram_awaiter::arrived() {
    if (result < 0) throw_failed(*this);
    auto& message = *reinterpret_cast<msghdr*>(message_);
    datagram got;
    got.data = chunk(into_.first(std::min(static_cast<std::size_t>(result), into_.size())));
    got.from = endpoint::from_system(message.msg_name, message.msg_namelen);
    got.truncated = (message.msg_flags & MSG_TRUNC) != 0;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO) continue;
        int size = 0;
        std::memcpy(&size, CMSG_DATA(c), sizeof size);
        got.segment_size = static_cast<std::uint16_t>(size);
    }
    return got;
}

namespace {

/// Makes a socket and sets its options; it has no port yet.
descriptor make_socket(int family, const udp_options& options, const char* verb,
                       const std::string& name) {
    const int number = new_socket(family, SOCK_DGRAM, 0);
    check(number, verb, name);
    descriptor fd = adopt_or_close(number, {});
    option_setter to(fd);
    to.set(options.reuse_address, SOL_SOCKET, SO_REUSEADDR, 1);
    to.set(options.reuse_port, SOL_SOCKET, SO_REUSEPORT, 1);
    to.set(options.broadcast, SOL_SOCKET, SO_BROADCAST, 1);
    to.set(options.receive_merged, SOL_UDP, UDP_GRO, 1);
    to.set(options.receive_buffer != 0, SOL_SOCKET, SO_RCVBUF, options.receive_buffer);
    to.set(options.send_buffer != 0, SOL_SOCKET, SO_SNDBUF, options.send_buffer);
    to.set(family == AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY, options.ipv6_only ? 1 : 0);
    check(to.error(), verb, name);
    return fd;
}

held<> hold(descriptor fd) { return held<>(new udp_state(std::move(fd))); }

/// Number of the interface "eth0" or "2"; 0 lets the system choose.
unsigned interface_number(std::string_view interface) {
    if (interface.empty()) return 0;
    unsigned number = 0;
    const char* end = interface.data() + interface.size();
    const auto read = std::from_chars(interface.data(), end, number);
    if (read.ec == std::errc() && read.ptr == end) return number;
    number = ::if_nametoindex(std::string(interface).c_str());
    if (number == 0) throw_system_error(ENODEV, "interface", interface);
    return number;
}

}  // namespace
}  // namespace detail

using detail::check;

udp_socket udp_socket::bind(const endpoint& where, udp_options options) {
    const std::string name = where.text();
    const auto* address = static_cast<const sockaddr*>(where.data());
    check(where.is_ip() ? 0 : -EAFNOSUPPORT, "bind", name);
    const int family = where.family() == address_family::ipv6 ? AF_INET6 : AF_INET;
    descriptor fd = detail::make_socket(family, options, "bind", name);
    check(detail::bind_name(fd, address, where.size()), "bind", name);
    if (where.port() != 0) fd.rename(name);
    return udp_socket(detail::hold(std::move(fd)));
}

udp_socket udp_socket::open(address_family family, udp_options options) {
    const int number = family == address_family::ipv6 ? AF_INET6 : AF_INET;
    return udp_socket(detail::hold(detail::make_socket(number, options, "socket", "")));
}

task<> udp_socket::connect(endpoint peer) {
    const detail::held<> socket = state();
    auto connecting = detail::connect_socket(socket->fd, peer);
    const result<void> done = co_await as_result(std::move(connecting));
    if (!done) detail::throw_system_error(done.error().value(), "connect", peer.text());
}

// -- groups and options ---------------------------------------------------------------------------

void udp_socket::set_membership(bool joins, const endpoint& group, std::string_view interface) {
    const char* const verb = joins ? "join" : "leave";
    const unsigned number = detail::interface_number(interface);
    int result = -EAFNOSUPPORT;
    if (group.family() == address_family::ipv4) {
        ip_mreqn request{};
        sockaddr_in name{};
        std::memcpy(&name, group.data(), sizeof name);
        request.imr_multiaddr = name.sin_addr;
        request.imr_ifindex = static_cast<int>(number);
        result = detail::set_option(state()->fd, IPPROTO_IP,
                                    joins ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, &request,
                                    sizeof request);
    } else if (group.family() == address_family::ipv6) {
        ipv6_mreq request{};
        sockaddr_in6 name{};
        std::memcpy(&name, group.data(), sizeof name);
        request.ipv6mr_multiaddr = name.sin6_addr;
        request.ipv6mr_interface = number;
        result = detail::set_option(state()->fd, IPPROTO_IPV6,
                                    joins ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, &request,
                                    sizeof request);
    }
    check(result, verb, group.address());
}

void udp_socket::join(const endpoint& group, std::string_view interface) {
    set_membership(true, group, interface);
}
void udp_socket::leave(const endpoint& group, std::string_view interface) {
    set_membership(false, group, interface);
}

bool udp_socket::is_ipv6() const { return get_option(SOL_SOCKET, SO_DOMAIN) == AF_INET6; }

void udp_socket::set_multicast_hops(int hops) {
    if (is_ipv6())
        set_option(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, hops);
    else
        set_option(IPPROTO_IP, IP_MULTICAST_TTL, hops);
}

void udp_socket::set_multicast_loop(bool on) {
    if (is_ipv6())
        set_option(IPPROTO_IPV6, IPV6_MULTICAST_LOOP, on ? 1 : 0);
    else
        set_option(IPPROTO_IP, IP_MULTICAST_LOOP, on ? 1 : 0);
}

void udp_socket::set_multicast_interface(std::string_view interface) {
    const auto number = static_cast<int>(detail::interface_number(interface));
    if (is_ipv6()) return set_option(IPPROTO_IPV6, IPV6_MULTICAST_IF, number);
    ip_mreqn request{};
    request.imr_ifindex = number;
    check(detail::set_option(state()->fd, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof request),
          "setsockopt", state()->name());
}

void udp_socket::set_option(int level, int name, int value) {
    detail::set_option_or_throw(*state(), level, name, value);
}

int udp_socket::get_option(int level, int name) const {
    return detail::get_option_or_throw(*state(), level, name);
}

endpoint udp_socket::local() const { return detail::local_endpoint(state()->fd); }

endpoint udp_socket::remote() const {
    return detail::remote_endpoint(state()->fd, state()->name());
}

detail::closing udp_socket::close() noexcept {
    if (!state_) return detail::closing(nullptr);
    state_->close();
    return state_->fd.close();
}

}  // namespace v0
}  // namespace rondo
