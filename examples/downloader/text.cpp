// SPDX-License-Identifier: MIT
// UTF-8, numbers with units, words of a shell.
#include "text.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/core.h>
#include <rondo/http/error.hpp>
#include <rondo/http/url.hpp>

namespace downloader {

namespace {

constexpr std::string_view digits = "0123456789";

/// A number such as "1.5", without sign and exponent, and what follows it.
struct number_and_unit {
    double number = 0;
    std::string unit;
};

std::optional<number_and_unit> split_unit(std::string_view text) {
    const std::size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
    if (end == 0 || end > 15 || digits.find(text[0]) == std::string_view::npos) return std::nullopt;
    number_and_unit result;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + end, result.number);
    if (error != std::errc() || stop != text.data() + end) return std::nullopt;
    for (const char c : text.substr(end))
        result.unit += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    return result;
}

}  // namespace

code_point first_code_point(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned lead = byte(0);
    if (lead < 0x80) return {lead, 1, true};
    const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return {lead, 1, false};
    char32_t value = lead & (0x7fU >> size);
    for (std::size_t i = 1; i < size; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return {lead, 1, false};
        value = (value << 6) | (byte(i) & 0x3fU);
    }
    const char32_t least = size == 4 ? 0x10000 : size == 3 ? 0x800 : 0x80;
    if (value < least || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
        return {lead, 1, false};
    return {value, size, true};
}

bool is_unsafe(char32_t c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

std::string printable(std::string_view text, std::size_t bytes_max) {
    const auto is_plain = [](char c) { return c >= 0x20 && c < 0x7f; };
    if (text.size() <= bytes_max && std::all_of(text.begin(), text.end(), is_plain))
        return std::string(text);
    std::string result;
    while (!text.empty()) {
        const code_point c = first_code_point(text);
        if (result.size() + c.size > bytes_max) break;
        if (c.valid && !is_unsafe(c.value))
            result += text.substr(0, c.size);
        else
            result += '?';
        text.remove_prefix(c.size);
    }
    return result;
}

/// As bash and POSIX of 2024 have it: $'\ooo', for text that must not reach a terminal as it is.
std::string escaped_word(std::string_view text) {
    std::string result = "$'";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte >= 0x7f || c == '\'' || c == '\\')
            result += fmt::format("\\{:03o}", byte);
        else
            result += c;
    }
    return result + "'";
}

std::string shell_word(std::string_view text) {
    constexpr std::string_view plain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-";
    if (!text.empty() && text.find_first_not_of(plain) == std::string_view::npos)
        return std::string(text);
    if (printable(text) != text) return escaped_word(text);
    std::string result = "'";
    for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return result + "'";
}

std::string without_password(std::string_view text) {
    try {
        return rondo::http::url(text).text();
    } catch (const rondo::http::url_error&) {
    }
    const auto begin = text.find("://");
    if (begin == std::string_view::npos) return std::string(text);
    // A password with a '/' or a '?' makes it no URL, and its end is not known.
    const auto at = text.rfind('@');
    if (at == std::string_view::npos || at < begin) return std::string(text);
    return std::string(text.substr(0, begin + 3)) + std::string(text.substr(at + 1));
}

std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t least,
                                          std::uint64_t most) {
    std::uint64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || stop != end || number < least || number > most) return std::nullopt;
    return number;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
    const auto parts = split_unit(text);
    if (!parts) return std::nullopt;
    std::string_view unit = parts->unit;
    constexpr std::string_view units = "kmgtp";
    double bytes = parts->number;
    if (!unit.empty() && unit != "b") {
        const auto power = units.find(unit[0]);
        unit.remove_prefix(1);
        if (power == std::string_view::npos || (!unit.empty() && unit != "b" && unit != "ib"))
            return std::nullopt;
        bytes *= std::pow(1024.0, static_cast<double>(power + 1));
    }
    if (bytes >= 9e18) return std::nullopt;
    return static_cast<std::uint64_t>(bytes);
}

std::optional<std::chrono::milliseconds> parse_seconds(std::string_view text) {
    const auto parts = split_unit(text);
    if (!parts) return std::nullopt;
    const std::string& unit = parts->unit;
    const double factor = unit.empty() || unit == "s" ? 1000
                          : unit == "ms"              ? 1
                          : unit == "m"               ? 60'000
                                                      : -1;
    const double time = parts->number * factor;
    if (factor < 0 || time > 100.0 * 86'400'000) return std::nullopt;
    return std::chrono::milliseconds(static_cast<std::int64_t>(time));
}

std::optional<std::string> parse_sha256(std::string_view text) {
    if (text.size() != 64) return std::nullopt;
    std::string result;
    for (char c : text) {
        if (c >= 'A' && c <= 'F') c = static_cast<char>(c + 32);
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return std::nullopt;
        result += c;
    }
    return result;
}

}  // namespace downloader
