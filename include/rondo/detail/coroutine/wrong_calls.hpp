// SPDX-License-Identifier: MIT
// Compiler messages for wrong calls. Each function that starts or awaits tasks has, beside its
// overloads, one that takes everything else; its static_assert says in one sentence what is wrong.
// Without it, a compiler lists every overload with the reason why it does not match.
// tests/must_not_compile has the calls.
//
// Passing a named task is not covered here: it fails at the deleted copy constructor of task, and
// the comment on that line says what to write.
#pragma once

#include <chrono>
#include <concepts>
#include <type_traits>
#include <utility>

#include <rondo/config.hpp>
#include <rondo/detail/coroutine/guarded.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

template <class R>
concept iterable = requires(R& range) {
    range.begin() != range.end();
    *range.begin();
};

template <class R>
using element = std::remove_cvref_t<decltype(*std::declval<R&>().begin())>;

/// An awaitable of rondo: a task, a future, an operation.
template <class A>
concept awaitable = is_task<std::remove_cvref_t<A>>::value || native_awaitable<A>;

/// An awaitable of rondo or of another library.
template <class A>
concept any_awaitable = awaitable<A> || requires(A a) { a.await_ready(); } ||
                        requires(A a) { std::move(a).operator co_await(); } ||
                        requires(A a) { operator co_await(std::move(a)); };

/// `fn(args...)` returns a task.
template <class F, class... Args>
concept gives_task = std::is_invocable_v<F, Args...> && requires {
    requires is_task<std::invoke_result_t<F, Args...>>::value;
};

/// `fn(args...)` returns a task or another awaitable of rondo.
template <class F, class... Args>
concept gives_awaitable = std::is_invocable_v<F, Args...> && requires {
    requires awaitable<std::invoke_result_t<F, Args...>>;
};

/// A function, or an object that can be called.
template <class F>
concept callable = std::is_function_v<std::remove_pointer_t<F>> || std::is_member_pointer_v<F> ||
                   requires { &F::operator(); } || std::is_invocable_v<F&>;

/// Result of a wrong call: converts to everything and can be awaited, so that the compiler reports
/// the call only and nothing that follows from it.
struct refused_call {
    template <class T>
    operator T() const;
    struct awaiter {
        bool await_ready() const noexcept { return true; }
        void await_suspend(std::coroutine_handle<>) const noexcept {}
        refused_call await_resume() const noexcept { return {}; }
    };
    awaiter rondo_awaiter() const noexcept { return {}; }
};

template <class>
inline constexpr bool is_meant = false;

/// Fails for an argument that cannot be awaited. A is its type as it was passed.
template <class A>
constexpr refused_call refuse_awaitable() {
    using given = std::decay_t<A>;
    if constexpr (iterable<given>)
        static_assert(is_meant<A>,
                      "a range cannot be awaited: pass its elements one by one, or a range of "
                      "awaitables to gather");
    else if constexpr (callable<given>)
        static_assert(is_meant<A>, "a function cannot be awaited: call it and pass its result");
    else if constexpr (requires { given::period::den; })
        static_assert(is_meant<A>,
                      "a duration cannot be awaited: a time limit is the first argument");
    else
        static_assert(is_meant<A>,
                      "this cannot be awaited: pass a task, a future or another awaitable of "
                      "rondo");
    return {};
}

/// Fails for a function that cannot be called with Args, or that does not return a task. Functions
/// with further requirements check those themselves.
template <class F, class... Args>
constexpr refused_call refuse_function() {
    using given = std::decay_t<F>;
    if constexpr (awaitable<given>)
        static_assert(is_meant<F>,
                      "this is the result of a call: pass the function itself, followed by its "
                      "arguments");
    else if constexpr (!callable<given>)
        static_assert(is_meant<F>,
                      "this is not a function: pass a function that returns a task, followed by "
                      "its arguments");
    else if constexpr (std::is_invocable_v<given&, Args...>)
        static_assert(is_meant<F>,
                      "the function does not return a task: make it a coroutine that returns "
                      "rondo::task<...>");
    else if constexpr (std::is_invocable_v<given&, std::remove_reference_t<Args>&...>)
        static_assert(is_meant<F>,
                      "the function takes a reference, but its arguments are kept as copies: pass "
                      "std::ref(argument)");
    else
        static_assert(is_meant<F>, "the function cannot be called with these arguments");
    return {};
}

/// refuse_function for calls that keep copies of the arguments.
template <class F, class... Args>
constexpr refused_call refuse_kept_function() {
    return refuse_function<F, std::decay_t<Args>...>();
}

template <class D>
inline constexpr bool is_duration = requires { typename std::remove_cvref_t<D>::period; };

/// Fails for a time limit that is not a duration.
template <class D>
constexpr refused_call refuse_duration() {
    if constexpr (std::is_arithmetic_v<std::remove_cvref_t<D>>)
        static_assert(is_meant<D>,
                      "a duration needs a unit: write 5s or 100ms, with std::chrono_literals");
    else
        static_assert(is_meant<D>,
                      "a duration is expected here, such as 5s or 100ms: is the order of the "
                      "arguments right?");
    return {};
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
