// SPDX-License-Identifier: MIT
// Characters of HTTP: independent of the locale, and of the signedness of char.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace rondo {
inline namespace v0 {
namespace http {
namespace ascii {

constexpr char lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_alpha(char c) noexcept { return lower(c) >= 'a' && lower(c) <= 'z'; }
constexpr bool is_control(char c) noexcept {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}
/// True for printable ASCII without the space.
constexpr bool is_visible(char c) noexcept { return c > 0x20 && c < 0x7f; }

/// Value of a hexadecimal digit, or -1.
constexpr int hex_digit(char c) noexcept {
    if (is_digit(c)) return c - '0';
    return lower(c) >= 'a' && lower(c) <= 'f' ? lower(c) - 'a' + 10 : -1;
}
inline constexpr std::string_view hex_digits = "0123456789ABCDEF";

/// A set of characters, looked up by one load.
class set {
public:
    constexpr explicit set(std::string_view others) noexcept {
        for (int c = 0; c < 128; ++c)
            if (is_digit(static_cast<char>(c)) || is_alpha(static_cast<char>(c)))
                has_[static_cast<std::size_t>(c)] = true;
        for (const char c : others) has_[static_cast<unsigned char>(c)] = true;
    }
    constexpr bool has(char c) const noexcept { return has_[static_cast<unsigned char>(c)]; }

private:
    std::array<bool, 256> has_{};
};

/// Letters and digits with others.
inline constexpr set token_characters("!#$%&'*+-.^_`|~");
inline constexpr set unreserved_characters("-._~");

/// `text` without the spaces and tabs around it.
constexpr std::string_view trimmed(std::string_view text) noexcept {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

/// `text` for a message: other bytes than printable ASCII become '?'; cut after 80 bytes.
inline std::string printable(std::string_view text) {
    std::string result(text.substr(0, 80));
    for (char& c : result)
        if (c < 0x20 || c > 0x7e) c = '?';
    return text.size() > 80 ? result + "..." : result;
}

}  // namespace ascii
}  // namespace http
}  // namespace v0
}  // namespace rondo
