// SPDX-License-Identifier: MIT
// Futures one by one, in the order in which they are done. What comes is the handle that was given, so that one knows
// whose result it is (asyncio's as_completed lost that for ten years); each costs one step, however many there are.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include <rondo/gather.hpp>
#include <rondo/generator.hpp>
#include <rondo/sleep.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {

/// Watches several cores, which outlive it, and keeps those that are done in the order in which they came.
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
    /// `co_await order.next()`: the index of the next one. Not more often than there are cores.
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
    enum : std::uint32_t { refused = 1 };
    completion_order* order_;
};

inline completion_order::awaiter completion_order::waiting::rondo_awaiter() const noexcept {
    return awaiter(*order);
}

}  // namespace detail

/// Yields each of `futures` when it is done: `while (auto f = co_await done.next()) use(f->result());`. Those that are
/// done already come first, in their order; one that is given twice comes twice. Nobody is cancelled, and errors are
/// not thrown here: they are found in the futures.
/// Throws: next: timeout_error when `timeout`, which counts from the first next(), is over and some are not done yet;
///         invalid_state_error where the task waits for itself, or for a future of another loop.
/// Cancel: next: leaves at once; the futures go on, and none is lost: the next call of as_completed finds them.
/// See:    asyncio.as_completed.
template <detail::iterable R>
async_generator<detail::element<R>> as_completed(R futures, detail::time_limit timeout = duration::max()) {
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

}  // namespace v0
}  // namespace rondo
