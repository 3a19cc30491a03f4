// SPDX-License-Identifier: MIT
// Futures one by one, in the order in which they are done. It yields the handles that were passed,
// so that the caller knows whose result it is (asyncio's as_completed lost that for ten years).
// Each costs one step, however many there are.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include <rondo/gather.hpp>
#include <rondo/async_generator.hpp>
#include <rondo/sleep.hpp>
#include <rondo/wait.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {

/// Watches several futures, which outlive it, and lists those that are done in the order in which
/// they ended.
class RONDO_API completion_order {
public:
    explicit completion_order(const std::vector<shared_core*>& cores);
    completion_order(const completion_order&) = delete;
    completion_order& operator=(const completion_order&) = delete;
    ~completion_order();

    class awaiter;
    struct waiting : only_in_tasks {
        completion_order* order;
        explicit waiting(completion_order& o) noexcept : order(&o) {}
        awaiter rondo_awaiter() const noexcept;
    };
    /// `co_await order.next()` gives the index of the next future that is done. Call it at most
    /// once for each future.
    waiting next() noexcept { return waiting(*this); }

private:
    friend struct completion_kind;
    struct node : wait_node {
        completion_order* owner = nullptr;
        shared_core* core = nullptr;
    };
    std::vector<node> nodes_;
    wait_list done_;  // of nodes
    awaiter* waiter_ = nullptr;
};

class RONDO_API completion_order::awaiter : leaf_wait {
public:
    explicit awaiter(completion_order& order) noexcept;
    ~awaiter() { order_->waiter_ = nullptr; }
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> frame, location at = location::current()) noexcept;
    std::size_t await_resume();

private:
    friend struct completion_kind;
    completion_order* order_;
};

inline completion_order::awaiter completion_order::waiting::rondo_awaiter() const noexcept {
    return awaiter(*order);
}

}  // namespace detail

/// Yields each of `futures` when it is done: `while (auto f = co_await done.next())
/// use(f->result());`. Those that are done already come first, in their order. A future that is
/// passed twice comes twice. Cancels nothing. Errors are not thrown but stay in the futures.
/// Throws: next: timeout_error if some are not done after `timeout`, which counts from the first
///         next(); invalid_state_error if the task waits for itself, or for a future of another
///         loop.
/// Cancel: next: ends the wait at once. The futures go on, and none is lost: another as_completed
///         finds them.
/// See:    asyncio.as_completed.
template <detail::handles R>
async_generator<detail::element<R>> as_completed(R futures,
                                                 detail::time_limit timeout = duration::max()) {
    std::vector<detail::element<R>> handles(futures.begin(), futures.end());
    std::vector<detail::shared_core*> cores;
    for (const auto& f : handles) {
        detail::must_be_awaitable(detail::future_core(f));
        cores.push_back(&detail::future_core(f));
    }
    const time_point deadline = detail::deadline_after(timeout);
    detail::completion_order order(cores);
    for (std::size_t left = handles.size(); left > 0; --left) {
        std::size_t index = handles.size();
        {
            timeout_scope scope(deadline);
            try {
                index = co_await order.next();
            } catch (const cancelled&) {
                if (!scope.timed_out()) throw;
            }
        }
        if (index == handles.size()) throw timeout_error(timeout);
        co_yield handles[index];
    }
}

namespace detail {

template <class... A>
inline constexpr bool can_be_completed = false;
template <some_futures R>
inline constexpr bool can_be_completed<R> = true;
template <some_futures R, class D>
inline constexpr bool can_be_completed<R, D> = std::is_convertible_v<D, duration>;

template <class First, class... More>
constexpr refused_call refuse_as_completed() {
    using range = std::decay_t<First>;
    if constexpr (!iterable<range>)
        static_assert(is_meant<First>,
                      "as_completed takes one range of futures: std::vector{f, g}");
    else if constexpr (is_task<element<range>>::value)
        static_assert(is_meant<First>,
                      "as_completed takes futures, not tasks: start each by create_task");
    else if constexpr (!some_futures<range>)
        static_assert(is_meant<First>,
                      "as_completed takes a range of futures, of which this is none");
    else
        return refuse_duration<More...>();
    return {};
}

}  // namespace detail

template <class First, class... More>
    requires(!detail::can_be_completed<First, More...> && sizeof...(More) <= 1)
auto as_completed(First&&, More&&...) {
    return detail::refuse_as_completed<First, More...>();
}

}  // namespace v0
}  // namespace rondo
