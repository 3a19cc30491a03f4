// SPDX-License-Identifier: MIT
// A request as its setters have described it, before it is sent.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <rondo/endpoint.hpp>
#include <rondo/http/fields.hpp>
#include <rondo/http/request_builder.hpp>
#include <rondo/http/url.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// A part of a form that is sent as multipart/form-data.
struct form_part {
    std::string name;
    std::string value;  // or the path of the file
    std::string content_type;
    std::string filename;
    bool is_file = false;
};

struct http_request {
    enum class body_kind : std::uint8_t { none, bytes, source, file, form, parts };

    std::shared_ptr<http_session> session;
    std::string method;
    std::string url;
    http::url parsed;  // if it is not empty, instead of `url`
    std::vector<std::pair<std::string, std::string>> query;
    http::fields headers;

    body_kind body = body_kind::none;
    std::string bytes;  // the body, the path of its file, or the encoded form
    std::shared_ptr<http::body_source> source;
    std::shared_ptr<bool> source_was_sent;  // shared with copies of the request
    std::vector<form_part> parts;

    std::optional<duration> timeout;
    std::optional<int> redirects;
    std::optional<bool> decode;
    std::optional<http::version> version;
    std::optional<http::retry_policy> retries;
    std::optional<std::string> proxy;
    std::optional<endpoint> address;
    std::optional<std::string> digest_user;
    std::string digest_password;
    bool upgrade = false;   // to WebSocket
    std::size_t layer = 0;  // of the middlewares: the next one to call

    /// Calls the middleware of `layer`.
    static task<http::response> run_middleware(std::unique_ptr<http_request> spec);
    /// The URL to ask. Throws: http::url_error.
    http::url whole_url() const;
};

/// Sends the request through the middlewares of its session that are left.
task<http::response> send_request(std::unique_ptr<http_request> spec);

/// Sends the request, follows redirects, and returns when the head of the response has come.
task<http::response> send_http(std::unique_ptr<http_request> spec);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
