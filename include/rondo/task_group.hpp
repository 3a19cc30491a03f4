// SPDX-License-Identifier: MIT
// **Declare objects that children borrow outside the body of their group.** The locals of the body
// are destroyed when it returns or throws, and the group waits for its children after that.
//
//     std::string text = "outlives the group";  // here, not inside the body
//     co_await with_task_group([&](task_group& group) -> task<> {
//         group.start(child, std::ref(text));
//         group.start(other, std::string("kept with the child"));  // arguments live as long as it
//         co_return;
//     });
//
// A task group: child tasks that are started one by one, and that have all ended when
// with_task_group returns.
//
// C++ has no `async with`, and a destructor can neither await nor turn one exception into another.
// So a group is a function that takes its body, not an object of its own.
#pragma once

#include <exception>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/detail/compose/children.hpp>
#include <rondo/detail/coroutine/guarded.hpp>
#include <rondo/gather.hpp>
#include <rondo/run.hpp>

namespace rondo {
inline namespace v0 {

class task_group;

/// Options of with_task_group.
struct group_options {
    bool all_errors = false;  ///< throw a group_error with all errors, not only the first one
};
static_assert(std::is_trivially_destructible_v<group_options>);  // g++ 12: see docs/gcc12.md

namespace detail {
template <class F>
auto run_group(F fn, group_options options) -> std::invoke_result_t<F&, task_group&>;
}

/// The children of one with_task_group.
/// Thread: its loop's.
/// See:    asyncio.TaskGroup, trio.Nursery.
class task_group : detail::children {
public:
    /// Starts `fn(args...)`, which must return a task, as a child. Both are kept until it has
    /// ended. The future may be dropped: the group gets the child's error. Children may start
    /// children as long as the group has not ended. Cancelling the future ends that child only.
    template <class F, class... Args>
        requires detail::gives_task<F&, Args...>
    auto start(F fn, Args... args) {
        return start(detail::call_held(std::move(fn), std::move(args)...));
    }
    /// Starts a task as a child. It first runs in a later turn, and not at all if the group was
    /// cancelled.
    template <class T>
    future<T> start(task<T> t, detail::location where = detail::location::current()) {
        return children::start(std::move(t), where);
    }

    template <class T>
    future<T> start(detail::guarded_task<T> t,
                    detail::location where = detail::location::current()) {
        return start(task<T>(std::move(t)), where);
    }
    /// Starts a task that awaits it: `group.start(sleep(1s))`.
    template <detail::native_awaitable A>
        requires(!std::is_base_of_v<task_handle, A>)
    auto start(A awaitable, detail::location where = detail::location::current()) {
        return start(detail::as_task(std::move(awaitable)), where);
    }

    template <class F, class... Args>
        requires(!detail::gives_task<std::decay_t<F>&, std::decay_t<Args>...> &&
                 !(detail::awaitable<std::decay_t<F>> && sizeof...(Args) == 0))
    auto start(F&&, Args&&...) {
        if constexpr (detail::callable<std::decay_t<F>>)
            return detail::refuse_kept_function<F, Args...>();
        else
            return detail::refuse_awaitable<F>();
    }

    /// Cancels the children and the body; with_task_group then ends normally, unless one of them
    /// failed.
    using detail::children::cancel;
    /// All errors so far, in order.
    using detail::children::errors;

private:
    template <class F>
    friend auto detail::run_group(F fn, group_options options)
        -> std::invoke_result_t<F&, task_group&>;
    task_group() noexcept : children("a task group", others::end_on_failure) {}
};

namespace detail {

template <class F>
auto run_group(F fn, group_options options) -> std::invoke_result_t<F&, task_group&> {
    using value = awaited_t<std::invoke_result_t<F&, task_group&>>;
    task_group group;
    std::optional<or_monostate<value>> result;
    try {
        if constexpr (std::is_void_v<value>)
            co_await fn(group);
        else
            result.emplace(co_await fn(group));
    } catch (const cancelled&) {
        group.stopped();  // by its cancel(), a child's error, or from outside: see rethrow
    } catch (...) {
        group.fail(std::current_exception());
    }
    co_await group.ended();
    if (options.all_errors) group.throw_all_errors();
    group.rethrow_but_own_cancel();
    if constexpr (!std::is_void_v<value>) {
        if (!result)
            throw future_cancelled("the task group was cancelled before its body gave a value");
        co_return std::move(*result);
    }
}

}  // namespace detail

/// Calls `fn(task_group&)`, which must return a task, and returns its value when it and all
/// children have ended. A child that was cancelled by its own future is no error. The locals of
/// fn's task are destroyed before its children end: see the head of this file.
/// Throws: the first error of a child or of the body, after the others were cancelled and have
///         ended; further errors go to the exception handler. With `all_errors`: group_error. A
///         `cancelled` that leaves an uncancelled child counts as an error.
/// Cancel: cancels the body and the children and awaits their end.
/// See:    asyncio.TaskGroup, trio.open_nursery.
template <class F>
    requires detail::gives_task<F&, task_group&>
auto with_task_group(F&& fn, group_options options = {}) {
    return detail::guarded<F>(detail::run_group<std::decay_t<F>>(std::forward<F>(fn), options));
}

namespace detail {

template <class F, class... More>
constexpr refused_call refuse_group() {
    if constexpr (!callable<std::decay_t<F>>)
        static_assert(is_meant<F>,
                      "with_task_group takes a function, which it calls with a rondo::task_group&");
    else if constexpr (!std::is_invocable_v<F&, task_group&>)
        static_assert(is_meant<F>,
                      "the body of a task group takes one argument, a rondo::task_group&");
    else if constexpr (!gives_task<F&, task_group&>)
        static_assert(
            is_meant<F>,
            "the body of a task group is a coroutine: its result type is rondo::task<...>");
    else
        static_assert(
            is_meant<F>,
            "after the body of a task group come rondo::group_options, and nothing else");
    return {};
}

}  // namespace detail

template <class F, class... More>
    requires(!detail::gives_task<F&, task_group&> || sizeof...(More) > 1 ||
             !(std::is_convertible_v<More, group_options> && ...))
auto with_task_group(F&&, More&&...) {
    return detail::refuse_group<F, More...>();
}

}  // namespace v0
}  // namespace rondo
