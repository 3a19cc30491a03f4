// SPDX-License-Identifier: MIT
// Time: sleeping, and verbs that put a limit around anything that can be awaited.
//
// A timeout starts no task. It opens a scope inside the running one and a timer that cancels it; what is inside has
// ended before the verb returns. If it ended with a value, the value wins; if it ended because of this scope, and of
// none around it, that is the timeout. An outer cancellation is never turned into one.
//
// The two meanings of a timeout have two names (trio's): `wait_for` throws, `move_on_after` goes on.
#pragma once

#include <coroutine>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include <rondo/detail/guarded.hpp>
#include <rondo/loop.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {

/// The awaiter of a sleep: a timer in the awaiting frame.
class RONDO_API sleep_awaiter : public leaf_wait, timer_node {
public:
    explicit sleep_awaiter(time_point when) noexcept;
    ~sleep_awaiter();
    bool await_ready() noexcept {
        if (!asked()) return false;
        state = refused;
        return true;
    }
    void await_suspend(std::coroutine_handle<> frame, location at = location::current());
    void await_resume() {
        if (state == refused) throw cancelled();
    }

private:
    friend struct sleep_kind;
    enum : std::uint32_t { refused = 1 };
};

}  // namespace detail

class sleeping;

namespace detail {
RONDO_API sleeping sleep_for(duration delay);
}  // namespace detail

/// What `sleep` gives: `co_await` it.
class [[nodiscard("a sleep does nothing until it is awaited")]] sleeping : detail::only_in_tasks {
public:
    explicit sleeping(time_point when) noexcept : when_(when) {}
    detail::sleep_awaiter rondo_awaiter() const noexcept { return detail::sleep_awaiter(when_); }

private:
    time_point when_;
};

/// Suspends the running task until `delay` has passed, never less; the loop looks at the clock at most its timer slack
/// (64 us) later. Zero, or less, lets everybody run who is ready.
/// Cancel: throws at once.
/// See:    asyncio.sleep.
template <class Rep, class Period>
sleeping sleep(const std::chrono::duration<Rep, Period>& delay) {
    return detail::sleep_for(detail::to_duration(delay));
}

/// The same until a moment of the loop's clock (`loop::time`).
/// Cancel: throws at once.
RONDO_API sleeping sleep_until(time_point when);

/// The same, and gives `value` then.
/// See: asyncio.sleep(delay, result).
template <class Rep, class Period, class T>
task<T> sleep(std::chrono::duration<Rep, Period> delay, T value) {
    co_await sleep(delay);
    co_return value;
}

namespace detail {

/// The awaiter of yield_now: no wait, only the end of the ready queue.
struct yield_awaiter {
    bool refused = false;
    bool await_ready() noexcept { return refused = asked(); }
    void await_suspend(std::coroutine_handle<> frame) noexcept {
        task_record& self = *here.current;
        self.point = frame;
        self.home->push(self);
    }
    void await_resume() const {
        if (refused) [[unlikely]]
            throw cancelled();
    }
};

struct yielding : only_in_tasks {
    yield_awaiter rondo_awaiter() const noexcept { return {}; }
};

}  // namespace detail

/// Gives way once to everybody who is ready.
/// Cancel: throws instead; a request that comes meanwhile is thrown by the next wait.
/// See:    asyncio.sleep(0).
inline detail::yielding yield_now() noexcept { return {}; }

class scope_view;

/// The scope of a timeout: cancelled when its deadline comes.
/// Thread: its loop's.
/// See:    asyncio.Timeout, trio.CancelScope.
class RONDO_API timeout_scope : detail::inner_scope, detail::timer_node {
public:
    /// No deadline for time_point::max(); one that has passed cancels at once.
    explicit timeout_scope(time_point deadline);
    ~timeout_scope();

    /// The deadline. One around it may come earlier: current_scope() knows.
    time_point when() const noexcept { return deadline_; }
    /// Has the deadline come?
    bool expired() const noexcept { return expired_; }
    /// Moves the deadline. Throws: invalid_state_error once it has expired.
    void reschedule(time_point deadline);

    /// On `cancelled`: was it this deadline and no request from outside? Then it is a timeout.
    bool timed_out() const noexcept { return expired_ && ends_here(); }

private:
    friend scope_view current_scope();
    void arm();
    static void expire(timer_node& node) noexcept;

    time_point deadline_;
    bool expired_ = false;
};

/// Where the running task stands in the tree of scopes, as far as a cancellation could reach it there.
/// Thread: its loop's.
/// See:    trio.current_effective_deadline, Go's context.Deadline.
class scope_view {
public:
    /// The earliest deadline of the timeouts that it is in, also those around the verb that started the task;
    /// time_point::max() where there is none. A shield hides what is around it, a detached task has none around it.
    time_point deadline() const noexcept { return deadline_; }
    /// How long it is until then: zero when it has come, duration::max() where there is none.
    duration remaining() const noexcept { return remaining_; }
    /// Was it asked to stop? The next wait will throw then.
    bool cancel_requested() const noexcept { return requested_; }

private:
    friend RONDO_API scope_view current_scope();
    time_point deadline_ = time_point::max();
    duration remaining_ = duration::max();
    bool requested_ = false;
};

