// SPDX-License-Identifier: MIT
// Queues between tasks of one loop: whoever puts waits while the queue is full, whoever takes waits while it is empty,
// first come first served in both directions.
//
//     rondo::queue<int> orders(3);
//     co_await orders.put(1);                          // waits while three are in it
//     while (auto order = co_await orders.next()) ...  // empty once it was closed and is drained
//
// `next` and not `get`, since its answer may be that there is nothing more to come: the end of a queue is a value and not
// an exception. Between threads, or between a thread and a loop, there is bridge_queue (bridge.hpp).
//
// Three orders, one machine: the storage says which item is the next (detail/sync/queue_storage.hpp), the core says who waits
// and for what (detail/sync/queue_core.hpp).
#pragma once

#include <cstddef>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>

#include <rondo/detail/sync/queue_awaitable.hpp>
#include <rondo/detail/sync/queue_core.hpp>
#include <rondo/detail/sync/queue_storage.hpp>

namespace rondo {
inline namespace v0 {

/// What `close` does with the items that are still in a queue.
enum class close_mode {
    draining,   ///< they can still be taken
    immediate,  ///< they are destroyed
};

/// The order of a priority_queue unless told otherwise: `a < b` comes first. asyncio's, and the opposite of
/// std::priority_queue's.
struct smallest_first {
    template <class T>
    constexpr bool operator()(const T& a, const T& b) const {
        return a < b;
    }
};

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

class [[nodiscard("a join does nothing until it is awaited")]] joining : public only_in_tasks {
public:
    explicit joining(queue_core & queue) noexcept : queue_(&queue) {}
    queue_joiner rondo_awaiter() const noexcept { return queue_joiner(*queue_); }

private:
    queue_core* queue_;
};

/// What all queues can do. They differ in which item is the next.
template <class T, class Storage>
class basic_queue : queue_core {
    static_assert(std::is_nothrow_move_constructible_v<T> && std::is_nothrow_destructible_v<T>,
                  "an item must not throw when it is moved or destroyed; put a std::unique_ptr to "
                  "it into the queue");

public:
    using value_type = T;

    /// Stores the item; waits while the queue is full.
    /// Throws: queue_closed_error where the queue was closed, before or meanwhile; std::bad_alloc.
    /// Cancel: leaves nothing behind: the item goes with the await, and the place it would have had to the next in line.
    /// See:    asyncio.Queue.put.
    template <class U = T>
        requires std::is_constructible_v<T, U&&>
    auto put(U&& item) {
        return putting<basic_queue, put_awaiter<T, Storage>, T, put_hazard<T, U>>(
            *this, std::forward<U>(item));
    }

    /// Takes the next item; waits while there is none. Empty once the queue is closed and drained.
    /// Cancel: takes nothing: an item that was there for it stays where it is, for the next in line.
    /// See:    asyncio.Queue.get.
    taking<basic_queue, next_awaiter<T, Storage>> next() noexcept {
        return taking<basic_queue, next_awaiter<T, Storage>>(*this);
    }

    /// Stores the item where there is room; where there is not it is left alone, and the answer is false.
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

    /// The next item, or empty where there is none that is not already there for somebody who waited for it.
    /// See:    asyncio.Queue.get_nowait.
    [[nodiscard]] std::optional<T> try_get() {
        if (!has_item()) return std::nullopt;
        return take();
    }

    /// One item that was taken has been dealt with: see `join`.
    /// Throws: invalid_state_error where that was said of every item already.
    /// See:    asyncio.Queue.task_done.
    void task_done() { finish_one(); }

    /// Waits until `task_done` was called for each item that was ever put.
    /// Cancel: leaves at once.
    /// See:    asyncio.Queue.join.
    joining join() noexcept { return joining(*this); }

    /// Nothing more is put: whoever puts, or waits to, gets queue_closed_error. Whoever takes gets what is left, and then
    /// an empty optional; after an `immediate` close nothing is left, and counts as done. May be called again.
    /// See:    asyncio.Queue.shutdown.
    void close(close_mode how = close_mode::draining) noexcept {
        if (how == close_mode::draining) return queue_core::close();
        [[maybe_unused]] const Storage dropped(
            std::move(items_));  // goes last: an item's destructor may come back here
        close_and_forget();
    }

    /// How many items are in it.
    std::size_t size() const noexcept { return stored_; }
    /// None?
    bool empty() const noexcept { return stored_ == 0; }
    /// Would a put have to wait? Places that are promised to somebody who waited count as taken.
    bool full() const noexcept { return !has_room(); }
    /// How many items it may hold; 0: as many as memory.
    std::size_t maxsize() const noexcept {
        return limit_ == std::numeric_limits<std::size_t>::max() ? 0 : limit_;
    }
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
            serve_putter();  // the place is free again
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

/// First in, first out. `maxsize` bounds it; 0 does not.
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

/// The item that `Compare` puts before all others, first; equal ones in no particular order. `Compare` must not throw.
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
