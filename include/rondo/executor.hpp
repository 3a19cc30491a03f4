// SPDX-License-Identifier: MIT
// Threads, for what blocks or computes.
//
// `to_thread(fn, args...)` is a call like any other, made elsewhere: it is structured. The await ends when the call has
// ended, so references to the caller's locals are safe (law 1), and what the call returned is delivered (law 2). The job
// lives in the awaiting frame; queueing it, running it and coming back allocate nothing.
//
// Each loop has a pool of its own, made on first use and joined when the loop ends. The choice not taken: one pool for
// the process. It would outlive loops that its jobs belong to, and share a lock between loops that share nothing else.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <stop_token>
#include <tuple>
#include <type_traits>
#include <utility>

#include <rondo/detail/gcc12.hpp>
#include <rondo/loop.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {

class loop_executor;

/// What threads take out of a queue: a node in its owner's frame. `run` is called once, and nothing of the node is
/// touched by the pool after that.
struct pool_job {
    void (*run)(pool_job&) noexcept;
    pool_job* next = nullptr;
    pool_job* previous = nullptr;  // null: in no queue

    explicit pool_job(void (*r)(pool_job&) noexcept) noexcept : run(r) {}
    pool_job(const pool_job&) = delete;
    pool_job& operator=(const pool_job&) = delete;
};

/// The awaiter of a call on a thread, but for what depends on the call. `run` makes the call and says `finish`.
class RONDO_API thread_wait : public leaf_wait, public pool_job {
public:
    bool await_ready() noexcept {
        if (!asked()) return false;
        state = refused;
        return true;
    }
    void await_suspend(std::coroutine_handle<> frame, location at = location::current());

protected:
    enum : std::uint32_t { refused = 1, simulated = 2, ran = 4, on_loop = 8 };

    explicit thread_wait(void (*call)(pool_job&) noexcept) noexcept;
    thread_wait(void (*call)(pool_job&) noexcept, const wait_kind& k) noexcept
        : leaf_wait(k), pool_job(call) {}

    /// The call has been made, on whatever thread: back to the task. Nothing of this may be touched afterwards.
    void finish() noexcept;

private:
    friend class loop_executor;
    friend struct thread_wait_kind;
    static void run_simulated(void* wait) noexcept;

    loop_executor* executor_ = nullptr;
};

/// The same for a callable that can be told to stop.
class RONDO_API stoppable_thread_wait : public thread_wait {
protected:
    explicit stoppable_thread_wait(void (*run)(pool_job&) noexcept);

    std::stop_source stop_;

private:
    friend struct thread_wait_kind;
};

template <bool TakesToken, class F, class... Args>
struct call_result : std::invoke_result<F, Args...> {};
template <class F, class... Args>
struct call_result<true, F, Args...> : std::invoke_result<F, std::stop_token, Args...> {};

/// A callable and its arguments, kept until they are called, once, with the arguments as rvalues (as std::thread does).
template <class F, class... Args>
class kept_call {
public:
    static constexpr bool takes_token = std::is_invocable_v<F, std::stop_token, Args...>;
    using result_type = typename call_result<takes_token, F, Args...>::type;

    template <class G, class... Given>
    explicit kept_call(std::in_place_t, G&& fn, Given&&... args)
        : fn_(std::forward<G>(fn)), args_(std::forward<Given>(args)...) {}

    result_type operator()() { return std::apply(std::move(fn_), std::move(args_)); }
    result_type operator()(std::stop_token stop) {
        return std::apply(
            [&](Args&... args) -> result_type {
                return std::apply(std::move(fn_), std::tuple<std::stop_token, Args&&...>(
                                                      std::move(stop), std::move(args)...));
            },
            args_);
    }

private:
    [[no_unique_address]] F fn_;
    [[no_unique_address]] std::tuple<Args...> args_;
};

