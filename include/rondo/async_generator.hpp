// SPDX-License-Identifier: MIT
// Sequences that wait between their items.
//
//     rondo::async_generator<chunk> pieces(stream& from) { ... co_await ...; co_yield ...; }
//     while (auto piece = co_await pieces.next()) ...
//
// An async_generator runs inside the task that awaits `next`, as an awaited task does: it has no
// task and no scope of its own. While no task awaits `next` it is suspended at a co_yield, and
// nothing is in flight for it. So an unfinished one can simply be destroyed: its locals are
// destroyed, and that is its clean-up. asyncio needs `aclose` and a hook of the loop for that.
// Clean-up that must be awaited belongs into the consumer, not into the generator.
//
// For the same reason an async_generator must not yield inside a timeout, a shield or a task group
// that it has opened: the scope would stay open in its consumer. That aborts the program with a
// message.
#pragma once

#include <rondo/config.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/detail/compose/yield.hpp>
#include <rondo/generator.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {

template <class T, class Sent = void>
class async_generator;

namespace detail {

/// The part of the promise that does not depend on the type of the items.
struct async_generator_base : awaiting_promise {
    enum class phase : std::uint8_t { waiting, running, yielded };
    phase at = phase::waiting;
    scope* entered = nullptr;  // the innermost scope of the task that awaits `next`

    /// At a co_yield: resumes the coroutine that awaits `next`.
    void hand_over() noexcept {
        RONDO_ASSERT(here.current->innermost == entered,
                     "an async_generator yielded inside a timeout, a shield or a task group that "
                     "it has opened");
        at = phase::yielded;
        here.next = awaiter->caller;
    }
    void return_void() const noexcept {}
};

template <class T, class Sent>
struct async_generator_promise : async_generator_base,
                                 yielding_promise<async_generator_promise<T, Sent>, T, Sent> {
    async_generator<T, Sent> get_return_object() noexcept;
};

/// Awaits the frame of a generator, as task_awaiter does that of a task, but the generator owns the
/// frame. The frame may be destroyed during the wait: at the end of the body, or when a loop that
/// ends destroys the frames of a suspended task, leaf first. Then `child` is null, and the
/// destructor sets the owner's pointer to null.
class async_next : protected task_awaiter_base {
public:
    explicit async_next(async_generator_base*& owner) noexcept
        : task_awaiter_base(owner), owner_(&owner) {}
    ~async_next() {
        if (child == nullptr) *owner_ = nullptr;
        child = nullptr;
    }

    bool await_ready() const {
        if (child != nullptr && generator().at == async_generator_base::phase::running)
            throw invalid_state_error(
                "next() of an async_generator was awaited while another next() is being awaited");
        return child == nullptr;
    }
    void await_suspend(std::coroutine_handle<> from, location at = location::current()) noexcept {
        generator().at = async_generator_base::phase::running;
        generator().entered = here.current->innermost;
        task_awaiter_base::await_suspend(from, at);
    }

protected:
    /// At the end of the wait: the generator if there is an item, else null. At the end of the body
    /// its frame is destroyed, with the parameters. Throws what the body has thrown.
    async_generator_base* yielded() {
        if (child == nullptr) return nullptr;
        async_generator_base& g = generator();
        if (g.at == async_generator_base::phase::yielded) [[likely]]
            return &g;
        const std::exception_ptr error = g.error();
        destroy_frame();
        if (error) std::rethrow_exception(error);
        return nullptr;
    }

    /// Whether the body is suspended at a co_yield, and not at its beginning. Only if await_ready
    /// has returned false.
    bool has_begun() const noexcept {
        return generator().at == async_generator_base::phase::yielded;
    }
    void destroy_frame() noexcept {
        *owner_ = nullptr;
        std::exchange(child, nullptr)->handle().destroy();
    }

private:
    async_generator_base& generator() const noexcept {
        return static_cast<async_generator_base&>(*child);
    }
    async_generator_base** owner_;
};

/// Awaits the next item. Derived classes pass a value or an error to the body.
template <class T, class Sent>
class next_of_generator : public async_next {
public:
    using async_next::async_next;

