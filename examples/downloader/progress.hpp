// SPDX-License-Identifier: MIT
// The progress display as text, without a clock, a terminal or I/O.
//
// The downloader reports events (started, bytes, done, failed) with the time; render() returns the
// text to write now. So all of it is tested as strings. One object serves a terminal (bars that are
// redrawn in place), a log file (one line per finished file) and --quiet (failures only). Redrawing
// moves the cursor up over the previous lines and clears from there. The alternate screen would
// hide the user's scroll-back, and the failures, which stay above the bars.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace downloader {

/// "999 B", "1.5 KiB", "412.3 MiB": at most nine characters.
std::string bytes_text(std::uint64_t bytes);

/// "45.6 MiB/s", "676 MiB/s": at most ten characters.
std::string rate_text(std::uint64_t bytes, std::chrono::nanoseconds in);

/// "0:09", "12:34", "1:02:03".
std::string clock_text(std::chrono::seconds time);

/// `text` in exactly `columns` columns: padded, or shortened in the middle so that an extension
/// stays visible. Without `unicode`, characters outside ASCII become '?'.
std::string fitted(std::string_view text, std::size_t columns, bool unicode);

/// A bar of exactly `columns` columns that is full at 1.
std::string bar_text(double fraction, std::size_t columns, bool unicode);

/// A marker that moves to and fro, for a download of unknown length.
std::string marker_text(std::chrono::nanoseconds now, std::size_t columns, bool unicode);

/// True if a terminal under these environment variables takes UTF-8; null for one that is not set.
bool is_utf8_locale(const char* lc_all, const char* lc_ctype, const char* lang);

/// The terminal as it is now.
struct screen {
    std::size_t columns = 80;
    std::size_t rows = 24;
    bool unicode = false;
};

enum class progress_mode : unsigned char { bars, lines, quiet };

/// Counts all downloads and draws the display. Every `now` counts from the start of the first one.
class progress {
public:
    using time = std::chrono::nanoseconds;

    progress(std::size_t files_total, progress_mode mode)
        : files_total_(files_total), mode_(mode) {}

    /// A download begins.
    /// Returns: its number, for the calls that follow.
    std::size_t start(std::string_view name, time now);
    /// The server has said how long the file is.
    void expect(std::size_t id, std::uint64_t bytes_total);
    void add(std::size_t id, std::uint64_t bytes);
    void done(std::size_t id, time now);
    void failed(std::size_t id, std::string_view reason);
    /// A download that could not start, because its URL is wrong.
    void failed(std::string_view name, std::string_view reason);

    /// The text to write now: lines about files that have ended, and on a terminal the bars, over
    /// the previous ones.
    std::string render(time now, screen size);
    /// The text to write at the end, also after Ctrl-C: the last lines and the summary, without
    /// bars.
    std::string finish(time now);

    std::size_t files_done() const noexcept { return files_done_; }
    std::size_t files_failed() const noexcept { return files_failed_; }

private:
    struct transfer {
        std::string name;
        time started{};
        std::uint64_t bytes = 0;
        std::optional<std::uint64_t> bytes_total;
    };

    std::string erased();
    std::string transfer_line(const transfer& one, time now, screen size) const;
    std::string total_line(time now, screen size) const;
    std::string summary(time now) const;
    std::optional<std::chrono::seconds> remaining(time now) const;

    std::size_t files_total_;
    progress_mode mode_;
    std::map<std::size_t, transfer> active_;  // by number: bars keep their order
    std::size_t next_id_ = 0;
    std::size_t files_done_ = 0;
    std::size_t files_failed_ = 0;
    std::uint64_t bytes_ = 0;
    std::string log_;  // lines not yet rendered
    std::size_t lines_drawn_ = 0;
};

}  // namespace downloader
