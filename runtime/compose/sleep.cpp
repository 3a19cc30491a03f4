// SPDX-License-Identifier: MIT
// Sleeps and timeouts: timers whose nodes live in the waiting frame.
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

sleep_awaiter::sleep_awaiter(duration::rep time) noexcept
    : leaf_wait(sleep_kind::kind), timer_node(sleep_kind::due) {
    before_parking = time;
}

// The timer is still set only if the frame is destroyed during the sleep.
sleep_awaiter::~sleep_awaiter() {
    if (is_set()) cancel_timer(*task->home, *this);
}

bool sleep_awaiter::is_due() const noexcept {
    return before_parking > 0 &&
           time_point(duration(before_parking)) <= detail::now(*here.current->home);
}

void sleep_awaiter::await_suspend(std::coroutine_handle<> frame, location at) {
    const duration::rep time = before_parking;
    park(*this, frame, at);
    if (time == 0) return run_others_first();
    resumer& home = *task->home;
    const time_point now = detail::now(home);
    const time_point when =
        time > 0 ? time_point(duration(time)) : saturating_add(now, duration(-time));
    if (when <= now) return run_others_first();
    try {
        set_timer(home, *this, when);
    } catch (...) {
        task->wait = nullptr;
        throw;
    }
}

void sleep_awaiter::run_others_first() noexcept {
    if (is_refused())
        requeue(*this);
    else
        detail::wake(static_cast<leaf_wait&>(*this));
}

time_point deadline_after(duration delay) {
    return saturating_add(now(running()), delay);
}

}  // namespace detail

timeout_scope::timeout_scope(time_point when)
    : timed_scope(when), timer_node(timeout_scope::expire) {
    arm();
}

timeout_scope::~timeout_scope() { detail::cancel_timer(*owner().home, *this); }

void timeout_scope::reschedule(time_point when) {
    if (expired_) return;
    detail::cancel_timer(*owner().home, *this);
    deadline = when;
    arm();
}

void timeout_scope::arm() {
    detail::resumer& home = *owner().home;
    if (deadline <= detail::now(home))
        expire(*this);
    else if (deadline != time_point::max())
        detail::set_timer(home, *this, deadline);
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
    view.requested_ = self->cancel_requested();
    view.deadline_ = detail::deadline_of(*self->innermost);
    if (view.deadline_ != time_point::max())
        view.remaining_ = std::max(duration::zero(), view.deadline_ - detail::now(*self->home));
    return view;
}

duration remaining() { return current_scope().remaining(); }

}  // namespace v0
}  // namespace rondo
