// SPDX-License-Identifier: MIT
// Connecting over TCP, to an address or to a host name.
//
// To connect to a host with several addresses, connect_tcp follows RFC 8305 ("happy eyeballs"). One
// thing differs: the system's resolver gives both families at once. The addresses are tried in its
// order, the families taking turns. Each attempt begins 250 ms after the one before, or as soon as
// one has failed. The first connection wins.
//
// See dns.hpp for lookups, and unix.hpp for connect_unix.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include <rondo/net.hpp>

namespace rondo {
inline namespace v0 {

/// Options of connect_tcp.
struct connect_options {
    detail::time_limit timeout = duration::max();  ///< for everything, the lookup included
    /// Time from one attempt until the next address is tried beside it.
    detail::time_limit attempt_delay = std::chrono::milliseconds(250);
    endpoint local{};      ///< the address to connect from; port 0: the kernel chooses
    bool no_delay = true;  ///< TCP_NODELAY
    /// A peer that has been silent for this time is probed, again after each such time
    /// (TCP_KEEPIDLE, TCP_KEEPINTVL; whole seconds, rounded up). Zero: never.
    detail::time_limit keep_alive{};
    std::size_t send_buffer = 0;                   ///< SO_SNDBUF in bytes; 0: the system's default
    std::size_t receive_buffer = 0;                ///< SO_RCVBUF in bytes; 0: the system's default
    address_family family = address_family::none;  ///< only this family; none: both
};
static_assert(std::is_trivially_destructible_v<connect_options>);

/// Connects to one address.
/// Throws: std::system_error: "connect 127.0.0.1:7007: Connection refused"; if the local address
///         cannot be bound, "bind 10.0.0.1:0: Cannot assign requested address"; timeout_error.
/// Cancel: gives the attempt up; a connection that came about anyway is returned.
/// See:    connect(2), asyncio.open_connection.
RONDO_API task<tcp_stream> connect_tcp(endpoint where, connect_options options = {});

/// Connects to a host. Up to 32 of its addresses are tried, overlapping in time, until one answers.
/// Throws: std::system_error: "connect localhost:7007: Connection refused", with the address of
///         each attempt if they failed differently; timeout_error: "connect localhost:7007: timed
///         out after 3s".
/// Cancel: gives the attempts up; a connection that came about anyway is returned.
/// See:    RFC 8305, asyncio.create_connection(happy_eyeballs_delay).
RONDO_API task<tcp_stream> connect_tcp(std::string host, std::uint16_t port,
                                       connect_options options = {});

/// Connects to the first of several addresses that answers, as to those of a host; `name` stands
/// for them in errors. For addresses that were looked up before, to choose among them.
/// Throws: as above; rondo::error if there is no address.
/// Cancel: as above.
RONDO_API task<tcp_stream> connect_tcp(std::vector<endpoint> addresses, std::string name,
                                       connect_options options = {});

}  // namespace v0
}  // namespace rondo
