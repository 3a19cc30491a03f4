// SPDX-License-Identifier: MIT
// WebSocket against peers that do wrong: hostile clients and servers, byte by byte.
#include "http/ws_site.hpp"

#include "http/websocket/handshake.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace rondo_tests;
using ws_tools::answer_to;
using ws_tools::close_frame;
using ws_tools::error_of;
using ws_tools::fin;
using ws_tools::frame;
using ws_tools::make_chat;
using ws_tools::opening_fields;
using ws_tools::text_of;

RONDO_TEST("websocket: hostile clients get the code of what they did", "[websocket_hostile]") {
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

RONDO_TEST("websocket: a client that hangs up, or is silent, or takes nothing", "[websocket_hostile]") {
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

RONDO_TEST("websocket: a client that sends on and on and takes nothing is lost", "[websocket_hostile]") {
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

RONDO_TEST("websocket: hostile servers are errors of the client", "[websocket_hostile]") {
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

RONDO_TEST("websocket: a proxy is asked for a tunnel, also without TLS", "[websocket_hostile]") {
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

}  // namespace
