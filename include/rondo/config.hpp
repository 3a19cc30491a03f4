// SPDX-License-Identifier: MIT
// Basics that every other header includes: the version, the export macro, the units of time.
#pragma once

#if __cplusplus < 202002L
#error "rondo needs C++20: compile with -std=c++20"
#define RONDO_STOP_HERE "-std=c++20 is missing"  // no such file: stops before thousands of errors
#include RONDO_STOP_HERE
#endif

#include <chrono>
#include <cstdint>
#include <limits>
#include <type_traits>

#define RONDO_VERSION "0.1.0"

/// Exports a declaration from the shared library; everything else is hidden.
#define RONDO_API __attribute__((visibility("default")))

namespace rondo {
inline namespace v0 {

/// A span of time, in nanoseconds. Every function and option that takes one also takes any
/// std::chrono duration (by detail::time_limit).
using duration = std::chrono::nanoseconds;

/// A moment on the monotonic clock of the running loop.
/// The real clock is CLOCK_MONOTONIC; on the simulator it is virtual time.
using time_point = std::chrono::time_point<std::chrono::steady_clock, duration>;

/// `from + by`, saturated if the sum overflows: `sleep(hours::max())` lasts forever.
constexpr time_point saturating_add(time_point from, duration by) noexcept {
    duration::rep ticks = 0;
    if (__builtin_add_overflow(from.time_since_epoch().count(), by.count(), &ticks))
        return by.count() > 0 ? time_point::max() : time_point::min();
    return time_point(duration(ticks));
}

namespace detail {

/// Nanoseconds of a whole number of ticks, rounded up.
template <class Period, class Rep>
constexpr duration whole_nanoseconds(Rep ticks) noexcept {
    // Unsigned: clang checks products of signed ones by a call that libgcc lacks.
    __extension__ using wide = unsigned __int128;
    constexpr wide scale = static_cast<wide>(Period::num) * 1'000'000'000;
    constexpr wide ends = static_cast<wide>(std::numeric_limits<std::int64_t>::max());
    const bool negative = ticks < Rep{0};
    const wide size = negative ? wide{0} - static_cast<wide>(ticks) : static_cast<wide>(ticks);
    if (size > ends * static_cast<wide>(Period::den) / scale)
        return negative ? duration::min() : duration::max();
    const wide scaled = size * scale;
    const wide whole = scaled / static_cast<wide>(Period::den);
    const auto count = static_cast<std::int64_t>(whole);
    const bool rounds = whole * static_cast<wide>(Period::den) != scaled;
    return duration(negative ? -count : count + (rounds ? 1 : 0));
}

/// Nanoseconds of a floating-point number of ticks, rounded up. NaN is zero.
template <class Period, class Rep>
constexpr duration rounded_nanoseconds(Rep ticks) noexcept {
    if (ticks != ticks) return duration::zero();
    const long double exact = static_cast<long double>(ticks) * Period::num * 1e9L / Period::den;
    if (exact >= 0x1p63L) return duration::max();
    if (exact < -0x1p63L) return duration::min();
    const auto count = static_cast<std::int64_t>(exact);
    return duration(static_cast<long double>(count) < exact ? count + 1 : count);
}

/// Any duration in nanoseconds, rounded up and saturated: hours::max() is forever, and
/// seconds(-10'000'000'000) has passed.
template <class Rep, class Period>
constexpr duration to_duration(const std::chrono::duration<Rep, Period>& d) noexcept {
    if constexpr (std::is_same_v<std::chrono::duration<Rep, Period>, duration>)
        return d;
    else if constexpr (std::is_integral_v<Rep>)
        return whole_nanoseconds<Period>(d.count());
    else
        return rounded_nanoseconds<Period>(d.count());
}

/// A duration as a parameter or an option. It converts from any other duration by to_duration,
/// because the conversion of std::chrono wraps around.
class time_limit : public duration {
public:
    constexpr time_limit() noexcept : duration(duration::zero()) {}
    template <class Rep, class Period>
    constexpr time_limit(const std::chrono::duration<Rep, Period>& d) noexcept
        : duration(to_duration(d)) {}
};

}  // namespace detail

}  // namespace v0
}  // namespace rondo
