// SPDX-License-Identifier: MIT
// The parser of set-cookie (RFC 6265bis, section 5.6), and the rules of domains and paths.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <rondo/http/cookies.hpp>

namespace rondo {
inline namespace v0 {
namespace http {

/// A set-cookie, before it is compared with where it came from.
struct set_cookie {
    std::string name, value;
    std::string domain;  // as it was given, without the first dot, in lower case
    std::string path;    // empty if it was not given, or does not begin with '/'
    std::optional<date_time> expires;
    bool has_path_slash = false;  // Path=/ was given
    bool secure = false;
    bool http_only = false;
};

/// Returns: nothing if the text has a control character, is too large, or has no name and no value.
std::optional<set_cookie> parse_set_cookie(std::string_view text, date_time now);

/// The date of an Expires, in any of the forms that servers have sent (section 5.1.1).
std::optional<date_time> parse_cookie_date(std::string_view text);

/// True if a cookie for `domain` and all below it goes to `host`.
bool domain_matches(const url& host, std::string_view domain);
/// True if a cookie of `path` goes to a request for `asked`.
bool path_matches(std::string_view asked, std::string_view path);
/// The path of a cookie that names none: up to the last '/' of the request's.
std::string default_cookie_path(std::string_view asked);

/// True for "com" and "co.uk", under which strangers have names. Without libpsl: a name without
/// a dot.
bool is_public_suffix(const std::string& domain);

}  // namespace http
}  // namespace v0
}  // namespace rondo
