// SPDX-License-Identifier: MIT
// The pool and connections of HTTP/2 in rare moments: one dies under those that share it, or is
// made in vain, or stays silent.
#include <rondo/http.hpp>

#include <algorithm>
#include <optional>

#include <rondo/gather.hpp>
#include <rondo/sync.hpp>

#include "http/h2_server.hpp"
#include "http/h2_talk.hpp"
#include "http/scripted_server.hpp"
#include "support/core_tools.hpp"

#ifdef RONDO_WITH_NGHTTP2

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace rondo_tests;

void answer_path(h2_peer& peer, h2_request& request) {
    if (request.head.path == "/never") return;
    if (request.head.path == "/bulk") return peer.reply(request, std::string(3'000'000, 'b'));
    peer.reply(request, request.head.path);
}

RONDO_TEST("http2 pool: those that shared a connection which died make one new one together",
           "[http2_pool]") {
    int left = 4;
    h2_server server([&](h2_peer& peer, h2_request& request) {
        if (peer.number == 1 && request.head.path == "/d") {
            peer.hangs_up = --left == 0;
            return;
        }
        answer_path(peer, request);
    });
    co_await server.run([&]() -> task<> {
        http::session client(with_http_2());
        co_await ask(client, server.url("/a"));
        std::vector<task<std::string>> all;
        for (int i = 0; i < 4; ++i) all.push_back(text_of(client, server.url("/d")));
        const auto texts = co_await gather(std::move(all));
        for (const std::string& each : texts) CHECK(each == "/d");
        CHECK(server.connections == 2);
        CHECK(client.connections() == 1);
        CHECK(client.idle_connections() == 1);
        CHECK(co_await text_of(client, server.url("/a")) == "/a");
        CHECK(server.connections == 2);
        co_await client.close();
        co_await sleep(10ms);
        CHECK(client.connections() == 0);
        CHECK(server.open == 0);
    });
}

RONDO_TEST("http2 pool: when the one that connects is cancelled, those that waited for it go on",
           "[http2_pool]") {
    h2_server server(answer_path);
    co_await server.run([&]() -> task<> {
        http::session client(with_http_2());
        auto first = create_task(text_of(client, server.url("/a")));
        auto second = create_task(text_of(client, server.url("/b")));
        co_await yield_now();
        co_await yield_now();
        CHECK(server.connections == 0);
        CHECK(client.connections() == 1);
        first.cancel();
        CHECK(co_await second == "/b");
        CHECK(client.idle_connections() == 1);
        const int before = server.connections;
        CHECK(co_await text_of(client, server.url("/c")) == "/c");
        CHECK(server.connections == before);
        co_await sleep(5s);
        CHECK(client.connections() == 0);
        CHECK(server.open == 0);
    });
}

RONDO_TEST("http2 pool: close under a cancellation closes idle connections all the same",
           "[http2_pool]") {
    h2_server server(answer_path);
    co_await server.run([&]() -> task<> {
        http::session client(with_http_2(1h));
        co_await ask(client, server.url("/a"));
        CHECK(client.idle_connections() == 1);
        CHECK(server.open == 1);
        bool was_cancelled = false;
        {
            detail::inner_scope scope;
            detail::cancel(scope);
            try {
                co_await client.close();
            } catch (const cancelled&) {
                was_cancelled = true;
            }
        }
        CHECK(was_cancelled);
        CHECK(client.connections() == 0);
        co_await sleep(10ms);
        CHECK(server.open == 0);
    });
}

