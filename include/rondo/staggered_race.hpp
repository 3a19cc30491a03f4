// SPDX-License-Identifier: MIT
// A race whose tasks start one after the other. A failure starts the next one.
#pragma once

#include <cstddef>
#include <exception>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/detail/compose/first_of.hpp>
#include <rondo/sleep.hpp>

namespace rondo {
inline namespace v0 {

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
