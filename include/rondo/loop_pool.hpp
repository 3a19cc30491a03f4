// SPDX-License-Identifier: MIT
// One loop per core, each on a thread of its own, with nothing shared between them.
//
//     rondo::loop_pool cores;
//     // The same main on each loop; the kernel distributes the connections (reuse_port).
//     cores.run(serve_on_this_core);
//
// A task stays on the loop on which it was started: no lock, no work stealing, warm caches. To use
// another loop, name it: `co_await on(cores[2], fn, args...)`, `submit`, or a bridge_queue.
//
// `run` runs a loop on the calling thread, which only waits: its main task calls all other mains by
// `on`. So Ctrl-C, the first error that ends the others, and the wait for their end work as in
// rondo::run. To make the calling thread one of the loops was not chosen: nothing could be
// submitted to that loop before `run`, nor after.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/detail/base/function.hpp>
#include <rondo/from_threads.hpp>
#include <rondo/loop.hpp>
#include <rondo/on.hpp>
#include <rondo/run.hpp>

namespace rondo {
inline namespace v0 {

/// Options of a loop_pool.
struct loop_pool_options {
    /// 0: one for each core that this thread may use (sched_getaffinity(2)).
    std::size_t loops = 0;
    bool pin = false;     ///< pins each thread to one of these cores, in turn
    loop_options loop{};  ///< of each loop
    /// Of the threads; a dash and a number follow. At most 15 bytes together.
    std::string_view name = "rondo-loop";
    bool handle_sigint = true;  ///< in `run`; see run_options
    bool handle_sigterm = false;
};
static_assert(std::is_trivially_destructible_v<loop_pool_options>);

namespace detail {

class loop_threads;

/// How the mains of a pool have ended if none failed.
enum class mains_end { all_done, interrupted, stopped };

template <class T>
task<> keep_result(std::optional<T>& place, task<T> from) {
    place.emplace(co_await std::move(from));
}

/// The task that `submit` sends: its frame keeps callable and arguments.
template <class F, class... Args>
task<typename far_result<std::invoke_result_t<F&, Args...>>::type> call_there(F fn, Args... args) {
    if constexpr (far_result<std::invoke_result_t<F&, Args...>>::is_awaited)
        co_return co_await std::invoke(fn, std::move(args)...);
    else
        co_return std::invoke(fn, std::move(args)...);
}
template <class F, class... Args>
auto kept_task(F&& fn, Args&&... args) {
    return call_there<std::decay_t<F>, std::decay_t<Args>...>(std::forward<F>(fn),
                                                              std::forward<Args>(args)...);
}

}  // namespace detail

/// Loops that run from the constructor to the destructor, each on its own thread. These threads
/// block every signal that is sent to the process.
/// Thread: any, except that one of its own threads must not destroy it.
/// See:    SO_REUSEPORT in socket(7); asyncio has processes for this.
class RONDO_API loop_pool {
public:
    /// Throws: uring_unavailable; std::system_error if a thread cannot be started or pinned. All
    ///         threads have ended then.
    explicit loop_pool(loop_pool_options options = {});
    explicit loop_pool(std::size_t loops) : loop_pool(loop_pool_options{.loops = loops}) {}
    /// Calls stop() and blocks until the loops have ended: their tasks are cancelled and have
    /// ended, descriptors are closed, executors are joined. In a task it blocks that task's loop,
    /// and everything that waits for it.
    ~loop_pool();
    loop_pool(const loop_pool&) = delete;
    loop_pool& operator=(const loop_pool&) = delete;

    /// The number of loops.
    std::size_t size() const noexcept;
    /// The `remote` of the loop with that number, for `on` and for posts; it outlives the pool.
    const remote& operator[](std::size_t loop) const noexcept;
    /// Gives each loop in turn, for work that may run on any.
    const remote& next() noexcept;
    /// The number of the loop that runs on this thread.
    /// Throws: no_running_loop_error if this is no thread of a loop_pool.
    static std::size_t current_index();

    /// Calls `fn(args...)` on that loop and does not wait: the detached form of `on`. Callable and
    /// arguments are copied or moved, and live until the task that they make has ended. They must
    /// not borrow from the caller.
    /// Returns: a future of the value of that task, or of the return value of a plain function.
    ///          Cancelling the future cancels the task.
    /// Throws:  closed_error after stop(), and if the loop has ended; std::bad_alloc. From `get`
    ///          and `co_await`: the exception of the call; future_cancelled if it was cancelled,
    ///          also by the end of the loop.
    template <class F, class... Args>
        requires std::is_invocable_v<std::decay_t<F>&, std::decay_t<Args>...>
    auto submit(std::size_t loop, F&& fn, Args&&... args) {
        return guarded<F, Args...>(run_coroutine_threadsafe(
            detail::kept_task(std::forward<F>(fn), std::forward<Args>(args)...), open_loop(loop)));
    }
    /// submit to each loop in turn.
    template <class F, class... Args>
        requires std::is_invocable_v<std::decay_t<F>&, std::decay_t<Args>...>
    auto submit(F&& fn, Args&&... args) {
        return guarded<F, Args...>(run_coroutine_threadsafe(
            detail::kept_task(std::forward<F>(fn), std::forward<Args>(args)...), open_loop()));
    }

    /// Calls `fn(args...)`, which must return a task, on each loop, with its own copies of both;
    /// blocks the thread until all of these mains have ended. Other tasks that they started go on
    /// until the pool ends. On the main thread the first SIGINT cancels all mains, as in
    /// rondo::run; stop() cancels them too.
    /// Returns: their values, in the order of the loops. If they give no value: nothing, also if
    ///          they were cancelled.
    /// Throws:  the first error of any main, with its type, after the others were cancelled and
    ///          have ended; further errors go to the exception handler of their loop. closed_error
    ///          if a loop was stopped from inside; future_cancelled if other code has cancelled a
    ///          main. If the mains give values: interrupted after SIGINT, and future_cancelled
    ///          after stop(). invalid_state_error if a loop runs on this thread: use gather and
    ///          `on` there.
    template <class F, class... Args>
        requires(std::is_invocable_v<F&, Args...> &&
                 detail::is_task<std::invoke_result_t<F&, Args...>>::value)
    auto run(F fn, Args... args) {
        static_assert(
            std::is_copy_constructible_v<F> && (std::is_copy_constructible_v<Args> && ...),
            "each loop gets its own copies: pass a pointer or a std::ref to an object that cannot "
            "be copied");
        using result = typename std::invoke_result_t<F&, Args...>::value_type;
        const auto main = [&](const F& f, const Args&... a) {
            return detail::call_held(F(f), Args(a)...);
        };
        if constexpr (std::is_void_v<result>) {
            run_mains([&](std::size_t) { return main(fn, args...); });
        } else {
            std::vector<std::optional<result>> results(size());
            throw_where_cancelled(run_mains(
                [&](std::size_t i) { return detail::keep_result(results[i], main(fn, args...)); }));
            std::vector<result> values;
            for (auto& one : results) values.push_back(*std::move(one));
            return values;
        }
    }

    /// Ends the loops: cancels each main of a `run`, and all other tasks. Returns at once; the
    /// destructor waits. Afterwards submit throws closed_error and `run` returns at once. Calls and
    /// posts to a loop that is ending get closed_error once it has ended.
    /// Thread: any, also in a task of the pool.
    void stop() noexcept;

private:
    template <class F, class... Args, class T>
    static detail::guarded_thread_future<T, F, Args...> guarded(thread_future<T> f) noexcept {
        return f;
    }
    /// The loop with that number, or the next one. Throws: closed_error after stop().
    const remote& open_loop(std::size_t loop) const;
    const remote& open_loop();
    detail::mains_end run_mains(detail::function<task<>(std::size_t)> begin);
    static void throw_where_cancelled(detail::mains_end how);

    std::unique_ptr<detail::loop_threads> threads_;
};

}  // namespace v0
}  // namespace rondo
