// SPDX-License-Identifier: MIT
// task<T>: a coroutine that has not been started.
//
// Awaiting it runs it inside the awaiting task, like a function call that may suspend. Handing it
// to the loop (create_task, gather, a task group) runs it as a task of its own. Both use the same
// frame. Its promise begins with the part that a future needs (shared_core). It has room for the
// part that a running task needs (task_record), which stays untouched memory until the frame is
// launched. So a spawned task is one allocation, and an awaited one too.
//
// A chain of awaits has one suspension point, at its leaf. The record of the chain's root stores it
// (`point`), and every frame of the chain stores the awaiter that waits for it. A frame that ends
// transfers control through the trampoline (resumer.hpp).
//
// The parts are in detail/coroutine: task_record.hpp (a running task and its waits),
// task_promise.hpp (the head of a frame), launch.hpp (starting a task), foreign.hpp (awaiting types
// of other libraries).
#pragma once

#include <rondo/config.hpp>

#include <coroutine>
#include <type_traits>
#include <utility>

#include <rondo/detail/base/assert.hpp>
#include <rondo/detail/coroutine/launch.hpp>
#include <rondo/detail/coroutine/task_promise.hpp>
#include <rondo/detail/coroutine/task_record.hpp>
#include <rondo/error.hpp>

namespace rondo {
inline namespace v0 {

/// A coroutine that has not been started: lazy, move-only, awaited once. `co_await std::move(t)`
/// runs it as a part of the running task and returns its result or throws its exception.
/// create_task, gather, a task group and run make a task of its own of it. A task that is destroyed
/// without having been started never runs; its parameters are destroyed.
/// Cancel: awaiting a task is not a wait by itself; the waits inside it throw `cancelled`.
/// See:    asyncio's coroutine objects.
template <class T = void>
class [[nodiscard("a task that is neither awaited nor handed to the loop never runs")]] task {
public:
    using value_type = T;
    using promise_type = detail::task_promise<T>;

    task(task&& other) noexcept : promise_(std::exchange(other.promise_, nullptr)) {}
    task& operator=(task&& other) noexcept {
        task old(std::move(other));
        std::swap(promise_, old.promise_);
        return *this;
    }
    task(const task&) = delete;  // a task is awaited once: pass std::move(t)
    task& operator=(const task&) = delete;
    ~task() {
        if (promise_ != nullptr) detail::destroy_shared(*promise_);
    }

    /// Returns: false after it was moved from, awaited or handed to the loop.
    bool valid() const noexcept { return promise_ != nullptr; }

    template <class Never = void>
    std::suspend_never operator co_await() const noexcept {
        static_assert(!std::is_void_v<Never>,
                      "a rondo::task can only be awaited inside another rondo::task; from "
                      "elsewhere use rondo::run or loop.create_task");
        return {};
    }

    /// For functions that start tasks: the promise of the frame, which has not been entered.
    promise_type& peek() const noexcept {
        RONDO_ASSERT(promise_ != nullptr, "this task was moved from, awaited or started before");
        return *promise_;
    }
    /// Gives up ownership of the frame. Returns: its promise.
    promise_type& release() noexcept { return *std::exchange(promise_, nullptr); }

private:
    friend promise_type;
    friend detail::awaiting_promise;
    explicit task(promise_type* promise) noexcept : promise_(promise) {}

    promise_type* promise_;
};
static_assert(sizeof(task<>) == sizeof(void*));

inline task<void> detail::task_promise<void>::get_return_object() noexcept {
    return task<void>(this);
}

}  // namespace v0
}  // namespace rondo

#include <rondo/detail/coroutine/foreign.hpp>
