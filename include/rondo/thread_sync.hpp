// SPDX-License-Identifier: MIT
// Synchronization for threads that Python's threading module has and C++ lacks: an event, a barrier
// that can break, and a semaphore with a bound. They block the calling thread, so do not use them
// in tasks. For tasks there are event, barrier and bounded_semaphore (sync.hpp); between threads
// and tasks use bridge.hpp.
//
// C++20's std::barrier has no timeouts, and std::barrier, std::latch and std::counting_semaphore
// have no reset, no abort and no bound at run time. A mutex, a condition variable and a counter
// have all of that. The cost only matters if threads meet a million times a second.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>

#include <rondo/config.hpp>
#include <rondo/detail/base/function.hpp>
#include <rondo/error.hpp>

namespace rondo {
inline namespace v0 {

/// A flag that threads can wait for. It stays set until it is cleared.
/// Thread: any.
/// See:    threading.Event.
class RONDO_API thread_event {
public:
    thread_event() = default;
    thread_event(const thread_event&) = delete;
    thread_event& operator=(const thread_event&) = delete;

    /// Sets the event: every waiting thread returns, even if the event is cleared before that
    /// thread runs.
    void set() noexcept;
    void clear() noexcept;
    bool is_set() const noexcept;
    /// Blocks until it is set.
    void wait() noexcept;
    /// Blocks until it is set; returns false if `timeout` passes first.
    bool wait_for(detail::time_limit timeout) noexcept;

private:
    bool wait_until(time_point deadline) noexcept;

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::size_t sets_ = 0;  // number of set() calls: a waiter compares
    bool set_ = false;
};

/// A meeting point for a fixed number of threads, round after round. It breaks if a thread's
/// timeout passes, if the action throws, and by `abort`. Then waiting and later threads get
/// broken_barrier_error, until `reset`.
/// Thread: any.
/// See:    threading.Barrier.
class RONDO_API thread_barrier {
public:
    /// The last thread to arrive calls `action`, before any thread returns; it must not use the
    /// barrier. `timeout` is the default for `wait` without a timeout.
    explicit thread_barrier(std::size_t parties, detail::function<void()> action = {},
                            detail::time_limit timeout = duration::max());
    thread_barrier(const thread_barrier&) = delete;
    thread_barrier& operator=(const thread_barrier&) = delete;

    /// Blocks until all threads have arrived. Returns this thread's position in the order of
    /// arrival, from 0.
    /// Throws: broken_barrier_error if the barrier is broken, or breaks or is reset during the
    ///         wait, also by this thread's own timeout. An exception of the action is thrown on the
    ///         thread that called it.
    std::size_t wait() { return wait_for(timeout_); }
    std::size_t wait_for(detail::time_limit timeout);

    /// Makes waiting threads throw broken_barrier_error; afterwards the barrier is as new.
    void reset() noexcept;
    /// Breaks the barrier: waiting and later threads get broken_barrier_error.
    void abort() noexcept;

    std::size_t parties() const noexcept { return parties_; }
    /// The number of waiting threads.
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

/// A semaphore with a bound: releasing more permits than it had at first is an error.
/// Thread: any.
/// See:    threading.BoundedSemaphore.
class RONDO_API thread_bounded_semaphore {
public:
    explicit thread_bounded_semaphore(std::size_t permits) noexcept
        : bound_(permits), free_(permits) {
        RONDO_ASSERT(detail::is_count(permits),
                     "a semaphore was given a negative number of permits");
    }
    thread_bounded_semaphore(const thread_bounded_semaphore&) = delete;
    thread_bounded_semaphore& operator=(const thread_bounded_semaphore&) = delete;

    /// Blocks until it has a permit.
    void acquire() noexcept;
    bool try_acquire() noexcept;
    /// Blocks until it has a permit; returns false if `timeout` passes first.
    bool try_acquire_for(detail::time_limit timeout) noexcept;
    /// Throws: invalid_state_error if more would be free than at first; none is released then.
    void release(std::size_t permits = 1);

    std::size_t available() const noexcept;

private:
    const std::size_t bound_;
    mutable std::mutex mutex_;
    std::condition_variable released_;
    std::size_t free_;
};

namespace detail {

/// Waits on `changed` until `holds()` is true; returns false if the deadline passes first.
/// time_point::max() means no limit.
template <class Condition>
bool wait_until(std::condition_variable& changed, std::unique_lock<std::mutex>& lock,
                time_point deadline, Condition holds) noexcept {
    if (deadline != time_point::max()) return changed.wait_until(lock, deadline, holds);
    changed.wait(lock, holds);
    return true;
}

/// The deadline of a timeout that starts now, on the clock that threads use.
inline time_point thread_deadline(duration timeout) noexcept {
    return saturating_add(std::chrono::steady_clock::now(), timeout);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
