// SPDX-License-Identifier: MIT
// task<T>: a coroutine that has not been started.
//
// Awaiting it runs it inside the awaiting task, like a function call that may suspend; handing it to the loop
// (create_task, gather, a task group) makes a task of its own of it. Both use the same frame: its promise begins with
// what a future needs (shared_core) and has room for what a running task needs (task_record), which stays untouched
// memory until the frame is launched. So a spawned task is one allocation, and so is an awaited one.
//
// A chain of awaits has one suspended point, at its leaf; the record of its root knows it (`point`), and every frame of
// the chain knows the awaiter that waits for it. Finished frames hand over through the trampoline (resumer.hpp).
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

/// A running task. It lives in the promise of its root frame and is made when that is launched.
struct task_record : ready_item, scope {
    scope* innermost;       // the scope that is open now
    union {
        leaf_wait* wait;           // what it is suspended in; null while it runs or is ready
        std::exception_ptr error;  // of a frame that has failed (shared_core::failed): it waits no more
    };
    resumer* home;          // its loop
    const void* origin;     // the file where it was created (the line is in scope::line), or a task_name

    task_record() noexcept {}
    ~task_record() {}
    bool is_cancelled() const noexcept { return innermost->is_reached(); }
};

/// The origin of a task that was given a name; few are, so that the others need not carry a word for it.
struct task_name {
    const char* file;
    char text[1];
};

inline const char* name_of(const task_record& record) noexcept {
    return (record.flags & scope::named) != 0 ? static_cast<const task_name*>(record.origin)->text : nullptr;
}
inline const char* file_of(const task_record& record) noexcept {
    return (record.flags & scope::named) != 0 ? static_cast<const task_name*>(record.origin)->file
                                             : static_cast<const char*>(record.origin);
}

/// The head of every task frame.
struct promise_base : shared_core {
    union {
        task_record record;  // of a root; in any frame that has failed its error
    };

