// SPDX-License-Identifier: MIT
// Cancellation: a tree of scopes, level-triggered (trio's model), and lossless.
//
// Every task has a scope. Timeouts, gather, task groups and shields open further scopes inside it.
// A scope is a child of the scope that opened it. The scope of a child task is below the scope that
// started it; the scope of a detached task is below the loop's. So the tree is also the list of all
// tasks.
//
// `cancel(scope)` sets the flag `reached` on the scope and on everything below it that is not
// shielded. It then requests each task that is suspended there to leave its wait. The request is
// made once, but the flag stays: every later leaf wait under it throws too, even one that would not
// have suspended. So a request can be neither lost nor swallowed. Delivery costs one flag test at
// each leaf wait, and nothing at an await of a task.
//
// A cancelled wait ends only when nothing can touch its frame any more (law 1): a timer or a queue
// lets go at once, an operation with its completion. If the completion carries a result, the result
// is delivered (law 2) and the next wait throws.
#pragma once

#include <cstdint>

#include <rondo/config.hpp>
#include <rondo/detail/base/intrusive_list.hpp>
#include <rondo/detail/base/location.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

struct task_record;
struct shared_core;

/// One scope of the tree: links and flags only. It lives in a task_record or in a coroutine frame.
struct scope {
    enum flags_t : std::uint32_t {
        cancelled = 1 << 0,       ///< this scope itself was cancelled; never cleared
        reached = 1 << 1,         ///< cancelled, or a parent is with no shield between
        shielded = 1 << 2,        ///< requests from above stop here
        of_task = 1 << 3,         ///< the scope of a task: a task_record
        of_loop = 1 << 4,         ///< the scope of a loop: the root of the tree
        named = 1 << 5,           ///< with of_task: its origin is a task_name
        timed = 1 << 6,           ///< a timed_scope
        of_binding = 1 << 7,      ///< a binding_scope of a task_local
        of_context = 1 << 8,      ///< bindings that a detached task copied: below the loop's scope
        under_bindings = 1 << 9,  ///< this scope or a parent is of_binding or of_context
        of_children = 1 << 10,    ///< a listening_scope: the children of a group
        of_job = 1 << 11,         ///< of a coroutine that a job runs by block_on: below its waiter
        of_race = 1 << 12,        ///< of the children of a race; cancelled as soon as it is decided
        inherited = reached | under_bindings,
    };

    scope* parent;
    list_links<scope> siblings;
    intrusive_list<scope, &scope::siblings> children;
    std::uint32_t flags;
    std::uint32_t line;  // where the task was created; here it costs the frame no padding

    bool is_reached() const noexcept { return (flags & reached) != 0; }
    bool is_cancelled() const noexcept { return (flags & cancelled) != 0; }

    void add_child(scope& child) noexcept {
        child.parent = this;
        children.append(child);
    }
    void remove_child(scope& child) noexcept { children.remove(child); }

    /// For walking the tree. Null if there is none.
    scope* first_child() const noexcept { return children.first(); }
    scope* next_sibling() const noexcept { return siblings.next; }
};

/// Cancels `top` and reaches everything below it that is not shielded. It runs no user code,
/// allocates nothing and does not recurse. Its cost is the number of scopes newly reached.
RONDO_API void cancel(scope& top) noexcept;

/// Returns: the earliest deadline that applies in `s`: of its own and of its parents, up to and
/// including the next shield; time_point::max() if there is none.
RONDO_API time_point deadline_of(const scope& s) noexcept;

/// True if the running task belongs to the losers of a race: what its wait returns now is dropped.
/// A wait that has a result of the kernel must leave it to the next wait for the same thing, and
/// throw `cancelled`. (A cancellation that is no lost race delivers the result: law 2.)
RONDO_API bool has_lost_race() noexcept;

/// A scope that the running task opens inside itself. Scopes close in reverse order, like blocks.
class RONDO_API inner_scope : public scope {
public:
    enum class kind { open, shield };

    explicit inner_scope(kind kind = kind::open) noexcept;
    ~inner_scope();
    inner_scope(const inner_scope&) = delete;
    inner_scope& operator=(const inner_scope&) = delete;

    task_record& owner() const noexcept { return *owner_; }

    /// Whether `cancelled` ends at this scope: it was cancelled itself and no scope around it was.
    bool ends_here() const noexcept { return is_cancelled() && !parent->is_reached(); }

private:
    task_record* owner_;
};

/// A scope with a deadline (flag `timed`).
class timed_scope : public inner_scope {
public:
    explicit timed_scope(time_point when) noexcept : deadline(when) { flags |= timed; }
    time_point deadline;
};

/// A scope that is notified when a task started directly below it ends. The tasks' lists of
/// watchers would not do: one node cannot be linked into several lists.
class listening_scope : public inner_scope {
public:
    using on_end = void (*)(listening_scope&, shared_core&) noexcept;
    explicit listening_scope(on_end notify) noexcept : child_ended(notify) { flags |= of_children; }
    const on_end child_ended;
};

struct leaf_wait;

/// The kind of a wait: one constant for each class of awaiter.
struct wait_kind {
    const char* what;                         ///< for diagnostics: "sleep", "recv", ...
    void (*cancel)(leaf_wait&) noexcept;      ///< ends the wait, now or later, and wakes its task
    const char* (*object)(const leaf_wait&);  ///< describes the object waited for; may be null
    bool foreign = false;                     ///< of another library: cannot be cancelled
};

/// The wait that a task is suspended in, at the end of its chain of awaits. It lives in the
/// awaiting frame. It stores file and line of the co_await, but not the function's name: that would
/// cost 8 bytes in the frame of every waiter.
struct leaf_wait {
    /// A bit of `state`: the wait was cancelled, before it began or while its task was suspended.
    /// It ends by throwing `cancelled`.
    static constexpr std::uint32_t refused = 1;

    const wait_kind* kind;
    union {
        task_record* task = nullptr;
        std::int64_t before_parking;  // free for the awaiter until `park`
    };
    const char* file = nullptr;  // of the co_await
    std::uint32_t line = 0;
    std::uint32_t state = 0;  // `refused`; the other bits are free for the awaiter

    bool is_refused() const noexcept { return (state & refused) != 0; }
    /// For await_ready of a cancelled task: there is no wait. True if it may throw at once.
    /// Otherwise await_suspend must `requeue` the task, and await_resume then throws.
    inline bool cancel_at_start() noexcept;  // task_record.hpp

    constexpr explicit leaf_wait(const wait_kind& k) noexcept : kind(&k) {}
    leaf_wait(const leaf_wait&) = delete;
    leaf_wait& operator=(const leaf_wait&) = delete;
};

}  // namespace detail

/// Returns: whether the running task was asked to stop, so that its next wait throws `cancelled`.
/// False while a shield holds the request back, and outside of tasks.
/// See: asyncio Task.cancelling.
RONDO_API bool cancel_requested() noexcept;

}  // namespace v0
}  // namespace rondo
