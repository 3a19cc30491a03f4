// SPDX-License-Identifier: MIT
// WebSocket on virtual time: both sides by http::test_client, hostile clients and servers byte by
// byte, cancellation, the close, pings, limits.
#include <algorithm>
#include <random>
#include <set>

#include <rondo/gather.hpp>
#include <rondo/http/test_client.hpp>
#include <rondo/queue.hpp>
#include <rondo/wait.hpp>

#include "http/server_tools.hpp"
#include "http/websocket/core.hpp"
#include "http/websocket/handshake.hpp"
#include "http/ws_tools.hpp"
#include "support/core_tools.hpp"
#ifdef RONDO_WITH_OPENSSL
#include "support/tls_tools.hpp"
#endif

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace rondo_tests;
using ws_tools::close_frame;
using ws_tools::fin;
using ws_tools::frame;

const std::string opening_fields =
    "upgrade: websocket\r\nconnection: keep-alive, Upgrade\r\nsec-websocket-version: 13\r\n"
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

task<> echo_back(http::websocket peer) {
    while (auto message = co_await peer.next()) {
        if (message->is_text())
            co_await peer.send_text(message->text());
        else
            co_await peer.send_binary(message->bytes());
    }
}
task<> greet(http::request& asked, http::websocket peer) {
    co_await peer.send_text("hello " + std::string(asked.parameter("name")));
    co_await peer.close(4000, "that was all");
}
task<> say_nothing(http::websocket peer) { co_await peer.closed(); }
task<> take_nothing(http::websocket peer) {
    co_await sleep(1h);
    co_await peer.close();
}
task<> fail_soon(http::websocket peer) {
    co_await peer.next();
    throw std::runtime_error("the handler failed");
}
task<> leave_soon(http::websocket) { co_return; }

http::router make_chat() {
    http::router site;
    site.websocket("/echo", echo_back);
    site.websocket("/hello/{name}", greet);
    site.websocket("/nothing", say_nothing);
    site.websocket("/deaf", take_nothing);
    site.websocket("/fail", fail_soon);
    site.websocket("/leave", leave_soon);
    site.websocket("/small", echo_back, {.message_bytes = 100});
    site.websocket("/patient", echo_back, {.ping_after = 1s, .ping_limit = 2s});
    return site;
}

/// "1002: the peer …", what a wait throws; "nothing" if it does not.
template <class Awaitable>
task<std::string> error_of(Awaitable waiting) {
    try {
        static_cast<void>(co_await std::move(waiting));
    } catch (const http::websocket_error& error) {
        co_return std::to_string(error.code()) + ": " + error.what();
    } catch (const std::exception& error) {
        co_return error.what();
    }
    co_return "nothing";
}

task<std::string> text_of(http::websocket& from) {
    auto message = co_await from.next();
    if (!message) co_return "(end)";
    co_return std::move(*message).text();
}

std::string head_of(const std::string& reply) { return reply.substr(0, reply.find("\r\n\r\n")); }

/// Says `bytes` to the echo of `site` after the opening, and hears what comes after the head.
task<std::string> answer_to(const http::router& site, std::string path, std::string bytes) {
    memory_server server(site);
    std::string heard;
    co_await server.run([&](raw_client& client) -> task<> {
        co_await client.say(get(path, opening_fields) + bytes);
        heard = body_of(co_await client.hear(2500ms));
    });
    co_return heard;
}

/// A server of one connection that opens the WebSocket and says `bytes`.
class ws_server {
public:
    explicit ws_server(std::string bytes, std::string fields = "")
        : bytes_(std::move(bytes)),
          fields_(std::move(fields)),
          listener_(tcp_listener::bind({"127.0.0.1", 0})),
          where_(listener_.local()) {}

