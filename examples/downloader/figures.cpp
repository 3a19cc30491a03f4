// SPDX-License-Identifier: MIT
// Units and roundings.
#include "figures.hpp"

#include <array>

#include <fmt/core.h>

namespace downloader {

namespace {

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

}  // namespace

double in_seconds(std::chrono::nanoseconds time) {
    return std::chrono::duration<double>(time).count();
}

std::string bytes_text(std::uint64_t bytes) {
    const auto [value, unit] = scale(static_cast<double>(bytes));
    return bytes < 1000 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, unit);
}

std::string rate_text(double bytes_per_second) {
    const auto [value, unit] = scale(bytes_per_second);
    return value < 99.95 ? fmt::format("{:.1f} {}/s", value, unit)
                         : fmt::format("{:.0f} {}/s", value, unit);
}

std::string rate_text(std::uint64_t bytes, std::chrono::nanoseconds in) {
    const double time = in_seconds(in);
    return rate_text(time > 0 ? static_cast<double>(bytes) / time : 0);
}

std::string clock_text(std::chrono::seconds time) {
    const auto all = time.count();
    if (all >= 3600) return fmt::format("{}:{:02}:{:02}", all / 3600, all / 60 % 60, all % 60);
    return fmt::format("{}:{:02}", all / 60, all % 60);
}

std::string duration_text(std::chrono::nanoseconds time) {
    const double all = in_seconds(time);
    if (all < 9.995) return fmt::format("{:.2f} s", all);
    if (all < 59.95) return fmt::format("{:.1f} s", all);
    return clock_text(std::chrono::round<std::chrono::seconds>(time));
}

std::string counted(std::size_t count, const char* noun) {
    return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

}  // namespace downloader
