// SPDX-License-Identifier: MIT
// The end of child tasks: counts them, cancels the others, and sorts their errors.
#include <rondo/detail/compose/children.hpp>

#include <rondo/loop.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

struct children_kinds {
    // A cancellation reaches the children by the tree, and their end ends the wait.
    static void reached_by_the_tree(leaf_wait&) noexcept {}
    static void leave(leaf_wait& wait) noexcept {
        auto& self = static_cast<children_awaiter&>(wait);
        self.group_->waiter_ = nullptr;
        self.state = children_awaiter::refused;
        detail::wake(wait);
    }
    static constexpr wait_kind ended{"the end of its children", reached_by_the_tree, nullptr};
    static constexpr wait_kind next_end{"the next end of a child", leave, nullptr};
};

namespace {
promise_base& frame_of(ready_item& failed) noexcept {
    return promise_base::of(static_cast<task_record&>(failed));
}
}  // namespace

children::children(const char* what, others policy) noexcept
    : listening_scope([](listening_scope& self, shared_core& core) noexcept {
          static_cast<children&>(self).child_ended(core);
      }),
      what_(what), policy_(policy) {
    if (policy >= others::end_on_value) flags |= of_race;
}

children::~children() {
    while (!failed_.empty()) release(frame_of(failed_.pop()));
}

void children::child_ended(shared_core& core) noexcept {
    --running_;
    if ((core.flags & shared_core::valued) == 0) [[unlikely]]
        ended_without_value(static_cast<promise_base&>(core));
    else if (may_win())
        won(core);
    if (waiter_ != nullptr && running_ < waiter_->limit_)
        wake(*std::exchange(waiter_, nullptr));
}

/// Whether a value that comes now decides the race. With end_on_end an error would have decided it.
bool children::may_win() const noexcept {
    if (policy_ < others::end_on_value || winner_ != nullptr) return false;
    return policy_ == others::end_on_value || (failed_.empty() && !own_error_ && !by_itself_);
}

/// A `cancelled` that leaves a child that was not cancelled counts as an error.
void children::ended_without_value(promise_base& frame) noexcept {
    const bool cancelled = (frame.flags & shared_core::was_cancelled) != 0;
    const bool threw = (frame.flags & shared_core::failed) != 0;
    const bool failed = threw && !(cancelled && frame.record.is_reached());
    const bool by_itself = !failed && (frame.record.is_cancelled() || !is_reached());
    if (failed) add_failed(frame);
    if (by_itself) by_itself_ = true;
    if (by_itself && policy_ == others::end_on_failure) return;
    incomplete_ = true;
    if (policy_ != others::go_on && policy_ != others::end_on_value)
        if (failed || by_itself) cancel();
}

/// Errors of children that failed before the winner are dropped; errors of later ones are reported.
void children::won(const shared_core& core) noexcept {
    winner_ = &core;
    for (ready_item* each = failed_.first(); each != nullptr; each = failed_.next(*each))
        frame_of(*each).flags |= shared_core::seen;
    cancel();
}

void children::add_failed(promise_base& frame) noexcept {
    ++frame.holders;
    failed_.append(frame.record);
}

void children::fail(std::exception_ptr error) noexcept {
    incomplete_ = true;
    if (!own_error_) {
        own_error_ = std::move(error);
        own_first_ = failed_.empty();
    }
    cancel();
}

void children::stopped() noexcept {
    if (!is_reached()) return fail(std::current_exception());
    incomplete_ = true;
}

std::vector<std::exception_ptr> children::errors() const {
    std::vector<std::exception_ptr> all;
    if (own_first_) all.push_back(own_error_);
    for (ready_item* each = failed_.first(); each != nullptr; each = failed_.next(*each))
        all.push_back(frame_of(*each).error());
    if (own_error_ && !own_first_) all.push_back(own_error_);
    return all;
}

void children::report_further(const std::exception_ptr& first) noexcept {
    const std::string text =
        std::string("a further error in ") + what_ + "; the first one was: " + what_of(first);
    ready_item* each = failed_.first();
    if (!own_first_) each = failed_.next(*each);
    for (; each != nullptr; each = failed_.next(*each))
        running_loop().call_exception_handler({text, error_of(frame_of(*each))});
    if (own_error_ && !own_first_) running_loop().call_exception_handler({text, own_error_});
}

void children::rethrow() {
    if (failed_.empty() && !own_error_) {
        if (by_itself_ && !parent->is_reached())
            throw future_cancelled("a child task was cancelled by itself");
        throw rondo::cancelled();
    }
    const std::exception_ptr first =
        own_first_ ? own_error_ : error_of(frame_of(failed_.front()));
    report_further(first);
    std::rethrow_exception(first);
}

void children::throw_all_errors() {
    std::vector<std::exception_ptr> all = errors();
    if (all.empty()) return;
    for (ready_item* each = failed_.first(); each != nullptr; each = failed_.next(*each))
        frame_of(*each).flags |= shared_core::seen;
    throw group_error(what_, std::move(all));
}

void children::rethrow_but_own_cancel() {
    if (!failed_.empty() || own_error_ || (incomplete_ && parent->is_reached())) rethrow();
}

children_awaiter::children_awaiter(children& group, std::size_t limit, on_request what) noexcept
    : leaf_wait(what == on_request::leave ? children_kinds::next_end : children_kinds::ended),
      group_(&group), limit_(limit) {}

bool children_awaiter::await_ready() noexcept {
    if (kind == &children_kinds::next_end && is_cancelled()) return cancel_at_start();
    return group_->running_ < limit_;
}

void children_awaiter::await_suspend(std::coroutine_handle<> frame, location at) noexcept {
    park(*this, frame, at);
    if (is_refused()) return requeue(*this);
    group_->waiter_ = this;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
