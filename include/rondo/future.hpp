// SPDX-License-Identifier: MIT
// future<T>: a copyable handle on a result that will be there: the outcome of a running task, or
// the value that a promise<T> will give.
//
// A task and its future are one allocation: the handle points at the head of the task's frame and
// keeps its memory. When the task ends, its coroutine is destroyed with its parameters; the outcome
// stays until the last future is dropped.
//
// Dropping a future detaches its task; the loop owns every running task. An error that was not
// retrieved when the last handle is dropped goes to the loop's exception handler. Waiters and done
// callbacks share one FIFO.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <rondo/detail/base/function.hpp>
#include <rondo/detail/coroutine/guarded.hpp>
#include <rondo/detail/coroutine/wrong_calls.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {

template <class T>
class future;
class task_handle;

/// Thrown at the waiters of a promise that was destroyed without a value.
class RONDO_API broken_promise_error : public error {
public:
    broken_promise_error() : error("the promise was destroyed before it gave a value") {}
};

namespace detail {

/// The shared state of a promise; it has no coroutine.
struct promise_core : shared_core {
    resumer* home;
    void (*destroy)(promise_core&) noexcept;
    std::exception_ptr error;
    promise_core(resumer& h, void (*d)(promise_core&) noexcept) noexcept
        : shared_core(0), home(&h), destroy(d) {
        use_watchers();
    }
    RONDO_API ~promise_core();  // reports an error that was not retrieved
    RONDO_API void fail(std::exception_ptr why) noexcept;
};

template <class T>
struct promise_state : promise_core {
    value_slot<T> value;
    explicit promise_state(resumer& loop) noexcept
        : promise_core(loop, [](promise_core& self) noexcept {
              delete &static_cast<promise_state&>(self);
          }) {}
    ~promise_state() {
        if ((flags & valued) != 0) value.destroy();
    }
};
template <>
struct promise_state<void> : promise_core {
    explicit promise_state(resumer& loop) noexcept
        : promise_core(loop, [](promise_core& self) noexcept {
              delete &static_cast<promise_state&>(self);
          }) {}
};

/// The value of a core that is done and valued.
template <class T>
std::add_lvalue_reference_t<T> value_of(shared_core& core) noexcept {
    if constexpr (!std::is_void_v<T>) {
        if ((core.flags & shared_core::of_task) != 0) {
            shared_core* frame = &core;
            asm("" : "+r"(frame));  // g++ 12 sees a promise_state become a frame here, and warns
            return static_cast<task_promise<T>&>(static_cast<promise_base&>(*frame)).value.get();
        }
        return static_cast<promise_state<T>&>(static_cast<promise_core&>(core)).value.get();
    }
}

/// The error it ended with, or null. Marks it as retrieved.
RONDO_API std::exception_ptr error_of(shared_core& core) noexcept;

/// Throws future_cancelled, or its error as the type it is; returns if it has a value.
RONDO_API void check_valued(shared_core& core);

/// The loop whose turn runs on this thread. Throws no_running_loop_error.
RONDO_API resumer& running();

/// Cancels a task, or ends a promise as cancelled. False if that changes nothing.
RONDO_API bool cancel_shared(shared_core& core) noexcept;
/// Returns the callback's identity; null if it was scheduled at once.
RONDO_API const wait_node* add_done_callback(shared_core& core, function<void()> call);
RONDO_API bool remove_done_callback(shared_core& core, const wait_node* which) noexcept;
/// Runs a prepared task up to its first wait; if that would nest too deep, makes it ready instead.
RONDO_API void start_eagerly(task_record& record) noexcept;
[[noreturn]] RONDO_API void throw_not_done();
/// Throws invalid_state_error if the running task cannot wait for it: it is that task itself, or
/// belongs to another loop.
RONDO_API void must_be_awaitable(shared_core& core);

/// Aborts with a message if the handle is empty.
RONDO_API shared_core& future_core(const task_handle& handle) noexcept;
/// Records that the value was moved out: the other handles get an error from now on.
RONDO_API void note_moved_out(shared_core& core);

/// A wait for a shared_core.
class RONDO_API future_wait : public leaf_wait, public wait_node {
public:
    static constexpr bool can_be_asked = true;  // see select.hpp
    explicit future_wait(shared_core& core) noexcept : leaf_wait(kind_), core_(&core) {
        wait_node::wake = settled;
        ++core.holders;
    }
    ~future_wait() {
        if (linked()) [[unlikely]]
            core_->watchers.remove(*this);
        if (--core_->holders == 0) destroy_shared(*core_);
    }
    bool await_ready() noexcept {
        if (is_cancelled()) [[unlikely]]
            state = refused;
        else if (!core_->is_done())
            return is_hopeless();
        if (may_go_on()) return true;
        state |= steps_back;
        return false;
    }
    void await_suspend(std::coroutine_handle<> frame,
                       location at = location::current()) noexcept;

protected:
    /// Throws the error that the wait ends with; returns if there is a value.
    void finish() {
        if (state != 0 || is_cancelled() || (core_->flags & shared_core::valued) == 0) [[unlikely]]
            throw_end();
    }
    shared_core* core_;

private:
    enum : std::uint32_t { hopeless = 2, steps_back = 4 };
    static const wait_kind kind_;
    static void settled(wait_node& node, shared_core*) noexcept;
    static void leave(leaf_wait& wait) noexcept;
    static const char* object(const leaf_wait& wait);
    bool is_hopeless() noexcept;
    void throw_end();
};

/// Counts as a waiter of the future while it lives: cancelling other waiters does not cancel the
/// task.
class RONDO_API future_keeper : wait_node {
public:
    explicit future_keeper(shared_core& core) noexcept;
    ~future_keeper();

private:
    shared_core* core_;
};

enum class how { look, take };

/// Whether T can be copied. A container claims it, and then fails to compile if its elements
/// cannot.
template <class T>
inline constexpr bool can_be_copied = std::is_copy_constructible_v<T>;
template <class T>
    requires(requires { typename T::value_type; } && !std::is_same_v<typename T::value_type, T>)
inline constexpr bool can_be_copied<T> =
    std::is_copy_constructible_v<T> && can_be_copied<typename T::value_type>;

/// The value of a core that is done and valued, moved out. If other handles refer to it, it is
/// copied. If it cannot be copied, they get an error from now on, not an empty value.
template <class T>
T take_value(shared_core& core, bool others) {
    if (!others) return T(std::move(value_of<T>(core)));
    if constexpr (can_be_copied<T>) {
        return T(std::as_const(value_of<T>(core)));
    } else {
        T taken(std::move(value_of<T>(core)));
        note_moved_out(core);
        std::destroy_at(std::addressof(value_of<T>(core)));
        return taken;
    }
}

template <class T, how How>
class future_awaiter : public future_wait {
public:
    using future_wait::future_wait;
    decltype(auto) await_resume() {
        finish();
        if constexpr (std::is_void_v<T> || std::is_reference_v<T>)
            return value_of<T>(*core_);
        else if constexpr (How == how::take)
            return take();
        else
            return static_cast<const T&>(value_of<T>(*core_));
    }

private:
    T take() { return take_value<T>(*core_, core_->holders > 2); }
};

}  // namespace detail

