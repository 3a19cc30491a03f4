// SPDX-License-Identifier: MIT
#include "http/h1/field_lines.hpp"

#include <cstdint>
#include <cstring>

#include "http/ascii.hpp"
#include "http/field_writer.hpp"

namespace rondo {
inline namespace v0 {
namespace http {
namespace h1 {

namespace {

constexpr const char* malformed = "a header field is malformed";

/// True if one of eight bytes is below 0x20 or 0x7f: also for a tab, so the caller looks again.
bool may_have_control(std::uint64_t eight) noexcept {
    constexpr std::uint64_t ones = 0x0101010101010101, high = 0x8080808080808080;
    const std::uint64_t no_delete = eight ^ (ones * 0x7f);
    return (((eight - ones * 0x20) & ~eight) | ((no_delete - ones) & ~no_delete)) & high;
}

// is_field_value(), eight bytes at a time.
bool has_no_control(std::string_view text) noexcept {
    const char* at = text.data();
    std::size_t left = text.size();
    for (; left >= 8; at += 8, left -= 8) {
        std::uint64_t eight;
        std::memcpy(&eight, at, 8);
        if (may_have_control(eight) && !is_field_value({at, 8})) return false;
    }
    return is_field_value({at, left});
}

}  // namespace

found_line field_lines::take(std::string_view bytes) {
    if (is_joined_) clear();
    if (bytes.empty()) return {};
    const void* feed = std::memchr(bytes.data(), '\n', bytes.size());
    if (feed == nullptr) {
        kept_ += bytes;
        return {bytes.size(), false, {}, nullptr};
    }
    found_line found;
    found.consumed = static_cast<std::size_t>(static_cast<const char*>(feed) - bytes.data()) + 1;
    found.text = bytes.substr(0, found.consumed);
    if (!kept_.empty()) {
        found.text = kept_ += found.text;
        is_joined_ = true;
    }
    if (found.text.size() < 2 || found.text[found.text.size() - 2] != '\r') {
        found.error = bare_line_feed;
        return found;
    }
    found.text.remove_suffix(2);
    found.is_complete = true;
    return found;
}

void field_lines::clear() noexcept {
    is_joined_ = false;
    kept_.clear();
    if (kept_.capacity() > 4096) kept_ = std::string();  // an idle connection stays small
}

const char* add_field_line(fields& to, std::string_view line, bool may_fold) {
    if (line.front() == ' ' || line.front() == '\t') {
        if (!may_fold) return "a header field is folded";
        if (to.empty()) return "a line before the first header field begins with a space";
        const std::string_view more = ascii::trimmed(line);
        if (!has_no_control(more)) return malformed;
        field_writer(to).extend_last(more);
        return nullptr;
    }
    std::size_t colon = 0;
    while (colon < line.size() && ascii::token_characters.has(line[colon])) ++colon;
    if (colon == 0 || colon == line.size() || line[colon] != ':') return malformed;
    const std::string_view value = ascii::trimmed(line.substr(colon + 1));
    if (!has_no_control(value)) return malformed;
    field_writer(to).add(line.substr(0, colon), value);
    return nullptr;
}

}  // namespace h1
}  // namespace http
}  // namespace v0
}  // namespace rondo
