// SPDX-License-Identifier: MIT
// Waiting until a descriptor can be read or written, for libraries that hand out a socket and do
// the reading and writing themselves.
//
// The caller keeps owning the number, and keeps it open until the wait has ended. For callbacks
// instead of tasks see loop::add_reader.
#pragma once

#include <cstdint>
#include <type_traits>

#include <rondo/operation.hpp>

namespace rondo {
inline namespace v0 {

/// Result of a poll(2) on a descriptor.
struct readiness {
    bool readable = false;  ///< POLLIN
    bool writable = false;  ///< POLLOUT
    bool error = false;     ///< POLLERR
    bool hung_up = false;   ///< POLLHUP
};
static_assert(std::is_trivially_destructible_v<readiness>);

/// Waits until reading `fd` would not block: bytes, the end, a connection or an error is there.
/// Regular files are always ready.
/// Throws: std::system_error: "poll descriptor 7: Bad file descriptor".
/// Cancel: ends the wait. A readiness that arrived nevertheless is returned, and the next wait
///         throws.
/// Thread: its loop's.
/// See:    poll(2), io_uring_prep_poll_add(3), asyncio loop.add_reader.
RONDO_API operation<readiness> wait_readable(int fd);
RONDO_API operation<readiness> wait_readable(const descriptor& fd);
/// The same for writing.
RONDO_API operation<readiness> wait_writable(int fd);
RONDO_API operation<readiness> wait_writable(const descriptor& fd);

}  // namespace v0
}  // namespace rondo
