// SPDX-License-Identifier: MIT
// Children of which one decides: the base of race, race_success, select and staggered_race.
#pragma once

#include <cstddef>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <rondo/gather.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

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

/// Runs all awaitables until `policy` ends them. Returns the winner's value: as it is if that is a
/// Result, else as the alternative of its index. `what` names the function in reports.
template <class Result, class... A>
task<Result> first_of(const char* what, children::others policy, A... awaitables) {
    children group(what, policy);
    std::tuple<started<A>...> running;
    if (auto error = start_all(group, running, awaitables...)) group.fail(std::move(error));
    co_await group.ended();
    if (group.winner() == nullptr) group.rethrow();
    if constexpr (!std::is_void_v<Result>)
        co_return winners_value<Result>(group.winner(), running, std::index_sequence_for<A...>());
}

/// The place of the winner among the children.
template <class T>
std::size_t winners_place(const children& group, const std::vector<future<T>>& running) noexcept {
    std::size_t place = 0;
    while (&future_core(running[place]) != group.winner()) ++place;
    return place;
}

/// Starts the elements of a range, of which there must be one.
template <class R>
void start_some(const char* what, children& group, std::vector<started<element<R>>>& running,
                R& awaitables) {
    std::exception_ptr error = start_all(group, running, awaitables);
    if (!error && running.empty())
        error = std::make_exception_ptr(
            std::invalid_argument(std::string(what) + " needs at least one awaitable"));
    if (error) group.fail(std::move(error));
}

/// Awaits the end of a race and returns the winner's value.
template <class T>
task<T> end_of_race(children& group, std::vector<future<T>>& running) {
    co_await group.ended();
    if (group.winner() == nullptr) group.rethrow();
    if constexpr (!std::is_void_v<T>) co_return moved(running[winners_place(group, running)]);
}

template <class R>
task<awaited_t<element<R>>> first_of_range(const char* what, children::others policy,
                                           R awaitables) {
    children group(what, policy);
    std::vector<started<element<R>>> running;
    start_some(what, group, running, awaitables);
    co_return co_await end_of_race(group, running);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
