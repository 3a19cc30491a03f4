// SPDX-License-Identifier: MIT
// Rules of redirects, repetitions and base URLs; no connection in sight.
#pragma once

#include <string>
#include <string_view>

#include <rondo/http/url.hpp>

namespace rondo {
inline namespace v0 {
namespace http {

/// 301, 302, 303, 307 and 308.
bool is_redirect(int status) noexcept;

/// The next request after a redirect.
struct redirect {
    std::string method;
    http::url where;
    bool drops_body = false;
};

/// 301, 302 and 303 ask by GET (or HEAD), without the body; 307 and 308 ask as before.
/// Throws: redirect_error if `location` leads from https to http, or to another kind of URL;
///         url_error.
redirect redirect_of(std::string_view method, const url& from, int status,
                     std::string_view location);

/// Whether a header field of that name goes along to another origin. All others may be secrets.
bool may_cross_origins(std::string_view name) noexcept;

/// Whether a request of that method may be repeated without harm (RFC 9110, section 9.2.2).
bool is_idempotent(std::string_view method) noexcept;

/// 408, 425, 429 and 5xx, except 501 and 505, which would be the same again.
bool is_worth_a_retry(int status) noexcept;

/// A base URL and what a request adds: "https://a/v1" and "/users" make "https://a/v1/users".
/// Everything but a path that begins with one '/' is resolved as RFC 3986 says.
url joined(const url& base, std::string_view reference);

}  // namespace http
}  // namespace v0
}  // namespace rondo
