// SPDX-License-Identifier: MIT
// Moves waiters from the line of a condition to the line of its mutex.
#include <rondo/sync/condition.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {
void ignore_cancel(leaf_wait&) noexcept {}
}  // namespace

constinit const wait_kind condition_wait::kind_{"line for a condition", stop, object};
constinit const wait_kind condition_wait::relock_kind_{"line, after a condition, for its mutex",
                                                       ignore_cancel, mutex_object};

condition_wait::condition_wait(condition& c, mutex::guard* guard) noexcept
    : queue_wait(kind_, c.line_), condition_(&c), guard_(guard) {
    RONDO_ASSERT(guard->owner() == c.mutex_,
                 "condition::wait with a guard of another mutex, or of none");
    wait_node::wake = notify;
}

void condition_wait::await_suspend(std::coroutine_handle<> frame, location at) noexcept {
    park(*this, frame, at);
    if (state != 0) return run_others_first();  // refused: it still holds the mutex
    stand_in_line(condition_->line_);
    guard_->unlock();
}

// A waiter that was suspended holds the mutex here, for whatever reason it resumed.
void condition_wait::await_resume() {
    if ((state & leaving) != 0) *guard_ = condition_->mutex_->adopt();
    if ((state & notified) == 0) throw cancelled();
    finish([this] { condition_->notify(); });
}

void condition_wait::notify(wait_node& node, shared_core*) noexcept {
    auto& self = static_cast<condition_wait&>(node);
    self.state |= notified;
    self.relock();
}

void condition_wait::stop(leaf_wait& wait) noexcept {
    auto& self = static_cast<condition_wait&>(wait);
    self.step_out();
    self.relock();
}

void condition_wait::relock() noexcept {
    mutex& m = *condition_->mutex_;
    kind = &relock_kind_;
    state |= leaving;
    ++condition_->leaving_;
    wait_node::wake = choose;
    if (m.take(leaf_wait::task))
        choose(*this, nullptr);
    else
        stand_in_line(m.line_);
}

const char* condition_wait::object(const leaf_wait& wait) {
    return keep_text(static_cast<const condition_wait&>(wait).condition_->state());
}

const char* condition_wait::mutex_object(const leaf_wait& wait) {
    return keep_text(static_cast<const condition_wait&>(wait).condition_->mutex_->state());
}

}  // namespace detail

std::size_t condition::notify(std::size_t count) noexcept {
    std::size_t notified = 0;
    while (notified < count && line_.unpark_one()) ++notified;
    return notified;
}

std::string condition::state() const {
    const std::string holder = mutex_->locked() ? "held by " + detail::holder_text(mutex_->holder_)
                                                : std::string("that is not locked");
    return "of a mutex " + holder + detail::waiters_text(line_);
}

std::string condition::describe() const { return "a condition " + state(); }

}  // namespace v0
}  // namespace rondo
