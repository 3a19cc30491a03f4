// SPDX-License-Identifier: MIT
// The bodies of requests and replies of the server over HTTP/2: windows, memory, cancellation.
#ifdef RONDO_WITH_NGHTTP2
#include "http/h2_tools.hpp"

#include <rondo/gather.hpp>

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace rondo_tests;
using http::reply;

RONDO_TEST("http2 server: 100 Continue is sent when the handler reads", "[http2_server_bodies]",
           seeds(2)) {
    const http::router site = make_h2_site();
    memory_server server(site);
    co_await server.run([](raw_client& raw) -> task<> {
        h2_client client(raw);
        const auto expects = http::fields().set("expect", "100-continue");
        h2_exchange& said = client.open("POST", "/echo", expects);
        co_await client.talk();
        CHECK(said.interim == std::vector<int>{100});
        client.engine().write(said, "text", true);
        co_await client.talk();
        CHECK(said.body == "text");
        // A handler that does not read it answers at once, and the upload is stopped.
        h2_exchange& refused = client.open("POST", "/ignore", expects);
        co_await client.talk();
        CHECK(refused.interim.empty());
        CHECK(refused.body == "quick");
        CHECK(refused.has_ended);
        CHECK(refused.closed == h2::code::no_error);
        CHECK(refused.is_closed_by_peer);
    });
}

RONDO_TEST("http2 server: the window of an upload opens as the handler takes it",
           "[http2_server_bodies]", seeds(1)) {
    http::router site;
    const auto takes_slowly = [](http::request& request) -> task<reply> {
        std::size_t bytes = 0;
        co_await sleep(1s);
        while (auto chunk = co_await request.read_some()) bytes += chunk.size();
        co_return reply::text(std::to_string(bytes));
    };
    site.post("/", takes_slowly);
    http::server_options options;
    options.stream_window = 100000;
    memory_server server(site, options, {.capacity = 1 << 20});
    co_await server.run([](raw_client& raw) -> task<> {
        h2_client client(raw);
        co_await client.talk();
        h2_exchange& said = client.begin("POST", "/", {}, std::string(1000000, 'x'));
        co_await client.talk(500ms);
        CHECK(said.unsent() == 900000);
        co_await client.talk(1s);
        CHECK(said.body == "1000000");
    });
}

RONDO_TEST("http2 server: uploads of all connections together are bounded", "[http2_server_bodies]",
           seeds(1)) {
    http::router site;
    std::vector<std::string> seen;
    const auto late = [&](http::request& request) -> task<reply> {
        co_await sleep(1s);
        std::string all = co_await request.bytes();
        co_return reply::text(std::to_string(all.size()));
    };
    site.post("/", late);
    http::server_options options;
    options.upload_bytes = 100000;
    memory_server server(site, options, {.capacity = 1 << 20});
    const auto upload = [&](raw_client& raw) -> task<> {
        h2_client client(raw);
        co_await client.talk();
        const h2_exchange& said = client.begin("POST", "/", {}, std::string(60000, 'x'));
        co_await client.talk(2s);
        seen.push_back(std::to_string(said.status) + ' ' + said.body);
    };
    auto first = server.run(upload), second = server.run(upload);
    co_await gather(std::move(first), std::move(second));
    std::sort(seen.begin(), seen.end());
    CHECK(seen == std::vector<std::string>{"200 60000",
                                           "503 the server has too many bodies to read\n"});
    seen.clear();
    co_await server.run(upload);  // the memory is free again
    CHECK(seen == std::vector<std::string>{"200 60000"});
}

RONDO_TEST("http2 server: uploads that no handler read leave room for the next one",
           "[http2_server_bodies]", seeds(2)) {
    http::router site = make_h2_site();
    site.post("/late", handlers::slow);
    http::server_options options;
    options.stream_window = 65536;  // four of them are the connection's
    for (const bool is_reset : {true, false}) {
        memory_server server(site, options, {.capacity = 1 << 20});
        co_await server.run([&](raw_client& raw) -> task<> {
            h2_client client(raw);
            co_await client.talk();
            const std::string block(65536, 'x');
            std::vector<h2_exchange*> unread;
            for (int i = 0; i < 4; ++i) {
                unread.push_back(&client.open("POST", "/late"));
                client.engine().write(*unread.back(), block, !is_reset);
            }
            co_await client.talk();
            const h2_exchange& fifth = client.begin("POST", "/count", {}, block);
            co_await client.talk();
            CHECK(fifth.status == 0);
            if (is_reset)
                for (h2_exchange* each : unread) client.engine().reset(*each, h2::code::cancel);
            co_await client.talk(2s);
            CHECK(fifth.body == "65536 bytes\n");
        });
    }
}

