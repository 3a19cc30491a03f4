// SPDX-License-Identifier: MIT
// Targets as lines of text.
#include "frontier.hpp"

#include <charconv>
#include <system_error>

#include <fmt/core.h>

namespace crawler {

namespace {

/// Takes a number and the space after it off `line`.
std::optional<unsigned> number_off(std::string_view& line) {
    unsigned result = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), result);
    if (error != std::errc() || end == line.data() + line.size() || *end != ' ')
        return std::nullopt;
    line.remove_prefix(static_cast<std::size_t>(end - line.data()) + 1);
    return result;
}

}  // namespace

std::string target::text() const { return fmt::format("{} {} {}", depth, redirects, url); }

std::optional<target> target::parse(std::string_view line) {
    const auto depth = number_off(line);
    if (!depth) return std::nullopt;
    const auto redirects = number_off(line);
    if (!redirects || line.empty()) return std::nullopt;
    return target(std::string(line), *depth, *redirects);
}

}  // namespace crawler