    promise_base() noexcept : shared_core(of_task) {}
    ~promise_base() {
        if ((flags & (ending | failed | named)) != 0) [[unlikely]]
            if ((flags & ending) == 0) end();
        outlive();
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

    // Law 9: a task that has ended holds nothing. At the end of a root its coroutine is destroyed, and with it the
    // parameters; the promise stays as mere memory until the last future goes. While a coroutine is destroyed that way
    // (`ending`) the destructors of promises leave everything as it is, `operator delete` keeps the memory, and drop()
    // destroys the outcome and frees. Any other frame is destroyed and freed at once.
    //
    // Keeps the compiler from dropping what was written to a promise: it is read after the destructor.
    static void outlive() noexcept { asm volatile("" : : : "memory"); }

    /// Stands where the frame began, once the coroutine is gone.
    struct remains {
        std::uint32_t size;  // of the allocation
        std::uint32_t kept;  // its first bytes, to the end of the promise
        void (*drop_value)(promise_base&) noexcept;  // null if the value needs no destructor
    };
    static constexpr std::size_t distance = 2 * sizeof(void*);  // of the promise from the frame's beginning

    void* frame() noexcept { return reinterpret_cast<char*>(this) - distance; }
    static promise_base& at(void* frame) noexcept {
        return *reinterpret_cast<promise_base*>(static_cast<char*>(frame) + distance);
    }
    remains& left() noexcept { return *static_cast<remains*>(frame()); }

    [[gnu::always_inline]] static void* operator new(std::size_t size) {
        void* const frame = frame_allocate(size);
        at(frame).flags = 0;  // for operator delete, if the copy of a parameter throws: there is no promise yet
        return frame;
    }
    [[gnu::always_inline]] static void operator delete(void* frame, std::size_t size) noexcept {
        free_or_leave(frame, size, sizeof(promise_base), nullptr);
    }
    [[gnu::always_inline]] static void free_or_leave(void* frame, std::size_t size, std::size_t promise_size,
                                                     void (*drop_value)(promise_base&) noexcept) noexcept {
        outlive();
        if ((at(frame).flags & ending) == 0) return frame_free(frame, size);
        ::new (frame) remains{static_cast<std::uint32_t>(size),
                              static_cast<std::uint32_t>(distance + promise_size), drop_value};
    }

    /// At the end of a root: destroys the coroutine, with its parameters, as a part of the running task.
    inline void end_coroutine() noexcept;
    void end_failed_coroutine() noexcept;
    /// The last holder of a root that has ended is gone: destroys the outcome and frees the memory.
    void drop() noexcept {
        const remains rest = left();
        if (rest.drop_value != nullptr || (flags & (failed | named)) != 0) [[unlikely]]
            drop_outcome();
        frame_free(frame(), rest.size);
    }
    RONDO_API void drop_outcome() noexcept;

    void unhandled_exception() noexcept { fail(std::current_exception()); }
    RONDO_API void fail(std::exception_ptr why) noexcept;
    RONDO_API void end() noexcept;  // forgets its name and its error; reports one that nobody has seen
    /// The value is typed, the error is not. Null where there is none.
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
// A handle is found from the promise's address alone: the frame's two words stand directly before it.
static_assert(alignof(promise_base) <= 16 && sizeof(shared_core) == 16);

/// Ends the program: a task that was awaited before, or moved from, is awaited at `where`.
[[noreturn]] RONDO_API void fail_without_task(location where) noexcept;

/// The awaiter of a task, in the caller's frame; it owns the frame it waits for.
struct task_awaiter_base {
    promise_base* child;
    // from await_suspend on
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

// -- what may stand behind co_await in a task -----------------------------------------------------------------------

/// Our own awaitables give their awaiter by this name, and only tasks ask for it: a foreign coroutine that awaits one
/// does not compile.
template <class A>
concept native_awaitable = requires(A&& a) { std::forward<A>(a).rondo_awaiter(); };

/// Base of our awaitables: says so, in words, to a foreign coroutine.
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

/// What all task promises share and what does not depend on T.
struct awaiting_promise : promise_base {
    template <class U>
    task_awaiter<U> await_transform(task<U>&& inner) noexcept {
        return task_awaiter<U>(std::exchange(inner.promise_, nullptr));
    }
    template <class U, class Never = void>
    task_awaiter<U> await_transform(const task<U>&) noexcept {
        static_assert(!std::is_void_v<Never>, "a task is awaited once: write co_await std::move(t)");
        return task_awaiter<U>(nullptr);
    }

    /// What may be awaited more than once (a sleep) goes by value: so it takes no room in the frame beside its awaiter.
    template <class A>
        requires(native_awaitable<const A&> && std::is_trivially_copyable_v<A>)
    auto await_transform(A awaitable) noexcept(noexcept(std::move(awaitable).rondo_awaiter())) {
        return std::move(awaitable).rondo_awaiter();
    }

    template <native_awaitable A>
        requires(!(native_awaitable<const std::remove_cvref_t<A>&> &&
                   std::is_trivially_copyable_v<std::remove_cvref_t<A>>))
    auto await_transform(A&& awaitable) noexcept(noexcept(std::forward<A>(awaitable).rondo_awaiter())) {
        return std::forward<A>(awaitable).rondo_awaiter();
    }

    template <class A>
        requires(!native_awaitable<A> && !is_task<std::remove_cvref_t<A>>::value)
    foreign_awaiter<A> await_transform(A&& awaitable) {
        return foreign_awaiter<A>(std::forward<A>(awaitable));
    }
};

/// Destroys a frame that nobody holds any more, or what a promise fills. It may hold the last
/// handle on another one, and so on: the stack stays flat.
RONDO_API void destroy_shared(shared_core& core) noexcept;

/// Room for a value; shared_core::valued says whether it is there.
template <class T>
union value_slot {
    using stored = std::conditional_t<std::is_reference_v<T>, std::add_pointer_t<T>, std::remove_const_t<T>>;

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

/// What a reference to would be a reference into the frame: g++ keeps the operand of `co_return` there for it.
template <class T, class U>
inline constexpr bool returned_in_register =
    !std::is_reference_v<T> && std::is_scalar_v<std::decay_t<U>>;

template <class T>
struct task_promise : awaiting_promise {
    static_assert(std::is_reference_v<T> || alignof(T) <= 16,
                  "a task's result may be aligned to 16 bytes at most: return a std::unique_ptr to it");
    value_slot<T> value;

    static constexpr bool owns = !std::is_trivially_destructible_v<typename value_slot<T>::stored>;

    ~task_promise() {
        if constexpr (owns)
            if ((flags & (valued | ending)) == valued) value.destroy();
        outlive();
    }
    [[gnu::always_inline]] static void operator delete(void* frame, std::size_t size) noexcept {
        free_or_leave(frame, size, sizeof(task_promise), owns ? drop_value : nullptr);
    }
    static void drop_value(promise_base& self) noexcept {
        if ((self.flags & valued) != 0) static_cast<task_promise&>(self).value.destroy();
    }

    task<T> get_return_object() noexcept { return task<T>(this); }

    /// The destructor of a local may throw after co_return: its error takes the place of the value.
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

/// A coroutine that has not been started: lazy, move-only, awaited once. `co_await` it to run it as a part of the
/// running task, or hand it to create_task, gather, a task group or run.
/// Cancel: awaiting a task is not a wait of its own; the waits inside it are cancelled.
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

    /// False once it was moved from, awaited or handed over.
    bool valid() const noexcept { return promise_ != nullptr; }

    template <class Never = void>
    std::suspend_never operator co_await() const noexcept {
        static_assert(!std::is_void_v<Never>,
                      "a rondo::task can only be awaited inside another rondo::task; from elsewhere use rondo::run "
                      "or loop.create_task");
        return {};
    }

    /// For those who start tasks: the frame, which has not been entered; `release` gives it up.
    promise_type& peek() const noexcept {
        RONDO_ASSERT(promise_ != nullptr, "this task was moved from, awaited or started before");
        return *promise_;
    }
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

/// What every task waits in before its first turn. Shared by all of them and never written.
extern RONDO_API constinit leaf_wait not_begun;

/// The origin of a task with a name; freed with its frame. Throws: std::bad_alloc.
RONDO_API task_name* make_name(const char* file, const char* name, std::size_t size);
struct free_name {
    void operator()(task_name* name) const noexcept { ::operator delete(name); }
};
using owned_name = std::unique_ptr<task_name, free_name>;

/// Makes a running task of a frame that has not been entered: it hangs below `under`. The loop holds it until it has
/// ended.
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

/// For a detached task that is started where task_locals are bound: a scope below `top` that has them too.
RONDO_API scope& take_bindings_along(scope& top);
/// Takes a scope that no task owns out of the tree, and deletes it: of bindings, or of a job.
RONDO_API void end_ownerless(scope& s) noexcept;

/// A task that has ended leaves the tree, and the last one below a scope that no task owns takes that with it.
inline void leave_tree(task_record& record) noexcept {
    scope& above = *record.parent;
    above.remove_child(record);
    if ((above.flags & (scope::of_context | scope::of_job)) != 0 && above.children == nullptr) [[unlikely]]
        end_ownerless(above);
}

/// Prepares it, and it is ready: it first runs when its turn comes.
inline void launch(promise_base& frame, resumer& home, scope& under, location where,
                   const task_name* name = nullptr) noexcept {
    home.push(prepare(frame, home, under, where, name));
}

/// The running task. Null outside of one.
inline task_record* current_record() noexcept { return here.current; }

/// Lets go of one holder of a task that has ended; the last one destroys what is left of it.
inline void release(promise_base& frame) noexcept {
    if (--frame.holders == 0) frame.drop();
}

// -- leaf waits -----------------------------------------------------------------------------------------------------

/// At the start of a leaf wait: was the running task asked to stop?
inline bool is_cancelled() noexcept { return here.current->is_cancelled(); }

/// May a wait that is ready, or refused, go on without suspending? Not for ever: others want to run
/// too.
inline bool may_go_on() noexcept { return --here.patience > 0; }

/// The running task is suspended from now on, until `wake(wait)`.
inline void park(leaf_wait& wait, std::coroutine_handle<> frame, location where) noexcept {
    task_record* self = here.current;
    wait.task = self;
    wait.file = where.file;
    wait.line = where.line;
    self->point = frame;
    self->wait = &wait;
}

/// The wait has ended: its task is ready.
inline void wake(leaf_wait& wait) noexcept {
    task_record& self = *wait.task;
    self.wait = nullptr;
    self.home->push(self);
}

/// The task is parked in a wait that is refused, after many others that were: it throws after
/// everybody who is ready has run. Until then the task counts as waiting there, so that a list of
/// the tasks tells the place.
inline void step_back(leaf_wait& wait) noexcept { wait.task->home->push(*wait.task); }

}  // namespace detail
}  // namespace v0
}  // namespace rondo

#include <rondo/detail/coroutine/foreign.hpp>
