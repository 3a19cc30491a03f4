// SPDX-License-Identifier: MIT
// URLs of pages: one form for all spellings of a URL, and which hosts belong to a crawl. No I/O.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <rondo/http/url.hpp>

namespace crawler {

/// Bytes of the longest URL that is followed. Sites that build longer and longer URLs end here.
inline constexpr std::size_t address_bytes_max = 2048;

/// The form by which a page is known: without fragment, empty query, user and password, "." and
/// "..". Escapes are in capitals ("%2f" is "%2F"), and none is of letters, digits and "-._~"
/// ("%7Ea" is "~a"). The scheme, the host and the port are as http::url has them.
/// Throws: http::url_error.
rondo::http::url normalized(const rondo::http::url& any);

/// The page that a link means in a page at `base`, normalized. Spaces around the text, and line
/// ends and tabs in it, do not count, and a backslash in the path is a slash, as in browsers.
/// Returns: nothing if that is no URL of http or https, or too long.
std::optional<rondo::http::url> resolved(const rondo::http::url& base, std::string_view link);

/// A path or pattern of a robots.txt in the form in which they are compared: as normalized(), and
/// bytes outside ASCII as escapes. "*" and "$" stay.
std::string comparable(std::string_view text);

/// The hosts of a crawl.
class host_list {
public:
    /// Adds the host and port of a URL where the crawl starts. If the port is the scheme's, http
    /// and https are both meant.
    void add_start(const rondo::http::url& start);
    /// Adds "example.org", "example.org:8080", ".example.org" (with all hosts below it) or "*".
    /// Throws: std::invalid_argument.
    void add(std::string_view entry);

    bool contains(const rondo::http::url& page) const;

private:
    std::vector<std::string> entries_;
};

}  // namespace crawler
