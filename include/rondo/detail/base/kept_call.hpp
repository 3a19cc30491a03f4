// SPDX-License-Identifier: MIT
// A callable and its arguments, stored until they are called elsewhere.
#pragma once

#include <stop_token>
#include <tuple>
#include <type_traits>
#include <utility>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

template <bool TakesToken, class F, class... Args>
struct call_result : std::invoke_result<F, Args...> {};
template <class F, class... Args>
struct call_result<true, F, Args...> : std::invoke_result<F, std::stop_token, Args...> {};

/// A stored call. It is called once, with the arguments as rvalues, as std::thread does. If the
/// callable takes a std::stop_token as first argument, it gets one.
template <class F, class... Args>
class kept_call {
public:
    static constexpr bool takes_token = std::is_invocable_v<F, std::stop_token, Args...>;
    using result_type = typename call_result<takes_token, F, Args...>::type;

    template <class G, class... Given>
    explicit kept_call(std::in_place_t, G&& fn, Given&&... args)
        : fn_(std::forward<G>(fn)), args_(std::forward<Given>(args)...) {}

    result_type operator()() { return std::apply(std::move(fn_), std::move(args_)); }
    result_type operator()(std::stop_token stop) {
        return std::apply(
            [&](Args&... args) -> result_type {
                return std::apply(std::move(fn_), std::tuple<std::stop_token, Args&&...>(
                                                      std::move(stop), std::move(args)...));
            },
            args_);
    }

private:
    [[no_unique_address]] F fn_;
    [[no_unique_address]] std::tuple<Args...> args_;
};

/// `fn(args...)` can be stored and called, with or without a stop token as first argument.
template <class F, class... Args>
concept can_be_kept =
    std::is_invocable_v<std::decay_t<F>, std::stop_token, std::decay_t<Args>...> ||
    std::is_invocable_v<std::decay_t<F>, std::decay_t<Args>...>;

template <class F, class... Args>
using kept = kept_call<std::decay_t<F>, std::decay_t<Args>...>;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
