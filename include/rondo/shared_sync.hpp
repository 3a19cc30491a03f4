// SPDX-License-Identifier: MIT
// A lock and a semaphore that live in shared memory, for several processes:
//
//     rondo::shared_memory memory(4096);
//     auto& lock = memory.make<rondo::robust_mutex>(0);
//     auto& same = memory.at<rondo::robust_mutex>(0);       // in the other processes
//
// A process may be killed at any moment, even while it holds the lock. The kernel then gives the
// lock to the next waiter, whose guard says owner_died(): the protected data may be half written. A
// holder that has repaired the data calls mark_consistent().
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <utility>

#include <rondo/detail/multiprocess/shared_signal.hpp>
#include <rondo/error.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {

/// The mutex cannot be locked any more: its owner died, and the next owner released it without
/// mark_consistent.
/// See: ENOTRECOVERABLE in pthread_mutex_lock(3).
class RONDO_API not_recoverable_error : public error {
public:
    not_recoverable_error();
    ~not_recoverable_error() override;
};

/// A mutex for threads of several processes. The thread that locks it must release it: hold it for
/// microseconds, and never across an await.
/// Thread: any, also of other processes.
/// See:    pthread_mutexattr_setrobust(3), multiprocessing.Lock.
class RONDO_API robust_mutex {
public:
    /// Holds the lock while it lives.
    class RONDO_API guard {
    public:
        guard() noexcept = default;
        guard(guard&& other) noexcept
            : mutex_(std::exchange(other.mutex_, nullptr)), owner_died_(other.owner_died_) {}
        guard& operator=(guard other) noexcept {
            std::swap(mutex_, other.mutex_);
            std::swap(owner_died_, other.owner_died_);
            return *this;
        }
        ~guard() { unlock(); }

        explicit operator bool() const noexcept { return mutex_ != nullptr; }
        /// True if an earlier owner died while it held the mutex, and mark_consistent was not
        /// called since.
        bool owner_died() const noexcept { return owner_died_; }
        /// Declares that the protected data is valid again. If owner_died() and this is not called,
        /// releasing the guard makes the mutex unusable (not_recoverable_error).
        void mark_consistent() noexcept;
        /// Releases the mutex early; the guard is empty afterwards.
        void unlock() noexcept;

    private:
        friend robust_mutex;
        guard(robust_mutex& mutex, bool owner_died) noexcept
            : mutex_(&mutex), owner_died_(owner_died) {}
        robust_mutex* mutex_ = nullptr;
        bool owner_died_ = false;
    };

    robust_mutex();
    robust_mutex(const robust_mutex&) = delete;
    robust_mutex& operator=(const robust_mutex&) = delete;

    /// Blocks the thread until it has the mutex.
    /// Throws: not_recoverable_error; invalid_state_error if this thread holds the mutex already.
    [[nodiscard]] guard lock();
    /// Returns: an empty guard if another thread holds the mutex.
    /// Throws:  as lock.
    [[nodiscard]] guard try_lock();
    /// Blocks the thread for at most `timeout`.
    /// Returns: an empty guard if `timeout` is over first.
    /// Throws:  as lock.
    [[nodiscard]] guard lock_for(detail::time_limit timeout);

private:
    guard make_guard(int result, const char* verb);
    pthread_mutex_t mutex_;
};

/// A bounded semaphore for several processes. If a process dies, its permits are lost. Use a
/// robust_mutex or an ipc_queue if that is not acceptable.
/// Thread: any, also of other processes.
/// See:    sem_init(3), multiprocessing.BoundedSemaphore.
class RONDO_API shared_semaphore {
public:
    explicit shared_semaphore(std::uint32_t permits) noexcept : bound_(permits), free_(permits) {
        RONDO_ASSERT(detail::is_count(permits),
                     "a semaphore was given a negative number of permits");
    }
    shared_semaphore(const shared_semaphore&) = delete;
    shared_semaphore& operator=(const shared_semaphore&) = delete;

    /// Blocks the thread until it has a permit.
    void blocking_acquire() noexcept { acquire_until(time_point::max()); }
    /// Blocks the thread for at most `timeout`.
    /// Returns: false if `timeout` is over first.
    bool blocking_acquire_for(detail::time_limit timeout) noexcept;
    /// Returns: false if no permit is free.
    bool try_acquire() noexcept;
    /// The task waits until it has a permit.
    /// Cancel: takes no permit.
    task<> acquire();
    /// Gives permits back.
    /// Throws: invalid_state_error if more permits would be free than the semaphore was made with;
    ///         none is given back then.
    void release(std::uint32_t permits = 1);

    /// The number of free permits.
    std::uint32_t available() const noexcept { return free_.load(); }

private:
    bool acquire_until(time_point deadline) noexcept;

    const std::uint32_t bound_;
    std::atomic<std::uint32_t> free_;
    detail::shared_signal changed_;
};

}  // namespace v0
}  // namespace rondo
