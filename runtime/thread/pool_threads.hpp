// SPDX-License-Identifier: MIT
// The parts of thread pools: a queue of jobs, and threads that block all signals.
#pragma once

#include <pthread.h>
#include <signal.h>

#include <rondo/detail/thread/pool_job.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// FIFO of jobs, doubly linked in a ring, so that any job can be removed in one step.
class job_queue {
public:
    job_queue() noexcept { head_.next = head_.previous = &head_; }

    bool empty() const noexcept { return head_.next == &head_; }
    void append(pool_job& job) noexcept {
        job.previous = head_.previous;
        job.next = &head_;
        head_.previous->next = &job;
        head_.previous = &job;
    }
    void remove(pool_job& job) noexcept {
        job.previous->next = job.next;
        job.next->previous = job.previous;
        job.next = job.previous = nullptr;
    }
    pool_job& pop() noexcept {
        pool_job& job = *head_.next;
        remove(job);
        return job;
    }

private:
    pool_job head_{nullptr};
};

/// Every signal except those that a thread raises itself by a fault. If those were blocked, they
/// would kill the process without calling the handler of a crash reporter or a sanitizer.
inline sigset_t signals_to_block() noexcept {
    sigset_t all;
    ::sigfillset(&all);
    for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT})
        ::sigdelset(&all, own);
    return all;
}

/// Starts a thread with these signals blocked. False if the system cannot start one.
inline bool start_pool_thread(pthread_t& thread, void* (*main)(void*), void* argument) noexcept {
    const sigset_t blocked = signals_to_block();
    sigset_t before;
    ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
    const int failed = ::pthread_create(&thread, nullptr, main, argument);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return failed == 0;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
