// SPDX-License-Identifier: MIT
// Server-sent events over several connections: what is asked again and when, what ends the stream,
// and that a cancellation loses nothing.
#include <rondo/http.hpp>

#include <rondo/gather.hpp>

#include "http/scripted_server.hpp"
#include "support/core_tools.hpp"

using namespace rondo_tests;

namespace {

const std::string stream_head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
const std::string no_more = "HTTP/1.1 204 No Content\r\n\r\n";

/// A response with these events, after which the server hangs up.
std::string events_then_close(std::string_view events) {
    return std::string(then_close) + stream_head + std::string(events);
}

/// "TYPE=DATA;" of all events to the end of the stream, and the error if it ends with one.
task<std::string> all_events(http::event_stream& events) {
    std::string all;
    try {
        while (auto event = co_await events.next()) all += event->type + '=' + event->data + ';';
    } catch (const std::exception& error) {
        all += error.what();
    }
    co_return all;
}

task<std::string> all_events(http::request_builder request,
                             http::event_stream_options options = {}) {
    auto response = co_await std::move(request);
    auto events = response.events(options);
    co_return co_await all_events(events);
}

task<> ended(future<> work) {
    try {
        co_await work;
    } catch (const future_cancelled&) {
    }
}

double seconds_since(time_point before) {
    return std::chrono::duration<double>(running_loop().time() - before).count();
}

}  // namespace

RONDO_TEST("http events: one by one, over connections that end, until status 204", "[http_events]",
           limit(60s)) {
    scripted_server server([](const seen_request& request) {
        if (request.number == 1)
            return events_then_close(
                ": hello\nid: 7\ndata: one\ndata: more\n\nevent: x\ndata:two\n\ndata: cut off");
        if (request.number == 2) return events_then_close("id\ndata: three\n\n");
        if (request.number == 3)
            return reply(200, "data: four\n\n", "content-type: text/event-stream\r\n");
        return no_more;
    });
    co_await server.run([&]() -> task<> {
        http::session client;
        const time_point before = running_loop().time();
        auto response = co_await client.get(server.url("/news")).header("x-key", "k");
        auto events = response.events();
        auto first = co_await events.next();
        CHECK(first->type == "message");
        CHECK(first->data == "one\nmore");
        CHECK(first->id == "7");
        CHECK(events.last_id() == "7");
        CHECK(events.response().status() == 200);
        CHECK(co_await all_events(events) == "x=two;message=three;message=four;");
        CHECK(co_await all_events(events) == "");
        REQUIRE(server.requests.size() == 4);
        CHECK(server.requests[0].field("last-event-id") == "-");
        CHECK(server.requests[1].field("last-event-id") == "7");
        CHECK(server.requests[2].field("last-event-id") == "-");  // the server has taken it back
        CHECK(server.requests[1].line() == "GET /news HTTP/1.1");
        CHECK(server.requests[1].field("x-key") == "k");
        CHECK(server.requests[1].field("accept") == "text/event-stream");
        CHECK(seconds_since(before) >= 9);
        CHECK(seconds_since(before) < 10);
        CHECK(client.connections() <= 1);
    });
}

RONDO_TEST("http events: pauses are the server's, and double while nothing comes",
           "[http_events]", limit(600s)) {
    std::vector<double> at;
    scripted_server server([&](const seen_request& request) {
        at.push_back(seconds_since({}));
        if (request.number == 1) return events_then_close("retry: 10000\ndata: 1\n\n");
        return events_then_close("");
    });
    co_await server.run([&]() -> task<> {
        http::session client;
        http::event_stream_options options;
        options.attempts = 4;
        options.delay_max = 25s;
        const std::string all = co_await all_events(client.get(server.url()), options);
        CHECK(all == "message=1;the server ended 4 connections in a row without an event: GET " +
                         server.url());
        REQUIRE(at.size() == 5);
        for (std::size_t i = 1; i < at.size(); ++i) {
            const double expected[] = {10, 10, 20, 25};
            CHECK(at[i] - at[i - 1] >= expected[i - 1]);
            CHECK(at[i] - at[i - 1] < expected[i - 1] + 0.5);
        }
    });
}

RONDO_TEST("http events: a server that is gone for a while, and one that is gone for good",
           "[http_events]", limit(600s)) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const endpoint where = listener.local();
    const std::string url = "http://" + where.text() + "/";
    auto give_one = [](tcp_stream peer) -> task<> {
        co_await peer.read_until("\r\n\r\n");
        co_await peer.write_all(stream_head, "data: 1\n\n");
    };
    http::session client;
    auto serving = create_task(serve(std::move(listener), give_one));
    http::event_stream_options options;
    options.attempts = 2;
    auto response = co_await client.get(url);
    auto events = response.events(options);
    CHECK((co_await events.next())->data == "1");
    serving.cancel();
    co_await ended(serving);
    auto next = create_task(events.next());
    co_await sleep(4s);  // one attempt has failed
    auto again = create_task(serve(tcp_listener::bind(where), give_one));
    auto second = co_await std::move(next);
    CHECK(second->data == "1");
    again.cancel();
    co_await ended(again);
    const std::string last = co_await all_events(events);
    CHECK(last.find("Connection refused: GET " + url) != std::string::npos);
    CHECK(co_await all_events(events) == last);
}

