// SPDX-License-Identifier: MIT
// Progress display: figures, bars, and how a line is filled at any width.
#include "progress.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include <fmt/core.h>

#include "names.hpp"

namespace downloader {

namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

struct scaled {
    double value;
    const char* unit;
};

// Steps at 999.95, where one decimal would be rounded to 1000.0.
scaled scale(double bytes) {
    constexpr std::array units = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    std::size_t i = 0;
    for (; bytes >= 999.95 && i + 1 < units.size(); ++i) bytes /= 1024;
    return {bytes, units[i]};
}

double in_seconds(nanoseconds time) { return std::chrono::duration<double>(time).count(); }

std::string duration_text(nanoseconds time) {
    const double all = in_seconds(time);
    if (all < 9.995) return fmt::format("{:.2f} s", all);
    if (all < 59.95) return fmt::format("{:.1f} s", all);
    return clock_text(std::chrono::round<seconds>(time));
}

// East Asian and emoji characters take two columns. Combining ones count as one: too short a line
// does no harm.
std::size_t columns_of(char32_t c) {
    const auto in = [c](char32_t first, char32_t last) { return c >= first && c <= last; };
    const bool is_wide = in(0x1100, 0x115f) || in(0x231a, 0x232a) || in(0x23e9, 0x23f3) ||
                         in(0x25fd, 0x27bf) || in(0x2b1b, 0x2b55) || in(0x2e80, 0xa4cf) ||
                         in(0xa960, 0xa97c) || in(0xac00, 0xd7a3) || in(0xf900, 0xfaff) ||
                         in(0xfe10, 0xfe6f) || in(0xff00, 0xff60) || in(0xffe0, 0xffe6) ||
                         in(0x16fe0, 0x18dff) || in(0x1aff0, 0x1b2ff) || in(0x1f000, 0x1faff) ||
                         in(0x20000, 0x3fffd);
    return is_wide ? 2 : 1;
}

struct glyph {
    std::string_view bytes;
    std::size_t columns;
};

// `text` has been through printable(), so all of it is valid UTF-8.
std::vector<glyph> glyphs_of(std::string_view text, bool unicode) {
    std::vector<glyph> result;
    while (!text.empty()) {
        const code_point c = first_code_point(text);
        if (c.value < 0x80 || unicode)
            result.push_back({text.substr(0, c.size), columns_of(c.value)});
        else
            result.push_back({"?", 1});
        text.remove_prefix(c.size);
    }
    return result;
}

std::string repeated(std::string_view text, std::size_t times) {
    std::string result;
    while (times-- > 0) result += text;
    return result;
}

double fraction_of(std::uint64_t bytes, std::uint64_t total) {
    return total == 0 ? 1 : std::min(1.0, static_cast<double>(bytes) / static_cast<double>(total));
}

std::string counted(std::size_t count, const char* noun) {
    return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

}  // namespace

std::string bytes_text(std::uint64_t bytes) {
    const auto [value, unit] = scale(static_cast<double>(bytes));
    return bytes < 1000 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, unit);
}

std::string rate_text(std::uint64_t bytes, nanoseconds in) {
    const double time = in_seconds(in);
    const auto [value, unit] = scale(time > 0 ? static_cast<double>(bytes) / time : 0);
    return value < 99.95 ? fmt::format("{:.1f} {}/s", value, unit)
                         : fmt::format("{:.0f} {}/s", value, unit);
}

std::string clock_text(seconds time) {
    const auto all = time.count();
    if (all >= 3600) return fmt::format("{}:{:02}:{:02}", all / 3600, all / 60 % 60, all % 60);
    return fmt::format("{}:{:02}", all / 60, all % 60);
}

std::string fitted(std::string_view text, std::size_t columns, bool unicode) {
    const std::string safe = printable(text);
    const std::vector<glyph> glyphs = glyphs_of(safe, unicode);
    std::size_t width = 0;
    for (const glyph& g : glyphs) width += g.columns;

    std::string head;
    std::string tail;
    std::size_t used = 0;
    std::size_t first = 0;
    const bool is_cut = width > columns;
    const std::size_t room = is_cut && columns > 0 ? columns - 1 : columns;  // one for the ellipsis
    const std::size_t head_room = is_cut ? room - room / 3 : room;
    for (; first < glyphs.size() && used + glyphs[first].columns <= head_room; ++first) {
        head += glyphs[first].bytes;
        used += glyphs[first].columns;
    }
    for (auto last = glyphs.size(); last > first && used + glyphs[last - 1].columns <= room;
         --last) {
        tail.insert(0, glyphs[last - 1].bytes);
        used += glyphs[last - 1].columns;
    }
    if (is_cut && columns > 0) {
        head += unicode ? "…" : "~";
        ++used;
    }
    return head + tail + std::string(columns - used, ' ');
}

