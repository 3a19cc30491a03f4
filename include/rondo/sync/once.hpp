// SPDX-License-Identifier: MIT
// Runs a function once: the first task that needs it calls it, the others wait. Implemented as a
// mutex and a flag. If the call fails or is cancelled, it does not count, and the next waiter
// tries.
#pragma once

#include <string>
#include <type_traits>
#include <utility>

#include <rondo/detail/coroutine/guarded.hpp>
#include <rondo/sync/mutex.hpp>

namespace rondo {
inline namespace v0 {

class once;

namespace detail {
template <class F, class... Args>
task<> call_once(once& o, F fn, Args... args);
}

/// Remembers whether something has been done.
/// Thread: its loop's.
/// See:    std::call_once, tokio::sync::OnceCell.
class RONDO_API once {
public:
    once() noexcept = default;

    /// `co_await o.call(fn, args...);` calls `fn(args...)`, which may return a task, unless an
    /// earlier call has succeeded. Waits while another task runs it. Keeps callable and arguments
    /// until the call has ended.
    /// Throws: what fn throws; the call then does not count as done.
    /// Cancel: a waiter leaves the line. If the task that runs fn is cancelled, the next waiter
    ///         tries.
    template <class F, class... Args>
        requires std::is_invocable_v<F&, Args&...>
    auto call(F&& fn, Args... args) {
        return detail::guarded<F>(detail::call_once<std::decay_t<F>, Args...>(
            *this, std::forward<F>(fn), std::move(args)...));
    }

    /// True once a call has succeeded.
    bool done() const noexcept { return done_; }
    /// The number of tasks that wait for the running call.
    std::size_t waiting() const noexcept { return turn_.waiting(); }
    /// A text for diagnostics: "a once that is not done: a mutex held by task \"first\" and 2
    /// wait".
    std::string describe() const;

private:
    template <class F, class... Args>
    friend task<> detail::call_once(once& o, F fn, Args... args);

    mutex turn_;
    bool done_ = false;
};

namespace detail {

template <class F, class... Args>
task<> call_once(once& o, F fn, Args... args) {
    if (o.done_ && !cancel_requested()) co_return;
    auto turn = co_await o.turn_.lock();
    if (o.done_) co_return;
    using made = std::invoke_result_t<F&, Args&...>;
    if constexpr (is_task<made>::value) {
        static_cast<void>(co_await fn(args...));
    } else if constexpr (native_awaitable<made>) {
        auto awaitable = fn(args...);
        if constexpr (native_awaitable<decltype(awaitable)&>)
            static_cast<void>(co_await awaitable);
        else
            static_cast<void>(co_await std::move(awaitable));
    } else {
        static_cast<void>(fn(args...));
    }
    o.done_ = true;
}

}  // namespace detail

}  // namespace v0
}  // namespace rondo
