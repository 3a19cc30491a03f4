// SPDX-License-Identifier: MIT
// A call on another loop: the post that begins it, the post that cancels it, and the way home.
//
// A loop that has accepted a post runs it, even if the loop is ending (run_what_is_left,
// leave.cpp). So a call that could be posted always comes home. The home loop cannot end while a
// task of its own waits here, so the way home is always open.
#include <rondo/on.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

constinit const wait_kind far_wait::kind_{"on", leave, nullptr};

far_wait::far_wait(remote there, const call_kind& call) noexcept
    : posted_wait(kind_),
      call_(&call),
      there_(std::move(there)),
      begin_{begin, this},
      cancel_{cancel_there, this} {
    wait_node::wake = task_ended;
}

far_wait::~far_wait() {
    RONDO_ASSERT(references_.load(std::memory_order_relaxed) == 0,
                 "a frame was destroyed while a call of its on() runs on another loop");
    drop_bindings(bindings_);
}

void far_wait::await_suspend(std::coroutine_handle<> frame, location at) {
    if (state != 0) {  // refused
        park(*this, frame, at);
        return requeue(*this);
    }
    bindings_ = carry_bindings();
    park(*this, frame, at);
    set_home();
    references_.store(1, std::memory_order_relaxed);
    if (there_.try_post(begin_)) return;
    references_.store(0, std::memory_order_relaxed);
    state |= loop_ended;
    resume_here();
}

// -- on the other loop's thread -------------------------------------------------------------------

void far_wait::begin(void* word) noexcept {
    auto& self = *static_cast<far_wait*>(word);
    self.note_end_of_loop();
    // If more than one reference exists, the caller was cancelled: the cancel post follows in the
    // same inbox.
    if (self.there_ended_ || self.references_.load(std::memory_order_relaxed) != 1)
        return self.ended();
    const bindings_here bound(self.bindings_);
    self.call_->make(self);
}

void far_wait::note_end_of_loop() noexcept {
    if (here.turn->top().is_reached()) there_ended_ = true;
}

void far_wait::launch(rondo::task<> call) {
    resumer& loop = *here.turn;
    scope& under = bindings_ != nullptr ? copy_bindings(loop.top()) : loop.top();
    promise_base& frame = call.release();
    loop.push(prepare(frame, loop, under, {file, "", line}));
    frame.watchers.append(*this);
    task_ = &frame;
}

void far_wait::task_ended(wait_node& node, shared_core*) noexcept {
    auto& self = static_cast<far_wait&>(node);
    self.task_ = nullptr;
    self.note_end_of_loop();
    self.ended();
}

void far_wait::cancel_there(void* word) noexcept {
    auto& self = *static_cast<far_wait*>(word);
    if (self.task_ != nullptr) cancel_shared(*self.task_);
    self.finish_there();
}

void far_wait::ended() noexcept {
    call_->drop(*this);
    finish_there();
}

void far_wait::finish_there() noexcept {
    if (drop_reference()) post();
}

// -- on the home loop's thread --------------------------------------------------------------------

// Sends a cancel only while the other loop still refers to this; otherwise the way home has begun.
void far_wait::leave(leaf_wait& wait) noexcept {
    auto& self = static_cast<far_wait&>(wait);
    unsigned held = self.references_.load(std::memory_order_relaxed);
    do {
        if (held == 0 || (self.state & cancel_sent) != 0) return;
    } while (!self.references_.compare_exchange_weak(held, held + 1, std::memory_order_acq_rel,
                                               std::memory_order_relaxed));
    self.state |= cancel_sent;
    if (self.there_.try_post(self.cancel_)) return;
    if (self.drop_reference())
        self.resume_here();  // the other loop has ended, and the call with it
}

void far_wait::throw_nothing() const {
    if (is_refused() || is_cancelled()) throw cancelled();
    if ((state & loop_ended) != 0) throw closed_error("on() a loop that has ended");
    if (there_ended_) throw closed_error("the loop of an on() call ended before the call");
    throw future_cancelled("the call was cancelled on the other loop");
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
