// SPDX-License-Identifier: MIT
// How a loop reaches the operating system: by io_uring, or by epoll, plain system calls and a few
// threads. The second way is for places that deny io_uring, as containers do by default. Programs
// behave the same on both.
//
// The environment chooses for loops that leave it to rondo: RONDO_KERNEL=ring, readiness or
// automatic. docs/containers.md has more.
#pragma once

#include <cstdint>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {

/// loop_options::kernel.
enum class kernel_choice : std::uint8_t {
    /// RONDO_KERNEL, if it is set. Otherwise the ring; if the system denies io_uring, readiness. Of
    /// that, one line on standard error tells, once in a process; see loop_options::quiet_fallback.
    automatic,
    ring,       ///< io_uring; where that is denied, the loop throws uring_unavailable
    readiness,  ///< epoll, plain system calls, and a few threads for files
};

}  // namespace v0
}  // namespace rondo
