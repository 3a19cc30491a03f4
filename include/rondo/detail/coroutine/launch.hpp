// SPDX-License-Identifier: MIT
// Starting and ending a task of its own: a frame becomes a running task in the tree of scopes, and
// leaves the tree at its end.
#pragma once

#include <rondo/config.hpp>

#include <cstddef>
#include <memory>
#include <new>

#include <rondo/cancel.hpp>
#include <rondo/detail/base/location.hpp>
#include <rondo/detail/coroutine/task_promise.hpp>
#include <rondo/detail/coroutine/task_record.hpp>
#include <rondo/resumer.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// The wait that every task is in before its first turn. All tasks share it; it is never written.
extern RONDO_API constinit leaf_wait not_begun;

/// The origin of a task with a name; freed with its frame. Throws: std::bad_alloc.
RONDO_API task_name* make_name(const char* file, const char* name, std::size_t size);
struct free_name {
    void operator()(task_name* name) const noexcept { ::operator delete(name); }
};
using owned_name = std::unique_ptr<task_name, free_name>;

/// Makes a running task of a frame that has not been entered, as a child of scope `under`. The loop
/// holds it until it has ended.
inline task_record& prepare(promise_base& frame, resumer& home, scope& under, location where,
                            const task_name* name = nullptr) noexcept {
    frame.use_watchers();
    frame.holders = 1;
    frame.flags |= shared_core::root;
    task_record& record = *::new (static_cast<void*>(&frame.record)) task_record;
    record.point = frame.handle();
    record.flags = scope::of_task | (under.flags & scope::inherited);
    record.line = where.line;
    record.innermost = &record;
    record.wait = &not_begun;
    record.home = &home;
    record.origin = where.file;
    if (name != nullptr) [[unlikely]] {
        record.origin = name;
        record.flags |= scope::named;
        frame.flags |= shared_core::named;
    }
    under.add_child(record);
    home.task_began();
    return record;
}

/// Copies the task_local bindings of the running task for a detached task that it starts.
/// Returns: a new scope below `top` that has them.
RONDO_API scope& copy_bindings(scope& top);
/// Removes a scope that no task owns (of bindings, or of a job) from the tree and deletes it.
RONDO_API void remove_ownerless(scope& s) noexcept;

/// Removes a task that has ended from the tree. If it was the last child of a scope that no task
/// owns, removes that scope too.
inline void leave_tree(task_record& record) noexcept {
    scope& above = *record.parent;
    above.remove_child(record);
    const bool is_ownerless = (above.flags & (scope::of_context | scope::of_job)) != 0;
    if (is_ownerless && above.children.empty()) [[unlikely]]
        remove_ownerless(above);
}

/// Makes a running task of the frame and puts it into the ready queue.
inline void launch(promise_base& frame, resumer& home, scope& under, location where,
                   const task_name* name = nullptr) noexcept {
    home.push(prepare(frame, home, under, where, name));
}

/// Drops one holder of a task that has ended. The last one destroys the outcome and frees the
/// frame.
inline void release(promise_base& frame) noexcept {
    if (--frame.holders == 0) frame.drop();
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
