// SPDX-License-Identifier: MIT
// Functions that produce many values, one at a time, on demand.
//
//     rondo::generator<int> naturals() { for (int i = 0;; ++i) co_yield i; }
//     for (int i : naturals()) ...
//
// A generator with a second type also receives values: `co_yield` gives the value that was sent.
//
//     rondo::generator<double, double> running_average() {
//         double sum = 0, average = 0;
//         for (int count = 1;; ++count) {
//             sum += co_yield average;
//             average = sum / count;
//         }
//     }
//     auto average = running_average();
//     average.next();                        // runs to the first co_yield
//     fmt::print("{}\n", *average.send(10));
//
// A generator is the only coroutine of rondo that is resumed directly, by the loop that iterates
// over it; it knows of no tasks and cannot await. An async_generator can: async_generator.hpp.
#pragma once

#include <rondo/config.hpp>

#include <coroutine>
#include <cstddef>
#include <exception>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

#include <rondo/detail/base/frame_pool.hpp>
#include <rondo/detail/compose/yield.hpp>
#include <rondo/error.hpp>

namespace rondo {
inline namespace v0 {

template <class T, class Sent = void>
class generator;

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

template <class T, class Sent>
struct generator_promise : yielding_promise<generator_promise<T, Sent>, T, Sent> {
    generator<T, Sent>* owner = nullptr;
    std::exception_ptr error;
    bool begun = false;  // then `item` is null only while the body runs

    bool running() const noexcept { return begun && this->item == nullptr; }

    static void* operator new(std::size_t size) { return frame_allocate(size); }
    static void operator delete(void* frame, std::size_t size) noexcept { frame_free(frame, size); }

    generator<T, Sent> get_return_object() noexcept;
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
///
/// Sent is the type of the values that `send` passes in and co_yield gives; void if there are none.
/// If it is a std::optional, next() and a for loop send an empty one, as Python's None. For any
/// other type, begin() does not compile.
/// Throws: begin(), ++, next, send and throw_in: what the body throws; the sequence has then ended.
///         invalid_state_error if the body itself calls them.
/// Thread: one at a time.
/// See:    Python's generators, std::generator of C++23.
template <class T, class Sent>
class [[nodiscard("a generator that is not iterated over never runs")]] generator {
public:
    using promise_type = detail::generator_promise<T, Sent>;

    /// The place of an iteration. It is at the end if the generator ends in any other way, or if
    /// another iteration begins; it follows a generator that is moved.
    class iterator {
    public:
        using iterator_concept = std::input_iterator_tag;
        using difference_type = std::ptrdiff_t;
        using value_type = std::remove_cvref_t<T>;

        iterator(iterator&& other) noexcept : frame_(other.leave()) { enter(); }
        iterator& operator=(iterator&& other) noexcept {
            if (this == &other) return *this;
            leave();
            frame_ = other.leave();
            enter();
            return *this;
        }
        ~iterator() { leave(); }

        T&& operator*() const noexcept { return static_cast<T&&>(*frame_.promise().item); }
        iterator& operator++() {
            if (frame_) advance(frame_);
            return *this;
        }
        void operator++(int) { ++*this; }
        friend bool operator==(const iterator& it, std::default_sentinel_t) noexcept {
            return !it.frame_;
        }

    private:
        friend generator;
        explicit iterator(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {
            enter();
        }
        void enter() noexcept {
            if (frame_) frame_.promise().owner->place_ = this;
        }
        std::coroutine_handle<promise_type> leave() noexcept {
            if (frame_) frame_.promise().owner->place_ = nullptr;
            return std::exchange(frame_, nullptr);
        }
        std::coroutine_handle<promise_type> frame_;  // null at the end
    };

    generator(generator && other) noexcept
        : frame_(std::exchange(other.frame_, nullptr)),
          place_(std::exchange(other.place_, nullptr)),
          ended_(other.ended_) {
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
        static_assert(detail::may_send_nothing<Sent>,
                      "a for loop sends nothing to this generator: call next() once, then send(), "
                      "or let it receive a std::optional");
        if (!must_be_whole()) return iterator(nullptr);
        if (place_ != nullptr) place_->leave();
        return iterator(begin_or_advance() ? frame_ : nullptr);
    }
    std::default_sentinel_t end() const noexcept { return {}; }

    /// Runs the body to its next item; empty once it has ended. The item is moved out.
    /// Throws: also invalid_state_error if the body waits for a value that is not a std::optional.
    /// See:    Python's next(generator).
    detail::optional_item<T> next() {
        if constexpr (!detail::may_send_nothing<Sent>)
            if (must_be_whole() && has_begun()) detail::throw_needs_value();
        return run_on();
    }

    /// Passes a value to the co_yield that the body is suspended at, and runs it to its next item;
    /// empty once it has ended. After the end the value is dropped.
    /// Throws: also invalid_state_error before the first item.
    /// See:    Python's generator.send.
    template <class U = std::conditional_t<std::is_void_v<Sent>, detail::no_value, Sent>>
    detail::optional_item<T> send(U && value) {
        if constexpr (detail::must_receive<Sent, U>()) {
            if (must_be_whole()) {
                if (!has_begun()) detail::throw_not_begun();
                Sent sent(std::forward<U>(value));
                frame_.promise().reply.sent = std::addressof(sent);
                return run_on();
            }
        }
        return std::nullopt;
    }

    /// Throws an exception at the co_yield that the body is suspended at, and runs it to its next
    /// item; empty if it ends. `error` is an exception or a std::exception_ptr. If the body does
    /// not catch it, or has not begun or has ended, it is thrown to the caller.
    /// See:    Python's generator.throw.
    template <class E>
    detail::optional_item<T> throw_in(E error) {
        const std::exception_ptr thrown = detail::as_exception(std::move(error));
        if (must_be_whole() && has_begun()) {
            frame_.promise().reply.thrown = &thrown;
            return run_on();
        }
        close();
        std::rethrow_exception(thrown);
    }

    /// Ends the sequence: destroys the body's locals and parameters. Its own body must not call it.
    /// See: Python's generator.close.
    void close() noexcept {
        if (must_be_whole()) end_here();
    }

private:
    friend promise_type;
    explicit generator(promise_type & promise) noexcept
        : frame_(std::coroutine_handle<promise_type>::from_promise(promise)) {
        promise.owner = this;
    }

    /// Whether the sequence goes on.
    bool must_be_whole() const noexcept {
        RONDO_ASSERT(frame_ || ended_, "this generator was moved from");
        return static_cast<bool>(frame_);
    }
    bool has_begun() const {
        if (frame_.promise().running()) detail::throw_runs_already();
        return frame_.promise().begun;
    }

    detail::optional_item<T> run_on() {
        if (!must_be_whole() || !begin_or_advance()) return std::nullopt;
        return detail::optional_item<T>(static_cast<T&&>(*frame_.promise().item));
    }

    bool begin_or_advance() {
        if (!has_begun()) frame_.promise().begun = true;
        return advance(frame_);
    }
    /// Runs to the next item. At the end it destroys the frame with the parameters, and returns
    /// false.
    static bool advance(std::coroutine_handle<promise_type> frame) {
        promise_type& promise = frame.promise();
        promise.item = nullptr;
        frame.resume();
        if (!frame.done()) [[likely]]
            return true;
        promise.begun = false;
        const std::exception_ptr error = std::move(promise.error);
        promise.owner->end_here();
        if (error) std::rethrow_exception(error);
        return false;
    }
    void end_here() noexcept {
        ended_ = true;
        drop();
    }
    void drop() noexcept {
        if (!frame_) return;
        RONDO_ASSERT(!frame_.promise().running(),
                     "a generator was closed or destroyed by its own body");
        if (place_ != nullptr) place_->leave();
        std::exchange(frame_, nullptr).destroy();
    }

    std::coroutine_handle<promise_type> frame_;
    iterator* place_ = nullptr;  // of the iteration that goes on
    bool ended_ = false;
};

template <class T, class Sent>
generator<T, Sent> detail::generator_promise<T, Sent>::get_return_object() noexcept {
    return generator<T, Sent>(*this);
}

}  // namespace v0
}  // namespace rondo

#include <rondo/async_generator.hpp>  // until 0.2: it was declared here
