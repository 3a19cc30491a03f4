// SPDX-License-Identifier: MIT
// The trampoline, and the end of a task. Inline, since every resumption of a loop passes through
// it.
#pragma once

#include <utility>

#include <rondo/task.hpp>

#include "base/poison.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// Announces the end of a task whose coroutine is gone: first to the group that started it, then to
/// its waiters.
inline void finish_task(task_record& record) noexcept {
    promise_base& frame = promise_base::of(record);
    scope& above = *record.parent;
    const bool in_group = (above.flags & scope::of_children) != 0;
    frame.flags |= shared_core::done;
    leave_tree(record);
    record.home->task_ended();
    if (in_group) {
        auto& group = static_cast<listening_scope&>(above);
        group.child_ended(group, frame);
    }
    frame.finish();
}

// The destructors of parameters are a part of the task, like those of locals: it is the running
// task, it is in the tree and it is not done yet.
inline void promise_base::end_coroutine() noexcept {
    if ((flags & (failed | ending)) == failed) [[unlikely]]
        return end_failed_coroutine();
    flags |= ending;
    here.current = &record;
    handle().destroy();
    here.current = nullptr;
    forbid(static_cast<char*>(frame()) + rest().kept, rest().size - rest().kept);
}

/// Ends a task whose root frame has reached its final suspension point.
inline void end_task(task_record& record) noexcept {
    promise_base& frame = promise_base::of(record);
    RONDO_ASSERT(record.innermost == &record && record.children.empty(),
                 "a task ended before the tasks and scopes inside it");
    frame.end_coroutine();
    finish_task(record);
    release(frame);
}

/// Ends a task that was cancelled before its first turn: its body is never entered.
inline void end_unstarted(task_record& record) noexcept {
    promise_base::of(record).flags |= shared_core::was_cancelled;
    end_task(record);
}

inline void resumer::resume(ready_item& item) noexcept {
    if (!item.point) {
        auto& callback = static_cast<callback_item&>(item);
        return callback.run(callback);
    }
    auto& record = static_cast<task_record&>(item);
    if (record.wait != nullptr) [[unlikely]] {  // it has not begun yet, or was requeued
        const bool begins = std::exchange(record.wait, nullptr) == &not_begun;
        if (begins && record.is_reached()) return end_unstarted(record);
    }
    here.current = &record;
    here.budget = budget;
    for (std::coroutine_handle<> next = record.point; next;) {
        here.next = nullptr;
        next.resume();
        next = here.next;
        if (next && --here.budget <= 0) [[unlikely]] {
            record.point = next;
            push(record);
            break;
        }
    }
    if (here.ended != nullptr) return end_task(*std::exchange(here.ended, nullptr));
    here.current = nullptr;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
