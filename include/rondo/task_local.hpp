// SPDX-License-Identifier: MIT
// The counterpart of thread_local for tasks: a value that is visible to everything that a task
// calls and starts, without being passed through every call. The typical use is the number of a
// request in each line of a log.
//
// A value is bound for the time of one call. Awaited tasks, children and detached tasks that run
// inside see it; detached tasks take it with them. It stands in the tree of scopes, where a task
// looks upwards for it: tasks that bind nothing pay nothing.
#pragma once

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <rondo/cancel.hpp>
#include <rondo/detail/coroutine/guarded.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {

/// A value and the address of its task_local. Shared with the detached tasks that took it with
/// them.
class bound_value {
public:
    bound_value(const void* key, std::shared_ptr<const void> value) noexcept
        : key_(key), value_(std::move(value)) {}
    bool is_of(const void* key) const noexcept { return key_ == key; }
    bool has_key_of(const bound_value& other) const noexcept { return key_ == other.key_; }
    const void* get() const noexcept { return value_.get(); }

private:
    const void* key_;
    std::shared_ptr<const void> value_;
};

/// The scope of one binding; it lives in the frame of `with`.
class RONDO_API binding_scope : inner_scope {
public:
    explicit binding_scope(bound_value value) noexcept;

private:
    friend struct bindings;
    bound_value value_;
};

/// The innermost value of `key` around the running task, or the one that the job of this thread has
/// taken along; null if there is none.
RONDO_API const void* find_bound(const void* key) noexcept;

/// The values around the running task, or those of the job of this thread, for a job on another
/// thread. Null if there are none. The caller drops them with drop_bindings.
class carried_bindings;
RONDO_API const carried_bindings* carry_bindings();
RONDO_API void drop_bindings(const carried_bindings* bindings) noexcept;

/// Makes `bindings` visible on this thread, outside of tasks, while this object lives.
class RONDO_API bindings_here {
public:
    explicit bindings_here(const carried_bindings* bindings) noexcept;
    ~bindings_here();
    bindings_here(const bindings_here&) = delete;
    bindings_here& operator=(const bindings_here&) = delete;

private:
    const carried_bindings* before_;
};

template <class F, class... Args>
auto run_bound(bound_value value, F fn, Args... args) -> std::invoke_result_t<F&, Args...> {
    const binding_scope scope(std::move(value));
    co_return co_await fn(std::move(args)...);
}

}  // namespace detail

/// A value of the running task and of tasks that it started. Make it a global, or let it outlive
/// its uses.
/// Thread: any; the object itself is never written.
/// See:    contextvars.ContextVar, tokio::task_local, threading.local.
template <class T>
class task_local {
public:
    task_local() noexcept = default;
    /// `otherwise` is the value of get() if nothing is bound.
    explicit task_local(T otherwise) : otherwise_(std::move(otherwise)) {}
    task_local(const task_local&) = delete;
    task_local& operator=(const task_local&) = delete;

    /// Calls `fn(args...)`, which must return a task, and gives its result. Until it has ended,
    /// get() inside gives `value`, also in tasks that are started there, and in those that outlive
    /// it. A child of a group that was opened outside does not see it.
    /// Cancel: cancels the task inside.
    /// See:    contextvars.Context.run.
    template <class F, class... Args>
        requires std::is_invocable_v<F&, Args...>
    auto with(T value, F&& fn, Args... args) const {
        return detail::guarded<F>(detail::run_bound<std::decay_t<F>, Args...>(
            detail::bound_value(this, std::make_shared<const T>(std::move(value))),
            std::forward<F>(fn), std::move(args)...));
    }

    /// The innermost bound value, or the constructor's.
    /// Throws: invalid_state_error if there is neither.
    const T& get() const {
        if (const T* bound = find()) return *bound;
        if (!otherwise_)
            throw invalid_state_error("this task_local is not bound here and has no default");
        return *otherwise_;
    }

    /// The innermost bound value, or null; also outside of any task.
    const T* find() const noexcept { return static_cast<const T*>(detail::find_bound(this)); }

private:
    std::optional<T> otherwise_;
};

}  // namespace v0
}  // namespace rondo
