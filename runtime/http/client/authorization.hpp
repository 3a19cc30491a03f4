// SPDX-License-Identifier: MIT
// Credentials of requests: a user's of the URL or of a netrc file (Basic), and the answers to
// Digest challenges, which a session keeps so that the next request needs no challenge.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <rondo/http/fields.hpp>
#include <rondo/http/url.hpp>
#include <rondo/task.hpp>

#include "http/auth.hpp"
#include "http/client/request_spec.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// The Digest challenges of a session that were answered, by origin and user.
class digest_book {
public:
    struct entry {
        http::digest_answer answer;
        std::string cnonce;       // one for each challenge, as algorithms of -sess want
        std::uint32_t count = 0;  // of requests with it
    };
    entry* find(const std::string& key) noexcept;
    void put(const std::string& key, http::digest_answer answer);
    void erase(const std::string& key) { entries_.erase(key); }

private:
    static constexpr std::size_t entries_max = 256;
    std::map<std::string, entry> entries_;
};

/// A netrc file: read once, by the first request.
struct netrc_file {
    std::string path;  // empty: none
    std::optional<std::string> text;
};

/// The credentials of one request, to its first origin alone. Lives in the frame of send_http.
class http_authorization {
public:
    http_authorization(http_session& session, const http_request& request) noexcept
        : session_(session), request_(request) {}

    /// Looks the user of `where` up: in the URL, then in the netrc file, if the session has one.
    /// Throws: std::system_error if the file cannot be read.
    task<> find_user(const http::url& where);
    /// The value of authorization for a request; empty if there is none.
    std::string credentials(const http::url& where, std::string_view method);
    /// True if the request needs a challenge that the server has not sent yet.
    bool wants_challenge(const http::url& where) const;
    /// Takes the challenge of a response of status 401.
    /// Returns: true if the request is to be sent again.
    bool take_challenge(const http::url& where, const http::fields& headers);
    /// Takes the nonce that the server wants to see next.
    void take_next_nonce(const http::url& where, const http::fields& headers);

private:
    std::string key(const http::url& where) const;

    http_session& session_;
    const http_request& request_;
    std::string basic_;
    bool has_answered_ = false;  // a challenge of this request
    bool was_stale_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
