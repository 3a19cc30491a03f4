// SPDX-License-Identifier: MIT
// Numbers with their words.
#include "status.hpp"

#include <algorithm>

#include <fmt/core.h>

namespace crawler {

namespace {

std::string counted(std::uint64_t count, std::string_view thing) {
    return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

std::string size_text(std::uint64_t bytes) {
    constexpr std::string_view units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    for (; value >= 1000 && unit + 1 < std::size(units); ++unit) value /= 1024;
    return fmt::format("{:.{}f} {}", value, unit > 0 && value < 99.95 ? 1 : 0, units[unit]);
}

double in_seconds(rondo::duration time) { return std::chrono::duration<double>(time).count(); }

std::string pace_text(std::uint64_t pages, rondo::duration time) {
    const double pace = time.count() > 0 ? static_cast<double>(pages) / in_seconds(time) : 0;
    return fmt::format("{:.{}f}/s", pace, pace < 9.95 ? 1 : 0);
}

}  // namespace

void crawl_counts::add(const page_result& result) {
    if (!result.skipped.empty()) {
        ++skipped;
        return;
    }
    ++(result.error.empty() ? pages : errors);
    if (result.status >= 100 && result.status < 600) ++statuses[result.status / 100];
    bytes += result.bytes.value_or(0);
}

std::string status_line(const crawl_counts& counts, const frontier_counts& work,
                        rondo::duration time, std::string_view url, std::size_t columns) {
    std::string line = counted(counts.pages, "page");
    if (counts.errors > 0) line += ", " + counted(counts.errors, "error");
    line += fmt::format(", {} waiting, {} at work, {}, {}", work.waiting, work.at_work,
                        size_text(counts.bytes), pace_text(counts.pages, time));
    line = line.substr(0, columns);
    constexpr std::size_t url_least = 16;
    if (line.size() + 2 + url_least > columns) return line;
    const std::size_t room = columns - line.size() - 2;
    return line + "  " + std::string(url.substr(0, room));
}

std::string summary(const crawl_counts& counts, const frontier_counts& work, rondo::duration time,
                    bool was_interrupted) {
    std::string text = was_interrupted ? "interrupted: " : "";
    text += fmt::format("{}, {} in {:.1f} s ({})", counted(counts.pages, "page"),
                        size_text(counts.bytes), in_seconds(time), pace_text(counts.pages, time));
    for (std::size_t digit = 3; digit < 6; ++digit)
        if (counts.statuses[digit] > 0)
            text += fmt::format(", {} × {}xx", counts.statuses[digit], digit);
    if (counts.errors > 0) text += ", " + counted(counts.errors, "error");
    if (counts.skipped > 0) text += fmt::format(", {} skipped", counts.skipped);
    if (was_interrupted) text += fmt::format(", {} not visited", work.waiting + work.at_work);
    if (work.given_up > 0) text += fmt::format(", {} given up", work.given_up);
    if (work.dropped > 0) text += fmt::format(", {} beyond --max-pages", work.dropped);
    return text + "\n";
}

}  // namespace crawler
