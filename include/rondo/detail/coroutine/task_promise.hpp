// SPDX-License-Identifier: MIT
// The promise of a task: the head of its frame, the awaiter of a task, the operands of co_await,
// and the value. <rondo/task.hpp> describes how a frame serves an awaited task and a running one.
#pragma once

#include <rondo/config.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <rondo/detail/base/frame_pool.hpp>
#include <rondo/detail/base/location.hpp>
#include <rondo/detail/coroutine/shared_core.hpp>
#include <rondo/detail/coroutine/task_record.hpp>
#include <rondo/resumer.hpp>

namespace rondo {
inline namespace v0 {

template <class T>
class task;

namespace detail {

/// The head of every task frame.
struct promise_base : shared_core {
    union {
        task_record record;  // of a root frame; other frames use only record.error, if they failed
    };

    promise_base() noexcept : shared_core(of_task) {}
    ~promise_base() {
        if ((flags & (ending | failed | named)) != 0) [[unlikely]]
            if ((flags & ending) == 0) end();
        keep_writes();
    }
    promise_base(const promise_base&) = delete;
    promise_base& operator=(const promise_base&) = delete;

    std::coroutine_handle<> handle() noexcept {
        return std::coroutine_handle<promise_base>::from_promise(*this);
    }

    static promise_base& of(task_record& record) noexcept {
        constexpr auto offset = sizeof(shared_core);
        return *reinterpret_cast<promise_base*>(reinterpret_cast<char*>(&record) - offset);
    }

    // Law 9: a task that has ended holds nothing. When a root frame ends, its coroutine is
    // destroyed together with the parameters. The promise stays as plain memory until the last
    // future goes. While a coroutine is destroyed that way (`ending`), the destructors of promises
    // change nothing and `operator delete` keeps the memory; drop() destroys the outcome and frees
    // it. Any other frame is destroyed and freed at once.

    /// Keeps the compiler from removing writes to a promise: they are read after its destructor.
    static void keep_writes() noexcept { asm volatile("" : : : "memory"); }

    /// Written to the beginning of the frame's memory when the coroutine is gone.
    struct frame_rest {
        std::uint32_t size;  // bytes of the allocation
        std::uint32_t kept;  // bytes from its beginning to the end of the promise
        void (*drop_value)(promise_base&) noexcept;  // null if the value needs no destructor
    };
    // From the beginning of the frame to its promise.
    static constexpr std::size_t distance = 2 * sizeof(void*);

    void* frame() noexcept { return reinterpret_cast<char*>(this) - distance; }
    static promise_base& at(void* frame) noexcept {
        return *reinterpret_cast<promise_base*>(static_cast<char*>(frame) + distance);
    }
    frame_rest& rest() noexcept { return *static_cast<frame_rest*>(frame()); }

    [[gnu::always_inline]] static void* operator new(std::size_t size) {
        void* const frame = frame_allocate(size);
        // If copying a parameter throws, operator delete runs without a promise and reads this.
        at(frame).flags = 0;
        return frame;
    }
    [[gnu::always_inline]] static void operator delete(void* frame, std::size_t size) noexcept {
        free_or_keep(frame, size, sizeof(promise_base), nullptr);
    }
    [[gnu::always_inline]] static void free_or_keep(
        void* frame, std::size_t size, std::size_t promise_size,
        void (*drop_value)(promise_base&) noexcept) noexcept {
        keep_writes();
        if ((at(frame).flags & ending) == 0) return frame_free(frame, size);
        ::new (frame) frame_rest{static_cast<std::uint32_t>(size),
                                 static_cast<std::uint32_t>(distance + promise_size), drop_value};
    }

    /// At the end of a root frame: destroys the coroutine with its parameters, as a part of the
    /// running task.
    inline void end_coroutine() noexcept;
    void end_failed_coroutine() noexcept;
    /// Destroys the outcome and frees the memory, after the last holder of an ended root is gone.
    void drop() noexcept {
        const frame_rest rest = this->rest();
        if (rest.drop_value != nullptr || (flags & (failed | named)) != 0) [[unlikely]]
            drop_outcome();
        frame_free(frame(), rest.size);
    }
    RONDO_API void drop_outcome() noexcept;

    void unhandled_exception() noexcept { fail(std::current_exception()); }
    RONDO_API void fail(std::exception_ptr why) noexcept;
    /// Destroys the name and the error. Reports the error if it was never retrieved.
    RONDO_API void end() noexcept;
    /// Returns: the error; null if there is none. (The value depends on T, the error does not.)
    std::exception_ptr error() const noexcept {
        return (flags & failed) != 0 ? record.error : nullptr;
    }
    [[noreturn]] RONDO_API void throw_error();

    std::suspend_always initial_suspend() noexcept { return {}; }

    struct final_awaiter {
        bool await_ready() noexcept { return false; }
        template <class Promise>
        void await_suspend(std::coroutine_handle<Promise> self) noexcept;
        void await_resume() noexcept {}
    };
    final_awaiter final_suspend() noexcept { return {}; }
};
// The handle is computed from the promise's address: the frame's two words are directly before it.
static_assert(alignof(promise_base) <= 16 && sizeof(shared_core) == 16);

/// Ends the program with a message: at `where`, a task is awaited that was moved from or awaited
/// before.
[[noreturn]] RONDO_API void fail_without_task(location where) noexcept;

/// The awaiter of a task. It lives in the caller's frame and owns the frame that it waits for.
struct task_awaiter_base {
    promise_base* child;
    // Set by await_suspend:
    union {
        std::coroutine_handle<> caller;
    };
    location where;

    explicit task_awaiter_base(promise_base* c) noexcept : child(c) {}
    ~task_awaiter_base() {
        if (child != nullptr) child->handle().destroy();
    }
    task_awaiter_base(const task_awaiter_base&) = delete;
    task_awaiter_base& operator=(const task_awaiter_base&) = delete;

    bool await_ready() noexcept { return false; }

    void await_suspend(std::coroutine_handle<> from,
                       location at = location::current()) noexcept {
        if (child == nullptr) [[unlikely]]
            fail_without_task(at);
        caller = from;
        where = at;
        child->awaiter = this;
        here.next = child->handle();
    }
};

template <class Promise>
void promise_base::final_awaiter::await_suspend(std::coroutine_handle<Promise> self) noexcept {
    promise_base& promise = self.promise();
    if ((promise.flags & root) != 0)
        here.ended = &promise.record;
    else
        here.next = promise.awaiter->caller;
}

template <class T>
struct task_promise;

template <class T>
struct task_awaiter : task_awaiter_base {
    using task_awaiter_base::task_awaiter_base;
    T await_resume() { return static_cast<task_promise<T>*>(child)->take(); }
};

// -- operands of co_await in a task ---------------------------------------------------------------

/// rondo's awaitables return their awaiter from `rondo_awaiter`, which only tasks call. A foreign
/// coroutine that awaits one does not compile.
template <class A>
concept native_awaitable = requires(A&& a) { std::forward<A>(a).rondo_awaiter(); };

/// Base of rondo's awaitables: if a foreign coroutine awaits one, the compiler prints a sentence.
struct only_in_tasks {
    template <class Never = void>
    std::suspend_never operator co_await() const noexcept {
        static_assert(!std::is_void_v<Never>,
                      "this awaitable of rondo can only be awaited inside a rondo::task");
        return {};
    }
};

template <class A>
class foreign_awaiter;

template <class T>
struct is_task : std::false_type {};
template <class T>
struct is_task<task<T>> : std::true_type {};

/// The part of task promises that does not depend on T: await_transform.
struct awaiting_promise : promise_base {
    template <class U>
    task_awaiter<U> await_transform(task<U>&& inner) noexcept {
        return task_awaiter<U>(std::exchange(inner.promise_, nullptr));
    }
    template <class U, class Never = void>
    task_awaiter<U> await_transform(const task<U>&) noexcept {
        static_assert(!std::is_void_v<Never>,
                      "a task is awaited once: write co_await std::move(t)");
        return task_awaiter<U>(nullptr);
    }

    /// An awaitable that can be awaited more than once (a sleep) is passed by value: so it takes no
    /// room in the frame beside its awaiter.
    template <class A>
        requires(native_awaitable<const A&> && std::is_trivially_copyable_v<A>)
    auto await_transform(A awaitable) noexcept(noexcept(std::move(awaitable).rondo_awaiter())) {
        return std::move(awaitable).rondo_awaiter();
    }

    template <native_awaitable A>
        requires(!(native_awaitable<const std::remove_cvref_t<A>&> &&
                   std::is_trivially_copyable_v<std::remove_cvref_t<A>>))
    auto await_transform(A&& awaitable) noexcept(
        noexcept(std::forward<A>(awaitable).rondo_awaiter())) {
        return std::forward<A>(awaitable).rondo_awaiter();
    }

    template <class A>
        requires(!native_awaitable<A> && !is_task<std::remove_cvref_t<A>>::value)
    foreign_awaiter<A> await_transform(A&& awaitable) {
        return foreign_awaiter<A>(std::forward<A>(awaitable));
    }
};

/// Destroys a frame, or the state of a promise, that has no holder left. If that releases the last
/// holder of another one, and so on, they are destroyed in a loop: the stack stays flat.
RONDO_API void destroy_shared(shared_core& core) noexcept;

/// Storage for a value; shared_core::valued says whether it is constructed.
template <class T>
union value_slot {
    using stored =
        std::conditional_t<std::is_reference_v<T>, std::add_pointer_t<T>, std::remove_const_t<T>>;

    value_slot() noexcept {}
    ~value_slot() {}

    template <class U>
    void emplace(U&& from) {
        if constexpr (std::is_reference_v<T>)
            held = refer(std::forward<U>(from));
        else
            ::new (static_cast<void*>(std::addressof(held)))
                stored(static_cast<stored>(std::forward<U>(from)));
    }
    std::add_lvalue_reference_t<T> get() noexcept {
        if constexpr (std::is_reference_v<T>)
            return *held;
        else
            return held;
    }
    void destroy() noexcept { std::destroy_at(std::addressof(held)); }

    stored held;

private:
    static std::remove_reference_t<T>* refer(T&& object) noexcept { return std::addressof(object); }
};

/// Results that return_value takes by value. For a reference parameter g++ would keep the operand
/// of `co_return` in the frame.
template <class T, class U>
inline constexpr bool returned_in_register =
    !std::is_reference_v<T> && std::is_scalar_v<std::decay_t<U>>;

template <class T>
struct task_promise : awaiting_promise {
    static_assert(std::is_reference_v<T> || alignof(T) <= 16,
                  "a task's result may be aligned to 16 bytes at most: return a std::unique_ptr to "
                  "it");
    value_slot<T> value;

    static constexpr bool owns = !std::is_trivially_destructible_v<typename value_slot<T>::stored>;

    ~task_promise() {
        if constexpr (owns)
            if ((flags & (valued | ending)) == valued) value.destroy();
        keep_writes();
    }
    [[gnu::always_inline]] static void operator delete(void* frame, std::size_t size) noexcept {
        free_or_keep(frame, size, sizeof(task_promise), owns ? drop_value : nullptr);
    }
    static void drop_value(promise_base& self) noexcept {
        if ((self.flags & valued) != 0) static_cast<task_promise&>(self).value.destroy();
    }

    task<T> get_return_object() noexcept { return task<T>(this); }

    /// If the destructor of a local throws after co_return, its error replaces the value.
    void unhandled_exception() noexcept {
        if ((flags & valued) != 0) value.destroy();
        fail(std::current_exception());
    }

    template <class U = T>
        requires(std::is_constructible_v<T, U &&> && !returned_in_register<T, U>)
    void return_value(U&& result) noexcept(std::is_nothrow_constructible_v<T, U&&>) {
        value.emplace(std::forward<U>(result));
        flags |= valued;
    }
    template <class U = T>
        requires(std::is_constructible_v<T, U> && returned_in_register<T, U>)
    void return_value(U result) noexcept(std::is_nothrow_constructible_v<T, U>) {
        value.emplace(std::move(result));
        flags |= valued;
    }
    T take() {
        if ((flags & valued) == 0) [[unlikely]]
            throw_error();
        return static_cast<T&&>(value.get());
    }
};

template <>
struct task_promise<void> : awaiting_promise {
    inline task<void> get_return_object() noexcept;
    void return_void() noexcept { flags |= valued; }
    void take() {
        if ((flags & valued) == 0) [[unlikely]]
            throw_error();
    }
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
