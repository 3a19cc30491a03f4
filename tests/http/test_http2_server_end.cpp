// SPDX-License-Identifier: MIT
// The ends of streams, of connections and of the server over HTTP/2.
#ifdef RONDO_WITH_NGHTTP2
#include "http/h2_tools.hpp"

#include <rondo/gather.hpp>
#include <rondo/shield.hpp>

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace rondo_tests;
using http::reply;

RONDO_TEST("http2 server: shielded handlers end with their streams", "[http2_server_end]",
           seeds(2)) {
    http::router site = make_h2_site();
    std::vector<int> errors;
    const auto shielded = [&](auto&& work) -> task<> {
        try {
            co_await with_shield(work);
        } catch (const std::system_error& why) {
            errors.push_back(why.code().value());
            throw;
        }
    };
    const auto stubborn = [&](http::body_writer& out) -> task<> {
        const std::string block(200000, 'x');
        const auto write = [&]() -> task<> { co_await out.write_all(block); };
        co_await shielded(write);
    };
    site.get("/stuck", [&](http::request&) { return reply::stream("text/plain", stubborn); });
    site.post("/read", [&](http::request& request) -> task<reply> {
        const auto read = [&]() -> task<> {
            while (auto some = co_await request.read_some()) continue;
        };
        co_await shielded(read);
        co_return reply::text("read");
    });
    enum class way { reset, shut_window, gone, cut_off };
    for (const way how : {way::reset, way::shut_window, way::gone, way::cut_off}) {
        INFO("way " << static_cast<int>(how));
        errors.clear();
        memory_server server(site, {}, {.capacity = 1 << 20});
        co_await server.run([&](raw_client& raw) -> task<> {
            h2::options narrow;
            narrow.stream_window = 65535;
            h2_client client(raw, narrow);
            h2_exchange& written = client.begin("GET", "/stuck");
            written.consumes = false;
            h2_exchange& read = client.open("POST", "/read");
            co_await client.talk(100ms);
            CHECK(written.body.size() == 65535);
            std::size_t expected = 2;
            if (how == way::reset) {
                client.engine().reset(written, h2::code::cancel);
                client.engine().reset(read, h2::code::cancel);
                co_await client.talk();
            } else if (how == way::shut_window) {
                expected = 1;
                co_await client.talk(61s);
                CHECK(read.status == 408);
                CHECK(written.closed == h2::code::cancel);
            } else {
                if (how == way::gone)
                    raw.hang_up();
                else
                    server.cut_off();
                co_await sleep(3s);
                CHECK(server.has_ended);
            }
            CHECK(errors == std::vector<int>(expected, ECONNRESET));
            if (how == way::reset || how == way::shut_window)
                CHECK((co_await client.ask("GET", "/quick"))->body == "quick");
        });
    }
}

RONDO_TEST("http2 server: a client that goes cancels all of its handlers", "[http2_server_end]",
           seeds(2)) {
    for (const bool half_close : {false, true}) {
        const http::router site = make_h2_site();
        http::server_options options;
        options.half_close = half_close;
        memory_server server(site, options);
        co_await server.run([&](raw_client& raw) -> task<> {
            h2_client client(raw);
            const h2_exchange& said = client.begin("GET", "/slow");
            co_await client.talk(100ms);
            co_await raw.end();
            co_await client.talk(3s);
            CHECK(said.body == (half_close ? "slow" : ""));
            CHECK(client.is_closed);
            co_await sleep(2s);
            CHECK(server.has_ended);
        });
    }
}

RONDO_TEST("http2 server: at its end idle connections close at once, and no reply is lost",
           "[http2_server_end]", seeds(2)) {
    const http::router site = make_h2_site();
    memory_server idle(site), busy(site);
    auto first = idle.run([&](raw_client& raw) -> task<> {
        h2_client client(raw);
        co_await client.ask("GET", "/quick");
        idle.begin_end();
        co_await client.talk();
        CHECK(client.goaway == h2::code::no_error);
        CHECK(client.is_closed);
    });
    auto second = busy.run([&](raw_client& raw) -> task<> {
        h2_client client(raw);
        const h2_exchange& slow_one = client.begin("GET", "/slow");
        co_await client.talk(100ms);
        busy.begin_end();
        const h2_exchange& late = client.begin("GET", "/quick");  // it is on its way
        co_await client.talk(100ms);
        CHECK(late.body == "quick");
        CHECK(client.last_ids == std::vector<std::uint32_t>{0x7fffffff, late.id()});
        co_await client.talk(2s);
        CHECK(slow_one.body == "slow");
        CHECK(client.is_closed);
    });
    co_await gather(std::move(first), std::move(second));
}

