// SPDX-License-Identifier: MIT
// The ends of a WebSocket on virtual time: its close, its peer, its server, cancellation.
#include "http/ws_site.hpp"

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include <rondo/queue.hpp>
#include <rondo/wait.hpp>

#include "http/websocket/core.hpp"
#include "support/core_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace rondo_tests;
using ws_tools::close_frame;
using ws_tools::error_of;
using ws_tools::fin;
using ws_tools::frame;
using ws_tools::make_chat;
using ws_tools::opening_fields;
using ws_tools::text_of;

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

RONDO_TEST("websocket: the limit of the close holds for the layer below too", "[websocket_end]") {
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

RONDO_TEST("websocket: a handler after the end of its peer", "[websocket_end]") {
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
        CHECK_THAT(co_await client.hear(2500ms),
                   Catch::EndsWith(close_frame(1000, "", false) + "(closed)"));
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

RONDO_TEST("websocket: the end of a server", "[websocket_end]") {
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

RONDO_TEST("websocket: next and send are cancelled at any moment, and nothing is lost",
           "[websocket_end]") {
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
           "[websocket_end]") {
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

}  // namespace