TEST_CASE("http2 pool: a response that is dropped outside of a run closes its connection",
          "[http2_pool]") {
    testing::leak_probe probe;
    {
        loop home;
        http::session client(with_http_2());
        std::optional<h2_server> server;
        std::optional<http::response> kept;
        event done;
        future<> serving;
        auto first = [&]() -> task<> {
            server.emplace(answer_path);
            auto serve = [&]() -> task<> { co_await done.wait(); };
            serving = create_task(server->run(serve));
            kept = co_await client.get(server->url("/bulk"));
        };
        home.run_until_complete(first());
        CHECK(client.connections() == 1);
        kept.reset();
        CHECK(client.connections() == 0);
        auto second = [&]() -> task<> {
            while (server->open != 0) co_await sleep(1ms);
            CHECK(co_await text_of(client, server->url("/a")) == "/a");
            CHECK(server->connections == 2);
            co_await client.close();
            done.set();
            co_await serving;
        };
        home.run_until_complete(second());
    }
    CHECK(probe.leaks().empty());
}

RONDO_TEST("http2 pool: a connection whose only request gave up before the settings is closed",
           "[http2_pool]") {
    h2_server server(answer_path);
    server.mute = 1;
    co_await server.run([&]() -> task<> {
        http::session client(with_http_2(1h));
        co_await move_on_after(1s, ask(client, server.url("/mute")));
        const time_point before = running_loop().time();
        CHECK(co_await text_of(client, server.url("/a")) == "/a");
        CHECK(running_loop().time() - before < 1s);
        CHECK(server.connections == 2);
        co_await sleep(10ms);  // until the server has seen the end of the first
        CHECK(server.open == 1);
        CHECK(client.connections() == 1);
    });
}

RONDO_TEST("http2 pool: others wait 10 s for a server that sends no settings", "[http2_pool]") {
    h2_server server(answer_path);
    server.mute = 1;
    co_await server.run([&]() -> task<> {
        http::session client(with_http_2());
        auto silent = create_task(ask(client, server.url("/mute")));
        co_await sleep(1s);
        const time_point before = running_loop().time();
        CHECK(co_await text_of(client, server.url("/a")) == "/a");
        const duration took = running_loop().time() - before;
        CHECK(took > 8s);
        CHECK(took < 10s);
        CHECK(server.connections == 2);
        CHECK((co_await error_of(ask(client, server.url("/b")))) == "no error");
        CHECK(server.connections == 2);
        silent.cancel();
        co_await sleep(1s);
        CHECK(client.connections() == 1);
        CHECK(server.open == 1);
    });
}

