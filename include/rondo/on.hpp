// SPDX-License-Identifier: MIT
// A call on another loop: `co_await on(there, fn, args...)` calls fn on that loop's thread.
//
// Like to_thread it is structured: the await ends when the call has ended. So references to the
// caller's locals are safe (law 1), and the call's result is always delivered (law 2). All state
// that passes between the loops is stored in the awaiting frame: a post that begins the call, one
// that cancels it, and one that resumes the caller. Posting never allocates, and fails only if a
// loop has ended.
//
//     here   --begin-->  there: calls fn, runs its task  --home-->  here: resumes
//            --cancel->  there: cancels that task
//
// A cancel post and the home post may cross. So both sides count the references to the frame on the
// other loop, one for the call and one for the cancel. The side that drops the last reference posts
// home. So the frame never resumes while a post to it is under way.
//
// A queue of calls for each pair of loops, as in Seastar's smp, was not chosen: it is cheaper when
// thousands of calls cross at once, but consists of allocations that neither loop owns.
#pragma once

#include <rondo/config.hpp>

#include <atomic>
#include <coroutine>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include <rondo/detail/coroutine/gcc12.hpp>
#include <rondo/detail/thread/posted_wait.hpp>
#include <rondo/loop.hpp>
#include <rondo/task_local.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {

/// Base class of the awaiters of calls on another loop: everything that does not depend on the type
/// of the call.
class RONDO_API far_wait : public posted_wait, wait_node {
public:
    bool await_ready() noexcept {
        return is_cancelled() && cancel_at_start();
    }
    void await_suspend(std::coroutine_handle<> frame, location at = location::current());

protected:
    /// The functions of one class of calls. Both run on the other loop, in a turn but in no task.
    struct call_kind {
        /// Makes the call; ends with `launch` or `ended`.
        void (*make)(far_wait&) noexcept;
        /// Destroys callable and arguments, after the call or instead of it.
        void (*drop)(far_wait&) noexcept;
    };
    far_wait(remote there, const call_kind& call) noexcept;
    ~far_wait();

    /// On the other loop: runs this task, with which the call ends.
    void launch(rondo::task<> call);
    /// On the other loop: the call has ended; destroys callable and arguments. Do not touch this
    /// object afterwards.
    void ended() noexcept;
    /// On the home loop: throws the reason why the call gave neither a value nor an error.
    [[noreturn]] void throw_nothing() const;

private:
    enum : std::uint32_t { cancel_sent = 2, loop_ended = 4 };

    static const wait_kind kind_;
    static void leave(leaf_wait& wait) noexcept;
    static void begin(void* word) noexcept;
    static void cancel_there(void* word) noexcept;
    static void task_ended(wait_node& node, shared_core*) noexcept;
    /// Drops one reference; the last one posts home. Do not touch this object afterwards.
    void finish_there() noexcept;
    bool drop_reference() noexcept {
        return references_.fetch_sub(1, std::memory_order_acq_rel) == 1;
    }
    void note_end_of_loop() noexcept;

    const call_kind* call_;
    remote there_;
    preallocated_post begin_;
    preallocated_post cancel_;
    std::atomic<unsigned> references_{0};  // references on the other loop: the call, and a cancel
    shared_core* task_ = nullptr;     // on the other loop, while it runs
    const carried_bindings* bindings_ = nullptr;
    bool there_ended_ = false;         // the other loop ended first
};

/// The result type of a call. If fn returns an awaitable, such as a task, it is awaited on the
/// other loop.
template <class R>
struct far_result {
    static constexpr bool is_awaited = false;
    using type = R;
};
template <class R>
    requires(is_task<R>::value || native_awaitable<R>)
struct far_result<R> {
    static constexpr bool is_awaited = true;
    using type = awaited<R>;
};

template <class F, class... Args>
class far_call_awaiter : public far_wait {
    using given = far_result<std::invoke_result_t<F, Args...>>;
    using result_type = typename given::type;

public:
    far_call_awaiter(remote there, F&& fn, std::tuple<Args...>&& args)
        : far_wait(std::move(there), kind_), call_(std::in_place, std::move(fn), std::move(args)) {}

    result_type await_resume() {
        if (outcome_.empty()) [[unlikely]] throw_nothing();
        return outcome_.take();
    }

private:
    struct kept {
        kept(F&& f, std::tuple<Args...>&& a) : fn(std::move(f)), args(std::move(a)) {}
        [[no_unique_address]] F fn;
        [[no_unique_address]] std::tuple<Args...> args;
    };
    decltype(auto) call() { return std::apply(std::move(call_->fn), std::move(call_->args)); }

    static void drop_call(far_wait& wait) noexcept {
        static_cast<far_call_awaiter&>(wait).call_.reset();
    }
    static void make_call(far_wait& wait) noexcept {
        auto& self = static_cast<far_call_awaiter&>(wait);
        try {
            if constexpr (given::is_awaited)
                return self.launch(run(self));
            else if constexpr (std::is_void_v<result_type>)
                self.call(), self.outcome_.emplace();
            else
                self.outcome_.emplace(self.call());
        } catch (const rondo::cancelled&) {  // leaves the outcome empty: throw_nothing
        } catch (...) {
            self.outcome_.set_exception(std::current_exception());
        }
        self.ended();
    }