    bool await_ready() const {
        if (async_next::await_ready()) return true;
        if constexpr (!may_send_nothing<Sent>)
            if (has_begun()) throw_needs_value();
        return false;
    }
    optional_item<T> await_resume() {
        if (yielded() == nullptr) return std::nullopt;
        return optional_item<T>(static_cast<T&&>(*promise().item));
    }

protected:
    async_generator_promise<T, Sent>& promise() noexcept {
        return static_cast<async_generator_promise<T, Sent>&>(*child);
    }
};

template <class T, class Sent>
class send_to_generator : public next_of_generator<T, Sent> {
public:
    send_to_generator(async_generator_base*& owner, Sent&& value)
        : next_of_generator<T, Sent>(owner), value_(std::move(value)) {}

    bool await_ready() {
        if (async_next::await_ready()) return true;
        if (!this->has_begun()) throw_not_begun();
        this->promise().reply.sent = std::addressof(value_);
        return false;
    }

private:
    Sent value_;
};

template <class T, class Sent>
class throw_in_generator : public next_of_generator<T, Sent> {
public:
    throw_in_generator(async_generator_base*& owner, std::exception_ptr error) noexcept
        : next_of_generator<T, Sent>(owner), error_(std::move(error)) {}

    bool await_ready() {
        if (async_next::await_ready()) return true;
        if (!this->has_begun()) {
            this->destroy_frame();
            return true;
        }
        this->promise().reply.thrown = &error_;
        return false;
    }
    optional_item<T> await_resume() {
        if (this->child == nullptr) std::rethrow_exception(error_);  // it had not begun, or ended
        return next_of_generator<T, Sent>::await_resume();
    }

private:
    std::exception_ptr error_;
};

template <class T, class Sent>
class [[nodiscard("next() does nothing until it is awaited")]] next_item : public only_in_tasks {
public:
    explicit next_item(async_generator_base * &owner) noexcept : owner_(&owner) {}
    next_of_generator<T, Sent> rondo_awaiter() const noexcept {
        return next_of_generator<T, Sent>(*owner_);
    }

private:
    async_generator_base** owner_;
};

template <class T, class Sent, bool Hazard>
class [[nodiscard("nothing is sent until it is awaited")]] send_item : public only_in_tasks {
public:
    template <class U>
    send_item(async_generator_base * &owner, U && value)
        : owner_(&owner), value_(std::forward<U>(value)) {}

    send_to_generator<T, Sent> rondo_awaiter() & { return {*owner_, std::move(value_)}; }
    send_to_generator<T, Sent> rondo_awaiter() && {
        static_assert(!Hazard,
                      "g++ 12 destroys a temporary aggregate that owns something twice inside a "
                      "co_await: name what `send` returns on a line of its own and co_await that "
                      "name, or give the value a constructor (docs/gcc12.md)");
        return {*owner_, std::move(value_)};
    }

private:
    async_generator_base** owner_;
    Sent value_;
};

template <class T, class Sent>
class [[nodiscard("nothing is thrown until it is awaited")]] throw_in_item : public only_in_tasks {
public:
    throw_in_item(async_generator_base * &owner, std::exception_ptr error) noexcept
        : owner_(&owner), error_(std::move(error)) {}
    throw_in_generator<T, Sent> rondo_awaiter() const noexcept { return {*owner_, error_}; }

private:
    async_generator_base** owner_;
    std::exception_ptr error_;
};

/// The result type of a callable, returned directly or by a task.
template <class R>
struct item_or_task {
    using type = R;
    static constexpr bool by_task = false;
};
template <class R>
struct item_or_task<task<R>> {
    using type = R;
    static constexpr bool by_task = true;
};
template <class F, class T>
using mapped_item = typename item_or_task<std::invoke_result_t<F&, T>>::type;

}  // namespace detail

/// A lazy sequence whose body may co_await. Move-only. It runs inside the task that awaits `next`,
/// from one co_yield to the next. Destroying an unfinished one destroys its locals.
///
/// Sent is the type of the values that `send` passes in and co_yield gives; void if there are none.
/// If it is a std::optional, next() sends an empty one, as Python's None. The adaptors are for
/// generators that receive nothing.
/// Thread: its loop's.
/// See:    Python's asynchronous generators.
template <class T, class Sent>
class [[nodiscard("an async_generator runs only while next() is awaited")]] async_generator {
public:
    using promise_type = detail::async_generator_promise<T, Sent>;
    using value_type = T;

