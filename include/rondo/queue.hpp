// SPDX-License-Identifier: MIT
// Queues between tasks of one loop. `put` waits while the queue is full, `next` waits while it is
// empty. Both sides are served first come first served.
//
//     rondo::queue<int> orders(3);
//     co_await orders.put(1);                          // waits while it holds three items
//     while (auto order = co_await orders.next()) ...  // empty once it is closed and drained
//
// The function is `next` and not `get`, because it may return that no more items come: the end of a
// queue is a value, not an exception. Between threads, or between a thread and a loop, use
// bridge_queue (bridge.hpp).
//
// The three orders share one implementation. The storage decides which item is next
// (detail/sync/queue_storage.hpp), the core decides who waits and for what
// (detail/sync/queue_core.hpp).
#pragma once

#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>

#include <rondo/detail/sync/queue_awaitable.hpp>
#include <rondo/detail/sync/queue_core.hpp>
#include <rondo/detail/sync/queue_storage.hpp>
#include <rondo/detail/sync/queue_terms.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {

template <class T, class Storage>
class basic_queue;

template <class T, class Storage>
class put_awaiter : public queue_putter {
public:
    put_awaiter(basic_queue<T, Storage>& queue, T&& item) noexcept
        : queue_putter(queue), item_(std::move(item)) {}
    [[gnu::always_inline]] void await_resume() {
        must_store();
        static_cast<basic_queue<T, Storage>&>(queue()).store(std::move(item_));
    }

private:
    T item_;
};

template <class T, class Storage>
class next_awaiter : public queue_getter {
public:
    explicit next_awaiter(basic_queue<T, Storage>& queue) noexcept : queue_getter(queue) {}
    std::optional<T> await_resume() {
        if (!may_take()) return std::nullopt;
        return static_cast<basic_queue<T, Storage>&>(queue()).take();
    }
};

class [[nodiscard("a join does nothing until it is awaited")]] join_awaitable
    : public only_in_tasks {
public:
    explicit join_awaitable(queue_core & queue) noexcept : queue_(&queue) {}
    queue_joiner rondo_awaiter() const noexcept { return queue_joiner(*queue_); }

private:
    queue_core* queue_;
};

/// The common interface of all queues. They differ in which item is next.
template <class T, class Storage>
class basic_queue : queue_core {
    static_assert(std::is_nothrow_move_constructible_v<T> && std::is_nothrow_destructible_v<T>,
                  "an item must not throw when it is moved or destroyed; put a std::unique_ptr to "
                  "it into the queue");

public:
    using value_type = T;

    /// Stores the item; waits while the queue is full.
    /// Throws: queue_closed_error if the queue was closed before or during the wait;
    ///         std::bad_alloc.
    /// Cancel: nothing is stored: the item is destroyed with the await, and a place that was
    ///         granted goes to the next waiter.
    /// See:    asyncio.Queue.put.
    template <class U = T>
        requires std::is_constructible_v<T, U&&>
    auto put(U&& item) {
        return put_awaitable<basic_queue, put_awaiter<T, Storage>, T, put_hazard<T, U>>(
            *this, std::forward<U>(item));
    }

    /// Takes the next item; waits while the queue is empty. Empty once the queue is closed and
    /// drained.
    /// Cancel: takes nothing. An item that was promised to this task keeps its place and goes to
    ///         the next waiter.
    /// See:    asyncio.Queue.get.
    next_awaitable<basic_queue, next_awaiter<T, Storage>> next() noexcept {
        return next_awaitable<basic_queue, next_awaiter<T, Storage>>(*this);
    }

    /// Stores the item if there is room and returns true. Otherwise returns false and leaves the
    /// item untouched.
    /// Throws: queue_closed_error; std::bad_alloc.
    /// See:    asyncio.Queue.put_nowait.
    template <class U = T>
        requires std::is_constructible_v<T, U&&>
    [[nodiscard]] bool try_put(U&& item) {
        if (closed_) throw_closed();
        if (!has_room()) return false;
        store(std::forward<U>(item));
        return true;
    }

    /// Takes the next item without waiting. Empty if there is none, or if every stored item is
    /// promised to a waiter.
    /// See: asyncio.Queue.get_nowait.
    [[nodiscard]] std::optional<T> try_get() {
        if (!has_item()) return std::nullopt;
        return take();
    }

    /// Reports that one taken item has been processed; see `join`.
    /// Throws: invalid_state_error if it is called more often than items were put.
    /// See:    asyncio.Queue.task_done.
    void task_done() { finish_one(); }

    /// Waits until `task_done` was called once for each item that was ever put.
    /// Cancel: leaves at once.
    /// See:    asyncio.Queue.join.
    join_awaitable join() noexcept { return join_awaitable(*this); }

    /// Closes the queue: current and later puts throw queue_closed_error. `next` gives the items
    /// that are left, then an empty optional. An `immediate` close destroys the items that are
    /// left; they count as done. May be called again.
    /// See: asyncio.Queue.shutdown.
    void close(close_mode how = close_mode::draining) noexcept {
        if (how == close_mode::draining) return queue_core::close();
        [[maybe_unused]] const Storage dropped(
            std::move(items_));  // destroyed last: an item's destructor may use the queue
        close_and_forget();
    }

    /// The number of stored items.
    std::size_t size() const noexcept { return stored_; }
    bool empty() const noexcept { return stored_ == 0; }
    /// True if a put would wait. Places that are promised to waiters count as taken.
    bool full() const noexcept { return !has_room(); }
    /// The number of items that it may hold; 0 means no limit.
    std::size_t maxsize() const noexcept { return queue_counts::maxsize(); }
    bool closed() const noexcept { return closed_; }

protected:
    explicit basic_queue(std::size_t maxsize, Storage items = Storage())
        : queue_core(maxsize), items_(std::move(items)) {}

private:
    friend put_awaiter<T, Storage>;
    friend next_awaiter<T, Storage>;

    template <class U>
    void store(U&& item) {
        try {
            items_.push(as_item<T>(std::forward<U>(item)));
        } catch (...) {
            serve_putter();  // the place is free again, offer it to a waiter
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

}  // namespace detail

/// First in, first out. Holds at most `maxsize` items; 0 means no limit.
/// Thread: its loop's. It must outlive its waiters.
/// See:    asyncio.Queue.
template <class T>
class queue : public detail::basic_queue<T, detail::ring<T>> {
public:
    explicit queue(std::size_t maxsize = 0) : queue::basic_queue(maxsize) {}
};

/// Last in, first out.
/// Thread: its loop's. It must outlive its waiters.
/// See:    asyncio.LifoQueue.
template <class T>
class lifo_queue : public detail::basic_queue<T, detail::stack<T>> {
public:
    explicit lifo_queue(std::size_t maxsize = 0) : lifo_queue::basic_queue(maxsize) {}
};

/// The item that `Compare` orders before all others comes first; equal items come in no particular
/// order. `Compare` must not throw.
/// Thread: its loop's. It must outlive its waiters.
/// See:    asyncio.PriorityQueue.
template <class T, class Compare = smallest_first>
class priority_queue : public detail::basic_queue<T, detail::heap<T, Compare>> {
public:
    explicit priority_queue(std::size_t maxsize = 0, Compare compare = Compare())
        : priority_queue::basic_queue(maxsize, detail::heap<T, Compare>(std::move(compare))) {}
};

}  // namespace v0
}  // namespace rondo
