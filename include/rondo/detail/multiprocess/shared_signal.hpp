// SPDX-License-Identifier: MIT
// A word in shared memory that processes wait for: threads in a futex, tasks by one thread of their loop's that waits for
// all of them (futex_waitv(2), Linux 5.16).
//
// It carries nothing but that something has changed. Whoever waits looks himself, again and again, on his own thread: so
// nothing is handed over that a cancellation, or a process that is killed, could lose. The choice not taken is a thread of
// the pool for each task that waits: a handful of tasks at an empty queue would stop every to_thread of the program.
#pragma once

#include <rondo/config.hpp>

#include <time.h>

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <optional>

#include <rondo/detail/coroutine/shared_core.hpp>
#include <rondo/loop.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Whoever changes what others wait for bumps it.
class RONDO_API shared_signal {
public:
    std::uint32_t now() const noexcept { return changes_.load(); }
    /// Wakes everybody: one alone might be killed before he acts on it.
    void bump() noexcept;
    /// Blocks until it is not `seen` any more; false where the deadline has come. May come back early.
    bool wait(std::uint32_t seen, time_point deadline) noexcept;

private:
    friend class shared_watcher;

    std::atomic<std::uint32_t> changes_{0};
    // Those who wait, or more: one who is killed is never taken off. It spares a system call where it is 0.
    std::atomic<std::uint32_t> waiting_{0};
};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

class shared_watcher;

/// A task's wait at one. False where nobody could be found to watch it.
class RONDO_API shared_waiter : public leaf_wait, public wait_node {
public:
    shared_waiter(shared_signal* signal, std::uint32_t seen) noexcept;
    ~shared_waiter();
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> frame, location at = location::current());
    bool await_resume() const;

private:
    friend class shared_watcher;
    enum : std::uint32_t { refused = 1, unwatched = 2 };
    static const wait_kind kind_of;
    static void leave(leaf_wait& wait) noexcept;
    void come_home() noexcept;

    shared_signal* signal_;  // null: there is nothing to wait for
    std::uint32_t seen_;
    shared_watcher* watcher_ = nullptr;
    std::optional<remote> home_;
    preallocated_post post_;
};

class shared_change : only_in_tasks {
public:
    shared_change(shared_signal* signal, std::uint32_t seen) noexcept : signal_(signal), seen_(seen) {}
    shared_waiter rondo_awaiter() const noexcept { return shared_waiter(signal_, seen_); }

private:
    shared_signal* signal_;
    std::uint32_t seen_;
};

/// Waits until it is not `seen` any more. May come back early.
/// Cancel: leaves at once.
RONDO_API task<> changed(shared_signal& signal, std::uint32_t seen);

/// What a wait that is ready at once has instead of a wait: it throws where its task was asked to stop, and lets others
/// run now and then.
inline shared_change nothing_to_wait_for() noexcept { return {nullptr, 0}; }

/// For calls that want a point of the monotonic clock, or a span; what is below zero is zero.
RONDO_API timespec as_timespec(duration span) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
