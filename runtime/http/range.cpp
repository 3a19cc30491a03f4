// SPDX-License-Identifier: MIT
#include "http/range.hpp"

#include <algorithm>
#include <charconv>

#include <rondo/http/fields.hpp>

#include "http/ascii.hpp"

namespace rondo {
inline namespace v0 {
namespace http {

namespace {

/// A number of digits alone; larger ones than 2^64 - 1 are the largest.
std::optional<std::uint64_t> number_in(std::string_view digits) {
    if (digits.empty() || !std::all_of(digits.begin(), digits.end(), ascii::is_digit))
        return std::nullopt;
    std::uint64_t value = 0;
    const auto error = std::from_chars(digits.data(), digits.data() + digits.size(), value).ec;
    return error == std::errc() ? value : UINT64_MAX;
}

/// Removes "bytes" and `separator` from the front. Returns: false if they are not there.
bool take_unit(std::string_view& value, char separator) {
    value = ascii::trimmed(value);
    if (value.size() < 6 || !same_word(value.substr(0, 5), "bytes") || value[5] != separator)
        return false;
    value.remove_prefix(6);
    return true;
}

}  // namespace

std::optional<std::vector<byte_range>> parse_range(std::string_view value, std::uint64_t size) {
    if (!take_unit(value, '=')) return std::nullopt;
    std::vector<byte_range> ranges;
    const auto elements = split_list(value);
    if (elements.empty() || elements.size() > ranges_max) return std::nullopt;
    for (const std::string_view element : elements) {
        const auto dash = element.find('-');
        if (dash == std::string_view::npos) return std::nullopt;
        const auto first = number_in(element.substr(0, dash));
        const auto last = number_in(element.substr(dash + 1));
        const bool has_first = dash > 0, has_last = dash + 1 < element.size();
        if ((has_first && !first) || (has_last && !last) || (!first && !last)) return std::nullopt;
        if (first && last && *last < *first) return std::nullopt;
        if (!first) {  // the last bytes
            if (*last > 0 && size > 0) ranges.push_back({size - std::min(*last, size), size - 1});
        } else if (*first < size) {
            ranges.push_back({*first, std::min(last.value_or(size - 1), size - 1)});
        }
    }
    return ranges;
}

std::string content_range(const byte_range& part, std::uint64_t size) {
    return "bytes " + std::to_string(part.first) + '-' + std::to_string(part.last) + '/' +
           std::to_string(size);
}

std::string unsatisfied_range(std::uint64_t size) { return "bytes */" + std::to_string(size); }

std::optional<received_range> parse_content_range(std::string_view value) {
    if (!take_unit(value, ' ')) return std::nullopt;
    const auto dash = value.find('-');
    const auto slash = value.find('/');
    if (dash == std::string_view::npos || slash == std::string_view::npos || slash < dash)
        return std::nullopt;
    const auto first = number_in(value.substr(0, dash));
    const auto last = number_in(value.substr(dash + 1, slash - dash - 1));
    const auto size = number_in(value.substr(slash + 1));
    if (!first || !last || *last < *first || *last == UINT64_MAX) return std::nullopt;
    if (!size && value.substr(slash + 1) != "*") return std::nullopt;
    if (size && *last >= *size) return std::nullopt;
    return received_range{{*first, *last}, size};
}

bool has_weak_tag(std::string_view list, std::string_view tag) {
    const auto opaque = [](std::string_view text) {
        return text.substr(0, 2) == "W/" ? text.substr(2) : text;
    };
    for (const std::string_view element : split_list(list))
        if (element == "*" || opaque(element) == opaque(tag)) return true;
    return false;
}

bool has_strong_tag(std::string_view list, std::string_view tag) {
    for (const std::string_view element : split_list(list))
        if (element == "*" || (element == tag && tag.substr(0, 2) != "W/")) return true;
    return false;
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
