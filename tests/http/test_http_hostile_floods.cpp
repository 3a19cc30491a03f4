// SPDX-License-Identifier: MIT
// Clients of HTTP/2 that keep the rules and ask for too much.
#ifdef RONDO_WITH_NGHTTP2
#include "http/h2_hostile_tools.hpp"

#include <functional>

#include <rondo/gather.hpp>

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace rondo_tests;
using h2_talk::block;
using h2_talk::frame;
using h2_talk::literal;
using h2_talk::number;

/// Says a piece again and again until the server takes no more, or has closed. Returns: how often
/// it could be said.
task<std::size_t> flood(raw_client& client, std::function<std::string(std::size_t)> piece,
                        std::size_t most) {
    std::size_t said = 0;
    try {
        for (; said < most; ++said) {
            const bool is_taken = co_await move_on_after(100ms, client.say(piece(said)));
            if (!is_taken) break;
        }
    } catch (const std::exception&) {  // it has closed
    }
    co_return said;
}

struct kind_of_flood {
    const char* name;
    std::string first;
    std::function<std::string(std::size_t)> piece;
    std::size_t most;        // pieces, of which not all are taken
    const char* expected;    // verdict()
};

std::vector<kind_of_flood> floods() {
    using namespace h2_talk;
    const auto always = [](std::string bytes) { return [bytes](std::size_t) { return bytes; }; };
    const auto id_of = [](std::size_t i) { return static_cast<std::uint32_t>(2 * i + 1); };
    const pairs line{{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "x"}};
    std::string kept = literal("a", std::string(3000, 'x'));
    kept.front() = '\x40';  // goes into the table, where each mention is one byte
    std::string pings, settings_frames, priorities, empty;
    for (int i = 0; i < 100; ++i) {
        pings += frame(ping, 0, 0, "12345678");
        settings_frames += frame(settings, 0, 0);
        priorities += frame(priority, 0, 3, number(0) + "x");
        empty += frame(data, 0, 1);
    }
    return {
        {"heads that unfold", "",
         [=](std::size_t i) {
             std::string fields = block(line) + (i == 0 ? kept : "");
             return frame(headers, 5, id_of(i), fields + std::string(100, '\xbe'));
         },
         2000, "goaway 11"},
        {"rapid reset", "",
         [id_of](std::size_t i) {
             return h2_talk::get(id_of(i)) + frame(rst_stream, 0, id_of(i), number(8));
         },
         2000, "goaway 11"},
        {"a continuation without end", frame(headers, 1, 1, literal(":method", "GET")),
         always(frame(continuation, 0, 1, literal("a", std::string(10000, 'x')))), 2000,
         "goaway 11"},
        {"small continuations without end", frame(headers, 1, 1, literal(":method", "GET")),
         always(frame(continuation, 0, 1)), 20000, "goaway 11"},
        {"pings", "", always(pings), 2000, "goaway 11"},
        {"settings", "", always(settings_frames), 2000, "goaway 11"},
        {"priorities", "", always(priorities), 2000, "goaway 11"},
        {"data of zero bytes", posted({}, "x", 0), always(empty), 2000, "goaway 11"},
        {"malformed requests", "",
         [id_of](std::size_t i) { return raw_head({{"a", "b"}}, id_of(i)); }, 20000,
         "goaway 11"},
        {"resets by a window that is too large", "",
         [id_of](std::size_t i) {
             return raw_head({{":method", "POST"}, {":scheme", "http"}, {":path", "/"},
                              {":authority", "x"}}, id_of(i), 0) +
                    frame(window_update, 0, id_of(i), number(0x7fffffff));
         },
         2000, "goaway 11"},
    };
}

RONDO_TEST("http hostile h2: floods are cut off, and others are served", "[http_hostile_h2]",
           seeds(1).limit(9h)) {
    const http::router site = hostile_h2_site();
    for (const auto& each : floods()) {
        INFO(each.name);
        memory_server server(site, {}, {.capacity = 1 << 14});
        auto attack = server.run([&](raw_client& client) -> task<> {
            std::string heard;
            const auto listen = [&]() -> task<> { heard = co_await client.hear(2s); };
            const auto shout = [&]() -> task<> {
                co_await client.say(h2_talk::hello_client + each.first);
                const std::size_t said = co_await flood(client, each.piece, each.most);
                CHECK(said < each.most);
            };
            auto listening = listen();
            auto shouting = shout();
            co_await gather(std::move(listening), std::move(shouting));
            CHECK(verdict(heard) == each.expected);
            CHECK(heard.ends_with("(closed)"));
        });
        auto use = server.run([](raw_client& raw) -> task<> {
            h2_client client(raw);
            for (int i = 0; i < 20; ++i) {
                CHECK((co_await client.ask("GET", "/"))->body == "ok");
                co_await sleep(1ms);
            }
        });
        co_await gather(std::move(attack), std::move(use));
    }
}

RONDO_TEST("http hostile h2: one that sends floods and reads nothing is given up",
           "[http_hostile_h2]", seeds(1).limit(9h)) {
    const http::router site = hostile_h2_site();
    for (const auto& each : floods()) {
        INFO(each.name);
        memory_server server(site, {}, {.capacity = 1 << 14});
        co_await server.run([&](raw_client& client) -> task<> {
            co_await client.say(h2_talk::hello_client + each.first);
            const std::size_t said = co_await flood(client, each.piece, each.most);
            CHECK(said < each.most);
            const time_point began = running_loop().time();
            while (!server.has_ended) co_await sleep(1s);
            CHECK(running_loop().time() - began < 80s);
        });
    }
}

}  // namespace
#endif