RONDO_TEST("http2 server: a graceful end takes requests on their way, and none behind it",
           "[http2_server_end]", seeds(2)) {
    http::router site = make_h2_site();
    int calls = 0;
    site.get("/counted", [&](http::request&) {
        ++calls;
        return reply::text("counted");
    });
    memory_server server(site), busy(site, {}, {.capacity = 4096});
    // The last reply goes before the client has answered the ping.
    co_await server.run([&](raw_client& raw) -> task<> {
        h2_client client(raw);
        const h2_exchange& first = client.begin("GET", "/slow");
        co_await client.talk(100ms);
        server.begin_end();
        co_await sleep(500ms);
        const h2_exchange& late = client.begin("GET", "/counted");
        co_await sleep(450ms);  // the reply to the first one is there when it is sent
        co_await client.talk(2s);
        CHECK(first.body == "slow");
        CHECK(late.body == "counted");
        CHECK(client.last_ids == std::vector<std::uint32_t>{0x7fffffff, late.id()});
        CHECK(client.is_closed);
    });
    CHECK(calls == 1);
    // The client takes nothing, so the last GOAWAY, which names its requests, waits.
    co_await busy.run([&](raw_client& raw) -> task<> {
        h2_client client(raw);
        const h2_exchange& first = client.begin("GET", "/large");
        co_await client.talk(10ms, 2);
        busy.begin_end();
        co_await sleep(1500ms);
        const h2_exchange& late = client.begin("GET", "/counted");
        co_await client.talk(2s);
        CHECK(first.body.size() == 300000);
        CHECK(late.status == 0);
        CHECK(late.closed == h2::code::refused_stream);
        CHECK(client.last_ids == std::vector<std::uint32_t>{0x7fffffff, first.id()});
        CHECK(client.is_closed);
    });
    CHECK(calls == 1);
}

RONDO_TEST("http2 server: a head that stays unfinished has its limit also at an end",
           "[http2_server_end]", seeds(1).limit(9h)) {
    const http::router site = make_h2_site();
    http::server_options options;
    options.half_close = true;
    const std::string half =
        h2_talk::frame(h2_talk::headers, 1, 3, h2_talk::literal(":method", "GET"));
    for (const bool is_ended_by_peer : {false, true}) {
        memory_server server(site, options);
        co_await server.run([&](raw_client& client) -> task<> {
            co_await client.ask(h2_talk::hello_client + h2_talk::get(1) + half);
            if (is_ended_by_peer)
                co_await client.end();
            else
                server.begin_end();
            co_await sleep(14s);
            CHECK_FALSE(server.has_ended);
            co_await sleep(5s);
            CHECK(server.has_ended);
        });
    }
}

RONDO_TEST("http2 server: the end of a thousand busy connections loses no reply",
           "[http2_server_end]", seeds(1)) {
    const http::router site = make_h2_site();
    constexpr int connections = 500, requests = 2;
    int answered_h1 = 0, answered_h2 = 0;
    memory_server server(site, {}, {.capacity = 4096});
    const auto ask_h1 = [&](raw_client& client) -> task<> {
        co_await client.say(get("/slow"));
        const std::string said = co_await client.hear(3s);
        if (said.ends_with("slow(closed)")) ++answered_h1;
    };
    const auto ask_h2 = [&](raw_client& raw) -> task<> {
        h2_client client(raw);
        std::vector<const h2_exchange*> all;
        for (int i = 0; i < requests; ++i) all.push_back(&client.begin("GET", "/slow"));
        co_await client.talk(3s);
        for (const h2_exchange* each : all) answered_h2 += each->body == "slow" ? 1 : 0;
        CHECK(client.is_closed);
    };
    std::vector<task<>> all;
    for (int i = 0; i < connections; ++i) {
        all.push_back(server.run(ask_h1));
        all.push_back(server.run(ask_h2));
    }
    auto asking = gather(std::move(all));
    auto ending = [&]() -> task<> {
        co_await sleep(500ms);
        server.begin_end();
    };
    auto ended = ending();
    co_await gather(std::move(asking), std::move(ended));
    CHECK(answered_h1 == connections);
    CHECK(answered_h2 == connections * requests);
}

RONDO_TEST("http2 server: a reply can end the connection, and other requests are answered",
           "[http2_server_end]", seeds(1)) {
    http::router site = make_h2_site();
    site.get("/last", [](http::request&) { return reply::text("last").close(); });
    memory_server server(site);
    co_await server.run([](raw_client& raw) -> task<> {
        h2_client client(raw);
        const h2_exchange& slow_one = client.begin("GET", "/slow");
        const h2_exchange& last = client.begin("GET", "/last");
        co_await client.talk(2s);
        CHECK(slow_one.body == "slow");
        CHECK(last.body == "last");
        CHECK(client.is_closed);
        CHECK(client.goaway == h2::code::no_error);
    });
}

}  // namespace
#endif
