// SPDX-License-Identifier: MIT
// A queue and an event between blocking threads and waiting tasks, for any number of threads and
// loops on each side.
//
//     rondo::bridge_queue<job> jobs(100);
//     jobs.blocking_put(next_job());                // a thread; blocks while it is full
//     while (auto one = co_await jobs.next()) ...   // a task of any loop
//
// Each side has one line of waiters, threads and tasks in the order of arrival, under one mutex. As
// in queue.hpp, no item is handed over: a waiter is promised an item and takes it when it runs, so
// a task that is cancelled in between only gives back a number (law 3). A task is woken by a post
// that is stored in its own awaiter, so waking it allocates nothing. A loop that ends cancels its
// tasks; they leave the line, and the items stay for other waiters.
//
// A pair of lock-free rings was not chosen. It is faster while no one waits, but closing,
// cancelling and timeouts at the same time cannot be added to it in a form that can be proved.
#pragma once

#include <rondo/config.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

#include <rondo/detail/sync/queue_awaitable.hpp>
#include <rondo/detail/sync/queue_counts.hpp>
#include <rondo/detail/sync/queue_storage.hpp>
#include <rondo/detail/thread/posted_wait.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {

class bridge_core;
class completion_queue;

/// The side of the queue at which a waiter waits.
enum class bridge_side : std::uint8_t { get, put };

/// The state of a waiter.
enum class bridge_answer : std::uint8_t {
    wait,      ///< it still waits
    promised,  ///< an item or a free place is reserved for it
    ended,     ///< the bridge was closed
    refused,   ///< it was cancelled
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
    /// Uses up the promise; true if the item or place is really there.
    bool redeem(bridge_side side) noexcept;
    /// Wakes the longest waiter if there is something for it.
    void serve(bridge_side side) noexcept;
    void added() noexcept {
        ++stored_;
        serve(bridge_side::get);
    }
    void removed() noexcept {
        --stored_;
        serve(bridge_side::put);
        if (drained()) end_all(bridge_side::get);
    }
    /// Blocks the thread. Returns `promised` if the item or place is there and its promise is used
    /// up, `ended` if the bridge is closed, and `wait` if the deadline passed first.
    bridge_answer block(lock& held, bridge_side side, time_point deadline);
    void append(bridge_waiter& waiter) noexcept { line(waiter.side).append(waiter); }
    void remove(bridge_waiter& waiter) noexcept { line(waiter.side).remove(waiter); }
    void close() noexcept;
    void reopen() noexcept { closed_ = false; }

    mutable std::mutex mutex_;

private:
    wait_list& line(bridge_side side) noexcept {
        return side == bridge_side::get ? getters_ : putters_;
    }
    void end_all(bridge_side side) noexcept;
    void wake_first(bridge_side side, bridge_answer answer) noexcept;

    wait_list getters_;
    wait_list putters_;
};

/// The base class of the awaiters of tasks at a bridge.
class RONDO_API bridge_awaiter : posted_wait, bridge_waiter {
public:
    bridge_awaiter(bridge_core& core, bridge_side side, const wait_kind& kind) noexcept;
    ~bridge_awaiter();
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> frame, location at = location::current()) noexcept;
    static const wait_kind get_kind, put_kind, event_kind;

protected:
    /// Ends the wait: true, with the mutex held, if the item or place is there; false if the bridge
    /// is closed. Throws: cancelled.
    bool finish(bridge_core::lock& held);
    bridge_core& core() const noexcept { return *core_; }

private:
    static void leave(leaf_wait& wait) noexcept;

    bridge_core* core_;
};

RONDO_API time_point bridge_deadline(duration timeout) noexcept;
[[noreturn]] RONDO_API void throw_bridge_closed();

template <class T>
class bridge_getter;
template <class T>
class bridge_putter;

}  // namespace detail

