// SPDX-License-Identifier: MIT
// Waiting until a descriptor can be read or written, for those who do the reading and writing
// themselves: libraries that hand out a socket and say what they want of it.
//
// The number stays its owner's, who keeps it open until the wait has ended. Callbacks instead of
// tasks: loop::add_reader.
#pragma once

#include <cstdint>
#include <type_traits>

#include <rondo/operation.hpp>

namespace rondo {
inline namespace v0 {

/// What poll(2) says of a descriptor.
struct readiness {
    bool readable = false;
    bool writable = false;
    bool error = false;
    bool hung_up = false;
};
static_assert(std::is_trivially_destructible_v<readiness>);

/// Waits until reading `fd` would not block: there are bytes, the end, a connection or an error.
/// Regular files are always ready.
/// Throws: std::system_error: "poll descriptor 7: Bad file descriptor".
/// Cancel: leaves; a readiness that was there anyway is returned, and the next wait throws.
/// Thread: its loop's. See: poll(2), io_uring_prep_poll_add(3), asyncio loop.add_reader.
RONDO_API operation<readiness> wait_readable(int fd);
RONDO_API operation<readiness> wait_readable(const descriptor& fd);
/// The same with writing.
RONDO_API operation<readiness> wait_writable(int fd);
RONDO_API operation<readiness> wait_writable(const descriptor& fd);

}  // namespace v0
}  // namespace rondo
