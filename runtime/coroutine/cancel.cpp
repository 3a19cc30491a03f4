// SPDX-License-Identifier: MIT
// Cancelling a subtree of scopes, and the scopes that a task opens inside itself.
#include <rondo/cancel.hpp>

#include <algorithm>

#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

/// Cancels the wait of the task that is suspended with `s` as its innermost scope, if there is one.
void cancel_wait(scope& s) noexcept {
    if ((s.flags & (scope::of_loop | scope::of_context | scope::of_job)) != 0) return;  // no owner
    task_record& record = (s.flags & scope::of_task) != 0 ? static_cast<task_record&>(s)
                                                         : static_cast<inner_scope&>(s).owner();
    if (record.innermost == &s && record.wait != nullptr) record.wait->kind->cancel(*record.wait);
}

/// Returns: `s` or the first of its later siblings that is neither reached nor shielded.
scope* first_to_reach(scope* s) noexcept {
    while (s != nullptr && (s->flags & (scope::reached | scope::shielded)) != 0)
        s = s->next_sibling();
    return s;
}

}  // namespace

void cancel(scope& top) noexcept {
    top.flags |= scope::cancelled;
    if (top.is_reached()) return;
    for (scope* s = &top;;) {
        s->flags |= scope::reached;
        cancel_wait(*s);
        scope* next = first_to_reach(s->first_child());
        while (next == nullptr && s != &top) {
            next = first_to_reach(s->next_sibling());
            s = s->parent;
        }
        if (next == nullptr) return;
        s = next;
    }
}

time_point deadline_of(const scope& s) noexcept {
    time_point earliest = time_point::max();
    for (const scope* at = &s; at != nullptr; at = at->parent) {
        if ((at->flags & scope::timed) != 0)
            earliest = std::min(earliest, static_cast<const timed_scope&>(*at).deadline);
        if ((at->flags & scope::shielded) != 0) break;
    }
    return earliest;
}

bool has_lost_race() noexcept {
    constexpr std::uint32_t lost = scope::of_race | scope::cancelled;
    if (here.current == nullptr) return false;
    for (const scope* s = here.current->innermost; s != nullptr && s->is_reached(); s = s->parent)
        if ((s->flags & lost) == lost) return true;
    return false;
}

inner_scope::inner_scope(kind kind) noexcept : owner_(here.current) {
    RONDO_ASSERT(owner_ != nullptr, "a timeout, a shield or a task group needs a running task");
    scope* around = owner_->innermost;
    line = 0;
    flags = around->flags & inherited;
    if (kind == kind::shield) flags = shielded | (flags & ~std::uint32_t(reached));
    around->add_child(*this);
    owner_->innermost = this;
}

inner_scope::~inner_scope() {
    RONDO_ASSERT(owner_->innermost == this && children.empty(),
                 "a scope ended before the tasks and scopes inside it");
    parent->remove_child(*this);
    owner_->innermost = parent;
}

}  // namespace detail

bool cancel_requested() noexcept {
    return detail::here.current != nullptr && detail::here.current->cancel_requested();
}

}  // namespace v0
}  // namespace rondo
