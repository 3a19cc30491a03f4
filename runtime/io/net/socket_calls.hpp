// SPDX-License-Identifier: MIT
// Calls that all kinds of sockets need: options, addresses, and connecting.
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <string_view>

#include <rondo/detail/io/stream_io.hpp>
#include <rondo/detail/loop/descriptor.hpp>
#include <rondo/endpoint.hpp>
#include <rondo/error.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

inline void check(int result, const char* verb, std::string_view object) {
    if (result < 0) throw_system_error(-result, verb, object);
}

/// Asks for a socket's address (`call` is local_name, remote_name or the like) as an endpoint.
/// Returns: 0, or -errno.
inline int ask_name(const descriptor& socket,
                    int (*call)(const descriptor&, sockaddr*, socklen_t*), endpoint& answer) {
    sockaddr_storage name{};
    socklen_t size = sizeof name;
    const int error = call(socket, reinterpret_cast<sockaddr*>(&name), &size);
    if (error >= 0) answer = endpoint::from_system(&name, size);
    return error;
}

/// Throws: std::system_error.
inline endpoint local_endpoint(const descriptor& socket) {
    endpoint answer;
    check(ask_name(socket, local_name, answer), "getsockname", "");
    return answer;
}
inline endpoint remote_endpoint(const descriptor& socket, std::string_view object) {
    endpoint answer;
    check(ask_name(socket, remote_name, answer), "getpeername", object);
    return answer;
}

/// Options of a socket that was made. Throws: std::system_error.
inline void set_option_or_throw(stream_state& socket, int level, int name, int value) {
    check(set_option(socket.fd, level, name, value), "setsockopt", socket.name());
}
inline int get_option_or_throw(stream_state& socket, int level, int name) {
    int value = 0;
    socklen_t size = sizeof value;
    check(get_option(socket.fd, level, name, &value, &size), "getsockopt", socket.name());
    return value;
}

/// Options of a socket that is being made: sets them until one fails.
class option_setter {
public:
    explicit option_setter(const descriptor& socket) noexcept : socket_(socket) {}
    void set(bool wanted, int level, int name, int value) noexcept {
        if (wanted && error_ == 0) error_ = std::min(set_option(socket_, level, name, value), 0);
    }
    /// 0, or -errno.
    int error() const noexcept { return error_; }

private:
    const descriptor& socket_;
    int error_ = 0;
};

/// Connects `socket` to `where`, which is borrowed until the await has ended.
inline operation<void> connect_socket(const descriptor& socket, const endpoint& where) {
    static constexpr auto kind = operation_kind("connect");
    request ask;
    ask.code = opcode::connect;
    ask.address = address_of(where.data());
    ask.offset = where.size();
    return {kind, socket.record(), ask, [](operation_state&) {}};
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
