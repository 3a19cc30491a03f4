// SPDX-License-Identifier: MIT
// The diagnostic texts of event and once.
#include <rondo/sync/event.hpp>
#include <rondo/sync/once.hpp>

namespace rondo {
inline namespace v0 {

constinit const detail::wait_kind detail::event_wait::kind_{"line for an event", leave, object};

const char* detail::event_wait::object(const leaf_wait& wait) {
    return keep_text(static_cast<const event_wait&>(wait).event_->state());
}

std::string event::state() const {
    return (set_ ? "that is set" : "that is not set") + detail::waiters_text(line_);
}

std::string event::describe() const { return "an event " + state(); }

std::string once::describe() const {
    if (done_) return "a once that is done";
    return "a once that is not done: " + turn_.describe();
}

}  // namespace v0
}  // namespace rondo
