// SPDX-License-Identifier: MIT
// A callback after a delay (`timer`), and a periodic tick (`interval`). To wait once, use sleep.
#pragma once

#include <cstdint>
#include <memory>

#include <rondo/detail/base/function.hpp>
#include <rondo/loop.hpp>
#include <rondo/sleep.hpp>

namespace rondo {
inline namespace v0 {

/// Calls a function once, a delay after start(), unless it is cancelled before. May be started
/// again at any time. Exceptions of the function go to the loop's exception handler.
/// Thread: its loop's.
/// See:    threading.Timer, asyncio loop.call_later.
class RONDO_API timer {
public:
    /// A timer of the running loop; not started.
    /// Throws: no_running_loop_error.
    timer(detail::time_limit delay, detail::function<void()> fn);
    timer(loop& home, detail::time_limit delay, detail::function<void()> fn);
    /// Cancels it.
    ~timer();
    timer(const timer&) = delete;
    timer& operator=(const timer&) = delete;

    /// Starts it: the function is called `delay` from now.
    /// Throws: invalid_state_error if it is active already; closed_error; std::bad_alloc.
    void start();
    /// Stops it. Does nothing if it is not active. May be called inside the function.
    void cancel() noexcept;
    /// Starts it again from now, whether it is active or not: for a deadline that every activity
    /// moves.
    void reset();
    void reset(detail::time_limit delay);

    /// True from start() until it is cancelled or due.
    bool active() const noexcept { return *active_; }
    duration delay() const noexcept { return delay_; }

private:
    loop* home_;
    duration delay_;
    // Both are shared with the current call, during which this object may be destroyed.
    std::shared_ptr<detail::function<void()>> fn_;
    std::shared_ptr<bool> active_;
    call_handle call_;
};

/// Policy of an interval for ticks that passed while no task waited.
enum class missed_ticks {
    skip,   ///< drop them; the next tick is again at a whole number of periods from the start
    burst,  ///< deliver them at once, one after the other
    delay,  ///< deliver one late; the next tick comes a whole period after it
};

class interval;

namespace detail {

/// The awaiter of interval::tick: a sleep until the next tick.
class RONDO_API tick_awaiter : public sleep_awaiter {
public:
    explicit tick_awaiter(interval& of) noexcept;
    std::uint64_t await_resume();

private:
    interval* interval_;
};

class [[nodiscard("a tick is not taken until it is awaited")]] ticking : only_in_tasks {
public:
    explicit ticking(interval & of) noexcept : interval_(&of) {}
    tick_awaiter rondo_awaiter() const noexcept { return tick_awaiter(*interval_); }

private:
    interval* interval_;
};

}  // namespace detail

/// A periodic tick at start + period, start + 2 periods, ... It does not drift.
/// Thread: its loop's.
/// See:    tokio::time::interval, which however ticks first at once.
class RONDO_API interval {
public:
    /// Starts now; the first tick comes after one period.
    /// Throws: std::invalid_argument for a period that is not positive; no_running_loop_error.
    explicit interval(detail::time_limit period, missed_ticks policy = missed_ticks::skip);

    /// Waits for the next tick. Returns the number of ticks since the last one: 1, or more if some
    /// were skipped.
    /// Cancel: throws at once; the tick is not lost.
    detail::ticking tick() noexcept { return detail::ticking(*this); }

    /// The time of the next tick.
    time_point next() const noexcept { return next_; }
    duration period() const noexcept { return period_; }
    /// Moves the next tick to one period from now.
    void reset();

private:
    friend class detail::tick_awaiter;
    std::uint64_t take(time_point now) noexcept;

    duration period_;
    missed_ticks policy_;
    time_point next_;
};

}  // namespace v0
}  // namespace rondo
