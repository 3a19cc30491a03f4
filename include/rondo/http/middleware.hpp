// SPDX-License-Identifier: MIT
// Middleware for routers, made once: `site.use(http::compress())`.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

#include <rondo/config.hpp>
#include <rondo/http/router.hpp>

namespace rondo {
inline namespace v0 {
namespace http {

/// A middleware, for router::use.
using middleware = detail::function<task<reply>(http::request&, next_handler)>;

/// Options of compress.
struct compress_options {
    std::size_t least = 1024;  ///< bytes; a smaller body is sent as it is
    int level = 5;             ///< 1 (fast) to 9 (small)
};
static_assert(std::is_trivially_destructible_v<compress_options>);

/// Compresses bodies of text, JSON and the like by brotli or gzip, whichever the client likes best;
/// of two alike by brotli. Also streams, each piece so that the client can decode it at once.
/// Files, and bodies of more than 16 MiB, are sent as they are. The work is done on the loop's
/// thread: about 20 ms for a MiB.
/// Throws: http::error if librondo-http was built without zlib and without brotli.
RONDO_API middleware compress(compress_options options = {});

/// Options of cors.
struct cors_options {
    std::string_view origins = "*";  ///< "https://a.example, https://b.example"
    std::string_view methods = "GET, HEAD, POST, PUT, PATCH, DELETE";
    std::string_view headers{};  ///< that requests may have; empty: those that the browser asks for
    bool credentials = false;    ///< cookies; not with "*"
    detail::time_limit max_age = std::chrono::minutes(10);  ///< of the answer to a preflight
};
static_assert(std::is_trivially_destructible_v<cors_options>);

/// Lets pages of other origins read the replies; answers preflights.
/// Throws: http::error for credentials with "*".
/// See:    https://fetch.spec.whatwg.org/#http-cors-protocol
RONDO_API middleware cors(cors_options options = {});

/// Asks for a user and a password (RFC 7617), and lets through those that `check` accepts; the
/// handler sees request.user(). Use it over TLS only.
RONDO_API middleware basic_auth(std::string_view realm,
                                detail::function<bool(std::string_view user,
                                                      std::string_view password)> check);
/// The same with one user. The comparison takes the same time for every wrong password.
RONDO_API middleware basic_auth(std::string_view realm, std::string_view user,
                                std::string_view password);

/// Options of rate_limit.
struct rate_limit_options {
    double per_second = 10;        ///< requests of one address, on average
    std::size_t burst = 20;        ///< at once
    std::size_t addresses = 10000; ///< that are remembered; the oldest are forgotten
};
static_assert(std::is_trivially_destructible_v<rate_limit_options>);

/// Answers 429 with retry-after to an address (of IPv6: a /64 network) that asks too often.
RONDO_API middleware rate_limit(rate_limit_options options = {});

}  // namespace http
}  // namespace v0
}  // namespace rondo
