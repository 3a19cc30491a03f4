// SPDX-License-Identifier: MIT
// The first success wins. When the function returns, the others were cancelled and have released
// what they held.
//
// A failure does not end a race, as its purpose is to survive failures. Errors of tasks that failed
// before another won are dropped. If none wins, the first error is thrown as the type it is, as
// gather does.
#pragma once

#include <cstddef>
#include <exception>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <rondo/gather.hpp>
#include <rondo/sleep.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {

template <class First, class... Rest>
inline constexpr bool all_same = (std::is_same_v<First, Rest> && ...);

/// The result type of a race: the common type, or a variant whose index tells the winner.
template <class... T>
struct race_value {
    using type = std::variant<or_monostate<T>...>;
};
template <class First, class... Rest>
    requires all_same<First, Rest...>
struct race_value<First, Rest...> {
    using type = First;
};
template <class... A>
using race_of = typename race_value<awaited_t<A>...>::type;

template <class Result, std::size_t I, class T>
void take_if_winner(std::optional<Result>& result, const shared_core* winner, future<T>& f) {
    if (&future_core(f) != winner) return;
    if constexpr (std::is_same_v<Result, or_monostate<T>>)
        result.emplace(moved(f));
    else
        result.emplace(std::in_place_index<I>, moved(f));
}

template <class Result, class... T, std::size_t... I>
Result winners_value(const shared_core* winner, std::tuple<future<T>...>& running,
                     std::index_sequence<I...>) {
    std::optional<Result> result;
    (take_if_winner<Result, I>(result, winner, std::get<I>(running)), ...);
    return std::move(*result);
}

/// Awaits the end of a race and returns the winner's value.
template <class T>
task<T> end_of_race(children& group, std::vector<future<T>>& running) {
    co_await group.ended();
    if (group.winner() == nullptr) group.rethrow();
    if constexpr (!std::is_void_v<T>) {
        auto winner = running.begin();
        while (&future_core(*winner) != group.winner()) ++winner;
        co_return moved(*winner);
    }
}

template <class R>
task<awaited_t<element<R>>> race_range(R awaitables) {
    children group("race", children::others::end_on_value);
    std::vector<started<element<R>>> running;
    std::exception_ptr error = start_all(group, running, awaitables);
    if (!error && running.empty())
        error = std::make_exception_ptr(
            std::invalid_argument("race needs at least one awaitable"));
    if (error) group.fail(std::move(error));
    co_return co_await end_of_race(group, running);
}

}  // namespace detail

/// Runs all awaitables concurrently. The first that gives a value wins; the others are cancelled
/// and awaited. Returns the winner's value; if the types differ, as a std::variant (std::monostate
/// for void) whose index tells the winner. They start in argument order. If several are done at the
/// same time, the first in argument order wins.
/// Throws: if all fail, the first error; further errors go to the exception handler.
/// Cancel: cancels all and awaits their end; if one won nevertheless, returns its value.
/// See:    Promise.any; asyncio.wait(FIRST_COMPLETED) and its clean-up; trio's race recipes.
template <detail::awaitable... A>
    requires(sizeof...(A) > 0)
task<detail::race_of<A...>> race(A... awaitables) {
    using result = detail::race_of<A...>;
    detail::children group("race", detail::children::others::end_on_value);
    std::tuple<detail::started<A>...> running;
    if (auto error = detail::start_all(group, running, awaitables...)) group.fail(std::move(error));
    co_await group.ended();
    if (group.winner() == nullptr) group.rethrow();
    if constexpr (!std::is_void_v<result>)
        co_return detail::winners_value<result>(group.winner(), running,
                                                std::index_sequence_for<A...>());
}

/// The same for a range of awaitables of one type.
/// Throws: also std::invalid_argument if the range is empty.
template <detail::kept_range R>
auto race(R&& awaitables) {
    return detail::race_range<std::remove_cvref_t<R>>(std::forward<R>(awaitables));
}
template <class... A>
    requires(!detail::can_be_gathered<A...> || sizeof...(A) == 0)
