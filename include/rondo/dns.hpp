// SPDX-License-Identifier: MIT
// Names to addresses, and connecting to either.
//
// The system's own resolver is asked (getaddrinfo, on a thread), since it alone knows /etc/hosts,
// nsswitch and whatever else an administrator has set up; a resolver of our own on the ring would
// be faster and often wrong. It cannot be interrupted: a lookup that is given up goes on by itself,
// and its answer is dropped.
#pragma once

#include <cstdint>
#include <string>
#include <system_error>
#include <type_traits>
#include <vector>

#include <rondo/net.hpp>

namespace rondo {
inline namespace v0 {

/// The category of a failed lookup; its values are the resolver's EAI_*. EAI_SYSTEM does not occur:
/// that is an errno.
RONDO_API const std::error_category& resolver_category() noexcept;

/// The addresses of `host`, in the order in which they should be tried; at least one. A literal
/// address is itself, at once.
/// Throws: std::system_error: "resolve nowhere.example: Name or service not known".
/// Cancel: leaves at once; the lookup goes on by itself.
/// Thread: its loop's. See: getaddrinfo(3), asyncio loop.getaddrinfo.
RONDO_API task<std::vector<endpoint>> resolve(std::string host, std::uint16_t port);

/// How to connect.
struct connect_options {
    duration timeout = duration::max();  ///< for everything, the lookup included
    bool no_delay = true;                ///< TCP_NODELAY
};
static_assert(std::is_trivially_destructible_v<connect_options>);

/// Connects to one address.
/// Throws: std::system_error: "connect 127.0.0.1:7007: Connection refused"; timeout_error.
/// Cancel: the attempt is given up; a connection that came about anyway is returned.
/// See:    connect(2), asyncio.open_connection.
RONDO_API task<tcp_stream> connect_tcp(endpoint where, connect_options options = {});

/// Connects to a host: its addresses are tried in their order until one answers.
/// Throws: std::system_error: "connect localhost:7007: Connection refused", with the address of
///         each attempt where they failed differently; timeout_error: "connect localhost:7007:
///         timed out after 3s".
RONDO_API task<tcp_stream> connect_tcp(std::string host, std::uint16_t port,
                                       connect_options options = {});

}  // namespace v0
}  // namespace rondo