std::string bar_text(double fraction, std::size_t columns, bool unicode) {
    fraction = std::clamp(fraction, 0.0, 1.0);
    if (!unicode) {
        if (columns < 3) return std::string(columns, ' ');
        const std::size_t inner = columns - 2;
        const auto full = static_cast<std::size_t>(fraction * static_cast<double>(inner));
        return fmt::format("[{}{}]", std::string(full, '#'), std::string(inner - full, '-'));
    }
    constexpr std::array<std::string_view, 8> eighths = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    const auto units = static_cast<std::size_t>(fraction * static_cast<double>(columns * 8));
    const std::string_view part = eighths[units % 8];
    const std::size_t used = units / 8 + (part.empty() ? 0 : 1);
    return repeated("█", units / 8) + std::string(part) + repeated("░", columns - used);
}

std::string marker_text(nanoseconds now, std::size_t columns, bool unicode) {
    const std::size_t frame = unicode ? 0 : 2;
    if (columns < frame + 1) return std::string(columns, ' ');
    const std::size_t inner = columns - frame;
    const std::size_t marker = std::min<std::size_t>(3, inner);
    const std::size_t way = inner - marker;
    const auto step =
        static_cast<std::size_t>(std::max<nanoseconds::rep>(now.count(), 0) / 100'000'000);
    const std::size_t phase = way == 0 ? 0 : step % (2 * way);
    const std::size_t before = phase <= way ? phase : 2 * way - phase;
    const std::string line = repeated(unicode ? "░" : "-", before) +
                             repeated(unicode ? "█" : "#", marker) +
                             repeated(unicode ? "░" : "-", way - before);
    return unicode ? line : fmt::format("[{}]", line);
}

