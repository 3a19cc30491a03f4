// SPDX-License-Identifier: MIT
// State behind a session, and the making of connections.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <rondo/endpoint.hpp>
#include <rondo/http/cookies.hpp>
#include <rondo/http/fields.hpp>
#include <rondo/http/session.hpp>
#include <rondo/http/url.hpp>

#include "http/client/authorization.hpp"
#include "http/client/budget.hpp"
#include "http/client/connection.hpp"
#include "http/client/pool.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// The proxy of a session or a request, and the hosts that need none.
struct http_proxy {
    std::optional<http::url> address;  // of requests to http
    std::optional<http::url> secure;   // of requests to https
    std::string none;                  // "localhost,.example.org"

    /// The proxy for `where`; null if it is asked directly.
    const http::url* for_url(const http::url& where) const;
};

using http_middleware =
    function<task<http::response>(http::request_builder&, http::next_request&)>;
using http_middlewares = std::vector<std::shared_ptr<http_middleware>>;

struct http_session {
    explicit http_session(const http::session_options& given)
        : options(given),
          pool(std::make_shared<http_pool>(given.connections, given.connections_per_host)) {}

    http::session_options options;
    std::optional<http::url> base;
    http::fields headers;
    http::cookie_jar cookies;
    tls::client_context tls;
    std::size_t tls_number = 0;  // of contexts that the session has had
    std::unique_ptr<function<bool(const endpoint&)>> allows;  // null: every address
    std::shared_ptr<const http_middlewares> middlewares;      // null: none
    std::shared_ptr<http_trace_hook> trace;                   // null: none
    std::uint64_t requests = 0;                               // that were sent
    http_proxy proxy;
    digest_book digests;
    netrc_file netrc;
    std::shared_ptr<http_pool> pool;
    mutable function<memory_stream()> connector;  // of a test_client: instead of a socket
    bool is_closed = false;
};

/// The way of a request: the host, and how it is reached.
struct http_route {
    const http::url* where;
    const http::url* proxy;                 // null: none
    const std::optional<endpoint>* address;  // instead of a lookup
    std::size_t tls_number;                  // of the session's context
    // For another protocol: HTTP/1.1 alone, and a tunnel through a proxy also without TLS.
    bool upgrades = false;
    http_wanted wanted = http_wanted::plain;

    /// Connections with equal keys can serve each other's requests.
    std::string key() const;
};

/// Connects: name lookup, TCP or Unix socket, the proxy's tunnel, TLS.
/// Throws: http::connect_error, http::tls_error, http::timeout_error.
task<http_connection::any_stream> connect_http(const http_session& session, http_route route,
                                               http_budget& budget, http::timing& times);

/// Whether the new connection is one of HTTP/2: the server has chosen it, or it is known before.
bool speaks_http_2(const http_connection::any_stream& stream, http_wanted wanted) noexcept;

/// Checks a proxy's URL. Throws: http::url_error.
http::url proxy_url(std::string_view text);
/// Whether the proxy is one of SOCKS, which forwards bytes and not requests.
inline bool is_socks(const http::url& proxy) noexcept { return proxy.scheme() != "http"; }
/// Whether a request to `where` is sent to `proxy` itself, to be forwarded.
inline bool is_forwarded(const http::url& where, const http::url* proxy) noexcept {
    return proxy != nullptr && !where.is_secure() && !is_socks(*proxy);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
