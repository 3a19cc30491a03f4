// SPDX-License-Identifier: MIT
// thread_future<T>: a result that another thread, another loop or another process will give.
// Threads block on it (`get`), tasks await it, callbacks are called when it is done.
//
//     thread_future<long> sum = pool.submit(add_up, numbers);
//     long a = sum.get();          // a thread
//     long b = co_await sum;       // a task; its loop goes on meanwhile
//
// It is the detached form: the job owns everything that it uses, a waiter may leave at any time,
// and a result without a reader is dropped. Within one loop use future<T>: it needs no lock.
#pragma once

#include <type_traits>
#include <utility>

#include <rondo/detail/coroutine/gcc12.hpp>
#include <rondo/detail/thread/thread_core.hpp>
#include <rondo/future.hpp>

namespace rondo {
inline namespace v0 {

template <class T>
class thread_promise;

namespace detail {

template <class T, how How>
class thread_future_awaiter : public thread_core_wait {
public:
    using thread_core_wait::thread_core_wait;
    decltype(auto) await_resume() {
        finish();
        if constexpr (How == how::take)
            return take_value<T>(core());
        else
            return look_at_value<T>(core());
    }
};

RONDO_API time_point blocking_deadline(duration timeout) noexcept;
[[noreturn]] RONDO_API void throw_not_in_time(duration timeout);

}  // namespace detail

/// A copyable handle of a future result. On a named handle `get()` and `co_await` give `const T&`.
/// On a temporary or `std::move(f)` they move the value out; if other handles exist, they copy it.
/// Throws: from `get` and `co_await`: the job's error, with its type; future_cancelled if it was
///         cancelled; broken_promise_error if its promise was destroyed without a value.
/// Cancel: a cancelled await leaves at once. The job goes on and its result is dropped; call
///         cancel() to end the job.
/// Thread: any, and any loop: an await resumes on its own loop's thread.
/// See:    concurrent.futures.Future.
template <class T = void>
class thread_future : public detail::only_in_tasks {
public:
    using value_type = T;

    thread_future() noexcept = default;
    thread_future(const thread_future& other) noexcept : core_(other.core_) {
        if (core_ != nullptr) core_->add_handle();
    }
    thread_future(thread_future&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
    thread_future& operator=(thread_future other) noexcept {
        std::swap(core_, other.core_);
        return *this;
    }
    ~thread_future() {
        if (core_ != nullptr) core_->drop_handle();
    }

    explicit operator bool() const noexcept { return core_ != nullptr; }
    bool operator==(const thread_future& other) const noexcept { return core_ == other.core_; }

    /// True once it has ended: with a value, an error or a cancellation.
    bool done() const noexcept { return core().done(); }
    /// True while its job runs.
    bool running() const noexcept { return core().now() == detail::thread_core::phase::running; }
    /// True once it was cancelled. A coroutine that was cancelled on its way into a loop is `done`
    /// only after that loop has destroyed it.
    bool cancelled() const noexcept {
        const auto now = core().now();
        return now == detail::thread_core::phase::cancelled ||
               now == detail::thread_core::phase::withdrawn;
    }
    /// Cancels the job. If it has not begun, it never runs: its callable and arguments are
    /// destroyed, and the future is cancelled at once. If it runs, it is asked to stop, which is
    /// possible for a coroutine, a worker process and a callable that takes a std::stop_token.
    /// Returns: false if it is done, or if it runs and cannot be asked.
    bool cancel() const noexcept { return core().cancel(); }

    /// Blocks the thread until it is done, and returns the value. Do not call it in a task, whose
    /// loop would stand still: there, await it.
    /// Throws: also deadlock_error if only this thread could end the wait (see thread_pool).
    decltype(auto) get() const& {
        wait();
        core().check();
        return detail::look_at_value<T>(core());
    }
    T get() && {
        wait();
        core().check();
        return detail::take_value<T>(core());
    }
    /// Blocks for at most `timeout`.
    /// Throws: also timeout_error; the job goes on.
    decltype(auto) get_for(detail::time_limit timeout) const& {
        if (!wait_for(timeout)) detail::throw_not_in_time(timeout);
        return get();
    }
    T get_for(detail::time_limit timeout) && {
        if (!wait_for(timeout)) detail::throw_not_in_time(timeout);
        return std::move(*this).get();
    }
    /// Blocks the thread until it is done; does not throw the job's error.
    void wait() const { core().block(time_point::max()); }
    /// Blocks for at most `timeout`; returns false if it is not done then.
    bool wait_for(detail::time_limit timeout) const {
        return core().block(detail::blocking_deadline(timeout));
    }
    /// Blocks until it is done; returns the job's error, or null if it has a value.
    /// Throws: future_cancelled.
    std::exception_ptr exception() const {
        wait();
        return core().see_error();
    }

    /// Calls `fn(future)` once it is done. If it is done already, calls fn now, on this thread.
    /// Otherwise the thread that ends the job calls it; waiters may resume before or after that. An
    /// exception of `fn` goes to the thread exception hook.
    /// Throws: std::bad_alloc.
    /// See:    concurrent.futures.Future.add_done_callback.
    template <class F>
    void add_done_callback(F fn) const {
        core().add_callback(
            [self = *this, fn = std::move(fn)]() mutable { fn(std::as_const(self)); });
    }

    detail::thread_future_awaiter<T, detail::how::look> rondo_awaiter() const& noexcept {
        core().add_handle();
        return detail::thread_future_awaiter<T, detail::how::look>(core());
    }
    detail::thread_future_awaiter<T, detail::how::take> rondo_awaiter() && noexcept {
        detail::thread_core& mine = core();
        core_ = nullptr;
        return detail::thread_future_awaiter<T, detail::how::take>(mine);
    }

    /// Takes over one handle of the count.
    explicit thread_future(detail::given_state<T>* state) noexcept : core_(state) {}
    detail::thread_core& core() const noexcept {
        RONDO_ASSERT(core_ != nullptr,
                     "this thread_future is empty: it was moved from or never filled");
        return *core_;
    }

private:
    detail::thread_core* core_ = nullptr;
};

namespace detail {

/// A thread_future of a call whose callable or arguments may have been a temporary that owns
/// something; see docs/gcc12.md.
template <class T>
class named_thread_future : public thread_future<T> {
public:
    named_thread_future(thread_future<T> f) noexcept : thread_future<T>(std::move(f)) {}

    thread_future_awaiter<T, how::look> rondo_awaiter() const& noexcept {
        return thread_future<T>::rondo_awaiter();
    }
    template <class Never = void>
    thread_future_awaiter<T, how::take> rondo_awaiter() && noexcept {
        static_assert(
            !std::is_void_v<Never>,
            "g++ 12 destroys a closure or aggregate that owns something twice when it is a "
            "temporary in an expression with co_await: give the future a name on a line of its "
            "own, `thread_future<T> f = submit(...);`, and `co_await f`, or pass a lambda without "
            "captures and its arguments");
        return std::move(*this).thread_future<T>::rondo_awaiter();
    }
};

/// The return type of a function that takes a callable and arguments of these deduced types.
template <class T, class F, class... Args>
using guarded_thread_future =
    std::conditional_t<owning_closure_hazard<F> || (owning_argument_hazard<Args> || ...),
                       named_thread_future<T>, thread_future<T>>;

/// The state that a thread_promise fills.
template <class T>
class promised_state final : public given_state<T> {
public:
    promised_state() = default;
    explicit promised_state(function<bool()> stop) noexcept : stop_(std::move(stop)) {}

private:
    bool ask_to_stop() noexcept override {
        const std::lock_guard lock(stopping_);
        return stop_ && stop_();
    }
    std::mutex stopping_;
    function<bool()> stop_;
};

}  // namespace detail

/// The producing end of a thread_future. Move-only; filled once. If it is destroyed without a
/// value, its future throws broken_promise_error, so a waiter never hangs.
/// Thread: any, one at a time.
/// See:    concurrent.futures.Future's set_result, set_exception, set_running_or_notify_cancel.
template <class T = void>
class thread_promise {
public:
    thread_promise() : thread_promise(detail::function<bool()>()) {}
    /// `stop` is called on the cancelling thread when the future is cancelled while its job runs.
    /// It returns true if the job will be asked to stop. It must not throw. It may be called more
    /// than once, by several threads, but never by two at once.
    explicit thread_promise(detail::function<bool()> stop)
        : state_(new detail::promised_state<T>(std::move(stop))), first_(state_) {}
    thread_promise(thread_promise&& other) noexcept
        : state_(std::exchange(other.state_, nullptr)), first_(std::move(other.first_)) {}
    thread_promise& operator=(thread_promise&& other) noexcept {
        thread_promise old(std::move(other));
        std::swap(state_, old.state_);
        std::swap(first_, old.first_);
        return *this;
    }
    ~thread_promise() {
        if (state_ == nullptr) return;
        if (!state_->done()) {
            state_->begin();
            state_->set_error(std::make_exception_ptr(broken_promise_error()));
            if (state_->finish(detail::thread_core::phase::failed))
                state_->see_error();  // so a dropped future does not report it
        }
        state_->drop_giver();
    }

    thread_future<T> get_future() const noexcept {
        detail::not_empty(state_);
        return first_;
    }
    bool done() const noexcept { return state().done(); }

    /// Marks the job as begun: from now on cancel() cannot end the future by itself. Returns false
    /// if the future was cancelled before; then there is nothing to do.
    bool set_running_or_notify_cancel() noexcept { return state().begin(); }
    /// set_value, set_exception and set_cancelled end the future. If it was cancelled before its
    /// job began, they return false and drop the argument.
    /// Throws: invalid_state_error if the promise was filled before.
    template <class... Args>
    bool set_value(Args&&... args) {
        if (!state().claim()) return false;
        if constexpr (!std::is_void_v<T>) state_->value.emplace(T(std::forward<Args>(args)...));
        return state_->finish(detail::thread_core::phase::valued);
    }
    bool set_exception(std::exception_ptr error) {
        RONDO_ASSERT(error != nullptr,
                     "thread_promise::set_exception was given a null exception_ptr");
        if (!state().claim()) return false;
        state_->set_error(std::move(error));
        return state_->finish(detail::thread_core::phase::failed);
    }
    bool set_cancelled() {
        return state().claim() && state_->finish(detail::thread_core::phase::cancelled);
    }

private:
    detail::promised_state<T>& state() const noexcept { return *detail::not_empty(state_); }

    detail::promised_state<T>* state_;
    thread_future<T> first_;
};

/// Sets the hook for errors that no code retrieves and that belong to no loop: of a job whose
/// future was dropped, and of a done callback. The default hook writes each error to stderr, in one
/// write. Null restores the default.
/// Returns: the previous hook.
/// Thread:  any; the hook may be called on any thread, and must not throw.
/// See:     threading.excepthook.
using thread_exception_hook = void (*)(const exception_context&);
RONDO_API thread_exception_hook set_thread_exception_hook(thread_exception_hook hook) noexcept;

}  // namespace v0
}  // namespace rondo