/// Identifies a done callback of one future, as long as that is not done.
using done_callback_id = const detail::wait_node*;

/// State of a task: created and not yet begun, ready for its turn, running, waiting, or done.
enum class task_state { created, ready, running, waiting, done };

/// A handle on a running task or a promise, without the type of its result.
/// Thread: its loop's.
class RONDO_API task_handle {
public:
    task_handle() noexcept = default;
    task_handle(const task_handle& other) noexcept : core_(other.core_) { hold(); }
    task_handle(task_handle&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
    task_handle& operator=(task_handle other) noexcept {
        std::swap(core_, other.core_);
        return *this;
    }
    ~task_handle() {
        if (core_ != nullptr && --core_->holders == 0) detail::destroy_shared(*core_);
    }

    explicit operator bool() const noexcept { return core_ != nullptr; }
    bool operator==(const task_handle& other) const noexcept { return core_ == other.core_; }

    /// True if it has ended, with a value, an error or by cancellation.
    bool done() const noexcept { return core().is_done(); }
    /// Removes a done callback. False if the future is done: the callback was called or will be.
    /// See: asyncio Future.remove_done_callback.
    bool remove_done_callback(done_callback_id id) const noexcept {
        return detail::remove_done_callback(core(), id);
    }
    /// True if it ended by a cancellation.
    bool cancelled() const noexcept {
        return (core().flags & detail::shared_core::was_cancelled) != 0;
    }
    /// Cancels the task: every wait in it throws `cancelled` from now on. If it has not begun, its
    /// body never runs. The future of a promise ends at once. May be called any number of times.
    /// Returns: false if that changed nothing: it has ended, or was cancelled before.
    /// See:     asyncio Task.cancel.
    bool cancel() noexcept { return detail::cancel_shared(core()); }

    /// The name given to create_task, or empty.
    std::string_view name() const noexcept;
    task_state state() const noexcept;
    /// One line of text: name or place of creation, state, what it waits for and where.
    std::string describe() const;

    explicit task_handle(detail::shared_core& core) noexcept : core_(&core) { hold(); }

protected:
    detail::shared_core& core() const noexcept {
        RONDO_ASSERT(core_ != nullptr, "this future is empty: it was moved from or never filled");
        return *core_;
    }

private:
    friend detail::shared_core& detail::future_core(const task_handle& handle) noexcept;
    void hold() noexcept {
        if (core_ != nullptr) ++core_->holders;
    }
    detail::shared_core* core_ = nullptr;
};

/// A result that will be there. `co_await f` gives `const T&`. `co_await std::move(f)`, and
/// awaiting a temporary, move the value out, or copy it if other handles refer to it. If it cannot
/// be copied, it is moved out in any case, once; the other handles then throw.
/// Throws: if awaited: the task's own error, as the type it is; future_cancelled if the task was
///         cancelled; invalid_state_error in the task itself, in a task of another loop, and if the
///         value was moved out.
/// Cancel: if awaited: ends the wait at once. If that was the last waiter, the task is cancelled as
///         well (see shield).
/// See:    asyncio.Task, asyncio.Future.
template <class T = void>
class future : public task_handle {
public:
    using value_type = T;
    using task_handle::task_handle;

