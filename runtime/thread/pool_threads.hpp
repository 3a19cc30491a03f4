// SPDX-License-Identifier: MIT
// The parts of thread pools: a queue of jobs, and threads that block all signals.
#pragma once

#include <pthread.h>
#include <signal.h>

#include <rondo/detail/thread/pool_job.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

using job_queue = intrusive_list<pool_job, &pool_job::links>;

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
