// SPDX-License-Identifier: MIT
// Queues and an event between blocking threads and waiting tasks, for any number of threads and
// loops on each side.
//
//     rondo::bridge_queue<job> jobs(100);
//     jobs.blocking_put(next_job());                    // a thread; blocks while it is full
//     while (auto one = jobs.blocking_next(stop)) ...   // a thread that can be stopped
//     while (auto one = co_await jobs.next()) ...       // a task of any loop
//
// There is one class for each order: bridge_queue, bridge_lifo_queue, bridge_priority_queue. A name
// that begins with `blocking_` is for threads. `put`, `next` and `join` are awaited by tasks. All
// other functions return at once and are for both. The functions of tasks have the names that they
// have in queue.hpp, which is faster if all waiters are tasks of one loop.
//
// The storage decides which item is next (detail/sync/queue_storage.hpp), the core decides who
// waits and for what (detail/thread/bridge_core.hpp).
#pragma once

#include <rondo/config.hpp>

#include <cstddef>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

#include <rondo/detail/sync/queue_awaitable.hpp>
#include <rondo/detail/sync/queue_storage.hpp>
#include <rondo/detail/sync/queue_terms.hpp>
#include <rondo/detail/thread/bridge_core.hpp>
#include <rondo/wait_queue.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {

class completion_queue;

template <class T, class Storage>
class bridge_getter;
template <class T, class Storage>
class bridge_putter;

using bridge_joining =
    waiting_for<bridge_end_awaiter<bridge_side::join, bridge_awaiter::join_kind>, bridge_core>;
using bridge_event_wait =
    waiting_for<bridge_end_awaiter<bridge_side::get, bridge_awaiter::event_kind>, bridge_core>;

/// The common interface of the queues between threads and tasks. They differ in which item is next.
template <class T, class Storage>
class basic_bridge : bridge_core {
    static_assert(std::is_nothrow_move_constructible_v<T> && std::is_nothrow_destructible_v<T>,
                  "an item must not throw when it is moved or destroyed; put a std::unique_ptr to "
                  "it into the queue");

public:
    using value_type = T;

    // -- tasks ------------------------------------------------------------------------------------
    /// Stores the item; the task waits while the queue is full.
    /// Throws: queue_closed_error if the queue was closed before or during the wait;
    ///         std::bad_alloc.
    /// Cancel: nothing is stored; a place that was promised to this task goes to the next waiter.
    template <class U = T>
        requires std::is_constructible_v<T, U&&>
    auto put(U&& item) {
        return put_awaitable<basic_bridge, bridge_putter<T, Storage>, T, put_hazard<T, U>>(
            *this, std::forward<U>(item));
    }
    /// Takes the next item; the task waits while the queue is empty. Empty once the queue is closed
    /// and drained.
    /// Cancel: takes nothing. An item that was promised to this task keeps its place and goes to
    ///         the next waiter.
    next_awaitable<basic_bridge, bridge_getter<T, Storage>> next() noexcept {
        return next_awaitable<basic_bridge, bridge_getter<T, Storage>>(*this);
    }
    /// Waits until `task_done` was called once for each item that was ever put.
    /// Cancel: leaves at once.
    /// See:    asyncio.Queue.join.
    bridge_joining join() noexcept { return bridge_joining(*this); }