bool is_utf8_locale(const char* lc_all, const char* lc_ctype, const char* lang) {
    for (const char* variable : {lc_all, lc_ctype, lang}) {
        if (variable == nullptr || *variable == '\0')
            continue;  // POSIX: an empty one counts as not set
        std::string name = variable;
        std::transform(name.begin(), name.end(), name.begin(),
                       [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
        return name.find("utf-8") != std::string::npos || name.find("utf8") != std::string::npos;
    }
    return false;
}

std::size_t progress::start(std::string_view name, time now) {
    transfer& one = active_[next_id_];
    one.name = printable(name);
    one.started = now;
    return next_id_++;
}

void progress::expect(std::size_t id, std::uint64_t bytes_total) {
    active_.at(id).bytes_total = bytes_total;
}

void progress::add(std::size_t id, std::uint64_t bytes) {
    active_.at(id).bytes += bytes;
    bytes_ += bytes;
}

void progress::done(std::size_t id, time now) {
    const transfer& one = active_.at(id);
    if (mode_ == progress_mode::lines)
        log_ += fmt::format("{}  {}  {}\n", one.name, bytes_text(one.bytes),
                            rate_text(one.bytes, now - one.started));
    ++files_done_;
    active_.erase(id);
}

void progress::failed(std::size_t id, std::string_view reason) {
    failed(active_.at(id).name, reason);
    active_.erase(id);
}

void progress::failed(std::string_view name, std::string_view reason) {
    log_ += fmt::format("{}  failed: {}\n", printable(name), printable(reason));
    ++files_failed_;
}

std::string progress::erased() {
    std::string result;
    if (lines_drawn_ > 0) result = fmt::format("\x1b[{}A\r\x1b[J", lines_drawn_);
    lines_drawn_ = 0;
    return result;
}

std::string progress::render(time now, screen size) {
    std::string out = erased() + log_;
    log_.clear();
    if (mode_ != progress_mode::bars) return out;

    // The total has a line of its own, and the cursor stands on one below it.
    const std::size_t room = size.rows > 2 ? size.rows - 2 : 0;
    const std::size_t bars = active_.size() <= room ? active_.size() : (room > 0 ? room - 1 : 0);
    auto next = active_.begin();
    for (std::size_t i = 0; i < bars; ++i, ++next)
        out += transfer_line(next->second, now, size) + "\n";
    lines_drawn_ = bars + 1;
    if (bars < active_.size() && room > 0) {
        const std::string more = fmt::format("and {} more", active_.size() - bars);
        out += fitted(more, std::min(more.size(), size.columns), size.unicode) + "\n";
        ++lines_drawn_;
    }
    return out + total_line(now, size) + "\n";
}

// From left to right: name, bar, percent, bytes, rate. Parts that do not fit are dropped, the name
// last.
std::string progress::transfer_line(const transfer& one, time now, screen size) const {
    const std::size_t columns = size.columns;
    if (columns < 16) return fitted(one.name, columns, size.unicode);
    std::string figures =
        one.bytes_total
            ? fmt::format(" {:3.0f}%", std::floor(100 * fraction_of(one.bytes, *one.bytes_total)))
            : std::string(5, ' ');
    if (columns >= 45) figures += fmt::format(" {:>9}", bytes_text(one.bytes));
    if (columns >= 60) figures += fmt::format(" {:>10}", rate_text(one.bytes, now - one.started));

    const std::size_t rest = columns - figures.size();
    if (columns < 30) return fitted(one.name, rest, size.unicode) + figures;
    const std::size_t name = std::clamp<std::size_t>(rest * 2 / 5, 8, 40);
    const std::size_t bar = rest - name - 1;
    return fitted(one.name, name, size.unicode) + " " +
           (one.bytes_total ? bar_text(fraction_of(one.bytes, *one.bytes_total), bar, size.unicode)
                            : marker_text(now, bar, size.unicode)) +
           figures;
}

std::string progress::total_line(time now, screen size) const {
    std::vector<std::string> parts = {
        fmt::format("{}/{}", files_done_ + files_failed_, counted(files_total_, "file"))};
    if (files_failed_ > 0) parts.push_back(fmt::format("{} failed", files_failed_));
    parts.push_back(bytes_text(bytes_));
    parts.push_back(rate_text(bytes_, now));
    if (const auto rest = remaining(now)) parts.push_back("ETA " + clock_text(*rest));

    std::string line = parts.front().substr(0, size.columns);
    for (std::size_t i = 1; i < parts.size() && line.size() + 2 + parts[i].size() <= size.columns;
         ++i)
        line += "  " + parts[i];
    return line;
}

// Counts bytes if the length of every remaining file is known; otherwise files, and parts of files
// as fractions.
std::optional<seconds> progress::remaining(time now) const {
    const std::size_t ended = files_done_ + files_failed_;
    bool all_known = ended + active_.size() >= files_total_;
    double files = static_cast<double>(ended);
    std::uint64_t bytes_left = 0;
    for (const auto& [id, one] : active_) {
        all_known = all_known && one.bytes_total.has_value();
        const std::uint64_t total = one.bytes_total.value_or(0);
        bytes_left += total > one.bytes ? total - one.bytes : 0;
        if (total > 0) files += fraction_of(one.bytes, total);
    }
    const double files_left = static_cast<double>(files_total_) - files;
    double rest = -1;
    if (all_known && bytes_ > 0)
        rest = in_seconds(now) * static_cast<double>(bytes_left) / static_cast<double>(bytes_);
    else if (!all_known && files > 0)
        rest = in_seconds(now) * files_left / files;
    constexpr double longest = 100 * 3600;
    if (rest < 0 || rest >= longest) return std::nullopt;
    return seconds(static_cast<seconds::rep>(std::ceil(rest)));
}

std::string progress::finish(time now) {
    std::string out = erased() + log_;
    log_.clear();
    return mode_ == progress_mode::quiet ? out : out + summary(now);
}

std::string progress::summary(time now) const {
    const double elapsed = in_seconds(now);
    const double files_per_second = elapsed > 0 ? static_cast<double>(files_done_) / elapsed : 0;
    std::string text =
        fmt::format("{}, {} in {}: {:.{}f} files/s, {}, {} failed", counted(files_done_, "file"),
                    bytes_text(bytes_), duration_text(now), files_per_second,
                    files_per_second < 9.95 ? 1 : 0, rate_text(bytes_, now), files_failed_);
    if (const auto ended = files_done_ + files_failed_; ended < files_total_)
        text += fmt::format(", {} not finished", files_total_ - ended);
    return text + "\n";
}

}  // namespace downloader
