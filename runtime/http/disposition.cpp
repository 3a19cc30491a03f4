// SPDX-License-Identifier: MIT
#include "http/disposition.hpp"

#include <algorithm>

#include <rondo/http/fields.hpp>
#include <rondo/http/url.hpp>

#include "http/ascii.hpp"
#include "http/charset.hpp"

namespace rondo {
inline namespace v0 {
namespace http {

namespace {

/// `UTF-8'en'%e2%82%ac` (RFC 8187) in UTF-8.
std::optional<std::string> extended_value(std::string_view text) {
    const auto first = text.find('\'');
    const auto second = first == std::string_view::npos ? first : text.find('\'', first + 1);
    if (second == std::string_view::npos) return std::nullopt;
    const std::string_view charset = text.substr(0, first);
    auto decoded = percent_decode(text.substr(second + 1));
    if (!decoded) return std::nullopt;
    if (same_word(charset, "iso-8859-1")) return latin1_to_utf8(*decoded);
    if (!same_word(charset, "utf-8") || !is_utf8(*decoded)) return std::nullopt;
    return decoded;
}

/// The size of a C1 control character or one that changes the direction of a text, in UTF-8; or 0.
std::size_t deceptive_size(std::string_view text) {
    const auto byte = [&](std::size_t i) {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
    };
    if (byte(0) == 0xc2 && byte(1) >= 0x80 && byte(1) <= 0x9f) return 2;
    if (byte(0) != 0xe2) return 0;
    const bool is_mark = byte(1) == 0x80 && (byte(2) == 0x8e || byte(2) == 0x8f ||
                                             (byte(2) >= 0xa8 && byte(2) <= 0xae));
    const bool is_isolate = byte(1) == 0x81 && byte(2) >= 0xa6 && byte(2) <= 0xa9;
    return is_mark || is_isolate ? 3 : 0;
}

/// Cuts bytes before the extension, and no code point in two.
std::string shortened(const std::string& name) {
    if (name.size() <= file_name_bytes_max) return name;
    const auto dot = name.rfind('.');
    const std::string extension =
        dot != std::string::npos && name.size() - dot <= 20 ? name.substr(dot) : "";
    std::size_t end = file_name_bytes_max - extension.size();
    while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xc0) == 0x80) --end;
    return name.substr(0, end) + extension;
}

}  // namespace

std::optional<std::string> disposition_file_name(std::string_view value) {
    const parameters all(value);
    if (const auto extended = all.get("filename*"))
        if (const auto name = extended_value(*extended))
            if (auto safe = safe_file_name(*name)) return safe;
    const auto plain = all.get("filename");
    return plain ? safe_file_name(*plain) : std::nullopt;
}

std::optional<std::string> safe_file_name(std::string_view name) {
    name.remove_prefix(name.find_last_of("/\\") + 1);
    std::string text(ascii::trimmed(name));
    if (!is_utf8(text)) text = latin1_to_utf8(text);
    std::string result;
    for (std::size_t i = 0; i < text.size();) {
        const std::size_t deceptive = deceptive_size(std::string_view(text).substr(i));
        const bool is_bad = ascii::is_control(text[i]) ||
                            std::string_view("<>:\"|?*").find(text[i]) != std::string_view::npos;
        result += deceptive > 0 || is_bad ? '_' : text[i];
        i += std::max<std::size_t>(deceptive, 1);
    }
    while (!result.empty() && (result.back() == '.' || result.back() == ' ')) result.pop_back();
    if (result.empty()) return std::nullopt;
    if (result.front() == '.' || result.front() == '-') result.front() = '_';
    return shortened(result);
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
