// SPDX-License-Identifier: MIT
// Names to addresses, and connecting to either.
//
// The system's own resolver is asked (getaddrinfo, on a thread), since it alone knows /etc/hosts,
// nsswitch and whatever else an administrator has set up; a resolver of our own on the ring would
// be faster and often wrong. It cannot be interrupted: a lookup that is given up goes on by itself,
// and its answer is dropped. So it has threads of its own, at most four for each loop, and neither
// the loop's end nor the program's waits for one that hangs.
//
// A host with several addresses is connected to as RFC 8305 ("happy eyeballs") says, but that the
// system's resolver gives both families at once: the addresses are tried in its order, the families
// taking turns, each 250 ms after the one before or as soon as one has failed; the first connection
// wins.
#pragma once

#include <chrono>
#include <cstddef>
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
/// address is itself, at once. Those of one family alone, if that is asked for. Tasks that ask for
/// the same at the same time share one lookup; nothing is remembered afterwards.
/// Throws: std::system_error: "resolve nowhere.example: Name or service not known".
/// Cancel: leaves at once; the lookup goes on by itself, even past the end of the loop.
/// Thread: its loop's. See: getaddrinfo(3), asyncio loop.getaddrinfo.
RONDO_API task<std::vector<endpoint>> resolve(std::string host, std::uint16_t port,
                                              address_family family = address_family::none);

/// How to connect.
struct connect_options {
    detail::time_limit timeout = duration::max();  ///< for everything, the lookup included
    /// Until the next address is tried beside the ones before.
    detail::time_limit attempt_delay = std::chrono::milliseconds(250);
    endpoint local{};      ///< the address to connect from; port 0 is the kernel's choice
    bool no_delay = true;  ///< TCP_NODELAY
    /// Idle so long, the peer is asked whether it is still there, and again after each such time
    /// (TCP_KEEPIDLE, TCP_KEEPINTVL; whole seconds, rounded up). Zero: never.
    detail::time_limit keep_alive{};
    std::size_t send_buffer = 0;                   ///< SO_SNDBUF; 0: the system's choice
    std::size_t receive_buffer = 0;                ///< SO_RCVBUF; likewise
    address_family family = address_family::none;  ///< of this one alone; none: of both
};
static_assert(std::is_trivially_destructible_v<connect_options>);

/// Connects to one address.
/// Throws: std::system_error: "connect 127.0.0.1:7007: Connection refused", or "bind 10.0.0.1:0:
///         Cannot assign requested address" of the local one; timeout_error.
/// Cancel: the attempt is given up; a connection that came about anyway is returned.
/// See:    connect(2), asyncio.open_connection.
RONDO_API task<tcp_stream> connect_tcp(endpoint where, connect_options options = {});

/// Connects to a host: its addresses, up to 32 of them, are tried one beside the other until one
/// answers.
/// Throws: std::system_error: "connect localhost:7007: Connection refused", with the address of
///         each attempt where they failed differently; timeout_error: "connect localhost:7007:
///         timed out after 3s".
/// Cancel: as above.
/// See:    RFC 8305, asyncio.create_connection(happy_eyeballs_delay).
RONDO_API task<tcp_stream> connect_tcp(std::string host, std::uint16_t port,
                                       connect_options options = {});

}  // namespace v0
}  // namespace rondo
