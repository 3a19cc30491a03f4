// SPDX-License-Identifier: MIT
// Calls that all kinds of sockets need.
#pragma once

#include <sys/socket.h>

#include <string_view>

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

}  // namespace detail
}  // namespace v0
}  // namespace rondo
