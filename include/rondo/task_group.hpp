// SPDX-License-Identifier: MIT
// A task group: children that are started as one goes along, and that have all ended when with_task_group returns.
//
// C++ has no `async with`, and a destructor can neither await nor turn one exception into another: so a group is a
// function that is given its body, not an object on its own.
#pragma once

#include <exception>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/detail/children.hpp>
#include <rondo/detail/guarded.hpp>
#include <rondo/gather.hpp>
#include <rondo/run.hpp>

namespace rondo {
inline namespace v0 {

class task_group;

namespace detail {
template <class F>
auto run_group(F fn) -> std::invoke_result_t<F&, task_group&>;
}

/// The children of one with_task_group.
/// Thread: its loop's.
/// See:    asyncio.TaskGroup, trio.Nursery.
class task_group : detail::children {
public:
    /// Starts `fn(args...)`, which must give a task, as a child; both are kept until it has ended. The future may be
    /// dropped: the group sees the child's error. Children may start children, as long as the group has not ended.
    template <class F, class... Args>
        requires std::is_invocable_v<F&, Args...> && detail::is_task<std::invoke_result_t<F&, Args...>>::value
    auto start(F fn, Args... args) {
        return start(detail::call_held(std::move(fn), std::move(args)...));
    }
    /// Starts a task as a child; it first runs when its turn comes, and not at all under a group that was cancelled.
    template <class T>
    future<T> start(task<T> t, detail::location where = detail::location::current()) {
        return children::start(std::move(t), where);
    }

    template <class T>
    future<T> start(detail::guarded_task<T> t, detail::location where = detail::location::current()) {
        return start(task<T>(std::move(t)), where);
    }
    /// Starts a task that awaits it: `group.start(sleep(1s))`.
    template <detail::native_awaitable A>
        requires(!std::is_base_of_v<task_handle, A>)
    auto start(A awaitable, detail::location where = detail::location::current()) {
        return start(detail::as_task(std::move(awaitable)), where);
    }

    /// Cancels the children and the body; with_task_group then ends normally, unless somebody failed.
    using detail::children::cancel;
    /// Every error so far, in order.
    using detail::children::errors;

private:
    template <class F>
    friend auto detail::run_group(F fn) -> std::invoke_result_t<F&, task_group&>;
    task_group() noexcept : children("a task group") {}
};

namespace detail {

template <class F>
auto run_group(F fn) -> std::invoke_result_t<F&, task_group&> {
    using value = awaited_t<std::invoke_result_t<F&, task_group&>>;
    task_group group;
    std::optional<or_monostate<value>> result;
    try {
        if constexpr (std::is_void_v<value>)
            co_await fn(group);
        else
            result.emplace(co_await fn(group));
    } catch (const cancelled&) {
        group.stopped();  // by its own cancel(), a child's error, or from outside: told apart at the end
    } catch (...) {
        group.fail(std::current_exception());
    }
    co_await group.ended();
    group.rethrow_but_own_cancel();
    if constexpr (!std::is_void_v<value>) {
        if (!result) throw future_cancelled("the task group was cancelled before its body gave a value");
        co_return std::move(*result);
    }
}

}  // namespace detail

/// Calls `fn(task_group&)`, which must give a task, and returns its value when it and every child has ended.
/// Throws: the first error of a child or of the body, after the others were cancelled and have ended; the further ones
///         go to the exception handler.
/// Cancel: cancels the body and the children and awaits their end.
/// See:    asyncio.TaskGroup, trio.open_nursery.
template <class F>
    requires std::is_invocable_v<F&, task_group&>
auto with_task_group(F&& fn) {
    return detail::guarded<F>(detail::run_group<std::decay_t<F>>(std::forward<F>(fn)));
}

}  // namespace v0
}  // namespace rondo
