// SPDX-License-Identifier: MIT
// race: the first that ends, with a value or an error. race_success: the first that gives a value.
// When they return, the others were cancelled and have released what they held.
//
// race is for tasks of which the end of one is the end of all, such as a server and its client. If
// one may fail and another may still succeed, as with mirrors of one file, it is race_success.
#pragma once

#include <type_traits>
#include <utility>
#include <variant>

#include <rondo/detail/compose/first_of.hpp>
#include <rondo/staggered_race.hpp>

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

}  // namespace detail

/// Runs all awaitables concurrently until the first of them ends. The others are cancelled and
/// awaited. Returns the value of the first; if the types differ, as a std::variant (std::monostate
/// for void) whose index tells the winner. They start in argument order. If several are ready at
/// once, the first in argument order wins.
/// Throws: the error of the first, as the type it is, if that failed; errors that the others end
///         with go to the exception handler.
/// Cancel: cancels all and awaits their end; if one gave a value nevertheless, returns its value.
/// See:    Promise.race; asyncio.wait(FIRST_COMPLETED) and its clean-up; race_success.
template <detail::awaitable... A>
    requires(sizeof...(A) > 0)
task<detail::race_of<A...>> race(A... awaitables) {
    return detail::first_of<detail::race_of<A...>>("race", detail::children::others::end_on_end,
                                                   std::move(awaitables)...);
}

/// The same for a range of awaitables of one type.
/// Throws: also std::invalid_argument if the range is empty.
template <detail::kept_range R>
auto race(R&& awaitables) {
    return detail::first_of_range<std::remove_cvref_t<R>>(
        "race", detail::children::others::end_on_end, std::forward<R>(awaitables));
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

/// As race, except that a failure does not end it: the first that gives a value wins. Errors of
/// those that failed before another won are dropped.
/// Throws: if all fail, the first error; further errors go to the exception handler.
/// Cancel: cancels all and awaits their end; if one won nevertheless, returns its value.
/// See:    Promise.any; staggered_race, which starts them one after the other.
template <detail::awaitable... A>
    requires(sizeof...(A) > 0)
task<detail::race_of<A...>> race_success(A... awaitables) {
    return detail::first_of<detail::race_of<A...>>(
        "race_success", detail::children::others::end_on_value, std::move(awaitables)...);
}

/// The same for a range of awaitables of one type.
/// Throws: also std::invalid_argument if the range is empty.
template <detail::kept_range R>
auto race_success(R&& awaitables) {
    return detail::first_of_range<std::remove_cvref_t<R>>(
        "race_success", detail::children::others::end_on_value, std::forward<R>(awaitables));
}
template <class... A>
    requires(!detail::can_be_gathered<A...> || sizeof...(A) == 0)
auto race_success(A&&...) {
    static_assert(sizeof...(A) > 0, "race_success needs at least one awaitable");
    if constexpr (sizeof...(A) == 0)
        return detail::refused_call{};
    else
        return detail::refuse_awaitables<A...>();
}

}  // namespace v0
}  // namespace rondo
