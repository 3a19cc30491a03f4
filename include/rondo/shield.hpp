// SPDX-License-Identifier: MIT
// Shields: they delay a cancellation until a task has ended, for clean-up that awaits; and let a
// task wait for a future without cancelling the task of the future.
#pragma once

#include <type_traits>
#include <utility>

#include <rondo/detail/coroutine/guarded.hpp>
#include <rondo/detail/coroutine/wrong_calls.hpp>
#include <rondo/future.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {

template <class F, class... Args>
auto run_shielded(F fn, Args... args) -> std::invoke_result_t<F&, Args...> {
    inner_scope scope(inner_scope::kind::shield);
    co_return co_await fn(std::move(args)...);
}

}  // namespace detail

/// Delays a cancellation until `inner` has ended; the wait after it then throws. For clean-up that
/// awaits.
/// See: asyncio.shield, trio's shielded scopes.
template <class T>
task<T> shield(task<T> inner) {
    detail::inner_scope scope(detail::inner_scope::kind::shield);
    co_return co_await std::move(inner);
}

template <class T>
task<T> shield(detail::guarded_task<T> inner) {
    return shield(task<T>(std::move(inner)));
}

/// The same for a callable and its arguments, which live until its task has ended.
/// See: trio.CancelScope(shield=True).
template <class F, class... Args>
    requires detail::gives_task<F&, Args...>
auto with_shield(F&& fn, Args... args) {
    return detail::guarded<F>(
        detail::run_shielded<std::decay_t<F>, Args...>(std::forward<F>(fn), std::move(args)...));
}
template <class F, class... Args>
    requires(!detail::gives_task<F&, std::decay_t<Args>...>)
auto with_shield(F&&, Args&&...) {
    return detail::refuse_kept_function<F, Args...>();
}

/// Awaits a future without cancelling its task.
/// Cancel: ends the wait at once; the task goes on, also if it has no other waiter.
/// See:    asyncio.shield.
template <class T>
task<T> shield(future<T> f) {
    const detail::future_keeper keeper(detail::future_core(f));
    co_return co_await std::move(f);
}

namespace detail {
template <class A>
inline constexpr bool can_be_shielded = is_task<A>::value;
template <class T>
inline constexpr bool can_be_shielded<guarded_task<T>> = true;
template <class T>
inline constexpr bool can_be_shielded<future<T>> = true;

template <class A>
constexpr refused_call refuse_shield() {
    if constexpr (any_awaitable<std::decay_t<A>>)
        static_assert(is_meant<A>,
                      "shield takes a task or a future: await this inside a function, and pass "
                      "that to with_shield");
    else if constexpr (callable<std::decay_t<A>>)
        static_assert(is_meant<A>,
                      "shield takes a task: call the function, or pass it to with_shield");
    else
        return refuse_awaitable<A>();
    return {};
}
}  // namespace detail

template <class A>
    requires(!detail::can_be_shielded<std::decay_t<A>>)
auto shield(A&&) {
    return detail::refuse_shield<A>();
}

}  // namespace v0
}  // namespace rondo
