// SPDX-License-Identifier: MIT
// What a function that keeps a callable returns, so that g++ 12 does not destroy an owning closure twice: the task
// itself, or, for a closure that may be such a temporary, a task that is awaited by name only (docs/gcc12.md).
#pragma once

#include <type_traits>
#include <utility>

#include <rondo/detail/coroutine/gcc12.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// A task whose callable may have been a temporary that owns something: `auto t = f([s] { ... }); co_await t;`.
template <class T>
class [[nodiscard("a task that is neither awaited nor handed to the loop never runs")]] guarded_task {
public:
    using value_type = T;

    guarded_task(task<T> inner) noexcept : inner_(std::move(inner)) {}
    /// create_task, gather and the like take it as the task that it is.
    operator task<T>() && noexcept { return std::move(inner_); }

    task_awaiter<T> rondo_awaiter() & noexcept { return task_awaiter<T>(&inner_.release()); }

    template <class Never = void>
    task_awaiter<T> rondo_awaiter() && noexcept {
        static_assert(!std::is_void_v<Never>,
                      "g++ 12 destroys a temporary closure that owns something twice inside a co_await: name what the "
                      "function returns on a line of its own and co_await that name, or pass a captureless lambda and "
                      "arguments (docs/gcc12.md)");
        return task_awaiter<T>(nullptr);
    }

private:
    task<T> inner_;
};

/// `t` as what a function returns that was given a callable of deduced type F.
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