auto race(A&&...) {
    static_assert(sizeof...(A) > 0, "race needs at least one awaitable");
    if constexpr (sizeof...(A) == 0)
        return detail::refused_call{};
    else
        return detail::refuse_awaitables<A...>();
}
namespace detail {

/// Waits until a child has ended without winning, or `delay` has passed.
inline task<> until_next_start(children& group, duration delay) {
    timeout_scope scope(deadline_after(delay));
    try {
        co_await group.next_end();
    } catch (const cancelled&) {
        if (!scope.timed_out() && !group.over()) throw;
    }
}

template <class T>
[[noreturn]] T rethrow(std::exception_ptr error) {
    std::rethrow_exception(std::move(error));
}
template <class T>
task<T> failed_runner(std::exception_ptr error) {
    co_return rethrow<T>(std::move(error));
}
/// The result of `fn` as a task. If `fn` throws, a task that fails with that.
template <class T, class F, class Element>
task<T> runner_of(F& fn, Element&& element) {
    try {
        return to_task(fn(std::forward<Element>(element)));
    } catch (...) {
        return failed_runner<T>(std::current_exception());
    }
}

template <class R, class F>
auto run_staggered(duration delay, R range, F fn)
    -> task<awaited_t<std::invoke_result_t<F&, decltype(*range.begin())>>> {
    using value = awaited_t<std::invoke_result_t<F&, decltype(*range.begin())>>;
    children group("staggered_race", children::others::end_on_value);
    std::vector<future<value>> running;
    std::size_t replaced = 0;  // failures after which the next one was started
    const auto failures = [&] { return running.size() - group.running(); };
    for (auto next = range.begin(); next != range.end() && !group.over();) {
        try {
            running.push_back(group.start(runner_of<value>(fn, *next)));
        } catch (...) {
            group.fail(std::current_exception());
        }
        if (++next == range.end()) break;
        if (failures() == replaced) co_await until_next_start(group, delay);
        if (failures() != replaced) ++replaced;
    }
    if (running.empty() && !group.over())
        group.fail(std::make_exception_ptr(
            std::invalid_argument("staggered_race needs at least one element")));
    co_return co_await end_of_race(group, running);
}

}  // namespace detail

/// A race whose tasks start one after the other. `fn(element)`, which must return a task, is called
/// for the first element of `range`, and for the next one when `delay` has passed since the last
/// start or a task has failed. The first that gives a value wins; the others are cancelled and
/// awaited. The range and fn are kept until the end. A call of fn that throws counts as a task that
/// has failed.
/// Throws: if all fail, the first error; std::invalid_argument if the range is empty.
/// Cancel: cancels all and awaits their end; if one won nevertheless, returns its value.
/// See:    asyncio.staggered.staggered_race, RFC 8305 (happy eyeballs).
template <detail::iterable R, class F>
    requires detail::maps_to_tasks<R, F>
auto staggered_race(detail::time_limit delay, R range, F&& fn) {
    return detail::guarded<F>(
        detail::run_staggered<R, std::decay_t<F>>(delay, std::move(range), std::forward<F>(fn)));
}

/// The same for a range of callables, each of which returns a task.
template <detail::iterable R>
    requires detail::gives_awaitable<detail::element<R>&>
auto staggered_race(detail::time_limit delay, R starters) {
    return detail::run_staggered(delay, std::move(starters), [](auto& start) { return start(); });
}

namespace detail {

template <class D, class R, class... F>
inline constexpr bool can_be_staggered = false;
template <class D, class R>
inline constexpr bool can_be_staggered<D, R> = std::is_convertible_v<D, duration> && requires {
    requires gives_awaitable<element<std::decay_t<R>>&>;
};
template <class D, class R, class F>
inline constexpr bool can_be_staggered<D, R, F> =
    std::is_convertible_v<D, duration> && maps_to_tasks<std::decay_t<R>, F>;

template <class D, class R, class... F>
constexpr refused_call refuse_staggered() {
    using range = std::decay_t<R>;
    if constexpr (!std::is_convertible_v<D, duration>)
        return refuse_duration<D>();
    else if constexpr (!iterable<range>)
        static_assert(is_meant<R>,
                      "staggered_race(delay, range, fn): the second argument is no range");
    else if constexpr (sizeof...(F) == 1)
        return refuse_function<F..., decltype(*std::declval<range&>().begin())>();
    else
        static_assert(
            is_meant<R>,
            "staggered_race starts its runners one by one: pass functions that give tasks, "
            "or values and one function");
    return {};
}

}  // namespace detail

template <class D, class R, class... F>
    requires(!detail::can_be_staggered<D, R, F...>)
auto staggered_race(D&&, R&&, F&&...) {
    return detail::refuse_staggered<D, R, F...>();
}

}  // namespace v0
}  // namespace rondo