RONDO_TEST("http events: only a GET is asked again, and only if that is wanted", "[http_events]") {
    scripted_server server([](const seen_request& request) {
        if (request.line().find("/cut") != std::string::npos)
            return std::string(then_close) +
                   "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
                   "content-length: 100\r\n\r\ndata: 1\n\n";
        return events_then_close("data: token\n\ndata: [DONE]\n\n");
    });
    co_await server.run([&]() -> task<> {
        http::session client;
        CHECK(co_await all_events(client.post(server.url()).body("{}")) ==
              "message=token;message=[DONE];");
        http::event_stream_options once;
        once.reconnect = false;
        CHECK(co_await all_events(client.get(server.url()), once) ==
              "message=token;message=[DONE];");
        const std::string cut = co_await all_events(client.get(server.url("/cut")), once);
        CHECK(cut.starts_with("message=1;"));
        CHECK(cut.find("(after 9 bytes): GET ") != std::string::npos);
        CHECK(server.requests.size() == 3);
    });
}

RONDO_TEST("http events: what is no stream of events is an error, at once or on the way",
           "[http_events]", limit(60s)) {
    scripted_server server([](const seen_request& request) -> std::string {
        if (request.line().find("/html") != std::string::npos)
            return reply(200, "<p>", "content-type: text/html\r\n");
        if (request.line().find("/none") != std::string::npos) return no_more;
        if (request.number > 3) return reply(404, "");
        return events_then_close("data: 1\n\n");
    });
    co_await server.run([&]() -> task<> {
        http::session client;
        CHECK(co_await error_of([&]() -> task<> {
                  co_await all_events(client.get(server.url("/html")));
              }()) == "no event stream, but status 200 and type \"text/html\": GET " +
                          server.url("/html"));
        CHECK(co_await all_events(client.get(server.url("/none"))) == "");
        CHECK(co_await all_events(client.get(server.url())) ==
              "message=1;404 X: GET " + server.url());
        http::event_stream_options short_ones;
        short_ones.event_bytes = 3;
        server.requests.clear();
        auto response = co_await client.get(server.url());
        auto events = response.events(short_ones);
        const std::string too_long = co_await all_events(events);
        CHECK(too_long == "an event is longer than 3 bytes: GET " + server.url());
        CHECK(co_await all_events(events) == too_long);
    });
}

RONDO_TEST("http events: silence and the request's own limit", "[http_events]", limit(600s)) {
    scripted_server server([](const seen_request& request) {
        return stream_head + "data: " + std::to_string(request.number) + "\n\n";
    });
    co_await server.run([&]() -> task<> {
        http::session client;
        auto response = co_await client.get(server.url());
        http::event_stream_options options;
        options.silence = 20s;
        auto events = response.events(options);
        const time_point before = running_loop().time();
        CHECK((co_await events.next())->data == "1");
        CHECK((co_await events.next())->data == "2");
        CHECK(seconds_since(before) >= 23);
        CHECK(seconds_since(before) < 24);
        auto patient = co_await client.get(server.url());
        auto quiet = patient.events();
        CHECK(co_await quiet.next());
        auto waiting = move_on_after(200s, quiet.next());
        CHECK_FALSE(co_await std::move(waiting));  // no limit of ours ends it
        const std::string limited = co_await all_events(client.get(server.url()).timeout(5s));
        CHECK(limited.find("timed out after 5s waiting for the response body") !=
              std::string::npos);
    });
}

// -- cancellation ---------------------------------------------------------------------------------
RONDO_TEST("http events: a cancelled next loses nothing, in every phase", "[http_events]",
           limit(60s)) {
    scripted_server server([](const seen_request& request) -> std::string {
        if (request.number == 1) return events_then_close("id: 1\ndata: one\n\n");
        if (request.number == 2) return std::string(stay_silent);
        return stream_head + "data: two\n\ndata: thr";
    });
    co_await server.run([&]() -> task<> {
        http::session client;
        auto response = co_await client.get(server.url());
        auto events = response.events();
        const auto make = [&] { return events.next(); };
        co_await check_cancelled_before(make);
        CHECK((co_await events.next())->data == "one");
        const time_point before = running_loop().time();
        auto pausing = move_on_after(1s, events.next());
        CHECK_FALSE(co_await std::move(pausing));  // in the pause
        auto connecting = move_on_after(5s, events.next());
        CHECK_FALSE(co_await std::move(connecting));  // in the second request
        CHECK(server.requests.size() == 2);
        CHECK((co_await events.next())->data == "two");  // the third one, at once
        CHECK(server.requests[2].field("last-event-id") == "1");
        CHECK(seconds_since(before) < 7);
        co_await check_cancelled_while_suspended(make);  // in the middle of an event
        CHECK(client.connections() == 1);
    });
}

RONDO_TEST("http events: an event that has come is not lost to a cancellation", "[http_events]") {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const std::string url = "http://" + listener.local().text() + "/";
    std::optional<tcp_stream> server;
    auto accept = [&]() -> task<> { server.emplace(co_await listener.accept()); };
    http::session client;
    auto ask = [&]() -> task<http::response> { co_return co_await client.get(url); };
    auto answer = [&]() -> task<> {
        co_await accept();
        co_await server->read_until("\r\n\r\n");
        co_await server->write_all(stream_head);
    };
    auto both = co_await gather(ask(), answer());
    auto events = std::get<0>(both).events();
    for (int i = 0; i < 20; ++i) {
        auto waiting = create_task(events.next());
        co_await yield_now();
        auto writing = create_task(server->write_all("data: x\n\n"));
        for (int turn = 0; turn < i; ++turn) co_await yield_now();
        waiting.cancel();
        bool came = false;
        try {
            came = (co_await waiting).has_value();
        } catch (const future_cancelled&) {
        }
        co_await std::move(writing);
        if (!came) CHECK((co_await events.next())->data == "x");
    }
    auto nothing = move_on_after(1s, events.next());
    CHECK_FALSE(co_await std::move(nothing));  // none came twice
}
