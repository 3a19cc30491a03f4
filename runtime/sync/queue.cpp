// SPDX-License-Identifier: MIT
// The rare paths of a queue: leaving a line, cancelling, closing, joining.
#include <rondo/detail/sync/queue_core.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

queue_core::~queue_core() {
    RONDO_ASSERT(getters_.empty() && putters_.empty() && joiners_.empty(),
                 "a queue was destroyed while tasks wait in it");
    RONDO_ASSERT(claims_ == 0 && grants_ == 0,
                 "a queue was destroyed before a woken task took its item or its place");
}

void queue_core::end_all(wait_list& line) noexcept {
    while (!line.empty()) first_of(line).wake_with(queue_outcome::ended);
}

void queue_core::close() noexcept {
    closed_ = true;
    end_all(putters_);
    if (stored_ == 0) end_all(getters_);
}

// Getters that were promised an item find none when they resume.
void queue_core::close_and_forget() noexcept {
    unfinished_ -= stored_ < unfinished_ ? stored_ : unfinished_;
    stored_ = 0;
    close();
    if (unfinished_ == 0) end_all(joiners_);
}

void queue_core::finish_one() {
    if (unfinished_ == 0)
        throw invalid_state_error("task_done was called more often than items were put");
    if (--unfinished_ == 0) end_all(joiners_);
}

void queue_core::throw_closed() { throw queue_closed_error(); }

namespace {
void take_out(queue_waiter& waiter, wait_list queue_core::*line) noexcept {
    (waiter.queue->*line).remove(waiter);
    waiter.wake_with(queue_outcome::refused);
}
}  // namespace

constinit const wait_kind queue_getter::kind_{"queue.next", leave, nullptr};
constinit const wait_kind queue_putter::kind_{"queue.put", leave, nullptr};
constinit const wait_kind queue_joiner::kind_{"queue.join", leave, nullptr};

void queue_getter::leave(leaf_wait& wait) noexcept {
    take_out(static_cast<queue_waiter&>(wait), &queue_core::getters_);
}

void queue_putter::leave(leaf_wait& wait) noexcept {
    take_out(static_cast<queue_waiter&>(wait), &queue_core::putters_);
}

bool queue_getter::end() {
    if (outcome() == queue_outcome::promised) queue_->serve_getter();
    if (outcome() != queue_outcome::ended || is_cancelled()) throw cancelled();
    return false;
}

void queue_putter::throw_refusal() {
    if (outcome() == queue_outcome::promised) queue_->serve_putter();
    if (outcome() == queue_outcome::refused || is_cancelled()) throw cancelled();
    queue_core::throw_closed();
}

bool queue_joiner::await_ready() noexcept {
    if (is_cancelled()) return cancel_at_start();
    return queue_->unfinished_ == 0 && may_go_on();
}

void queue_joiner::await_suspend(std::coroutine_handle<> frame, location at) noexcept {
    const bool is_refused = state_ == queue_outcome::refused;
    queue_waiter& self = park_here(kind_, frame, at);
    if (is_refused)
        self.wake_last();
    else if (queue_->unfinished_ == 0)
        self.wake_with(queue_outcome::ended);
    else
        queue_->joiners_.append(self);
}

void queue_joiner::await_resume() {
    if (outcome() == queue_outcome::refused || is_cancelled()) throw cancelled();
}

void queue_joiner::leave(leaf_wait& wait) noexcept {
    take_out(static_cast<queue_waiter&>(wait), &queue_core::joiners_);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
