// SPDX-License-Identifier: MIT
// Return type of functions that keep a callable, so that g++ 12 does not destroy an owning closure
// twice. It is the task itself or, if the closure may be such a temporary, a task that can only be
// awaited by name (docs/gcc12.md).
#pragma once

#include <type_traits>
#include <utility>

#include <rondo/detail/coroutine/gcc12.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// A task whose callable may have been a temporary that owns something. It is awaited by name:
/// `auto t = f([s] { ... }); co_await t;`.
template <class T>
class [[nodiscard("a task that is neither awaited nor handed to the loop never runs")]]
guarded_task {
public:
    using value_type = T;

    guarded_task(task<T> inner) noexcept : inner_(std::move(inner)) {}
    /// Converts to the task, for create_task, gather and the like.
    operator task<T>() && noexcept { return std::move(inner_); }

    task_awaiter<T> rondo_awaiter() & noexcept { return task_awaiter<T>(&inner_.release()); }

    template <class Never = void>
    task_awaiter<T> rondo_awaiter() && noexcept {
        static_assert(!std::is_void_v<Never>,
                      "g++ 12 destroys a temporary closure that owns something twice inside a "
                      "co_await: name what the function returns on a line of its own and co_await "
                      "that name, or pass a captureless lambda and arguments (docs/gcc12.md)");
        return task_awaiter<T>(nullptr);
    }

private:
    task<T> inner_;
};

/// Wraps `t` for the return of a function whose callable has the deduced type F.
template <class F, class T>
auto guarded(task<T> t) noexcept {
    if constexpr (owning_closure_hazard<F>)
        return guarded_task<T>(std::move(t));
    else
        return t;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