    // -- threads: not from a task, whose loop would stand still -----------------------------------
    /// Stores the item; blocks while the queue is full.
    /// Throws: queue_closed_error if it was closed before or during the wait; std::bad_alloc. The
    ///         item is untouched then.
    template <class U = T>
        requires std::is_constructible_v<T, U&&>
    void blocking_put(U&& item) {
        put_until(time_point::max(), std::forward<U>(item));
    }
    /// blocking_put until a stop is requested; returns false then, also if there is room, and the
    /// item is untouched.
    template <class U = T>
        requires std::is_constructible_v<T, U&&>
    [[nodiscard]] bool blocking_put(U&& item, const std::stop_token& stop) {
        return put_until(time_point::max(), std::forward<U>(item), stop);
    }
    /// blocking_put for at most `timeout`.
    /// Throws: also timeout_error. The item is untouched then.
    template <class U = T>
        requires std::is_constructible_v<T, U&&>
    void blocking_put_for(time_limit timeout, U&& item) {
        put_until(bridge_deadline(timeout), std::forward<U>(item));
    }
    /// Takes the next item; blocks while the queue is empty. Empty once the queue is closed and
    /// drained.
    std::optional<T> blocking_next() { return next_until(time_point::max()); }
    /// blocking_next until a stop is requested: empty then, also if items are left. For the loop of
    /// a rondo::thread, whose destructor requests a stop and joins.
    std::optional<T> blocking_next(const std::stop_token& stop) {
        return next_until(time_point::max(), stop);
    }
    /// blocking_next for at most `timeout`. Throws: timeout_error.
    std::optional<T> blocking_next_for(time_limit timeout) {
        return next_until(bridge_deadline(timeout));
    }
    /// Blocks until `task_done` was called once for each item that was ever put.
    /// See: queue.Queue.join.
    void blocking_join() {
        lock held(mutex_);
        block(held, bridge_side::join, time_point::max());
    }
    /// blocking_join until a stop is requested; returns false then.
    bool blocking_join(const std::stop_token& stop) {
        lock held(mutex_);
        return block(held, bridge_side::join, time_point::max(), stop) != bridge_answer::refused;
    }
    /// blocking_join for at most `timeout`; returns false if items are unfinished then.
    bool blocking_join_for(time_limit timeout) {
        lock held(mutex_);
        return block(held, bridge_side::join, bridge_deadline(timeout)) != bridge_answer::wait;
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
        if (closed_) throw_bridge_closed();
        if (try_promise(bridge_side::put) != bridge_answer::promised) return false;
        redeem(bridge_side::put);
        store(std::forward<U>(item));
        return true;
    }
    /// Takes the next item without waiting. Empty if there is none, or if every item is promised to
    /// a waiter.
    [[nodiscard]] std::optional<T> try_get() {
        const lock held(mutex_);
        if (try_promise(bridge_side::get) != bridge_answer::promised)
            return std::nullopt;
        redeem(bridge_side::get);
        return take();
    }
    /// Reports that one taken item has been processed; see `join`.
    /// Throws: invalid_state_error if it is called more often than items were put.
    /// See:    queue.Queue.task_done.
    void task_done() {
        const lock held(mutex_);
        finish_one();
    }
    /// Closes the queue: current and later puts throw queue_closed_error. `next` gives the items
    /// that are left, then an empty optional. An `immediate` close destroys the items that are
    /// left; they count as done. May be called again.
    /// See: queue.Queue.shutdown.
    void close(close_mode how = close_mode::draining) noexcept {
        lock held(mutex_);
        if (how == close_mode::draining) return bridge_core::close();
        [[maybe_unused]] const Storage dropped(std::move(items_));
        close_and_forget();
        held.unlock();  // an item's destructor may use the queue
    }

    /// The number of stored items, at this moment.
    std::size_t size() const noexcept {
        const lock held(mutex_);
        return stored_;
    }
    /// True if nothing is stored, at this moment.
    bool empty() const noexcept { return size() == 0; }
    /// True if a put would wait, at this moment. Places that are promised to waiters count as
    /// taken.
    bool full() const noexcept {
        const lock held(mutex_);
        return !has_room();
    }
    bool closed() const noexcept {
        const lock held(mutex_);
        return closed_;
    }
    /// The number of items that it may hold; 0 means no limit.
    std::size_t maxsize() const noexcept { return queue_counts::maxsize(); }

protected:
    explicit basic_bridge(std::size_t maxsize, Storage items = Storage())
        : bridge_core(maxsize), items_(std::move(items)) {}

private:
    friend bridge_getter<T, Storage>;
    friend bridge_putter<T, Storage>;
    friend class completion_queue;