RONDO_TEST("http2 server: a reply is streamed while the request comes, until a reset",
           "[http2_server_bodies]", seeds(2)) {
    http::router site;
    int cancelled_handlers = 0;
    const auto answer = [&](http::request& request) -> task<reply> {
        const auto copy = [&](http::body_writer& out) -> task<> {
            try {
                while (auto some = co_await request.read_some()) co_await out.write_all(some);
            } catch (const cancelled&) {
                ++cancelled_handlers;
                throw;
            }
        };
        co_return reply::stream("text/plain", copy);
    };
    site.post("/echo", answer);
    memory_server server(site);
    co_await server.run([&](raw_client& raw) -> task<> {
        h2_client client(raw);
        h2_exchange& whole = client.open("POST", "/echo");
        h2_exchange& broken_off = client.open("POST", "/echo");
        for (const bool is_last : {false, true}) {
            whole.to_send = broken_off.to_send = is_last ? "second" : "first ";
            client.engine().write(whole, whole.to_send, is_last);
            if (!is_last) client.engine().write(broken_off, broken_off.to_send);
            co_await client.talk();
            CHECK(whole.body == (is_last ? "first second" : "first "));
            CHECK(broken_off.body == "first ");
        }
        CHECK(whole.has_ended);
        CHECK(cancelled_handlers == 0);
        client.engine().reset(broken_off, h2::code::cancel);
        co_await client.talk();
        CHECK(cancelled_handlers == 1);
    });
}

RONDO_TEST("http2 server: a body that no handler reads takes no memory while the reply waits",
           "[http2_server_bodies]", seeds(1)) {
    const http::router site = make_h2_site();
    http::server_options options;
    options.upload_bytes = 100000;
    memory_server server(site, options, {.capacity = 1 << 20});
    co_await server.run([](raw_client& raw) -> task<> {
        h2::options narrow;
        narrow.stream_window = 65535;
        h2_client client(raw, narrow);
        const std::string block(90000, 'x');
        h2_exchange& ignored = client.open("POST", "/ignore-large");
        ignored.consumes = false;
        client.engine().write(ignored, block);
        co_await client.talk();
        CHECK(ignored.status == 200);
        CHECK_FALSE(ignored.has_ended);
        const h2_exchange* said = co_await client.ask("POST", "/count", {}, block);
        CHECK(said->body == "90000 bytes\n");
    });
}

RONDO_TEST("http2 server: a slow connection with many replies loses none", "[http2_server_bodies]",
           seeds(1)) {
    const http::router site = make_h2_site();
    memory_server server(site, {}, {.capacity = 4096});
    co_await server.run([](raw_client& raw) -> task<> {
        h2_client client(raw);
        std::vector<const h2_exchange*> all;
        for (int i = 0; i < 20; ++i) all.push_back(&client.begin("GET", "/large"));
        // 40 KiB a second: each reply takes more than the 60 s that 128 KiB would have.
        for (int i = 0; i < 200; ++i) {
            co_await client.talk(10ms, 10);
            co_await sleep(990ms);
        }
        for (const h2_exchange* each : all) CHECK(each->body.size() == 300000);
    });
}

RONDO_TEST("http2 server: the body of a request, cancelled in three ways, loses nothing",
           "[http2_server_bodies]", seeds(2)) {
    http::router site;
    const auto read = [](http::request& request) -> task<reply> {
        std::string all;
        const auto nothing = co_await move_on_after(0s, request.read_some());  // before it begins
        CHECK_FALSE(nothing);
        for (;;) {  // while it waits, and when bytes have just come
            auto some = co_await move_on_after(5ms, request.read_some());
            if (!some) continue;
            if (!*some) break;
            all += some->text();
        }
        co_return reply::text(std::move(all));
    };
    site.post("/read", read);
    memory_server server(site);
    co_await server.run([](raw_client& raw) -> task<> {
        h2_client client(raw);
        h2_exchange& said = client.open("POST", "/read");
        co_await client.talk();
        for (int i = 0; i < 10; ++i) {
            said.to_send = std::to_string(i);
            client.engine().write(said, said.to_send, i == 9);
            co_await client.talk(5ms);
        }
        co_await client.talk();
        CHECK(said.body == "0123456789");
    });
}

RONDO_TEST("http2 server: a write that was cancelled ends its reply and no other",
           "[http2_server_bodies]", seeds(2)) {
    http::router site = make_h2_site();
    bool went_on = false, was_refused = false;
    const auto give_up = [&](http::body_writer& out) -> task<> {
        // Before it begins: nothing was sent, and the reply goes on.
        const bool begun = co_await move_on_after(0s, out.write_all("nothing"));
        was_refused = !begun;
        // After its end.
        const bool is_done = co_await move_on_after(1s, out.write_all("first"));
        CHECK(is_done);
        // While it waits for the window.
        const std::string block(200000, 'x');
        const bool is_written = co_await move_on_after(1s, out.write_all(block));
        CHECK_FALSE(is_written);
        co_await sleep(2s);
        went_on = true;
    };
    site.get("/stuck", [&](http::request&) { return reply::stream("text/plain", give_up); });
    memory_server server(site, {}, {.capacity = 1 << 20});
    co_await server.run([&](raw_client& raw) -> task<> {
        h2::options narrow;
        narrow.stream_window = 65535;
        h2_client client(raw, narrow);
        h2_exchange& said = client.begin("GET", "/stuck");
        said.consumes = false;
        co_await client.talk(5s);
        CHECK(said.status == 200);
        CHECK(said.body.starts_with("firstxxx"));
        CHECK_FALSE(said.has_ended);
        CHECK(said.closed == h2::code::cancel);
        CHECK((co_await client.ask("GET", "/quick"))->body == "quick");
    });
    CHECK(was_refused);
    CHECK_FALSE(went_on);
}

}  // namespace
#endif
