// SPDX-License-Identifier: MIT
// What Python's threading module has for threads and C++ lacks: an event, a barrier that can break, and a semaphore that
// knows its bound. They block the calling thread, so they are nothing for tasks: those have event, barrier and
// bounded_semaphore (sync.hpp), and between the two worlds stands bridge.hpp.
//
// C++20's std::barrier, std::latch and std::counting_semaphore have no timeouts that fit (barrier), no reset, no abort and
// no bound at run time; a mutex, a condition variable and a number have, at a price that only matters where threads meet
// a million times a second.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>

#include <rondo/config.hpp>
#include <rondo/detail/base/function.hpp>
#include <rondo/error.hpp>

namespace rondo {
inline namespace v0 {

/// A flag that threads wait for. It stays set until it is cleared.
/// Thread: any.
/// See:    threading.Event.
class RONDO_API thread_event {
public:
    thread_event() = default;
    thread_event(const thread_event&) = delete;
    thread_event& operator=(const thread_event&) = delete;

    /// Everybody who waits goes on, also where it is cleared again before they run.
    void set() noexcept;
    void clear() noexcept;
    bool is_set() const noexcept;
    /// Blocks until it is set.
    void wait() noexcept;
    /// Blocks until it is set, or `timeout` is over: false then.
    bool wait_for(detail::time_limit timeout) noexcept;

private:
    bool wait_until(time_point deadline) noexcept;

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::size_t sets_ = 0;  // how often it was set: one who waits compares
    bool set_ = false;
};

/// A point where a number of threads wait for each other, again and again. Somebody who does not come within his timeout,
/// an action that throws and `abort` break it: everybody who waits, and everybody who comes, then gets
/// broken_barrier_error, until `reset`.
/// Thread: any.
/// See:    threading.Barrier.
class RONDO_API thread_barrier {
public:
    /// `action` is called by the one who comes last, before anybody goes on; it must not use the barrier. `timeout` holds
    /// where `wait` is given none.
    explicit thread_barrier(std::size_t parties, detail::function<void()> action = {},
                            detail::time_limit timeout = duration::max());
    thread_barrier(const thread_barrier&) = delete;
    thread_barrier& operator=(const thread_barrier&) = delete;

    /// Blocks until all have come; gives in which place this one came, beginning with 0.
    /// Throws: broken_barrier_error where it is broken, or breaks meanwhile, or is reset meanwhile, also by the end of
    ///         one's own timeout; what the action throws, at the one who called it.
    std::size_t wait() { return wait_for(timeout_); }
    std::size_t wait_for(detail::time_limit timeout);

    /// Everybody who waits gets broken_barrier_error; the barrier is as new.
    void reset() noexcept;
    /// Breaks it.
    void abort() noexcept;

    std::size_t parties() const noexcept { return parties_; }
    /// How many wait now.
    std::size_t waiting() const noexcept;
    bool broken() const noexcept;

private:
    struct waiter;
    std::size_t complete();
    void end_all(bool passed) noexcept;
    void break_it() noexcept;

    const std::size_t parties_;
    detail::function<void()> action_;
    const duration timeout_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    waiter* waiters_ = nullptr;
    std::size_t waiting_ = 0;
    bool broken_ = false;
};

/// A number of permits; giving back more than were there at first is an error.
/// Thread: any.
/// See:    threading.BoundedSemaphore.
class RONDO_API thread_bounded_semaphore {
public:
    explicit thread_bounded_semaphore(std::size_t permits) noexcept
        : bound_(permits), free_(permits) {
        RONDO_ASSERT(detail::is_count(permits), "a semaphore was given a negative number of permits");
    }
    thread_bounded_semaphore(const thread_bounded_semaphore&) = delete;
    thread_bounded_semaphore& operator=(const thread_bounded_semaphore&) = delete;

    /// Blocks until there is a permit.
    void acquire() noexcept;
    bool try_acquire() noexcept;
    /// Blocks until there is one, or `timeout` is over: false then.
    bool try_acquire_for(detail::time_limit timeout) noexcept;
    /// Throws: invalid_state_error where more would be free than there were at first; nothing is given back then.
    void release(std::size_t permits = 1);

    std::size_t available() const noexcept;

private:
    const std::size_t bound_;
    mutable std::mutex mutex_;
    std::condition_variable released_;
    std::size_t free_;
};

namespace detail {

/// `changed` is waited for until `holds()`, or the deadline has come; false then. time_point::max() is for ever.
template <class Condition>
bool wait_until(std::condition_variable& changed, std::unique_lock<std::mutex>& lock,
                time_point deadline, Condition holds) noexcept {
    if (deadline != time_point::max()) return changed.wait_until(lock, deadline, holds);
    changed.wait(lock, holds);
    return true;
}

/// The deadline of a timeout that begins now, on the clock that threads use.
inline time_point thread_deadline(duration timeout) noexcept {
    return saturating_add(std::chrono::steady_clock::now(), timeout);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