    template <class U>
    bool put_until(time_point deadline, U&& item, const std::stop_token& stop = {}) {
        lock held(mutex_);
        const auto answer = block(held, bridge_side::put, deadline, stop);
        if (answer == bridge_answer::refused) return false;
        if (answer == bridge_answer::wait) throw timeout_error();
        if (answer == bridge_answer::ended) throw_bridge_closed();
        store(std::forward<U>(item));
        return true;
    }
    std::optional<T> next_until(time_point deadline, const std::stop_token& stop = {}) {
        lock held(mutex_);
        const auto answer = block(held, bridge_side::get, deadline, stop);
        if (answer == bridge_answer::promised) return take();
        if (answer == bridge_answer::wait) throw timeout_error();
        return std::nullopt;
    }
    /// Like next_until, but empty if the deadline passes first.
    std::optional<T> try_next_until(time_point deadline) {
        lock held(mutex_);
        if (block(held, bridge_side::get, deadline) != bridge_answer::promised)
            return std::nullopt;
        return take();
    }
    // The caller of these two holds the mutex.
    template <class U>
    void store(U&& item) {
        try {
            items_.push(as_item<T>(std::forward<U>(item)));
        } catch (...) {
            serve(bridge_side::put);  // the place is free again, offer it to a waiter
            throw;
        }
        added();
    }
    T take() noexcept {
        T item = items_.pop();
        removed();
        return item;
    }

    Storage items_;
};

template <class T, class Storage>
class bridge_getter : public bridge_awaiter {
public:
    static constexpr bool can_be_asked = true;  // see select.hpp
    explicit bridge_getter(basic_bridge<T, Storage>& queue) noexcept
        : bridge_awaiter(queue, bridge_side::get, get_kind) {}
    std::optional<T> await_resume() {
        bridge_core::lock held;
        if (!finish(held)) return std::nullopt;
        return static_cast<basic_bridge<T, Storage>&>(core()).take();
    }
};

template <class T, class Storage>
class bridge_putter : public bridge_awaiter {
public:
    bridge_putter(basic_bridge<T, Storage>& queue, T&& item) noexcept
        : bridge_awaiter(queue, bridge_side::put, put_kind), item_(std::move(item)) {}
    void await_resume() {
        bridge_core::lock held;
        if (!finish(held)) throw_bridge_closed();
        static_cast<basic_bridge<T, Storage>&>(core()).store(std::move(item_));
    }

private:
    T item_;
};

}  // namespace detail

/// First in, first out. Holds at most `maxsize` items; 0 means no limit. Each call locks one mutex,
/// and wakes a waiter if there is one. From loop to loop an item costs less than 100 ns in a queue
/// of 1024, and 2 µs in one of 16, in which the two sides wait for each other again and again
/// (bench_loops.cpp).
/// Thread: any, and tasks of any loop. It must outlive its waiters.
/// See:    Python's janus.Queue; queue.Queue.
template <class T>
class bridge_queue : public detail::basic_bridge<T, detail::ring<T>> {
public:
    explicit bridge_queue(std::size_t maxsize = 0) : bridge_queue::basic_bridge(maxsize) {}
};

/// Last in, first out.
/// Thread: any, and tasks of any loop. It must outlive its waiters.
/// See:    queue.LifoQueue, janus.LifoQueue.
template <class T>
class bridge_lifo_queue : public detail::basic_bridge<T, detail::stack<T>> {
public:
    explicit bridge_lifo_queue(std::size_t maxsize = 0)
        : bridge_lifo_queue::basic_bridge(maxsize) {}
};

/// The item that `Compare` orders before all others comes first; equal items come in no particular
/// order. `Compare` must not throw; it is called with the queue locked.
/// Thread: any, and tasks of any loop. It must outlive its waiters.
/// See:    queue.PriorityQueue, janus.PriorityQueue.
template <class T, class Compare = smallest_first>
class bridge_priority_queue : public detail::basic_bridge<T, detail::heap<T, Compare>> {
public:
    explicit bridge_priority_queue(std::size_t maxsize = 0, Compare compare = Compare())
        : bridge_priority_queue::basic_bridge(maxsize,
                                              detail::heap<T, Compare>(std::move(compare))) {}
};

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
    detail::bridge_event_wait wait() noexcept { return detail::bridge_event_wait(*this); }
    /// Blocks the thread until the event is set. Do not call it in a task.
    void blocking_wait();
    /// Blocks for at most `timeout`; returns false if the event is not set then.
    bool blocking_wait_for(detail::time_limit timeout);
};

}  // namespace v0
}  // namespace rondo
