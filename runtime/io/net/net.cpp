// SPDX-License-Identifier: MIT
// TCP streams and listeners.
#include <rondo/net.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "io/net/listener.hpp"
#include "io/net/socket_calls.hpp"
#include "io/stream_turn.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

/// The peer's address. After a reset getpeername(2) does not know it any more; SO_PEERNAME does,
/// but needs the exact size.
int peer_name(const descriptor& socket, sockaddr* name, socklen_t* size) {
    const int error = remote_name(socket, name, size);
    if (error != -ENOTCONN) return error;
    for (const std::size_t exact : {sizeof(sockaddr_in6), sizeof(sockaddr_in)}) {
        *size = static_cast<socklen_t>(exact);
        if (get_option(socket, SOL_SOCKET, SO_PEERNAME, name, size) >= 0) return 0;
    }
    return error;
}

struct tcp_state final : stream_state {
    endpoint peer;

    tcp_state(descriptor d, const endpoint& p) noexcept : stream_state(std::move(d)), peer(p) {}

    /// 0, or -errno.
    int find_peer() {
        if (peer.family() != address_family::none) return 0;
        return std::min(ask_name(fd, peer_name, peer), 0);
    }

private:
    std::string make_name() override { return find_peer() == 0 ? peer.text() : std::string(); }
};

tcp_state& tcp(const held<>& state) noexcept { return static_cast<tcp_state&>(*state); }

}  // namespace
}  // namespace detail

using detail::check;

tcp_listener tcp_listener::bind(const endpoint& where, listen_options options) {
    const std::string name = where.text();
    const auto* address = static_cast<const sockaddr*>(where.data());
    detail::check(where.is_ip() ? 0 : -EAFNOSUPPORT, "bind", name);
    const int number = detail::new_socket(address->sa_family, SOCK_STREAM, 0);
    check(number, "bind", name);
    descriptor fd = detail::adopt_or_close(number, name);
    const bool ipv6_only = options.ipv6_only && where.family() == address_family::ipv6;
    detail::option_setter to(fd);
    to.set(options.reuse_address, SOL_SOCKET, SO_REUSEADDR, 1);
    to.set(options.reuse_port, SOL_SOCKET, SO_REUSEPORT, 1);
    to.set(options.no_delay, IPPROTO_TCP, TCP_NODELAY, 1);
    to.set(ipv6_only, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    check(to.error(), "bind", name);
    check(detail::bind_name(fd, address, where.size()), "bind", name);
    return tcp_listener(detail::listen_at(std::move(fd), where, options.backlog));
}

tcp_listener tcp_listener::adopt(descriptor listening) {
    return tcp_listener(detail::adopt_listening(std::move(listening), false));
}

task<tcp_stream> tcp_listener::accept() {
    return detail::accept_as<tcp_stream>(listener_.accept());
}

// -- connections ----------------------------------------------------------------------------------

tcp_stream::tcp_stream(descriptor socket, const endpoint& peer)
    : byte_stream(detail::held<>(new detail::tcp_state(std::move(socket), peer))) {}

operation<void> tcp_stream::shutdown_write() { return detail::shut_down_write(*state()); }

void tcp_stream::abort() noexcept {
    if (!is_open()) return;
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    detail::set_option(state()->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
}

void tcp_stream::set_no_delay(bool on) { set_option(IPPROTO_TCP, TCP_NODELAY, on ? 1 : 0); }

void tcp_stream::set_keep_alive(detail::time_limit idle, detail::time_limit interval, int count) {
    const auto seconds = [](duration time) {
        return static_cast<int>(std::chrono::ceil<std::chrono::seconds>(time).count());
    };
    set_option(SOL_SOCKET, SO_KEEPALIVE, idle > duration::zero() ? 1 : 0);
    if (idle <= duration::zero()) return;
    set_option(IPPROTO_TCP, TCP_KEEPIDLE, seconds(idle));
    set_option(IPPROTO_TCP, TCP_KEEPINTVL, seconds(interval));
    set_option(IPPROTO_TCP, TCP_KEEPCNT, count);
}

void tcp_stream::set_option(int level, int name, int value) {
    detail::set_option_or_throw(*state(), level, name, value);
}

int tcp_stream::get_option(int level, int name) const {
    return detail::get_option_or_throw(*state(), level, name);
}

endpoint tcp_stream::local() const { return detail::local_endpoint(state()->fd); }

endpoint tcp_stream::remote() const {
    detail::tcp_state& tcp = detail::tcp(state());
    check(tcp.find_peer(), "getpeername", "");
    return tcp.peer;
}

}  // namespace v0
}  // namespace rondo
