// SPDX-License-Identifier: MIT
// A FIFO of tasks that wait for another task. Mutex, semaphore, event and the other locks are built
// on it.
//
// Law 3: a grant of another task of the loop is taken back until the waiter has resumed. If a
// waiter that `unpark_one` has chosen is cancelled before it runs, it passes the choice on:
// `on_pass` is called, which by default chooses the next waiter. No wake-up is ever lost.
#pragma once

#include <rondo/config.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>

#include <rondo/detail/coroutine/shared_core.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {

class wait_queue;

namespace detail {

/// A wait in a wait_queue, the base class of its awaiters. The derived awaiter says in await_ready
/// whether to wait (`is_cancelled() ? cancel_at_start() : free && acquired()`), and in await_resume
/// how to return a grant that came too late (`finish`). Data of the wait stand in the derived
/// class, where the owner of the queue finds them through `wait_queue::front`.
class RONDO_API queue_wait : public leaf_wait, public wait_node {
public:
    /// Suspends: in the queue, or, if the wait was acquired or refused already, until the ready
    /// tasks have run.
    void await_suspend(std::coroutine_handle<> frame,
                       location at = location::current()) noexcept;

    /// Default wait_kind::cancel: leaves the queue; the wait will throw.
    static void leave(leaf_wait& wait) noexcept;

protected:
    enum : std::uint32_t { chosen = 2, first_free_bit = 4 };

    queue_wait(const wait_kind& what, wait_queue& queue) noexcept
        : leaf_wait(what), queue_(&queue) {
        wait_node::wake = choose;
    }
    // It is still linked only if its frame is destroyed during the wait: abandoned at its loop's
    // end.
    ~queue_wait() {
        if (linked()) [[unlikely]]
            step_out();
    }

    /// For await_ready of a wait that need not wait. True if the task may go on at once.
    bool acquired() noexcept {
        state |= chosen;
        return may_go_on();
    }
    /// Throws `cancelled` if the task was cancelled. Calls `give_back` before, if something was
    /// granted.
    template <class GiveBack>
    void finish(GiveBack give_back) {
        if (is_refused()) [[unlikely]]
            throw cancelled();
        if (is_cancelled()) [[unlikely]] {
            give_back();
            throw cancelled();
        }
    }

    void run_others_first() noexcept;
    void stand_in_line(wait_queue& queue) noexcept;
    void step_out() noexcept;
    static void choose(wait_node& node, shared_core*) noexcept;

private:
    wait_queue* queue_;
};

/// Aborts with a message, unless an exception is being propagated.
RONDO_API void fail_never_awaited() noexcept;

/// The object that an awaitable waits for, and a mark that it was awaited or passed on. Without the
/// mark it is a forgotten co_await, as in `auto guard = m.lock();`: builds without NDEBUG abort
/// then. The mark is kept in every build, so that objects of both kinds of build may be linked
/// together.
template <class Of>
class to_be_awaited {
public:
    explicit to_be_awaited(Of& of) noexcept : word_(reinterpret_cast<std::uintptr_t>(&of)) {}
    to_be_awaited(const to_be_awaited& other) noexcept : word_(other.word_ |= settled) {}
    ~to_be_awaited() {
#ifndef NDEBUG
        if ((word_ & settled) == 0) fail_never_awaited();
#endif
    }
    Of& await() const noexcept {
        static_assert(alignof(Of) > settled);
        word_ |= settled;
        return *reinterpret_cast<Of*>(word_ & ~settled);
    }

private:
    static constexpr std::uintptr_t settled = 1;
    mutable std::uintptr_t word_;
};

/// The awaitable of such a wait: its Awaiter is made of `of`, and of a datum unless that is void.
template <class Awaiter, class Of, class Datum = void>
class [[nodiscard("nothing is waited for until this is awaited"), gnu::warn_unused]] waiting_for
    : only_in_tasks {
public:
    waiting_for(Of& of, Datum datum) noexcept : of_(of), datum_(datum) {}
    Awaiter rondo_awaiter() const noexcept { return Awaiter(of_.await(), datum_); }

private:
    to_be_awaited<Of> of_;
    Datum datum_;
};
template <class Awaiter, class Of>
class [[nodiscard("nothing is waited for until this is awaited"),
        gnu::warn_unused]] waiting_for<Awaiter, Of, void> : only_in_tasks {
public:
    explicit waiting_for(Of& of) noexcept : of_(of) {}
    Awaiter rondo_awaiter() const noexcept { return Awaiter(of_.await()); }

private:
    to_be_awaited<Of> of_;
};

/// The awaiter of wait_queue::park.
class RONDO_API parking : public queue_wait {
public:
    parking(const wait_kind& what, wait_queue& queue, void (*pass)(void*) noexcept,
            void* context) noexcept
        : queue_wait(what, queue), pass_(pass), context_(context) {}
    bool await_ready() noexcept { return is_cancelled() && cancel_at_start(); }
    void await_resume() {
        finish([this] { pass_(context_); });
    }

private:
    void (*pass_)(void*) noexcept;
    void* context_;
};

class RONDO_API parking_awaitable : only_in_tasks {
public:
    parking_awaitable(const wait_kind& kind, wait_queue& queue, void (*pass)(void*) noexcept,
                      void* context) noexcept
        : kind_(&kind), queue_(&queue), pass_(pass), context_(context) {}
    parking rondo_awaiter() && noexcept { return parking(*kind_, *queue_, pass_, context_); }

private:
    const wait_kind* kind_;
    wait_queue* queue_;
    void (*pass_)(void*) noexcept;
    void* context_;
};

}  // namespace detail

/// A queue of waiting tasks, first come first served. It must outlive its waiters.
/// Thread: its loop's.
/// See:    trio.lowlevel.ParkingLot.
class RONDO_API wait_queue {
public:
    wait_queue() = default;
    wait_queue(const wait_queue&) = delete;
    wait_queue& operator=(const wait_queue&) = delete;
    ~wait_queue();

    /// `co_await queue.park()` waits at the end of the queue until it is chosen.
    /// Cancel: leaves the queue; a waiter that was already chosen chooses the next one instead.
    detail::parking_awaitable park() noexcept;

    /// The same, but if a waiter that was chosen is cancelled, it calls `on_pass(context)` instead,
    /// which passes on what was granted with the choice.
    detail::parking_awaitable park(const detail::wait_kind& kind, void (*on_pass)(void*) noexcept,
                                   void* context) noexcept;

    /// Chooses the longest waiting task. False if no task waits.
    bool unpark_one() noexcept;
    /// Chooses all tasks that wait now. Returns their number.
    std::size_t unpark_all() noexcept;

    bool empty() const noexcept { return waiters_.empty(); }
    /// The number of waiting tasks.
    std::size_t size() const noexcept { return size_; }

    /// The longest wait, for the owner of the queue, which knows the class of its waits.
    detail::queue_wait& front() const noexcept {
        return static_cast<detail::queue_wait&>(waiters_.front());
    }

    /// The name of a wait in diagnostics: `static constexpr auto kind = wait_queue::kind("lock");`
    static constexpr detail::wait_kind kind(const char* what) noexcept;

private:
    friend class detail::queue_wait;
    detail::wait_list waiters_;
    std::size_t size_ = 0;
};

constexpr detail::wait_kind wait_queue::kind(const char* what) noexcept {
    return {what, detail::queue_wait::leave, nullptr};
}

}  // namespace v0
}  // namespace rondo
