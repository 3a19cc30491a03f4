// SPDX-License-Identifier: MIT
#include "http/charset.hpp"

#include <cstdint>

#include <rondo/http/fields.hpp>

#include "http/ascii.hpp"

namespace rondo {
inline namespace v0 {
namespace http {

namespace {

/// Bytes of the code point at the beginning of `text`, which is not empty; 0 if it is malformed.
std::size_t code_point_size(std::string_view text) noexcept {
    const auto byte = [&](std::size_t i) -> std::uint32_t {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
    };
    const std::uint32_t first = byte(0);
    if (first < 0x80) return 1;
    const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    std::uint32_t value = first & (0x7fU >> size);
    for (std::size_t i = 1; i < size; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return 0;
        value = value << 6 | (byte(i) & 0x3f);
    }
    constexpr std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const bool is_surrogate = value >= 0xd800 && value <= 0xdfff;
    return first < 0xc2 || first > 0xf4 || value < least[size] || value > 0x10ffff || is_surrogate
               ? 0
               : size;
}

}  // namespace

bool is_utf8(std::string_view text) noexcept {
    while (!text.empty()) {
        const std::size_t size = code_point_size(text);
        if (size == 0) return false;
        text.remove_prefix(size);
    }
    return true;
}

std::string latin1_to_utf8(std::string_view text) {
    std::string result;
    result.reserve(text.size());
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x80)
            result += c;
        else
            result +=
                {static_cast<char>(0xc0 | byte >> 6), static_cast<char>(0x80 | (byte & 0x3f))};
    }
    return result;
}

std::string to_utf8(std::string text, std::string_view charset) {
    if (same_word(charset, "iso-8859-1") || same_word(charset, "latin1"))
        return latin1_to_utf8(text);
    if (charset.empty() || same_word(charset, "utf-8") || same_word(charset, "utf8") ||
        same_word(charset, "us-ascii")) {
        if (text.compare(0, 3, "\xef\xbb\xbf") == 0) text.erase(0, 3);
        return text;
    }
    throw error("the text is in charset \"" + ascii::printable(charset) +
                "\", which is neither UTF-8 nor Latin-1: read its bytes");
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
