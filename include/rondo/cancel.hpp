// SPDX-License-Identifier: MIT
// Cancellation is a tree of scopes, level-triggered (trio's model), and lossless.
//
// Every task has a scope; timeouts, gather, task groups and shields open further ones inside it. A scope hangs below
// the scope that opened it: a child task's below the one that started it, a detached task's below the loop's. So the
// tree is at the same time the list of all tasks.
//
// `cancel(scope)` marks the scope and everything below it that is not shielded as *reached*, and asks each task that is
// suspended there to leave its wait. It asks once; but since the mark stays, every later leaf wait under it throws as
// well, also one that would not have suspended. That is why a request can be neither lost nor swallowed, and why the
// way from request to delivery costs one flag test at each leaf wait and nothing at an await of a task.
//
// A wait that is asked does not end before what it waits for has let go of the frame (law 1): a timer or a queue at once,
// an operation with its completion. What a completion brought is delivered (law 2), and the next wait throws.
#pragma once

#include <cstdint>

#include <rondo/config.hpp>
#include <rondo/detail/base/location.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

struct task_record;
struct shared_core;

/// One scope of the tree. Links and marks only; it lives in a task's record or in a coroutine frame.
struct scope {
    enum bits_t : std::uint32_t {
        cancelled = 1 << 0,  ///< this scope was itself cancelled; never cleared
        reached = 1 << 1,    ///< this scope, or one around it with no shield between, was cancelled
        shielded = 1 << 2,   ///< requests from above stop here
        of_task = 1 << 3,    ///< this is the scope of a task: a task_record
        of_loop = 1 << 4,    ///< this is the scope of a loop: the top of the tree
        named = 1 << 5,      ///< a task's: its origin is a task_name
        timed = 1 << 6,      ///< this is a timed_scope
        of_binding = 1 << 7,      ///< this is a binding_scope of a task_local
        of_context = 1 << 8,      ///< these are the bindings that a detached task took along: below the loop's scope
        under_bindings = 1 << 9,  ///< this scope, or one around it, is one of the two
        of_children = 1 << 10,    ///< this is a listening_scope: the children of a group
        of_job = 1 << 11,         ///< this is a job's that runs a coroutine by block_on, in the task that waits for it
        inherited = reached | under_bindings,
    };

    scope* parent;
    scope* next;      // the next sibling; null at the end
    scope* previous;  // the previous sibling; the first one's is the last
    scope* children;  // the first child
    std::uint32_t flags;
    std::uint32_t line;  // where a task was created; kept here for the sake of the frame's size

    bool is_reached() const noexcept { return (flags & reached) != 0; }
    bool is_cancelled() const noexcept { return (flags & cancelled) != 0; }

    void add_child(scope& child) noexcept {
        child.parent = this;
        child.next = nullptr;
        if (children == nullptr) {
            children = child.previous = &child;
        } else {
            scope* last = children->previous;
            last->next = &child;
            child.previous = last;
            children->previous = &child;
        }
    }

    void remove_child(scope& child) noexcept {
        if (child.next != nullptr)
            child.next->previous = child.previous;
        else
            children->previous = child.previous;
        if (children == &child)
            children = child.next;
        else
            child.previous->next = child.next;
    }
};

/// Cancels `top` and reaches everything below it that no shield holds back. Runs no user code, allocates nothing,
/// walks the tree without recursion: its cost is the number of scopes newly reached.
RONDO_API void cancel(scope& top) noexcept;

/// The earliest deadline that reaches into `s`: its own and those around it, as far as the next
/// shield.
RONDO_API time_point deadline_of(const scope& s) noexcept;

/// A scope that the running task opens inside itself; closed in reverse order, as blocks are.
class RONDO_API inner_scope : public scope {
public:
    enum class kind { open, shield };

    explicit inner_scope(kind kind = kind::open) noexcept;
    ~inner_scope();
    inner_scope(const inner_scope&) = delete;
    inner_scope& operator=(const inner_scope&) = delete;

    task_record& owner() const noexcept { return *owner_; }

    /// On `cancelled`: was it this scope that was asked, and none around it? Then it ends here.
    bool ends_here() const noexcept { return is_cancelled() && !parent->is_reached(); }

private:
    task_record* owner_;
};

/// One with a deadline (`timed`).
class timed_scope : public inner_scope {
public:
    explicit timed_scope(time_point when) noexcept : deadline(when) { flags |= timed; }
    time_point deadline;
};

/// One that hears of the end of each task that was started directly below it. Not by their lists of watchers: a node
/// that stands in several lists at once would tie them together.
class listening_scope : public inner_scope {
public:
    using on_end = void (*)(listening_scope&, shared_core&) noexcept;
    explicit listening_scope(on_end hears) noexcept : child_ended(hears) { flags |= of_children; }
    const on_end child_ended;
};

struct leaf_wait;

/// What kind of wait it is: one constant for each class of awaiter.
struct wait_kind {
    const char* what;                          ///< for diagnostics: "sleep", "recv" ...
    void (*cancel)(leaf_wait&) noexcept;       ///< asks it to leave; it makes its task ready when it has
    const char* (*object)(const leaf_wait&);   ///< what is waited for, in words; may be null
    bool foreign = false;                      ///< cannot be asked: it is in somebody else's hands
};

/// Where a task is suspended, at the end of its chain of awaits; lives in the awaiting frame. Of the place it keeps
/// file and line: the function's name would be 8 bytes more in the frame of everyone who sleeps.
struct leaf_wait {
    const wait_kind* kind;
    union {
        task_record* task = nullptr;
        std::int64_t before_parking;  // until then for the awaiter's own use
    };
    const char* file = nullptr;      // where the co_await stands
    std::uint32_t line = 0;
    std::uint32_t state = 0;         // for the awaiter's own use

    constexpr explicit leaf_wait(const wait_kind& k) noexcept : kind(&k) {}
    leaf_wait(const leaf_wait&) = delete;
    leaf_wait& operator=(const leaf_wait&) = delete;
};

}  // namespace detail

/// Was the running task asked to stop? The next leaf wait will throw `cancelled`. False outside a task.
/// See: asyncio Task.cancelling.
RONDO_API bool cancel_requested() noexcept;

}  // namespace v0
}  // namespace rondo
