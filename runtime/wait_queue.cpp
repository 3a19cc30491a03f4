// SPDX-License-Identifier: MIT
// Parking a task for another task, and handing a choice on (law 3).
#include <rondo/wait_queue.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {
constexpr wait_kind plain = wait_queue::kind("a wait queue");

void choose_next(void* queue) noexcept { static_cast<wait_queue*>(queue)->unpark_one(); }
}  // namespace

parking::parking(const wait_kind& kind, wait_queue& queue, void (*pass)(void*) noexcept,
                 void* context) noexcept
    : leaf_wait(kind), queue_(&queue), pass_(pass), context_(context) {
    wait_node::wake = choose;
}

// Only a frame that is destroyed while it waits gets here linked: one abandoned at its loop's end.
parking::~parking() {
    if (linked()) {
        queue_->waiters_.remove(*this);
        --queue_->size_;
    }
}

bool parking::await_ready() noexcept {
    if (asked()) state |= refused;
    return (state & refused) != 0;
}

void parking::await_suspend(std::coroutine_handle<> frame, location at) noexcept {
    park(*this, frame, at);
    queue_->waiters_.append(*this);
    ++queue_->size_;
}

void parking::await_resume() {
    if ((state & chosen) != 0 && asked()) {
        pass_on();
        throw cancelled();
    }
    if ((state & refused) != 0) throw cancelled();
}

void parking::pass_on() noexcept {
    state &= ~std::uint32_t(chosen);
    pass_(context_);
}

void parking::leave(leaf_wait& wait) noexcept {
    auto& self = static_cast<parking&>(wait);
    self.queue_->waiters_.remove(self);
    --self.queue_->size_;
    self.state |= refused;
    detail::wake(wait);
}

void parking::choose(wait_node& node, shared_core*) noexcept {
    auto& self = static_cast<parking&>(node);
    self.state |= chosen;
    detail::wake(static_cast<leaf_wait&>(self));
}

void parking_kind::leave(leaf_wait& wait) noexcept { parking::leave(wait); }

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
