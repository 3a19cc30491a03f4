// SPDX-License-Identifier: MIT
// to_thread: runs a blocking or computing function on a thread.
//
// `to_thread(fn, args...)` is structured: the await ends when the call has ended. So references to
// the caller's locals are safe (law 1), and the call's result is always delivered (law 2). The job
// is stored in the awaiting frame; queueing it, running it and returning allocate nothing.
#pragma once

#include <coroutine>
#include <cstdint>
#include <exception>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

#include <rondo/config.hpp>
#include <rondo/detail/base/kept_call.hpp>
#include <rondo/detail/coroutine/gcc12.hpp>
#include <rondo/detail/coroutine/wrong_calls.hpp>
#include <rondo/detail/thread/pool_job.hpp>
#include <rondo/loop.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

class loop_executor;
class pool_core;

/// Base class of the awaiters of calls on a thread: everything that does not depend on the type of
/// the call.
class RONDO_API thread_call_wait : public leaf_wait, public pool_job {
public:
    bool await_ready() noexcept {
        return is_cancelled() && cancel_at_start();
    }
    void await_suspend(std::coroutine_handle<> frame, location at = location::current());

protected:
    enum : std::uint32_t { simulated = 2, ran = 4, on_loop = 8 };

    /// Runs the call on `pool`, or on the loop's own pool if that is null.
    thread_call_wait(const pool_job_kind& call, pool_core* pool) noexcept;
    thread_call_wait(const pool_job_kind& call, pool_core* pool, const wait_kind& k) noexcept
        : leaf_wait(k), pool_job(&call), pool_(pool) {}
    ~thread_call_wait() { drop_bindings(bindings_); }

    /// The call has ended; resumes the task. Called on any thread. Do not touch this object
    /// afterwards.
    void finish() noexcept;
    /// The origin of the job, for the thread that makes the call.
    job_origin origin() const noexcept;
    /// The error of a call that the pool has given up: future_cancelled.
    static std::exception_ptr given_up();

private:
    friend class loop_executor;
    friend struct thread_call_kind;
    static void run_simulated(void* wait) noexcept;
    void refuse(int answer) noexcept;

    loop_executor* executor_ = nullptr;
    pool_core* pool_;
    const carried_bindings* bindings_ = nullptr;
};

/// The base class for a callable that takes a stop token.
class RONDO_API stoppable_thread_call_wait : public thread_call_wait {
protected:
    stoppable_thread_call_wait(const pool_job_kind& call, pool_core* pool);

    std::stop_source stop_;

private:
    friend struct thread_call_kind;
};

template <class Call>
class thread_call_awaiter
    : public std::conditional_t<Call::takes_token, stoppable_thread_call_wait, thread_call_wait> {
    using base =
        std::conditional_t<Call::takes_token, stoppable_thread_call_wait, thread_call_wait>;
    using result_type = typename Call::result_type;

public:
    thread_call_awaiter(Call&& call, pool_core* pool) : base(kind_, pool), kept_(std::move(call)) {}

    result_type await_resume() {
        if (this->is_refused()) throw cancelled();
        return outcome_.take();
    }

private:
    static void run_call(pool_job& job) noexcept {
        auto& self = static_cast<thread_call_awaiter&>(job);
        if (!self.is_refused()) {
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

    // Callable and arguments are destroyed on the call's thread when the call has ended, before the
    // task resumes.
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

/// The awaitable that `to_thread` returns; `co_await` it once.
template <bool Hazard, class Call>
class [[nodiscard("a call on a thread does nothing until it is awaited")]] thread_call
    : detail::only_in_tasks {
public:
    using value_type = typename Call::result_type;

    /// Runs the call on `pool`, or on the loop's own pool if that is null.
    template <class... Given>
    explicit thread_call(detail::pool_core* pool, Given&&... given)
        : pool_(pool), call_(std::in_place, std::forward<Given>(given)...) {}

    detail::thread_call_awaiter<Call> rondo_awaiter() & { return begin(); }
    detail::thread_call_awaiter<Call> rondo_awaiter() && {
        static_assert(
            !Hazard,
            "g++ 12 destroys a closure or aggregate that owns something twice when it is a "
            "temporary in an expression with co_await: give the awaitable a name on a line "
            "of its own, `auto job = to_thread(...);`, and `co_await job`, or pass a lambda "
            "without captures and its arguments");
        return begin();
    }

private:
    detail::thread_call_awaiter<Call> begin() {
        RONDO_ASSERT(!std::exchange(begun_, true), "the same to_thread call was awaited twice");
        return detail::thread_call_awaiter<Call>(std::move(call_), pool_);
    }

    detail::pool_core* pool_;
    Call call_;
    bool begun_ = false;
};

namespace detail {

/// A thread can call functions only: a coroutine would be created there, but no loop would run it.
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
        static_assert(sizeof...(Call) > 0, "to_thread takes a function, followed by its arguments");
    else if constexpr (can_be_called<Call...>)
        static_assert((is_meant<Call> && ...),
                      "a thread cannot run a coroutine: await it here, or pass a function that "
                      "blocks or computes");
    else if constexpr (sizeof...(Call) == 1 && !(callable<std::decay_t<Call>> && ...))
        static_assert(
            (is_meant<Call> && ...),
            "this is the result of a call: pass the function itself, followed by its arguments");
    else
        return refuse_kept_function<Call...>();
    return {};
}

}  // namespace detail

/// Calls `fn(args...)` on a thread of the loop's pool while the loop goes on, and returns its
/// result. Callable and arguments are copied or moved, as by std::thread. They are destroyed on
/// that thread when the call has ended, before the task resumes. The call is structured, so they
/// may refer to the caller's locals (std::ref, pointers, views).
///
/// A callable that takes a std::stop_token as its first parameter can see a cancellation. If it
/// ends early for that reason, it may throw `cancelled` or return what it has. Other callables
/// cannot be stopped: `wait_for(1s, to_thread(f))` returns when f returns, however late.
///
/// The loop's pool has at most min(32, cores + 4) threads (see loop::set_default_executor). They
/// start on demand and end with the loop. Jobs begin in the order of the awaits; any number may
/// wait. If no thread can be started, the call is made on the loop's own thread. The job sees the
/// values of task_locals, and block_on (from_threads.hpp) runs a task on the loop.
/// Returns: the result of fn, also a reference.
/// Throws:  the exception of fn, with its type; closed_error after shutdown_default_executor;
///          std::bad_alloc for the stop state if fn takes a token.
/// Cancel:  a call that has not begun is taken back, and the wait throws at once. If the call has
///          begun, its stop_token is set (the canceller runs std::stop_callbacks, on the loop's
///          thread) and the task waits for its end. Its result is returned, and the next wait
///          throws.
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

}  // namespace v0
}  // namespace rondo
