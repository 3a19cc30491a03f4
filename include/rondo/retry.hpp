// SPDX-License-Identifier: MIT
// Retrying with growing delays and jitter, so that a thousand clients of one failed server do not
// all come back in the same millisecond.
#pragma once

#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include <rondo/detail/coroutine/guarded.hpp>
#include <rondo/gather.hpp>
#include <rondo/sleep.hpp>

namespace rondo {
inline namespace v0 {

/// Options of retry. The first delay is `delay`; each further one is `factor` times the one before,
/// and at most `longest`. A random part of each, up to `jitter` (0 to 1), is left out.
struct retry_options {
    unsigned attempts = 5;  ///< in total; 0 means no limit
    detail::time_limit delay = std::chrono::milliseconds(100);
    double factor = 2;
    detail::time_limit longest = std::chrono::seconds(30);
    double jitter = 0.5;
    /// True for errors that another attempt may cure. Null: all except std::logic_error, which
    /// would only repeat.
    bool (*worth)(const std::exception& error) = nullptr;
};
static_assert(std::is_trivially_destructible_v<retry_options>);  // g++ 12: see docs/gcc12.md

namespace detail {

/// Counts the attempts and computes the delays.
class RONDO_API retry_state {
public:
    explicit retry_state(const retry_options& options);
    /// Must be called while an error is handled. Rethrows it if this was the last attempt, or if
    /// the error is not worth another.
    void failed(const std::exception& error);
    duration next_delay();

private:
    retry_options options_;
    unsigned failed_ = 0;
    double delay_;
};

template <class F, class... Args>
auto run_retry(retry_options options, F fn, Args... args) -> std::invoke_result_t<F&, Args&...> {
    retry_state state(options);
    for (;;) {
        try {
            co_return co_await fn(args...);
        } catch (const std::exception& error) {  // not `cancelled`
            state.failed(error);
        }
        co_await sleep(state.next_delay());
    }
}

}  // namespace detail

/// Calls `fn(args...)`, which must return a task, until one succeeds, and returns its value. fn and
/// the arguments are kept until the end; each attempt gets the arguments as lvalues. For a limit on
/// the total time, put a wait_for around it.
/// Throws: the last error, if the attempts are used up or the error is not worth another;
///         std::invalid_argument for invalid options.
/// Cancel: cancels the current attempt or delay. A cancellation is never retried.
/// See:    tenacity.retry, tokio-retry.
template <class F, class... Args>
    requires detail::gives_task<F&, Args&...>
auto retry(retry_options options, F&& fn, Args... args) {
    return detail::guarded<F>(detail::run_retry<std::decay_t<F>, Args...>(
        options, std::forward<F>(fn), std::move(args)...));
}

namespace detail {

template <class Options, class... Call>
inline constexpr bool can_be_retried = false;
template <class Options, class F, class... Args>
inline constexpr bool can_be_retried<Options, F, Args...> =
    std::is_convertible_v<Options, retry_options> && gives_task<F&, std::decay_t<Args>&...>;

template <class Options, class... Call>
constexpr refused_call refuse_retry() {
    if constexpr (!std::is_convertible_v<Options, retry_options> || sizeof...(Call) == 0)
        static_assert(is_meant<Options>,
                      "retry(options, fn, args...): rondo::retry_options come first; {} stands for "
                      "the default");
    else
        return [&]<class F, class... Args>(std::type_identity<F>, std::type_identity<Args>...) {
            return refuse_function<F, std::decay_t<Args>&...>();
        }(std::type_identity<Call>()...);
    return {};
}

}  // namespace detail

template <class Options, class... Call>
    requires(!detail::can_be_retried<Options, Call...>)
auto retry(Options&&, Call&&...) {
    return detail::refuse_retry<Options, Call...>();
}
template <class F, class... Args>
    requires(!detail::gives_task<F&, std::decay_t<Args>&...>)
auto retry(retry_options, F&&, Args&&...) {
    return detail::refuse_function<F, std::decay_t<Args>&...>();
}

}  // namespace v0
}  // namespace rondo
