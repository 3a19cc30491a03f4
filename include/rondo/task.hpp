// SPDX-License-Identifier: MIT
// task<T>: a coroutine that has not been started.
//
// Awaiting it runs it inside the awaiting task, like a function call that may suspend. Handing it
// to the loop (create_task, gather, a task group) runs it as a task of its own. Both use the same
// frame. Its promise begins with the part that a future needs (shared_core). It has room for the
// part that a running task needs (task_record), which stays untouched memory until the frame is
// launched. So a spawned task is one allocation, and an awaited one too.
//
// A chain of awaits has one suspension point, at its leaf. The record of the chain's root stores it
// (`point`), and every frame of the chain stores the awaiter that waits for it. A frame that ends
// transfers control through the trampoline (resumer.hpp).
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

#include <rondo/cancel.hpp>
#include <rondo/detail/base/assert.hpp>
#include <rondo/detail/base/frame_pool.hpp>
#include <rondo/detail/base/location.hpp>
#include <rondo/detail/coroutine/shared_core.hpp>
#include <rondo/error.hpp>
#include <rondo/resumer.hpp>

namespace rondo {
inline namespace v0 {

template <class T>
class task;

namespace detail {

/// A running task. It lives in the promise of its root frame and is constructed at launch.
struct task_record : ready_item, scope {
    scope* innermost;  // the innermost scope that is open now
    union {
        leaf_wait* wait;           // the wait it is suspended in; null while it runs or is ready
        std::exception_ptr error;  // of a failed frame (shared_core::failed), which waits no more
    };
    resumer* home;       // its loop
    const void* origin;  // the file where it was created (line: scope::line), or its task_name

    task_record() noexcept {}
    ~task_record() {}
    bool is_cancelled() const noexcept { return innermost->is_reached(); }
};

/// The origin of a task that has a name. Few tasks have one, so the others carry no word for it.
struct task_name {
    const char* file;
    char text[1];
};

inline const char* name_of(const task_record& record) noexcept {
    return (record.flags & scope::named) != 0 ? static_cast<const task_name*>(record.origin)->text
                                             : nullptr;
}
inline const char* file_of(const task_record& record) noexcept {
    return (record.flags & scope::named) != 0 ? static_cast<const task_name*>(record.origin)->file
                                             : static_cast<const char*>(record.origin);
}

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

/// A coroutine that has not been started: lazy, move-only, awaited once. `co_await std::move(t)`
/// runs it as a part of the running task and returns its result or throws its exception.
/// create_task, gather, a task group and run make a task of its own of it. A task that is destroyed
/// without having been started never runs; its parameters are destroyed.
/// Cancel: awaiting a task is not a wait by itself; the waits inside it throw `cancelled`.
/// See:    asyncio's coroutine objects.
template <class T = void>
class [[nodiscard("a task that is neither awaited nor handed to the loop never runs")]] task {
public:
    using value_type = T;
    using promise_type = detail::task_promise<T>;

    task(task&& other) noexcept : promise_(std::exchange(other.promise_, nullptr)) {}
    task& operator=(task&& other) noexcept {
        task old(std::move(other));
        std::swap(promise_, old.promise_);
        return *this;
    }
    task(const task&) = delete;  // a task is awaited once: pass std::move(t)
    task& operator=(const task&) = delete;
    ~task() {
        if (promise_ != nullptr) detail::destroy_shared(*promise_);
    }

    /// Returns: false after it was moved from, awaited or handed to the loop.
    bool valid() const noexcept { return promise_ != nullptr; }

    template <class Never = void>
    std::suspend_never operator co_await() const noexcept {
        static_assert(!std::is_void_v<Never>,
                      "a rondo::task can only be awaited inside another rondo::task; from "
                      "elsewhere use rondo::run or loop.create_task");
        return {};
    }

    /// For functions that start tasks: the promise of the frame, which has not been entered.
    promise_type& peek() const noexcept {
        RONDO_ASSERT(promise_ != nullptr, "this task was moved from, awaited or started before");
        return *promise_;
    }
    /// Gives up ownership of the frame. Returns: its promise.
    promise_type& release() noexcept { return *std::exchange(promise_, nullptr); }

private:
    friend promise_type;
    friend detail::awaiting_promise;
    explicit task(promise_type* promise) noexcept : promise_(promise) {}

    promise_type* promise_;
};
static_assert(sizeof(task<>) == sizeof(void*));

inline task<void> detail::task_promise<void>::get_return_object() noexcept {
    return task<void>(this);
}

namespace detail {

/// The wait that every task is in before its first turn. All tasks share it; it is never written.
extern RONDO_API constinit leaf_wait not_begun;

/// The origin of a task with a name; freed with its frame. Throws: std::bad_alloc.
RONDO_API task_name* make_name(const char* file, const char* name, std::size_t size);
struct free_name {
    void operator()(task_name* name) const noexcept { ::operator delete(name); }
};
using owned_name = std::unique_ptr<task_name, free_name>;

/// Makes a running task of a frame that has not been entered, as a child of scope `under`. The loop
/// holds it until it has ended.
inline task_record& prepare(promise_base& frame, resumer& home, scope& under, location where,
                            const task_name* name = nullptr) noexcept {
    frame.watchers.first = nullptr;
    frame.holders = 1;
    frame.flags |= shared_core::root;
    task_record& record = *::new (static_cast<void*>(&frame.record)) task_record;
    record.point = frame.handle();
    record.children = nullptr;
    record.flags = scope::of_task | (under.flags & scope::inherited);
    record.line = where.line;
    record.innermost = &record;
    record.wait = &not_begun;
    record.home = &home;
    record.origin = where.file;
    if (name != nullptr) [[unlikely]] {
        record.origin = name;
        record.flags |= scope::named;
        frame.flags |= shared_core::named;
    }
    under.add_child(record);
    home.task_began();
    return record;
}

/// Copies the task_local bindings of the running task for a detached task that it starts.
/// Returns: a new scope below `top` that has them.
RONDO_API scope& copy_bindings(scope& top);
/// Removes a scope that no task owns (of bindings, or of a job) from the tree and deletes it.
RONDO_API void remove_ownerless(scope& s) noexcept;

/// Removes a task that has ended from the tree. If it was the last child of a scope that no task
/// owns, removes that scope too.
inline void leave_tree(task_record& record) noexcept {
    scope& above = *record.parent;
    above.remove_child(record);
    const bool is_ownerless = (above.flags & (scope::of_context | scope::of_job)) != 0;
    if (is_ownerless && above.children == nullptr) [[unlikely]]
        remove_ownerless(above);
}

/// Makes a running task of the frame and puts it into the ready queue.
inline void launch(promise_base& frame, resumer& home, scope& under, location where,
                   const task_name* name = nullptr) noexcept {
    home.push(prepare(frame, home, under, where, name));
}

/// Returns: the running task; null outside of tasks.
inline task_record* current_record() noexcept { return here.current; }

/// Drops one holder of a task that has ended. The last one destroys the outcome and frees the
/// frame.
inline void release(promise_base& frame) noexcept {
    if (--frame.holders == 0) frame.drop();
}

// -- leaf waits -----------------------------------------------------------------------------------

/// At the start of a leaf wait: whether the running task was asked to stop.
inline bool is_cancelled() noexcept { return here.current->is_cancelled(); }

/// Whether a wait that is ready, or refused, may go on without suspending. It spends the task's
/// budget: after 128 such waits the task suspends, so that other tasks run.
inline bool may_go_on() noexcept { return --here.budget > 0; }

/// Suspends the running task in `wait`, until `wake(wait)`.
inline void park(leaf_wait& wait, std::coroutine_handle<> frame, location where) noexcept {
    task_record* self = here.current;
    wait.task = self;
    wait.file = where.file;
    wait.line = where.line;
    self->point = frame;
    self->wait = &wait;
}

/// Ends the wait: puts its task into the ready queue.
inline void wake(leaf_wait& wait) noexcept {
    task_record& self = *wait.task;
    self.wait = nullptr;
    self.home->push(self);
}

/// Puts a task whose budget is spent, and whose wait is ready or refused, at the end of the ready
/// queue. Until it runs it counts as waiting there, so that a list of the tasks shows the place.
inline void requeue(leaf_wait& wait) noexcept { wait.task->home->push(*wait.task); }

}  // namespace detail
}  // namespace v0
}  // namespace rondo

#include <rondo/detail/coroutine/foreign.hpp>
