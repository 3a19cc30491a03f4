// SPDX-License-Identifier: MIT
// See workers.hpp.
#include "kernel/readiness/workers.hpp"

#include <pthread.h>
#include <signal.h>

#include <algorithm>

#include "kernel/readiness/file_calls.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

workers::workers(event_descriptor& wake)
    : wake_(wake), threads_max_(std::clamp(std::thread::hardware_concurrency(), 2u, 8u)) {
    threads_.reserve(threads_max_);
}

workers::~workers() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        while (!queued_.empty()) queued_.pop();
    }
    changed_.notify_all();
    for (std::thread& one : threads_) one.join();
}

bool workers::add(pending& one) noexcept {
    std::unique_lock lock(mutex_);
    const bool needs_more = idle_ <= waiting_ && threads_.size() < threads_max_;
    if (needs_more && !start_one() && threads_.empty()) return false;
    one.started = false;
    queued_.append(one);
    ++waiting_;
    lock.unlock();
    changed_.notify_one();
    return true;
}

/// Called with the lock held. A thread inherits the signal mask of the one that starts it.
bool workers::start_one() noexcept {
    sigset_t all, before;
    ::sigfillset(&all);
    if (::pthread_sigmask(SIG_SETMASK, &all, &before) != 0) return false;
    bool started = true;
    try {
        threads_.emplace_back([this] { run(); });
    } catch (...) {
        started = false;
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return started;
}

bool workers::remove(pending& one) noexcept {
    const std::lock_guard lock(mutex_);
    if (one.started) return false;
    queued_.remove(one);
    --waiting_;
    return true;
}

void workers::take(pending_fifo& out) noexcept {
    const std::lock_guard lock(mutex_);
    out.take(ended_);
    any_.store(false, std::memory_order_relaxed);
}

void workers::run() noexcept {
    ::pthread_setname_np(::pthread_self(), "rondo-files");
    std::unique_lock lock(mutex_);
    for (;;) {
        ++idle_;
        changed_.wait(lock, [this] { return stopping_ || !queued_.empty(); });
        --idle_;
        if (stopping_) return;
        pending& one = queued_.pop();
        --waiting_;
        one.started = true;
        lock.unlock();
        const std::int32_t result = call_elsewhere(one);
        lock.lock();
        one.result = result;
        ended_.append(one);
        if (!any_.exchange(true, std::memory_order_release)) wake_.write();
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
