// SPDX-License-Identifier: MIT
// A task that finds no free segment helps another one of the same file. So a server that does not
// answer, or is much slower than the others, does not hold up the end.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "segments.hpp"

namespace downloader {

/// The shortest range that is worth a request; a shorter file is neither split nor saved.
inline constexpr std::uint64_t piece_bytes = 1024 * 1024;

/// How a task gets on with its segment. Times are since the beginning of the run.
struct pace {
    using time = std::chrono::nanoseconds;
    static constexpr time patience_at_first = std::chrono::milliseconds(300);

    pace() = default;
    /// Begins a request.
    void begin(std::size_t taken, time now);
    /// Ends it.
    void end(time now);
    /// Bytes a second of this request, or else of the one before; 0 if that is not known.
    double rate(time now) const;
    /// How long to leave the connection alone after a piece of `came` bytes, so that more than a
    /// few segments come at once, if `left` are to come. 0 if it is fast: there it would cost time.
    time pause(std::size_t came, std::uint64_t left, time now) const;

    std::size_t mirror = 0;  ///< that it asks
    std::optional<std::size_t> segment;
    bool has_answer = false;            ///< the head of the response has come
    std::optional<time> waits_since;    ///< for the server, and for nothing else
    std::uint64_t bytes = 0;            ///< that have come
    time patience = patience_at_first;  ///< until it helps a task that gets no byte

private:
    time began_{};
    double last_rate_ = 0;
};

/// Help for the task that fetches a segment.
struct help {
    std::size_t segment;
    bool is_shared;  ///< all its bytes are asked for once more; otherwise its second half is taken
};

/// Decides how the task `idle` can help.
/// - If no task that fetches a segment has got a byte for as long as `idle` is patient, `idle` asks
///   for the same bytes, and those count that come first. At most two tasks ask one mirror. If
///   `is_crowded`, the first may be waiting for a connection; then the second would wait as well.
/// - If a task needs more than a second for the rest, `idle` takes half of it, provided that it is
///   a long range or the other mirror is much slower than its own.
/// Returns: nothing if it should look again later.
std::optional<help> find_help(std::size_t idle, const std::vector<pace>& all, const segments& of,
                              pace::time now, bool is_crowded);

}  // namespace downloader
