// SPDX-License-Identifier: MIT
// Middleware, asked by a test_client.
#include "http/router_tools.hpp"

#include <random>

#include <rondo/gather.hpp>
#include <rondo/http/middleware.hpp>

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace rondo_tests;
using http::reply;

RONDO_TEST("http middleware: cors, basic_auth, rate_limit", "[http_middleware]", seeds(1)) {
    http::router site;
    site.get("/", named("x"));
    site.get("/no", [](http::request&) -> reply { throw http::reply_error(409, "no"); });
    site.use(http::cors({.origins = "https://a.example, https://b.example"}));
    http::test_client client(site);
    const std::string allow = "access-control-allow-origin";
    CHECK(co_await field(client.get("/").header("origin", "https://b.example"), allow) ==
          "https://b.example");
    CHECK(co_await field(client.get("/").header("origin", "https://c.example"), allow) ==
          "(none)");
    CHECK(co_await field(client.get("/no").header("origin", "https://b.example"), allow) ==
          "https://b.example");
    CHECK(co_await body(client.get("/no").header("origin", "https://b.example")) == "409 no\n");
    CHECK(co_await field(client.get("/"), "vary") == "origin");
    auto preflight = client.options("/").header("origin", "https://a.example");
    preflight.header("access-control-request-method", "PUT");
    preflight.header("access-control-request-headers", "x-a");
    CHECK(co_await field(preflight, "access-control-allow-headers") == "x-a");
    CHECK(co_await body(preflight) == "204 ");
    CHECK_THROWS_AS(http::cors({.credentials = true}), http::error);

    http::router closed;
    closed.get("/", [](http::request& request) { return reply::text(request.user()); });
    closed.use(http::basic_auth("the shop", "ann", "pass:word"));
    http::test_client guest(closed);
    CHECK(co_await field(guest.get("/"), "www-authenticate") ==
          "Basic realm=\"the shop\", charset=\"UTF-8\"");
    CHECK(co_await body(guest.get("/").basic_auth("ann", "pass:word")) == "200 ann");
    CHECK(co_await body(guest.get("/").basic_auth("ann", "other")) == "401 Unauthorized\n");
    CHECK(co_await body(guest.get("/").header("authorization", "Basic !!!")) ==
          "401 Unauthorized\n");

    http::router busy;
    busy.get("/", named("x"));
    busy.use(http::rate_limit({.per_second = 2, .burst = 3}));
    http::test_client eager(busy);
    for (int i = 0; i < 3; ++i) CHECK(co_await body(eager.get("/")) == "200 x");
    CHECK(co_await field(eager.get("/"), "retry-after") == "1");
    co_await sleep(600ms);
    CHECK(co_await body(eager.get("/")) == "200 x");
    CHECK(co_await body(eager.get("/")) == "429 Too Many Requests\n");
}

RONDO_TEST("http request: a trusted proxy names the client, and a client cannot forge that",
           "[http_middleware]") {
    http::router site;
    site.get("/", [](http::request& request) { return reply::text(request.remote().address()); });
    site.use(http::rate_limit({.per_second = 0.001, .burst = 3}));
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    http::session client("http://" + listener.local().text());
    http::server_options options;
    options.trusted_proxies = "127.0.0.1, 10.0.0.0/8";
    auto serving = http::serve(std::move(listener), site, options);
    auto asking = [&]() -> task<> {
        const std::vector<std::pair<std::string, std::string>> rows = {
            {"9.9.9.9", "200 9.9.9.9"},
            {"10.9.9.9, 9.9.9.8,10.0.0.2", "200 9.9.9.8"},
            {"\", 9.9.9.7", "200 9.9.9.7"},  // the quote is the client's
            {"\"a, 9.9.9.6", "200 9.9.9.6"},
            {"unknown", "200 127.0.0.1"},
        };
        for (const auto& [said, expected] : rows) {
            auto request = client.get("/");
            request.header("x-forwarded-for", said);
            INFO(said);
            CHECK(co_await body(std::move(request)) == expected);
        }
        // An IPv4 address in IPv6 is one client, not all of them.
        for (int i = 0; i < 5; ++i) {
            auto request = client.get("/");
            request.header("x-forwarded-for", "::ffff:7.7.7." + std::to_string(i));
            CHECK((co_await body(std::move(request))).starts_with("200 "));
        }
        std::string last;
        for (int i = 0; i < 4; ++i) {
            auto request = client.get("/");
            request.header("x-forwarded-for", "2001:db8::" + std::to_string(i + 1));
            last = co_await body(std::move(request));
        }
        CHECK(last == "429 Too Many Requests\n");
        co_await client.close();
    };
    auto asked = asking();
    co_await race(std::move(serving), std::move(asked));
}

