// SPDX-License-Identifier: MIT
// Parking tasks, choosing waiters, and passing a choice on (law 3).
#include <rondo/wait_queue.hpp>

#include <exception>

namespace rondo {
inline namespace v0 {
namespace detail {

void fail_never_awaited() noexcept {
    RONDO_ASSERT(std::uncaught_exceptions() > 0,
                 "a lock, an acquire or another wait was never awaited: write co_await before it");
}

namespace {
constexpr wait_kind plain = wait_queue::kind("a wait queue");

void choose_next(void* queue) noexcept { static_cast<wait_queue*>(queue)->unpark_one(); }
}  // namespace

void queue_wait::await_suspend(std::coroutine_handle<> frame, location at) noexcept {
    park(*this, frame, at);
    if ((state & (chosen | refused)) != 0)
        run_others_first();
    else
        stand_in_line(*queue_);
}

void queue_wait::run_others_first() noexcept {
    if (is_refused())
        requeue(*this);
    else
        detail::wake(static_cast<leaf_wait&>(*this));
}

void queue_wait::stand_in_line(wait_queue& queue) noexcept {
    queue_ = &queue;
    queue.waiters_.append(*this);
    ++queue.size_;
}

void queue_wait::step_out() noexcept {
    queue_->waiters_.remove(*this);
    --queue_->size_;
}

void queue_wait::leave(leaf_wait& wait) noexcept {
    auto& self = static_cast<queue_wait&>(wait);
    self.step_out();
    self.state |= refused;
    detail::wake(wait);
}

void queue_wait::choose(wait_node& node, shared_core*) noexcept {
    auto& self = static_cast<queue_wait&>(node);
    self.state |= chosen;
    detail::wake(static_cast<leaf_wait&>(self));
}

}  // namespace detail

wait_queue::~wait_queue() {
    RONDO_ASSERT(waiters_.empty(), "a wait queue was destroyed while tasks wait in it");
}

detail::parking_awaitable wait_queue::park() noexcept {
    return {detail::plain, *this, detail::choose_next, this};
}

detail::parking_awaitable wait_queue::park(const detail::wait_kind& kind,
                                           void (*on_pass)(void*) noexcept,
                                           void* context) noexcept {
    return {kind, *this, on_pass, context};
}

bool wait_queue::unpark_one() noexcept {
    if (waiters_.empty()) return false;
    detail::wait_node& node = waiters_.pop();
    --size_;
    node.wake(node, nullptr);
    return true;
}

std::size_t wait_queue::unpark_all() noexcept {
    std::size_t chosen = 0;
    while (unpark_one()) ++chosen;
    return chosen;
}

}  // namespace v0
}  // namespace rondo
