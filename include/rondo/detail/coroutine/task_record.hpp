// SPDX-License-Identifier: MIT
// The record of a running task, and its leaf waits: how a task suspends and how it becomes ready
// again. All awaiters are written with these functions.
#pragma once

#include <rondo/config.hpp>

#include <coroutine>
#include <exception>

#include <rondo/cancel.hpp>
#include <rondo/detail/base/location.hpp>
#include <rondo/resumer.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// A running task. It lives in the promise of its root frame and is constructed at launch.
struct task_record : ready_item, scope {
    scope* innermost;  // the innermost scope that is open now
    union {
        leaf_wait* wait;           // the wait it is suspended in; null while it runs or is ready
        std::exception_ptr error;  // of a failed frame (shared_core::failed), which waits no more
    };
    resumer* home;       // its loop
    const void* origin;  // the file where it was created (line: scope::line), or its task_name

    task_record() noexcept {}
    ~task_record() {}

    /// Whether its next wait throws. (is_cancelled, of scope, is about the task's own scope alone.)
    bool cancel_requested() const noexcept { return innermost->is_reached(); }
};

/// The origin of a task that has a name. Few tasks have one, so the others carry no word for it.
struct task_name {
    const char* file;
    char text[1];
};

inline const char* name_of(const task_record& record) noexcept {
    return (record.flags & scope::named) != 0 ? static_cast<const task_name*>(record.origin)->text
                                             : nullptr;
}
inline const char* file_of(const task_record& record) noexcept {
    return (record.flags & scope::named) != 0 ? static_cast<const task_name*>(record.origin)->file
                                             : static_cast<const char*>(record.origin);
}

/// Returns: the running task; null outside of tasks.
inline task_record* current_record() noexcept { return here.current; }

// -- leaf waits -----------------------------------------------------------------------------------

/// At the start of a leaf wait: whether the running task was asked to stop.
inline bool is_cancelled() noexcept { return here.current->cancel_requested(); }

/// Whether a wait that is ready, or refused, may go on without suspending. It spends the task's
/// budget: after 128 such waits the task suspends, so that other tasks run.
inline bool may_go_on() noexcept { return --here.budget > 0; }

inline bool leaf_wait::cancel_at_start() noexcept {
    state |= refused;
    return may_go_on();
}

/// Suspends the running task in `wait`, until `wake(wait)`.
inline void park(leaf_wait& wait, std::coroutine_handle<> frame, location where) noexcept {
    task_record* self = here.current;
    wait.task = self;
    wait.file = where.file;
    wait.line = where.line;
    self->point = frame;
    self->wait = &wait;
}

/// Ends the wait: puts its task into the ready queue.
inline void wake(leaf_wait& wait) noexcept {
    task_record& self = *wait.task;
    self.wait = nullptr;
    self.home->push(self);
}

/// Puts a task whose budget is spent, and whose wait is ready or refused, at the end of the ready
/// queue. Until it runs it counts as waiting there, so that a list of the tasks shows the place.
inline void requeue(leaf_wait& wait) noexcept { wait.task->home->push(*wait.task); }

}  // namespace detail
}  // namespace v0
}  // namespace rondo