    template <class Client>
    task<> run(Client client) {
        auto serving = serve_one();
        auto asking = client();
        co_await race(std::move(serving), std::move(asking));
    }
    std::string url() const { return "ws://" + where_.text() + "/x"; }
    std::string proxy() const { return "http://" + where_.text(); }
    bool is_proxy = false;  // it is asked for a tunnel before
    std::string tunnel;     // the head of that request
    std::string head;       // of the request
    std::string heard;  // after it

private:
    task<> serve_one() {
        tcp_stream peer = co_await listener_.accept();
        char buffer[4096];
        while (is_proxy && tunnel.find("\r\n\r\n") == tunnel.npos)
            tunnel += (co_await peer.read_some(buffer)).text();
        if (is_proxy) co_await peer.write_all("HTTP/1.1 200 OK\r\n\r\n");
        while (head.find("\r\n\r\n") == head.npos) head += (co_await peer.read_some(buffer)).text();
        const std::size_t at = head.find("sec-websocket-key: ") + 19;
        const std::string key = http::ws::accept_key(head.substr(at, 24));
        std::string reply = "HTTP/1.1 101 X\r\nupgrade: WebSocket\r\nconnection: upgrade\r\n"
                            "sec-websocket-accept: " + key + "\r\n" + fields_ + "\r\n" + bytes_;
        co_await peer.write_all(reply);
        while (const auto came = co_await peer.read_some(buffer)) heard += came.text();
        co_await sleep(1h);
    }

    std::string bytes_;
    std::string fields_;
    tcp_listener listener_;
    endpoint where_;
};

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

RONDO_TEST("websocket: hostile clients get the code of what they did", "[websocket]") {
    const http::router site = make_chat();
    const auto farewell = [](int code, std::string_view why) {
        return close_frame(code, why, false) + "(closed)";
    };
    // The close is answered at once: an echo that comes later is not sent, and no failure.
    CHECK(co_await answer_to(site, "/echo",
                             frame(fin | 1, "a", true) + close_frame(3001, "", true)) ==
          farewell(3001, ""));
    CHECK(co_await answer_to(site, "/echo", frame(fin | 9, "?", true)) ==
          frame(fin | 10, "?", false));
    CHECK(co_await answer_to(site, "/echo", frame(fin | 1, "a", false)) ==
          farewell(1002, "a frame of the client is not masked"));
    CHECK(co_await answer_to(site, "/echo", frame(fin | 3, "a", true)) ==
          farewell(1002, "an opcode is not known"));
    CHECK(co_await answer_to(site, "/echo", frame(fin | 1, "\xff", true)) ==
          farewell(1007, "a text is no UTF-8"));
    CHECK(co_await answer_to(site, "/small", frame(fin | 1, std::string(101, 'x'), true)) ==
          farewell(1009, "a message is longer than the limit"));
    CHECK(co_await answer_to(site, "/echo", close_frame(1006, "", true)) ==
          farewell(1002, "a close frame has a code that must not be sent"));
    CHECK(co_await answer_to(site, "/echo", "GET / HTTP/1.1\r\nhost: x\r\n\r\n") ==
          farewell(1002, "a frame of the client is not masked"));
    CHECK(co_await answer_to(site, "/leave", "") == close_frame(1000, "", false) + "(closed)");
    // Endless bytes after a mistake: they are read for a second, and the connection ends.
    memory_server server(site);
    bool is_over = false;
    co_await server.run([&](raw_client& client) -> task<> {
        co_await client.say(get("/echo", opening_fields) + frame(fin | 3, "", true));
        const time_point began = running_loop().time();
        try {
            for (;;) {
                co_await client.say(std::string(1000, 'x'));
                co_await sleep(10ms);
            }
        } catch (const std::system_error&) {
            is_over = running_loop().time() - began < 3s;
        }
    });
    CHECK(is_over);
}

