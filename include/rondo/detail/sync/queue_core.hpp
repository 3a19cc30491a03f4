// SPDX-License-Identifier: MIT
// A queue without its items: the waiters, and the number of promised places and items.
//
// A waiter is never handed an item; it is only *promised* one. A getter is promised one of the
// stored items (`claims`), a putter one of the free places (`grants`). It takes what it was
// promised when it resumes. A waiter that is cancelled before that gives back a number. So law 3
// costs nothing: the item is still stored, in its order, and giving back neither moves, allocates
// nor throws.
//
// Handing the item over directly was not chosen, although it saves a move per hop. An item that
// comes back would need a place at the front of a queue that may be full by then, and two that come
// back would change their order.
//
// Invariants: a getter waits only while every stored item is promised; a putter waits only while
// every place is taken or promised; no put or next overtakes a waiter that was promised something.
#pragma once

#include <rondo/config.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <new>

#include <rondo/detail/coroutine/shared_core.hpp>
#include <rondo/detail/sync/queue_counts.hpp>
#include <rondo/error.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

class queue_core;

/// The state or the outcome of a visit to a queue.
enum class queue_outcome : std::uint32_t {
    ready,     ///< it did not wait
    parked,    ///< it waited: see queue_waiter::outcome
    promised,  ///< an item or a place is reserved for it
    refused,   ///< it was cancelled
    ended,     ///< the queue was closed, or no more items come
};

/// A waiter at a queue, stored in its own frame. It is constructed only when the task suspends,
/// since most do not.
struct queue_waiter : leaf_wait, wait_node {
    queue_waiter(const wait_kind& k, queue_core& q) noexcept : leaf_wait(k), queue(&q) {}

    void wake_with(queue_outcome how) noexcept {
        state = static_cast<std::uint32_t>(how);
        detail::wake(static_cast<leaf_wait&>(*this));
    }
    /// Resumes it with `refused`, after all tasks that are ready.
    void wake_last() noexcept {
        state = static_cast<std::uint32_t>(queue_outcome::refused);
        requeue(*this);
    }
    queue_outcome outcome() const noexcept { return static_cast<queue_outcome>(state); }

    queue_core* queue;
};

class RONDO_API queue_core : public queue_counts {
public:
    explicit queue_core(std::size_t maxsize) noexcept : queue_counts(maxsize) {}
    ~queue_core();
    queue_core(const queue_core&) = delete;
    queue_core& operator=(const queue_core&) = delete;

    void added() noexcept {
        ++stored_;
        ++unfinished_;
        if (!getters_.empty()) promise_item();
    }
    void removed() noexcept {
        --stored_;
        serve_putter();
        if (drained()) [[unlikely]]
            end_all(getters_);
    }
    void serve_getter() noexcept {
        if (!getters_.empty() && has_item()) promise_item();
    }
    void serve_putter() noexcept {
        if (putters_.empty() || !has_room()) return;
        ++grants_;
        first_of(putters_).wake_with(queue_outcome::promised);
    }
    /// Closes the queue, and wakes the waiters whose item or place cannot come any more.
    void close() noexcept;
    /// Closes the queue whose items the caller has destroyed.
    void close_and_forget() noexcept;
    /// Throws: invalid_state_error if nothing is unfinished.
    void finish_one();
    [[noreturn]] static void throw_closed();

    wait_list getters_;
    wait_list putters_;
    wait_list joiners_;
    std::size_t unfinished_ = 0;

private:
    void promise_item() noexcept {
        ++claims_;
        first_of(getters_).wake_with(queue_outcome::promised);
    }
    static queue_waiter& first_of(wait_list& line) noexcept {
        return static_cast<queue_waiter&>(line.pop());
    }
    static void end_all(wait_list& line) noexcept;
};

/// The base class of the three awaiters.
class queue_awaiter {
protected:
    explicit queue_awaiter(queue_core& queue) noexcept : queue_(&queue) {}
    queue_awaiter(const queue_awaiter&) = delete;
    queue_awaiter& operator=(const queue_awaiter&) = delete;

