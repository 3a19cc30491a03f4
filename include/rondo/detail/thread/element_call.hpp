// SPDX-License-Identifier: MIT
// The calls of the maps of a pool: of a function with an element of each range, and with a stop
// token if it needs one.
#pragma once

#include <stop_token>
#include <tuple>
#include <type_traits>
#include <utility>

#include <rondo/detail/base/kept_call.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// True if `fn` can be called with an element, with or without a stop token as first argument.
template <class F, class... Args>
concept can_be_mapped =
    std::is_invocable_v<F&, Args&&...> || std::is_invocable_v<F&, std::stop_token, Args&&...>;
/// The result of that call; without a token if both are possible.
template <class F, class... Args>
using element_result =
    typename call_result<!std::is_invocable_v<F&, Args&&...>, F&, Args&&...>::type;

template <class F, class... Args>
element_result<F, Args...> call_with(F& fn, const std::stop_token& stop,
                                     std::tuple<Args...>&& args) {
    if constexpr (std::is_invocable_v<F&, Args&&...>)
        return std::apply(fn, std::move(args));
    else
        return std::apply(fn, std::tuple_cat(std::tuple(stop), std::move(args)));
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
