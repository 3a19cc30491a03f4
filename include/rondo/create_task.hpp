// SPDX-License-Identifier: MIT
// create_task and ensure_future: they start a task and give its future. future.hpp includes this.
#pragma once

#include <string_view>
#include <type_traits>
#include <utility>

#include <rondo/detail/coroutine/guarded.hpp>
#include <rondo/detail/coroutine/wrong_calls.hpp>
#include <rondo/future.hpp>

namespace rondo {
inline namespace v0 {

/// Options of create_task.
struct task_options {
    std::string_view name{};  ///< for diagnostics; copied
    bool eager = false;       ///< run its body up to its first wait before create_task returns
};
static_assert(std::is_trivially_destructible_v<task_options>);  // g++ 12: see docs/gcc12.md

namespace detail {

template <class T>
future<T> create_in(resumer& home, task<T> t, const task_options& options, location where) {
    const bool binds = here.current != nullptr && here.current->home == &home &&
                       (here.current->innermost->flags & scope::under_bindings) != 0;
    owned_name name;
    if (!options.name.empty())
        name.reset(make_name(where.file, options.name.data(), options.name.size()));
    scope& under = binds ? copy_bindings(home.top()) : home.top();
    task_record& record = prepare(t.peek(), home, under, where, name.release());
    future<T> handle(t.release());
    if (options.eager && here.turn == &home) [[unlikely]]
        start_eagerly(record);
    else
        home.push(record);
    return handle;
}

}  // namespace detail

/// Starts `t` as a task of the running loop, which owns it from now on. It first runs in the next
/// turn, in creation order; with `options.eager`, at once.
///
/// Dropping the future detaches the task. Give it values, never references to the caller's locals:
/// a task that borrows is started by gather, map_concurrent or with_task_group.
/// Throws: no_running_loop_error, std::bad_alloc.
/// Cancel: the task's scope is below the loop's scope, not below the caller's.
/// See:    asyncio.create_task.
template <class T>
future<T> create_task(task<T> t, task_options options = {},
                      detail::location where = detail::location::current()) {
    return detail::create_in(detail::running(), std::move(t), options, where);
}

namespace detail {
template <class A>
struct await_result {};
template <class T>
struct await_result<task<T>> {
    using type = T;
};
template <native_awaitable A>
struct await_result<A> {
    using type = std::remove_cvref_t<decltype(std::declval<A>().rondo_awaiter().await_resume())>;
};
/// The type that co_await gives.
template <class A>
using awaited = typename await_result<A>::type;

template <class A>
task<awaited<A>> as_task(A awaitable) {
    co_return co_await std::move(awaitable);
}
}  // namespace detail

/// The same for the result of a function that was passed an owning closure (docs/gcc12.md), and for
/// any other awaitable that is no task yet: `create_task(sleep(1s))`.
template <class T>
future<T> create_task(detail::guarded_task<T> t, task_options options = {},
                      detail::location where = detail::location::current()) {
    return create_task(task<T>(std::move(t)), options, where);
}
template <detail::native_awaitable A>
    requires(!std::is_base_of_v<task_handle, A>)
auto create_task(A awaitable, task_options options = {},
                 detail::location where = detail::location::current()) {
    return create_task(detail::as_task(std::move(awaitable)), options, where);
}

/// A future of any awaitable: a task is started, a future is returned as it is, any other awaitable
/// is awaited by a new task.
/// See: asyncio.ensure_future.
template <class T>
future<T> ensure_future(task<T> t, detail::location where = detail::location::current()) {
    return create_task(std::move(t), {}, where);
}
template <class T>
future<T> ensure_future(future<T> f) noexcept {
    return f;
}
template <detail::native_awaitable A>
auto ensure_future(A awaitable, detail::location where = detail::location::current()) {
    return create_task(std::move(awaitable), {}, where);
}

namespace detail {

template <class A>
inline constexpr bool can_be_started = !std::is_base_of_v<task_handle, A> && awaitable<A>;

/// Error messages of create_task, and of ensure_future, which takes futures too.
template <class A>
constexpr refused_call refuse_start() {
    if constexpr (std::is_base_of_v<task_handle, std::decay_t<A>>)
        static_assert(is_meant<A>, "this is a future: its task runs already");
    else if constexpr (any_awaitable<std::decay_t<A>>)
        static_assert(is_meant<A>,
                      "this is no awaitable of rondo: await it in a coroutine, and start that");
    else if constexpr (iterable<std::decay_t<A>>)
        static_assert(is_meant<A>,
                      "a range is not started: start its elements one by one, or gather them");
    else if constexpr (callable<std::decay_t<A>>)
        static_assert(is_meant<A>,
                      "a function is not started: call it, and pass the task that it returns");
    else
        return refuse_awaitable<A>();
    return {};
}

}  // namespace detail

template <class A, class... More>
    requires(!detail::can_be_started<std::decay_t<A>>)
auto create_task(A&&, More&&...) {
    return detail::refuse_start<A>();
}
template <class A>
    requires(!detail::awaitable<std::decay_t<A>>)
auto ensure_future(A&&) {
    return detail::refuse_start<A>();
}

}  // namespace v0
}  // namespace rondo
