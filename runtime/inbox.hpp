// SPDX-License-Identifier: MIT
// What other threads post to a loop: a vector that is swapped out under a lock, and a wake-up only where the loop
// sleeps. An intrusive lock-free list with nodes made by one thread and freed by another costs three times as much a
// post (performance.md, point 7), and its order is reversed.
#pragma once

#include <atomic>
#include <cstddef>
#include <mutex>
#include <vector>

#include <rondo/config.hpp>

#include "kernel.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

class inbox {
public:
    struct post {
        void (*run)(void*);
        void* word;
    };

    explicit inbox(kernel& kernel) noexcept : kernel_(&kernel) {}

    /// False where the loop has ended. Any thread.
    bool put(post p) {
        std::lock_guard lock(mutex_);
        if (kernel_ == nullptr) return false;
        posts_.push_back(p);
        if (posts_.size() == 1) {
            pending_.store(true, std::memory_order_relaxed);
            // under the lock: the kernel must not go while it is woken
            if (sleeping_.exchange(false)) kernel_->wake();
            if (embedded_) kernel_->signal_event();
        }
        return true;
    }

    // -- the loop's side ----------------------------------------------------------------------------------------------
    bool pending() const noexcept { return pending_.load(std::memory_order_relaxed); }

    /// From now on a post wakes the kernel. False where there is a post already: do not sleep.
    bool begin_sleep() noexcept {
        std::lock_guard lock(mutex_);
        if (!posts_.empty()) return false;
        sleeping_.store(true, std::memory_order_relaxed);
        return true;
    }
    void end_sleep() noexcept { sleeping_.store(false, std::memory_order_relaxed); }

    void embed() noexcept {
        std::lock_guard lock(mutex_);
        embedded_ = true;
    }

    /// Swaps what was posted with `out`, which is empty.
    void take(std::vector<post>& out) noexcept {
        std::lock_guard lock(mutex_);
        out.swap(posts_);
        pending_.store(false, std::memory_order_relaxed);
    }

    /// Refuses posts from now on.
    void close() noexcept {
        std::lock_guard lock(mutex_);
        kernel_ = nullptr;
    }

private:
    std::mutex mutex_;
    std::vector<post> posts_;
    kernel* kernel_;
    bool embedded_ = false;
    std::atomic<bool> pending_{false};
    std::atomic<bool> sleeping_{false};
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
