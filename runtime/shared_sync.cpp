// SPDX-License-Identifier: MIT
// The lock on pthreads' robust mutex, the semaphore on a futex.
#include <rondo/shared_sync.hpp>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <algorithm>
#include <climits>
#include <stop_token>

#include <rondo/executor.hpp>
#include <rondo/thread_sync.hpp>

namespace rondo {
inline namespace v0 {

namespace {

timespec as_timespec(duration since_epoch) noexcept {
    const auto ns = since_epoch.count();
    return {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
}

}  // namespace

// -- robust_mutex -----------------------------------------------------------------------------------------------------

not_recoverable_error::not_recoverable_error()
    : error("the lock is lost: its owner died, and the next one let it go without mark_consistent") {}
not_recoverable_error::~not_recoverable_error() = default;

robust_mutex::robust_mutex() {
    pthread_mutexattr_t attributes;
    ::pthread_mutexattr_init(&attributes);
    ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    ::pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
    const int error = ::pthread_mutex_init(&mutex_, &attributes);
    ::pthread_mutexattr_destroy(&attributes);
    if (error != 0) detail::throw_system_error(error, "make", "a robust_mutex");
}

robust_mutex::guard robust_mutex::judge(int result, const char* verb) {
    switch (result) {
        case 0: return guard(*this, false);
        case EOWNERDEAD: return guard(*this, true);
        case EBUSY:
        case ETIMEDOUT: return guard();
        case ENOTRECOVERABLE: throw not_recoverable_error();
        case EDEADLK:
            throw invalid_state_error("this thread locks a robust_mutex that it has already");
        default: detail::throw_system_error(result, verb, "a robust_mutex");
    }
}

robust_mutex::guard robust_mutex::lock() { return judge(::pthread_mutex_lock(&mutex_), "lock"); }

// Not by pthread_mutex_trylock: glibc's keeps one that is not recoverable for the thread that has tried.
robust_mutex::guard robust_mutex::try_lock() { return lock_for(duration::min()); }

robust_mutex::guard robust_mutex::lock_for(duration timeout) {
    const time_point deadline = detail::thread_deadline(timeout);
    const timespec until = as_timespec(std::max(deadline.time_since_epoch(), duration::zero()));
    return judge(::pthread_mutex_clocklock(&mutex_, CLOCK_MONOTONIC, &until), "lock");
}

void robust_mutex::guard::mark_consistent() noexcept {
    if (mutex_ != nullptr && std::exchange(owner_died_, false))
        ::pthread_mutex_consistent(&mutex_->mutex_);
}

void robust_mutex::guard::unlock() noexcept {
    if (mutex_ != nullptr) ::pthread_mutex_unlock(&std::exchange(mutex_, nullptr)->mutex_);
}

// -- waiting ----------------------------------------------------------------------------------------------------------

void detail::shared_signal::bump() noexcept {
    changes_.fetch_add(1);
    ::syscall(SYS_futex, &changes_, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

bool detail::shared_signal::wait(std::uint32_t seen, time_point deadline) noexcept {
    timespec until{};
    const bool for_ever = deadline == time_point::max();
    if (!for_ever) until = as_timespec(std::max(deadline.time_since_epoch(), duration::zero()));
    // FUTEX_WAIT_BITSET takes a point of the monotonic clock, FUTEX_WAIT a span.
    const long done = ::syscall(SYS_futex, &changes_, FUTEX_WAIT_BITSET, seen,
                                for_ever ? nullptr : &until, nullptr, FUTEX_BITSET_MATCH_ANY);
    return done == 0 || errno != ETIMEDOUT;
}

// -- shared_semaphore -------------------------------------------------------------------------------------------------

bool shared_semaphore::try_acquire() noexcept {
    std::uint32_t free = free_.load();
    while (free != 0)
        if (free_.compare_exchange_weak(free, free - 1)) return true;
    return false;
}

bool shared_semaphore::acquire_until(time_point deadline, const std::stop_token& stop) noexcept {
    for (bool in_time = true;;) {
        const std::uint32_t seen = changed_.now();
        if (try_acquire()) return true;
        if (!in_time || stop.stop_requested()) return false;
        in_time = changed_.wait(seen, deadline);
    }
}

bool shared_semaphore::blocking_acquire_for(duration timeout) noexcept {
    return acquire_until(detail::thread_deadline(timeout), {});
}

task<> shared_semaphore::acquire() {
    co_await to_thread([this](const std::stop_token& stop) {
        const std::stop_callback told(stop, [this] { changed_.bump(); });
        if (!acquire_until(time_point::max(), stop)) throw cancelled();
    });
}

void shared_semaphore::release(std::uint32_t permits) {
    std::uint32_t free = free_.load();
    do {
        if (permits > bound_ - free)
            throw invalid_state_error("more permits were given back to a shared_semaphore than it has");
    } while (!free_.compare_exchange_weak(free, free + permits));
    changed_.bump();
}

}  // namespace v0
}  // namespace rondo
