// SPDX-License-Identifier: MIT
// Time: sleeping, and functions that put a time limit around any awaitable.
//
// A timeout starts no task. It opens a scope inside the running one and a timer that cancels it;
// what is inside has ended before the function returns. If it ended with a value, the value wins.
// If it ended because of this scope, and no scope around it was cancelled, that is the timeout. An
// outer cancellation is never turned into a timeout.
//
// Inside a wait_for of a future is the wait alone. If other tasks wait for the future, its task
// goes on; otherwise it is cancelled, but not waited for.
//
// A timeout has two forms (trio's names): `wait_for` throws, `move_on_after` goes on.
#pragma once

#include <rondo/config.hpp>

#include <coroutine>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include <rondo/detail/coroutine/guarded.hpp>
#include <rondo/detail/coroutine/wrong_calls.hpp>
#include <rondo/loop.hpp>
#include <rondo/shield.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {

/// The awaiter of a sleep: a timer in the awaiting frame.
class RONDO_API sleep_awaiter : public leaf_wait, timer_node {
public:
    static constexpr bool can_be_asked = true;  // see select.hpp
    /// `time` is a span below zero, counted from the await, or a moment of the loop's clock above
    /// it; 0 lets other tasks run. One number, so that `sleeping` takes no more room than that in
    /// the frame.
    explicit sleep_awaiter(duration::rep time) noexcept;
    ~sleep_awaiter();
    bool await_ready() noexcept {
        if (!is_cancelled()) return false;
        before_parking = 0;
        return cancel_at_start();
    }
    /// True if it was given a moment, and that has passed. Only before the wait.
    bool is_due() const noexcept;
    void await_suspend(std::coroutine_handle<> frame, location at = location::current());
    void await_resume() {
        if (is_refused()) throw cancelled();
    }

private:
    friend struct sleep_kind;
    void run_others_first() noexcept;
};

}  // namespace detail

/// The awaitable of sleep.
class [[nodiscard("a sleep does nothing until it is awaited")]] sleeping : detail::only_in_tasks {
public:
    explicit sleeping(duration delay) noexcept
        : time_(delay > duration::zero() ? -delay.count() : 0) {}
    explicit sleeping(time_point when) noexcept
        : time_(when > time_point() ? when.time_since_epoch().count() : 0) {}
    detail::sleep_awaiter rondo_awaiter() const noexcept { return detail::sleep_awaiter(time_); }

private:
    duration::rep time_;  // see sleep_awaiter
};

/// Suspends the running task for `delay`, counted from the await. It never wakes early, and late by
/// at most the loop's timer slack (64 µs). Zero, or less, lets every ready task run.
/// Cancel: throws at once.
/// See:    asyncio.sleep.
template <class Rep, class Period>
sleeping sleep(const std::chrono::duration<Rep, Period>& delay) noexcept {
    return sleeping(detail::to_duration(delay));
}

/// Suspends the running task until a moment of the loop's clock (`loop::time`).
/// Cancel: throws at once.
inline sleeping sleep_until(time_point when) noexcept { return sleeping(when); }

/// Sleeps for `delay` and returns `value`.
/// See: asyncio.sleep(delay, result).
template <class Rep, class Period, class T>
task<T> sleep(std::chrono::duration<Rep, Period> delay, T value) {
    co_await sleep(delay);
    co_return value;
}

namespace detail {

/// The awaiter of yield_now: it only puts the task at the end of the ready queue.
struct yield_awaiter {
    bool refused = false;
    bool await_ready() noexcept {
        if (!is_cancelled()) return false;
        refused = true;
        return may_go_on();
    }
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

/// Lets every ready task run once.
/// Cancel: throws instead. A cancellation that comes meanwhile is thrown by the next wait.
/// See:    asyncio.sleep(0).
inline detail::yielding yield_now() noexcept { return {}; }

class scope_view;

/// The scope of a timeout: cancelled when its deadline comes.
/// Thread: its loop's.
/// See:    asyncio.Timeout, trio.CancelScope.
class RONDO_API timeout_scope : detail::timed_scope, detail::timer_node {
public:
    /// time_point::max() means no deadline. A deadline in the past cancels at once.
    explicit timeout_scope(time_point when);
    ~timeout_scope();

