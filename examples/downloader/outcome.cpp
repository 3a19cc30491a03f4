// SPDX-License-Identifier: MIT
// JSON (RFC 8259).
#include "outcome.hpp"

#include <string_view>

#include <fmt/core.h>

#include "figures.hpp"
#include "text.hpp"

namespace downloader {

namespace {

/// `text` in quotes. Bytes that are no UTF-8 become U+FFFD.
std::string json_text(std::string_view text) {
    std::string result = "\"";
    while (!text.empty()) {
        const code_point c = first_code_point(text);
        if (!c.valid)
            result += "\xef\xbf\xbd";
        else if (c.value == U'"' || c.value == U'\\')
            result += "\\" + std::string(text.substr(0, 1));
        else if (c.value < 0x20 || c.value == 0x7f)
            result += fmt::format("\\u{:04x}", static_cast<unsigned>(c.value));
        else
            result += text.substr(0, c.size);
        text.remove_prefix(c.size);
    }
    return result + "\"";
}

const char* word_of(ending how) {
    switch (how) {
        case ending::done:
            return "done";
        case ending::skipped:
            return "skipped";
        case ending::failed:
            return "failed";
        case ending::interrupted:
            return "interrupted";
    }
    return "";
}

}  // namespace

std::string json_line(const outcome& end, const std::string& folder) {
    std::string line =
        fmt::format("{{\"status\":\"{}\",\"url\":{}", word_of(end.how), json_text(end.url));
    if (!end.name.empty()) line += ",\"file\":" + json_text(folder + "/" + end.name);
    line += fmt::format(",\"bytes\":{},\"received\":{},\"resumed_at\":{},\"seconds\":{:.3f}",
                        end.bytes, end.received, end.resumed_at, in_seconds(end.took));
    if (!end.sha256.empty()) line += ",\"sha256\":" + json_text(end.sha256);
    if (!end.encoding.empty()) line += ",\"encoding\":" + json_text(end.encoding);
    if (!end.reason.empty()) line += ",\"reason\":" + json_text(end.reason);
    return line + "}\n";
}

}  // namespace downloader
