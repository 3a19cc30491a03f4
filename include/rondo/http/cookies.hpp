// SPDX-License-Identifier: MIT
// A jar of cookies (RFC 6265bis): what servers set, and what is sent back to them. It has no
// clock: the caller says what time it is. SameSite is ignored: no site begins our requests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <rondo/config.hpp>
#include <rondo/http/date.hpp>
#include <rondo/http/fields.hpp>
#include <rondo/http/url.hpp>

namespace rondo {
inline namespace v0 {
namespace http {

/// A cookie as a jar keeps it.
class RONDO_API cookie {
public:
    cookie() = default;
    /// For `domain_is`, and all below it if `is_host_only` is false; in every path, without an end.
    cookie(std::string_view name_is, std::string_view value_is, std::string_view domain_is,
           bool is_host_only = true)
        : name(name_is), value(value_is), domain(domain_is), host_only(is_host_only) {}

    std::string name;
    std::string value;
    std::string domain;  // in lower case, without a dot before it
    std::string path = "/";
    std::optional<date_time> expires;  // nothing: as long as the jar lives
    bool host_only = true;             // sent to `domain` alone, not to hosts below it
    bool secure = false;               // sent over https alone
    bool http_only = false;            // hidden from scripts: of no meaning here, and kept

private:
    friend class cookie_jar;
    std::uint64_t order_ = 0;  // of creation
};

/// Takes what servers set and gives what is to be sent. A cookie for another host, for a public
/// suffix ("co.uk", if librondo-http was built with libpsl), or of a `__Host-` or `__Secure-` name
/// without what the name promises, is not taken.
class RONDO_API cookie_jar {
public:
    static constexpr std::size_t cookie_bytes_max = 4096;  // name and value
    static constexpr std::size_t per_domain_max = 150;     // the oldest goes first
    static constexpr std::size_t cookies_max = 3000;

    /// Takes a value of set-cookie from a response of `from`.
    /// Returns: true if it was taken, or has removed a cookie by its expiry.
    bool receive(const url& from, std::string_view set_cookie, date_time now);
    /// Takes all set-cookie fields of a response.
    void receive(const url& from, const fields& headers, date_time now);
    /// The value of the field `cookie` for a request to `to`: "a=b; c=d"; empty if there are none.
    std::string header(const url& to, date_time now) const;

    /// Adds a cookie, or replaces the one of its name, domain and path.
    /// Throws: http::error if its name, value or path has a character that would end the field, or
    ///         a space at an end.
    void set(cookie added);
    /// Removes the cookies that have expired.
    void expire(date_time now);
    void clear() noexcept { all_.clear(); }

    bool empty() const noexcept { return all_.empty(); }
    std::size_t size() const noexcept { return all_.size(); }
    std::vector<cookie>::const_iterator begin() const noexcept { return all_.begin(); }
    std::vector<cookie>::const_iterator end() const noexcept { return all_.end(); }

    /// The jar as a cookie file of Netscape's, as curl and wget write it. Cookies without an end
    /// are written as well, with the time 0.
    std::string text() const;
    /// Adds the cookies of such a text.
    /// Throws: http::error with the number of the line that is malformed.
    void load(std::string_view text);

private:
    void insert(cookie added);
    void make_room(const std::string& domain);
    bool is_hidden_by_secure(const cookie& added) const;

    std::vector<cookie> all_;  // in the order of creation
    std::uint64_t created_ = 0;
};

}  // namespace http
}  // namespace v0
}  // namespace rondo
