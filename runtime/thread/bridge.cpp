// SPDX-License-Identifier: MIT
// The lines of a bridge: promises, the wake-up of threads and tasks, and cancellation.
#include <rondo/bridge.hpp>

#include <condition_variable>

#include <rondo/thread_sync.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

/// A waiting thread, on its own stack.
struct blocked : bridge_waiter {
    std::condition_variable woken;
    explicit blocked(bridge_side side) noexcept
        : bridge_waiter(side, [](bridge_waiter& self) noexcept {
              static_cast<blocked&>(self).woken.notify_one();
          }) {}
};

}  // namespace

bridge_core::~bridge_core() {
    for (const wait_list& each : lines_)
        RONDO_ASSERT(each.empty(), "a bridge was destroyed while threads or tasks wait at it");
    RONDO_ASSERT(claims_ == 0 && grants_ == 0,
                 "a bridge was destroyed before a woken thread or task took its item or its place");
}

bridge_answer bridge_core::try_promise(bridge_side side) noexcept {
    if (side == bridge_side::join)
        return unfinished_ == 0 ? bridge_answer::ended : bridge_answer::wait;
    if (side == bridge_side::put) {
        if (closed_) return bridge_answer::ended;
        if (!has_room()) return bridge_answer::wait;
        ++grants_;
        return bridge_answer::promised;
    }
    if (drained()) return bridge_answer::ended;
    if (!has_item()) return bridge_answer::wait;
    ++claims_;
    return bridge_answer::promised;
}

bool bridge_core::redeem(bridge_side side) noexcept {
    if (side == bridge_side::get) {
        --claims_;
        return stored_ != 0;  // none if close(immediate) emptied the queue
    }
    --grants_;
    return !closed_;
}

void bridge_core::serve(bridge_side side) noexcept {
    if (line(side).empty()) return;
    const bridge_answer answer = try_promise(side);
    if (answer != bridge_answer::wait) wake_first(side, answer);
}

void bridge_core::wake_first(bridge_side side, bridge_answer answer) noexcept {
    auto& first = static_cast<bridge_waiter&>(line(side).pop());
    first.answer = answer;
    first.notify(first);
}

void bridge_core::end_all(bridge_side side) noexcept {
    while (!line(side).empty()) wake_first(side, bridge_answer::ended);
}

void bridge_core::close() noexcept {
    closed_ = true;
    end_all(bridge_side::put);
    if (stored_ == 0) end_all(bridge_side::get);
}

// Getters that were promised an item find none when they run.
void bridge_core::close_and_forget() noexcept {
    unfinished_ -= stored_ < unfinished_ ? stored_ : unfinished_;
    stored_ = 0;
    close();
    if (unfinished_ == 0) end_all(bridge_side::join);
}

void bridge_core::finish_one() {
    if (unfinished_ == 0)
        throw invalid_state_error("task_done was called more often than items were put");
    if (--unfinished_ == 0) end_all(bridge_side::join);
}

bridge_answer bridge_core::wait_in_line(lock& held, bridge_side side, time_point deadline,
                                        const std::stop_token& stop) {
    blocked self(side);
    append(self);
    const auto wait = [&] {
        const auto answered = [&] { return self.answer != bridge_answer::wait; };
        if (!wait_until(self.woken, held, deadline, answered)) remove(self);
    };
    if (!stop.stop_possible()) {
        wait();
        return self.answer;
    }
    held.unlock();  // the callback needs the mutex, and may run in its constructor
    {
        const std::stop_callback on_stop(stop, [&] {
            const lock stopping(mutex_);
            if (!self.linked()) return;
            remove(self);
            self.answer = bridge_answer::refused;
            self.woken.notify_one();
        });
        held.lock();
        wait();
        held.unlock();
    }
    held.lock();
    return self.answer;
}

