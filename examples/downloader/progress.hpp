// SPDX-License-Identifier: MIT
// The progress display as text, without a clock, a terminal or I/O.
//
// Downloads report events (started, bytes, ended) with the time; render() returns the text to write
// now. So all of it is tested as strings. One object serves a terminal (bars that are redrawn in
// place), a log file (one line per finished file) and --quiet (failures only). Redrawing moves the
// cursor up over the previous lines and clears from there. The alternate screen would hide the
// user's scroll-back, and the failures, which stay above the bars.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bars.hpp"
#include "outcome.hpp"
#include "rate.hpp"

namespace downloader {

enum class progress_mode : unsigned char { bars, lines, quiet };

/// Counts all downloads and draws the display. Every `now` counts from the start of the first one.
class progress {
public:
    using time = std::chrono::nanoseconds;

    progress(std::size_t files_total, progress_mode mode)
        : files_total_(files_total), mode_(mode) {}

    /// A download begins.
    /// Returns: its number, for the calls that follow.
    std::size_t start(std::string_view name);
    void rename(std::size_t id, std::string_view name);
    /// The length of the file, if the server says it, and how much of it is there already. Also
    /// after the download began again.
    void expect(std::size_t id, std::optional<std::uint64_t> bytes_total, std::uint64_t bytes);
    void add(std::size_t id, std::uint64_t bytes);
    /// A download has ended.
    void end(std::size_t id, const outcome& how);
    /// A line that stays above the bars; not with --quiet.
    void note(std::string_view text);

    /// The text to write now: lines about files that have ended, and on a terminal the bars, over
    /// the previous ones.
    std::string render(time now, screen size);
    /// The text to write at the end, also after Ctrl-C: the last lines and the summary, without
    /// bars.
    std::string finish(time now, screen size);

    std::size_t files_done() const noexcept { return files_done_; }
    std::size_t files_failed() const noexcept { return failures_.size(); }

private:
    struct transfer {
        std::string name;
        std::uint64_t bytes = 0;
        std::optional<std::uint64_t> bytes_total;
        rate_meter rate;
    };

    void sample(time now);
    std::string erased(screen size);
    std::string transfer_line(const transfer& one, time now, screen size) const;
    std::string total_line(screen size) const;
    std::string summary(time now) const;
    std::optional<std::chrono::seconds> remaining() const;

    std::size_t files_total_;
    progress_mode mode_;
    std::map<std::size_t, transfer> active_;  // by number: bars keep their order
    std::size_t next_id_ = 0;
    std::size_t files_done_ = 0;
    std::size_t files_skipped_ = 0;
    std::vector<std::string> failures_;  // lines of the summary
    std::uint64_t received_ = 0;
    rate_meter rate_;
    std::string log_;                 // lines not yet rendered
    std::vector<std::size_t> drawn_;  // columns of the lines below which the cursor stands
};

}  // namespace downloader
