// SPDX-License-Identifier: MIT
// Replies from files: of a folder that a router serves, and of reply::file.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <rondo/http/reply.hpp>
#include <rondo/http/request.hpp>
#include <rondo/http/router.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

struct http_folder {
    http_folder(std::string where, const http::files_options& options)
        : path(std::move(where)),
          index(options.index),
          cache_control(options.cache_control),
          hidden(options.hidden) {}

    std::string path;
    std::string index;
    std::string cache_control;
    bool hidden;
};

/// The file at `path`, which is decoded and was chosen by the client. 404 for everything that is
/// no file below the folder.
task<http::reply> send_from_folder(const http_folder& folder, http::request& to,
                                   std::string_view path);
/// Opens the file of a reply::file. The fields of `asked` go along.
task<http::reply> open_reply_file(http::reply asked, http::request& to);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
