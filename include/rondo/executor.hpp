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

#include <rondo/config.hpp>

#include <coroutine>
#include <cstdint>
#include <exception>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

#include <rondo/detail/coroutine/gcc12.hpp>
#include <rondo/detail/base/kept_call.hpp>
#include <rondo/detail/thread/pool_job.hpp>
#include <rondo/detail/coroutine/wrong_calls.hpp>
#include <rondo/loop.hpp>
#include <rondo/thread_pool.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {

class loop_executor;

/// The awaiter of a call on a thread, but for what depends on the call.
class RONDO_API thread_wait : public leaf_wait, public pool_job {
public:
    bool await_ready() noexcept {
        if (!is_cancelled()) return false;
        state = refused;
        return may_go_on();
    }
    void await_suspend(std::coroutine_handle<> frame, location at = location::current());

protected:
    enum : std::uint32_t { refused = 1, simulated = 2, ran = 4, on_loop = 8 };

    /// On `pool`, or on the loop's own where that is null.
    thread_wait(const pool_job_kind& call, pool_core* pool) noexcept;
    thread_wait(const pool_job_kind& call, pool_core* pool, const wait_kind& k) noexcept
        : leaf_wait(k), pool_job(&call), pool_(pool) {}
    ~thread_wait() { drop_bindings(bindings_); }

    /// The call has been made, on whatever thread: back to the task. Nothing of this may be touched afterwards.
    void finish() noexcept;
    /// What it comes from, for the thread that makes the call.
    job_origin origin() const noexcept;
    /// future_cancelled, for a call that the pool has given up.
    static std::exception_ptr given_up();

private:
    friend class loop_executor;
    friend struct thread_wait_kind;
    static void run_simulated(void* wait) noexcept;
    void refuse(int answer) noexcept;

    loop_executor* executor_ = nullptr;
    pool_core* pool_;
    const carried_bindings* bindings_ = nullptr;
};

/// The same for a callable that can be told to stop.
class RONDO_API stoppable_thread_wait : public thread_wait {
protected:
    stoppable_thread_wait(const pool_job_kind& call, pool_core* pool);

    std::stop_source stop_;

private:
    friend struct thread_wait_kind;
};

template <class Call>
class thread_call_awaiter
    : public std::conditional_t<Call::takes_token, stoppable_thread_wait, thread_wait> {
    using base = std::conditional_t<Call::takes_token, stoppable_thread_wait, thread_wait>;
    using result_type = typename Call::result_type;

public:
    thread_call_awaiter(Call&& call, pool_core* pool) : base(kind_, pool), kept_(std::move(call)) {}

    result_type await_resume() {
        if ((this->state & base::refused) != 0) throw cancelled();
        return outcome_.take();
    }

private:
    static void run_call(pool_job& job) noexcept {
        auto& self = static_cast<thread_call_awaiter&>(job);
        if ((self.state & base::refused) == 0) {
            const job_origin origin = self.origin();
            const job_origin_here carried(origin);
            self.keep_outcome();
        }
        self.finish();
    }
    static void give_up(pool_job& job, std::exception_ptr why) noexcept {
        auto& self = static_cast<thread_call_awaiter&>(job);
        self.kept_.reset();
        self.outcome_.set_exception(why != nullptr ? std::move(why) : base::given_up());
        self.finish();
    }
    static constexpr pool_job_kind kind_{run_call, give_up};

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

    // Callable and arguments are destroyed when the call has ended, on its thread, before the task goes on.
    result_type call() {
        const struct guard {
            std::optional<Call>& kept;
            ~guard() { kept.reset(); }
        } gone{kept_};
        if constexpr (Call::takes_token)
            return (*kept_)(this->stop_.get_token());
        else
            return (*kept_)();
    }

    std::optional<Call> kept_;
    outcome<result_type> outcome_;
};

}  // namespace detail

/// What `to_thread` gives: `co_await` it, once.
template <bool Hazard, class Call>
class [[nodiscard("a call on a thread does nothing until it is awaited")]] thread_call
    : detail::only_in_tasks {
public:
    using value_type = typename Call::result_type;

    /// On `pool`, or on the loop's own where that is null.
    template <class... Given>
    explicit thread_call(detail::pool_core* pool, Given&&... given)
        : pool_(pool), call_(std::in_place, std::forward<Given>(given)...) {}

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
        return detail::thread_call_awaiter<Call>(std::move(call_), pool_);
    }

    detail::pool_core* pool_;
    Call call_;
    bool begun_ = false;
};

