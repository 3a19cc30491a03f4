// SPDX-License-Identifier: MIT
// The server over TLS, over TCP and at a Unix socket, with the client of this library; and serve's
// own end.
#include <rondo/http.hpp>

#include <rondo/gather.hpp>
#include <rondo/tls.hpp>
#include <rondo/unix.hpp>

#include "http/server_tools.hpp"
#ifdef RONDO_WITH_OPENSSL
#include "support/tls_tools.hpp"
#endif

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace rondo_tests;
using http::reply;

http::router whole_site() {
    http::router site;
    site.get("/hello", [](http::request& request) {
        return reply::text(request.is_secure() ? "secure" : "plain");
    });
    site.get("/large", [](http::request&) { return reply::text(std::string(300000, 'x')); });
    site.post("/count", [](http::request& request) -> task<reply> {
        std::size_t bytes = 0;
        while (auto chunk = co_await request.read_some()) bytes += chunk.size();
        co_return reply::text(std::to_string(bytes));
    });
    site.get("/slow", [](http::request&) -> task<reply> {
        co_await sleep(200ms);
        co_return reply::text("slow");
    });
    return site;
}

task<std::string> text_of(http::request_builder request) {
    auto response = co_await std::move(request);
    co_return co_await response.text();
}

/// Asks everything, with the connections of one session.
task<> ask_all(http::session& client, bool is_secure) {
    for (int round = 0; round < 2; ++round) {
        CHECK(co_await text_of(client.get("/hello")) == (is_secure ? "secure" : "plain"));
        CHECK((co_await text_of(client.get("/large"))).size() == 300000);
        CHECK(co_await text_of(client.post("/count").body(std::string(200000, 'y'))) == "200000");
    }
    CHECK(client.connections() == 1);
    co_await client.close();
}

template <class Listener>
task<> serve_and_ask(Listener listener, http::session& client, bool is_secure) {
    const http::router site = whole_site();
    auto serving = http::serve(std::move(listener), site);
    auto asking = ask_all(client, is_secure);
    co_await race(std::move(serving), std::move(asking));
}

RONDO_TEST("http serve: over TCP", "[http_server_tls][both]") {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    http::session client("http://" + listener.local().text());
    co_await serve_and_ask(std::move(listener), client, false);
}

#ifdef RONDO_WITH_OPENSSL
#ifdef RONDO_WITH_NGHTTP2
/// The protocol that a client agrees on if it offers these, and the beginning of the answer.
task<std::string> agreed_on(endpoint where, std::string offered, std::string request) {
    connect_tls_options how;
    how.alpn = offered;
    auto peer = co_await connect_tls("localhost", where.port(), trusting_context(), how);
    std::string said(peer.alpn());
    co_await peer.write_all(request);
    char room[9];
    const chunk heard = co_await peer.read_some(room);
    ((said += ": ") += heard.text()) += heard.size() == 9 && room[3] == 4 ? " (settings)" : "";
    co_await peer.close();
    co_return said;
}

RONDO_TEST("http serve: clients over TLS choose the version", "[http_server_tls]", seeds(2)) {
    const http::router site = whole_site();
    const std::string h1 = get("/hello"), preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const auto ask = [&](endpoint where, bool speaks_http2) -> task<> {
        const auto first = co_await agreed_on(where, "h2,http/1.1", speaks_http2 ? preface : h1);
        CHECK(first.starts_with(speaks_http2 ? "h2: " : ": HTTP/1.1"));
        CHECK(first.ends_with(speaks_http2 ? "(settings)" : "HTTP/1.1 "));
        if (!speaks_http2) co_return;
        CHECK(co_await agreed_on(where, "http/1.1", h1) == "http/1.1: HTTP/1.1 ");
        CHECK(co_await agreed_on(where, "gopher", h1) == ": HTTP/1.1 ");
        CHECK(co_await agreed_on(where, "", h1) == ": HTTP/1.1 ");
        // The choice binds.
        CHECK(co_await agreed_on(where, "http/1.1", preface) == "http/1.1: HTTP/1.1 ");
    };
    for (const bool speaks_http2 : {true, false}) {
        auto listener = tls_listener::bind({"127.0.0.1", 0}, localhost_context());
        const endpoint where = listener.local();
        auto serving = http::serve(std::move(listener), site, {.http2 = speaks_http2});
        auto asking = ask(where, speaks_http2);
        co_await race(std::move(serving), std::move(asking));
    }
}
#endif

RONDO_TEST("http serve: over TLS", "[http_server_tls][both]", seeds(2)) {
    auto listener = tls_listener::bind({"127.0.0.1", 0}, localhost_context());
    http::session client("https://localhost:" + std::to_string(listener.local().port()));
    client.tls(trusting_context());
    co_await serve_and_ask(std::move(listener), client, true);
}
#endif

RONDO_TEST("http serve: its cancellation loses no reply, and frees the address",
           "[http_server_tls][both]") {
    const http::router site = whole_site();
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const endpoint where = listener.local();
    auto serving = create_task(http::serve(std::move(listener), site));
    http::session client("http://" + where.text());
    CHECK(co_await text_of(client.get("/hello")) == "plain");
    auto slow = create_task(text_of(client.get("/slow")));
    co_await sleep(50ms);
    serving.cancel();
    CHECK(co_await slow == "slow");
    CHECK_THROWS_AS(co_await serving, future_cancelled);
    auto again = tcp_listener::bind(where);
    co_await client.close();
}

RONDO_TEST("http serve: after the grace time handlers are cancelled", "[http_server_tls]") {
    http::router site;
    bool is_cancelled = false;
    const auto forever = [&](http::request&) -> task<reply> {
        try {
            co_await sleep(9h);
        } catch (const cancelled&) {
            is_cancelled = true;
            throw;
        }
        co_return reply();
    };
    site.get("/", forever);
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const endpoint where = listener.local();
    auto serving = create_task(http::serve(std::move(listener), site, {.grace = 2s}));
    tcp_stream peer = co_await connect_tcp(where);
    co_await peer.write_all(get("/"));
    co_await sleep(1s);
    serving.cancel();
    co_await sleep(1900ms);
    CHECK_FALSE(is_cancelled);
    co_await sleep(200ms);
    CHECK(is_cancelled);
    CHECK_THROWS_AS(co_await serving, future_cancelled);
}

}  // namespace
