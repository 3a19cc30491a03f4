// SPDX-License-Identifier: MIT
// Sleeping and timeouts: timers whose nodes live in the waiting frame.
#include <rondo/sleep.hpp>

#include <algorithm>

namespace rondo {
inline namespace v0 {
namespace detail {

struct sleep_kind {
    static void leave(leaf_wait& wait) noexcept {
        auto& self = static_cast<sleep_awaiter&>(wait);
        cancel_timer(*self.task->home, self);
        self.state = sleep_awaiter::refused;
        detail::wake(wait);
    }
    static void due(timer_node& node) noexcept {
        detail::wake(static_cast<leaf_wait&>(static_cast<sleep_awaiter&>(node)));
    }
    static constexpr wait_kind kind{"sleep", leave, nullptr};
};

sleep_awaiter::sleep_awaiter(time_point when) noexcept
    : leaf_wait(sleep_kind::kind), timer_node(sleep_kind::due) {
    before_parking = when.time_since_epoch().count();
}

// Only a frame that is destroyed while it sleeps gets here with its timer set.
sleep_awaiter::~sleep_awaiter() {
    if (is_set()) cancel_timer(*task->home, *this);
}

void sleep_awaiter::await_suspend(std::coroutine_handle<> frame, location at) {
    const time_point when{duration(before_parking)};
    park(*this, frame, at);
    if (when == time_point::min()) return detail::wake(static_cast<leaf_wait&>(*this));
    try {
        set_timer(*task->home, *this, when);
    } catch (...) {
        task->wait = nullptr;
        throw;
    }
}

time_point deadline_after(duration delay) {
    return saturating_add(now(running()), delay);
}

}  // namespace detail

sleeping detail::sleep_for(duration delay) {
    return sleeping(delay <= duration::zero() ? time_point::min() : deadline_after(delay));
}

sleeping sleep_until(time_point when) {
    return sleeping(when <= detail::now(detail::running()) ? time_point::min() : when);
}

timeout_scope::timeout_scope(time_point deadline)
    : timer_node(timeout_scope::expire), deadline_(deadline) {
    bits |= timed;
    arm();
}

timeout_scope::~timeout_scope() { detail::cancel_timer(*owner().home, *this); }

void timeout_scope::reschedule(time_point deadline) {
    if (expired_) throw invalid_state_error("a timeout that has expired cannot be moved");
    detail::cancel_timer(*owner().home, *this);
    deadline_ = deadline;
    arm();
}

void timeout_scope::arm() {
    detail::resumer& home = *owner().home;
    if (deadline_ <= detail::now(home))
        expire(*this);
    else if (deadline_ != time_point::max())
        detail::set_timer(home, *this, deadline_);
}

void timeout_scope::expire(timer_node& node) noexcept {
    auto& self = static_cast<timeout_scope&>(node);
    self.expired_ = true;
    detail::cancel(self);
}

scope_view current_scope() {
    const detail::task_record* self = detail::current_record();
    if (self == nullptr) throw no_running_loop_error("there is no running task");
    scope_view view;
    view.requested_ = self->asked();
    for (const detail::scope* s = self->innermost; s != nullptr; s = s->parent) {
        if ((s->bits & detail::scope::timed) != 0)
            view.deadline_ = std::min(view.deadline_, static_cast<const timeout_scope&>(*s).when());
        if ((s->bits & detail::scope::shielded) != 0) break;
    }
    if (view.deadline_ != time_point::max())
        view.remaining_ = std::max(duration::zero(), view.deadline_ - detail::now(*self->home));
    return view;
}

duration remaining() { return current_scope().remaining(); }

}  // namespace v0
}  // namespace rondo