namespace detail {

/// A thread calls functions; a coroutine would only be made there, and run nowhere.
template <class... Call>
inline constexpr bool can_be_called = false;
template <class F, class... Args>
inline constexpr bool can_be_called<F, Args...> = can_be_kept<F, Args...>;

template <class... Call>
inline constexpr bool can_be_called_elsewhere = false;
template <class F, class... Args>
    requires can_be_kept<F, Args...>
inline constexpr bool can_be_called_elsewhere<F, Args...> =
    !awaitable<typename kept<F, Args...>::result_type>;

template <class... Call>
constexpr refused_call refuse_thread_call() {
    if constexpr (sizeof...(Call) == 0)
        static_assert(sizeof...(Call) > 0, "to_thread takes a function, and its arguments after it");
    else if constexpr (can_be_called<Call...>)
        static_assert((is_meant<Call> && ...),
                      "a thread cannot run a coroutine: await it here, or pass a function that blocks or computes");
    else if constexpr (sizeof...(Call) == 1 && !(callable<std::decay_t<Call>> && ...))
        static_assert((is_meant<Call> && ...),
                      "this is the result of a call: pass the function itself, followed by its arguments");
    else
        return refuse_kept_function<Call...>();
    return {};
}

}  // namespace detail

/// Calls `fn(args...)` on a thread of the loop's pool while the loop goes on, and gives what it returns. Callable and
/// arguments are copied or moved, as by std::thread, and destroyed on that thread when the call has ended, before the
/// task goes on. Since the call is structured, they may refer to the caller's locals (std::ref, pointers, views).
///
/// A callable that takes a std::stop_token as its first parameter is told of a cancellation by it; one that ends early
/// for that reason may throw `cancelled`, or return what it has. No other callable can be stopped: `wait_for(1s,
/// to_thread(f))` returns when f does, be it long after.
///
/// The loop's pool has at most min(32, cores + 4) threads (see loop::set_default_executor), started when they are needed
/// and ended with the loop; jobs begin in the order of the awaits, and any number may wait. Where no thread can be
/// started the call is made on the loop's own. The values of task_locals are there, and block_on (from_threads.hpp) leads
/// back to the loop.
/// Returns: what fn returns, a reference too.
/// Throws:  what fn throws, as the type it is; closed_error behind shutdown_default_executor; std::bad_alloc for the stop
///          state of a callable that takes a token.
/// Cancel:  a call that has not begun is taken back, and the wait throws at once. One that has begun is told by its
///          stop_token (std::stop_callbacks are run by whoever cancels, on the loop's thread) and waited for; what it
///          returns is returned, and the next wait throws.
/// See:     asyncio.to_thread, trio.to_thread.run_sync.
template <class F, class... Args>
    requires detail::can_be_called_elsewhere<F, Args...>
auto to_thread(F&& fn, Args&&... args) {
    constexpr bool hazard =
        detail::owning_closure_hazard<F> || (detail::owning_argument_hazard<Args> || ...);
    return thread_call<hazard, detail::kept<F, Args...>>(nullptr, std::forward<F>(fn),
                                                         std::forward<Args>(args)...);
}

template <class... Call>
    requires(!detail::can_be_called_elsewhere<Call...>)
auto to_thread(Call&&...) {
    return detail::refuse_thread_call<Call...>();
}

/// The same on a pool of one's own, which outlives the await. Where the pool is full its rejection policy holds, but that
/// `block` blocks nobody: the task waits. On the simulator the call is made as by to_thread.
/// Throws: also pool_full_error, closed_error, broken_pool_error; future_cancelled where the pool discarded the call, or
///         was shut down so before it began.
/// See:    asyncio loop.run_in_executor.
template <class F, class... Args>
    requires detail::can_be_called_elsewhere<F, Args...>
auto run_in_executor(thread_pool& pool, F&& fn, Args&&... args) {
    constexpr bool hazard =
        detail::owning_closure_hazard<F> || (detail::owning_argument_hazard<Args> || ...);
    return thread_call<hazard, detail::kept<F, Args...>>(
        pool.core().get(), std::forward<F>(fn), std::forward<Args>(args)...);
}

template <class... Call>
    requires(!detail::can_be_called_elsewhere<Call...>)
auto run_in_executor(thread_pool&, Call&&...) {
    return detail::refuse_thread_call<Call...>();
}

/// Ends the running loop's pool: what waits still runs; no to_thread any more. The loop's end does the same.
/// Throws: deadlock_error in a task that a job of this pool waits for, or whose loop runs on a thread of it.
/// Cancel: leaves at once; the pool goes on ending. wait_for(1s, shutdown_default_executor()) bounds the wait.
/// See:    asyncio loop.shutdown_default_executor.
RONDO_API task<> shutdown_default_executor();

}  // namespace v0
}  // namespace rondo
