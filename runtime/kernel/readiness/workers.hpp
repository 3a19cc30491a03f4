// SPDX-License-Identifier: MIT
// Threads for calls that may block on a disk. They are started when they are needed, at most
// `threads_max` for a kernel, and end with it. All signals are blocked on them.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

#include "kernel/event.hpp"
#include "kernel/readiness/pending.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

class workers {
public:
    /// `wake` is written when results have come.
    explicit workers(event_descriptor& wake);
    /// Drops what is queued, and waits for what runs.
    ~workers();
    workers(const workers&) = delete;
    workers& operator=(const workers&) = delete;

    // -- on the loop's thread
    /// Queues an entry. Until it is taken or removed, only the threads touch it.
    /// Returns: false if no thread can be started and none runs.
    bool add(pending& one) noexcept;
    /// Removes a queued entry. Returns: false if it runs, or has run.
    bool remove(pending& one) noexcept;
    /// Moves the entries that have run to `out`, which must be empty.
    void take(pending_fifo& out) noexcept;
    /// Whether `take` would give something.
    bool any() const noexcept { return any_.load(std::memory_order_acquire); }

private:
    bool start_one() noexcept;
    void run() noexcept;

    event_descriptor& wake_;
    const std::size_t threads_max_;
    std::vector<std::thread> threads_;
    std::mutex mutex_;  // of all below
    std::condition_variable changed_;
    pending_list queued_;
    pending_fifo ended_;
    std::size_t idle_ = 0;
    std::size_t waiting_ = 0;  // queued
    bool stopping_ = false;
    std::atomic<bool> any_{false};
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
