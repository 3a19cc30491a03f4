// SPDX-License-Identifier: MIT
// Asks, checks, and moves the body from the socket to the disk.
#include "fetch.hpp"

#include <stdexcept>
#include <string_view>

#include <fmt/core.h>

#include "names.hpp"
#include "part_file.hpp"

namespace downloader {

namespace {

namespace http = rondo::http;

http::session_options options_for(std::size_t jobs_max) {
    http::session_options options;
    options.connections = options.connections_per_host = jobs_max;
    options.cookies = false;
    options.version = http::version::http_1_1;  // a connection for each file is faster than one
    return options;
}

/// Throws: std::runtime_error unless the response carries the whole file.
void check_whole(const http::response& response) {
    response.raise_for_status();
    const int status = response.status();
    if (status >= 200 && status < 300 && status != 206) return;
    throw std::runtime_error(
        fmt::format("{} {}: this is not the whole file", status, response.reason()));
}

rondo::task<> transfer(downloads& all, const job& what, std::size_t id) {
    part_file file(all.folder, what.name, all.replace);
    file.check_name();
    http::response response = co_await all.web.get(what.where).decode(false);  // as it is served
    check_whole(response);
    if (const auto bytes = response.content_length()) all.show.expect(id, *bytes);

    co_await file.create();
    while (const auto piece = co_await response.read_some()) {
        co_await file.write_all(piece.text());
        all.show.add(id, piece.size());
    }
    co_await file.commit();
}

}  // namespace

downloads::downloads(std::size_t jobs_max, std::string output_folder, bool replace_files,
                     progress& display)
    : web(options_for(jobs_max)),
      folder(std::move(output_folder)),
      replace(replace_files),
      show(display) {
    web.headers().set("user-agent", "rondo-downloader");
}

rondo::task<> fetch(downloads& all, const job& what) {
    const std::size_t id = all.show.start(what.name, all.now());
    try {
        co_await transfer(all, what, id);
        all.show.done(id, all.now());
    } catch (const std::exception& error) {
        all.show.failed(id, reason_of(error));
    }
}

std::string reason_of(const std::exception& error) {
    std::string_view text = error.what();
    if (const auto* failed = dynamic_cast<const http::error*>(&error)) {
        const std::string request = fmt::format(": {} {}", failed->method(), failed->url());
        if (text.ends_with(request)) text.remove_suffix(request.size());
    }
    return printable(text, 500);
}

}  // namespace downloader
