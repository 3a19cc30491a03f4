// SPDX-License-Identifier: MIT
// Files as replies (RFC 9110, sections 8.8, 13 and 14).
#include "http/server/files.hpp"

#include <cerrno>
#include <charconv>
#include <chrono>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include <rondo/file.hpp>
#include <rondo/http/date.hpp>

#include "http/media_type.hpp"
#include "http/range.hpp"
#include "http/server/exchange.hpp"
#include "http/server/reply_source.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

using made_source = std::unique_ptr<reply_source, reply_source_deleter>;

/// Errors of an open that mean that there is no such file for this client.
bool means_missing(const std::system_error& error) noexcept {
    switch (error.code().value()) {
        case ENOENT:
        case ENOTDIR:
        case EACCES:
        case EPERM:
        case ELOOP:
        case EXDEV:
        case ENAMETOOLONG:
        case EINVAL:
        case ENXIO:
            return true;
        default:
            return false;
    }
}

/// Changes with each change of the file: its size and the nanoseconds of its time.
std::string tag_of(const file_status& status) {
    std::string tag = "\"";
    char digits[16];
    const auto append = [&](std::uint64_t number) {
        tag.append(digits, std::to_chars(digits, digits + sizeof digits, number, 16).ptr);
    };
    append(static_cast<std::uint64_t>(status.modified.time_since_epoch().count()));
    tag += '-';
    append(status.size);
    return tag += '"';
}

/// The status that the conditions of a request ask for: 200, 304, 412.
int judge_conditions(const http::fields& headers, const std::string& tag,
                     http::date_time modified) {
    const auto date_of = [&headers](std::string_view name) {
        const auto value = headers.get(name);
        return value ? http::parse_http_date(*value) : std::nullopt;
    };
    if (headers.contains("if-match")) {
        if (!http::has_strong_tag(headers.joined("if-match"), tag)) return 412;
    } else if (const auto since = date_of("if-unmodified-since"); since && modified > *since) {
        return 412;
    }
    if (headers.contains("if-none-match")) {
        if (http::has_weak_tag(headers.joined("if-none-match"), tag)) return 304;
    } else if (const auto since = date_of("if-modified-since"); since && modified <= *since) {
        return 304;
    }
    return 200;
}

/// The ranges to send; nothing for the whole file. With if-range only if the file is still the one
/// that the client has a part of.
std::optional<std::vector<http::byte_range>> ranges_for(const http::fields& headers,
                                                        const std::string& tag,
                                                        http::date_time modified,
                                                        std::uint64_t size) {
    const auto wanted = headers.get("range");
    if (!wanted) return std::nullopt;
    if (const auto only_if = headers.get("if-range")) {
        const auto date = http::parse_http_date(*only_if);
        if (date ? *date != modified : !http::has_strong_tag(*only_if, tag)) return std::nullopt;
    }
    return http::parse_range(*wanted, size);
}

http::reply bodiless(int status, const std::string& tag, std::string_view modified) {
    http::reply made = status == 304 ? http::reply::status(304) : http::reply::status(status);
    made.header("etag", tag).header("last-modified", modified);
    return made;
}

/// The whole file with the status of the handler: the conditions of the request are not about it.
http::reply plain_file(file opened, std::uint64_t size, int code, std::string_view type) {
    made_source source(new reply_source);
    source->length = size;
    source->file = std::move(opened);
    return http::reply::of_source(std::move(source), code, type);
}

/// The reply with a file that was opened. 404 for a directory, a device, a FIFO.
task<http::reply> reply_of(file opened, const http_server_request& request, std::string type,
                           int code = 200) {
    const file_status status = co_await opened.status();
    if (status.kind != file_kind::regular) co_return http::reply::status(404);
    const bool is_read = request.method == "GET" || request.method == "HEAD";
    if (code != 200 || !is_read)
        co_return plain_file(std::move(opened), status.size, code, type);
    const std::string tag = tag_of(status);
    const auto modified = std::chrono::floor<std::chrono::seconds>(status.modified);
    const std::string date = http::http_date(modified);
    const int judged = judge_conditions(*request.headers, tag, modified);
    if (judged != 200) co_return bodiless(judged, tag, date);
    const auto ranges = request.method == "GET"
                            ? ranges_for(*request.headers, tag, modified, status.size)
                            : std::nullopt;
    if (ranges && ranges->empty()) {
        http::reply made = http::reply::status(416);
        made.header("content-range", http::unsatisfied_range(status.size));
        co_return made;
    }
    made_source source(new reply_source);
    source->length = status.size;
    source->file = std::move(opened);
    const bool is_part = ranges && ranges->size() == 1;
    if (is_part) {
        source->offset = ranges->front().first;
        source->length = ranges->front().size();
    }
    http::reply made = http::reply::of_source(std::move(source), is_part ? 206 : 200, type);
    made.header("etag", tag).header("last-modified", date).header("accept-ranges", "bytes");
    if (is_part) made.header("content-range", http::content_range(ranges->front(), status.size));
    co_return made;
}

/// Opens a file for a client; empty if there is none for it.
task<file> open_or_none(const std::string* folder, const std::string* path) {
    try {
        if (folder == nullptr) co_return co_await file::open(*path);
        const file base = co_await file::open(*folder);
        co_return co_await file::open_beneath(base, *path);
    } catch (const std::system_error& error) {
        if (!means_missing(error)) throw;
    }
    co_return file();
}

bool is_hidden(std::string_view path) {
    return path.starts_with('.') || path.find("/.") != path.npos;
}

}  // namespace

task<http::reply> send_from_folder(const http_folder& folder, http::request& to,
                                   std::string_view path) {
    std::string wanted(path);
    if (wanted.empty() || wanted.back() == '/') wanted += folder.index;
    if (wanted.empty() || wanted.back() == '/' || (!folder.hidden && is_hidden(wanted)))
        co_return http::reply::status(404);
    file opened = co_await open_or_none(&folder.path, &wanted);
    if (!opened) co_return http::reply::status(404);
    const file_status status = co_await opened.status();
    if (status.kind == file_kind::directory) {  // so that relative links in its index are right
        std::string where(to.path());
        where += '/';
        if (!to.state().query_text.empty()) (where += '?') += to.state().query_text;
        co_return http::reply::redirect(where, 308);
    }
    std::string type(http::media_type_of(wanted));
    http::reply made = co_await reply_of(std::move(opened), to.state(), std::move(type));
    if (!folder.cache_control.empty()) made.header("cache-control", folder.cache_control);
    co_return made;
}

task<http::reply> open_reply_file(http::reply asked, http::request& to) {
    const std::string path = asked.source()->path;
    file opened = co_await open_or_none(nullptr, &path);
    if (!opened) co_return http::reply::status(404);
    std::string type(asked.content_type());
    if (type.empty()) type = http::media_type_of(path);
    http::reply made =
        co_await reply_of(std::move(opened), to.state(), std::move(type), asked.status());
    for (const char* name : {"etag", "last-modified", "accept-ranges"})
        if (asked.headers().contains(name)) made.headers().erase(name);  // the handler's is sent
    for (const auto& [name, value] : asked.headers())
        if (!http::same_word(name, "content-type")) made.headers().add(name, value);
    if (asked.closes()) made.close();
    co_return made;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
