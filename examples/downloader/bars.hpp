// SPDX-License-Identifier: MIT
// Parts of a line on a terminal, each of exactly the columns that it is given.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace downloader {

/// The terminal as it is now.
struct screen {
    std::size_t columns = 80;
    std::size_t rows = 24;
    bool unicode = false;
    bool colour = false;
};

/// `text` in exactly `columns` columns: padded, or shortened in the middle so that an extension
/// stays visible. Without `unicode`, characters outside ASCII become '?'.
std::string fitted(std::string_view text, std::size_t columns, bool unicode);

/// The columns that a text takes; its control sequences take none.
std::size_t width_of(std::string_view text);

/// A bar of exactly `columns` columns that is full at 1.
std::string bar_text(double fraction, std::size_t columns, bool unicode);

/// A marker that moves to and fro, for a download of unknown length.
std::string marker_text(std::chrono::nanoseconds now, std::size_t columns, bool unicode);

/// True if a terminal under these environment variables takes UTF-8; null for one that is not set.
bool is_utf8_locale(const char* lc_all, const char* lc_ctype, const char* lang);

/// True if a terminal of this TERM moves its cursor; null for one that is not set.
bool moves_cursor(const char* term);

}  // namespace downloader
