// SPDX-License-Identifier: MIT
// Columns of text, bars and markers.
#include "bars.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include <fmt/core.h>

#include "text.hpp"

namespace downloader {

namespace {

using std::chrono::nanoseconds;

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

}  // namespace

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

std::size_t width_of(std::string_view text) {
    std::size_t width = 0;
    while (!text.empty()) {
        if (text[0] == '\x1b') {  // ESC [ … letter
            std::size_t end = 2;
            while (end < text.size() && !(text[end] >= '@' && text[end] <= '~')) ++end;
            text.remove_prefix(std::min(end + 1, text.size()));
            continue;
        }
        const code_point c = first_code_point(text);
        width += columns_of(c.value);
        text.remove_prefix(c.size);
    }
    return width;
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

bool moves_cursor(const char* term) {
    return term != nullptr && *term != '\0' && std::string_view(term) != "dumb";
}

}  // namespace downloader
