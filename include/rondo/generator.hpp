// SPDX-License-Identifier: MIT
// Functions that give many values, one at a time, when they are asked.
//
//     rondo::generator<int> naturals() { for (int i = 0;; ++i) co_yield i; }
//     for (int i : naturals()) ...
//
//     rondo::async_generator<chunk> pieces(stream& from) { ... co_await ...; co_yield ...; }
//     while (auto piece = co_await pieces.next()) ...
//
// A generator is the one coroutine of rondo that is resumed directly, by the loop that runs over it; it knows of no tasks
// and cannot await. An async_generator runs inside the task that awaits `next`, as an awaited task does: it has no task
// and no scope of its own, and while nobody awaits `next` it stands at a co_yield and nothing is in flight for it. That is
// why an unfinished one can simply be destroyed: its locals go, and that is its clean-up. asyncio needs `aclose` and a
// hook of the loop for what here is a destructor; what must be awaited at the end does not belong into a generator but
// into the one who uses it.
//
// For the same reason a generator must not yield inside a timeout, a shield or a task group that it has opened: the scope
// would stay open in its consumer. That ends the program with a sentence.
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

// -- synchronous ----------------------------------------------------------------------------------------------------

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

/// A lazy sequence: its body runs from one co_yield to the next while somebody iterates. Move-only; iterated once.
/// A C++20 input range: `*it` is `T&&`, so `for (auto item : items())` moves each item out; of references it is T.
/// Throws: begin() and ++ what the body throws; the sequence has ended then.
/// Thread: one at a time.
/// See:    Python's generators, std::generator of C++23.
template <class T>
class [[nodiscard("a generator that nobody iterates over never runs")]] generator {
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

    /// Runs the body to its first item. Once only: after an iteration that was left, another begin() goes on with the
    /// next item; after the end it gives end().
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

    /// Runs to the next item. At the end the frame goes, with the parameters, and it gives null.
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

// -- asynchronous ---------------------------------------------------------------------------------------------------

/// What is like an optional and holds a reference: the item of an `async_generator<T&>`.
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

/// What does not depend on the type of the items.
struct async_generator_base : awaiting_promise {
    enum class stage : std::uint8_t { waiting, running, yielded };
    stage at = stage::waiting;
    scope* entered = nullptr;  // the scope in which `next` is awaited

    /// At a co_yield: whoever awaits `next` goes on.
    void hand_over() noexcept {
        RONDO_ASSERT(here.current->innermost == entered,
                     "an async_generator yielded inside a timeout, a shield or a task group that "
                     "it has opened");
        at = stage::yielded;
        here.next = awaiter->caller;
    }
    void return_void() const noexcept {}
};

template <class T>
struct async_generator_promise : async_generator_base,
                                 yielding_promise<async_generator_promise<T>, T> {
    async_generator<T> get_return_object() noexcept;
};

/// Awaits a generator's frame as task_awaiter does a task's, but the generator owns it. If the frame goes during the
/// wait (at the end of the body; when a loop that ends destroys the frames of a suspended task, leaf first), `child` is
/// null and this tells the owner.
class async_next : task_awaiter_base {
public:
    explicit async_next(async_generator_base*& owner) noexcept
        : task_awaiter_base(owner), owner_(&owner) {}
    ~async_next() {
        if (child == nullptr) *owner_ = nullptr;
        child = nullptr;
    }

    bool await_ready() const {
        if (child != nullptr && generator().at == async_generator_base::stage::running)
            throw invalid_state_error(
                "next() of an async_generator was awaited while another one was");
        return child == nullptr;
    }
    void await_suspend(std::coroutine_handle<> from, location at = location::current()) noexcept {
        generator().at = async_generator_base::stage::running;
        generator().entered = here.current->innermost;
        task_awaiter_base::await_suspend(from, at);
    }

protected:
    /// At the end of the wait: the generator if there is an item, else null. At the end of the body its frame goes, with
    /// the parameters. Throws what the body has thrown.
    async_generator_base* yielded() {
        if (child == nullptr) return nullptr;
        async_generator_base& g = generator();
        if (g.at == async_generator_base::stage::yielded) [[likely]]
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
class [[nodiscard("the next item is not made until it is awaited")]] next_item
    : public only_in_tasks {
public:
    explicit next_item(async_generator_base * &owner) noexcept : owner_(&owner) {}
    next_of_generator<T> rondo_awaiter() const noexcept { return next_of_generator<T>(*owner_); }

private:
    async_generator_base** owner_;
};

/// What a callable gives, directly or by a task.
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

/// A lazy sequence whose body may co_await. Move-only. It runs inside the task that awaits `next`, from one co_yield to
/// the next; destroying an unfinished one destroys its locals.
/// Thread: its loop's.
/// See:    Python's asynchronous generators.
template <class T>
class [[nodiscard("an async_generator that nobody asks for an item never runs")]] async_generator {
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

    /// Runs the body to its next item; empty once it has ended. The item is moved out; of an `async_generator<T&>` it is
    /// an optional_reference.
    /// Throws: what the body throws, which ends it; invalid_state_error where another `next` of it is being awaited.
    /// Cancel: no wait of its own: the wait at which the body stands throws there. Where the body lets that pass, it has
    ///         ended; an item that it has yielded is given in any case.
    detail::next_item<T> next() noexcept { return detail::next_item<T>(promise_); }

    // -- made of it, as in `co_await readings().filter(valid).map(scaled).take(10).collect()` ---------------------------
    // Each takes the generator (`std::move(named).map(fn)`) and gives a new one, which asks it for an item when it is
    // asked for one itself. `fn` gives a value or a task. A closure that owns something is named before (docs/gcc12.md).

    /// `fn(item)` for each item.
    template <class F>
    async_generator<detail::mapped_item<F, T>> map(F fn)&&;
    /// The items for which `fn(item)` is true.
    template <class F>
    async_generator filter(F fn)&&;
    /// The first `count` items; does not ask for one more.
    async_generator take(std::size_t count)&&;
    /// The items with their numbers, which begin with `first`.
    async_generator<std::pair<std::size_t, T>> enumerate(std::size_t first = 0)&&;
    /// All items, in a vector.
    /// Cancel: the wait at which the generator stands throws; what had come is gone.
    task<std::vector<T>> collect()&&;

private:
    friend promise_type;
    explicit async_generator(promise_type * promise) noexcept : promise_(promise) {}

    void must_rest() const noexcept {
        RONDO_ASSERT(
            promise_ == nullptr || promise_->at != detail::async_generator_base::stage::running,
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
