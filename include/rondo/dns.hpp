// SPDX-License-Identifier: MIT
// Looking up the addresses of a host name.
//
// `resolve` asks the system's resolver (getaddrinfo, on a thread), which alone knows /etc/hosts,
// nsswitch and the rest of the system's configuration. A resolver of our own on the ring would be
// faster and often wrong. getaddrinfo cannot be interrupted: a lookup that was given up goes on,
// and its answer is dropped. So lookups run on threads of their own, at most four per loop. Neither
// the end of the loop nor the end of the program waits for a lookup that hangs.
#pragma once

#include <cstdint>
#include <string>
#include <system_error>
#include <vector>

#include <rondo/connect.hpp>  // until 0.2, when connect_tcp is only there
#include <rondo/endpoint.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {

/// Category of a failed lookup; its values are the resolver's EAI_*. EAI_SYSTEM does not occur: the
/// errno is thrown instead.
/// See: getaddrinfo(3), gai_strerror(3).
RONDO_API const std::error_category& resolver_category() noexcept;

/// Looks up the addresses of `host`: at least one, in the order in which to try them; with `family`
/// only those of that family. A literal address is returned at once. Tasks that look up one name at
/// the same time share one lookup; answers are not cached.
/// Throws: std::system_error: "resolve nowhere.example: Name or service not known". It is thrown
///         too for the short and hexadecimal addresses of inet_aton(3), such as "127.1", which
///         `endpoint` refuses as well.
/// Cancel: ends the await at once; the lookup goes on, even past the end of the loop.
/// Thread: its loop's thread.
/// See:    getaddrinfo(3), asyncio loop.getaddrinfo.
RONDO_API task<std::vector<endpoint>> resolve(std::string host, std::uint16_t port,
                                              address_family family = address_family::none);

}  // namespace v0
}  // namespace rondo
