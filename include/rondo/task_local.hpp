// SPDX-License-Identifier: MIT
// What a thread_local is for threads: a value that is there for everything a task does, without being handed through
// every call. A request's number in each line of a log is the classic use.
//
// A value is bound for the time of one call, and seen by everything that runs inside: awaited tasks, children, and
// detached tasks, which take it with them. It hangs in the tree of scopes, where a task looks upwards for it: who
// binds nothing pays nothing.
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

/// A value and whose it is. Shared with the detached tasks that took it with them.
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

/// The scope of one binding, in the frame of `with`.
class RONDO_API binding_scope : inner_scope {
public:
    explicit binding_scope(bound_value value) noexcept;

private:
    friend struct bindings;
    bound_value value_;
};

/// The innermost value of `key` around the running task, or of what this thread's job has taken along; null where there
/// is none.
RONDO_API const void* find_bound(const void* key) noexcept;

/// The values around the running task, or those of this thread's job, for a job on another thread. Whoever gets it drops
/// it. Null where there are none.
class carried_bindings;
RONDO_API const carried_bindings* carry_bindings();
RONDO_API void drop_bindings(const carried_bindings* bindings) noexcept;

/// They are there on this thread, outside of tasks, for as long as this lives.
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

/// A value of the running task and of what it started. Make it a global, or let it outlive its uses.
/// Thread: each of its loop's; the object itself is never written.
/// See:    contextvars.ContextVar, tokio::task_local, threading.local.
template <class T>
class task_local {
public:
    task_local() noexcept = default;
    /// `otherwise` is what get() gives where nothing is bound.
    explicit task_local(T otherwise) : otherwise_(std::move(otherwise)) {}
    task_local(const task_local&) = delete;
    task_local& operator=(const task_local&) = delete;

    /// Calls `fn(args...)`, which must give a task, and gives what that gives; until it has ended `value` is what get()
    /// gives inside, also in tasks that are started there, and longer in those that outlive it. A child of a group that
    /// was opened outside belongs to the outside.
    /// Cancel: cancels the task inside.
    template <class F, class... Args>
        requires std::is_invocable_v<F&, Args...>
    auto with(T value, F&& fn, Args... args) const {
        return detail::guarded<F>(detail::run_bound<std::decay_t<F>, Args...>(
            detail::bound_value(this, std::make_shared<const T>(std::move(value))),
            std::forward<F>(fn), std::move(args)...));
    }

    /// The value that is bound innermost, or the one that was given to the constructor.
    /// Throws: invalid_state_error where there is neither.
    const T& get() const {
        if (const T* bound = find()) return *bound;
        if (!otherwise_) throw invalid_state_error("this task_local is not bound here and has no default");
        return *otherwise_;
    }

    /// The value that is bound, or null: also outside of any task.
    const T* find() const noexcept { return static_cast<const T*>(detail::find_bound(this)); }

private:
    std::optional<T> otherwise_;
};

}  // namespace v0
}  // namespace rondo
