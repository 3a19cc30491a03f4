// SPDX-License-Identifier: MIT
// A FIFO of tasks that wait for another task: the only place that parks a task for a task. Mutex, semaphore, queue and
// event are this, seen several ways.
//
// Law 3: what another task of the loop has granted is taken back until the waiter has resumed. So a waiter that was
// chosen by `unpark_one` and is cancelled before it runs passes the choice on: `on_pass` is called, by default the next
// in line is chosen. No wake-up is ever lost.
#pragma once

#include <coroutine>
#include <cstddef>

#include <rondo/detail/shared_core.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {

class wait_queue;

namespace detail {

/// The awaiter of wait_queue::park.
class RONDO_API parking : leaf_wait, wait_node {
public:
    parking(const wait_kind& kind, wait_queue& queue, void (*pass)(void*) noexcept,
            void* context) noexcept;
    ~parking();
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> frame,
                       location at = location::current()) noexcept;
    void await_resume();

private:
    friend class rondo::wait_queue;
    friend struct parking_kind;
    enum : std::uint32_t { refused = 1, chosen = 2 };
    static void leave(leaf_wait& wait) noexcept;
    static void choose(wait_node& node, shared_core*) noexcept;
    void pass_on() noexcept;

    wait_queue* queue_;
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

/// Tasks that wait, first come first served. It must outlive its waiters.
/// Thread: its loop's.
/// See:    trio.lowlevel.ParkingLot.
class RONDO_API wait_queue {
public:
    wait_queue() = default;
    wait_queue(const wait_queue&) = delete;
    wait_queue& operator=(const wait_queue&) = delete;
    ~wait_queue();

    /// `co_await queue.park()` waits at the end of the line until it is chosen.
    /// Cancel: leaves the line; one that was already chosen chooses the next one in its place.
    detail::parking_awaitable park() noexcept;

    /// The same, and `on_pass(context)` is called instead when one that was chosen is cancelled: hand on what was
    /// granted with it.
    detail::parking_awaitable park(const detail::wait_kind& kind, void (*on_pass)(void*) noexcept,
                                   void* context) noexcept;

    /// Chooses the one that waits longest; false where nobody waits.
    bool unpark_one() noexcept;
    /// Chooses everybody who waits now; returns how many.
    std::size_t unpark_all() noexcept;

    bool empty() const noexcept { return waiters_.empty(); }
    /// How many wait.
    std::size_t size() const noexcept { return size_; }

    /// What a wait of this kind is called in diagnostics: `static constexpr auto kind = wait_queue::kind("lock");`
    static constexpr detail::wait_kind kind(const char* what) noexcept;

private:
    friend class detail::parking;
    detail::wait_list waiters_;
    std::size_t size_ = 0;
};

namespace detail {
struct parking_kind {
    static RONDO_API void leave(leaf_wait& wait) noexcept;
};
}  // namespace detail

constexpr detail::wait_kind wait_queue::kind(const char* what) noexcept {
    return {what, detail::parking_kind::leave, nullptr};
}

}  // namespace v0
}  // namespace rondo
