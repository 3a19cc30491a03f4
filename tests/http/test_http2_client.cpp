// SPDX-License-Identifier: MIT
// The client over HTTP/2: what is chosen, what is sent, how requests share connections.
#include <map>

#include <rondo/http.hpp>

#include <rondo/gather.hpp>

#include "http/h2_server.hpp"
#include "http/h2_talk.hpp"
#include "http/scripted_server.hpp"
#include "support/tls_tools.hpp"

#ifdef RONDO_WITH_NGHTTP2

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace rondo_tests;

RONDO_TEST("http2 client: requests share one connection, and look as over HTTP/1.1",
           "[http2_client][both]") {
    h2_server server(answer_well);
    co_await server.run([&]() -> task<> {
        http::session client(with_http_2());
        auto first = co_await client.get(server.url("/a?b=c")).header("Accept", "text/x");
        CHECK(first.version() == second_version);
        CHECK(text(first.version()) == "HTTP/2");
        CHECK(first.reason().empty());
        CHECK(first.status() == 200);
        CHECK(first.content_length() == 10U);
        CHECK(co_await first.text() == "GET /a?b=c");
        std::vector<task<std::string>> all;
        for (int i = 0; i < 12; ++i) all.push_back(text_of(client, server.url("/large")));
        const auto texts = co_await gather(std::move(all));
        for (const std::string& each : texts) CHECK(each.size() == 200'000);
        CHECK(server.connections == 1);
        CHECK(server.streams_max > 3);  // at once; some end before others have come
        auto none = co_await client.get(server.url("/none"));
        CHECK(none.status() == 204);
        auto head = co_await client.head(server.url("/h"));
        CHECK(head.content_length() == 7U);
        CHECK(co_await head.text() == "");
        auto moved = co_await client.get(server.url("/moved"));
        CHECK((co_await moved.text()).size() == 200'000);
        CHECK(moved.history().size() == 1);
        auto missing = co_await client.get(server.url("/missing"));
        CHECK_THROWS_WITH(missing.raise_for_status(), Catch::StartsWith("404 Not Found: GET http"));
        missing.close();
        CHECK(server.connections == 1);
        CHECK(client.connections() == 1);
        CHECK(client.idle_connections() == 1);
        co_await client.close();
        CHECK(client.connections() == 0);
        co_await sleep(10ms);
        CHECK(server.open == 0);
    });
}

RONDO_TEST("http2 client: fields and bodies that are sent", "[http2_client]") {
    std::vector<std::string> heads;
    h2_server server(answer_well);
    server.on_head = [&](h2_request& request) {
        const h2::head& head = request.head;
        heads.push_back(head.method + ' ' + head.scheme + ' ' + head.authority + ' ' + head.path +
                        h2_talk::text_of(head.headers));
    };
    co_await server.run([&]() -> task<> {
        http::session client(with_http_2());
        client.headers().set("user-agent", "u").set("accept", "a").set("accept-encoding", "e");
        const std::string where = server.url().substr(7, server.url().size() - 8);
        auto asked = client.get(server.url("/x"));
        asked.header("Connection", "keep-alive").header("Transfer-Encoding", "gzip");
        asked.header("Host", "elsewhere").header("TE", "trailers").header("content-length", "9");
        co_await asked;
        CHECK(heads.back() == "GET http " + where +
                                  " /x user-agent=u accept=a accept-encoding=e "
                                  "te=trailers host=" +
                                  where);
        auto small = client.put(server.url("/y")).body("hello", "text/plain");
        auto put = co_await std::move(small);
        CHECK(co_await put.text() == "5");
        CHECK(heads.back().find(" content-length=5 ") != std::string::npos);
        auto empty = client.put(server.url("/y"));
        co_await std::move(empty);
        CHECK(heads.back().find(" content-length=0 ") != std::string::npos);
        auto large = client.put(server.url("/y")).body(std::string(3'000'000, 'u'));
        auto sent = co_await std::move(large);
        CHECK(co_await sent.text() == "3000000");
        auto pieces = []() -> async_generator<std::string> {
            for (int i = 0; i < 10; ++i) co_yield std::string(10'000, 'p');
        };
        auto streamed = client.put(server.url("/y")).body(pieces());
        auto taken = co_await std::move(streamed);
        CHECK(co_await taken.text() == "100000");
        CHECK(heads.back().find("content-length") == std::string::npos);
        CHECK(server.connections == 1);
    });
}

RONDO_TEST("http2 client: TLS's handshake chooses, and those that come meanwhile wait for it",
           "[http2_client]") {
    std::vector<std::string> choices(1, "both");
    choices.emplace_back("http/1.1");
    choices.emplace_back("h2");
    for (const std::string& offered : choices) {
        h2_server server(answer_well);
        server.secure(localhost_context(), offered);
        const bool is_2 = offered != "http/1.1";
        co_await server.run([&]() -> task<> {
            http::session client;
            client.tls(trusting_context());
            std::vector<task<std::string>> all;
            for (int i = 0; i < 12; ++i) all.push_back(text_of(client, server.url("/a")));
            const auto texts = co_await gather(std::move(all));
            for (const std::string& each : texts) CHECK(each == (is_2 ? "GET /a" : "old"));
            CHECK(server.connections == (is_2 ? 1 : 6));
            auto one = co_await client.get(server.url("/a"));
            CHECK(one.version() == (is_2 ? second_version : http::version::http_1_1));
            one.close();
            if (offered == "both") {
                auto first = co_await client.get(server.url()).version(http::version::http_1_1);
                CHECK(first.version() == http::version::http_1_1);
                CHECK(co_await first.text() == "old");
            }
            auto wants = client.get(server.url("/a")).version(second_version);
            if (is_2) {
                auto both = co_await std::move(wants);
                CHECK(both.version() == second_version);
                both.close();
            } else {
                auto failing = [&]() -> task<> { co_await std::move(wants); };
                const std::string told = co_await error_of(failing());
                CHECK(told.find("no application protocol") != std::string::npos);
            }
            co_await client.close();
            CHECK(client.connections() == 0);
        });
        CHECK(server.open == 0);
    }
}

RONDO_TEST("http2 client: a second connection when one is full, then requests wait in line",
           "[http2_client][both]") {
    h2::options three;
    three.streams = 3;
    h2_server server(answer_well, three);
    co_await server.run([&]() -> task<> {
        auto options = with_http_2();
        options.connections_per_host = 2;
        http::session client(options);
        co_await ask(client, server.url("/first"));  // from here on its limit is known
        std::vector<task<std::string>> all;
        for (int i = 0; i < 20; ++i)
            all.push_back(text_of(client, server.url("/" + std::to_string(i))));
        const auto texts = co_await gather(std::move(all));
        for (std::size_t i = 0; i < texts.size(); ++i)
            CHECK(texts[i] == "GET /" + std::to_string(i));
        CHECK(server.connections == 2);
        CHECK(server.streams_max <= 3);
        CHECK(client.connections() == 2);
        // A request that is cancelled in the line leaves no trace.
        std::vector<task<std::string>> held;
        for (int i = 0; i < 6; ++i) held.push_back(text_of(client, server.url("/never")));
        auto holding = gather(std::move(held));
        auto late = [&]() -> task<> {
            co_await sleep(5ms);
            co_await move_on_after(5ms, ask(client, server.url("/late")));
        };
        auto waiting = late();
        auto both = gather(std::move(holding), std::move(waiting));
        co_await move_on_after(20ms, std::move(both));
        CHECK(co_await text_of(client, server.url("/after")) == "GET /after");
        CHECK(std::count(server.seen.begin(), server.seen.end(), "GET /late") == 0);
    });
}

RONDO_TEST("http2 client: GOAWAY and REFUSED_STREAM are not noticed by the user",
           "[http2_client]") {
    int refusals = 2;
    h2_server server([&](h2_peer& peer, h2_request& request) {
        if (request.head.path == "/p" && refusals-- > 0)
            return peer.engine.reset(request, h2::code::refused_stream);
        answer_well(peer, request);
    });
    co_await server.run([&]() -> task<> {
        http::session client(with_http_2());
        CHECK(co_await text_of(client, server.url("/bye")) == "bye");
        CHECK(co_await text_of(client, server.url("/a")) == "GET /a");
        CHECK(server.connections == 2);
        auto post = client.post(server.url("/p")).body("once");
        auto posted = co_await std::move(post);
        CHECK(co_await posted.text() == "POST /p");
        CHECK(std::count(server.seen.begin(), server.seen.end(), "POST /p") == 3);
        // A request that was on its way when the GOAWAY came: above the last one.
        auto many = [&]() -> task<> {
            std::vector<task<std::string>> all;
            for (int i = 0; i < 8; ++i)
                all.push_back(text_of(client, server.url(i == 3 ? "/bye" : "/x")));
            const auto texts = co_await gather(std::move(all));
            for (int i = 0; i < 8; ++i)
                CHECK(texts[static_cast<std::size_t>(i)] == (i == 3 ? "bye" : "GET /x"));
        };
        co_await many();
        CHECK(co_await error_of(ask(client, server.url("/refused"))) ==
              "the server refuses the request again and again: GET " + server.url("/refused"));
    });
}

RONDO_TEST("http2 client: a server may end each connection after three requests",
           "[http2_client]") {
    std::map<int, int> answered;  // of each connection
    h2_server server([&](h2_peer& peer, h2_request& request) {
        using namespace h2_talk;
        if (peer.hangs_up) return;  // it is above the last one
        answer_well(peer, request);
        peer.hangs_up = ++answered[peer.number] == 3;
        if (peer.hangs_up) peer.raw += frame(goaway, 0, 0, number(5) + number(0));
    });
    co_await server.run([&]() -> task<> {
        http::session client(with_http_2());
        std::vector<task<std::string>> all;
        for (int i = 0; i < 60; ++i) all.push_back(text_of(client, server.url("/x")));
        for (const std::string& each : co_await gather(std::move(all))) CHECK(each == "GET /x");
        CHECK(server.connections == 20);
    });
}

RONDO_TEST("http2 client: after 30 s of silence the server is asked whether it is there",
           "[http2_client]", limit(10min)) {
    h2_server server(answer_well);
    co_await server.run([&]() -> task<> {
        auto options = with_http_2();
        options.keep_alive = 5min;
        http::session client(options);
        co_await ask(client, server.url());
        co_await sleep(2min);
        CHECK(co_await text_of(client, server.url("/a")) == "GET /a");
        CHECK(server.connections == 1);
        co_await sleep(2min);
        server.peers.front()->is_mute = true;
        const time_point before = running_loop().time();
        CHECK(co_await text_of(client, server.url("/b")) == "GET /b");
        CHECK(running_loop().time() - before >= 5s);
        CHECK(running_loop().time() - before < 6s);
        CHECK(server.connections == 2);
        co_await sleep(6min);
        CHECK(client.connections() == 0);
        CHECK(server.open == 0);
    });
}

RONDO_TEST("http2 client: a body comes as it is read", "[http2_client]") {
    h2_server server(answer_well);
    co_await server.run([&]() -> task<> {
        http::session client(with_http_2());
        auto response = co_await client.get(server.url("/bulk"));
        co_await sleep(10s);  // until nothing moves, however small the buffers are
        const h2_request& sent = server.peers.front()->requests.front();
        CHECK(3'000'000 - sent.unsent() == 1 << 20);  // the window of a stream
        // It lies in pieces of 64 KiB, whose buffers are used again.
        for (std::size_t read = 0; read < 1 << 20; read += 64 * 1024) {
            const auto piece = co_await response.read_some();
            REQUIRE(piece.size() == 64 * 1024);
            CHECK(piece.text() == bulk().substr(read, piece.size()));
        }
        co_await sleep(10s);  // until nothing moves, however small the buffers are
        CHECK(3'000'000 - sent.unsent() == 2 << 20);
        CHECK(co_await response.text() == bulk().substr(1 << 20));
    });
}

RONDO_TEST("http2 client: stream_window bounds what comes ahead of the reader", "[http2_client]") {
    h2_server server(answer_well);
    co_await server.run([&]() -> task<> {
        for (const std::uint32_t window : {1u, 10'000u, 100'000u}) {
            auto options = with_http_2();
            options.stream_window = window;
            http::session client(options);
            auto response = co_await client.get(server.url("/bulk"));
            co_await sleep(10s);
            const h2_request& sent = server.peers.back()->requests.front();
            CHECK(3'000'000 - sent.unsent() == window);
        }
        auto options = with_http_2();
        options.stream_window = 200'000;
        http::session client(options);
        auto narrow = co_await client.get(server.url("/bulk"));
        CHECK((co_await narrow.bytes()).size() == 3'000'000);
        options.stream_window = 0xffffffff;  // as much as a window can have
        http::session widest(options);
        auto wide = co_await widest.get(server.url("/bulk"));
        CHECK((co_await wide.bytes()).size() == 3'000'000);
        options.stream_window = 0;
        CHECK_THROWS_AS(http::session(options), http::error);
    });
}

RONDO_TEST("http2 client: a response may outlive its session; close waits for the farewell",
           "[http2_client][both]") {
    h2_server server(answer_well);
    co_await server.run([&]() -> task<> {
        auto client = std::make_unique<http::session>(with_http_2());
        auto response = co_await client->get(server.url("/large"));
        client.reset();
        CHECK((co_await response.text()).size() == 200'000);
        http::session second(with_http_2());
        co_await ask(second, server.url());
        co_await second.close();
        co_await sleep(20ms);
        CHECK(second.connections() == 0);
        CHECK(server.open == 0);
    });
}

TEST_CASE("http2 client: a session in one loop after another", "[http2_client]") {
    testing::leak_probe probe;
    {
        auto brief = with_http_2();
        brief.keep_alive = 1ms;
        http::session client(brief);
        auto once = [&]() -> task<> {
            h2_server server(answer_well);
            co_await server.run([&]() -> task<> {
                CHECK(co_await text_of(client, server.url("/a")) == "GET /a");
                while (client.idle_connections() != 0) co_await sleep(1ms);
                CHECK(co_await text_of(client, server.url("/a")) == "GET /a");
            });
        };
        for (int i = 0; i < 3; ++i) {
            loop home;
            home.run_until_complete(once());
        }
    }
    CHECK(probe.leaks().empty());
}

}  // namespace

#endif
