// SPDX-License-Identifier: MIT
// A lock and a semaphore that live in shared memory, for several processes:
//
//     rondo::shared_memory memory(4096);
//     auto& lock = memory.make<rondo::robust_mutex>(0);       // the others: memory.at<rondo::robust_mutex>(0)
//
// A process may be killed at any moment, also while it holds the lock. The kernel knows who holds it and gives it to the
// next one, who is told: what the lock protects may be half done. Whoever can repair it says `mark_consistent`.
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

/// One that was let go without being repaired after its owner had died: nobody can have it any more.
class RONDO_API not_recoverable_error : public error {
public:
    not_recoverable_error();
    ~not_recoverable_error() override;
};

/// A mutex for threads of several processes. It belongs to the thread that has it: hold it for a few microseconds, and
/// never across an await.
/// Thread: any, also of other processes. See: pthread_mutexattr_setrobust(3), multiprocessing.Lock.
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
        /// The one before died while he had it, and nobody has said mark_consistent since.
        bool owner_died() const noexcept { return owner_died_; }
        /// What it protects is in order again. Without it the mutex is lost when this guard goes.
        void mark_consistent() noexcept;
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

    /// Blocks until it has it.
    /// Throws: not_recoverable_error; invalid_state_error where this thread has it already.
    [[nodiscard]] guard lock();
    /// An empty guard where somebody has it.
    [[nodiscard]] guard try_lock();
    /// An empty guard where `timeout` is over first.
    [[nodiscard]] guard lock_for(detail::time_limit timeout);

private:
    guard judge(int result, const char* verb);
    pthread_mutex_t mutex_;
};

/// A number of permits for several processes. One that a process had when it died is lost: where that must not be, use
/// the lock, or an ipc_queue.
/// Thread: any, also of other processes. See: sem_init(3), multiprocessing.BoundedSemaphore.
class RONDO_API shared_semaphore {
public:
    explicit shared_semaphore(std::uint32_t permits) noexcept : bound_(permits), free_(permits) {
        RONDO_ASSERT(detail::is_count(permits), "a semaphore was given a negative number of permits");
    }
    shared_semaphore(const shared_semaphore&) = delete;
    shared_semaphore& operator=(const shared_semaphore&) = delete;

    /// Blocks the thread until there is a permit.
    void blocking_acquire() noexcept { acquire_until(time_point::max()); }
    /// False where `timeout` is over first.
    bool blocking_acquire_for(detail::time_limit timeout) noexcept;
    bool try_acquire() noexcept;
    /// The task waits until there is one.
    /// Cancel: takes none.
    task<> acquire();
    /// Throws: invalid_state_error where more would be free than there were at first; nothing is given back then.
    void release(std::uint32_t permits = 1);

    std::uint32_t available() const noexcept { return free_.load(); }

private:
    bool acquire_until(time_point deadline) noexcept;

    const std::uint32_t bound_;
    std::atomic<std::uint32_t> free_;
    detail::shared_signal changed_;
};

}  // namespace v0
}  // namespace rondo
