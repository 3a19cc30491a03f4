// SPDX-License-Identifier: MIT
// Time: sleeping, and verbs that put a limit around anything that can be awaited.
//
// A timeout starts no task. It opens a scope inside the running one and a timer that cancels it; what is inside has
// ended before the verb returns. What is inside a wait_for of a future is the wait: the future's task goes on where
// somebody else waits for it, and is cancelled, but not waited for, where nobody does. If it ended with a value, the value wins; if it ended because of this scope, and of
// none around it, that is the timeout. An outer cancellation is never turned into one.
//
// The two meanings of a timeout have two names (trio's): `wait_for` throws, `move_on_after` goes on.
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

namespace rondo {
inline namespace v0 {

namespace detail {

/// The awaiter of a sleep: a timer in the awaiting frame.
class RONDO_API sleep_awaiter : public leaf_wait, timer_node {
public:
    /// Below zero a span, counted from the await, above it a moment of the loop's clock; 0 lets
    /// others run. One number, so that `sleeping` takes no more room than that in the frame.
    explicit sleep_awaiter(duration::rep time) noexcept;
    ~sleep_awaiter();
    bool await_ready() noexcept {
        if (!is_cancelled()) return false;
        state = refused;
        before_parking = 0;
        return may_go_on();
    }
    void await_suspend(std::coroutine_handle<> frame, location at = location::current());
    void await_resume() {
        if (state == refused) throw cancelled();
    }

private:
    friend struct sleep_kind;
    enum : std::uint32_t { refused = 1 };
    void run_others_first() noexcept;
};

}  // namespace detail

/// What `sleep` gives: `co_await` it.
class [[nodiscard("a sleep does nothing until it is awaited")]] sleeping : detail::only_in_tasks {
public:
    explicit sleeping(duration delay) noexcept
        : time_(delay > duration::zero() ? -delay.count() : 0) {}
    explicit sleeping(time_point when) noexcept
        : time_(when > time_point() ? when.time_since_epoch().count() : 0) {}
    detail::sleep_awaiter rondo_awaiter() const noexcept { return detail::sleep_awaiter(time_); }

private:
    duration::rep time_;  // as sleep_awaiter has it
};

/// Suspends the running task until `delay` has passed, never less, counted from the await; the loop
/// looks at the clock at most its timer slack (64 us) later. Zero, or less, lets everybody run who
/// is ready.
/// Cancel: throws at once.
/// See:    asyncio.sleep.
template <class Rep, class Period>
sleeping sleep(const std::chrono::duration<Rep, Period>& delay) noexcept {
    return sleeping(detail::to_duration(delay));
}

/// The same until a moment of the loop's clock (`loop::time`).
/// Cancel: throws at once.
inline sleeping sleep_until(time_point when) noexcept { return sleeping(when); }

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

/// Gives way once to everybody who is ready.
/// Cancel: throws instead; a request that comes meanwhile is thrown by the next wait.
/// See:    asyncio.sleep(0).
inline detail::yielding yield_now() noexcept { return {}; }

class scope_view;

/// The scope of a timeout: cancelled when its deadline comes.
/// Thread: its loop's.
/// See:    asyncio.Timeout, trio.CancelScope.
class RONDO_API timeout_scope : detail::timed_scope, detail::timer_node {
public:
    /// No deadline for time_point::max(); one that has passed cancels at once.
    explicit timeout_scope(time_point when);
    ~timeout_scope();

    /// The deadline. One around it may come earlier: current_scope() knows.
    time_point when() const noexcept { return deadline; }
    /// Has the deadline come?
    bool expired() const noexcept { return expired_; }
    /// Moves the deadline. Once it has expired this does nothing: the next wait throws.
    void reschedule(time_point when);

    /// On `cancelled`: was it this deadline and no request from outside? Then it is a timeout.
    bool timed_out() const noexcept { return expired_ && ends_here(); }

private:
    friend scope_view current_scope();
    void arm();
    static void expire(timer_node& node) noexcept;

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

/// Of a verb that takes A by value: A& is named, and the value of its future cannot be copied.
template <class A>
inline constexpr bool leaves_nothing = false;
template <class T>
inline constexpr bool leaves_nothing<future<T>&> = !std::is_void_v<T> && !can_be_copied<T>;
template <class T>
inline constexpr bool leaves_nothing<const future<T>&> = leaves_nothing<future<T>&>;

template <class L, class A>
concept can_be_limited = std::is_convertible_v<L, time_limit> && any_awaitable<std::decay_t<A>> &&
                         !leaves_nothing<A> && !(is_task<std::decay_t<A>>::value && std::is_lvalue_reference_v<A>);

/// Of wait_for and move_on_after.
template <class L, class A>
constexpr refused_call refuse_limited() {
    if constexpr (!std::is_convertible_v<L, time_limit>)
        return refuse_duration<L>();
    else if constexpr (is_task<std::decay_t<A>>::value)
        static_assert(is_meant<A>, "a task is awaited once: pass std::move(t)");
    else if constexpr (any_awaitable<std::decay_t<A>>)
        static_assert(is_meant<A>,
                      "the value of this future cannot be copied: pass std::move(f) to have it moved out");
    else
        return refuse_awaitable<A>();
    return {};
}

}  // namespace detail

/// Awaits `awaitable` for at most `limit`. It has ended when this returns or throws. Of a future that is the wait alone:
/// its task goes on if somebody else waits for it, and is otherwise cancelled and not waited for.
///
/// With a limit of zero or less nothing is tried, not even what would not have to wait. For that there are `try_get`,
/// `try_put`, `try_lock` and `try_acquire`.
/// Throws: timeout_error; what the awaitable throws.
/// Cancel: cancels what is inside and awaits its end.
/// See:    asyncio.wait_for.
template <class L, class A>
    requires detail::can_be_limited<L, A>
auto wait_for(L limit, A&& awaitable) {
    return detail::run_wait_for<std::decay_t<A>>(detail::time_limit(limit), std::forward<A>(awaitable));
}

/// The same with an empty optional (for void: false) where the time was not enough. What was done is done: a value that
/// came is returned, late or not.
/// Throws: what the awaitable throws.
/// Cancel: as wait_for.
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

template <class F, class... Args>
auto run_shielded(F fn, Args... args) -> std::invoke_result_t<F&, Args...> {
    inner_scope scope(inner_scope::kind::shield);
    co_return co_await fn(std::move(args)...);
}

/// Of with_timeout.
template <class L, class F>
constexpr refused_call refuse_timeout_body() {
    if constexpr (!std::is_convertible_v<L, time_limit>)
        return refuse_duration<L>();
    else if constexpr (any_awaitable<std::decay_t<F>>)
        static_assert(is_meant<F>, "with_timeout takes a function: for a task there is wait_for(limit, task)");
    else if constexpr (!callable<std::decay_t<F>> || !std::is_invocable_v<F&, timeout_scope&>)
        static_assert(is_meant<F>, "with_timeout calls its function with one argument, a rondo::timeout_scope&");
    else
        static_assert(is_meant<F>,
                      "the function of with_timeout is a coroutine: its result type is rondo::task<...>");
    return {};
}

}  // namespace detail

/// Runs `fn(timeout_scope&)`, which must give a task, for at most `limit`; inside, the deadline can be read and moved.
/// Throws: timeout_error, with the limit as the last reschedule left it; what fn's task throws.
/// Cancel: cancels what is inside and awaits its end.
/// See:    asyncio.timeout.
template <class F>
    requires detail::gives_task<F&, timeout_scope&>
auto with_timeout(detail::time_limit limit, F&& fn) {
    return detail::guarded<F>(detail::run_limited<std::decay_t<F>>(limit, std::forward<F>(fn)));
}
template <class L, class F>
    requires(!std::is_convertible_v<L, detail::time_limit> || !detail::gives_task<F&, timeout_scope&>)
auto with_timeout(L&&, F&&) {
    return detail::refuse_timeout_body<L, F>();
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
    requires detail::gives_task<F&, Args...>
auto with_shield(F&& fn, Args... args) {
    return detail::guarded<F>(
        detail::run_shielded<std::decay_t<F>, Args...>(std::forward<F>(fn), std::move(args)...));
}
template <class F, class... Args>
    requires(!detail::gives_task<F&, std::decay_t<Args>...>)
auto with_shield(F&&, Args&&...) {
    return detail::refuse_kept_function<F, Args...>();
}

/// Awaits a future without owning it.
/// Cancel: leaves at once; the future goes on.
template <class T>
task<T> shield(future<T> f) {
    const detail::future_keeper keeper(detail::future_core(f));
    co_return co_await std::move(f);
}

namespace detail {
template <class A>
inline constexpr bool can_be_shielded = is_task<A>::value;
template <class T>
inline constexpr bool can_be_shielded<guarded_task<T>> = true;
template <class T>
inline constexpr bool can_be_shielded<future<T>> = true;

template <class A>
constexpr refused_call refuse_shield() {
    if constexpr (any_awaitable<std::decay_t<A>>)
        static_assert(is_meant<A>,
                      "shield takes a task or a future: await this inside a function, and pass that to with_shield");
    else if constexpr (callable<std::decay_t<A>>)
        static_assert(is_meant<A>, "shield takes a task: call the function, or pass it to with_shield");
    else
        return refuse_awaitable<A>();
    return {};
}
}  // namespace detail

template <class A>
    requires(!detail::can_be_shielded<std::decay_t<A>>)
auto shield(A&&) {
    return detail::refuse_shield<A>();
}

}  // namespace v0
}  // namespace rondo
