// SPDX-License-Identifier: MIT
#include "http/media_type.hpp"

#include <array>
#include <utility>

#include <rondo/http/fields.hpp>

#include "http/ascii.hpp"

namespace rondo {
inline namespace v0 {
namespace http {

namespace {

using row = std::pair<std::string_view, std::string_view>;
constexpr std::array<row, 38> table = {{
    {"html", "text/html; charset=utf-8"},
    {"htm", "text/html; charset=utf-8"},
    {"txt", "text/plain; charset=utf-8"},
    {"md", "text/plain; charset=utf-8"},
    {"css", "text/css; charset=utf-8"},
    {"csv", "text/csv; charset=utf-8"},
    {"js", "text/javascript; charset=utf-8"},
    {"mjs", "text/javascript; charset=utf-8"},
    {"json", "application/json"},
    {"map", "application/json"},
    {"webmanifest", "application/manifest+json"},
    {"xml", "application/xml"},
    {"xhtml", "application/xhtml+xml"},
    {"pdf", "application/pdf"},
    {"zip", "application/zip"},
    {"gz", "application/gzip"},
    {"zst", "application/zstd"},
    {"xz", "application/x-xz"},
    {"tar", "application/x-tar"},
    {"wasm", "application/wasm"},
    {"svg", "image/svg+xml"},
    {"png", "image/png"},
    {"jpg", "image/jpeg"},
    {"jpeg", "image/jpeg"},
    {"gif", "image/gif"},
    {"webp", "image/webp"},
    {"avif", "image/avif"},
    {"ico", "image/vnd.microsoft.icon"},
    {"mp3", "audio/mpeg"},
    {"ogg", "audio/ogg"},
    {"wav", "audio/wav"},
    {"mp4", "video/mp4"},
    {"webm", "video/webm"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"ttf", "font/ttf"},
    {"otf", "font/otf"},
    {"ics", "text/calendar; charset=utf-8"},
}};

}  // namespace

std::string_view media_type_of(std::string_view path) noexcept {
    const std::string_view name = path.substr(path.rfind('/') + 1);
    const auto dot = name.rfind('.');
    if (dot != std::string_view::npos)
        for (const auto& [extension, type] : table)
            if (same_word(name.substr(dot + 1), extension)) return type;
    return "application/octet-stream";
}

bool is_compressible(std::string_view media_type) noexcept {
    const std::string_view type = ascii::trimmed(media_type.substr(0, media_type.find(';')));
    if (same_word(type.substr(0, 5), "text/")) return !same_word(type, "text/event-stream");
    for (const std::string_view each :
         {"application/json", "application/xml", "application/javascript", "application/wasm"})
        if (same_word(type, each)) return true;
    const auto plus = type.rfind('+');
    const std::string_view suffix = plus == std::string_view::npos ? "" : type.substr(plus);
    return same_word(suffix, "+xml") || same_word(suffix, "+json");
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