    async_generator(async_generator && other) noexcept
        : promise_(std::exchange(other.promise_, nullptr)) {
        must_rest();
    }
    async_generator& operator=(async_generator&& other) noexcept {
        async_generator old(std::move(other));
        std::swap(promise_, old.promise_);
        return *this;
    }
    ~async_generator() { close(); }

    /// Runs the body to its next item; empty once it has ended. The item is moved out; for an
    /// `async_generator<T&>` it is an optional_reference.
    /// Throws: what the body throws, which ends it; invalid_state_error if another `next` of it is
    ///         being awaited, or if the body waits for a value that is not a std::optional.
    /// Cancel: next is no wait of its own: the wait inside the body throws. If the body does not
    ///         catch that, it has ended. An item that it has yielded is returned in any case.
    /// See:    Python's agen.__anext__.
    detail::next_item<T, Sent> next() noexcept { return detail::next_item<T, Sent>(promise_); }

    /// Passes a value to the co_yield that the body is suspended at, and runs it to its next item;
    /// empty once it has ended. After the end the value is dropped.
    /// Throws: as next; invalid_state_error before the first item.
    /// Cancel: as next. The body has received the value.
    /// See:    Python's agen.asend.
    template <class U = std::conditional_t<std::is_void_v<Sent>, detail::no_value, Sent>>
    auto send(U && value) {
        if constexpr (detail::must_receive<Sent, U>())
            return detail::send_item<T, Sent, detail::owning_argument_hazard<U>>(
                promise_, std::forward<U>(value));
        else
            return next();
    }

    /// Throws an exception at the co_yield that the body is suspended at, and runs it to its next
    /// item; empty if it ends. `error` is an exception or a std::exception_ptr. If the body does
    /// not catch it, or has not begun or has ended, it is thrown to the caller.
    /// Throws: as next.
    /// Cancel: as next. The body has received the exception.
    /// See:    Python's agen.athrow.
    template <class E>
    detail::throw_in_item<T, Sent> throw_in(E error) {
        return {promise_, detail::as_exception(std::move(error))};
    }

    /// Ends the sequence: destroys the body's locals and parameters.
    /// See: Python's agen.aclose.
    void close() noexcept {
        must_rest();
        if (promise_ != nullptr) std::exchange(promise_, nullptr)->handle().destroy();
    }

    // -- adaptors, as in `co_await readings().filter(valid).map(scaled).take(10).collect()` -------
    // Each takes the generator (`std::move(named).map(fn)`) and returns a new one, which pulls an
    // item when an item is pulled from it. `fn` returns a value or a task. Name a closure with
    // owning captures before the call (docs/gcc12.md).

    /// Yields `fn(item)` for each item.
    template <class F>
    async_generator<detail::mapped_item<F, T>> map(F fn)&&;
    /// Yields the items for which `fn(item)` is true.
    template <class F>
    async_generator<T> filter(F fn)&&;
    /// Yields the first `count` items, and does not pull another one.
    async_generator<T> take(std::size_t count)&&;
    /// Yields the items with their numbers, beginning with `first`.
    async_generator<std::pair<std::size_t, T>> enumerate(std::size_t first = 0)&&;
    /// Returns all items in a vector.
    /// Cancel: the wait inside the generator throws; items collected so far are dropped.
    task<std::vector<T>> collect()&&;

private:
    friend promise_type;
    explicit async_generator(promise_type * promise) noexcept : promise_(promise) {}

    void must_rest() const noexcept {
        RONDO_ASSERT(
            promise_ == nullptr || promise_->at != detail::async_generator_base::phase::running,
            "an async_generator was moved, closed or destroyed while its next() is being awaited");
    }

    detail::async_generator_base* promise_;
};

template <class T, class Sent>
async_generator<T, Sent> detail::async_generator_promise<T, Sent>::get_return_object() noexcept {
    return async_generator<T, Sent>(this);
}

}  // namespace v0
}  // namespace rondo

#include <rondo/async_iteration.hpp>