/// A queue between threads and tasks, first in, first out. Holds at most `maxsize` items; 0 means
/// no limit. Each call locks one mutex, and wakes a waiter if there is one. From loop to loop an
/// item costs less than 100 ns in a queue of 1024, and 2 µs in one of 16, in which the two sides
/// wait for each other again and again (bench_loops.cpp).
/// Thread: any, and tasks of any loop. It must outlive its waiters.
/// See:    Python's janus; queue.Queue on its blocking side.
template <class T>
class bridge_queue : detail::bridge_core {
    static_assert(std::is_nothrow_move_constructible_v<T> && std::is_nothrow_destructible_v<T>,
                  "an item must not throw when it is moved or destroyed; put a std::unique_ptr to "
                  "it into the queue");

public:
    using value_type = T;

    explicit bridge_queue(std::size_t maxsize = 0) : bridge_core(maxsize) {}

    // -- tasks ------------------------------------------------------------------------------------
    /// Stores the item; the task waits while the queue is full.
    /// Throws: queue_closed_error if the queue was closed before or during the wait;
    ///         std::bad_alloc.
    /// Cancel: nothing is stored; a place that was promised to this task goes to the next waiter.
    template <class U = T>
        requires std::is_constructible_v<T, U&&>
    auto put(U&& item) {
        return detail::put_awaitable<bridge_queue, detail::bridge_putter<T>, T,
                                     detail::put_hazard<T, U>>(*this, std::forward<U>(item));
    }
    /// Takes the next item; the task waits while the queue is empty. Empty once the queue is closed
    /// and drained.
    /// Cancel: takes nothing. An item that was promised to this task keeps its place and goes to
    ///         the next waiter.
    detail::next_awaitable<bridge_queue, detail::bridge_getter<T>> next() noexcept {
        return detail::next_awaitable<bridge_queue, detail::bridge_getter<T>>(*this);
    }

    // -- threads: not from a task, whose loop would stand still -----------------------------------
    /// Stores the item; blocks while the queue is full.
    /// Throws: queue_closed_error if it was closed before or during the wait; std::bad_alloc. The
    ///         item is untouched then.
    template <class U = T>
        requires std::is_constructible_v<T, U&&>
    void blocking_put(U&& item) {
        put_until(time_point::max(), std::forward<U>(item));
    }
    /// blocking_put for at most `timeout`.
    /// Throws: also timeout_error. The item is untouched then.
    template <class U = T>
        requires std::is_constructible_v<T, U&&>
    void blocking_put_for(detail::time_limit timeout, U&& item) {
        put_until(detail::bridge_deadline(timeout), std::forward<U>(item));
    }
    /// Takes the next item; blocks while the queue is empty. Empty once the queue is closed and
    /// drained.
    std::optional<T> blocking_next() { return next_until(time_point::max()); }
    /// blocking_next for at most `timeout`. Throws: timeout_error.
    std::optional<T> blocking_next_for(detail::time_limit timeout) {
        return next_until(detail::bridge_deadline(timeout));
    }

    // -- both -------------------------------------------------------------------------------------
    /// Allocates room for `items` items. While there are no more than that, storing one neither
    /// allocates nor throws.
    void reserve(std::size_t items) {
        const lock held(mutex_);
        items_.reserve(items);
    }
    /// Stores the item if there is room and returns true. Otherwise returns false and leaves the
    /// item untouched.
    /// Throws: queue_closed_error; std::bad_alloc.
    template <class U = T>
        requires std::is_constructible_v<T, U&&>
    [[nodiscard]] bool try_put(U&& item) {
        const lock held(mutex_);
        if (closed_) detail::throw_bridge_closed();
        if (try_promise(detail::bridge_side::put) != detail::bridge_answer::promised) return false;
        redeem(detail::bridge_side::put);
        store(std::forward<U>(item));
        return true;
    }
    /// Takes the next item without waiting. Empty if there is none, or if every item is promised to
    /// a waiter.
    [[nodiscard]] std::optional<T> try_get() {
        const lock held(mutex_);
        if (try_promise(detail::bridge_side::get) != detail::bridge_answer::promised)
            return std::nullopt;
        redeem(detail::bridge_side::get);
        return take();
    }
    /// Closes the queue: current and later puts throw queue_closed_error. `next` gives the items
    /// that are left, then an empty optional. May be called again.
    void close() noexcept {
        const lock held(mutex_);
        bridge_core::close();
    }