/// The scope that is open now in the running task: a snapshot.
/// Throws: no_running_loop_error outside of a task.
RONDO_API scope_view current_scope();

/// How much time the running task has left: current_scope().remaining(). For what takes a limit of its own.
/// Throws: no_running_loop_error outside of a task.
RONDO_API duration remaining();

namespace detail {

/// What `co_await awaitable` gives, without the reference. void for what cannot be awaited: clang 14
/// asks that too, in the types of functions that it then finds not to be meant.
template <class A>
struct awaited_by {
    using type = void;
};
template <native_awaitable A>
struct awaited_by<A> {
    using type = std::remove_cvref_t<decltype(std::declval<A>().rondo_awaiter().await_resume())>;
};
template <class T>
struct awaited_by<task<T>> {
    using type = T;
};
template <class A>
using awaited_t = typename awaited_by<std::remove_cvref_t<A>>::type;

/// void as a value.
template <class T>
using or_monostate = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

RONDO_API time_point deadline_after(duration delay);

/// A named guarded_task is the task that it is; everything else is awaited as it stands.
template <class A>
A&& unguarded(A& awaitable) noexcept {
    return static_cast<A&&>(awaitable);
}
template <class T>
task<T> unguarded(guarded_task<T>& t) noexcept {
    return std::move(t);
}

}  // namespace detail

/// Awaits `awaitable` for at most `limit`. What it awaited has ended when this returns or throws.
/// Throws: timeout_error; what the awaitable throws.
/// Cancel: cancels what is inside and awaits its end.
/// See:    asyncio.wait_for.
template <class A>
task<detail::awaited_t<A>> wait_for(detail::time_limit limit, A awaitable) {
    timeout_scope scope(detail::deadline_after(limit));
    try {
        co_return co_await detail::unguarded(awaitable);
    } catch (const cancelled&) {
        if (!scope.timed_out()) throw;
    }
    throw timeout_error(limit);
}

/// The same with an empty optional (for void: false) where the time was not enough. What was done is done: a value that
/// came is returned, late or not.
/// Throws: what the awaitable throws.
/// Cancel: as wait_for.
/// See:    trio.move_on_after, gevent.Timeout(silent).
template <class A>
    requires(!std::is_void_v<detail::awaited_t<A>>)
task<std::optional<detail::awaited_t<A>>> move_on_after(detail::time_limit limit, A awaitable) {
    timeout_scope scope(detail::deadline_after(limit));
    try {
        co_return co_await detail::unguarded(awaitable);
    } catch (const cancelled&) {
        if (!scope.timed_out()) throw;
    }
    co_return std::nullopt;
}
template <class A>
    requires(std::is_void_v<detail::awaited_t<A>>)
task<bool> move_on_after(detail::time_limit limit, A awaitable) {
    timeout_scope scope(detail::deadline_after(limit));
    try {
        co_await detail::unguarded(awaitable);
        co_return true;
    } catch (const cancelled&) {
        if (!scope.timed_out()) throw;
    }
    co_return false;
}

namespace detail {

template <class F>
auto run_limited(duration limit, F fn) -> std::invoke_result_t<F&, timeout_scope&> {
    timeout_scope scope(deadline_after(limit));
    try {
        co_return co_await fn(scope);
    } catch (const cancelled&) {
        if (!scope.timed_out()) throw;
    }
    throw timeout_error(limit);
}

template <class F, class... Args>
auto run_shielded(F fn, Args... args) -> std::invoke_result_t<F&, Args...> {
    inner_scope scope(inner_scope::kind::shield);
    co_return co_await fn(std::move(args)...);
}

}  // namespace detail

/// Runs `fn(timeout_scope&)`, which must give a task, for at most `limit`; inside, the deadline can be read and moved.
/// Throws: timeout_error; what fn's task throws.
/// Cancel: cancels what is inside and awaits its end.
/// See:    asyncio.timeout.
template <class F>
    requires std::is_invocable_v<F&, timeout_scope&>
auto with_timeout(detail::time_limit limit, F&& fn) {
    return detail::guarded<F>(detail::run_limited<std::decay_t<F>>(limit, std::forward<F>(fn)));
}

/// Holds a cancellation back until `inner` has ended; the wait after it throws then. For clean-up that awaits.
/// See: asyncio.shield, trio's shielded scopes.
template <class T>
task<T> shield(task<T> inner) {
    detail::inner_scope scope(detail::inner_scope::kind::shield);
    co_return co_await std::move(inner);
}

template <class T>
task<T> shield(detail::guarded_task<T> inner) {
    return shield(task<T>(std::move(inner)));
}

/// The same with a callable and its arguments, which live until its task has ended.
template <class F, class... Args>
    requires std::is_invocable_v<F&, Args...>
auto with_shield(F&& fn, Args... args) {
    return detail::guarded<F>(
        detail::run_shielded<std::decay_t<F>, Args...>(std::forward<F>(fn), std::move(args)...));
}

/// Awaits a future without owning it.
/// Cancel: leaves at once; the future goes on.
template <class T>
task<T> shield(future<T> f) {
    const detail::future_keeper keeper(detail::future_core(f));
    co_return co_await std::move(f);
}

}  // namespace v0
}  // namespace rondo
