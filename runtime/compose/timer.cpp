// SPDX-License-Identifier: MIT
// timer is made of call_later, interval of sleep_until.
#include <rondo/timer.hpp>

#include <stdexcept>
#include <utility>

namespace rondo {
inline namespace v0 {

timer::timer(detail::time_limit delay, detail::function<void()> fn)
    : timer(running_loop(), delay, std::move(fn)) {}

timer::timer(loop& home, detail::time_limit delay, detail::function<void()> fn)
    : home_(&home), delay_(delay),
      fn_(std::make_shared<detail::function<void()>>(std::move(fn))),
      active_(std::make_shared<bool>(false)) {}

timer::~timer() { cancel(); }

void timer::start() {
    if (active()) throw invalid_state_error("this timer is active: reset() starts it again");
    call_ = home_->call_later(delay_, [fn = fn_, active = active_] {
        *active = false;
        (*fn)();
    });
    *active_ = true;
}

void timer::cancel() noexcept {
    call_.cancel();
    *active_ = false;
}

void timer::reset() {
    cancel();
    start();
}

void timer::reset(detail::time_limit delay) {
    delay_ = delay;
    reset();
}

interval::interval(detail::time_limit period, missed_ticks policy)
    : period_(period), policy_(policy) {
    if (period <= duration::zero())
        throw std::invalid_argument("the period of an interval must be greater than zero");
    reset();
}

void interval::reset() { next_ = detail::deadline_after(period_); }

detail::tick_awaiter::tick_awaiter(interval& of) noexcept
    : sleep_awaiter(of.next_.time_since_epoch().count()), interval_(&of) {}

std::uint64_t detail::tick_awaiter::await_resume() {
    sleep_awaiter::await_resume();
    if (is_cancelled() && has_lost_race()) throw cancelled();  // the tick stays due
    return interval_->take(running_loop().time());
}

// The tick at next_ is due, and perhaps further ones after it.
std::uint64_t interval::take(time_point now) noexcept {
    std::uint64_t ticks = 1;
    if (policy_ == missed_ticks::skip && now > next_) {
        const auto missed = (now - next_) / period_;
        ticks += static_cast<std::uint64_t>(missed);
        next_ += missed * period_;
    }
    next_ = saturating_add(policy_ == missed_ticks::delay ? now : next_, period_);
    return ticks;
}

}  // namespace v0
}  // namespace rondo
