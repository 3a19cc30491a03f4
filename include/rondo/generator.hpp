// SPDX-License-Identifier: MIT
// Functions that produce many values, one at a time, on demand.
//
//     rondo::generator<int> naturals() { for (int i = 0;; ++i) co_yield i; }
//     for (int i : naturals()) ...
//
//     rondo::async_generator<chunk> pieces(stream& from) { ... co_await ...; co_yield ...; }
//     while (auto piece = co_await pieces.next()) ...
//
// A generator is the only coroutine of rondo that is resumed directly, by the loop that iterates
// over it; it knows of no tasks and cannot await.
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
#include <iterator>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/detail/base/frame_pool.hpp>
#include <rondo/detail/compose/yield.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {

template <class T>
class generator;
template <class T>
class async_generator;

// -- synchronous ---------------------------------------------------------------------------------

namespace detail {

template <class T>
struct generator_promise : yielding_promise<generator_promise<T>, T> {
    generator<T>* owner = nullptr;
    std::exception_ptr error;

    static void* operator new(std::size_t size) { return frame_allocate(size); }
    static void operator delete(void* frame, std::size_t size) noexcept { frame_free(frame, size); }

    generator<T> get_return_object() noexcept;
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void hand_over() const noexcept {}
    void return_void() const noexcept {}
    void unhandled_exception() noexcept { error = std::current_exception(); }
    template <class Never>
    std::suspend_never await_transform(Never&&) const noexcept {
        static_assert(std::is_void_v<Never>,
                      "a rondo::generator cannot co_await: make it a rondo::async_generator");
        return {};
    }
};

}  // namespace detail

/// A lazy sequence: its body runs from one co_yield to the next during iteration. Move-only;
/// iterated once. A C++20 input range: `*it` is `T&&`, so `for (auto item : items())` moves each
/// item out. If T is a reference, `*it` is T.
/// Throws: begin() and ++: what the body throws; the sequence has then ended.
/// Thread: one at a time.
/// See:    Python's generators, std::generator of C++23.
template <class T>
class [[nodiscard("a generator that is not iterated over never runs")]] generator {
public:
    using promise_type = detail::generator_promise<T>;

    class iterator {
    public:
        using iterator_concept = std::input_iterator_tag;
        using difference_type = std::ptrdiff_t;
        using value_type = std::remove_cvref_t<T>;

        iterator(iterator&&) noexcept = default;
        iterator& operator=(iterator&&) noexcept = default;

        T&& operator*() const noexcept { return static_cast<T&&>(*frame_.promise().item); }
        iterator& operator++() {
            if (frame_) frame_ = advance(std::exchange(frame_, nullptr));
            return *this;
        }
        void operator++(int) { ++*this; }
        friend bool operator==(const iterator& it, std::default_sentinel_t) noexcept {
            return !it.frame_;
        }

    private:
        friend generator;
        explicit iterator(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
        std::coroutine_handle<promise_type> frame_;
    };

    generator(generator && other) noexcept
        : frame_(std::exchange(other.frame_, nullptr)), ended_(other.ended_) {
        if (frame_) frame_.promise().owner = this;
    }
    generator& operator=(generator&& other) noexcept {
        if (this == &other) return *this;
        drop();
        return *::new (static_cast<void*>(this)) generator(std::move(other));
    }
    ~generator() { drop(); }

    /// Runs the body to its first item. If an earlier iteration was left early, begin() continues
    /// with the next item; after the end it returns end().
    iterator begin() {
        RONDO_ASSERT(frame_ || ended_, "this generator was moved from");
        return iterator(frame_ ? advance(frame_) : nullptr);
    }
    std::default_sentinel_t end() const noexcept { return {}; }

private:
    friend promise_type;
    explicit generator(promise_type & promise) noexcept
        : frame_(std::coroutine_handle<promise_type>::from_promise(promise)) {
        promise.owner = this;
    }

    /// Runs to the next item. At the end it destroys the frame with the parameters, and returns
    /// null.
    static std::coroutine_handle<promise_type> advance(std::coroutine_handle<promise_type> frame) {
        frame.resume();
        if (!frame.done()) [[likely]]
            return frame;
        const std::exception_ptr error = std::move(frame.promise().error);
        generator& owner = *frame.promise().owner;
        owner.ended_ = true;
        owner.drop();
        if (error) std::rethrow_exception(error);
        return nullptr;
    }
    void drop() noexcept {
        if (frame_) std::exchange(frame_, nullptr).destroy();
    }

