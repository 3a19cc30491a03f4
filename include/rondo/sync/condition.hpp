// SPDX-License-Identifier: MIT
// Waiting, with a mutex let go, until somebody says that what it guards has changed.
//
// A wait is one suspension. Who is notified, and who is cancelled, is moved from the line of the
// condition to the line of the mutex, in that moment and by its own node; it runs when it holds the
// mutex again. So a cancelled waiter has the mutex when `cancelled` leaves the wait, no second
// request disturbs it on the way (that part is shielded), a notify_all wakes nobody only to make
// him wait again, and nothing is allocated.
//
// Nobody is woken without cause, but the predicate form is right even so: between the notification
// and the mutex others may come.
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

/// Belongs to one mutex, which must outlive it; must itself outlive whoever waits, until they have
/// gone on.
/// Thread: its loop's.
/// See:    asyncio.Condition.
class RONDO_API condition {
public:
    explicit condition(mutex& m) noexcept : mutex_(&m) {}
    ~condition() {
        RONDO_ASSERT(leaving_ == 0,
                     "a condition was destroyed before those whom it notified have gone on");
    }

    /// `co_await c.wait(guard);` unlocks, waits to be notified, and has locked again when it goes
    /// on. `guard` is empty meanwhile.
    /// Cancel: locks again, however long that takes, before it throws; one that was notified and
    ///         has not run since gives the notification to the next in line.
    detail::waiting_for<detail::condition_wait, condition, mutex::guard*> wait(
        mutex::guard& guard) noexcept;

    /// Waits until `predicate()`, which is asked with the mutex locked, says yes; not at all where
    /// it does at once.
    /// Throws: what `predicate` throws, with the mutex locked.
    /// Cancel: as wait.
    /// See:    asyncio Condition.wait_for.
    template <class F>
        requires std::is_invocable_r_v<bool, F&>
    auto wait(mutex::guard& guard, F&& predicate) {
        return detail::guarded<F>(
            detail::wait_until<std::decay_t<F>>(*this, guard, std::forward<F>(predicate)));
    }

    /// Notifies the `count` that wait longest, or all if fewer wait; returns how many. Best done
    /// with the mutex locked.
    std::size_t notify(std::size_t count = 1) noexcept;
    /// Notifies everybody who waits now; returns how many.
    std::size_t notify_all() noexcept { return notify(line_.size()); }

    /// How many wait and have not been notified.
    std::size_t waiting() const noexcept { return line_.size(); }
    /// "a condition of a mutex held by task \"writer\" and 2 wait".
    std::string describe() const;

private:
    friend class detail::condition_wait;
    std::string state() const;

    wait_queue line_;
    mutex* mutex_;
    std::size_t leaving_ = 0;  // notified or cancelled, and not yet gone on
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
    static const wait_kind locking_again_;
    static const char* object(const leaf_wait& wait);
    static const char* mutex_object(const leaf_wait& wait);
    static void stop(leaf_wait& wait) noexcept;
    static void notify(wait_node& node, shared_core*) noexcept;
    void lock_again() noexcept;

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
