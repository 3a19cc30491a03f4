// SPDX-License-Identifier: MIT
// The arithmetic of rates.
#include "rate.hpp"

#include <algorithm>

namespace downloader {

namespace {

using namespace std::chrono_literals;
constexpr std::chrono::nanoseconds burst = 100ms;
constexpr std::chrono::nanoseconds window = 5s;

}  // namespace

std::size_t rate_limit::read_size(std::size_t most) const {
    if (rate_ == 0) return most;
    return static_cast<std::size_t>(std::clamp<std::uint64_t>(rate_ / 10, 1024, most));
}

rate_limit::time rate_limit::take(std::uint64_t bytes, time now) {
    if (rate_ == 0) return 0ns;
    const double seconds = static_cast<double>(bytes) / static_cast<double>(rate_);
    free_at_ = std::max(free_at_, now - burst) +
               std::chrono::duration_cast<time>(std::chrono::duration<double>(seconds));
    return std::max(free_at_ - now, time(0));
}

void rate_meter::sample(time now) {
    if (!points_.empty() && points_.back().when >= now) return;
    points_.push_back({now, bytes_});
    while (points_.size() > 2 && now - points_[1].when >= window) points_.erase(points_.begin());
}

double rate_meter::bytes_per_second() const {
    if (points_.size() < 2) return 0;
    const std::chrono::duration<double> seconds = points_.back().when - points_.front().when;
    return static_cast<double>(points_.back().bytes - points_.front().bytes) / seconds.count();
}

}  // namespace downloader