    std::coroutine_handle<promise_type> frame_;
    bool ended_ = false;
};

template <class T>
generator<T> detail::generator_promise<T>::get_return_object() noexcept {
    return generator<T>(*this);
}

// -- asynchronous --------------------------------------------------------------------------------

/// An optional that holds a reference: the item of an `async_generator<T&>`.
template <class T>
class optional_reference {
public:
    optional_reference(std::nullopt_t) noexcept {}
    explicit optional_reference(T& object) noexcept : object_(std::addressof(object)) {}

    bool has_value() const noexcept { return object_ != nullptr; }
    explicit operator bool() const noexcept { return object_ != nullptr; }
    T& operator*() const noexcept { return *object_; }
    T* operator->() const noexcept { return object_; }

private:
    T* object_ = nullptr;
};

namespace detail {

template <class T>
using optional_item =
    std::conditional_t<std::is_reference_v<T>, optional_reference<std::remove_reference_t<T>>,
                       std::optional<std::remove_cv_t<T>>>;

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

template <class T>
struct async_generator_promise : async_generator_base,
                                 yielding_promise<async_generator_promise<T>, T> {
    async_generator<T> get_return_object() noexcept;
};

/// Awaits the frame of a generator, as task_awaiter does that of a task, but the generator owns the
/// frame. The frame may be destroyed during the wait: at the end of the body, or when a loop that
/// ends destroys the frames of a suspended task, leaf first. Then `child` is null, and the
/// destructor sets the owner's pointer to null.
class async_next : task_awaiter_base {
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
        *owner_ = nullptr;
        std::exchange(child, nullptr)->handle().destroy();
        if (error) std::rethrow_exception(error);
        return nullptr;
    }

private:
    async_generator_base& generator() const noexcept {
        return static_cast<async_generator_base&>(*child);
    }
    async_generator_base** owner_;
};

template <class T>
class next_of_generator : public async_next {
public:
    using async_next::async_next;
    optional_item<T> await_resume() {
        async_generator_base* const from = yielded();
        if (from == nullptr) return std::nullopt;
        auto& item = *static_cast<async_generator_promise<T>*>(from)->item;
        return optional_item<T>(static_cast<T&&>(item));
    }
};

template <class T>
class [[nodiscard("next() does nothing until it is awaited")]] next_item
    : public only_in_tasks {
public:
    explicit next_item(async_generator_base * &owner) noexcept : owner_(&owner) {}
    next_of_generator<T> rondo_awaiter() const noexcept { return next_of_generator<T>(*owner_); }

private:
    async_generator_base** owner_;
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
/// Thread: its loop's.
/// See:    Python's asynchronous generators.
template <class T>
class [[nodiscard("an async_generator runs only while next() is awaited")]] async_generator {
public:
    using promise_type = detail::async_generator_promise<T>;
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
    ~async_generator() {
        must_rest();
        if (promise_ != nullptr) promise_->handle().destroy();
    }

    /// Runs the body to its next item; empty once it has ended. The item is moved out; for an
    /// `async_generator<T&>` it is an optional_reference.
    /// Throws: what the body throws, which ends it; invalid_state_error if another `next` of it is
    ///         being awaited.
    /// Cancel: next is no wait of its own: the wait inside the body throws. If the body does not
    ///         catch that, it has ended. An item that it has yielded is returned in any case.
    /// See:    Python's agen.__anext__.
    detail::next_item<T> next() noexcept { return detail::next_item<T>(promise_); }

    // -- adaptors, as in `co_await readings().filter(valid).map(scaled).take(10).collect()`
    // -----------
    // Each takes the generator (`std::move(named).map(fn)`) and returns a new one, which pulls an
    // item when an item is pulled from it. `fn` returns a value or a task. Name a closure with
    // owning captures before the call (docs/gcc12.md).

    /// Yields `fn(item)` for each item.
    template <class F>
    async_generator<detail::mapped_item<F, T>> map(F fn)&&;
    /// Yields the items for which `fn(item)` is true.
    template <class F>
    async_generator filter(F fn)&&;
    /// Yields the first `count` items, and does not pull another one.
    async_generator take(std::size_t count)&&;
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
            "an async_generator was moved or destroyed while its next() is being awaited");
    }

    detail::async_generator_base* promise_;
};

template <class T>
async_generator<T> detail::async_generator_promise<T>::get_return_object() noexcept {
    return async_generator<T>(this);
}

}  // namespace v0
}  // namespace rondo

#include <rondo/async_iteration.hpp>
