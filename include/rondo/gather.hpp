// SPDX-License-Identifier: MIT
// Structured concurrency: tasks that are started here have ended when the function returns or
// throws, so children may borrow from the caller's frame. On the first error the others are
// cancelled and awaited, then that error is thrown as the type it is; further errors go to the
// loop's exception handler. asyncio leaves the siblings running instead, which its users have
// complained about for ten years.
#pragma once

#include <cstddef>
#include <exception>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <rondo/detail/compose/children.hpp>
#include <rondo/detail/coroutine/guarded.hpp>
#include <rondo/detail/coroutine/wrong_calls.hpp>
#include <rondo/error.hpp>
#include <rondo/sleep.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {

template <class R>
concept awaitables = iterable<std::remove_cvref_t<R>> && awaitable<element<R>>;

/// True if a const R gives const elements. A container, which owns its elements, does; a view does
/// not.
template <class R>
concept owns_elements = requires(const R& range) {
    requires std::is_const_v<std::remove_reference_t<decltype(*range.begin())>>;
};

/// An element of R, to be awaited. If R is a view, the element is copied if possible: its owner
/// keeps it.
template <class R, class E>
std::remove_cvref_t<E> taken(E&& given) {
    if constexpr (std::is_lvalue_reference_v<E> && !owns_elements<R> &&
                  std::is_copy_constructible_v<std::remove_cvref_t<E>>)
        return given;
    else
        return std::move(given);
}

/// A range that may be passed on. A named container of tasks is none: it cannot be copied, and is
/// not moved without std::move.
template <class R>
concept kept_range =
    awaitables<R> && (!std::is_lvalue_reference_v<R> || !owns_elements<std::remove_cvref_t<R>> ||
                      std::is_copy_constructible_v<element<R>>);

/// Error messages of functions with several awaitables, about the first argument that is none.
template <class First, class... Rest>
constexpr refused_call refuse_first() {
    if constexpr (awaitable<std::decay_t<First>>)
        return refuse_first<Rest...>();
    else
        return refuse_awaitable<First>();
}
template <class... A>
constexpr refused_call refuse_awaitables() {
    if constexpr (sizeof...(A) == 1 && (awaitables<A> && ...))
        static_assert((is_meant<A> && ...),
                      "the tasks of a range are moved into the call: pass std::move(range)");
    else
        return refuse_first<A...>();
    return {};
}

template <class... A>
inline constexpr bool can_be_gathered = (awaitable<std::decay_t<A>> && ...);
template <class R>
inline constexpr bool can_be_gathered<R> =
    awaitable<std::decay_t<R>> || kept_range<R>;

template <class A>
using started = future<awaited_t<A>>;

/// Starts every awaitable, in argument order, and keeps the futures in `running`. Returns the error
/// of one that could not be started; null if all were. Children that were started before it run.
template <class... A>
std::exception_ptr start_all(children& group, std::tuple<started<A>...>& running,
                             A&... awaitables) noexcept {
    try {
        running = std::tuple<started<A>...>{group.start(to_task(std::move(awaitables)))...};
    } catch (...) {
        return std::current_exception();
    }
    return nullptr;
}

/// The same for the elements of a range, in its order.
template <class R>
std::exception_ptr start_all(children& group, std::vector<started<element<R>>>& running,
                             R& range) noexcept {
    try {
        if constexpr (requires { range.size(); }) running.reserve(range.size());
        for (auto&& given : range)
            running.push_back(group.start(to_task(taken<R>(std::forward<decltype(given)>(given)))));
    } catch (...) {
        return std::current_exception();
    }
    return nullptr;
}

/// The value of a child task that has one, moved out; std::monostate for void.
template <class T>
or_monostate<T> moved(future<T>& f) {
    if constexpr (std::is_void_v<T>)
        return {};
    else
        return static_cast<task_promise<T>&>(future_core(f)).take();
}

template <class... A>
inline constexpr bool all_void = (std::is_void_v<awaited_t<A>> && ...);

template <class... A>
using tuple_of = std::tuple<or_monostate<awaited_t<A>>...>;

}  // namespace detail

