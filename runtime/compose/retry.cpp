// SPDX-License-Identifier: MIT
// The delay before the next attempt, and the decision whether there is one.
#include <rondo/retry.hpp>

#include <algorithm>
#include <stdexcept>

#include <rondo/loop.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {
double nanoseconds(duration d) { return static_cast<double>(d.count()); }

bool is_valid(const retry_options& o) {
    return o.delay >= duration::zero() && o.longest >= duration::zero() && o.factor >= 1 &&
           o.jitter >= 0 && o.jitter <= 1;
}
}  // namespace

retry_state::retry_state(const retry_options& options)
    : options_(options), delay_(nanoseconds(options.delay)) {
    if (!is_valid(options))
        throw std::invalid_argument(
            "retry: delays must not be negative, the factor must be at least 1, the jitter from 0 "
            "to 1");
}

void retry_state::failed(const std::exception& error) {
    ++failed_;
    const bool worth = options_.worth != nullptr
                           ? options_.worth(error)
                           : dynamic_cast<const std::logic_error*>(&error) == nullptr;
    if (!worth || failed_ == options_.attempts) throw;
}

duration retry_state::next_delay() {
    const double longest = nanoseconds(options_.longest);
    const double whole = std::min(delay_, longest);
    delay_ = std::min(delay_ * options_.factor, longest);
    const double part = static_cast<double>(random(running()) >> 11) * 0x1p-53;  // [0, 1)
    return duration(static_cast<duration::rep>(whole * (1 - options_.jitter * part)));
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
