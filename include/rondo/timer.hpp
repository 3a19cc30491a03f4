// SPDX-License-Identifier: MIT
// A callback after a while (`timer`), and a beat to wait for (`interval`). Who only wants to wait once takes sleep.
#pragma once

#include <cstdint>
#include <memory>

#include <rondo/detail/base/function.hpp>
#include <rondo/loop.hpp>
#include <rondo/sleep.hpp>

namespace rondo {
inline namespace v0 {

/// Calls a function once, a while after it was started, unless it is cancelled before. May be started again at any
/// time. What the function throws goes to the loop's exception handler.
/// Thread: its loop's.
/// See:    threading.Timer, loop.call_later.
class RONDO_API timer {
public:
    /// Of the running loop; not started.
    /// Throws: no_running_loop_error.
    timer(detail::time_limit delay, detail::function<void()> fn);
    timer(loop& home, detail::time_limit delay, detail::function<void()> fn);
    /// Cancels it.
    ~timer();
    timer(const timer&) = delete;
    timer& operator=(const timer&) = delete;

    /// Starts it, from now. Throws: invalid_state_error where it runs already.
    void start();
    /// Stops it; nothing happens where it does not run. May be called from inside the function.
    void cancel() noexcept;
    /// Starts it from now, whether it runs or not: for a deadline that every sign of life moves.
    void reset();
    void reset(detail::time_limit delay);

    /// Was it started, and neither cancelled nor due since?
    bool active() const noexcept { return *active_; }
    duration delay() const noexcept { return delay_; }

private:
    loop* home_;
    duration delay_;
    // Both shared with the call that is under way, during which this object may be destroyed.
    std::shared_ptr<detail::function<void()>> fn_;
    std::shared_ptr<bool> active_;
    call_handle call_;
};

/// What an interval does with ticks that passed while nobody waited.
enum class missed_ticks {
    skip,   ///< they are left out; the next one is again at a whole number of periods from the start
    burst,  ///< they come at once, one after the other
    delay,  ///< the next one comes a whole period after the late one
};

/// A beat: ticks at start + period, start + 2 periods, ... It does not drift.
/// Thread: its loop's.
/// See:    tokio::time::interval, whose first tick comes at once.
class RONDO_API interval {
public:
    /// Starts now: the first tick comes after one period.
    /// Throws: std::invalid_argument for a period that is not positive; no_running_loop_error.
    explicit interval(detail::time_limit period, missed_ticks policy = missed_ticks::skip);

    /// Waits for the next tick and gives the number of ticks since the last one: 1, or more where some were skipped.
    /// Cancel: throws at once; the tick is not lost.
    task<std::uint64_t> tick();

    /// When the next tick comes.
    time_point next() const noexcept { return next_; }
    duration period() const noexcept { return period_; }
    /// The next tick comes one period from now.
    void reset();

private:
    std::uint64_t take(time_point now) noexcept;

    duration period_;
    missed_ticks policy_;
    time_point next_;
};

}  // namespace v0
}  // namespace rondo
