// SPDX-License-Identifier: MIT
// The client over HTTP/2: what is chosen, how connections are shared, and how each thing that a
// server may do wrong ends.
#include <rondo/http.hpp>

#include <cstdlib>
#include <random>

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

constexpr auto second_version = http::version::http_2;

http::session_options with_http_2() {
    http::session_options options;
    options.version = second_version;
    return options;
}

/// Answers as its path says.
void answer_well(h2_peer& peer, h2_request& request) {
    const std::string& path = request.head.path;
    if (path == "/moved")
        return peer.reply(request, "to", 302, http::fields().set("location", "/large"));
    if (path == "/large") return peer.reply(request, std::string(200'000, 'x'));
    if (path == "/bulk") return peer.reply(request, std::string(3'000'000, 'b'));
    if (path == "/none") return peer.reply(request, "", 204);
    if (path == "/never") return;
    if (path == "/reset") return peer.engine.reset(request, h2::code::internal_error);
    if (path == "/refused") return peer.engine.reset(request, h2::code::refused_stream);
    if (path == "/bye") {
        peer.reply(request, "bye");
        peer.engine.end();
        return;
    }
    if (path == "/cut") {
        peer.engine.respond(request, 200, http::fields().set("content-length", "8"), true);
        peer.engine.write(request, "half");
        peer.hangs_up = true;
        return;
    }
    if (path == "/missing") return peer.reply(request, "no", 404);
    if (request.head.method == "PUT")
        return peer.reply(request, std::to_string(request.body.size()));
    peer.reply(request, request.head.method + ' ' + path);
}

task<std::string> text_of(http::session& client, std::string url) {
    auto response = co_await client.get(url);
    co_return co_await response.text();
}
task<> ask(http::session& client, std::string url) { co_await text_of(client, url); }
task<> put(http::session& client, std::string url, std::size_t size) {
    auto request = client.put(url).body(std::string(size, 'u'));
    co_await std::move(request);
}

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
        CHECK(server.streams_max > 8);
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

RONDO_TEST("http2 client: a cancelled or dropped request resets its stream and no other",
           "[http2_client]") {
    h2_server server(answer_well);
    co_await server.run([&]() -> task<> {
        http::session client(with_http_2());
        co_await ask(client, server.url());
        auto other = client.get(server.url("/bulk"));
        auto reading = co_await std::move(other);
        co_await move_on_after(5ms, ask(client, server.url("/never")));
        { auto dropped = co_await client.get(server.url("/bulk")); }
        const std::string all = co_await reading.bytes();
        CHECK(all == std::string(3'000'000, 'b'));
        CHECK(server.connections == 1);
        co_await sleep(10ms);
        int cancelled = 0;
        for (const h2_request& each : server.peers.front()->requests)
            if (each.closed == h2::code::cancel) ++cancelled;
        CHECK(cancelled == 2);
        CHECK(server.peers.front()->engine.streams() == 0);
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
        co_await sleep(100ms);
        const h2_request& sent = server.peers.front()->requests.front();
        CHECK(3'000'000 - sent.unsent() == 1 << 20);  // the window of a stream
        const auto piece = co_await response.read_some();
        CHECK(piece.size() == 1 << 20);
        co_await sleep(100ms);
        CHECK(3'000'000 - sent.unsent() == 2 << 20);
        CHECK((co_await response.bytes()).size() == 3'000'000 - (1 << 20));
    });
}

RONDO_TEST("http2 client: errors say what the server did", "[http2_client]", limit(3min)) {
    h2_server server(answer_well);
    co_await server.run([&]() -> task<> {
        http::session client(with_http_2());
        const auto error = [&](const char* path) {
            return error_of(ask(client, server.url(path)));
        };
        CHECK(co_await error("/reset") ==
              "the server reset the stream: INTERNAL_ERROR: GET " + server.url("/reset"));
        CHECK(server.seen.size() == 1);  // it is not sent again
        const std::string cut = co_await error("/cut");
        CHECK(cut.find("the server closed the connection (after 4 bytes): GET") == 0);
        const time_point before = running_loop().time();
        CHECK((co_await error("/never")).find("timed out after 30s waiting for response headers") ==
              0);
        CHECK(running_loop().time() - before < 31s);
        CHECK(co_await text_of(client, server.url("/a")) == "GET /a");
        http::session_options brief = with_http_2();
        brief.head_bytes = 60;
        http::session strict(brief);
        CHECK((co_await error_of(ask(strict, server.url()))).find("its head is too large") !=
              std::string::npos);
    });
}

/// Sends `raw` after the settings, whatever the client asks.
task<std::string> told_of(std::string raw, bool hangs_up = false) {
    h2_server server([&](h2_peer& peer, h2_request&) {
        peer.raw += raw;
        peer.hangs_up = hangs_up;
    });
    std::string told;
    co_await server.run([&]() -> task<> {
        http::session client(with_http_2());
        told = co_await error_of(ask(client, server.url()));
        CHECK(client.connections() <= 1);
        co_await client.close();
        CHECK(client.connections() == 0);
    });
    if (const auto at = told.find(": GET http"); at != std::string::npos) told.resize(at);
    co_return told;
}

struct wrong_server {
    std::string told;  // the beginning of the error
    std::string raw;
    bool hangs_up = false;
};

std::vector<wrong_server> wrong_servers() {
    using namespace h2_talk;
    const std::string broke = "the server broke the rules of HTTP/2: ";
    const std::string refused = "the response is refused: ";
    const std::string malformed = refused + "the message is malformed";
    const std::string silent = "timed out after 30s waiting for ";
    std::string storm;
    for (int i = 0; i < 20'000; ++i) storm += frame(settings, 0, 0);
    pairs large;
    for (int i = 0; i < 100; ++i) large.emplace_back("a", std::string(120, 'x'));
    pairs bomb = large;
    bomb.resize(130, bomb.front());
    return {
        {broke, frame(data, 0, 0, "x")},
        {broke, frame(data, 0, 1, "x")},
        {broke, ok(1) + frame(data, 0, 7, "x")},
        {broke, "HTTP/1.1 200 OK\r\n\r\n"},
        {broke, frame(headers, end_headers, 1, "\xff\xff\xff\xff")},
        {refused, frame(headers, end_headers, 1, block({{"a", "b"}}))},
        {malformed, ok(1, {{"content-length", "1"}}) + frame(data, 0, 1, "xy")},
        {malformed, ok(1, {{"content-length", "3"}}) + frame(data, end_stream, 1, "x")},
        {refused, ok(1, {{"Connection", "close"}})},
        {broke, frame(push_promise, end_headers, 1, number(2) + block({{":method", "GET"}}))},
        {"the server refuses the request again and again",
         frame(goaway, 0, 0, number(0) + number(11))},
        {"the server closed the connection", ok(1) + frame(goaway, 0, 0, number(1) + number(2)),
         true},
        {"the server reset the stream: ENHANCE_YOUR_CALM",
         ok(1) + frame(rst_stream, 0, 1, number(11))},
        {"the server reset the stream: NO_ERROR", ok(1) + frame(rst_stream, 0, 1, number(0))},
        {silent + "response headers", ""},
        {silent, ok(1)},
        {"the server closed the connection", "", true},
        {broke, storm},
        {"no error", ok(1, large, end_stream)},
        {refused + "its head is too large", ok(1, bomb, end_stream)},
        // After the end of the message, what follows on the stream is no matter.
        {"no error", ok(1, {}, end_stream) + frame(rst_stream, 0, 1, number(0))},
    };
}

RONDO_TEST("http2 client: servers that break the rules", "[http2_client]", seeds(1).limit(5min)) {
    for (const wrong_server& each : wrong_servers()) {
        const std::string told = co_await told_of(each.raw, each.hangs_up);
        INFO(told);
        CHECK(told.starts_with(each.told));
    }
}

RONDO_TEST("http2 client: a server that never opens its window, or answers before the end",
           "[http2_client]", limit(3min)) {
    h2::options closed;
    closed.stream_window = closed.stream_window_max = 10'000;
    h2_server server(answer_well, closed);
    server.on_head = [&](h2_request& request) {
        request.peer.consumes = false;
        if (request.head.path != "/early") return;
        request.reply = "no";
        request.peer.engine.respond(request, 413, {}, true);
        request.peer.engine.write(request, request.reply, true);
    };
    co_await server.run([&]() -> task<> {
        http::session client(with_http_2());
        co_await ask(client, server.url());  // from here on the window is known
        const std::string in_vain = "timed out after 30s waiting for the peer to take the request";
        CHECK((co_await error_of(put(client, server.url("/y"), 20'000))).starts_with(in_vain));
        CHECK((co_await error_of(put(client, server.url("/y"), 300'000))).starts_with(in_vain));
        auto early = client.put(server.url("/early")).body(std::string(300'000, 'u'));
        auto refused = co_await std::move(early);
        CHECK(refused.status() == 413);
        CHECK(co_await refused.text() == "no");
        CHECK(server.connections == 1);
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

RONDO_TEST("http2 client: a request is cancelled before it begins, while it waits, and too late",
           "[http2_client]", seeds(2)) {
    h2_server server(answer_well);
    co_await server.run([&]() -> task<> {
        http::session client(with_http_2());
        const auto silent = [&] { return text_of(client, server.url("/never")); };
        co_await check_cancelled_before(silent);
        CHECK(server.seen.empty());
        co_await check_cancelled_while_suspended(silent);
        co_await ask(client, server.url());
        co_await check_cancelled_while_suspended(silent);  // on the connection that is shared
        auto response = co_await client.get(server.url("/large"));
        co_await sleep(20ms);  // all of it has come: the read has its bytes, though it is cancelled
        auto late = create_task(response.bytes());
        co_await yield_now();
        late.cancel();
        co_await sleep(20ms);
        CHECK(late.done());
        CHECK(server.connections == 2);  // the first was cancelled before the server's settings
        CHECK(client.connections() == 1);
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

// -- a cancel at any moment -----------------------------------------------------------------------

/// RONDO_HTTP_CANCELS, as in test_http_pool.cpp: a tenth of it here, over TLS a hundredth.
unsigned wanted_cancels(bool secure) {
    const char* const text = std::getenv("RONDO_HTTP_CANCELS");
    if (text == nullptr) return secure ? 60 : 600;
    const unsigned all = static_cast<unsigned>(std::strtoul(text, nullptr, 10));
    return std::max(4U, secure ? all / 100 : all / 10);
}
how for_cancels(bool secure) {
    return seeds(4).limit(60s + 1s * (wanted_cancels(secure) / (secure ? 100 : 1000)));
}

void must_be(const std::string& found, const std::string& wanted) {
    if (found != wanted) FAIL("other bytes: " << found.substr(0, 100));
}

task<> ask_in_vain(http::session& client, std::string url) {
    try {
        co_await ask(client, url);
    } catch (const http::error&) {
    }
}

task<> ask_one_of(http::session& client, const h2_server& server, unsigned which) {
    const auto upload = [&](std::size_t size) -> task<> {
        auto request = client.put(server.url("/up")).body(std::string(size, 'u'));
        auto response = co_await std::move(request);
        must_be(co_await response.text(), std::to_string(size));
    };
    switch (which % 10) {
        case 0:
            must_be(co_await text_of(client, server.url("/s")), "GET /s");
            break;
        case 1:
            must_be(co_await text_of(client, server.url("/moved")), std::string(200'000, 'x'));
            break;
        case 2:
            must_be(co_await text_of(client, server.url("/large")), std::string(200'000, 'x'));
            break;
        case 3:
            co_await ask_in_vain(client, server.url("/reset"));
            break;
        case 4:
            must_be(co_await text_of(client, server.url("/bye")), "bye");
            break;
        case 5:
            co_await ask_in_vain(client, server.url("/cut"));
            break;
        case 6: {
            auto dropped = co_await client.get(server.url("/large"));
        } break;
        case 7:
            co_await ask_in_vain(client, server.url("/refused"));
            break;
        case 8:
            co_await upload(1000);
            break;
        default:
            co_await upload(150'000);
    }
}

/// Ends as well if the connection that others share was cut under it.
task<> ask_one_or_lose(http::session& client, const h2_server& server, unsigned which) {
    try {
        co_await ask_one_of(client, server, which);
    } catch (const http::protocol_error&) {
    } catch (const http::body_error&) {
    }
}

task<> check_whole(http::session& client, const h2_server& server) {
    co_await sleep(1s);
    REQUIRE(client.connections() == client.idle_connections());
    REQUIRE(server.open <= static_cast<int>(client.connections()));
    for (const h2_peer* each : server.peers) REQUIRE(each->engine.streams() == 0);
}

task<> cancel_at_any_moment(bool secure) {
    h2::options few;
    few.streams = 2;
    h2_server server(answer_well, few);
    if (secure) server.secure(localhost_context());
    co_await server.run([&]() -> task<> {
        http::session_options two;
        two.connections_per_host = 2;
        if (!secure) two.version = second_version;
        http::session client(two);
        if (secure) client.tls(trusting_context());
        co_await ask_one_of(client, server, 0);
        std::mt19937 random(
            static_cast<unsigned>(running_loop().time().time_since_epoch().count()));
        const auto any = [&] { return static_cast<unsigned>(random()); };
        const unsigned wanted = wanted_cancels(secure) / 4;  // seeds
        unsigned cancels = 0;
        for (unsigned round = 0; cancels < wanted; ++round) {
            server.seen.clear();
            const duration when = 1us * (any() % (round % 4 == 0 ? 5000 : 900));
            auto asking = gather(
                ask_one_or_lose(client, server, any()), ask_one_or_lose(client, server, any()),
                ask_one_or_lose(client, server, any()), ask_one_or_lose(client, server, any()),
                ask_one_or_lose(client, server, any()));
            const bool ended = co_await move_on_after(when, std::move(asking));
            if (!ended) ++cancels;
            REQUIRE(client.connections() <= 2);
            if (round % 64 == 0) co_await check_whole(client, server);
        }
        co_await check_whole(client, server);
        CHECK((co_await text_of(client, server.url("/large"))).size() == 200'000);
        co_await sleep(5s);
        CHECK(client.connections() == 0);
        CHECK(server.open == 0);
    });
}

RONDO_TEST("http2 client: a cancel at any moment leaves the pool whole", "[http2_client]",
           for_cancels(false)) {
    co_await cancel_at_any_moment(false);
}
RONDO_TEST("http2 client: over TLS a cancel at any moment leaves the pool whole as well",
           "[http2_client]", for_cancels(true)) {
    co_await cancel_at_any_moment(true);
}

}  // namespace

#endif
