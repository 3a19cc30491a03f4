// SPDX-License-Identifier: MIT
// Rates of bytes: a limit for all downloads together, and a meter for the display. No clock: the
// caller says what time it is.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace downloader {

/// A token bucket, for any number of tasks. Bytes that have come are reported, and the task that
/// reports them waits for the time returned; so the rate holds for the sum of all tasks.
class rate_limit {
public:
    using time = std::chrono::nanoseconds;

    /// `bytes_per_second` 0: no limit.
    explicit rate_limit(std::uint64_t bytes_per_second = 0) : rate_(bytes_per_second) {}

    bool is_limited() const { return rate_ > 0; }
    /// The size of reads at which a task waits for about 100 ms at most, at least 1 KiB.
    std::size_t read_size(std::size_t most) const;
    /// Takes `bytes` out of the bucket, which may become overdrawn.
    /// Returns: how long to wait, so that the rate is kept. Up to 100 ms that were not used are
    ///          made up for.
    time take(std::uint64_t bytes, time now);

private:
    std::uint64_t rate_;
    time free_at_ = time::min();  // when what was taken is paid for
};

/// Bytes a second over the last five seconds.
class rate_meter {
public:
    using time = std::chrono::nanoseconds;

    void add(std::uint64_t bytes) { bytes_ += bytes; }
    /// Called at each drawing of the display.
    void sample(time now);
    double bytes_per_second() const;

private:
    struct point {
        time when;
        std::uint64_t bytes;
    };
    std::uint64_t bytes_ = 0;
    std::vector<point> points_;  // a few dozen at most
};

}  // namespace downloader