    /// The value, without waiting.
    /// Throws: invalid_state_error while it is not done, future_cancelled, the task's own error.
    decltype(auto) result() const {
        must_be_done();
        detail::check_valued(core());
        if constexpr (std::is_void_v<T> || std::is_reference_v<T>)
            return detail::value_of<T>(core());
        else
            return static_cast<const T&>(detail::value_of<T>(core()));
    }

    /// The error it ended with, null for a value. Counts as retrieved: it is no longer reported.
    /// Throws: invalid_state_error while it is not done, future_cancelled.
    std::exception_ptr exception() const {
        must_be_done();
        if (cancelled()) detail::check_valued(core());
        return detail::error_of(core());
    }

    /// Calls `fn(future)` in a turn of the loop once the future is done; in a later turn if it is
    /// done already. The result is for remove_done_callback and may be ignored.
    /// Throws: closed_error if its loop has ended. Exceptions of `fn` go to the loop's exception
    ///         handler.
    /// See:    asyncio Future.add_done_callback.
    template <class F>
    done_callback_id add_done_callback(F fn) const {
        return detail::add_done_callback(
            core(), detail::function<void()>(
                        [self = *this, fn = std::move(fn)]() mutable { fn(std::as_const(self)); }));
    }

    detail::future_awaiter<T, detail::how::look> rondo_awaiter() const& noexcept {
        return detail::future_awaiter<T, detail::how::look>(core());
    }
    detail::future_awaiter<T, detail::how::take> rondo_awaiter() && noexcept {
        return detail::future_awaiter<T, detail::how::take>(core());
    }

private:
    void must_be_done() const {
        if (!done()) detail::throw_not_done();
    }
};

/// The producer's end of a future. Move-only; filled once. If it is destroyed without a value, its
/// future throws broken_promise_error, so that a waiter never hangs.
/// Thread: the loop's. From another thread, post through loop.remote().
/// See:    asyncio loop.create_future, set_result, set_exception.
template <class T = void>
class promise {
public:
    /// A promise of the running loop.
    /// Throws: no_running_loop_error.
    promise() : promise(detail::running()) {}
    explicit promise(detail::resumer& home)
        : future_(*new detail::promise_state<T>(home)) {}
    promise(promise&&) noexcept = default;
    promise& operator=(promise&& other) noexcept {
        promise old(std::move(other));
        std::swap(future_, old.future_);
        return *this;
    }
    ~promise() {
        if (!future_ || future_.done()) return;
        settle_with(std::make_exception_ptr(broken_promise_error()));
        state().flags |= detail::shared_core::seen;  // it is not reported if no task waits
    }

    future<T> get_future() const noexcept { return future_; }

    /// True if it was filled, or its future was cancelled.
    bool done() const noexcept { return future_.done(); }

    /// Gives the value, made of `args`.
    /// Returns: false if the future was cancelled: its waiters have left, and the value is dropped.
    /// Throws:  invalid_state_error if it was filled already; what the constructor of T throws.
    template <class... Args>
    bool set_value(Args&&... args) {
        if (!is_open()) return false;
        if constexpr (!std::is_void_v<T>) state().value.emplace(T(std::forward<Args>(args)...));
        state().flags |= detail::shared_core::valued;
        state().finish();
        return true;
    }
    /// The same with an error, which the waiters throw.
    bool set_exception(std::exception_ptr error) {
        RONDO_ASSERT(error != nullptr, "a promise was given an exception_ptr that is null");
        if (!is_open()) return false;
        settle_with(std::move(error));
        return true;
    }

private:
    struct open_future : future<T> {
        explicit open_future(detail::promise_state<T>& state) noexcept : future<T>(state) {}
        using future<T>::core;
    };
    detail::promise_state<T>& state() const noexcept {
        return static_cast<detail::promise_state<T>&>(
            static_cast<detail::promise_core&>(future_.core()));
    }
    bool is_open() const {
        constexpr auto given = detail::shared_core::valued | detail::shared_core::failed;
        if ((state().flags & given) != 0) throw invalid_state_error("the promise was given before");
        return !done();
    }
    void settle_with(std::exception_ptr error) noexcept {
        state().fail(std::move(error));
        state().finish();
    }

    open_future future_;
};

namespace detail {

/// The value of a future that is done, as take_value gives it; throws if it has none.
template <class T>
T take_result(future<T> f) {
    shared_core& core = future_core(f);
    check_valued(core);
    if constexpr (std::is_void_v<T> || std::is_reference_v<T>)
        return value_of<T>(core);
    else
        return take_value<T>(core, core.holders > 1);
}

}  // namespace detail

/// The running task.
/// Throws: no_running_loop_error outside of a task.
/// See:    asyncio.current_task.
RONDO_API task_handle current_task();

}  // namespace v0
}  // namespace rondo

#include <rondo/create_task.hpp>
