// SPDX-License-Identifier: MIT
#include "http/server/clock.hpp"

#include <new>

namespace rondo {
inline namespace v0 {
namespace detail {

http_clock::http_clock(expiry on_expiry, void* context) noexcept
    : timer_node(due), on_expiry_(on_expiry), context_(context), home_(&running()) {}

http_clock::~http_clock() {
    if (is_set()) cancel_timer(*home_, *this);
}

void http_clock::set(duration limit) {
    if (limit <= duration::zero()) return clear();
    deadline_ = saturating_add(now(*home_), limit);
    if (is_set() && armed_ <= deadline_) return;
    if (is_set()) cancel_timer(*home_, *this);
    set_timer(*home_, *this, deadline_);
    armed_ = deadline_;
}

void http_clock::due(timer_node& node) noexcept {
    auto& self = static_cast<http_clock&>(node);
    if (self.deadline_ == time_point::max()) return;
    if (self.deadline_ > now(*self.home_)) {
        try {
            set_timer(*self.home_, self, self.deadline_);
            self.armed_ = self.deadline_;
            return;
        } catch (const std::bad_alloc&) {  // expires early
        }
    }
    self.clear();
    self.on_expiry_(self.context_);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
