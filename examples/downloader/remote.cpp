// SPDX-License-Identifier: MIT
// ETag, Last-Modified, Content-Range.
#include "remote.hpp"

#include <chrono>
#include <string_view>

#include <rondo/http/date.hpp>
#include <rondo/http/range.hpp>

namespace downloader {

namespace {

namespace http = rondo::http;

constexpr std::size_t validator_bytes_max = 200;

/// The value of a field that is sent back to the server, and kept in a line of the state.
std::string validator_of(const http::fields& headers, std::string_view name) {
    const auto value = headers.get(name);
    if (!value || value->size() > validator_bytes_max || !http::is_field_value(*value)) return {};
    return std::string(*value);
}

bool is_strong_tag(std::string_view tag) {
    return tag.size() >= 2 && tag.front() == '"' && tag.back() == '"';
}

bool is_strong_date(std::string_view modified, const http::fields& headers) {
    const auto date = headers.get("date");
    const auto changed = http::parse_http_date(modified);
    const auto sent = date ? http::parse_http_date(*date) : std::nullopt;
    return changed && sent && *sent - *changed >= std::chrono::seconds(1);
}

}  // namespace

remote_file describe(const response_head& head) {
    remote_file file;
    file.date = validator_of(head.headers, "last-modified");
    if (is_strong_date(file.date, head.headers)) file.modified = file.date;
    file.etag = validator_of(head.headers, "etag");
    if (!is_strong_tag(file.etag)) file.etag.clear();
    if (head.status == 206) {
        const auto range =
            http::parse_content_range(head.headers.get("content-range").value_or(""));
        if (range) file.length = range->size;
        file.takes_ranges = true;
    } else {
        file.length = head.content_length;
        file.takes_ranges = head.headers.has_token("accept-ranges", "bytes");
    }
    return file;
}

bool is_same(const remote_file& a, const remote_file& b) {
    if (a.length != b.length) return false;
    if (!a.etag.empty() || !b.etag.empty()) return a.etag == b.etag;
    return !a.modified.empty() && a.modified == b.modified;
}

std::uint64_t end_of(const response_head& head) {
    const auto range = http::parse_content_range(head.headers.get("content-range").value_or(""));
    return head.status == 206 && range ? range->part.last + 1 : segments::unknown;
}

answer judge(const response_head& head, const byte_range& wanted) {
    if (head.status == 200 || head.status == 203) return answer::whole;
    if (wanted == all_bytes) return answer::error;
    if (head.status == 416) return answer::none;
    if (head.status != 206) return answer::error;
    const auto range = http::parse_content_range(head.headers.get("content-range").value_or(""));
    const bool is_wanted =
        range && range->part.first == wanted.begin && range->part.last < wanted.end;
    if (!is_wanted) return answer::error;
    const std::uint64_t size = range->part.last + 1 - range->part.first;
    return head.content_length.value_or(size) == size ? answer::part : answer::error;
}

}  // namespace downloader