    /// Suspends the running task.
    queue_waiter& park_here(const wait_kind& kind, std::coroutine_handle<> frame,
                               location at) noexcept {
        state_ = queue_outcome::parked;
        queue_waiter& self =
            *::new (static_cast<void*>(&parked_)) queue_waiter(kind, *queue_);
        park(self, frame, at);
        return self;
    }
    queue_outcome outcome() const noexcept {
        return state_ == queue_outcome::parked ? parked_.outcome() : state_;
    }
    /// The task is cancelled and does not wait. True if it throws at once, false if it suspends
    /// first so that other tasks run.
    bool cancel_at_start() noexcept {
        state_ = queue_outcome::refused;
        return may_go_on();
    }
    /// Unlinks the waiter. It is linked here only if its frame is destroyed during the wait.
    void leave_line(wait_list queue_core::*line) noexcept {
        if (state_ == queue_outcome::parked && parked_.linked()) [[unlikely]]
            (queue_->*line).remove(parked_);
    }

    queue_core* queue_;
    queue_outcome state_ = queue_outcome::ready;
    union {
        queue_waiter parked_;
    };

    ~queue_awaiter() {}
};

class RONDO_API queue_getter : queue_awaiter {
public:
    static constexpr bool can_be_asked = true;  // see select.hpp
    explicit queue_getter(queue_core& queue) noexcept : queue_awaiter(queue) {}
    ~queue_getter() { leave_line(&queue_core::getters_); }

    bool await_ready() noexcept {
        if (is_cancelled()) [[unlikely]]
            return cancel_at_start();
        if (queue_->stored_ != 0) return queue_->claims_ == 0 && may_go_on();
        if (!queue_->closed_) return false;
        state_ = queue_outcome::ended;
        return may_go_on();
    }
    void await_suspend(std::coroutine_handle<> frame, location at = location::current()) noexcept {
        const queue_outcome before = state_;
        queue_waiter& self = park_here(kind_, frame, at);
        if (queue_->has_item()) {  // other tasks run first; a cancelled getter gives it back
            ++queue_->claims_;
            self.wake_with(queue_outcome::promised);
        } else if (before == queue_outcome::ready) {
            queue_->getters_.append(self);
        } else if (before == queue_outcome::refused) {
            self.wake_last();
        } else {
            self.wake_with(queue_outcome::ended);
        }
    }

protected:
    /// Ends the wait: true if there is an item to take. Throws: cancelled.
    bool may_take() {
        if (state_ == queue_outcome::ready) return true;
        if (outcome() == queue_outcome::promised) --queue_->claims_;
        if (outcome() != queue_outcome::promised || is_cancelled()) [[unlikely]]
            return end();
        return queue_->stored_ != 0;  // none if close(immediate) emptied the queue
    }
    queue_core& queue() const noexcept { return *queue_; }

private:
    bool end();
    static const wait_kind kind_;
    static void leave(leaf_wait& wait) noexcept;
};

class RONDO_API queue_putter : queue_awaiter {
public:
    explicit queue_putter(queue_core& queue) noexcept : queue_awaiter(queue) {}
    ~queue_putter() { leave_line(&queue_core::putters_); }

    bool await_ready() noexcept {
        if (is_cancelled()) [[unlikely]]
            return cancel_at_start();
        if (queue_->closed_) [[unlikely]] {
            state_ = queue_outcome::ended;
            return true;
        }
        if (!queue_->has_room()) return false;
        if (queue_->grants_ == 0 && may_go_on()) return true;
        state_ = queue_outcome::promised;  // await_suspend lets other tasks run first
        return false;
    }
    void await_suspend(std::coroutine_handle<> frame, location at = location::current()) noexcept {
        const queue_outcome before = state_;
        queue_waiter& self = park_here(kind_, frame, at);
        if (before == queue_outcome::ready) {
            queue_->putters_.append(self);
        } else if (before == queue_outcome::refused) {
            self.wake_last();
        } else {
            ++queue_->grants_;
            self.wake_with(queue_outcome::promised);
        }
    }

protected:
    /// Ends the wait: throws unless the item may be stored.
    void must_store() {
        if (state_ == queue_outcome::ready) return;
        if (outcome() == queue_outcome::promised) --queue_->grants_;
        if (outcome() != queue_outcome::promised || is_cancelled() || queue_->closed_) [[unlikely]]
            throw_refusal();
    }
    queue_core& queue() const noexcept { return *queue_; }

private:
    [[noreturn]] void throw_refusal();
    static const wait_kind kind_;
    static void leave(leaf_wait& wait) noexcept;
};

/// Waits until task_done was called for every item.
class RONDO_API queue_joiner : queue_awaiter {
public:
    explicit queue_joiner(queue_core& queue) noexcept : queue_awaiter(queue) {}
    ~queue_joiner() { leave_line(&queue_core::joiners_); }
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> frame, location at = location::current()) noexcept;
    void await_resume();

private:
    static const wait_kind kind_;
    static void leave(leaf_wait& wait) noexcept;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
