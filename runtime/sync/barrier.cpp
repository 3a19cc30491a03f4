// SPDX-License-Identifier: MIT
// Opens and breaks a barrier.
#include <rondo/sync/barrier.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

constinit const wait_kind barrier_wait::kind_{"line for a barrier", leave, object};

const char* barrier_wait::object(const leaf_wait& wait) {
    return keep_text(static_cast<const barrier_wait&>(wait).barrier_->state());
}

bool barrier_wait::await_ready() noexcept {
    if (is_cancelled()) return cancel_at_start();
    if (barrier_->broken_) {
        state |= failed;
        return acquired();
    }
    index_ = barrier_->n_waiting();
    if (index_ + 1 < barrier_->parties_) return false;
    barrier_->open();
    return acquired();
}

}  // namespace detail

// The index is set here, because waiters that left have left a gap in the order of arrival.
void barrier::open() noexcept {
    ++generation_;
    for (std::size_t index = 0; !line_.empty(); ++index) {
        static_cast<detail::barrier_wait&>(line_.front()).index_ = index;
        line_.unpark_one();
    }
}

void barrier::fail_waiters() noexcept {
    while (!line_.empty()) {
        line_.front().state |= detail::barrier_wait::failed;
        line_.unpark_one();
    }
}

void barrier::reset() noexcept {
    broken_ = false;
    fail_waiters();
}

void barrier::abort() noexcept {
    broken_ = true;
    fail_waiters();
}

std::string barrier::state() const {
    if (broken_) return "that is broken";
    return "where " + std::to_string(n_waiting()) + " of " + std::to_string(parties_) +
           (n_waiting() == 1 ? " waits" : " wait");
}

std::string barrier::describe() const { return "a barrier " + state(); }

}  // namespace v0
}  // namespace rondo