    /// The task on the other loop. Everything that `fn` made is destroyed before this task ends.
    static rondo::task<> run(far_call_awaiter& self) {
        try {
            if constexpr (std::is_void_v<result_type>) {
                co_await self.call();
                self.outcome_.emplace();
            } else {
                self.outcome_.emplace(co_await self.call());
            }
        } catch (const rondo::cancelled&) {
        } catch (...) {
            self.outcome_.set_exception(std::current_exception());
        }
    }

    static constexpr call_kind kind_{make_call, drop_call};

    std::optional<kept> call_;
    outcome<result_type> outcome_;
};

}  // namespace detail

/// The awaitable that `on` returns; `co_await` it once.
template <bool Hazard, class F, class... Args>
class [[nodiscard("a call on another loop does nothing until it is awaited")]] far_call
    : detail::only_in_tasks {
    using awaiter = detail::far_call_awaiter<F, Args...>;

public:
    using value_type = typename detail::far_result<std::invoke_result_t<F, Args...>>::type;

    template <class G, class... Given>
    explicit far_call(remote there, G&& fn, Given&&... args)
        : there_(std::move(there)), fn_(std::forward<G>(fn)), args_(std::forward<Given>(args)...) {}

    awaiter rondo_awaiter() & { return begin(); }
    awaiter rondo_awaiter() && {
        static_assert(
            !Hazard,
            "g++ 12 destroys a closure or aggregate that owns something twice when it is a "
            "temporary in an expression with co_await: give the awaitable a name on a line "
            "of its own, `auto call = on(...);`, and `co_await call`, or pass a lambda "
            "without captures and its arguments");
        return begin();
    }

private:
    awaiter begin() {
        RONDO_ASSERT(!std::exchange(begun_, true), "the same on() call was awaited twice");
        return awaiter(std::move(there_), std::move(fn_), std::move(args_));
    }

    remote there_;
    [[no_unique_address]] F fn_;
    [[no_unique_address]] std::tuple<Args...> args_;
    bool begun_ = false;
};

/// Calls `fn(args...)` on the loop of `there`, on its thread, while the calling loop goes on. If fn
/// returns a task or another awaitable, it is awaited there and `on` gives its value; otherwise
/// `on` gives the return value of fn. Callable and arguments are copied or moved, as by
/// std::thread. They are destroyed on the other loop when the call has ended, before the caller
/// resumes. The call is structured: callable and arguments may refer to the caller's locals
/// (std::ref, pointers, views), because the caller does not run meanwhile.
///
/// On the other loop the call is a task of its own. Its frame, descriptors and timers belong to
/// that loop: return values, not objects of that loop. The task sees the caller's values of
/// task_locals. `there` may be the caller's own loop.
/// Throws: the exceptions of fn and its task, with their type; closed_error if that loop has ended,
///         or ends before the call; future_cancelled if the call was cancelled on the other loop.
/// Cancel: a call that has not begun is taken back. A task that runs is cancelled and waited for; a
///         plain function is waited for. A result that still comes is returned, and the next wait
///         throws.
/// See:    to_thread; anyio.from_thread.run, which does the same for a blocking thread.
template <class F, class... Args>
    requires std::is_invocable_v<std::decay_t<F>, std::decay_t<Args>...>
auto on(remote there, F&& fn, Args&&... args) {
    constexpr bool hazard =
        detail::owning_closure_hazard<F> || (detail::owning_argument_hazard<Args> || ...);
    return far_call<hazard, std::decay_t<F>, std::decay_t<Args>...>(
        std::move(there), std::forward<F>(fn), std::forward<Args>(args)...);
}
/// on() with a loop, which must not have been destroyed.
template <class F, class... Args>
    requires std::is_invocable_v<std::decay_t<F>, std::decay_t<Args>...>
auto on(const loop& there, F&& fn, Args&&... args) {
    return on(there.remote(), std::forward<F>(fn), std::forward<Args>(args)...);
}

namespace detail {

template <class There, class... Call>
inline constexpr bool can_be_called_there = false;
template <class There, class F, class... Args>
inline constexpr bool can_be_called_there<There, F, Args...> =
    (std::is_convertible_v<There, const loop&> || std::is_convertible_v<There, remote>) &&
    std::is_invocable_v<std::decay_t<F>, std::decay_t<Args>...>;

template <class There, class... Call>
constexpr refused_call refuse_on() {
    if constexpr (!std::is_convertible_v<There, const loop&> &&
                  !std::is_convertible_v<There, remote>)
        static_assert(is_meant<There>,
                      "on(loop, fn, args...): a rondo::loop or its remote() comes first");
    else if constexpr (sizeof...(Call) == 0)
        static_assert(sizeof...(Call) > 0,
                      "on(loop, fn, args...): a function that is called on that loop comes second");
    else
        return refuse_kept_function<Call...>();
    return {};
}

}  // namespace detail

template <class There, class... Call>
    requires(!detail::can_be_called_there<There, Call...>)
auto on(There&&, Call&&...) {
    return detail::refuse_on<There, Call...>();
}

}  // namespace v0
}  // namespace rondo
