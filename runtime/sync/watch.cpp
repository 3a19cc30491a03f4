// SPDX-License-Identifier: MIT
// The parts of watch and broadcast that do not depend on the item type.
#include <rondo/sync/broadcast.hpp>
#include <rondo/sync/watch.hpp>

namespace rondo {
inline namespace v0 {

lagged_error::lagged_error(std::uint64_t lost)
    : error("a subscriber was too slow and has lost " + std::to_string(lost) +
            (lost == 1 ? " item" : " items")),
      lost_(lost) {}
lagged_error::~lagged_error() = default;

namespace detail {

constinit const wait_kind watch_wait::kind_{"line for a watch", leave, object};
constinit const wait_kind broadcast_wait::kind_{"line for a broadcast", leave, object};

const char* watch_wait::object(const leaf_wait& wait) {
    return keep_text(static_cast<const watch_wait&>(wait).watch_->state());
}

void watch_base::check_open() const {
    if (closed_) throw closed_error("set() on a watch that was closed");
}

std::string watch_base::state() const {
    return "at version " + std::to_string(version_) + (closed_ ? ", closed" : "") +
           waiters_text(line_);
}

std::string watch_base::describe() const { return "a watch " + state(); }

broadcast_wait::broadcast_wait(broadcast_reader& r) noexcept
    : queue_wait(kind_, r.from_->line), reader_(&r) {
    RONDO_ASSERT(!r.waits_, "two tasks wait for the next item of one subscriber");
    r.waits_ = true;
}

bool broadcast_wait::await_ready() noexcept {
    return is_cancelled() ? cancel_at_start()
                          : ((reader_->behind() > 0 || reader_->from_->closed) && acquired());
}

const char* broadcast_wait::object(const leaf_wait& wait) {
    return keep_text(static_cast<const broadcast_wait&>(wait).reader_->from_->state());
}

bool broadcast_reader::advance() {
    if (behind() <= from_->capacity) return behind() > 0;
    const std::uint64_t lost = behind() - from_->capacity;
    next_ += lost;
    throw lagged_error(lost);
}

void broadcast_core::check_open() const {
    if (closed) throw closed_error("send() on a broadcast that was closed");
}

std::string broadcast_core::state() const {
    return "to " + std::to_string(subscribers) +
           (subscribers == 1 ? " subscriber" : " subscribers") + (closed ? ", closed" : "") +
           waiters_text(line);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
