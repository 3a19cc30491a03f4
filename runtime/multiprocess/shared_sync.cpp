// SPDX-License-Identifier: MIT
// robust_mutex, on a robust pthread mutex, and shared_semaphore, on a shared_signal.
#include <rondo/shared_sync.hpp>

#include <cerrno>

#include <rondo/thread_sync.hpp>

extern "C" {
[[gnu::weak]] void __tsan_mutex_pre_lock(void* mutex, unsigned flags);
[[gnu::weak]] void __tsan_mutex_post_lock(void* mutex, unsigned flags, int recursion);
}

namespace rondo {
inline namespace v0 {

namespace {

/// pthread_mutex_clocklock. The thread sanitizer of clang 14 does not intercept it, so this
/// function tells the sanitizer.
int lock_until(pthread_mutex_t& mutex, const timespec& until) noexcept {
    constexpr unsigned try_lock = 1u << 4, try_lock_failed = 1u << 5;
    if (__tsan_mutex_pre_lock != nullptr) __tsan_mutex_pre_lock(&mutex, try_lock);
    const int result = ::pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &until);
    if (__tsan_mutex_post_lock != nullptr) {
        const bool has_it = result == 0 || result == EOWNERDEAD;
        __tsan_mutex_post_lock(&mutex, has_it ? try_lock : try_lock | try_lock_failed, 0);
    }
    return result;
}

}  // namespace

// -- robust_mutex ---------------------------------------------------------------------------------

not_recoverable_error::not_recoverable_error()
    : error("a robust_mutex is lost: its owner died, and the next owner released it without "
            "mark_consistent") {}
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

robust_mutex::guard robust_mutex::make_guard(int result, const char* verb) {
    switch (result) {
        case 0: return guard(*this, false);
        case EOWNERDEAD: return guard(*this, true);
        case EBUSY:
        case ETIMEDOUT: return guard();
        case ENOTRECOVERABLE: throw not_recoverable_error();
        case EDEADLK:
            throw invalid_state_error("this thread locks a robust_mutex that it already holds");
        default: detail::throw_system_error(result, verb, "a robust_mutex");
    }
}

robust_mutex::guard robust_mutex::lock() {
    return make_guard(::pthread_mutex_lock(&mutex_), "lock");
}

// Not with pthread_mutex_trylock: if the mutex is not recoverable, glibc leaves it locked by the
// thread that tried.
robust_mutex::guard robust_mutex::try_lock() { return lock_for(duration::min()); }

robust_mutex::guard robust_mutex::lock_for(detail::time_limit timeout) {
    const timespec until = detail::as_timespec(detail::thread_deadline(timeout).time_since_epoch());
    return make_guard(lock_until(mutex_, until), "lock");
}

void robust_mutex::guard::mark_consistent() noexcept {
    if (mutex_ != nullptr && std::exchange(owner_died_, false))
        ::pthread_mutex_consistent(&mutex_->mutex_);
}

void robust_mutex::guard::unlock() noexcept {
    if (mutex_ == nullptr) return;
    const int error = ::pthread_mutex_unlock(&std::exchange(mutex_, nullptr)->mutex_);
    RONDO_ASSERT(error == 0, "a robust_mutex is released by a thread that does not hold it");
}

// -- shared_semaphore -----------------------------------------------------------------------------

bool shared_semaphore::try_acquire() noexcept {
    std::uint32_t free = free_.load();
    while (free != 0)
        if (free_.compare_exchange_weak(free, free - 1)) return true;
    return false;
}

bool shared_semaphore::acquire_until(time_point deadline) noexcept {
    for (bool in_time = true;;) {
        const std::uint32_t seen = changed_.now();
        if (try_acquire()) return true;
        if (!in_time) return false;
        in_time = changed_.wait(seen, deadline);
    }
}

bool shared_semaphore::blocking_acquire_for(detail::time_limit timeout) noexcept {
    return acquire_until(detail::thread_deadline(timeout));
}

task<> shared_semaphore::acquire() {
    co_await detail::checkpoint();
    for (;;) {
        const std::uint32_t seen = changed_.now();
        if (try_acquire()) co_return;
        co_await detail::changed(changed_, seen);
    }
}

void shared_semaphore::release(std::uint32_t permits) {
    std::uint32_t free = free_.load();
    do {
        if (permits > bound_ - free)
            throw invalid_state_error(
                "a shared_semaphore was given back more permits than it was made with");
    } while (!free_.compare_exchange_weak(free, free + permits));
    changed_.bump();
}

}  // namespace v0
}  // namespace rondo