RONDO_TEST("websocket: a client that hangs up, or is silent, or takes nothing", "[websocket]") {
    std::string seen;
    http::router site = make_chat();
    site.websocket("/see", [&](http::websocket peer) -> task<> {
        try {
            while (auto message = co_await peer.next()) seen += message->text() + ' ';
            seen += "end ";
        } catch (const http::websocket_error& error) {
            seen += std::to_string(error.code()) + ": " + error.what() + ' ';
        }
        seen += std::to_string(peer.close_code());
    });
    const auto tell_all = [](http::websocket peer) -> task<> {
        co_await peer.send_binary(std::string(1'000'000, 'x'));
    };
    site.websocket("/long", tell_all, {.ping_after = 1s, .ping_limit = 2s, .compression = false});
    memory_server server(site);
    co_await server.run([&](raw_client& client) -> task<> {
        co_await client.say(get("/see", opening_fields) + frame(fin | 1, "one", true) +
                            frame(1, "half of", true));
        co_await client.hear();
        co_await client.end();
        co_await client.hear();
    });
    CHECK(seen == "one 1006: the connection ended without a close 1006");
    // A ping after a second of silence, and the end two seconds after it.
    memory_server patient(site);
    co_await patient.run([&](raw_client& client) -> task<> {
        co_await client.ask(get("/patient", opening_fields));
        for (int i = 0; i < 3; ++i) {
            CHECK(co_await client.hear(950ms) == "");
            CHECK(co_await client.hear(100ms) == frame(fin | 9, "", false));
            co_await client.say(frame(fin | 10, "", true));
        }
        CHECK(co_await client.hear(1100ms) == frame(fin | 9, "", false));
        CHECK(co_await client.hear(800ms) == "");
        CHECK(co_await client.hear(200ms) == "(closed)");
    });
    // A client that takes a long message slowly says nothing for 8 s, and is not lost.
    memory_server slow(site);
    co_await slow.run([&](raw_client& client) -> task<> {
        co_await client.say(get("/long", opening_fields));
        std::vector<char> room(65536);
        std::size_t came = 0;
        std::string last;
        while (!last.ends_with(close_frame(1000, "", false))) {
            const auto piece = co_await client.stream().read_some(room);
            REQUIRE(piece);
            came += piece.size();
            last = piece.text();
            co_await sleep(500ms);
        }
        CHECK(came > 1'000'000);
    });
    // A client that sends on and on to a handler that takes nothing: bytes pile up within bounds.
    memory_server deaf(site);
    std::size_t taken = 0;
    co_await deaf.run([&](raw_client& client) -> task<> {
        co_await client.ask(get("/deaf", opening_fields));
        const std::string piece = frame(fin | 2, std::string(10'000, 'x'), true);
        for (;;) {
            const auto sent = co_await move_on_after(5min, client.stream().write_all(piece));
            if (!sent) break;
            taken += piece.size();
        }
    });
    CHECK(taken > 60'000);
    CHECK(taken < 300'000);
}

RONDO_TEST("websocket: a client that sends on and on and takes nothing is lost", "[websocket]") {
    std::string seen;
    const auto echo_and_note = [&](http::websocket peer) -> task<> {
        try {
            while (auto message = co_await peer.next()) co_await peer.send_binary(message->bytes());
        } catch (const http::websocket_error& error) {
            seen += std::to_string(error.code()) + ": " + error.what();
            throw;
        }
    };
    http::router site;
    site.websocket("/", echo_and_note);
    site.websocket("/without_pings", echo_and_note, {.ping_after = 0s, .write_limit = 30s});
    site.websocket("/for_ever", echo_and_note, {.write_limit = 0s});
    const auto held_for = [&](std::string path) -> task<duration> {
        seen.clear();
        memory_server server(site);
        duration held{};
        co_await server.run([&](raw_client& client) -> task<> {
            co_await client.ask(get(path, opening_fields));
            const std::string piece = frame(fin | 2, std::string(10'000, 'x'), true);
            for (bool is_taken = true; is_taken;)
                is_taken = co_await move_on_after(1s, client.stream().write_all(piece));
            for (; held < 5min && !server.has_ended; held += 1s) co_await sleep(1s);
        });
        co_return held;
    };
    const duration first = co_await held_for("/");
    CHECK(first > 50s);
    CHECK(first <= 60s);
    CHECK(seen == "1006: the peer took nothing for too long");
    const duration second = co_await held_for("/without_pings");
    CHECK(second > 20s);
    CHECK(second <= 30s);
    CHECK(seen == "1006: the peer took nothing for too long");
    CHECK(co_await held_for("/for_ever") == 5min);
}

/// A peer that closes, and never takes the goodbye of the layer below, as TLS has one.
class stuck_goodbye final : public rondo::detail::http_transport {
public:
    task<std::string_view> read() override {
        if (std::exchange(is_read_, true)) co_await sleep(1h);
        co_return bytes_;
    }
    task<> write(const_buffer bytes) override {
        said += bytes.text();
        co_return;
    }
    task<> shutdown_write() override { co_return; }
    task<> close() override {
        is_asked = true;
        co_await sleep(1h);
    }
    void abort() noexcept override { is_aborted = true; }

    std::string said;
    bool is_asked = false;
    bool is_aborted = false;

private:
    std::string bytes_ = close_frame(1000, "", true);
    bool is_read_ = false;
};

RONDO_TEST("websocket: the limit of the close holds for the layer below too", "[websocket]") {
    const time_point began = running_loop().time();
    stuck_goodbye transport;
    rondo::detail::websocket_core core(transport, {});
    co_await core.run();
    CHECK(running_loop().time() - began < 2s);
    CHECK(transport.said == close_frame(1000, "", false));
    CHECK(transport.is_asked);
    CHECK(transport.is_aborted);
    CHECK_FALSE(co_await core.next());
    CHECK(core.close_code() == 1000);

    stuck_goodbye other;
    rondo::detail::websocket_core left(other, {});
    CHECK_FALSE(co_await move_on_after(100ms, left.run()));
    CHECK(other.is_asked);
    CHECK(other.is_aborted);
}

RONDO_TEST("websocket: a handler after the end of its peer", "[websocket]") {
    std::string seen;
    queue<std::string> news;
    http::router site;
    site.websocket("/saves", [&](http::websocket peer) -> task<> {
        while (auto message = co_await peer.next()) {
            co_await sleep(1min);
            seen += message->text() + ' ';
        }
        co_await sleep(1min);
        seen += "saved";
    });
    const auto push = [&](http::websocket& to) -> task<> {
        while (auto line = co_await news.next()) co_await to.send_text(*line);
    };
    site.websocket("/pushes", [&](http::websocket peer) -> task<> { co_await push(peer); });
    site.websocket("/hears", [&](http::websocket peer) -> task<> {
        co_await race(push(peer), peer.closed());
        seen += "heard";
    });
    // It is not cancelled: it takes the messages that have come, and saves its work.
    memory_server saves(site);
    co_await saves.run([&](raw_client& client) -> task<> {
        co_await client.say(get("/saves", opening_fields) + frame(fin | 1, "one", true) +
                            frame(fin | 1, "two", true) + close_frame(1000, "", true));
        CHECK_THAT(co_await client.hear(2500ms), Catch::EndsWith(close_frame(1000, "", false) + "(closed)"));
        client.hang_up();
        co_await sleep(1min);
        CHECK_FALSE(saves.has_ended);
        co_await sleep(3min);
        CHECK(saves.has_ended);
    });
    CHECK(seen == "one two saved");
    // A handler that waits for something else hears of the end when it sends, or by closed().
    memory_server pushes(site);
    co_await pushes.run([&](raw_client& client) -> task<> {
        co_await client.ask(get("/pushes", opening_fields));
        client.hang_up();
        co_await sleep(1h);
        CHECK_FALSE(pushes.has_ended);
        co_await news.put("late");
        co_await sleep(1s);
        CHECK(pushes.has_ended);
    });
    seen.clear();
    memory_server hears(site);
    co_await hears.run([&](raw_client& client) -> task<> {
        co_await client.ask(get("/hears", opening_fields));
        client.hang_up();
        co_await sleep(2s);
        CHECK(hears.has_ended);
    });
    CHECK(seen == "heard");
}

RONDO_TEST("websocket: hostile servers are errors of the client", "[websocket]") {
    const auto seen = [](std::string bytes, std::string fields = "") -> task<std::string> {
        ws_server server(std::move(bytes), std::move(fields));
        std::string all;
        co_await server.run([&]() -> task<> {
            http::session web;
            try {
                auto socket = co_await web.websocket(server.url()).subprotocol("v1");
                while (auto message = co_await socket.next()) all += message->bytes() + ' ';
                all += "end";
                co_await socket.closed();
            } catch (const http::error& error) {
                all += error.what();
            }
            co_await sleep(3s);
        });
        co_return all;
    };
    const std::string broken = "the peer broke the rules of WebSocket: ";
    CHECK(co_await seen(frame(fin | 1, "hi", false) + close_frame(1001, "", false)) == "hi end");
    CHECK(co_await seen(frame(fin | 1, "hi", true)) == broken + "a frame of the server is masked");
    CHECK(co_await seen(frame(fin | 0x40 | 1, "hi", false)) == broken + "a reserved bit is set");
    CHECK(co_await seen(close_frame(1012, "back soon", false)) ==
          "the peer closed the WebSocket with 1012 (back soon)");
    CHECK_THAT(co_await seen("", "sec-websocket-protocol: v9\r\n"),
               Catch::StartsWith("the server chose the subprotocol \"v9\", which was not offered"));
    CHECK_THAT(co_await seen("", "sec-websocket-extensions: x-none\r\n"),
               Catch::StartsWith("the server chose an extension that was not offered: \"x-none\""));
    CHECK_THAT(co_await seen("", "sec-websocket-accept: AAAA\r\n"), !Catch::Contains("end"));
    // Half-closed at once.
    ws_server rude(close_frame(1000, "", false));
    co_await rude.run([&]() -> task<> {
        http::session web;
        auto socket = co_await web.websocket(rude.url());
        CHECK_FALSE(co_await socket.next());
        co_await socket.closed();  // after a second: the server closes nothing
        CHECK(rude.heard == frame(fin | 8, "\x03\xe8", true).substr(0, 2) + rude.heard.substr(2));
        CHECK(rude.head.starts_with("GET /x HTTP/1.1\r\nhost: "));
    });
}

RONDO_TEST("websocket: a proxy is asked for a tunnel, also without TLS", "[websocket]") {
    ws_server server(frame(fin | 1, "hi", false));
    server.is_proxy = true;
    co_await server.run([&]() -> task<> {
        http::session web;
        web.proxy(server.proxy());
        auto socket = co_await web.websocket("ws://far.example/chat?room=1").bearer("secret");
        CHECK(co_await text_of(socket) == "hi");
        CHECK(server.tunnel.starts_with("CONNECT far.example:80 HTTP/1.1\r\n"));
        CHECK_THAT(server.tunnel, !Catch::Contains("secret"));
        CHECK(server.head.starts_with("GET /chat?room=1 HTTP/1.1\r\nhost: far.example\r\n"));
        CHECK_THAT(server.head, Catch::Contains("authorization: Bearer secret\r\n"));
        co_await socket.close();
    });
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

RONDO_TEST("websocket: next and send are cancelled at any moment, and nothing is lost",
           "[websocket]") {
    const http::router site = make_chat();
    http::test_client client(site);
    auto socket = co_await client.websocket("/echo").options({.compression = false});
    co_await socket.send_text("one");
    co_await sleep(1s);  // its echo has come
    co_await check_cancelled_before([&] { return socket.next(); });
    CHECK(co_await text_of(socket) == "one");
    co_await check_cancelled_before([&] { return socket.send_text("never"); });
    co_await check_cancelled_while_suspended([&] { return socket.next(); });
    co_await socket.send_text("two");
    CHECK(co_await text_of(socket) == "two");
    // Chosen for a message and cancelled before it resumes: the message stays.
    for (int turns = 0; turns < 12; ++turns) {
        std::string got;
        const auto wait = [&]() -> task<> { got = co_await text_of(socket); };
        auto waiting = create_task(wait());
        co_await sleep(1s);
        co_await socket.send_text("three");
        for (int i = 0; i < turns; ++i) co_await yield_now();
        waiting.cancel();
        try {
            co_await waiting;
        } catch (const future_cancelled&) {
        }
        if (got.empty()) got = co_await text_of(socket);
        CHECK(got == "three");
    }
    // A send to a peer that takes nothing: it goes as a whole or not at all.
    auto deaf = co_await client.websocket("/deaf").options({.compression = false});
    const std::string large(300'000, 'x');
    bool was_sent = true;
    for (int i = 0; i < 5 && was_sent; ++i)
        was_sent = co_await move_on_after(1s, deaf.send_text(large));
    CHECK_FALSE(was_sent);
    co_await check_cancelled_while_suspended([&] { return deaf.send_text("later"); });
    CHECK(deaf.is_open());
    for (int turns = 0; turns < 6; ++turns) {
        auto sending = create_task(socket.send_text("four"));
        for (int i = 0; i < turns; ++i) co_await yield_now();
        sending.cancel();
        try {
            co_await sending;
        } catch (const future_cancelled&) {
        }
        co_await socket.send_text("five");
        std::string answer = co_await text_of(socket);
        if (answer == "four") answer = co_await text_of(socket);
        CHECK(answer == "five");
    }
    auto closing = create_task(deaf.close());
    co_await sleep(100ms);
    closing.cancel();
    try {
        co_await closing;
    } catch (const future_cancelled&) {
    }
    co_await deaf.closed();  // cut
    co_await check_cancelled_while_suspended([&] { return socket.closed(); });
    co_await socket.close();
    co_await check_cancelled_before([&] { return socket.closed(); });
}

RONDO_TEST("websocket: cancelled at seeded moments, every message is there once and in order",
           "[websocket]") {
    const http::router site = make_chat();
    http::test_client client(site);
    auto socket = co_await client.websocket("/echo").options({.context_takeover = true,
                                                              .compress_from = 1});
    std::mt19937 dice(7);
    std::set<int> sent;  // for sure
    std::vector<int> came;
    const auto take = [&]() -> task<> {
        came.push_back(std::stoi(std::move(*co_await socket.next()).text()));
    };
    const auto say = [&](int number) -> task<> {
        co_await socket.send_text(std::to_string(number));
        sent.insert(number);
    };
    for (int i = 0; i < 300; ++i) {
        auto saying = create_task(say(i));
        auto taking = create_task(take());
        for (auto turns = dice() % 4; turns > 0; --turns) co_await yield_now();
        if (dice() % 2 == 0) saying.cancel();
        for (auto turns = dice() % 12; turns > 0; --turns) co_await yield_now();
        taking.cancel();
        std::vector<future<>> both;
        both.push_back(saying);
        both.push_back(taking);
        co_await wait(std::move(both));
    }
    co_await socket.send_text("1000");
    while (came.empty() || came.back() != 1000) co_await take();
    CHECK(std::is_sorted(came.begin(), came.end()));
    CHECK(std::set<int>(came.begin(), came.end()).size() == came.size());
    const auto is_there = [&](int number) {
        return std::binary_search(came.begin(), came.end(), number);
    };
    CHECK(std::all_of(sent.begin(), sent.end(), is_there));
    CHECK(sent.size() > 100);
    CHECK(sent.size() < 290);
    co_await socket.close();
}

RONDO_TEST("websocket: the end of a server", "[websocket]") {
    std::string seen;
    http::router site;
    site.websocket("/", [&](http::websocket peer) -> task<> {
        while (auto message = co_await peer.next()) seen += message->text();
        seen += "|end";
        CHECK_THAT(co_await error_of(peer.send_text("x")), Catch::StartsWith("1001: "));
        co_await sleep(1s);  // within the grace time
        seen += "|saved";
        co_await peer.send_text("x");  // its error is no failure of the handler
    });
    site.websocket("/stubborn", [&](http::websocket) -> task<> {
        try {
            co_await sleep(1h);
        } catch (const cancelled&) {
            seen += "|cut";
            throw;
        }
    });
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const std::string base = "ws://" + listener.local().text();
    auto serving = create_task(http::serve(std::move(listener), site));
    http::session web;
    auto polite = co_await web.websocket(base + "/");
    auto stubborn = co_await web.websocket(base + "/stubborn");
    co_await polite.send_text("hello");
    co_await sleep(10ms);
    serving.cancel();
    CHECK_FALSE(co_await polite.next());
    CHECK(polite.close_code() == 1001);
    CHECK_FALSE(co_await stubborn.next());
    CHECK(stubborn.close_code() == 1001);
    try {
        co_await serving;
    } catch (const future_cancelled&) {
    }
    CHECK(seen == "hello|end|saved|cut");
    co_await web.close();
    // A request that is on its way when the server ends is told at once.
    memory_server ending(site);
    co_await ending.run([&](raw_client& client) -> task<> {
        co_await client.say("GET /stubborn HTTP/1.1\r\nhost: x\r\n");
        co_await client.hear();
        ending.begin_end();
        const std::string heard = co_await client.ask(opening_fields + "\r\n");
        CHECK(code_of(heard) == 101);
        CHECK(body_of(heard) == close_frame(1001, "", false));
    });
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
