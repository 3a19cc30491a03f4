// SPDX-License-Identifier: MIT
// Waiting for some of several futures without owning them. `wait` cancels none of them, neither on
// an error nor on a timeout. To end the others, cancel them, or use gather.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/detail/base/timer_node.hpp>
#include <rondo/gather.hpp>

namespace rondo {
inline namespace v0 {

/// Condition for wait to return.
enum class return_when {
    all_completed,    ///< all futures are done
    first_completed,  ///< one is done
    first_exception,  ///< one ended with an error or was cancelled, or all are done
};

/// Result of wait: the same futures in their order, divided into done and pending. For handles of
/// several types it is a wait_result<task_handle>.
template <class T>
struct wait_result {
    using handle = std::conditional_t<std::is_same_v<T, task_handle>, task_handle, future<T>>;
    std::vector<handle> done;
    std::vector<handle> pending;
    wait_result() = default;  // no aggregate: g++ 12 destroys those twice in a co_await expression
};

namespace detail {

/// Watches several futures until enough of them are done, or a deadline has passed.
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

/// For each key, whether it is the first of its value.
RONDO_API std::vector<bool> firsts(const std::vector<const void*>& keys);

/// The handles of a range, each once.
template <class R, class Key>
auto each_once(const R& handles, Key key) {
    std::vector<const void*> keys;
    for (const auto& each : handles) keys.push_back(&key(each));
    const std::vector<bool> first = firsts(keys);
    std::vector<element<R>> once;
    std::size_t at = 0;
    for (const auto& each : handles)
        if (first[at++]) once.push_back(each);
    return once;
}

template <class H>
struct waited {};  // clang 14 asks also for types that are no handles
template <class H>
    requires requires { typename H::value_type; }
struct waited<H> {
    using type = typename H::value_type;
};
template <>
struct waited<task_handle> {
    using type = task_handle;
};

template <class R>
concept handles = iterable<R> && std::is_base_of_v<task_handle, element<R>>;

/// A range of futures of any kind, including those of threads.
template <class R>
concept some_futures = iterable<std::decay_t<R>> &&
    (native_awaitable<element<std::decay_t<R>>> ||
     std::is_same_v<element<std::decay_t<R>>, task_handle>);

template <class... A>
inline constexpr bool can_be_waited_for = false;
template <some_futures R>
inline constexpr bool can_be_waited_for<R> = true;
template <some_futures R, class Until>
inline constexpr bool can_be_waited_for<R, Until> =
    std::is_same_v<std::decay_t<Until>, return_when>;
template <some_futures R, class Until, class D>
inline constexpr bool can_be_waited_for<R, Until, D> =
    can_be_waited_for<R, Until> && std::is_convertible_v<D, duration>;

template <class First, class... More>
constexpr refused_call refuse_wait() {
    using range = std::decay_t<First>;
    if constexpr (std::is_base_of_v<task_handle, range>)
        static_assert(is_meant<First>,
                      "wait takes one range of futures: std::vector{f, g}; a single future is "
                      "awaited itself");
    else if constexpr (!iterable<range>)
        static_assert(is_meant<First>, "wait takes a range of futures");
    else if constexpr (is_task<element<range>>::value)
        static_assert(is_meant<First>,
                      "wait takes futures, not tasks: start each by create_task, or use "
                      "gather(std::move(tasks))");
    else if constexpr (!can_be_waited_for<First>)
        static_assert(is_meant<First>, "wait takes a range of futures, of which this is none");
    else
        static_assert(is_meant<First>,
                      "wait(futures, return_when, timeout): the second argument is a "
                      "rondo::return_when, the third a "
                      "span of time, as 5s");
    return {};
}

}  // namespace detail

/// Waits until the condition `until` holds for `futures`, or for at most `timeout`, and divides
/// them into done and pending. Cancels nothing. An empty range returns at once. Errors are not
/// thrown but stay in the futures. A future that is passed twice is returned once. Futures of
/// several types are passed in a std::vector<rondo::task_handle>.
/// Throws: invalid_state_error if the task waits for itself, or for a future of another loop.
/// Cancel: ends the wait at once; the futures go on.
/// See:    asyncio.wait.
template <detail::handles R>
auto wait(R futures, return_when until = return_when::all_completed,
          detail::time_limit timeout = duration::max())
    -> task<wait_result<typename detail::waited<detail::element<R>>::type>> {
    const auto once = detail::each_once(futures, detail::future_core);
    std::vector<detail::shared_core*> cores;
    for (const auto& f : once) {
        detail::must_be_awaitable(detail::future_core(f));
        cores.push_back(&detail::future_core(f));
    }
    const time_point deadline = detail::deadline_after(timeout);
    co_await detail::watching(std::move(cores), until, deadline);
    wait_result<typename detail::waited<detail::element<R>>::type> parted;
    for (const auto& f : once) (f.done() ? parted.done : parted.pending).push_back(f);
    co_return parted;
}
template <class... A>
    requires(sizeof...(A) > 0 && !detail::can_be_waited_for<A...>)
auto wait(A&&...) {
    return detail::refuse_wait<A...>();
}

}  // namespace v0
}  // namespace rondo
