// SPDX-License-Identifier: MIT
// Sentences of the compiler for calls that cannot be meant. Each verb has, beside its overloads, one that takes
// everything else and says in one static_assert what is wrong: without it a compiler lists every overload with the
// reason why it does not fit. tests/must_not_compile has the calls.
//
// A named task is not among them: it fails at the deleted copy of task, whose line says what to write.
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

/// Something that is awaited: a task, a future, an operation.
template <class A>
concept awaitable = is_task<std::remove_cvref_t<A>>::value || native_awaitable<A>;

/// The same, or something of other people's that can be awaited.
template <class A>
concept any_awaitable = awaitable<A> || requires(A a) { a.await_ready(); } ||
                        requires(A a) { std::move(a).operator co_await(); } ||
                        requires(A a) { operator co_await(std::move(a)); };

/// `fn(args...)` gives a task.
template <class F, class... Args>
concept gives_task = std::is_invocable_v<F, Args...> && requires {
    requires is_task<std::invoke_result_t<F, Args...>>::value;
};

/// ... or something else that is awaited.
template <class F, class... Args>
concept gives_awaitable = std::is_invocable_v<F, Args...> && requires {
    requires awaitable<std::invoke_result_t<F, Args...>>;
};

/// A function, or an object that can be called.
template <class F>
concept callable = std::is_function_v<std::remove_pointer_t<F>> || std::is_member_pointer_v<F> ||
                   requires { &F::operator(); } || std::is_invocable_v<F&>;

/// What a call that cannot be meant gives, so that the compiler complains of that call and of nothing that follows.
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

/// Of what cannot be awaited: A is its type as it was passed.
template <class A>
constexpr refused_call refuse_awaitable() {
    using given = std::decay_t<A>;
    if constexpr (iterable<given>)
        static_assert(is_meant<A>,
                      "a range is not awaited: pass its elements one by one, or a range of awaitables to gather");
    else if constexpr (callable<given>)
        static_assert(is_meant<A>, "a function is not awaited: call it, and pass what it gives");
    else if constexpr (requires { given::period::den; })
        static_assert(is_meant<A>, "a span of time is not awaited: a time limit is the first argument");
    else
        static_assert(is_meant<A>,
                      "this cannot be awaited: pass a task, a future or another awaitable of rondo");
    return {};
}

/// Of a function that cannot be called with Args, or gives no task. A verb that asks for more says so itself.
template <class F, class... Args>
constexpr refused_call refuse_function() {
    using given = std::decay_t<F>;
    if constexpr (awaitable<given>)
        static_assert(is_meant<F>, "this is what a function gave: pass the function itself, and its arguments after it");
    else if constexpr (!callable<given>)
        static_assert(is_meant<F>, "this is no function: pass a function that gives a task, and its arguments after it");
    else if constexpr (std::is_invocable_v<given&, Args...>)
        static_assert(is_meant<F>,
                      "the function gives no task: make it a coroutine, whose result type is rondo::task<...>");
    else if constexpr (std::is_invocable_v<given&, std::remove_reference_t<Args>&...>)
        static_assert(is_meant<F>,
                      "the function takes a reference, but its arguments are kept as copies: pass std::ref(argument)");
    else
        static_assert(is_meant<F>, "the function cannot be called with these arguments");
    return {};
}

/// The same of a verb that keeps copies of the arguments.
template <class F, class... Args>
constexpr refused_call refuse_kept_function() {
    return refuse_function<F, std::decay_t<Args>...>();
}

/// Of a time limit.
template <class D>
inline constexpr bool is_duration = requires { typename std::remove_cvref_t<D>::period; };
template <class D>
constexpr refused_call refuse_duration() {
    if constexpr (std::is_arithmetic_v<std::remove_cvref_t<D>>)
        static_assert(is_meant<D>, "a span of time has a unit: write 5s or 100ms, with std::chrono_literals");
    else
        static_assert(is_meant<D>, "a span of time is expected here, as 5s or 100ms: is the order of the arguments right?");
    return {};
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