template <class Call>
class thread_call_awaiter
    : public std::conditional_t<Call::takes_token, stoppable_thread_wait, thread_wait> {
    using base = std::conditional_t<Call::takes_token, stoppable_thread_wait, thread_wait>;
    using result_type = typename Call::result_type;

public:
    explicit thread_call_awaiter(Call&& call) : base(run_call), kept_(std::move(call)) {}

    result_type await_resume() {
        if ((this->state & base::refused) != 0) throw cancelled();
        return outcome_.take();
    }

private:
    static void run_call(pool_job& job) noexcept {
        auto& self = static_cast<thread_call_awaiter&>(job);
        if ((self.state & base::refused) == 0) self.keep_outcome();
        self.finish();
    }

    void keep_outcome() noexcept {
        try {
            if constexpr (std::is_void_v<result_type>) {
                call();
                outcome_.emplace();
            } else {
                outcome_.emplace(call());
            }
        } catch (...) {
            outcome_.set_exception(std::current_exception());
        }
    }

    result_type call() {
        if constexpr (Call::takes_token)
            return kept_(this->stop_.get_token());
        else
            return kept_();
    }

    [[no_unique_address]] Call kept_;
    outcome<result_type> outcome_;
};

}  // namespace detail

/// What `to_thread` gives: `co_await` it, once.
template <bool Hazard, class Call>
class [[nodiscard("a call on a thread does nothing until it is awaited")]] thread_call
    : detail::only_in_tasks {
public:
    using value_type = typename Call::result_type;

    template <class... Given>
    explicit thread_call(std::in_place_t, Given&&... given)
        : call_(std::in_place, std::forward<Given>(given)...) {}

    detail::thread_call_awaiter<Call> rondo_awaiter() & { return begin(); }
    detail::thread_call_awaiter<Call> rondo_awaiter() && {
        static_assert(!Hazard,
                      "g++ 12 destroys a closure or aggregate that owns something twice when it is a "
                      "temporary in an expression with co_await: give the awaitable a name on a line "
                      "of its own, `auto job = to_thread(...);`, and `co_await job`, or pass a lambda "
                      "without captures and its arguments");
        return begin();
    }

private:
    detail::thread_call_awaiter<Call> begin() {
        RONDO_ASSERT(!std::exchange(begun_, true), "a to_thread was awaited twice");
        return detail::thread_call_awaiter<Call>(std::move(call_));
    }

    Call call_;
    bool begun_ = false;
};

/// Calls `fn(args...)` on a thread of the loop's pool while the loop goes on, and gives what it returns. Callable and
/// arguments are copied or moved, as by std::thread, and live until the await has ended; since it is structured, they
/// may well refer to the caller's locals (std::ref, pointers, views).
///
/// A callable that takes a std::stop_token as its first parameter is told of a cancellation by it; one that ends early
/// for that reason may throw `cancelled`, or return what it has. No other callable can be stopped: `wait_for(1s,
/// to_thread(f))` returns when f does, be it long after.
///
/// The pool has at most min(32, cores + 4) threads (see set_default_executor_threads), started when they are needed and
/// ended with the loop; jobs begin in the order of the awaits. Its threads block every signal that is sent to the
/// process. Where no thread can be started the call is made on the loop's own.
/// Returns: what fn returns, a reference too.
/// Throws:  what fn throws, as the type it is; std::bad_alloc for the stop state of a callable that takes a token.
/// Cancel:  a call that has not begun is taken back, and the wait throws at once. One that has begun is told by its
///          stop_token (std::stop_callbacks are run by whoever cancels, on the loop's thread) and waited for; what it
///          returns is returned, and the next wait throws.
/// See:     asyncio.to_thread, trio.to_thread.run_sync.
template <class F, class... Args>
    requires(std::is_invocable_v<std::decay_t<F>, std::stop_token, std::decay_t<Args>...> ||
             std::is_invocable_v<std::decay_t<F>, std::decay_t<Args>...>)
auto to_thread(F&& fn, Args&&... args) {
    constexpr bool hazard =
        detail::owning_closure_hazard<F> || (detail::owning_argument_hazard<Args> || ...);
    using call = detail::kept_call<std::decay_t<F>, std::decay_t<Args>...>;
    return thread_call<hazard, call>(std::in_place, std::forward<F>(fn),
                                     std::forward<Args>(args)...);
}

/// At most how many threads `to_thread` uses on this loop, from now on; those that run already stay.
/// See: asyncio loop.set_default_executor.
RONDO_API void set_default_executor_threads(loop& loop, std::size_t threads_max);

}  // namespace v0
}  // namespace rondo