    /// The number of stored items, at this moment.
    std::size_t size() const noexcept {
        const lock held(mutex_);
        return stored_;
    }
    bool closed() const noexcept {
        const lock held(mutex_);
        return closed_;
    }
    std::size_t maxsize() const noexcept { return queue_counts::maxsize(); }

private:
    friend detail::bridge_getter<T>;
    friend detail::bridge_putter<T>;
    friend class detail::completion_queue;

    template <class U>
    void put_until(time_point deadline, U&& item) {
        lock held(mutex_);
        const auto answer = block(held, detail::bridge_side::put, deadline);
        if (answer == detail::bridge_answer::wait) throw timeout_error();
        if (answer == detail::bridge_answer::ended) detail::throw_bridge_closed();
        store(std::forward<U>(item));
    }
    std::optional<T> next_until(time_point deadline) {
        lock held(mutex_);
        const auto answer = block(held, detail::bridge_side::get, deadline);
        if (answer == detail::bridge_answer::promised) return take();
        if (answer == detail::bridge_answer::wait) throw timeout_error();
        return std::nullopt;
    }
    /// Like next_until, but empty if the deadline passes first.
    std::optional<T> try_next_until(time_point deadline) {
        lock held(mutex_);
        if (block(held, detail::bridge_side::get, deadline) != detail::bridge_answer::promised)
            return std::nullopt;
        return take();
    }
    // The caller of these two holds the mutex.
    template <class U>
    void store(U&& item) {
        try {
            items_.push(detail::as_item<T>(std::forward<U>(item)));
        } catch (...) {
            serve(detail::bridge_side::put);  // the place is free again, offer it to a waiter
            throw;
        }
        added();
    }
    T take() noexcept {
        T item = items_.pop();
        removed();
        return item;
    }

    detail::ring<T> items_;
};

namespace detail {

template <class T>
class bridge_getter : public bridge_awaiter {
public:
    explicit bridge_getter(bridge_queue<T>& queue) noexcept
        : bridge_awaiter(queue, bridge_side::get, get_kind) {}
    std::optional<T> await_resume() {
        bridge_core::lock held;
        if (!finish(held)) return std::nullopt;
        return static_cast<bridge_queue<T>&>(core()).take();
    }
};

template <class T>
class bridge_putter : public bridge_awaiter {
public:
    bridge_putter(bridge_queue<T>& queue, T&& item) noexcept
        : bridge_awaiter(queue, bridge_side::put, put_kind), item_(std::move(item)) {}
    void await_resume() {
        bridge_core::lock held;
        if (!finish(held)) throw_bridge_closed();
        static_cast<bridge_queue<T>&>(core()).store(std::move(item_));
    }

private:
    T item_;
};

class RONDO_API bridge_event_awaiter : public bridge_awaiter {
public:
    explicit bridge_event_awaiter(bridge_core& core) noexcept
        : bridge_awaiter(core, bridge_side::get, event_kind) {}
    void await_resume() {
        bridge_core::lock held;
        finish(held);
    }
};

}  // namespace detail

/// A flag that threads and tasks can wait for, and that any of them can set. It stays set until it
/// is cleared. It is implemented as a bridge without items: "set" is "closed".
/// Thread: any, and tasks of any loop. It must outlive its waiters.
/// See:    threading.Event, asyncio.Event.
class RONDO_API bridge_event : detail::bridge_core {
public:
    bridge_event() noexcept : bridge_core(0) {}

    /// Sets the event: every waiter resumes, even if the event is cleared before that waiter runs.
    void set() noexcept;
    void clear() noexcept;
    bool is_set() const noexcept;

    /// `co_await e.wait()` waits until the event is set.
    /// Cancel: leaves at once.
    detail::next_awaitable<bridge_core, detail::bridge_event_awaiter> wait() noexcept {
        return detail::next_awaitable<bridge_core, detail::bridge_event_awaiter>(*this);
    }
    /// Blocks the thread until the event is set. Do not call it in a task.
    void blocking_wait();
    /// Blocks for at most `timeout`; returns false if the event is not set then.
    bool blocking_wait_for(detail::time_limit timeout);
};

}  // namespace v0
}  // namespace rondo
