// SPDX-License-Identifier: MIT
// Waiting for some of several futures, without owning any of them: `wait` cancels nobody, neither on an error nor when
// its time is over. Who wants the others to end says so, or uses gather.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/detail/timer_node.hpp>
#include <rondo/gather.hpp>

namespace rondo {
inline namespace v0 {

/// When `wait` returns.
enum class return_when {
    all_completed,    ///< every future is done
    first_completed,  ///< one is
    first_exception,  ///< one ended with an error or was cancelled, or all are done
};

/// What `wait` gives: the same futures, in their order, parted.
template <class T>
struct wait_result {
    std::vector<future<T>> done;
    std::vector<future<T>> pending;
    wait_result() = default;  // no aggregate: g++ 12 destroys those twice inside a co_await expression
};

namespace detail {

/// Watches several cores until enough of them are done, or a deadline has come.
class RONDO_API watching : public only_in_tasks {
public:
    class awaiter;
    watching(std::vector<shared_core*> cores, return_when until, time_point deadline) noexcept
        : cores_(std::move(cores)), until_(until), deadline_(deadline) {}
    awaiter rondo_awaiter() &&;

private:
    std::vector<shared_core*> cores_;
    return_when until_;
    time_point deadline_;
};

class RONDO_API watching::awaiter : leaf_wait, timer_node {
public:
    awaiter(std::vector<shared_core*> cores, return_when until, time_point deadline);
    ~awaiter();
    bool await_ready() noexcept;
    void await_suspend(std::coroutine_handle<> frame, location at = location::current());
    void await_resume();

private:
    friend struct watching_kind;
    struct node : wait_node {
        awaiter* owner = nullptr;
        shared_core* core = nullptr;
    };
    bool enough(const shared_core& core) noexcept;
    void unlink() noexcept;
    void finish() noexcept;

    std::vector<node> nodes_;
    std::size_t missing_ = 0;
    return_when until_;
    time_point deadline_;
};

}  // namespace detail

/// Waits until `futures` are done as far as `until` says, or `timeout` is over, and parts them in done and pending.
/// Nothing is cancelled; an empty range returns at once. Errors are not thrown here: they are found in the futures.
/// Throws: invalid_state_error where a task waits for itself, or for a future of another loop.
/// Cancel: leaves at once; the futures go on.
/// See:    asyncio.wait.
template <detail::iterable R>
auto wait(R futures, return_when until = return_when::all_completed,
          detail::time_limit timeout = duration::max())
    -> task<wait_result<typename detail::element<R>::value_type>> {
    std::vector<detail::shared_core*> cores;
    for (const auto& f : futures) {
        detail::must_be_awaitable(detail::future_core(f));
        cores.push_back(&detail::future_core(f));
    }
    const time_point deadline = detail::deadline_after(timeout);
    co_await detail::watching(std::move(cores), until, deadline);
    wait_result<typename detail::element<R>::value_type> parted;
    for (auto& f : futures) (f.done() ? parted.done : parted.pending).push_back(f);
    co_return parted;
}

}  // namespace v0
}  // namespace rondo
