// SPDX-License-Identifier: MIT
// How each thing that a server of HTTP/2 may do wrong ends for the client.
#include <rondo/http.hpp>

#include "http/h2_server.hpp"
#include "http/h2_talk.hpp"
#include "http/scripted_server.hpp"

#ifdef RONDO_WITH_NGHTTP2

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace rondo_tests;

RONDO_TEST("http2 client: errors say what the server did", "[http2_client_errors]", limit(3min)) {
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

RONDO_TEST("http2 client: servers that break the rules", "[http2_client_errors]",
           seeds(1).limit(5min)) {
    for (const wrong_server& each : wrong_servers()) {
        const std::string told = co_await told_of(each.raw, each.hangs_up);
        INFO(told);
        CHECK(told.starts_with(each.told));
    }
}

RONDO_TEST("http2 client: a server that never opens its window, or answers before the end",
           "[http2_client_errors]", limit(3min)) {
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

}  // namespace

#endif
