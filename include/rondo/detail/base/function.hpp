// SPDX-License-Identifier: MIT
// A stored callable, like std::move_only_function, which libstdc++ 12 does not have. A callable of
// up to three pointers is stored in place, a larger one on the heap. Moving never throws, so that
// it can be in queues that must not fail. std::function is not used: it requires copyable
// callables, and <functional> is slow to parse.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <rondo/config.hpp>
#include <rondo/detail/base/assert.hpp>

namespace rondo {
inline namespace v0 {

template <class T>
class task;

namespace detail {

template <class Signature>
class function;

/// R is a task: the callable is a coroutine, which would never run if called as a plain function.
template <class R>
inline constexpr bool is_dropped_task = false;
template <class T>
inline constexpr bool is_dropped_task<task<T>> = true;

template <class R, class... Args>
class function<R(Args...)> {
public:
    function() noexcept = default;
    function(std::nullptr_t) noexcept {}

    template <class F>
        requires(!std::is_same_v<std::remove_cvref_t<F>, function> &&
                 std::is_invocable_r_v<R, std::decay_t<F>&, Args...>)
    function(F&& callable) {
        using held = std::decay_t<F>;
        static_assert(!std::is_void_v<R> || !is_dropped_task<std::invoke_result_t<held&, Args...>>,
                      "a callback is a plain function; this is a coroutine, which would never run: "
                      "let the callback pass it to create_task");
        if constexpr (fits<held>) {
            ::new (static_cast<void*>(storage_)) held(std::forward<F>(callable));
            if constexpr (!trivial<held>) manage_ = manage_in_place<held>;
            call_ = call_in_place<held>;
        } else {
            auto owned = std::make_unique<held>(std::forward<F>(callable));
            ::new (static_cast<void*>(storage_)) address<held>(owned.release());
            manage_ = manage_on_heap<held>;
            call_ = call_on_heap<held>;
        }
    }

    function(function&& other) noexcept { take(other); }
    function& operator=(function&& other) noexcept {
        if (this == &other) return *this;
        reset();
        take(other);
        return *this;
    }
    ~function() { reset(); }

    R operator()(Args... args) {
        RONDO_ASSERT(call_ != nullptr, "an empty function was called");
        return call_(storage_, std::forward<Args>(args)...);
    }
    explicit operator bool() const noexcept { return call_ != nullptr; }

    /// Destroys the callable; the function is empty afterwards.
    void reset() noexcept {
        auto manage = std::exchange(manage_, nullptr);
        call_ = nullptr;
        if (manage != nullptr) manage(storage_, nullptr);
    }

private:
    static constexpr std::size_t capacity = 3 * sizeof(void*);

    template <class F>
    static constexpr bool fits = sizeof(F) <= capacity && alignof(F) <= alignof(void*) &&
                                 std::is_nothrow_move_constructible_v<F>;
    template <class F>
    static constexpr bool trivial =
        std::is_trivially_copyable_v<F> && std::is_trivially_destructible_v<F>;

    template <class F>
    using address = F*;

    template <class F>
    static F& in_place(void* storage) noexcept {
        return *std::launder(static_cast<F*>(storage));
    }

    template <class F>
    static R call_in_place(void* storage, Args&&... args) {
        return static_cast<R>(in_place<F>(storage)(std::forward<Args>(args)...));
    }
    template <class F>
    static R call_on_heap(void* storage, Args&&... args) {
        return static_cast<R>((*in_place<address<F>>(storage))(std::forward<Args>(args)...));
    }

    // Moves the callable to `to`, which holds none, and destroys it here. If `to` is null, only
    // destroys it.
    template <class F>
    static void manage_in_place(void* storage, void* to) noexcept {
        F& callable = in_place<F>(storage);
        if (to != nullptr) ::new (to) F(std::move(callable));
        callable.~F();
    }
    template <class F>
    static void manage_on_heap(void* storage, void* to) noexcept {
        if (to != nullptr)
            ::new (to) address<F>(in_place<address<F>>(storage));
        else
            delete in_place<address<F>>(storage);
    }

    void take(function& other) noexcept {
        call_ = std::exchange(other.call_, nullptr);
        manage_ = std::exchange(other.manage_, nullptr);
        if (manage_ != nullptr)
            manage_(other.storage_, storage_);
        else
            std::memcpy(storage_, other.storage_, capacity);
    }

    R (*call_)(void*, Args&&...) = nullptr;
    void (*manage_)(void*, void*) noexcept = nullptr;  // null if a move copies the bytes
    alignas(void*) unsigned char storage_[capacity];
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
