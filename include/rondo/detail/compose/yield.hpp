// SPDX-License-Identifier: MIT
// Code that generator and async_generator share: the way of an item from `co_yield` to the
// consumer.
//
// An item stays in the generator's frame, and the consumer gets its address. A temporary lives
// until the generator is resumed, so it is moved once, into the consumer's object. A value of
// another type, or a variable, is first converted or copied into an item in the same frame.
#pragma once

#include <rondo/config.hpp>

#include <coroutine>
#include <memory>
#include <type_traits>
#include <utility>

#include <rondo/detail/coroutine/gcc12.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Suspends the generator; the item stands at its address.
template <class Promise>
struct yield_address {
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<Promise> self) const noexcept {
        self.promise().hand_over();
    }
    void await_resume() const noexcept {}
};

/// The same with an item that is stored here.
template <class Promise, class T>
class yield_copy : yield_address<Promise> {
public:
    template <class U>
    explicit yield_copy(U&& from) : item_(std::forward<U>(from)) {}
    yield_copy(const yield_copy&) = delete;
    yield_copy& operator=(const yield_copy&) = delete;

    using yield_address<Promise>::await_ready;
    using yield_address<Promise>::await_resume;
    void await_suspend(std::coroutine_handle<Promise> self) noexcept {
        self.promise().item = std::addressof(item_);
        yield_address<Promise>::await_suspend(self);
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

/// The part of a generator's promise that takes the yielded items. Promise: the whole promise.
template <class Promise, class T>
struct yielding_promise {
    std::add_pointer_t<T> item = nullptr;

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
            return yield_address<Promise>();
        } else {
            return yield_copy<Promise, T>(std::forward<U>(value));
        }
    }
    yield_address<Promise> yield_value(named_item<std::remove_reference_t<T>> named) noexcept {
        item = named.object;
        return {};
    }
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
