// SPDX-License-Identifier: MIT
// Posts from other threads to a loop: a vector that is swapped out under a lock, and a wake-up only
// if the loop sleeps. An intrusive lock-free list, with nodes made by one thread and freed by
// another, costs three times as much for each post (performance.md, point 7), and its order is
// reversed.
#pragma once

#include <sched.h>

#include <atomic>
#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

#include <rondo/loop.hpp>

#include "kernel/kernel.hpp"

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

    /// False if the loop has ended. Any thread.
    bool put(post p) {
        news first;
        {
            std::lock_guard lock(mutex_);
            if (kernel_ == nullptr) return false;
            posts_.push_back(p);
            first = announce();
        }
        tell(first);
        return true;
    }

    /// The same without an allocation: links `p` itself in.
    bool put(preallocated_post& p) noexcept {
        news first;
        {
            std::lock_guard lock(mutex_);
            if (kernel_ == nullptr) return false;
            preallocated_.append(p);
            first = announce();
        }
        tell(first);
        return true;
    }

    // -- the loop's side -------------------------------------------------------------------------
    bool pending() const noexcept { return pending_.load(std::memory_order_relaxed); }

    /// From now on a post wakes the kernel. False if there is a post already: the loop must not
    /// sleep.
    // Without the lock: each side writes its own flag and then reads the other's, all in one total
    // order. At least one sees the other's: either the loop sees the post, or the poster sees the
    // loop.
    bool begin_sleep() noexcept {
        if (pending()) return false;
        sleeping_.store(true);
        if (!pending_.load()) return true;
        sleeping_.store(false, std::memory_order_relaxed);
        return false;
    }
    void end_sleep() noexcept { sleeping_.store(false, std::memory_order_relaxed); }

    void embed() noexcept {
        std::lock_guard lock(mutex_);
        embedded_ = true;
    }

    /// Swaps the posts with `out`, and moves the preallocated ones to `after`, which run after
    /// those. Both must be empty.
    void take(std::vector<post>& out, preallocated_posts& after) noexcept {
        std::lock_guard lock(mutex_);
        out.swap(posts_);
        pending_.store(false, std::memory_order_relaxed);
        after.take(preallocated_);
    }

    /// Refuses posts from now on. When this returns, no poster uses the kernel any more.
    void close() noexcept {
        {
            std::lock_guard lock(mutex_);
            kernel_ = nullptr;
        }
        while (telling_.load(std::memory_order_acquire) != 0) ::sched_yield();
    }

private:
    /// The wake-up that the first post causes; `to` is null if none is needed.
    struct news {
        kernel* to = nullptr;
        bool wake = false;
        bool signal = false;
    };

    // Called with the lock held.
    news announce() noexcept {
        if (pending()) return {};
        pending_.store(true);
        const news first{kernel_, sleeping_.exchange(false), embedded_};
        if (!first.wake && !first.signal) return {};
        telling_.fetch_add(1, std::memory_order_relaxed);
        return first;
    }

    // Called without the lock: the loop that wakes needs the lock at once, and would sleep again on
    // it. `close` keeps the kernel alive until this has returned.
    void tell(const news& first) noexcept {
        if (first.to == nullptr) return;
        if (first.wake) first.to->wake();
        if (first.signal) first.to->signal_event();
        telling_.fetch_sub(1, std::memory_order_release);
    }

    std::mutex mutex_;
    std::vector<post> posts_;
    preallocated_posts preallocated_;
    kernel* kernel_;
    bool embedded_ = false;
    std::atomic<bool> pending_{false};
    std::atomic<bool> sleeping_{false};
    std::atomic<unsigned> telling_{0};
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
