// SPDX-License-Identifier: MIT
// The server over HTTP/2, on a connection of memory, with a client made of the engine.
#ifdef RONDO_WITH_NGHTTP2
#include "http/h2_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace rondo_tests;
using http::reply;

RONDO_TEST("http2 server: replies of every kind, whole and byte by byte", "[http2_server]",
           seeds(2)) {
    const http::router site = make_h2_site();
    for (const std::size_t chunk_max : {std::size_t{1} << 20, std::size_t{1}}) {
        memory_server server(site, {}, {.capacity = 1 << 20, .chunk_max = chunk_max});
        co_await server.run([](raw_client& raw) -> task<> {
            h2_client client(raw);
            const h2_exchange* said = co_await client.ask("GET", "/quick");
            CHECK(said->status == 200);
            CHECK(said->body == "quick");
            CHECK(said->header("content-type") == "text/plain; charset=utf-8");
            CHECK(said->header("content-length") == "5");
            CHECK(said->headers.contains("date"));
            CHECK(said->has_ended);
            CHECK((co_await client.ask("GET", "/hello/Ann%20%2F"))->body == "hello Ann /\n");
            CHECK((co_await client.ask("POST", "/echo", {}, "some text"))->body == "some text");
            said = co_await client.ask("HEAD", "/quick");
            CHECK(said->header("content-length") == "5");
            CHECK(said->body.empty());
            CHECK(said->has_ended);
            CHECK((co_await client.ask("GET", "/large"))->body == std::string(300000, 'x'));
            CHECK((co_await client.ask("GET", "/missing"))->status == 404);
            said = co_await client.ask("DELETE", "/quick");
            CHECK(said->status == 405);
            CHECK(said->header("allow") == "GET, HEAD, OPTIONS");
            CHECK((co_await client.ask("OPTIONS", "*"))->status == 204);
            CHECK_FALSE(client.is_closed);
        });
    }
}

RONDO_TEST("http2 server: a streamed reply goes out as it is written, with trailers",
           "[http2_server]", seeds(2)) {
    const http::router site = make_h2_site();
    memory_server server(site);
    co_await server.run([](raw_client& raw) -> task<> {
        h2_client client(raw);
        h2_exchange& said = client.begin("GET", "/ticks");
        co_await client.talk(5ms);
        CHECK(said.body == "1");
        CHECK_FALSE(said.has_ended);
        co_await client.talk(15ms);
        CHECK(said.body == "123");
        CHECK(said.has_ended);
        CHECK(said.trailers().get("x-count") == "3");
        CHECK_FALSE(said.headers.contains("transfer-encoding"));
    });
}

RONDO_TEST("http2 server: the handler sees the request as over HTTP/1.1", "[http2_server]",
           seeds(2)) {
    const http::router site = make_h2_site();
    memory_server server(site);
    co_await server.run([](raw_client& raw) -> task<> {
        h2_client client(raw);
        http::fields headers = http::fields().set("cookie", "a=1");
        headers.add("cookie", "b=2");
        CHECK((co_await client.ask("GET", "/mirror?q=1", headers))->body ==
              "HTTP/2 x /mirror?q=1 cookies: a=1; b=2 2 trailer: (none)");
        const auto trailers = http::fields().set("x-t", "7");
        h2_exchange& said = client.begin("POST", "/mirror", {}, "text", trailers);
        co_await client.talk();
        CHECK(said.body == "HTTP/2 x /mirror cookies:  (none) body: text trailer: 7");
    });
}

RONDO_TEST("http2 server: requests are answered side by side", "[http2_server]", seeds(2)) {
    const http::router site = make_h2_site();
    memory_server server(site);
    co_await server.run([](raw_client& raw) -> task<> {
        h2_client client(raw);
        const h2_exchange& first = client.begin("GET", "/slow");
        std::vector<h2_exchange*> others;
        for (int i = 0; i < 99; ++i) others.push_back(&client.begin("GET", "/quick"));
        co_await client.talk();
        for (const h2_exchange* each : others) CHECK(each->body == "quick");
        CHECK(first.status == 0);
        co_await client.talk(1s);
        CHECK(first.body == "slow");
    });
}

RONDO_TEST("http2 server: errors of handlers, and what they cut", "[http2_server]", seeds(1)) {
    const http::router site = make_h2_site();
    std::vector<std::string> reports;
    running_loop().set_exception_handler(
        [&](const exception_context& context) { reports.push_back(context.message); });
    memory_server server(site);
    co_await server.run([](raw_client& raw) -> task<> {
        h2_client client(raw);
        const h2_exchange* said = co_await client.ask("GET", "/broken");
        CHECK(said->status == 500);
        CHECK(said->body == "Internal Server Error\n");
        said = co_await client.ask("GET", "/half");
        CHECK(said->body == "half");
        CHECK_FALSE(said->has_ended);
        CHECK(said->closed == h2::code::internal_error);
        CHECK((co_await client.ask("GET", "/quick"))->body == "quick");
    });
    CHECK(reports == std::vector<std::string>{"the handler of GET /broken failed",
                                              "the handler of GET /half failed"});
    running_loop().set_exception_handler({});
}

RONDO_TEST("http2 server: a reset cancels its handler and no other", "[http2_server]", seeds(2)) {
    http::router site;
    int began = 0, ended = 0, left = 0;
    const auto work = [&](http::request&) -> task<reply> {
        ++began;
        try {
            co_await sleep(1s);
        } catch (const cancelled&) {
            ++left;
            throw;
        }
        ++ended;
        co_return reply::text("done");
    };
    std::vector<std::string> log;
    site.get("/work", work);
    site.access_log([&](const http::access& of) {
        log.push_back(std::to_string(of.status) + ' ' +
                      std::string(http::text(of.request->version())));
    });
    memory_server server(site);
    co_await server.run([&](raw_client& raw) -> task<> {
        h2_client client(raw);
        h2_exchange& first = client.begin("GET", "/work");
        h2_exchange& second = client.begin("GET", "/work");
        co_await client.talk(100ms);
        CHECK(began == 2);
        client.engine().reset(first, h2::code::cancel);
        co_await client.talk(100ms);
        CHECK(left == 1);
        co_await client.talk(2s);
        CHECK(second.body == "done");
    });
    CHECK(ended == 1);
    CHECK(log == std::vector<std::string>{"499 HTTP/2", "200 HTTP/2"});
}

RONDO_TEST("http2 server: without the option it is HTTP/1.1 alone", "[http2_server]", seeds(1)) {
    const http::router site = make_h2_site();
    http::server_options options;
    options.http2 = false;
    CHECK(code_of(co_await said_to(site, h2_talk::hello_client, options)) == 505);
    // Methods that begin as the preface does are HTTP/1.1.
    for (const std::size_t chunk_max : {std::size_t{1000}, std::size_t{1}}) {
        memory_server server(site, {}, {.chunk_max = chunk_max});
        co_await server.run([](raw_client& client) -> task<> {
            CHECK(code_of(co_await client.ask(get("/quick", "", "PRINT"))) == 405);
            CHECK(code_of(co_await client.ask(get("/quick", "", "PRI"))) == 405);
        });
        memory_server other(site, {}, {.chunk_max = chunk_max});
        co_await other.run([](raw_client& client) -> task<> {
            CHECK(code_of(co_await client.ask("PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n")) == 505);
        });
    }
}

}  // namespace
#endif