/// Runs all awaitables concurrently and returns their values in order: a tuple, with
/// `std::monostate` for void; nothing if all are void. They start in argument order. A future among
/// them is only awaited: if the gather gives it up, its task is cancelled if no other task waits
/// for it, and not waited for.
/// Throws: the first error, after the others were cancelled and have ended.
/// Cancel: cancels all and awaits their end; if all gave a value nevertheless, returns the values.
/// See:    asyncio.gather, which leaves the others running on an error.
template <detail::awaitable... A>
auto gather(A... awaitables)
    -> task<std::conditional_t<detail::all_void<A...>, void, detail::tuple_of<A...>>> {
    detail::children group("gather");
    std::tuple<detail::started<A>...> running;
    if (auto error = detail::start_all(group, running, awaitables...)) group.fail(std::move(error));
    co_await group.ended();
    if (group.incomplete()) group.rethrow();
    if constexpr (!detail::all_void<A...>)
        co_return std::apply(
            [](auto&... f) { return detail::tuple_of<A...>(detail::moved(f)...); }, running);
}

namespace detail {

template <class R>
auto gather_range(R awaitables)
    -> task<std::conditional_t<all_void<element<R>>, void,
                               std::vector<or_monostate<awaited_t<element<R>>>>>> {
    using value = awaited_t<element<R>>;
    children group("gather");
    std::vector<future<value>> running;
    if (auto error = start_all(group, running, awaitables)) group.fail(std::move(error));
    co_await group.ended();
    if (group.incomplete()) group.rethrow();
    if constexpr (!std::is_void_v<value>) {
        std::vector<value> values;
        values.reserve(running.size());
        for (auto& f : running) values.push_back(moved(f));
        co_return values;
    }
}

}  // namespace detail

/// The same for a range of awaitables of one type. Returns a vector of their values, nothing for
/// void. A container is moved or copied; the owner of the futures in a view keeps them.
template <detail::kept_range R>
auto gather(R&& awaitables) {
    return detail::gather_range<std::remove_cvref_t<R>>(std::forward<R>(awaitables));
}
template <class... A>
    requires(!detail::can_be_gathered<A...>)
auto gather(A&&...) {
    return detail::refuse_awaitables<A...>();
}

namespace detail {

/// The outcome of a child task.
template <class T>
outcome<T> settled(future<T>& f) {
    shared_core& core = future_core(f);
    outcome<T> how;
    if ((core.flags & shared_core::valued) == 0)
        how.set_exception((core.flags & shared_core::was_cancelled) != 0
                              ? std::make_exception_ptr(future_cancelled("the task was cancelled"))
                              : error_of(core));
    else if constexpr (std::is_void_v<T>)
        how.emplace();
    else
        how.emplace(static_cast<task_promise<T>&>(core).take());
    return how;
}

/// True if a child was cancelled because its parent was. Its outcome is of no interest: the parent
/// ends too.
template <class T>
bool gave_way(const future<T>& f, const children& group) noexcept {
    return f.cancelled() && group.over();
}

}  // namespace detail

/// Runs all awaitables concurrently, cancels none when one fails, and returns a tuple of their
/// outcomes in argument order. `outcome<T>` is a value or an exception; future_cancelled if the
/// child itself was cancelled.
/// Throws: the error of an awaitable that could not be started, after the others have ended.
/// Cancel: cancels all and awaits their end; if none of them was cut short, returns their outcomes.
///         Errors of outcomes that are lost thereby go to the loop's exception handler.
/// See:    asyncio.gather(return_exceptions=True), Promise.allSettled.
template <detail::awaitable... A>
task<std::tuple<outcome<detail::awaited_t<A>>...>> gather_settled(A... awaitables) {
    detail::children group("gather_settled", detail::children::others::go_on);
    std::tuple<detail::started<A>...> running;
    const std::exception_ptr error = detail::start_all(group, running, awaitables...);
    if (error) group.cancel();
    co_await group.ended();
    if (error) std::rethrow_exception(error);
    const auto cut_short = [&](auto&... f) { return (detail::gave_way(f, group) || ...); };
    if (std::apply(cut_short, running)) throw cancelled();
    co_return std::apply(
        [](auto&... f) {
            return std::tuple<outcome<detail::awaited_t<A>>...>(detail::settled(f)...);
        },
        running);
}

