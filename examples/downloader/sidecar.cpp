// SPDX-License-Identifier: MIT
// One fact a line, in a fixed order. The last line shows that nothing is missing.
#include "sidecar.hpp"

#include <fmt/core.h>

#include "text.hpp"

namespace downloader {

namespace {

constexpr std::uint64_t number_max = std::uint64_t{1} << 62;

/// Takes lines off a text; after the first that is not as expected everything fails.
class line_reader {
public:
    explicit line_reader(std::string_view text) : rest_(text) {}

    /// The value of the line "NAME VALUE"; empty if another line is next.
    std::string_view optional_value(std::string_view name) {
        if (!rest_.starts_with(name) || rest_.substr(name.size(), 1) != " ") return {};
        const auto end = rest_.find('\n');
        if (end == std::string_view::npos) return {};
        const std::string_view value = rest_.substr(name.size() + 1, end - name.size() - 1);
        for (const char c : value)
            if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) has_failed_ = true;
        rest_.remove_prefix(end + 1);
        return value;
    }
    std::string_view value(std::string_view name) {
        const std::string_view result = optional_value(name);
        if (result.empty()) has_failed_ = true;
        return result;
    }
    std::uint64_t number(std::string_view name) {
        const auto result = parse_number(value(name), 0, number_max);
        if (!result) has_failed_ = true;
        return result.value_or(0);
    }
    bool at_end() const { return rest_.empty(); }
    bool has_failed() const { return has_failed_; }

private:
    std::string_view rest_;
    bool has_failed_ = false;
};

/// "0-100 200-300"
std::optional<std::vector<byte_range>> parse_ranges(std::string_view text, std::uint64_t length) {
    std::vector<byte_range> ranges;
    if (text == "none") return ranges;
    if (text.ends_with(' ')) return std::nullopt;
    while (!text.empty()) {
        const std::string_view word = text.substr(0, text.find(' '));
        text.remove_prefix(word.size() + (word.size() < text.size() ? 1 : 0));
        const auto dash = word.find('-');
        if (dash == std::string_view::npos) return std::nullopt;
        const auto begin = parse_number(word.substr(0, dash), 0, length);
        const auto end = parse_number(word.substr(dash + 1), 0, length);
        if (!begin || !end || *begin >= *end) return std::nullopt;
        if (!ranges.empty() && *begin <= ranges.back().end) return std::nullopt;
        ranges.push_back({*begin, *end});
    }
    return ranges.empty() ? std::nullopt : std::optional(std::move(ranges));
}

}  // namespace

std::string state_text(const saved_state& state) {
    std::string text = "rondo-get 1\nurl " + state.url + "\n";
    if (!state.etag.empty()) text += "etag " + state.etag + "\n";
    if (!state.modified.empty()) text += "modified " + state.modified + "\n";
    text += fmt::format("length {}\ninode {}\ndone", state.length, state.inode);
    for (const byte_range& range : state.done)
        text += fmt::format(" {}-{}", range.begin, range.end);
    return text + (state.done.empty() ? " none\nend .\n" : "\nend .\n");
}

std::optional<saved_state> parse_state(std::string_view text) {
    if (text.size() > state_bytes_max) return std::nullopt;
    line_reader lines(text);
    saved_state state;
    if (lines.value("rondo-get") != "1") return std::nullopt;
    state.url = lines.value("url");
    state.etag = lines.optional_value("etag");
    state.modified = lines.optional_value("modified");
    state.length = lines.number("length");
    state.inode = lines.number("inode");
    auto done = parse_ranges(lines.value("done"), state.length);
    if (lines.value("end") != "." || !lines.at_end() || lines.has_failed() || !done)
        return std::nullopt;
    state.done = std::move(*done);
    return state;
}

}  // namespace downloader
