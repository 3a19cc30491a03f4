// SPDX-License-Identifier: MIT
// Many at once, structured: what is started here has ended when the verb returns or throws, so children may borrow from
// the caller's frame. On the first error the others are cancelled and awaited, then that error is thrown as the type it
// is; further ones go to the loop's exception handler. asyncio leaves the siblings running instead; that is the
// complaint that its users have made for ten years.
#pragma once

#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <rondo/detail/children.hpp>
#include <rondo/detail/guarded.hpp>
#include <rondo/error.hpp>
#include <rondo/sleep.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {

template <class R>
concept iterable = requires(R& range) {
    range.begin() != range.end();
    *range.begin();
};

/// Something that is awaited: a task, a future, an operation.
template <class A>
concept awaitable = is_task<std::remove_cvref_t<A>>::value || native_awaitable<A>;

template <class R>
using element = std::remove_cvref_t<decltype(*std::declval<R&>().begin())>;

template <class A>
using started = future<awaited_t<A>>;

/// The value of a child task that has one, moved out; void as std::monostate.
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

/// Runs every awaitable at once and gives their values in order: a tuple, `std::monostate` for void; nothing where all
/// are void. They start in argument order. A future among them is only awaited: when that is given up it is cancelled
/// if nobody else waits for it, and its end is not waited for.
/// Throws: the first error, after the others were cancelled and have ended.
/// Cancel: cancels all and awaits their end; where all gave a value nevertheless, that is the value.
/// See:    asyncio.gather, which leaves the others running on an error.
template <detail::awaitable... A>
auto gather(A... awaitables)
    -> task<std::conditional_t<detail::all_void<A...>, void, detail::tuple_of<A...>>> {
    detail::children group("gather");
    std::tuple<detail::started<A>...> running;
    try {
        running = std::tuple<detail::started<A>...>{
            group.start(detail::to_task(std::move(awaitables)))...};
    } catch (...) {
        group.fail(std::current_exception());
    }
    co_await group.ended();
    if (group.incomplete()) group.rethrow();
    if constexpr (!detail::all_void<A...>)
        co_return std::apply(
            [](auto&... f) { return detail::tuple_of<A...>(detail::moved(f)...); }, running);
}

/// The same for a range of awaitables of one type: a vector of their values, nothing for void.
template <detail::iterable R>
    requires detail::awaitable<detail::element<R>>
auto gather(R awaitables)
    -> task<std::conditional_t<detail::all_void<detail::element<R>>, void,
                               std::vector<detail::or_monostate<detail::awaited_t<detail::element<R>>>>>> {
    using value = detail::awaited_t<detail::element<R>>;
    detail::children group("gather");
    std::vector<future<value>> running;
    try {
        if constexpr (requires { awaitables.size(); }) running.reserve(awaitables.size());
        for (auto&& awaitable : awaitables)
            running.push_back(group.start(detail::to_task(std::move(awaitable))));
    } catch (...) {
        group.fail(std::current_exception());
    }
    co_await group.ended();
    if (group.incomplete()) group.rethrow();
    if constexpr (!std::is_void_v<value>) {
        std::vector<value> values;
        values.reserve(running.size());
        for (auto& f : running) values.push_back(detail::moved(f));
        co_return values;
    }
}

namespace detail {

/// How a child task ended.
template <class T>
outcome<T> settled(future<T>& f) {
    shared_core& core = future_core(f);
    outcome<T> how;
    if ((core.marks & shared_core::valued) == 0)
        how.set_exception((core.marks & shared_core::was_cancelled) != 0
                              ? std::make_exception_ptr(future_cancelled("the task was cancelled"))
                              : error_of(core));
    else if constexpr (std::is_void_v<T>)
        how.emplace();
    else
        how.emplace(static_cast<task_promise<T>&>(core).take());
    return how;
}

/// Children that were cancelled because their parent was have no outcome of interest: the parent is to end.
template <class T>
bool gave_way(const future<T>& f, const children& group) noexcept {
    return f.cancelled() && group.over();
}

}  // namespace detail

/// Runs every awaitable at once, cancels nobody when one fails, and tells how each ended: a tuple of outcomes in
/// argument order. `outcome<T>` is a value or an exception; where somebody cancelled the child, future_cancelled.
/// Cancel: cancels all and awaits their end; where none of them was cut short, their outcomes are the value. An error
///         of one that nobody will see then goes to the loop's exception handler.
/// See:    asyncio.gather(return_exceptions=True), Promise.allSettled.
template <detail::awaitable... A>
task<std::tuple<outcome<detail::awaited_t<A>>...>> gather_settled(A... awaitables) {
    detail::children group("gather_settled", detail::children::others::go_on);
    std::tuple<detail::started<A>...> running;
    std::exception_ptr not_started;
    try {
        running = std::tuple<detail::started<A>...>{
            group.start(detail::to_task(std::move(awaitables)))...};
    } catch (...) {
        not_started = std::current_exception();
        group.cancel();
    }
    co_await group.ended();
    if (not_started) std::rethrow_exception(not_started);
    const auto cut_short = [&](auto&... f) { return (detail::gave_way(f, group) || ...); };
    if (std::apply(cut_short, running)) throw cancelled();
    co_return std::apply(
        [](auto&... f) { return std::tuple<outcome<detail::awaited_t<A>>...>(detail::settled(f)...); },
        running);
}

/// The same for a range of awaitables of one type: a vector of outcomes.
template <detail::iterable R>
    requires detail::awaitable<detail::element<R>>
task<std::vector<outcome<detail::awaited_t<detail::element<R>>>>> gather_settled(R awaitables) {
    using value = detail::awaited_t<detail::element<R>>;
    detail::children group("gather_settled", detail::children::others::go_on);
    std::vector<future<value>> running;
    std::exception_ptr not_started;
    try {
        for (auto&& awaitable : awaitables)
            running.push_back(group.start(detail::to_task(std::move(awaitable))));
    } catch (...) {
        not_started = std::current_exception();
        group.cancel();
    }
    co_await group.ended();
    if (not_started) std::rethrow_exception(not_started);
    std::vector<outcome<value>> outcomes;
    outcomes.reserve(running.size());
    for (auto& f : running) {
        if (detail::gave_way(f, group)) throw cancelled();
        outcomes.push_back(detail::settled(f));
    }
    co_return outcomes;
}

namespace detail {

template <class R, class F>
using mapped_t = awaited_t<std::invoke_result_t<F&, decltype(*std::declval<R&>().begin())>>;

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

/// Calls `fn(element)`, which must give a task, for each element of `range`, with at most `limit` of the tasks running
/// at the same time; gives a vector of their values in the order of the range, nothing for void. The range and fn are
/// kept until the end, so fn may take its element by reference and may capture.
/// Throws: the first error, after the others were cancelled and have ended; elements not yet begun are left out.
/// Cancel: cancels all and awaits their end.
/// See:    asyncio with a semaphore around each of gather's coroutines.
template <detail::iterable R, class F>
auto map_concurrent(std::size_t limit, R range, F&& fn) {
    RONDO_ASSERT(limit > 0, "map_concurrent with a limit of 0 would never start anything");
    RONDO_ASSERT(detail::is_count(limit), "map_concurrent was given a negative limit");
    return detail::guarded<F>(
        detail::run_map<R, std::decay_t<F>>(limit, std::move(range), std::forward<F>(fn)));
}

}  // namespace v0
}  // namespace rondo