    /// The deadline. A scope around this one may have an earlier deadline; see current_scope().
    time_point when() const noexcept { return deadline; }
    /// True once the deadline has passed.
    bool expired() const noexcept { return expired_; }
    /// Moves the deadline. Has no effect once it has expired: the next wait throws.
    void reschedule(time_point when);

    /// After catching `cancelled`: true if this deadline was the cause, and no scope around was
    /// cancelled.
    bool timed_out() const noexcept { return expired_ && ends_here(); }

private:
    friend scope_view current_scope();
    void arm();
    static void expire(timer_node& node) noexcept;

    bool expired_ = false;
};

/// A view of the scopes around the running task: deadline and cancellation.
/// Thread: its loop's.
/// See:    trio.current_effective_deadline, Go's context.Deadline.
class scope_view {
public:
    /// The earliest deadline of the timeouts around it, including those around the call that
    /// started the task; time_point::max() if there is none. A shield hides the deadlines around
    /// it. A detached task has none around it.
    time_point deadline() const noexcept { return deadline_; }
    /// The span until then: zero once it has passed, duration::max() if there is none.
    duration remaining() const noexcept { return remaining_; }
    /// True if the task was cancelled; the next wait will throw.
    bool cancel_requested() const noexcept { return requested_; }

private:
    friend RONDO_API scope_view current_scope();
    time_point deadline_ = time_point::max();
    duration remaining_ = duration::max();
    bool requested_ = false;
};

/// A snapshot of the scopes around the running task.
/// Throws: no_running_loop_error outside of a task.
RONDO_API scope_view current_scope();

/// The time that the running task has left, current_scope().remaining(). For calls with a limit of
/// their own.
/// Throws: no_running_loop_error outside of a task.
RONDO_API duration remaining();

namespace detail {

/// The type that `co_await awaitable` gives, without the reference; void for types that cannot be
/// awaited. clang 14 asks for that too, in the types of functions that it then rejects.
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

/// std::monostate for void.
template <class T>
using or_monostate = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

RONDO_API time_point deadline_after(duration delay);

/// A named guarded_task becomes its task; any other awaitable stays as it is.
template <class A>
A&& unguarded(A& awaitable) noexcept {
    return static_cast<A&&>(awaitable);
}
template <class T>
task<T> unguarded(guarded_task<T>& t) noexcept {
    return std::move(t);
}

}  // namespace detail

namespace detail {

template <class A>
task<awaited_t<A>> run_wait_for(duration limit, A awaitable) {
    timeout_scope scope(deadline_after(limit));
    try {
        co_return co_await unguarded(awaitable);
    } catch (const cancelled&) {
        if (!scope.timed_out()) throw;
    }
    throw timeout_error(limit);
}

template <class A>
    requires(!std::is_void_v<awaited_t<A>>)
task<std::optional<awaited_t<A>>> run_move_on_after(duration limit, A awaitable) {
    timeout_scope scope(deadline_after(limit));
    try {
        co_return co_await unguarded(awaitable);
    } catch (const cancelled&) {
        if (!scope.timed_out()) throw;
    }
    co_return std::nullopt;
}
template <class A>
    requires(std::is_void_v<awaited_t<A>>)
task<bool> run_move_on_after(duration limit, A awaitable) {
    timeout_scope scope(deadline_after(limit));
    try {
        co_await unguarded(awaitable);
        co_return true;
    } catch (const cancelled&) {
        if (!scope.timed_out()) throw;
    }
    co_return false;
}

/// True if A is a named future whose value cannot be copied: passing it by value would leave
/// nothing.
template <class A>
inline constexpr bool leaves_nothing = false;
template <class T>
inline constexpr bool leaves_nothing<future<T>&> = !std::is_void_v<T> && !can_be_copied<T>;
template <class T>
inline constexpr bool leaves_nothing<const future<T>&> = leaves_nothing<future<T>&>;

template <class L, class A>
concept can_be_limited =
    std::is_convertible_v<L, time_limit> && any_awaitable<std::decay_t<A>> && !leaves_nothing<A> &&
    !(is_task<std::decay_t<A>>::value && std::is_lvalue_reference_v<A>);

/// Error messages of wait_for and move_on_after.
template <class L, class A>
constexpr refused_call refuse_limited() {
    if constexpr (!std::is_convertible_v<L, time_limit>)
        return refuse_duration<L>();
    else if constexpr (is_task<std::decay_t<A>>::value)
        static_assert(is_meant<A>, "a task is awaited once: pass std::move(t)");
    else if constexpr (any_awaitable<std::decay_t<A>>)
        static_assert(
            is_meant<A>,
            "the value of this future cannot be copied: pass std::move(f) to move it out");
    else
        return refuse_awaitable<A>();
    return {};
}

}  // namespace detail

/// Awaits `awaitable` for at most `limit`. It has ended when this returns or throws. For a future
/// that is the wait alone: its task goes on if other tasks wait for it; otherwise it is cancelled
/// and not waited for.
///
/// With a limit of zero or less nothing is tried, not even a wait that would end at once. For that
/// there are `try_get`, `try_put`, `try_lock` and `try_acquire`.
/// Throws: timeout_error; what the awaitable throws.
/// Cancel: cancels the awaitable and awaits its end.
/// See:    asyncio.wait_for.
template <class L, class A>
    requires detail::can_be_limited<L, A>
auto wait_for(L limit, A&& awaitable) {
    return detail::run_wait_for<std::decay_t<A>>(detail::time_limit(limit),
                                                 std::forward<A>(awaitable));
}

/// As wait_for, but returns an empty optional (for void: false) on a timeout. A value that arrived
/// is returned, late or not.
/// Throws: what the awaitable throws.
/// Cancel: cancels the awaitable and awaits its end.
/// See:    trio.move_on_after, gevent.Timeout(silent).
template <class L, class A>
    requires detail::can_be_limited<L, A>
auto move_on_after(L limit, A&& awaitable) {
    return detail::run_move_on_after<std::decay_t<A>>(detail::time_limit(limit),
                                                      std::forward<A>(awaitable));
}

template <class L, class A>
    requires(!detail::can_be_limited<L, A>)
auto wait_for(L&&, A&&) {
    return detail::refuse_limited<L, A>();
}
template <class L, class A>
    requires(!detail::can_be_limited<L, A>)
auto move_on_after(L&&, A&&) {
    return detail::refuse_limited<L, A>();
}

namespace detail {

template <class F>
auto run_limited(duration limit, F fn) -> std::invoke_result_t<F&, timeout_scope&> {
    const time_point start = deadline_after(duration::zero());
    timeout_scope scope(saturating_add(start, limit));
    try {
        co_return co_await fn(scope);
    } catch (const cancelled&) {
        if (!scope.timed_out()) throw;
    }
    throw timeout_error(scope.when() <= start ? duration::zero() : scope.when() - start);
}

/// Error messages of with_timeout.
template <class L, class F>
constexpr refused_call refuse_timeout_body() {
    if constexpr (!std::is_convertible_v<L, time_limit>)
        return refuse_duration<L>();
    else if constexpr (any_awaitable<std::decay_t<F>>)
        static_assert(is_meant<F>,
                      "with_timeout takes a function: for a task there is wait_for(limit, task)");
    else if constexpr (!callable<std::decay_t<F>> || !std::is_invocable_v<F&, timeout_scope&>)
        static_assert(is_meant<F>,
                      "with_timeout calls its function with one argument, a rondo::timeout_scope&");
    else
        static_assert(
            is_meant<F>,
            "the function of with_timeout is a coroutine: its result type is rondo::task<...>");
    return {};
}

}  // namespace detail

/// Runs `fn(timeout_scope&)`, which must return a task, for at most `limit`. Inside, the deadline
/// can be read and moved.
/// Throws: timeout_error, with the limit of the last reschedule; what fn's task throws.
/// Cancel: cancels the task and awaits its end.
/// See:    asyncio.timeout.
template <class F>
    requires detail::gives_task<F&, timeout_scope&>
auto with_timeout(detail::time_limit limit, F&& fn) {
    return detail::guarded<F>(detail::run_limited<std::decay_t<F>>(limit, std::forward<F>(fn)));
}
template <class L, class F>
    requires(!std::is_convertible_v<L, detail::time_limit> ||
             !detail::gives_task<F&, timeout_scope&>)
auto with_timeout(L&&, F&&) {
    return detail::refuse_timeout_body<L, F>();
}

}  // namespace v0
}  // namespace rondo
