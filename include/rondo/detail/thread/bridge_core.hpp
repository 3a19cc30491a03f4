// SPDX-License-Identifier: MIT
// A bridge between threads and tasks without its items: the lines of waiters, and the number of
// promised places and items, under one mutex.
//
// Each side has one line of waiters, threads and tasks in the order of arrival. As in
// queue_core.hpp, no item is handed over: a waiter is promised an item and takes it when it runs,
// so a task that is cancelled in between only gives back a number (law 3). A task is woken by a
// post that is stored in its own awaiter, so waking it allocates nothing. A loop that ends cancels
// its tasks; they leave the line, and the items stay for other waiters.
//
// A pair of lock-free rings was not chosen. It is faster while no one waits, but closing,
// cancelling and timeouts at the same time cannot be added to it in a form that can be proved.
#pragma once

#include <rondo/config.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <stop_token>

#include <rondo/detail/sync/queue_counts.hpp>
#include <rondo/detail/thread/posted_wait.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// The side of the queue at which a waiter waits: for an item, for a place, or for the end of the
/// work (`join`).
enum class bridge_side : std::uint8_t { get, put, join };

/// The state of a waiter.
enum class bridge_answer : std::uint8_t {
    wait,      ///< it still waits
    promised,  ///< an item or a free place is reserved for it
    ended,     ///< the bridge was closed, or the work is done
    refused,   ///< it was cancelled or asked to stop
};

/// A waiter in a line: a thread (on its stack) or a task (in its frame).
struct bridge_waiter : wait_node {
    void (*notify)(bridge_waiter&) noexcept;  // called with the mutex held
    bridge_answer answer = bridge_answer::wait;
    bridge_side side;
    bridge_waiter(bridge_side s, void (*n)(bridge_waiter&) noexcept) noexcept
        : notify(n), side(s) {}
};

/// The counters and the lines. The caller holds `mutex_`.
class RONDO_API bridge_core : public queue_counts {
public:
    using lock = std::unique_lock<std::mutex>;

    explicit bridge_core(std::size_t maxsize) noexcept : queue_counts(maxsize) {}
    ~bridge_core();
    bridge_core(const bridge_core&) = delete;
    bridge_core& operator=(const bridge_core&) = delete;

    /// Reserves an item or a place if there is one, or says that none will ever come.
    bridge_answer try_promise(bridge_side side) noexcept;
    /// Uses up the promise; true if the item or place is still there.
    bool redeem(bridge_side side) noexcept;
    /// Wakes the longest waiter if there is something for it.
    void serve(bridge_side side) noexcept;
    void added() noexcept {
        ++stored_;
        ++unfinished_;
        serve(bridge_side::get);
    }
    void removed() noexcept {
        --stored_;
        serve(bridge_side::put);
        if (drained()) end_all(bridge_side::get);
    }
    /// Blocks the thread. Returns `promised` if the item or place is there and its promise is used
    /// up, `ended` if the bridge is closed, `wait` if the deadline passed first, and `refused` if a
    /// stop was requested.
    bridge_answer block(lock& held, bridge_side side, time_point deadline,
                        const std::stop_token& stop = {});
    void append(bridge_waiter& waiter) noexcept { line(waiter.side).append(waiter); }
    void remove(bridge_waiter& waiter) noexcept { line(waiter.side).remove(waiter); }
    void close() noexcept;
    /// Closes the bridge whose items the caller has taken out.
    void close_and_forget() noexcept;
    /// Throws: invalid_state_error if nothing is unfinished.
    void finish_one();
    void reopen() noexcept { closed_ = false; }

    mutable std::mutex mutex_;

private:
    wait_list& line(bridge_side side) noexcept { return lines_[static_cast<std::size_t>(side)]; }
    bridge_answer wait_in_line(lock& held, bridge_side side, time_point deadline,
                               const std::stop_token& stop);
    void end_all(bridge_side side) noexcept;
    void wake_first(bridge_side side, bridge_answer answer) noexcept;

    wait_list lines_[3];  // one of each side
    std::size_t unfinished_ = 0;
};

/// The base class of the awaiters of tasks at a bridge.
class RONDO_API bridge_awaiter : posted_wait, bridge_waiter {
public:
    bridge_awaiter(bridge_core& core, bridge_side side, const wait_kind& kind) noexcept;
    ~bridge_awaiter();
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> frame, location at = location::current()) noexcept;
    static const wait_kind get_kind, put_kind, join_kind, event_kind;

protected:
    /// Ends the wait: true, with the mutex held, if the item or place is there; false if the bridge
    /// is closed or the work is done. Throws: cancelled.
    bool finish(bridge_core::lock& held);
    bridge_core& core() const noexcept { return *core_; }

private:
    static void leave(leaf_wait& wait) noexcept;

    bridge_core* core_;
};

/// A wait that only ends: of `join`, or of an event. `Kind` is a member of bridge_awaiter.
template <bridge_side Side, const wait_kind& Kind>
class bridge_end_awaiter : public bridge_awaiter {
public:
    static constexpr bool can_be_asked = true;  // see select.hpp
    explicit bridge_end_awaiter(bridge_core& core) noexcept : bridge_awaiter(core, Side, Kind) {}
    void await_resume() {
        bridge_core::lock held;
        finish(held);
    }
};

RONDO_API time_point bridge_deadline(duration timeout) noexcept;
[[noreturn]] RONDO_API void throw_bridge_closed();

}  // namespace detail
}  // namespace v0
}  // namespace rondo
