// SPDX-License-Identifier: MIT
// Bookkeeping of ranges.
#include "segments.hpp"

#include <algorithm>

namespace downloader {

segments::segments(std::uint64_t length, const std::vector<byte_range>& done) : length_(length) {
    std::uint64_t at = 0;
    for (const byte_range& there : done) {
        if (there.begin > at) all_.push_back({{at, there.begin}, 0});
        at = there.end;
    }
    if (at < length) all_.push_back({{at, length}, 0});
}

/// Returns: the number of segments if there is none.
std::size_t segments::longest_free() const {
    std::size_t best = all_.size();
    for (std::size_t i = 0; i < all_.size(); ++i)
        if (all_[i].tasks == 0 && all_[i].range.size() > 0 &&
            (best == all_.size() || left(i) > left(best)))
            best = i;
    return best;
}

void segments::cut(std::size_t number) {
    const byte_range whole = all_[number].range;
    const std::uint64_t middle = whole.begin + (whole.size() + 1) / 2;
    all_[number].range.end = middle;
    all_.push_back({{middle, whole.end}, 0});
}

void segments::split(std::size_t count_wanted, std::uint64_t least) {
    while (count() < count_wanted) {
        const std::size_t number = longest_free();
        if (number == all_.size() || left(number) / 2 < std::max<std::uint64_t>(least, 1)) return;
        cut(number);
    }
}

std::optional<std::size_t> segments::take() {
    std::size_t best = all_.size();
    for (std::size_t i = 0; i < all_.size(); ++i)
        if (all_[i].tasks == 0 && left(i) > 0 &&
            (best == all_.size() || position(i) < position(best)))
            best = i;
    if (best == all_.size()) return std::nullopt;
    all_[best].tasks = 1;
    return best;
}

std::size_t segments::take_half(std::size_t number) {
    cut(number);
    all_.back().tasks = 1;
    return all_.size() - 1;
}

std::uint64_t segments::reach(std::size_t number, std::uint64_t end) {
    byte_range& range = all_[number].range;
    const std::uint64_t before = range.begin;
    range.begin = std::max(before, std::min(end, range.end));
    return range.begin - before;
}

void segments::ends_at(std::size_t number) {
    length_ = position(number);
    all_[number].range.end = length_;
}

std::uint64_t segments::bytes_left() const {
    std::uint64_t sum = 0;
    for (const segment& one : all_) sum += one.range.size();
    return sum;
}

std::size_t segments::count() const {
    return static_cast<std::size_t>(std::count_if(
        all_.begin(), all_.end(), [](const segment& one) { return one.range.size() > 0; }));
}

std::vector<byte_range> segments::done() const {
    std::vector<byte_range> missing;
    for (const segment& one : all_)
        if (one.range.size() > 0) missing.push_back(one.range);
    std::sort(missing.begin(), missing.end(),
              [](const byte_range& a, const byte_range& b) { return a.begin < b.begin; });
    std::vector<byte_range> result;
    std::uint64_t at = 0;
    for (const byte_range& gap : missing) {
        if (gap.begin > at) result.push_back({at, gap.begin});
        at = gap.end;
    }
    if (length_ != unknown && at < length_) result.push_back({at, length_});
    return result;
}

}  // namespace downloader
