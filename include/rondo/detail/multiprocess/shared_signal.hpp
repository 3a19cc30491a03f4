// SPDX-License-Identifier: MIT
// A word in shared memory that processes wait for. Threads wait in a futex. Tasks wait through one
// watcher thread of their loop, which waits for all their words (futex_waitv(2), Linux 5.16).
//
// The word only says that something has changed. Each waiter then checks its condition again, on
// its own thread. So nothing is handed over that a cancellation or a killed process could lose.
//
// The choice not taken is one thread of the pool per waiting task: a few tasks that wait for an
// empty queue would block every to_thread of the program.
#pragma once

#include <rondo/config.hpp>

#include <time.h>

#include <atomic>
#include <coroutine>
#include <cstdint>

#include <rondo/detail/coroutine/shared_core.hpp>
#include <rondo/detail/thread/posted_wait.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// A change counter in shared memory. A process bumps it after each change that others wait for.
class RONDO_API shared_signal {
public:
    std::uint32_t now() const noexcept { return changes_.load(); }
    /// Wakes all waiters: a single one might be killed before it acts.
    void bump() noexcept;
    /// Blocks the thread while the counter is `seen`. May return early.
    /// Returns: false if the deadline has passed.
    bool wait(std::uint32_t seen, time_point deadline) noexcept;

private:
    friend class shared_watcher;

    std::atomic<std::uint32_t> changes_{0};
    // At least the number of waiters: a killed one is never subtracted. If 0, bump makes no system
    // call.
    std::atomic<std::uint32_t> waiting_{0};
};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

class shared_watcher;

/// A task's wait for a shared_signal. Its await gives false if no watcher thread could be started.
class RONDO_API shared_waiter : public posted_wait, public wait_node {
public:
    shared_waiter(shared_signal* signal, std::uint32_t seen) noexcept;
    ~shared_waiter();
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> frame, location at = location::current());
    bool await_resume() const;

private:
    friend class shared_watcher;
    enum : std::uint32_t { unwatched = 2 };
    static const wait_kind kind_of;
    static void leave(leaf_wait& wait) noexcept;

    shared_signal* signal_;  // null: nothing to wait for
    std::uint32_t seen_;
    shared_watcher* watcher_ = nullptr;
};

class shared_change : only_in_tasks {
public:
    shared_change(shared_signal* signal, std::uint32_t seen) noexcept
        : signal_(signal), seen_(seen) {}
    shared_waiter rondo_awaiter() const noexcept { return shared_waiter(signal_, seen_); }

private:
    shared_signal* signal_;
    std::uint32_t seen_;
};

/// Waits until the signal's counter is not `seen`. May return early.
/// Cancel: leaves at once.
RONDO_API task<> changed(shared_signal& signal, std::uint32_t seen);

/// An await point without a wait, for a call that may succeed at once. It throws `cancelled` if the
/// task is cancelled, and yields to other tasks from time to time.
inline shared_change checkpoint() noexcept { return {nullptr, 0}; }

/// Converts a duration, or a point of the monotonic clock since its epoch; negative values give 0.
RONDO_API timespec as_timespec(duration span) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
