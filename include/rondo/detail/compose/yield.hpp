// SPDX-License-Identifier: MIT
// Code that generator and async_generator share: the way of an item from `co_yield` to the
// consumer, and of a value or an error from the consumer to `co_yield`.
//
// An item stays in the generator's frame, and the consumer gets its address. A temporary lives
// until the generator is resumed, so it is moved once, into the consumer's object. A value of
// another type, or a variable, is first converted or copied into an item in the same frame. A value
// that is sent stays with the consumer. co_yield moves it out and returns it by value.
#pragma once

#include <rondo/config.hpp>

#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <rondo/detail/base/assert.hpp>
#include <rondo/detail/coroutine/gcc12.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Whether a type is a std::optional.
template <class Sent>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

/// Whether a generator that receives values of type Sent can be resumed without one: by next() or a
/// for loop. If Sent is a std::optional, co_yield then gives an empty one.
template <class Sent>
inline constexpr bool may_send_nothing = std::is_void_v<Sent> || is_optional<Sent>;

struct no_value {};

/// The message of a consumer that resumes a generator: nothing, a value, or an error. Both stay
/// with the consumer, which does not continue before the co_yield has taken them.
template <class Sent>
struct yield_reply {
    static_assert(std::is_void_v<Sent> || std::is_object_v<Sent>,
                  "a generator receives values, not references: send a pointer");

    const std::exception_ptr* thrown = nullptr;
    [[no_unique_address]] std::conditional_t<std::is_void_v<Sent>, no_value, Sent*> sent{};

    /// The result of co_yield.
    Sent take() {
        if (thrown != nullptr) [[unlikely]]
            std::rethrow_exception(*std::exchange(thrown, nullptr));
        if constexpr (!std::is_void_v<Sent>) {
            Sent* const value = std::exchange(sent, nullptr);
            if constexpr (may_send_nothing<Sent>)
                if (value == nullptr) return Sent();
            return std::move(*value);
        }
    }
};

/// Suspends the generator; the item stands at its address.
template <class Promise>
class yield_address {
public:
    explicit yield_address(Promise& promise) noexcept : promise_(&promise) {}

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<>) const noexcept { promise_->hand_over(); }
    auto await_resume() const { return promise_->reply.take(); }

protected:
    Promise* promise_;
};

/// Suspends the generator; the item is stored here.
template <class Promise, class T>
class yield_copy : public yield_address<Promise> {
public:
    template <class U>
    yield_copy(Promise& promise, U&& from)
        : yield_address<Promise>(promise), item_(std::forward<U>(from)) {}
    yield_copy(const yield_copy&) = delete;
    yield_copy& operator=(const yield_copy&) = delete;

    void await_suspend(std::coroutine_handle<>) noexcept {
        this->promise_->item = std::addressof(item_);
        this->promise_->hand_over();
    }

private:
    T item_;
};

/// For rondo's own generators: yields a named object that may be moved from.
template <class T>
struct named_item {
    T* object;
};

/// Whether a U may be yielded as a reference of type T: not if that would make a temporary.
template <class T, class U>
concept referable = std::is_reference_v<T> && std::is_convertible_v<U&&, T> &&
                    std::is_convertible_v < std::remove_reference_t<U>
*, std::remove_reference_t<T>* > ;

/// The part of a generator's promise that takes the yielded items and gives the values that were
/// sent. Promise: the whole promise.
template <class Promise, class T, class Sent>
struct yielding_promise {
    std::add_pointer_t<T> item = nullptr;
    yield_reply<Sent> reply;

    // A template without a default, so that `co_yield {a, b}` is refused: g++ 12 miscompiles it.
    template <class U>
        requires(referable<T, U> || (!std::is_reference_v<T> && std::is_constructible_v<T, U&&>))
    auto yield_value(U&& value) {
        static_assert(!owning_argument_hazard<U>,
                      "g++ 12 destroys a temporary closure or aggregate that owns something twice "
                      "inside a co_yield: "
                      "yield a name, which copies it, or give it a constructor (docs/gcc12.md)");
        if constexpr (std::is_reference_v<T> || std::is_same_v<T, U>) {
            item = std::addressof(value);
            return yield_address<Promise>(whole());
        } else {
            return yield_copy<Promise, T>(whole(), std::forward<U>(value));
        }
    }
    yield_address<Promise> yield_value(named_item<std::remove_reference_t<T>> named) noexcept {
        item = named.object;
        return yield_address<Promise>(whole());
    }

private:
    Promise& whole() noexcept { return static_cast<Promise&>(*this); }
};

/// Checks the argument of `send`. Returns: false if it is refused.
template <class Sent, class U>
consteval bool must_receive() {
    constexpr bool receives = !std::is_void_v<Sent>;
    static_assert(receives,
                  "this generator receives no values: name their type, rondo::generator<T, Sent> or "
                  "rondo::async_generator<T, Sent>");
    constexpr bool converts = !receives || std::is_convertible_v<U&&, Sent>;
    static_assert(converts, "this generator receives values of another type");
    return receives && converts;
}

// Errors of calls at the wrong moment.
/// send() before the first item.
[[noreturn]] RONDO_API void throw_not_begun();
/// next() of a generator that waits for a value.
[[noreturn]] RONDO_API void throw_needs_value();
/// A generator that its own body resumes.
[[noreturn]] RONDO_API void throw_runs_already();

/// The exception that `throw_in` was given.
template <class E>
std::exception_ptr as_exception(E error) {
    if constexpr (std::is_same_v<E, std::exception_ptr>) {
        RONDO_ASSERT(error != nullptr, "throw_in was given an empty std::exception_ptr");
        return error;
    } else {
        return std::make_exception_ptr(std::move(error));
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
