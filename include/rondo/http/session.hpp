// SPDX-License-Identifier: MIT
// The client: a session keeps connections, so that the next request to a host needs no new one, and
// what is common to its requests: headers, cookies, limits, trust.
//
//     rondo::http::session http;
//     auto a = co_await http.get("https://example.org/");
//
//     rondo::http::session api("https://api.example.org/v1");     // with a base URL
//     api.headers().set("authorization", "Bearer …");
//     auto b = co_await api.get("/issues");    // https://api.example.org/v1/issues
//
// A base URL and a path are joined as RFC 3986 says, with one exception, since it is what people
// mean: a path that begins with one '/' is put after the path of the base.
//
// Make one session for a program, not one for a request.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>

#include <rondo/config.hpp>
#include <rondo/endpoint.hpp>
#include <rondo/http/cookies.hpp>
#include <rondo/http/fields.hpp>
#include <rondo/http/request_builder.hpp>
#include <rondo/http/trace.hpp>
#include <rondo/loop.hpp>
#include <rondo/task.hpp>
#include <rondo/tls_context.hpp>

namespace rondo {
inline namespace v0 {
namespace http {

class websocket_builder;

/// Limits of time of a session's requests. Zero: none.
struct timeouts {
    /// From the moment of sending to the end of the body, over redirects and retries, if all of the
    /// body is asked for (text, bytes, json). The other limits hold for each connection or wait.
    detail::time_limit total = std::chrono::seconds(60);
    detail::time_limit connect = std::chrono::seconds(10);  ///< the lookup of the name included
    detail::time_limit tls = std::chrono::seconds(10);      ///< handshake
    detail::time_limit headers = std::chrono::seconds(30);  ///< from the end of the request
    detail::time_limit read = std::chrono::seconds(30);     ///< without a byte of the body
    /// A body that comes more slowly than `low_speed_bytes` a second for this time is given up.
    detail::time_limit low_speed = std::chrono::seconds(30);
    std::size_t low_speed_bytes = 1024;
};

/// Options of a session.
struct session_options {
    std::size_t connections = 100;         ///< in all
    std::size_t connections_per_host = 6;  ///< further requests wait in line. Over HTTP/2, which
                                           ///< has many requests on a connection, they wait when
                                           ///< all of these are full
    detail::time_limit keep_alive = std::chrono::seconds(4);  ///< of an idle connection
    http::timeouts timeouts{};
    int redirects = 10;
    bool decode = true;          ///< gzip, deflate, br, zstd, as far as they are built in
    bool cookies = true;         ///< keep cookies and send them back
    std::size_t head_bytes = std::size_t{64} * 1024;  ///< of a response
    std::size_t header_fields = 128;                  ///< of a response
    /// Of HTTP, as request_builder::version. Empty: over TLS the server's choice, otherwise 1.1.
    std::optional<http::version> version{};
    /// Bytes of one body that a server may send over HTTP/2 ahead of its reader. The window grows
    /// to 16 times that on a fast connection. All bodies of a connection together have 32 times.
    std::uint32_t stream_window = 1024 * 1024;
    endpoint local{};  ///< the address to connect from; none: the kernel chooses
};
static_assert(std::is_trivially_destructible_v<session_options>);

/// A client. Move-only. Requests and responses keep what they need of it.
/// Thread: one loop's.
/// See:    aiohttp.ClientSession, httpx.AsyncClient, requests.Session.
class RONDO_API session {
public:
    session() : session(session_options()) {}
    explicit session(session_options options) : session({}, options) {}
    /// With a base URL.
    /// Throws: url_error.
    explicit session(std::string_view base, session_options options = {});
    session(session&&) noexcept;
    session& operator=(session&&) noexcept;
    /// Closes the idle connections. Requests that are at work go on.
    ~session();

    http::request_builder get(url_or_text url) const { return make("GET", url); }
    http::request_builder head(url_or_text url) const { return make("HEAD", url); }
    http::request_builder post(url_or_text url) const { return make("POST", url); }
    http::request_builder put(url_or_text url) const { return make("PUT", url); }
    http::request_builder patch(url_or_text url) const { return make("PATCH", url); }
    http::request_builder del(url_or_text url) const { return make("DELETE", url); }
    http::request_builder options(url_or_text url) const { return make("OPTIONS", url); }
    /// Throws: http::error if `method` is no token.
    http::request_builder request(std::string_view method, url_or_text url) const {
        return make(method, url);
    }

    /// The opening of a WebSocket: `auto socket = co_await http.websocket("wss://…")`. `url` may
    /// also be one of http, or a path if the session has a base URL. The connection is none of the
    /// session's afterwards, and has no seat in its limits. Needs http/websocket.hpp.
    websocket_builder websocket(url_or_text url) const;

    /// Header fields of every request.
    fields& headers() noexcept;
    /// The cookies that servers have set, and that are sent back to them. Also to save and load.
    cookie_jar& cookies() noexcept;
    /// Trust, client certificate and versions of TLS. Connections that were made with another
    /// context are not used again.
    void tls(tls::client_context context);
    /// Looks the user and the password of a host up in a netrc file, if neither the request nor its
    /// URL has one: Basic authentication, for the origin of the request alone. Nothing else ever
    /// reads such a file. `path` empty: .netrc in the folder that HOME names.
    /// The first request reads the file. It throws std::system_error if that is impossible.
    /// See: curl --netrc.
    void netrc(std::string_view path = {});
    /// Asks `allows(address)` about each address before it is connected to: the last one, after the
    /// lookup, of redirects as well. It returns false for an address that must not be reached, such
    /// as one of the own network if URLs come from strangers; the request fails then, with
    /// connect_error. A proxy that looks names up (http, socks5h) does not tell their addresses.
    template <class F>
        requires std::is_invocable_r_v<bool, std::decay_t<F>&, const endpoint&>
    void allow_addresses(F allows) {
        set_allowed(detail::function<bool(const endpoint&)>(std::move(allows)));
    }
    /// Puts a function around every request: `task<response> fn(request, next)`, with a
    /// request_builder and a next_request. `co_await next(request)` sends it, redirects and
    /// repetitions included; it may be called not at all, or several times. The function that was
    /// added first is the outermost. Requests that a function makes itself pass all functions.
    /// See: docs/http.md, "Middleware"; aiohttp's middlewares.
    template <class F>
    void use(F middleware) {
        static_assert(std::is_invocable_r_v<task<response>, F&, request_builder&, next_request&>,
                      "a middleware of a session is a function rondo::task<http::response>("
                      "http::request_builder, http::next_request)");
        add_middleware(
            detail::function<task<response>(request_builder&, next_request&)>(
                std::move(middleware)));
    }
    /// Calls `hook(const trace_event&)` at each moment of each request. It must not wait. Its
    /// exceptions go to the loop's exception handler. An empty function ends it: `trace(nullptr)`.
    /// See: aiohttp.TraceConfig.
    void trace(detail::function<void(const trace_event&)> hook);
    /// A proxy for every request: "http://user:password@host:port", "socks5://…" (names are looked
    /// up here) or "socks5h://…" (by the proxy). `no_proxy` lists hosts that are asked directly:
    /// "localhost,.example.org" (and all below it); "*" means all.
    /// Throws: url_error.
    void proxy(std::string_view url, std::string_view no_proxy = {});
    /// The same from the variables http_proxy, https_proxy, all_proxy and no_proxy.
    void proxy_from_environment();

    /// Number of connections that are open: idle and at work.
    std::size_t connections() const noexcept;
    std::size_t idle_connections() const noexcept;

    /// Closes the idle connections, and waits until they are closed, TLS's farewell included.
    /// Requests that are at work go on; their connections are closed when they end. The session
    /// refuses further requests with closed_error.
    /// Cancel: closes at once.
    task<> close();

private:
    friend class test_client;
    detail::http_session& state() const noexcept;
    void add_middleware(detail::function<task<response>(request_builder&, next_request&)> added);
    void set_allowed(detail::function<bool(const endpoint&)> allows);
    http::request_builder make(std::string_view method, url_or_text url) const;

    std::shared_ptr<detail::http_session> state_;
};

}  // namespace http
}  // namespace v0
}  // namespace rondo
