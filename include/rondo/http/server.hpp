// SPDX-License-Identifier: MIT
// A server of HTTP/1.1 and HTTP/2:
//
//     http::router site;
//     site.get("/hello/{name}", hello);
//     rondo::run(http::serve(rondo::tcp_listener::bind({"127.0.0.1", 8080}), site));
//
// With a tls_listener it is https, and clients choose the version. With a unix_listener it is
// behind a proxy on the same machine.
// To stop it, cancel its task (Ctrl-C does): it accepts no more, idle connections are closed,
// requests at work have the grace time to end, then they are cancelled.
//
// The defaults are safe against clients that are slow, endless or hostile: docs/http_server.md has
// the table of limits.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <rondo/config.hpp>
#include <rondo/detail/http/server_stream.hpp>
#include <rondo/http/router.hpp>
#include <rondo/serve.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {
namespace http {

/// Options of serve. A limit of time of zero means none.
struct server_options {
    /// Time that requests at work have when the server is cancelled.
    detail::time_limit grace = std::chrono::seconds(5);
    std::size_t connections = 10000;           ///< further ones wait in the kernel's backlog
    /// Of one address (of IPv6: of a /64 network); further ones are closed at once. 0: no limit.
    std::size_t connections_per_address = 0;
    /// For the head of a request, from its first byte; of a new connection, from its beginning.
    detail::time_limit head = std::chrono::seconds(15);
    detail::time_limit idle = std::chrono::seconds(75);   ///< between two requests
    detail::time_limit read = std::chrono::seconds(30);   ///< without a byte of the body
    detail::time_limit write = std::chrono::seconds(60);  ///< for a piece of up to 128 KiB
    std::size_t head_bytes = std::size_t{64} * 1024;
    std::size_t header_fields = 128;
    std::size_t target_bytes = std::size_t{8} * 1024;
    /// Of a body that is asked for as a whole. There is no limit for one that is read in pieces.
    std::size_t body_bytes = std::size_t{1024} * 1024;
    /// Speaks HTTP/2 too: over TLS to clients that choose it (unless the context names protocols of
    /// its own), without TLS to those that begin with it. Needs nghttp2 (libnghttp2-dev) when
    /// librondo-http is built; without it there is HTTP/1.1.
    bool http2 = true;
    /// Requests at work at a time on one connection of HTTP/2. Further ones are refused so that the
    /// client repeats them.
    std::uint32_t streams = 100;
    /// Bytes of one body that a client of HTTP/2 may send ahead of its handler. The window grows to
    /// four times that on a fast connection, which is also for all bodies of a connection together.
    std::uint32_t stream_window = 256 * 1024;
    /// Bytes of bodies that clients of HTTP/2 have sent ahead, of all connections together. A body
    /// that would exceed it is refused with 503.
    std::size_t upload_bytes = std::size_t{64} * 1024 * 1024;
    /// A client that ends its writing direction after the request still gets the reply. By default
    /// it counts as gone, as with nginx and Go, and the handler is cancelled.
    bool half_close = false;
    /// Addresses whose x-forwarded-for and x-forwarded-proto are believed:
    /// "127.0.0.1, 10.0.0.0/8, ::1". "unix" means peers at a Unix socket.
    std::string_view trusted_proxies{};
};
static_assert(std::is_trivially_destructible_v<server_options>);

}  // namespace http

namespace detail {

struct http_server;

/// A place in the count of the connections of one address.
class RONDO_API http_place {
public:
    http_place() noexcept = default;
    http_place(std::shared_ptr<http_server> of, const endpoint& peer);
    http_place(http_place&& other) noexcept = default;
    http_place& operator=(http_place&& other) noexcept {
        std::swap(of_, other.of_);
        std::swap(key_, other.key_);
        return *this;
    }
    ~http_place() {
        if (of_) leave();
    }
    /// False if the address has too many connections.
    explicit operator bool() const noexcept { return of_ != nullptr; }

private:
    void leave() noexcept;
    std::shared_ptr<http_server> of_;
    std::string key_;
};

RONDO_API std::shared_ptr<http_server> make_http_server(const http::router& site,
                                                        http::server_options options);
RONDO_API bool counts_addresses(const http_server& server) noexcept;
RONDO_API bool speaks_http2(const http_server& server) noexcept;
/// Closes the idle connections, and the others after their reply.
RONDO_API void end_http_server(http_server& server) noexcept;
/// Serves one connection until it ends.
RONDO_API task<> serve_http(std::shared_ptr<http_server> server,
                            std::unique_ptr<http_server_stream> stream);

/// A connection with its place. Its handshake is the stream's, in the connection's own task.
template <class Stream>
class http_accepted {
public:
    http_accepted(Stream stream, http_place place) noexcept
        : stream_(std::move(stream)), place_(std::move(place)) {}