task<> put_much(http::session& client, std::string url) {
    auto request = client.put(url).body(std::string(100'000, 'u'));
    auto response = co_await std::move(request);
    CHECK(co_await response.text() == "/put");
}

RONDO_TEST("http2 pool: a request that begins as its connection dies goes over another one",
           "[http2_pool]", seeds(2).limit(2min)) {
    int dies = 0;
    h2_server server([&](h2_peer& peer, h2_request& request) {
        if (request.head.path == "/cut" && peer.number == dies)
            peer.hangs_up = true;
        else
            answer_path(peer, request);
    });
    co_await server.run([&]() -> task<> {
        for (int i = 0; i < 150; ++i) {
            http::session client(with_http_2());
            co_await ask(client, server.url("/a"));
            dies = server.connections;
            auto cutting = create_task(error_of(ask(client, server.url("/cut"))));
            co_await sleep(i * 4us);
            const time_point before = running_loop().time();
            co_await put_much(client, server.url("/put"));
            REQUIRE(running_loop().time() - before < 1s);
            cutting.cancel();
            co_await client.close();
        }
    });
}

RONDO_TEST("http2 pool: those that wait for a second connection take a place on the first",
           "[http2_pool]") {
    h2::options two;
    two.streams = 2;
    h2_server server(answer_path, two);
    co_await server.run([&]() -> task<> {
        http::session client(with_http_2());
        co_await ask(client, server.url("/a"));
        server.mute = 2;
        auto staying = create_task(ask(client, server.url("/never")));
        auto leaving = create_task(ask(client, server.url("/never")));
        co_await sleep(100ms);
        auto silent = create_task(ask(client, server.url("/b")));
        co_await sleep(100ms);
        CHECK(server.connections == 2);
        auto waiting = create_task(text_of(client, server.url("/c")));
        co_await sleep(100ms);
        const time_point before = running_loop().time();
        leaving.cancel();
        CHECK(co_await waiting == "/c");
        CHECK(running_loop().time() - before < 1s);
        CHECK(server.connections == 2);
        staying.cancel();
        silent.cancel();
    });
}

RONDO_TEST("http2 pool: an idle connection is closed when the server says that it ends",
           "[http2_pool]") {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const std::string url = "http://" + listener.local().text() + "/";
    auto serve = [&]() -> task<> {
        tcp_stream peer = co_await listener.accept();
        co_await peer.write_all(h2_talk::hello_server);
        co_await sleep(100ms);
        const std::string answer = h2_talk::ok(1, {}, h2_talk::end_stream);
        co_await peer.write_all(answer);
        co_await sleep(1s);
        const std::string last = h2_talk::number(1) + h2_talk::number(0);
        const std::string bye = h2_talk::frame(h2_talk::goaway, 0, 0, last);
        co_await peer.write_all(bye);
        co_await sleep(1h);
    };
    auto use = [&]() -> task<> {
        http::session client(with_http_2(1h));
        co_await ask(client, url);
        CHECK(client.idle_connections() == 1);
        co_await sleep(2s);
        CHECK(client.connections() == 0);
    };
    auto serving = serve();
    auto using_it = use();
    co_await race(std::move(serving), std::move(using_it));
}

TEST_CASE("http2 pool: a request in a second loop does not join a connection of the first",
          "[http2_pool]") {
    testing::leak_probe probe;
    {
        loop home;
        http::session client(with_http_2());
        std::optional<h2_server> server;
        std::optional<http::response> kept;
        event done;
        future<> serving;
        auto first = [&]() -> task<> {
            server.emplace(answer_path);
            auto serve = [&]() -> task<> { co_await done.wait(); };
            serving = create_task(server->run(serve));
            kept = co_await client.get(server->url("/bulk"));
        };
        home.run_until_complete(first());
        {
            loop other;
            auto in_vain = [&]() -> task<> {
                co_await move_on_after(5ms, ask(client, server->url("/a")));
            };
            other.run_until_complete(in_vain());
        }
        auto second = [&]() -> task<> {
            for (int i = 0; i < 500 && server->connections < 2; ++i) co_await sleep(1ms);
            CHECK(server->connections == 2);
            CHECK((co_await kept->bytes()).size() == 3'000'000);
            kept.reset();
            for (int i = 0; i < 500 && server->open != 0; ++i) co_await sleep(1ms);
            CHECK(server->open == 0);
            CHECK(client.connections() == 0);
            done.set();
            co_await serving;
        };
        home.run_until_complete(second());
    }
    CHECK(probe.leaks().empty());
}

// -- the line of a host --------------------------------------------------------------------------
h2::options streams(std::uint32_t count) {
    h2::options how;
    how.streams = count;
    return how;
}
http::session_options with_connections(std::size_t count) {
    http::session_options options = with_http_2();
    options.connections = count;
    return options;
}

RONDO_TEST("http2 pool: places that come free go to those who wait, when no connection may be made",
           "[http2_pool]") {
    h2_server server(answer_path, streams(4));
    co_await server.run([&]() -> task<> {
        http::session client(with_connections(1));
        co_await ask(client, server.url("/first"));
        auto events = create_task(ask(client, server.url("/never")));
        co_await sleep(100ms);
        server.seen.clear();
        const time_point before = running_loop().time();
        std::vector<task<std::string>> all;
        for (int i = 10; i < 30; ++i)
            all.push_back(text_of(client, server.url("/" + std::to_string(i))));
        const auto texts = co_await gather(std::move(all));
        CHECK(running_loop().time() - before < 1s);
        CHECK(texts.back() == "/29");
        CHECK(std::is_sorted(server.seen.begin(), server.seen.end()));
        CHECK(server.seen.size() == 20);
        CHECK(server.connections == 1);
        CHECK(client.connections() == 1);
        events.cancel();
        co_await sleep(5s);
        CHECK(client.connections() == 0);
    });
}

RONDO_TEST("http2 pool: those who wait for a seat of the session share the connection of the first",
           "[http2_pool]") {
    h2_server a(answer_path), b(answer_path, streams(3));
    co_await a.run([&]() -> task<> {
        co_await b.run([&]() -> task<> {
            http::session client(with_connections(1));
            auto one = create_task(ask(client, a.url("/never")));
            co_await sleep(100ms);
            CHECK(client.connections() == 1);
            auto stays = create_task(ask(client, b.url("/never")));
            co_await sleep(1ms);
            std::vector<future<std::string>> waiting;
            for (int i = 10; i < 20; ++i)
                waiting.push_back(create_task(text_of(client, b.url("/" + std::to_string(i)))));
            co_await sleep(1s);
            CHECK(b.connections == 0);
            one.cancel();
            co_await sleep(1s);
            CHECK(b.connections == 1);
            for (const auto& each : waiting) CHECK(each.done());
            REQUIRE(b.seen.size() == 11);
            CHECK(b.seen.front() == "GET /never");
            CHECK(std::is_sorted(b.seen.begin() + 1, b.seen.end()));
            stays.cancel();
            co_await sleep(5s);
            CHECK(client.connections() == 0);
        });
    });
}

/// Waits in a line that `release` serves; the first is cancelled so many turns later.
template <class Release>
task<> cancel_after(http::session& client, std::string url, int turns, Release release) {
    auto first = create_task(ask(client, url));
    co_await sleep(1ms);
    auto second = create_task(text_of(client, url));
    co_await sleep(10ms);
    REQUIRE_FALSE(second.done());
    release();
    for (int i = 0; i < turns; ++i) co_await yield_now();
    first.cancel();
    const time_point before = running_loop().time();
    REQUIRE(co_await second == "/b");
    REQUIRE(running_loop().time() - before < 1s);
}

RONDO_TEST("http2 pool: a wait in the line of a host is cancelled before, while and after",
           "[http2_pool]", seeds(3)) {
    h2_server a(answer_path), b(answer_path, streams(2));
    co_await a.run([&]() -> task<> {
        co_await b.run([&]() -> task<> {
            http::session client(with_connections(1));
            for (int turns = 0; turns < 12; ++turns) {
                auto holds = create_task(ask(client, a.url("/never")));
                co_await sleep(10ms);
                bool was_cancelled = false;
                {
                    detail::inner_scope scope;
                    detail::cancel(scope);
                    try {
                        co_await ask(client, b.url("/b"));
                    } catch (const cancelled&) {
                        was_cancelled = true;
                    }
                }
                REQUIRE(was_cancelled);
                co_await cancel_after(client, b.url("/b"), turns, [&] { holds.cancel(); });
                // The same for a place: all of b are taken.
                auto stays = create_task(ask(client, b.url("/never")));
                holds = create_task(ask(client, b.url("/never")));
                co_await sleep(10ms);
                co_await cancel_after(client, b.url("/b"), turns, [&] { holds.cancel(); });
                stays.cancel();
                co_await sleep(10ms);
                REQUIRE(client.connections() == client.idle_connections());
            }
            // All who wait leave: nothing stands in line for them any more.
            auto holds = create_task(ask(client, a.url("/never")));
            co_await sleep(10ms);
            auto leaves = create_task(ask(client, b.url("/b")));
            co_await sleep(10ms);
            leaves.cancel();
            co_await sleep(10ms);
            holds.cancel();
            co_await sleep(5s);
            CHECK(client.connections() == 0);
            CHECK(co_await text_of(client, b.url("/b")) == "/b");
        });
    });
}

}  // namespace

#endif
