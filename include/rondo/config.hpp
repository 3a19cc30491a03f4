// SPDX-License-Identifier: MIT
// What every other header needs: the version, the export macro, the units of time.
#pragma once

#if __cplusplus < 202002L
#error "rondo needs C++20: compile with -std=c++20"
#define RONDO_STOP_HERE "-std=c++20 is missing"  // there is no such file: thousands of errors less
#include RONDO_STOP_HERE
#endif

#include <chrono>

#define RONDO_VERSION "0.1.0"

/// Marks what the shared library exports; everything else is hidden.
#define RONDO_API __attribute__((visibility("default")))

namespace rondo {
inline namespace v0 {

/// A span of time, in nanoseconds; every std::chrono duration converts to it without loss.
using duration = std::chrono::nanoseconds;

/// A moment on the monotonic clock of the running loop (CLOCK_MONOTONIC; virtual time on the simulator).
using time_point = std::chrono::time_point<std::chrono::steady_clock, duration>;

/// `from + by`, held at the ends of time where the sum would overflow: `sleep(hours::max())` is for ever.
constexpr time_point saturating_add(time_point from, duration by) noexcept {
    duration::rep ticks = 0;
    if (__builtin_add_overflow(from.time_since_epoch().count(), by.count(), &ticks))
        return by.count() > 0 ? time_point::max() : time_point::min();
    return time_point(duration(ticks));
}

}  // namespace v0
}  // namespace rondo
