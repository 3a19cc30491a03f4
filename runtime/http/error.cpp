// SPDX-License-Identifier: MIT
// Texts of the errors of HTTP, and anchors of their vtables.
#include <rondo/http/error.hpp>

namespace rondo {
inline namespace v0 {
namespace http {

struct error::request_line {
    std::string method, url;
};

namespace {

constexpr std::size_t url_most = 500;  // bytes of a message; a server may choose a long one
constexpr std::size_t reason_most = 200;

std::string request_text(std::string_view what, std::string_view method, std::string_view url) {
    std::string text(what);
    if (method.empty() && url.empty()) return text;
    text += ": ";
    text += method;
    if (!method.empty() && !url.empty()) text += ' ';
    text += url.substr(0, url_most);
    return url.size() > url_most ? text += "..." : text;
}

std::string status_text(int status, std::string_view reason) {
    std::string text = std::to_string(status);
    if (!reason.empty()) text += ' ';
    return text += reason.substr(0, reason_most);
}

const char* text_of(phase phase) {
    switch (phase) {
        case phase::queue:
            return "a free connection";
        case phase::connect:
            return "the connection";
        case phase::tls:
            return "the TLS handshake";
        case phase::send:
            return "the peer to take the request";
        case phase::headers:
            return "response headers";
        case phase::body:
            return "the response body";
    }
    return "the peer";
}

std::string timeout_text(phase phase, detail::time_limit after, std::string_view method,
                         std::string_view url, std::uint64_t bytes) {
    const std::string what = std::string(rondo::timeout_error(after).what()) + " waiting for ";
    return request_text(what + text_of(phase), method, url) + " (" + std::to_string(bytes) +
           (bytes == 1 ? " byte)" : " bytes)");
}

}  // namespace

error::error(const std::string& what) : rondo::error(what) {}
error::error(std::string_view what, std::string_view method, std::string_view url)
    : rondo::error(request_text(what, method, url)),
      request_(
          std::make_shared<request_line>(request_line{std::string(method), std::string(url)})) {}
error::~error() = default;

std::string_view error::method() const noexcept {
    return request_ ? std::string_view(request_->method) : std::string_view();
}
std::string_view error::url() const noexcept {
    return request_ ? std::string_view(request_->url) : std::string_view();
}

url_error::~url_error() = default;
connect_error::~connect_error() = default;
tls_error::~tls_error() = default;
protocol_error::~protocol_error() = default;
limit_error::~limit_error() = default;
redirect_error::~redirect_error() = default;

body_error::body_error(std::string_view what, std::string_view method, std::string_view url,
                       std::uint64_t bytes_received)
    : error(std::string(what) + " (after " + std::to_string(bytes_received) + " bytes)", method,
            url),
      bytes_received_(bytes_received) {}
body_error::~body_error() = default;

status_error::status_error(int status, std::string_view reason, std::string_view method,
                           std::string_view url)
    : error(status_text(status, reason), method, url), status_(status) {}
status_error::~status_error() = default;

timeout_error::timeout_error(http::phase phase, detail::time_limit after, std::string_view method,
                             std::string_view url, std::uint64_t bytes)
    : rondo::timeout_error(after),
      text_(timeout_text(phase, after, method, url, bytes)),
      bytes_(bytes),
      phase_(phase) {}
timeout_error::~timeout_error() = default;

}  // namespace http
}  // namespace v0
}  // namespace rondo
