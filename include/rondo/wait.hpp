// SPDX-License-Identifier: MIT
// Waiting for some of several futures, without owning any of them: `wait` cancels nobody, neither on an error nor when
// its time is over. Who wants the others to end says so, or uses gather.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/detail/base/timer_node.hpp>
#include <rondo/gather.hpp>

namespace rondo {
inline namespace v0 {

/// When `wait` returns.
enum class return_when {
    all_completed,    ///< every future is done
    first_completed,  ///< one is
    first_exception,  ///< one ended with an error or was cancelled, or all are done
};

/// What `wait` gives: the same futures, in their order, parted. Of handles of several types it is a
/// wait_result<task_handle>.
template <class T>
struct wait_result {
    using handle = std::conditional_t<std::is_same_v<T, task_handle>, task_handle, future<T>>;
    std::vector<handle> done;
    std::vector<handle> pending;
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

/// For each key: is it the first of its value?
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
struct waited {};  // clang 14 asks also for what is no handle
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

/// Futures of any kind, those of threads too.
template <class R>
concept some_futures = iterable<std::decay_t<R>> && (native_awaitable<element<std::decay_t<R>>> ||
                                                     std::is_same_v<element<std::decay_t<R>>, task_handle>);

template <class... A>
inline constexpr bool can_be_waited_for = false;
template <some_futures R>
inline constexpr bool can_be_waited_for<R> = true;
template <some_futures R, class Until>
inline constexpr bool can_be_waited_for<R, Until> = std::is_same_v<std::decay_t<Until>, return_when>;
template <some_futures R, class Until, class D>
inline constexpr bool can_be_waited_for<R, Until, D> =
    can_be_waited_for<R, Until> && std::is_convertible_v<D, duration>;

template <class First, class... More>
constexpr refused_call refuse_wait() {
    using range = std::decay_t<First>;
    if constexpr (std::is_base_of_v<task_handle, range>)
        static_assert(is_meant<First>,
                      "wait takes one range of futures: std::vector{f, g}; a single future is awaited itself");
    else if constexpr (!iterable<range>)
        static_assert(is_meant<First>, "wait takes a range of futures");
    else if constexpr (is_task<element<range>>::value)
        static_assert(is_meant<First>,
                      "wait takes futures, not tasks: start each by create_task, or use gather(std::move(tasks))");
    else if constexpr (!can_be_waited_for<First>)
        static_assert(is_meant<First>, "wait takes a range of futures, of which this is none");
    else
        static_assert(is_meant<First>,
                      "wait(futures, return_when, timeout): the second argument is a rondo::return_when, the third a "
                      "span of time, as 5s");
    return {};
}

}  // namespace detail

/// Waits until `futures` are done as far as `until` says, or `timeout` is over, and parts them in done and pending.
/// Nothing is cancelled; an empty range returns at once. Errors are not thrown here: they are found in the futures. One
/// that is given twice is given back once. Futures of several types stand in a std::vector<rondo::task_handle>.
/// Throws: invalid_state_error where a task waits for itself, or for a future of another loop.
/// Cancel: leaves at once; the futures go on.
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
