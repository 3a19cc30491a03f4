// SPDX-License-Identifier: MIT
// run: a program's main. It makes a loop, runs main as its first task, ends everything in order,
// and handles Ctrl-C.
#pragma once

#include <functional>
#include <utility>

#include <rondo/detail/coroutine/wrong_calls.hpp>
#include <rondo/loop.hpp>

namespace rondo {
inline namespace v0 {

/// Options of run.
struct run_options {
    loop_options loop{};
    /// SIGINT cancels main. Only on the main thread, and if SIGINT has its default disposition.
    bool handle_sigint = true;
    /// The same for SIGTERM, which stops a service.
    bool handle_sigterm = false;
};

namespace detail {

/// The loop of one main, with its signal handlers.
class RONDO_API main_run {
public:
    explicit main_run(const run_options& options);
    ~main_run();
    main_run(const main_run&) = delete;
    main_run& operator=(const main_run&) = delete;

    rondo::loop& loop() noexcept { return loop_; }
    /// Runs until main and all other tasks have ended.
    void until_end(task_handle main);
    /// True if a signal cancelled main.
    bool was_interrupted() const noexcept { return interrupted_; }

private:
    bool handles() const noexcept { return handled_[0] != 0 || handled_[1] != 0; }

    rondo::loop loop_;
    int handled_[2] = {0, 0};  // signals with our handler
    bool interrupted_ = false;
};

template <class T>
T end_of(main_run& run, future<T> main) {
    run.until_end(main);
    if (main.cancelled() && run.was_interrupted()) {
        if constexpr (std::is_void_v<T>)
            return;
        else
            throw interrupted();
    }
    return take_result(std::move(main));
}

/// Keeps a callable and its arguments as long as the coroutine that they make.
template <class F, class... Args>
auto call_held(F fn, Args... args) -> std::invoke_result_t<F&, Args...> {
    co_return co_await std::invoke(fn, std::move(args)...);
}

}  // namespace detail

/// Runs `main` on a new loop, cancels and awaits the remaining tasks, runs the shutdown hooks, and
/// returns main's value. The first SIGINT (or SIGTERM, if enabled) cancels main; the second one
/// kills the process as usual. After that, `return rondo::interrupted();` makes the signal the
/// program's exit code. A signal that arrives before `run` has installed its handlers has its
/// default effect.
/// Throws: what main throws; `interrupted` if a signal ended a main that has a value to return;
///         uring_unavailable; invalid_state_error inside another run.
/// See:    asyncio.run.
template <class T>
T run(task<T> main, run_options options = {},
      detail::location where = detail::location::current()) {
    detail::main_run run(options);
    return detail::end_of(run, run.loop().create_task(std::move(main), {.name = "main"}, where));
}

/// The same for a callable and its arguments, which live as long as the task that they make:
/// `run(serve_all, port)`.
template <class F, class... Args>
    requires detail::gives_task<F&, Args...>
auto run(F fn, Args... args) {
    return rondo::run(detail::call_held(std::move(fn), std::move(args)...));
}
template <class F, class... Args>
    requires(!detail::gives_task<std::decay_t<F>&, std::decay_t<Args>...> &&
             !detail::is_task<std::decay_t<F>>::value)
auto run(F&&, Args&&...) {
    if constexpr (detail::any_awaitable<std::decay_t<F>>)
        static_assert(detail::is_meant<F>,
                      "run takes a task: await this in a coroutine, and run that");
    else
        return detail::refuse_kept_function<F, Args...>();
}

}  // namespace v0
}  // namespace rondo