#ifdef RONDO_WITH_ZLIB
RONDO_TEST("http middleware: compress, of bodies and of streams", "[http_middleware]", seeds(1)) {
#ifdef RONDO_WITH_BROTLI
    const std::string best = "br";
#else
    const std::string best = "gzip";
#endif
    const std::string text(5000, 'x');
    http::router site;
    site.get("/text", [&](http::request&) { return reply::text(text).header("etag", "\"1\""); });
    site.get("/short", named("x"));
    site.get("/image", [&](http::request&) { return reply::bytes(text, "image/png"); });
    site.get("/stream", [](http::request&) {
        return reply::stream("text/plain", [](http::body_writer& out) -> task<> {
            co_await out.write_all("one ");
            co_await sleep(1h);
            co_await out.write_all("two");
        });
    });
    site.use(http::compress());
    http::test_client client(site);
    CHECK(co_await body(client.get("/text")) == "200 " + text);
    const std::vector<std::pair<std::string, std::string>> rows = {
        {"gzip", "gzip"},           {"br", best},
        {"gzip, br", best},         {"*", best},
        {"br;q=0.5, gzip", "gzip"}, {"gzip;q=0.4, br;q=0.45", best},
        {"br;q=0, *;q=0.1", "gzip"}, {"gzip;q=0, br;q=0, *", "(none)"},
        {"identity", "(none)"},     {"x-gzip", "(none)"},
    };
    for (const auto& [accepted, coding] : rows) {
        INFO(accepted);
        auto response = co_await client.get("/text").header("accept-encoding", accepted);
        CHECK(response.header("content-encoding").value_or("(none)") == coding);
        CHECK(response.headers().get("vary") == "accept-encoding");
    }
    CHECK(co_await field(client.get("/text"), "etag") == "W/\"1\"");
    CHECK(co_await field(client.get("/text"), "vary") == "accept-encoding");
    CHECK(co_await field(client.get("/short"), "content-encoding") == "(none)");
    CHECK(co_await field(client.get("/image"), "content-encoding") == "(none)");
    for (const char* coding : {"gzip", "br"}) {  // each piece can be decoded at once
        auto asked = client.get("/stream");
        asked.header("accept-encoding", coding).decode(true);
        auto response = co_await std::move(asked);
        const auto first = co_await response.read_some();
        CHECK(std::string(first.text()) == "one ");
        CHECK(response.header("content-encoding") == (coding == best ? best : "gzip"));
    }
}

/// Text of three letters, or bytes that cannot be made smaller.
std::string sample(std::size_t size, bool is_text) {
    std::mt19937 random(1);
    std::string made(size, ' ');
    for (char& each : made) {
        const auto drawn = random();
        each = is_text ? "abc"[drawn % 3] : static_cast<char>(drawn);
    }
    return made;
}

RONDO_TEST("http middleware: two tasks cannot write a compressed stream", "[http_middleware]",
           seeds(1)) {
    const std::string data = sample(300000, false);
    bool was_refused = false;
    const auto write = [&](http::body_writer& out) -> task<> {
        try {
            co_await out.write_all(data);
        } catch (const invalid_state_error&) {
            was_refused = true;
        }
    };
    http::router site;
    site.get("/", [&](http::request&) {
        return reply::stream("text/plain", [&](http::body_writer& out) -> task<> {
            auto first = write(out), second = write(out);
            co_await gather(std::move(first), std::move(second));
        });
    });
    site.use(http::compress());
    http::test_client client(site);
    auto asked = client.get("/");
    asked.header("accept-encoding", "br, gzip").decode(true);
    auto response = co_await std::move(asked);
    const std::string came = co_await response.bytes();
    CHECK((came == data));
    CHECK(was_refused);
}

RONDO_TEST("http middleware: compressed bodies of every size are whole", "[http_middleware]",
           seeds(1).limit(9h)) {
    const std::size_t sizes[] = {64, 160, 256, 336, 352, 1030, 1060, 2050, 3072};  // KiB
    for (const int level : {2, 5}) {
        std::string data;
        http::router site;
        site.get("/body", [&](http::request&) { return reply::bytes(data, "text/plain"); });
        site.get("/stream", [&](http::request&) {
            return reply::stream("text/plain", [&](http::body_writer& out) -> task<> {
                const std::size_t half = data.size() / 2;
                co_await out.write_all(std::string_view(data).substr(0, half));
                co_await out.write_all(std::string_view(data).substr(half));
            });
        });
        site.use(http::compress({.level = level}));
        http::test_client client(site);
        for (const std::size_t size : sizes) {
            for (const bool is_text : {true, false}) {
                data = sample(size * 1024, is_text);
                for (const char* path : {"/body", "/stream"}) {
                    INFO(path << " of " << size << " KiB" << (is_text ? " text" : "") << ", level "
                              << level);
                    auto asked = client.get(path);
                    asked.header("accept-encoding", "br, gzip").decode(true);
                    auto response = co_await std::move(asked);
                    CHECK(response.headers().contains("content-encoding"));
                    const std::string came = co_await response.bytes();
                    CHECK((came == data));
                }
            }
        }
    }
}
#endif

}  // namespace
