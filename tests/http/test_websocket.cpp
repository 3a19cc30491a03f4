// SPDX-License-Identifier: MIT
// WebSocket on virtual time, both sides by http::test_client: messages, openings, codes.
#include "http/ws_site.hpp"

#include <rondo/gather.hpp>

#ifdef RONDO_WITH_OPENSSL
#include "support/tls_tools.hpp"
#endif

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace rondo_tests;
using ws_tools::echo_back;
using ws_tools::error_of;
using ws_tools::head_of;
using ws_tools::make_chat;
using ws_tools::opening_fields;
using ws_tools::text_of;

RONDO_TEST("websocket: both sides, by a test_client", "[websocket]") {
    const http::router site = make_chat();
    http::test_client client(site);
    auto socket = co_await client.websocket("/echo");
    CHECK(socket.is_open());
    CHECK(socket.subprotocol().empty());
    co_await socket.send_text("hello");
    co_await socket.send_binary(std::string_view("\0\xff", 2));
    CHECK(co_await text_of(socket) == "hello");
    auto bytes = co_await socket.next();
    CHECK_FALSE(bytes->is_text());
    CHECK(bytes->bytes() == std::string_view("\0\xff", 2));
    CHECK_THROWS_WITH(bytes->text(), Catch::Contains("take its bytes()"));
    const std::string large(200'000, 'x');
    auto sending = socket.send_text(large);
    auto receiving = text_of(socket);
    auto both = co_await gather(std::move(sending), std::move(receiving));
    CHECK(std::get<1>(both) == large);
    CHECK_THAT(co_await error_of(socket.send_text("\xff")), Catch::Contains("is no UTF-8"));
    CHECK_THAT(co_await error_of(socket.close(1005)), Catch::Contains("must not be sent"));
    CHECK_THAT(co_await error_of(socket.close(1000, std::string(124, 'x'))),
               Catch::Contains("longer than 123"));
    co_await socket.close();
    CHECK_FALSE(socket.is_open());
    CHECK(socket.close_code() == 1000);
    CHECK_FALSE(co_await socket.next());
    CHECK(co_await error_of(socket.send_text("more")) == "this WebSocket is closed");
    co_await socket.close();  // again
}

RONDO_TEST("websocket: the peer's code and reason, and the ends of a handler", "[websocket]") {
    std::string reported;
    running_loop().set_exception_handler([&](const exception_context& context) {
        try {
            std::rethrow_exception(context.error);
        } catch (const std::exception& error) {
            reported += context.message + ": " + error.what();
        }
    });
    const http::router site = make_chat();
    http::test_client client(site);
    auto ann = co_await client.websocket("/hello/Ann");
    CHECK(co_await text_of(ann) == "hello Ann");
    CHECK(co_await error_of(ann.next()) ==
          "4000: the peer closed the WebSocket with 4000 (that was all)");
    CHECK(ann.close_code() == 4000);
    CHECK(ann.close_reason() == "that was all");

    auto left = co_await client.websocket("/leave");
    CHECK_FALSE(co_await left.next());
    CHECK(left.close_code() == 1000);
    CHECK(co_await error_of(left.send_text("x")) ==
          "1000: the peer closed the WebSocket with 1000");
    CHECK(reported.empty());
    auto failing = co_await client.websocket("/fail");
    co_await failing.send_text("x");
    CHECK(co_await error_of(failing.next()) == "1011: the peer closed the WebSocket with 1011");
    co_await sleep(2s);
    CHECK(reported == "the handler of GET /fail failed: the handler failed");
    {
        auto dropped = co_await client.websocket("/nothing");  // and closed by its destructor
    }
    co_await sleep(2s);
    CHECK(client.session().connections() == 0);  // they have left the pool
    running_loop().set_exception_handler({});
}

RONDO_TEST("websocket: openings that are refused", "[websocket]") {
    http::router site = make_chat();
    site.websocket("/listed", echo_back, {.origins = "https://a.example, https://b.example"});
    site.websocket("/all", echo_back, {.origins = "*"});
    site.get("/page", [](http::request&) { return http::reply::text("a page"); });
    const auto without = [](std::string_view name) {
        std::string fields = opening_fields;
        const auto at = fields.find(name);
        return fields.erase(at, fields.find("\r\n", at) + 2 - at);
    };
    const auto code = [&](std::string fields, std::string path = "/echo",
                          std::string method = "GET") -> task<int> {
        co_return code_of(co_await said_to(site, get(path, fields, method)));
    };
    const std::string good = co_await said_to(site, get("/echo", opening_fields));
    CHECK(head_of(good) ==
          "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
          "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    CHECK(co_await code(opening_fields + "origin: http://x\r\n") == 101);
    CHECK(co_await code(opening_fields + "origin: http://x:80\r\n") == 101);
    CHECK(co_await code(opening_fields + "origin: https://evil.example\r\n") == 403);
    CHECK(co_await code(opening_fields + "origin: http://x:81\r\n") == 403);
    CHECK(co_await code(opening_fields + "origin: null\r\n") == 403);
    CHECK(co_await code(opening_fields + "origin: https://B.example\r\n", "/listed") == 101);
    CHECK(co_await code(opening_fields + "origin: http://x\r\n", "/listed") == 403);
    CHECK(co_await code(opening_fields + "origin: null\r\n", "/all") == 101);
    CHECK(co_await code("") == 426);
    CHECK(co_await code(without("upgrade")) == 426);
    CHECK(co_await code(without("connection")) == 426);
    CHECK(co_await code(without("sec-websocket-version")) == 400);
    CHECK(co_await code(without("sec-websocket-key")) == 400);
    CHECK(co_await code(without("sec-websocket-key") + "sec-websocket-key: c2hvcnQ=\r\n") == 400);
    CHECK(co_await code(opening_fields + "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n") == 400);
    CHECK(co_await code(opening_fields + "content-length: 1\r\n") == 400);
    CHECK(co_await code(opening_fields, "/echo", "POST") == 405);
    CHECK(co_await code(opening_fields, "/echo", "HEAD") == 426);
    CHECK(co_await code(opening_fields, "/none") == 404);
    CHECK(co_await code(opening_fields, "/page") == 200);
    const std::string old = co_await said_to(
        site, get("/echo", without("sec-websocket-version") + "sec-websocket-version: 8\r\n"));
    CHECK(code_of(old) == 426);
    CHECK_THAT(old, Catch::Contains("\r\nsec-websocket-version: 13\r\n"));

    http::test_client client(site);
    CHECK(co_await error_of(client.websocket("/none").open()) ==
          "404 Not Found: GET http://localhost/none");
    CHECK(co_await error_of(client.websocket("/page").open()) ==
          "200 OK: GET http://localhost/page");
    CHECK(co_await error_of(client.websocket("/listed").origin("http://localhost").open()) ==
          "403 Forbidden: GET http://localhost/listed");
}

RONDO_TEST("websocket: subprotocols, compression, fields and middleware", "[websocket]") {
    http::router site;
    std::string seen;
    site.use([&](http::request& asked, http::next_handler next) -> task<http::reply> {
        seen += std::string(asked.header("x-name").value_or("-")) + ' ';
        co_return co_await next(asked);
    });
    int logged = 0;
    site.access_log([&](const http::access& of) { logged = of.status; });
    site.websocket("/chat", echo_back,
                   {.context_takeover = true, .compress_from = 1, .subprotocols = "v2, v1"});
    http::test_client client(site);
    client.session().headers().set("x-name", "Ann");
    auto socket = co_await client.websocket("/chat").subprotocol("v1").subprotocol("v3");
    CHECK(socket.subprotocol() == "v1");
    CHECK(seen == "Ann ");
#ifdef RONDO_WITH_ZLIB
    CHECK(socket.is_compressed());
#endif
    const std::string long_text(5000, 'l');
    for (int i = 0; i < 3; ++i) {
        co_await socket.send_text(long_text);
        CHECK(co_await text_of(socket) == long_text);
    }
    co_await socket.close(3000, "done");
    co_await sleep(10ms);
    CHECK(logged == 101);
    auto both = client.websocket("/chat").subprotocol("v1").subprotocol("v2");
    both.options({.compression = false});
    auto plain = co_await both;
    CHECK(plain.subprotocol() == "v2");
    CHECK_FALSE(plain.is_compressed());
    co_await plain.send_text(long_text);
    CHECK(co_await text_of(plain) == long_text);
    co_await plain.close();
}

RONDO_TEST("websocket: sends of several tasks are whole and in order", "[websocket]") {
    http::router site;
    std::string order;
    site.websocket("/slow", [&](http::websocket peer) -> task<> {
        while (auto message = co_await peer.next()) {
            order += message->bytes().front();
            if (message->bytes().size() != 30'000) order += '!';
            co_await sleep(1s);
        }
    });
    http::test_client client(site);
    auto socket = co_await client.websocket("/slow").options({.compression = false});
    const auto say = [&](char letter) -> task<> {
        for (int i = 0; i < 5; ++i) co_await socket.send_binary(std::string(30'000, letter));
    };
    co_await gather(say('a'), say('b'), say('c'));
    co_await socket.send_binary(std::string(30'000, 'd'));
    co_await sleep(1min);
    CHECK(order == "abcabcabcabcabcd");
    co_await socket.close();
}

/// Sends many messages while their echoes come.
task<> ask_many(http::session& web, std::string url) {
    auto socket = co_await web.websocket(url);
    const auto send_all = [&]() -> task<> {
        for (std::size_t i = 0; i < 200; ++i) co_await socket.send_text(std::string(i * 37, 'm'));
    };
    const auto read_all = [&]() -> task<> {
        for (std::size_t i = 0; i < 200; ++i)
            CHECK((co_await text_of(socket)).size() == i * 37);
    };
    co_await gather(send_all(), read_all());
    co_await socket.close();
    CHECK(web.connections() == 0);
}

template <class Listener>
task<> exchange_many(Listener listener, http::session& web, std::string url) {
    http::router site;
    site.websocket("/echo", echo_back);
    auto serving = http::serve(std::move(listener), site, {.grace = 1s});
    auto asking = ask_many(web, url);
    co_await race(std::move(serving), std::move(asking));
}

RONDO_TEST("websocket: over a socket, with many messages", "[websocket][both]", seeds(2)) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const std::string url = "http://" + listener.local().text() + "/echo";
    http::session web;
    co_await exchange_many(std::move(listener), web, url);
}

#ifdef RONDO_WITH_OPENSSL
RONDO_TEST("websocket: over TLS, beside HTTP/2", "[websocket][both]", seeds(2)) {
    auto listener = tls_listener::bind({"127.0.0.1", 0}, localhost_context());
    const std::string url = "wss://localhost:" + std::to_string(listener.local().port()) + "/echo";
    http::session web;
    web.tls(trusting_context());
    co_await exchange_many(std::move(listener), web, url);
}
#endif

}  // namespace
