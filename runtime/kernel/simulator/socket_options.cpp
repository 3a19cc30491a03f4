// SPDX-License-Identifier: MIT
// Options of simulated sockets: which ones exist, their values at first, and what setting one makes
// of the value, as socket(7), tcp(7), ip(7) and ipv6(7) have it. See socket.hpp.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kernel/simulator/socket.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr int buffer_limit = 212'992;  // net.core.rmem_max and wmem_max
constexpr int last_socket_option = 83;

bool is_read_only(int name) noexcept {
    return name == SO_TYPE || name == SO_ERROR || name == SO_DOMAIN || name == SO_PROTOCOL ||
           name == SO_ACCEPTCONN || name == SO_PEERCRED;
}

/// Returns: 0 if sockets of this kind have the option, else -errno.
int check_known(const sim_socket& socket, int level, int name) noexcept {
    const int family = socket.local.family();
    if (level == SOL_SOCKET) return name > 0 && name <= last_socket_option ? 0 : -ENOPROTOOPT;
    if (family == AF_UNIX) return -EOPNOTSUPP;
    const bool datagrams = socket.kind == sim_socket_kind::datagram;
    const bool exists = (level == IPPROTO_TCP && !datagrams && name > 0 && name <= 45) ||
                        (level == IPPROTO_UDP && datagrams && name > 0 && name <= UDP_GRO) ||
                        (level == IPPROTO_IP && name > 0 && name <= 54) ||
                        (level == IPPROTO_IPV6 && family == AF_INET6 && name > 0 && name <= 80);
    return exists ? 0 : -ENOPROTOOPT;
}

/// The largest value, for options whose value is checked.
int largest_value(int level, int name) noexcept {
    if (level != IPPROTO_TCP) return 0;
    if (name == TCP_KEEPIDLE || name == TCP_KEEPINTVL) return 32'767;
    return name == TCP_KEEPCNT || name == TCP_SYNCNT ? 127 : 0;
}

bool is_switch(int level, int name) noexcept {
    if (level == IPPROTO_TCP) return name == TCP_NODELAY || name == TCP_CORK;
    if (level == IPPROTO_IPV6) return name == IPV6_V6ONLY;
    if (level != SOL_SOCKET) return false;
    return name == SO_REUSEADDR || name == SO_REUSEPORT || name == SO_KEEPALIVE ||
           name == SO_BROADCAST || name == SO_PASSCRED || name == SO_OOBINLINE;
}

/// The value that reading the option gives after `value` was set.
int kept_value(int level, int name, int value) noexcept {
    if (is_switch(level, name)) return value != 0;
    if (level != SOL_SOCKET) return value;
    const int twice = 2 * std::clamp(value, 0, buffer_limit);
    if (name == SO_RCVBUF) return std::max(twice, 2304);
    return name == SO_SNDBUF ? std::max(twice, 4608) : value;
}

int first_value(const sim_socket& socket, int level, int name) noexcept {
    const bool streams = socket.kind == sim_socket_kind::stream && !is_unix(socket);
    if (level == SOL_SOCKET) {
        if (name == SO_TYPE)
            return socket.kind == sim_socket_kind::datagram ? SOCK_DGRAM : SOCK_STREAM;
        if (name == SO_DOMAIN) return socket.local.family();
        if (name == SO_PROTOCOL)
            return is_unix(socket) ? 0 : streams ? IPPROTO_TCP : IPPROTO_UDP;
        if (name == SO_ACCEPTCONN) return socket.state == sim_socket::phase::listening;
        if (name == SO_RCVBUF) return streams ? 131'072 : buffer_limit;
        if (name == SO_SNDBUF) return streams ? 87'040 : buffer_limit;
    }
    if (level != IPPROTO_TCP) return 0;
    if (name == TCP_KEEPIDLE) return 7200;
    if (name == TCP_KEEPINTVL) return 75;
    if (name == TCP_KEEPCNT) return 9;
    return name == TCP_MAXSEG ? 536 : 0;
}

const sim_option* find_option(const sim_socket& socket, int level, int name) noexcept {
    for (const sim_option& option : socket.options)
        if (option.level == level && option.name == name) return &option;
    return nullptr;
}

}  // namespace

int option_of(const sim_socket& socket, int level, int name) noexcept {
    const sim_option* const set = find_option(socket, level, name);
    if (set == nullptr) return first_value(socket, level, name);
    int value = 0;
    std::memcpy(&value, set->value.data(), std::min(set->value.size(), sizeof value));
    return value;
}

bool resets_on_close(const sim_socket& socket) noexcept {
    const sim_option* option = find_option(socket, SOL_SOCKET, SO_LINGER);
    if (option == nullptr || option->value.size() < sizeof(linger) || is_unix(socket)) return false;
    linger how{};
    std::memcpy(&how, option->value.data(), sizeof how);
    return how.l_onoff != 0 && how.l_linger == 0;
}

int sim_network::set_option(sim_socket& socket, int level, int name, const void* value,
                            socklen_t size) {
    if (const int error = check_known(socket, level, name); error < 0) return error;
    if (level == SOL_SOCKET && is_read_only(name)) return -ENOPROTOOPT;
    if (size < sizeof(int)) return -EINVAL;
    const auto* bytes = static_cast<const std::byte*>(value);
    sim_option fresh{level, name, std::vector<std::byte>(bytes, bytes + size)};
    if (size == sizeof(int)) {
        int number = 0;
        std::memcpy(&number, value, sizeof number);
        const int most = largest_value(level, name);
        if (most != 0 && (number < 1 || number > most)) return -EINVAL;
        if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY && socket.bound) return -EINVAL;
        number = kept_value(level, name, number);
        std::memcpy(fresh.value.data(), &number, sizeof number);
    }
    for (sim_option& option : socket.options)
        if (option.level == level && option.name == name) {
            option = std::move(fresh);
            return 0;
        }
    socket.options.push_back(std::move(fresh));
    return 0;
}

namespace {

/// Unlike getpeername(2), it knows the address after a reset too.
int peer_name(const sim_socket& socket, void* value, socklen_t* size) noexcept {
    if (socket.state != sim_socket::phase::connected) return -ENOTCONN;
    sockaddr_storage name{};
    socklen_t known = sizeof name;
    socket.remote.copy_to(reinterpret_cast<sockaddr*>(&name), &known);
    if (*size > known) return -EINVAL;
    std::memcpy(value, &name, *size);
    return 0;
}

}  // namespace

int sim_network::get_option(sim_socket& socket, int level, int name, void* value, socklen_t* size) {
    if (level == SOL_SOCKET && name == SO_PEERNAME) return peer_name(socket, value, size);
    if (const int error = check_known(socket, level, name); error < 0) return error;
    if (level == SOL_SOCKET && name == SO_PEERCRED) {
        const ucred self{::getpid(), ::getuid(), ::getgid()};  // the only simulated process
        *size = std::min<socklen_t>(*size, sizeof self);
        std::memcpy(value, &self, *size);
        return 0;
    }
    int number = first_value(socket, level, name);
    if (level == SOL_SOCKET && name == SO_ERROR) number = std::exchange(socket.error, 0);
    const sim_option* option = find_option(socket, level, name);
    const void* from = option != nullptr ? static_cast<const void*>(option->value.data()) : &number;
    const std::size_t known = option != nullptr ? option->value.size() : sizeof(number);
    *size = std::min(*size, static_cast<socklen_t>(known));
    if (*size > 0) std::memcpy(value, from, *size);
    return 0;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
