// SPDX-License-Identifier: MIT
// A condition variable: waits, with a mutex released, until another task notifies that the guarded
// state has changed.
//
// A wait is one suspension. When a waiter is notified or cancelled, its node moves at that moment
// from the condition's line to the mutex's line. The waiter runs when it holds the mutex again. So
// a cancelled waiter holds the mutex when `cancelled` leaves the wait; that part is shielded, so a
// second request cannot disturb it. notify_all wakes no task only to make it wait again. Nothing is
// allocated.
//
// There are no spurious wake-ups, but use the predicate form anyway: between the notification and
// the mutex other tasks may run and change the state.
#pragma once

#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>

#include <rondo/detail/coroutine/guarded.hpp>
#include <rondo/sync/mutex.hpp>

namespace rondo {
inline namespace v0 {

class condition;

namespace detail {
class condition_wait;
template <class F>
task<> wait_until(condition& c, mutex::guard& guard, F predicate);
}  // namespace detail

/// Belongs to one mutex, which must outlive it. The condition must outlive its waiters until they
/// have resumed.
/// Thread: its loop's.
/// See:    asyncio.Condition.
class RONDO_API condition {
public:
    explicit condition(mutex& m) noexcept : mutex_(&m) {}
    ~condition() {
        RONDO_ASSERT(leaving_ == 0,
                     "a condition was destroyed before the tasks that it notified have resumed");
    }

    /// `co_await c.wait(guard);` unlocks, waits for a notification, and locks again before it
    /// returns. `guard` is empty during the wait.
    /// Cancel: locks again, however long that takes, then throws. A waiter that was notified and
    ///         has not run since passes the notification to the next waiter.
    detail::waiting_for<detail::condition_wait, condition, mutex::guard*> wait(
        mutex::guard& guard) noexcept;

    /// Waits until `predicate()` returns true; it is called with the mutex locked. Does not wait if
    /// it is true at once.
    /// Throws: what `predicate` throws, with the mutex locked.
    /// Cancel: the same as the other `wait`.
    /// See:    asyncio Condition.wait_for.
    template <class F>
        requires std::is_invocable_r_v<bool, F&>
    auto wait(mutex::guard& guard, F&& predicate) {
        return detail::guarded<F>(
            detail::wait_until<std::decay_t<F>>(*this, guard, std::forward<F>(predicate)));
    }

    /// Notifies the `count` longest waiters, or all if fewer wait; returns how many. Call it with
    /// the mutex locked if you can.
    std::size_t notify(std::size_t count = 1) noexcept;
    /// Notifies all current waiters; returns how many.
    std::size_t notify_all() noexcept { return notify(line_.size()); }

    /// The number of waiters that have not been notified.
    std::size_t waiting() const noexcept { return line_.size(); }
    /// A text for diagnostics: "a condition of a mutex held by task \"writer\" and 2 wait".
    std::string describe() const;

private:
    friend class detail::condition_wait;
    std::string state() const;

    wait_queue line_;
    mutex* mutex_;
    std::size_t leaving_ = 0;  // waiters that were notified or cancelled, and have not resumed
};

namespace detail {

/// The awaiter of condition::wait.
class RONDO_API condition_wait : public queue_wait {
public:
    condition_wait(condition& c, mutex::guard* guard) noexcept;
    ~condition_wait() {
        if ((state & leaving) != 0) --condition_->leaving_;
    }
    bool await_ready() noexcept { return is_cancelled() && cancel_at_start(); }
    void await_suspend(std::coroutine_handle<> frame, location at = location::current()) noexcept;
    void await_resume();

private:
    enum : std::uint32_t { leaving = first_free_bit, notified = first_free_bit << 1 };
    static const wait_kind kind_;
    static const wait_kind relock_kind_;
    static const char* object(const leaf_wait& wait);
    static const char* mutex_object(const leaf_wait& wait);
    static void stop(leaf_wait& wait) noexcept;
    static void notify(wait_node& node, shared_core*) noexcept;
    void relock() noexcept;

    condition* condition_;
    mutex::guard* guard_;
};

template <class F>
task<> wait_until(condition& c, mutex::guard& guard, F predicate) {
    bool fulfilled = !cancel_requested() && predicate();
    while (!fulfilled) {
        co_await c.wait(guard);
        fulfilled = predicate();
    }
}

}  // namespace detail

inline detail::waiting_for<detail::condition_wait, condition, mutex::guard*> condition::wait(
    mutex::guard& guard) noexcept {
    return {*this, &guard};
}

}  // namespace v0
}  // namespace rondo
