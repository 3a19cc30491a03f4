// SPDX-License-Identifier: MIT
// Event, barrier and semaphore for threads: one mutex and one condition variable each.
#include <rondo/thread_sync.hpp>

#include <utility>

namespace rondo {
inline namespace v0 {

using lock = std::unique_lock<std::mutex>;
using guard = std::lock_guard<std::mutex>;

// -- thread_event ---------------------------------------------------------------------------------

void thread_event::set() noexcept {
    const guard held(mutex_);
    set_ = true;
    ++sets_;
    changed_.notify_all();
}

void thread_event::clear() noexcept {
    const guard held(mutex_);
    set_ = false;
}

bool thread_event::is_set() const noexcept {
    const guard held(mutex_);
    return set_;
}

void thread_event::wait() noexcept { wait_until(time_point::max()); }

bool thread_event::wait_for(detail::time_limit timeout) noexcept {
    return wait_until(detail::thread_deadline(timeout));
}

bool thread_event::wait_until(time_point deadline) noexcept {
    lock held(mutex_);
    const std::size_t before = sets_;
    return detail::wait_until(changed_, held, deadline, [&] { return set_ || sets_ != before; });
}

// -- thread_barrier -------------------------------------------------------------------------------

/// A waiting thread, on its own stack. The result is stored in the waiter, because the barrier may
/// be in its next round when the thread runs.
struct thread_barrier::waiter {
    waiter* next;
    enum { waits, passed, failed } end = waits;
};

thread_barrier::thread_barrier(std::size_t parties, detail::function<void()> action,
                               detail::time_limit timeout)
    : parties_(parties), action_(std::move(action)), timeout_(timeout) {
    RONDO_ASSERT(parties > 0, "a thread_barrier needs at least one participant");
    RONDO_ASSERT(detail::is_count(parties),
                 "a thread_barrier was given a negative number of parties");
}

std::size_t thread_barrier::wait_for(detail::time_limit timeout) {
    lock held(mutex_);
    if (broken_) throw broken_barrier_error();
    if (waiting_ + 1 == parties_) return complete();
    const std::size_t place = waiting_++;
    waiter self{waiters_};
    waiters_ = &self;
    const auto ended = [&] { return self.end != waiter::waits; };
    if (!detail::wait_until(changed_, held, detail::thread_deadline(timeout), ended)) break_it();
    if (self.end == waiter::failed) throw broken_barrier_error();
    return place;
}

/// The last thread has arrived.
std::size_t thread_barrier::complete() {
    const std::size_t place = waiting_;
    try {
        if (action_) action_();
    } catch (...) {
        break_it();
        throw;
    }
    end_all(true);
    return place;
}

void thread_barrier::end_all(bool passed) noexcept {
    for (; waiters_ != nullptr; waiters_ = waiters_->next)
        waiters_->end = passed ? waiter::passed : waiter::failed;
    waiting_ = 0;
    changed_.notify_all();
}

void thread_barrier::break_it() noexcept {
    broken_ = true;
    end_all(false);
}

void thread_barrier::reset() noexcept {
    const guard held(mutex_);
    broken_ = false;
    end_all(false);
}

void thread_barrier::abort() noexcept {
    const guard held(mutex_);
    break_it();
}

std::size_t thread_barrier::waiting() const noexcept {
    const guard held(mutex_);
    return waiting_;
}

bool thread_barrier::broken() const noexcept {
    const guard held(mutex_);
    return broken_;
}

// -- thread_bounded_semaphore ---------------------------------------------------------------------

void thread_bounded_semaphore::acquire() noexcept { try_acquire_for(duration::max()); }

bool thread_bounded_semaphore::try_acquire() noexcept {
    const guard held(mutex_);
    if (free_ == 0) return false;
    --free_;
    return true;
}

bool thread_bounded_semaphore::try_acquire_for(detail::time_limit timeout) noexcept {
    lock held(mutex_);
    if (free_ == 0 && !detail::wait_until(released_, held, detail::thread_deadline(timeout),
                                          [&] { return free_ != 0; }))
        return false;
    --free_;
    return true;
}

void thread_bounded_semaphore::release(std::size_t permits) {
    const guard held(mutex_);
    if (permits > bound_ - free_)
        throw invalid_state_error("release of more permits than the semaphore's bound allows");
    free_ += permits;
    for (; permits > 0; --permits) released_.notify_one();
}

std::size_t thread_bounded_semaphore::available() const noexcept {
    const guard held(mutex_);
    return free_;
}

}  // namespace v0
}  // namespace rondo
