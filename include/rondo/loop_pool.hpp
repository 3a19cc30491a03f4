// SPDX-License-Identifier: MIT
// One loop per core, each on a thread of its own, with nothing shared between them.
//
//     rondo::loop_pool cores;
//     cores.run(serve_on_this_core);      // the same main on each; the kernel spreads the connections (reuse_port)
//
// A task stays on the loop that it was started on: no lock, no work stealing, caches stay warm. What has to go
// elsewhere goes by name: `co_await on(cores[2], fn, args...)`, `submit`, or a bridge_queue.
//
// `run` waits on the calling thread, in a loop of its own that does nothing else: its main task has called all the
// others by `on`. So Ctrl-C, the first error that ends the others, and the wait for their end are those of
// rondo::run. The choice not taken is to make the calling thread one of the loops: nothing could be submitted to
// that one before `run`, nor after.
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

/// How a loop_pool is made.
struct loop_pool_options {
    std::size_t loops = 0;   ///< 0: as many as there are cores that this thread may use (sched_getaffinity)
    bool pin = false;        ///< each thread stays on one of these cores, in turn
    loop_options loop{};     ///< of each
    std::string_view name = "rondo-loop";  ///< of the threads, with a dash and a number; 15 bytes at most
    bool handle_sigint = true;             ///< in `run`, as run_options
    bool handle_sigterm = false;
};
static_assert(std::is_trivially_destructible_v<loop_pool_options>);

namespace detail {

class loop_threads;

/// How the mains of a pool have ended, where none of them failed.
enum class mains_end { all_done, interrupted, stopped };

template <class T>
task<> keep_result(std::optional<T>& place, task<T> from) {
    place.emplace(co_await std::move(from));
}

/// What `submit` sends: a frame that keeps callable and arguments.
template <class F, class... Args>
task<typename far_result<std::invoke_result_t<F&, Args...>>::type> call_there(F fn, Args... args) {
    if constexpr (far_result<std::invoke_result_t<F&, Args...>>::is_awaited)
        co_return co_await std::invoke(fn, std::move(args)...);
    else
        co_return std::invoke(fn, std::move(args)...);
}
template <class F, class... Args>
auto kept_task(F&& fn, Args&&... args) {
    return call_there<std::decay_t<F>, std::decay_t<Args>...>(std::forward<F>(fn), std::forward<Args>(args)...);
}

}  // namespace detail

/// Loops that run, from the constructor to the destructor, each on its own thread. These threads block every signal
/// that is sent to the process.
/// Thread: any, but for its own: where its destructor would wait for itself.
/// See:    SO_REUSEPORT in socket(7); asyncio has processes for this.
class RONDO_API loop_pool {
public:
    /// Throws: uring_unavailable; std::system_error where a thread cannot be started or pinned. Nothing is left then.
    explicit loop_pool(loop_pool_options options = {});
    explicit loop_pool(std::size_t loops) : loop_pool(loop_pool_options{.loops = loops}) {}
    /// stop(), and waits until the loops have ended: their tasks are cancelled and have ended, descriptors are
    /// closed, executors joined. It blocks: in a task it holds its loop up, and with it whoever waits for that one.
    ~loop_pool();
    loop_pool(const loop_pool&) = delete;
    loop_pool& operator=(const loop_pool&) = delete;

    /// How many loops.
    std::size_t size() const noexcept;
    /// A way into the loop of that number, for `on` and for posts; it outlives the pool.
    const remote& operator[](std::size_t loop) const noexcept;
    /// Each loop in turn, for work that may be done on any.
    const remote& next() noexcept;
    /// The number of the loop whose thread this is.
    /// Throws: no_running_loop_error on a thread that is no loop_pool's.
    static std::size_t current_index();

    /// Calls `fn(args...)` on that loop, from anywhere, and does not wait: the detached form of `on`. Callable and
    /// arguments are copied or moved, and live until the task has ended that they make; they must not borrow from
    /// here.
    /// Returns: a future of the value of that task, or of what a plain function returns. To cancel it cancels the
    ///          task.
    /// Throws:  closed_error after stop(), and where the loop has ended; std::bad_alloc. Got or awaited: what the
    ///          call throws, future_cancelled where it was cancelled, also by the end of the loop.
    template <class F, class... Args>
        requires std::is_invocable_v<std::decay_t<F>&, std::decay_t<Args>...>
    auto submit(std::size_t loop, F&& fn, Args&&... args) {
        return guarded<F, Args...>(run_coroutine_threadsafe(
            detail::kept_task(std::forward<F>(fn), std::forward<Args>(args)...), open_loop(loop)));
    }
    /// The same on each loop in turn.
    template <class F, class... Args>
        requires std::is_invocable_v<std::decay_t<F>&, std::decay_t<Args>...>
    auto submit(F&& fn, Args&&... args) {
        return guarded<F, Args...>(run_coroutine_threadsafe(
            detail::kept_task(std::forward<F>(fn), std::forward<Args>(args)...), open_loop()));
    }

    /// Calls `fn(args...)`, which must give a task, on each loop, with copies of its own; blocks the thread until
    /// all of them have ended. What they have started besides goes on until the pool ends. The first SIGINT cancels
    /// them all, as it does with rondo::run, if this is the main thread; so does stop().
    /// Returns: their values, by number of the loop; nothing where they give none, also where they were cancelled.
    /// Throws:  the first error of any of them, as the type it is, once the others have been cancelled and have
    ///          ended; further ones go to the exception handler of their loop. closed_error where a loop has been
    ///          stopped from inside, future_cancelled where somebody else has cancelled a main. Where there are
    ///          values to return, interrupted after SIGINT, and future_cancelled after stop(). invalid_state_error
    ///          where a loop runs on this thread: there gather and `on` do the same.
    template <class F, class... Args>
        requires(std::is_invocable_v<F&, Args...> && detail::is_task<std::invoke_result_t<F&, Args...>>::value)
    auto run(F fn, Args... args) {
        static_assert(std::is_copy_constructible_v<F> && (std::is_copy_constructible_v<Args> && ...),
                      "each loop gets copies of its own: hand over a pointer or a std::ref to what cannot be copied");
        using result = typename std::invoke_result_t<F&, Args...>::value_type;
        const auto main = [&](const F& f, const Args&... a) { return detail::call_held(F(f), Args(a)...); };
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

    /// Ends the loops: each main of a `run` is cancelled, and whatever else runs there. Returns at once; the
    /// destructor waits. submit throws closed_error from then on, `run` returns at once; what comes by `on` or by
    /// posts to a loop that is ending gets closed_error too, once that has ended.
    /// Thread: any, also from a task inside.
    void stop() noexcept;

private:
    template <class F, class... Args, class T>
    static detail::guarded_thread_future<T, F, Args...> guarded(thread_future<T> f) noexcept {
        return f;
    }
    /// Of that number, or the next one. Throws: closed_error after stop().
    const remote& open_loop(std::size_t loop) const;
    const remote& open_loop();
    detail::mains_end run_mains(detail::function<task<>(std::size_t)> begin);
    static void throw_where_cancelled(detail::mains_end how);

    std::unique_ptr<detail::loop_threads> threads_;
};

}  // namespace v0
}  // namespace rondo