bridge_answer bridge_core::block(lock& held, bridge_side side, time_point deadline,
                                 const std::stop_token& stop) {
    RONDO_ASSERT(here.current == nullptr,
                 "a task must not block at a bridge, its loop would stand still: co_await put, "
                 "next, join or wait");
    if (stop.stop_requested()) return bridge_answer::refused;
    bridge_answer answer = try_promise(side);
    if (answer == bridge_answer::wait) answer = wait_in_line(held, side, deadline, stop);
    if (answer == bridge_answer::promised && !redeem(side)) return bridge_answer::ended;
    return answer;
}

time_point bridge_deadline(duration timeout) noexcept { return thread_deadline(timeout); }

void throw_bridge_closed() { throw queue_closed_error(); }

// -- tasks ----------------------------------------------------------------------------------------

constinit const wait_kind bridge_awaiter::get_kind{"bridge_queue.next", leave, nullptr};
constinit const wait_kind bridge_awaiter::put_kind{"bridge_queue.put", leave, nullptr};
constinit const wait_kind bridge_awaiter::join_kind{"bridge_queue.join", leave, nullptr};
constinit const wait_kind bridge_awaiter::event_kind{"bridge_event.wait", leave, nullptr};

bridge_awaiter::bridge_awaiter(bridge_core& core, bridge_side s, const wait_kind& kind) noexcept
    : posted_wait(kind),
      bridge_waiter(
          s, [](bridge_waiter& self) noexcept { static_cast<bridge_awaiter&>(self).post(); }),
      core_(&core) {}

// The awaiter is linked here only if its frame is destroyed during the wait.
bridge_awaiter::~bridge_awaiter() {
    if (!has_home() || answer != bridge_answer::wait) return;  // the bridge may be gone
    const bridge_core::lock held(core_->mutex_);
    if (linked()) core_->remove(*this);
}

bool bridge_awaiter::await_ready() noexcept {
    if (is_cancelled()) {
        answer = bridge_answer::refused;
        return may_go_on();
    }
    const bridge_core::lock held(core_->mutex_);
    answer = core_->try_promise(side);
    return answer != bridge_answer::wait && may_go_on();
}

void bridge_awaiter::await_suspend(std::coroutine_handle<> frame, location at) noexcept {
    park(*this, frame, at);
    if (answer == bridge_answer::refused) return requeue(*this);
    if (answer != bridge_answer::wait)  // it is ready, but other tasks run first
        return resume_here();
    set_home();
    const bridge_core::lock held(core_->mutex_);
    answer = core_->try_promise(side);
    if (answer != bridge_answer::wait) return resume_here();
    core_->append(*this);
}

// If a post to this awaiter is under way, the task resumes by that post: the post is stored in its
// frame.
void bridge_awaiter::leave(leaf_wait& wait) noexcept {
    auto& self = static_cast<bridge_awaiter&>(wait);
    {
        const bridge_core::lock held(self.core_->mutex_);
        if (!self.linked()) return;
        self.core_->remove(self);
        self.answer = bridge_answer::refused;
    }
    self.resume_here();
}

bool bridge_awaiter::finish(bridge_core::lock& held) {
    if (answer == bridge_answer::ended) {  // the bridge may be gone
        if (is_cancelled()) throw cancelled();
        return false;
    }
    held = bridge_core::lock(core_->mutex_);
    const bool there = answer == bridge_answer::promised && core_->redeem(side);
    if (is_cancelled() || answer == bridge_answer::refused) {
        if (there) core_->serve(side);
        throw cancelled();
    }
    return there;
}

}  // namespace detail

// -- bridge_event ---------------------------------------------------------------------------------

void bridge_event::set() noexcept {
    const lock held(mutex_);
    close();
}

void bridge_event::clear() noexcept {
    const lock held(mutex_);
    reopen();
}

bool bridge_event::is_set() const noexcept {
    const lock held(mutex_);
    return closed_;
}

void bridge_event::blocking_wait() {
    lock held(mutex_);
    block(held, detail::bridge_side::get, time_point::max());
}

bool bridge_event::blocking_wait_for(detail::time_limit timeout) {
    lock held(mutex_);
    const auto answer = block(held, detail::bridge_side::get, detail::bridge_deadline(timeout));
    return answer != detail::bridge_answer::wait;
}

}  // namespace v0
}  // namespace rondo