namespace detail {

template <class R>
task<std::vector<outcome<awaited_t<element<R>>>>> gather_settled_range(R awaitables) {
    using value = awaited_t<element<R>>;
    children group("gather_settled", children::others::go_on);
    std::vector<future<value>> running;
    const std::exception_ptr error = start_all(group, running, awaitables);
    if (error) group.cancel();
    co_await group.ended();
    if (error) std::rethrow_exception(error);
    std::vector<outcome<value>> outcomes;
    outcomes.reserve(running.size());
    for (auto& f : running) {
        if (gave_way(f, group)) throw cancelled();
        outcomes.push_back(settled(f));
    }
    co_return outcomes;
}

}  // namespace detail

/// The same for a range of awaitables of one type. Returns a vector of outcomes.
template <detail::kept_range R>
auto gather_settled(R&& awaitables) {
    return detail::gather_settled_range<std::remove_cvref_t<R>>(std::forward<R>(awaitables));
}
template <class... A>
    requires(!detail::can_be_gathered<A...>)
auto gather_settled(A&&...) {
    return detail::refuse_awaitables<A...>();
}

namespace detail {

template <class R, class F>
using mapped_t = awaited_t<std::invoke_result_t<F&, decltype(*std::declval<R&>().begin())>>;

template <class R, class F>
concept maps_to_tasks =
    iterable<R> && gives_awaitable<std::decay_t<F>&, decltype(*std::declval<R&>().begin())>;

/// Error messages of map_concurrent.
template <class Limit, class R, class F>
constexpr refused_call refuse_map() {
    if constexpr (!std::is_integral_v<std::decay_t<Limit>>)
        static_assert(
            is_meant<R>,
            "map_concurrent(limit, range, fn): the limit, how many run at once, comes first");
    else if constexpr (!iterable<std::decay_t<R>>)
        static_assert(is_meant<R>,
                      "map_concurrent(limit, range, fn): the second argument is no range");
    else
        return refuse_function<F, decltype(*std::declval<std::decay_t<R>&>().begin())>();
    return {};
}

template <class R, class F>
auto run_map(std::size_t limit, R range, F fn)
    -> task<std::conditional_t<std::is_void_v<mapped_t<R, F>>, void,
                               std::vector<or_monostate<mapped_t<R, F>>>>> {
    using value = mapped_t<R, F>;
    children group("map_concurrent");
    std::vector<future<value>> results;
    auto next = range.begin();
    while (next != range.end() && !group.over()) {
        try {
            auto running = group.start(to_task(fn(*next)));
            ++next;
            if constexpr (!std::is_void_v<value>) results.push_back(std::move(running));
        } catch (...) {
            group.fail(std::current_exception());
        }
        co_await group.fewer_than(limit);
    }
    co_await group.ended();
    if (next != range.end() || group.incomplete()) group.rethrow();
    if constexpr (!std::is_void_v<value>) {
        std::vector<value> values;
        values.reserve(results.size());
        for (auto& f : results) values.push_back(moved(f));
        co_return values;
    }
}

}  // namespace detail

/// Calls `fn(element)`, which must return a task, for each element of `range`, and runs at most
/// `limit` of the tasks concurrently. Returns a vector of their values in the order of the range,
/// nothing for void. The range and fn are kept until the end, so fn may take its element by
/// reference and may have captures.
/// Throws: the first error, after the others were cancelled and have ended; tasks not yet started
///         are left out.
/// Cancel: cancels all and awaits their end.
/// See:    asyncio.gather with a semaphore around each coroutine.
template <detail::iterable R, class F>
    requires detail::maps_to_tasks<R, F>
auto map_concurrent(std::size_t limit, R range, F&& fn) {
    RONDO_ASSERT(limit > 0, "map_concurrent with a limit of 0 would never start anything");
    RONDO_ASSERT(detail::is_count(limit), "map_concurrent was given a negative limit");
    return detail::guarded<F>(
        detail::run_map<R, std::decay_t<F>>(limit, std::move(range), std::forward<F>(fn)));
}
template <class Limit, class R, class F>
    requires(!(std::is_integral_v<std::decay_t<Limit>> &&
               detail::maps_to_tasks<std::decay_t<R>, F>))
auto map_concurrent(Limit&&, R&&, F&&) {
    return detail::refuse_map<Limit, R, F>();
}
template <class R, class F>
auto map_concurrent(R&&, F&&) {
    return detail::refuse_map<void*, R, F>();
}

}  // namespace v0
}  // namespace rondo
