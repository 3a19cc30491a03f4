// SPDX-License-Identifier: MIT
// The thread pool of a loop, and calls on other pools. to_thread.hpp has the call on the loop's
// pool; it is included here until 0.2.
//
// Each loop has a pool of its own, made on first use and joined when the loop ends. One pool for
// the whole process was not chosen: it would outlive loops that its jobs belong to, and loops that
// share nothing else would share its lock.
#pragma once

#include <utility>

#include <rondo/thread_pool.hpp>
#include <rondo/to_thread.hpp>

namespace rondo {
inline namespace v0 {

/// to_thread on a pool of your own, which must outlive the await. If the pool is full, its
/// rejection policy applies, except that `block` suspends the task instead of the thread. On the
/// simulator the call is made as by to_thread.
/// Throws: also pool_full_error, closed_error, broken_pool_error; future_cancelled if the pool
///         discarded the call, or was shut down with cancel_queued before the call began.
/// See:    asyncio loop.run_in_executor.
template <class F, class... Args>
    requires detail::can_be_called_elsewhere<F, Args...>
auto run_in_executor(thread_pool& pool, F&& fn, Args&&... args) {
    constexpr bool hazard =
        detail::owning_closure_hazard<F> || (detail::owning_argument_hazard<Args> || ...);
    return thread_call<hazard, detail::kept<F, Args...>>(
        pool.core().get(), std::forward<F>(fn), std::forward<Args>(args)...);
}

template <class... Call>
    requires(!detail::can_be_called_elsewhere<Call...>)
auto run_in_executor(thread_pool&, Call&&...) {
    return detail::refuse_thread_call<Call...>();
}

/// Shuts the running loop's pool down and waits for its threads. Queued jobs still run; a later
/// to_thread throws closed_error. The end of the loop does the same.
/// Throws: deadlock_error in a task that a job of this pool waits for, or whose loop runs on a
///         thread of the pool.
/// Cancel: leaves at once; the pool still ends. wait_for(1s, shutdown_default_executor()) bounds
///         the wait.
/// See:    asyncio loop.shutdown_default_executor.
RONDO_API task<> shutdown_default_executor();

}  // namespace v0
}  // namespace rondo
