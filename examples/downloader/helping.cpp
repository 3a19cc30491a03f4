// SPDX-License-Identifier: MIT
// Rates, patience, and who needs help most.
#include "helping.hpp"

#include "figures.hpp"

namespace downloader {

namespace {

using namespace std::chrono_literals;

constexpr double rest_seconds = 1;  // that a slow task may still need
constexpr double much_faster = 4;
// At `slow`, 16 KB come in a pause: much less than a window of TCP. So a pause holds nothing up,
// and a link that becomes faster is seen to be.
constexpr auto collect = 4ms;
constexpr double slow = 4e6;  // bytes a second
constexpr std::size_t few = 16 * 1024;
constexpr std::uint64_t near_end = 64 * 1024;
constexpr auto warm_up = 500ms;  // until the rate is known

}  // namespace

void pace::begin(std::size_t taken, time now) {
    segment = taken;
    has_answer = false;
    waits_since = began_ = now;
    bytes = 0;
}

void pace::end(time now) {
    last_rate_ = rate(now);
    segment.reset();
    waits_since.reset();
}

double pace::rate(time now) const {
    if (!segment || bytes == 0 || now <= began_) return last_rate_;
    return static_cast<double>(bytes) / in_seconds(now - began_);
}

pace::time pace::pause(std::size_t came, std::uint64_t left, time now) const {
    const bool is_slow = now - began_ >= warm_up && rate(now) < slow;
    return is_slow && came < few && left > near_end ? collect : 0ms;
}

/// True if all tasks that fetch `segment` have got no byte for a while, and `mine` may get some: a
/// third request to one mirror would not.
bool is_stalled(std::size_t segment, const std::vector<pace>& all, const pace& mine, pace::time now,
                bool is_crowded) {
    unsigned at_my_mirror = 0;
    for (const pace& one : all) {
        if (one.segment != segment) continue;
        if (!one.waits_since || now - *one.waits_since < mine.patience) return false;
        if (one.mirror != mine.mirror) continue;
        if (++at_my_mirror > 1 || (is_crowded && !one.has_answer)) return false;
    }
    return true;
}

/// Seconds that a task needs for the rest of its segment, if it is worth to take half of that.
/// Otherwise 0.
double rest_to_share(const pace& other, const pace& mine, std::uint64_t left, pace::time now) {
    if (other.bytes == 0 || left < 2) return 0;
    const double rate = other.rate(now);
    const double own = mine.rate(now);
    const bool is_slower = own == 0 ? other.mirror != mine.mirror : own > much_faster * rate;
    if (left < 2 * piece_bytes && !is_slower) return 0;
    return static_cast<double>(left) / rate;
}

std::optional<help> find_help(std::size_t idle, const std::vector<pace>& all, const segments& of,
                              pace::time now, bool is_crowded) {
    const pace& mine = all[idle];
    std::optional<help> slowest;
    double longest = rest_seconds;
    for (const pace& other : all) {
        const std::uint64_t left = other.segment ? of.left(*other.segment) : 0;
        if (left == 0) continue;
        if (is_stalled(*other.segment, all, mine, now, is_crowded))
            return help{*other.segment, true};
        if (of.tasks(*other.segment) > 1) continue;
        const double rest = rest_to_share(other, mine, left, now);
        if (rest <= longest) continue;
        longest = rest;
        slowest = help{*other.segment, false};
    }
    return slowest;
}

}  // namespace downloader
