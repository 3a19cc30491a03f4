// SPDX-License-Identifier: MIT
// JSON, by hand: a result has few fields, and strings are all that needs care.
#include "result.hpp"

#include <cstddef>

#include <fmt/core.h>

namespace crawler {

namespace {

/// Bytes of the UTF-8 sequence that `text` begins with; 0 if it begins with none.
std::size_t sequence_at(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned lead = byte(0);
    if (lead < 0x80) return 1;
    const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return 0;
    for (std::size_t i = 1; i < size; ++i)
        if ((byte(i) & 0xc0) != 0x80) return 0;
    // Overlong forms, surrogates, and what is beyond Unicode.
    const unsigned second = byte(1);
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
        (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f))
        return 0;
    return size;
}

class json_writer {
public:
    void text(std::string_view name, std::string_view value) {
        if (!value.empty()) raw(name, json_string(value));
    }
    void flag(std::string_view name, bool value) {
        if (value) raw(name, "true");
    }
    template <class T>
    void number(std::string_view name, const std::optional<T>& value) {
        if (value) raw(name, std::to_string(*value));
    }
    void raw(std::string_view name, std::string_view value) {
        line_ += fmt::format("{}\"{}\":{}", line_.empty() ? "{" : ",", name, value);
    }
    std::string finish() { return line_ + '}'; }

private:
    std::string line_;
};

}  // namespace

std::string json_string(std::string_view text) {
    std::string result = "\"";
    while (!text.empty()) {
        const char c = text.front();
        const std::size_t size = sequence_at(text);
        if (c == '"' || c == '\\')
            result += {'\\', c};
        else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            result += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        else if (size == 0)
            result += "\\ufffd";
        else
            result += text.substr(0, size);
        text.remove_prefix(size == 0 ? 1 : size);
    }
    return result + '"';
}

std::string json_line(const page_result& result) {
    json_writer line;
    line.text("url", result.url);
    line.raw("depth", std::to_string(result.depth));
    if (result.status != 0) line.raw("status", std::to_string(result.status));
    line.text("type", result.type);
    line.text("title", result.title);
    line.number("bytes", result.bytes);
    line.flag("cut", result.is_cut);
    line.number("links", result.links);
    if (!result.to.empty()) {
        std::string list;
        for (const std::string& url : result.to)
            list += (list.empty() ? "" : ",") + json_string(url);
        line.raw("to", "[" + list + "]");
    }
    line.text("location", result.location);
    line.text("canonical", result.canonical);
    line.flag("noindex", result.is_noindex);
    if (result.skipped.empty())
        line.raw("time", fmt::format("{:.6f}", std::chrono::duration<double>(result.time).count()));
    line.text("skipped", result.skipped);
    line.text("error", result.error);
    return line.finish();
}

}  // namespace crawler
