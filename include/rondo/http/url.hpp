// SPDX-License-Identifier: MIT
// URLs (RFC 3986), parsed strictly. No part of a URL can end the line of a request or the Host
// field, and a host that looks like an address means the same to rondo as to the user. So a text
// that is not clearly right is refused, with the reason; nothing is guessed.
//
//     http::url where("https://example.org:8443/a/b?q=1");
//     where.host();                        // "example.org"
//     where.resolve("../c").text();        // "https://example.org:8443/c"
//     where.with_query("name", "x y");     // …?q=1&name=x%20y
//
// A URL of a Unix socket is `unix:PATH:TARGET`, such as "unix:/run/docker.sock:/v1/info".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include <rondo/config.hpp>
#include <rondo/http/error.hpp>

namespace rondo {
inline namespace v0 {
namespace http {

/// The kind of a host.
enum class host_kind : std::uint8_t { none, name, ipv4, ipv6 };

/// A URL: a value, made from a text. The views that its members return are good until the URL is
/// assigned to, moved or destroyed.
class RONDO_API url {
public:
    /// Bytes of the longest URL, after encoding.
    static constexpr std::size_t size_max = std::size_t{64} * 1024;

    /// No URL: every part is empty.
    url() noexcept = default;

    /// Parses an absolute URL. The scheme and the host become lower case, an IPv6 address takes its
    /// shortest form, the default port is left out, and a host that is not ASCII is converted by
    /// IDNA. Bytes that a URL may not contain, except those below, are percent-encoded ("ä", "|").
    /// The path is not normalized: "/a/../b" stays.
    /// Throws: url_error, which names the fault and no part of the user or the password: no scheme,
    ///         no host (http, https, ws, wss), a control character, a space or a backslash, port 0,
    ///         an IPv4 address that is not four plain decimal numbers ("127.1", "0x7f.1",
    ///         "2130706433"), more than size_max bytes.
    /// See:    RFC 3986, RFC 6874 (zones), RFC 5891 (IDNA).
    explicit url(std::string_view text);

    bool empty() const noexcept { return text_.empty(); }

    /// The scheme, in lower case: "https".
    std::string_view scheme() const noexcept { return part(0, scheme_end_); }
    /// True for http and https.
    bool is_http() const noexcept;
    /// True for https and wss.
    bool is_secure() const noexcept;
    /// True for unix:PATH.
    bool is_unix() const noexcept { return scheme() == "unix"; }

    /// True if the URL has a user, which may be empty.
    bool has_user() const noexcept { return user_end_ > user_begin_ || at_ > user_begin_; }
    /// User and password, percent-decoded.
    std::string user() const;
    std::string password() const;

    host_kind kind() const noexcept { return kind_; }
    /// The host: a name in ASCII, an IPv4 address, an IPv6 address without brackets and zone; of a
    /// Unix socket "localhost".
    std::string_view host() const noexcept;
    /// The zone of an IPv6 address: "eth0" of "[fe80::1%25eth0]"; otherwise empty.
    std::string_view zone() const noexcept { return part(zone_begin_, zone_end_); }
    /// The host as a name look-up or an endpoint wants it: "example.org", "fe80::1%eth0".
    std::string host_with_zone() const;
    /// The path of a Unix socket, percent-decoded; otherwise empty.
    std::string socket_path() const;

    /// The port, or the default of the scheme: 80 (http, ws), 443 (https, wss), otherwise 0.
    std::uint16_t port() const noexcept { return port_; }
    bool is_default_port() const noexcept;

    /// The path as it stands, percent-encoded; "/" if an http URL has none.
    std::string_view path() const noexcept { return part(path_begin_, path_end_); }
    /// The query as it stands, without '?'. `http::form` takes it apart.
    std::string_view query() const noexcept;
    bool has_query() const noexcept { return query_end_ > path_end_; }
    /// The fragment as it stands, without '#'.
    std::string_view fragment() const noexcept;
    bool has_fragment() const noexcept { return text_.size() > query_end_; }

    /// The value of the Host field: "example.org", "example.org:8443", "[::1]:80" without a zone.
    std::string authority() const;
    /// "https://example.org:8443", by which connections and cookies are kept apart.
    std::string origin() const;
    /// Path and query, as the line of a request has them: "/a/b?q=1".
    std::string_view target() const noexcept { return part(path_begin_, query_end_); }

    /// The URL as a text that can be parsed again. User and password are left out, so that it can
    /// be printed.
    std::string text() const;
    /// The same with user and password.
    const std::string& text_with_password() const noexcept { return text_; }

    /// The URL that `reference` means here: "../c", "//host/x", "?q", "https://other/". A fragment
    /// of this URL is dropped. A space in the path or the query becomes %20, since servers send
    /// them in Location.
    /// Throws: url_error, as the constructor.
    /// See:    RFC 3986, section 5.2 (strict: "http:g" is an absolute URL, and has no host).
    url resolve(std::string_view reference) const;

    /// The same URL with `name=value` after its query, both encoded. It repeats:
    /// `u.with_query("a", "1").with_query("a", "2")`.
    url with_query(std::string_view name, std::string_view value) const;
    /// The same URL with another query, which is already encoded; without one if it is empty.
    url with_query(std::string_view encoded) const;
    /// The same URL with a user and a password, both encoded.
    url with_user(std::string_view user, std::string_view password) const;
    /// The same URL without user and password.
    url without_user() const;
    url without_fragment() const;

    /// Compares the texts, with user and password, after the normalization of the constructor.
    bool operator==(const url& other) const noexcept { return text_ == other.text_; }

private:
    friend class url_parser;
    std::string_view part(std::size_t begin, std::size_t end) const noexcept {
        return std::string_view(text_).substr(begin, end - begin);
    }
    /// Of a name or an IPv4 address: a default port is not in the text.
    std::string_view host_and_port() const noexcept { return part(host_begin_, path_begin_); }
    std::string merged(const std::string& reference) const;

    // All offsets are into text_, which is "scheme:" ["//" [user [":" password] "@"] host
    // [":" port]] path ["?" query] ["#" fragment].
    std::string text_;
    std::uint32_t scheme_end_ = 0;
    std::uint32_t user_begin_ = 0;
    std::uint32_t user_end_ = 0;  // of the user without the password
    std::uint32_t at_ = 0;        // the '@'; user_begin_ if there is none
    std::uint32_t host_begin_ = 0;
    std::uint32_t host_end_ = 0;
    std::uint32_t zone_begin_ = 0;
    std::uint32_t zone_end_ = 0;
    std::uint32_t path_begin_ = 0;  // behind the port
    std::uint32_t path_end_ = 0;
    std::uint32_t query_end_ = 0;
    std::uint16_t port_ = 0;
    host_kind kind_ = host_kind::none;
};

/// The URL of a request: a text, which is parsed when the request is sent, or a `url`. It is a view
/// of either.
class url_or_text {
public:
    template <class T>
        requires std::is_convertible_v<const T&, std::string_view>
    url_or_text(const T& text) noexcept : text_(text) {}
    url_or_text(const url& parsed) noexcept : parsed_(&parsed) {}

    std::string_view text() const noexcept { return text_; }
    /// Null if it is a text.
    const url* parsed() const noexcept { return parsed_; }

private:
    std::string_view text_;
    const url* parsed_ = nullptr;
};

/// `text` with everything percent-encoded except letters, digits and "-._~".
RONDO_API std::string percent_encode(std::string_view text);
/// The same, and '/' stays: for a whole path.
RONDO_API std::string percent_encode_path(std::string_view text);
/// `text` with each "%41" decoded; '+' stays.
/// Returns: nothing if two hexadecimal digits do not follow a '%'.
RONDO_API std::optional<std::string> percent_decode(std::string_view text);

}  // namespace http
}  // namespace v0
}  // namespace rondo