    template <class Handler>
    static task<> serve_with(Handler& handler, http_accepted accepted) {
        co_await run_handler(handler, std::move(accepted.stream_));
    }
    std::string peer_name() const { return name_of_peer(stream_); }

private:
    Stream stream_;
    http_place place_;
};

template <class Listener>
task<http_accepted<accepted_by<Listener>>> accept_http(Listener& listener,
                                                       const std::shared_ptr<http_server>& server) {
    for (;;) {
        auto stream = co_await listener.accept();
        if (!counts_addresses(*server))
            co_return http_accepted<accepted_by<Listener>>(std::move(stream), http_place());
        http_place place(server, stream.remote());
        if (place)
            co_return http_accepted<accepted_by<Listener>>(std::move(stream), std::move(place));
    }
}

/// A listener whose end is the beginning of the end of its server.
template <class Listener>
class http_listener {
public:
    http_listener(Listener listener, std::shared_ptr<http_server> server)
        : listener_(std::move(listener)), server_(std::move(server)) {}

    auto accept() { return accept_http(listener_, server_); }
    void report_shortages() {
        if constexpr (requires { listener_.report_shortages(); }) listener_.report_shortages();
    }
    auto close() {
        end_http_server(*server_);
        return listener_.close();
    }

private:
    Listener listener_;
    std::shared_ptr<http_server> server_;
};

/// The handler of `serve`.
class http_connection_handler {
public:
    explicit http_connection_handler(std::shared_ptr<http_server> server) noexcept
        : server_(std::move(server)) {}
    template <class Stream>
    task<> operator()(Stream stream) const {
        return serve_http(server_, std::make_unique<http_stream_of<Stream>>(std::move(stream)));
    }

private:
    std::shared_ptr<http_server> server_;
};

template <class Listener>
task<> serve_site(Listener listener, const http::router& site, http::server_options options) {
    const auto server = make_http_server(site, options);
    serve_options how;
    how.connections_max = options.connections;
    how.grace = options.grace;
    if constexpr (requires { listener.alpn(std::string_view()); })
        if (speaks_http2(*server)) listener.alpn("h2,http/1.1");
    http_listener<Listener> accepting(std::move(listener), server);
    http_connection_handler handler(server);
    auto serving = rondo::serve(std::move(accepting), std::move(handler), how);
    co_await std::move(serving);
}

}  // namespace detail

namespace http {

/// Accepts on `listener` (a tcp_listener, a tls_listener, a unix_listener) and answers requests by
/// the routes of `site`, which must outlive the await. It never ends by itself. A handler that
/// throws is answered with 500 and reported to the loop's exception handler; nothing of the
/// exception is sent to the client.
/// Throws: as rondo::serve.
/// Cancel: as rondo::serve, with options.grace: no reply of a request at work is lost, as long as
///         it ends within the grace time.
/// Thread: its loop's. For several cores, call it on each loop of a loop_pool, with a listener of
///         its own (listen_options::reuse_port).
/// See:    aiohttp.web.run_app, uvicorn; net/http's ListenAndServe.
template <class Listener>
task<> serve(Listener listener, const router& site, server_options options = {}) {
    return detail::serve_site(std::move(listener), site, options);
}
template <class Listener>
task<> serve(Listener, router&&, server_options = {}) {
    static_assert(!std::is_same_v<Listener, Listener>,
                  "the router must outlive serve: give it a name before");
    co_return;
}

}  // namespace http
}  // namespace v0
}  // namespace rondo
