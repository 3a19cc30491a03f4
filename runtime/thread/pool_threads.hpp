// SPDX-License-Identifier: MIT
// What pools of threads are made of: a queue of jobs, and threads that no signal disturbs.
#pragma once

#include <pthread.h>
#include <signal.h>

#include <rondo/detail/thread/pool_job.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// FIFO of jobs, doubly linked in a ring, so that one in the middle is taken back in one step.
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

/// Every signal that is sent to the process, but for those that a thread brings upon itself: blocked, they would kill
/// without the handler (a crash reporter's, a sanitizer's) being asked.
inline sigset_t signals_to_block() noexcept {
    sigset_t all;
    ::sigfillset(&all);
    for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT})
        ::sigdelset(&all, own);
    return all;
}

/// A thread that is born with those blocked. False where there can be none.
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
