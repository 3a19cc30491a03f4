// SPDX-License-Identifier: MIT
// The server over HTTP/2, on a connection of memory, with a client made of the engine.
#ifdef RONDO_WITH_NGHTTP2
#include "http/h2_tools.hpp"

#include <rondo/gather.hpp>
#include <rondo/shield.hpp>

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace rondo_tests;
using http::reply;

task<reply> hello(http::request& request) {
    co_return reply::text("hello " + std::string(request.parameter("name")) + "\n");
}
task<reply> count(http::request& request) {
    std::size_t bytes = 0;
    while (auto chunk = co_await request.read_some()) bytes += chunk.size();
    co_return reply::text(std::to_string(bytes) + " bytes\n");
}
task<reply> echo(http::request& request) {
    std::string body = co_await request.text();
    co_return reply::text(std::move(body));
}
reply quick(http::request&) { return reply::text("quick"); }
reply large(http::request&) { return reply::text(std::string(300000, 'x')); }
task<reply> slow(http::request&) {
    co_await sleep(1s);
    co_return reply::text("slow");
}
task<> tick(http::body_writer& out) {
    for (int i = 1; i <= 3; ++i) {
        co_await out.write_all(std::to_string(i));
        co_await sleep(10ms);
    }
    out.trailers().add("x-count", "3");
}
task<reply> ticks(http::request&) { co_return reply::stream("text/plain", tick); }
task<reply> broken(http::request&) {
    throw std::runtime_error("the password is secret");
    co_return reply();
}
task<> break_off(http::body_writer& out) {
    co_await out.write_all("half");
    throw std::runtime_error("no more");
}
/// Says how the handler sees the request.
task<reply> mirror(http::request& request) {
    std::string all(http::text(request.version()));
    ((all += ' ') += request.host()) += ' ';
    all += request.target();
    ((all += " cookies: ") += request.headers().joined("cookie")) += ' ';
    all += request.cookie("b").value_or("(none)");
    while (auto chunk = co_await request.read_some()) (all += " body: ") += chunk.text();
    (all += " trailer: ") += request.trailers().get("x-t").value_or("(none)");
    co_return reply::text(std::move(all));
}

http::router make_h2_site() {
    http::router site;
    site.get("/hello/{name}", hello);
    site.post("/count", count);
    site.post("/echo", echo);
    site.get("/quick", quick);
    site.get("/large", large);
    site.get("/slow", slow);
    site.get("/ticks", ticks);
    site.get("/broken", broken);
    site.get("/half", [](http::request&) { return reply::stream("text/plain", break_off); });
    site.get("/mirror", mirror);
    site.post("/mirror", mirror);
    site.post("/ignore", quick);
    site.post("/ignore-large", large);
    return site;
}

http::fields with(std::string_view name, std::string_view value) {
    http::fields made;
    made.add(name, value);
    return made;
}

RONDO_TEST("http2 server: replies of every kind, whole and byte by byte", "[http2_server]",
           seeds(2)) {
    const http::router site = make_h2_site();
    for (const std::size_t chunk_max : {std::size_t{1} << 20, std::size_t{1}}) {
        memory_server server(site, {}, {.capacity = 1 << 20, .chunk_max = chunk_max});
        co_await server.run([](raw_client& raw) -> task<> {
            h2_client client(raw);
            const h2_exchange* said = co_await client.ask("GET", "/quick");
            CHECK(said->status == 200);
            CHECK(said->body == "quick");
            CHECK(said->header("content-type") == "text/plain; charset=utf-8");
            CHECK(said->header("content-length") == "5");
            CHECK(said->headers.contains("date"));
            CHECK(said->has_ended);
            CHECK((co_await client.ask("GET", "/hello/Ann%20%2F"))->body == "hello Ann /\n");
            CHECK((co_await client.ask("POST", "/echo", {}, "some text"))->body == "some text");
            said = co_await client.ask("HEAD", "/quick");
            CHECK(said->header("content-length") == "5");
            CHECK(said->body.empty());
            CHECK(said->has_ended);
            CHECK((co_await client.ask("GET", "/large"))->body == std::string(300000, 'x'));
            CHECK((co_await client.ask("GET", "/missing"))->status == 404);
            said = co_await client.ask("DELETE", "/quick");
            CHECK(said->status == 405);
            CHECK(said->header("allow") == "GET, HEAD, OPTIONS");
            CHECK((co_await client.ask("OPTIONS", "*"))->status == 204);
            CHECK_FALSE(client.is_closed);
        });
    }
}

RONDO_TEST("http2 server: a streamed reply goes out as it is written, with trailers",
           "[http2_server]", seeds(2)) {
    const http::router site = make_h2_site();
    memory_server server(site);
    co_await server.run([](raw_client& raw) -> task<> {
        h2_client client(raw);
        h2_exchange& said = client.begin("GET", "/ticks");
        co_await client.talk(5ms);
        CHECK(said.body == "1");
        CHECK_FALSE(said.has_ended);
        co_await client.talk(15ms);
        CHECK(said.body == "123");
        CHECK(said.has_ended);
        CHECK(said.trailers().get("x-count") == "3");
        CHECK_FALSE(said.headers.contains("transfer-encoding"));
    });
}

RONDO_TEST("http2 server: the handler sees the request as over HTTP/1.1", "[http2_server]",
           seeds(2)) {
    const http::router site = make_h2_site();
    memory_server server(site);
    co_await server.run([](raw_client& raw) -> task<> {
        h2_client client(raw);
        http::fields headers = with("cookie", "a=1");
        headers.add("cookie", "b=2");
        CHECK((co_await client.ask("GET", "/mirror?q=1", headers))->body ==
              "HTTP/2 x /mirror?q=1 cookies: a=1; b=2 2 trailer: (none)");
        h2_exchange& said = client.begin("POST", "/mirror", {}, "text", with("x-t", "7"));
        co_await client.talk();
        CHECK(said.body == "HTTP/2 x /mirror cookies:  (none) body: text trailer: 7");
    });
}

RONDO_TEST("http2 server: requests are answered side by side", "[http2_server]", seeds(2)) {
    const http::router site = make_h2_site();
    memory_server server(site);
    co_await server.run([](raw_client& raw) -> task<> {
        h2_client client(raw);
        const h2_exchange& first = client.begin("GET", "/slow");
        std::vector<h2_exchange*> others;
        for (int i = 0; i < 99; ++i) others.push_back(&client.begin("GET", "/quick"));
        co_await client.talk();
        for (const h2_exchange* each : others) CHECK(each->body == "quick");
        CHECK(first.status == 0);
        co_await client.talk(1s);
        CHECK(first.body == "slow");
    });
}

RONDO_TEST("http2 server: errors of handlers, and what they cut", "[http2_server]", seeds(1)) {
    const http::router site = make_h2_site();
    std::vector<std::string> reports;
    running_loop().set_exception_handler(
        [&](const exception_context& context) { reports.push_back(context.message); });
    memory_server server(site);
    co_await server.run([](raw_client& raw) -> task<> {
        h2_client client(raw);
        const h2_exchange* said = co_await client.ask("GET", "/broken");
        CHECK(said->status == 500);
        CHECK(said->body == "Internal Server Error\n");
        said = co_await client.ask("GET", "/half");
        CHECK(said->body == "half");
        CHECK_FALSE(said->has_ended);
        CHECK(said->closed == h2::code::internal_error);
        CHECK((co_await client.ask("GET", "/quick"))->body == "quick");
    });
    CHECK(reports == std::vector<std::string>{"the handler of GET /broken failed",
                                              "the handler of GET /half failed"});
    running_loop().set_exception_handler({});
}

RONDO_TEST("http2 server: 100 Continue is sent when the handler reads", "[http2_server]",
           seeds(2)) {
    const http::router site = make_h2_site();
    memory_server server(site);
    co_await server.run([](raw_client& raw) -> task<> {
        h2_client client(raw);
        h2_exchange& said = client.open("POST", "/echo", with("expect", "100-continue"));
        co_await client.talk();
        CHECK(said.interim == std::vector<int>{100});
        client.engine().write(said, "text", true);
        co_await client.talk();
        CHECK(said.body == "text");
        // A handler that does not read it answers at once, and the upload is stopped.
        h2_exchange& refused = client.open("POST", "/ignore", with("expect", "100-continue"));
        co_await client.talk();
        CHECK(refused.interim.empty());
        CHECK(refused.body == "quick");
        CHECK(refused.has_ended);
        CHECK(refused.closed == h2::code::no_error);
        CHECK(refused.is_closed_by_peer);
    });
}

RONDO_TEST("http2 server: the window of an upload opens as the handler takes it",
           "[http2_server]", seeds(1)) {
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

RONDO_TEST("http2 server: uploads of all connections together are bounded", "[http2_server]",
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

RONDO_TEST("http2 server: what nobody reads opens the window of the connection again",
           "[http2_server]", seeds(2)) {
    http::router site = make_h2_site();
    site.post("/late", slow);
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

RONDO_TEST("http2 server: shielded handlers end with their streams", "[http2_server]", seeds(2)) {
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

RONDO_TEST("http2 server: a reset cancels its handler and no other", "[http2_server]", seeds(2)) {
    http::router site;
    int began = 0, ended = 0, left = 0;
    const auto work = [&](http::request&) -> task<reply> {
        ++began;
        try {
            co_await sleep(1s);
        } catch (const cancelled&) {
            ++left;
            throw;
        }
        ++ended;
        co_return reply::text("done");
    };
    std::vector<std::string> log;
    site.get("/work", work);
    site.access_log([&](const http::access& of) {
        log.push_back(std::to_string(of.status) + ' ' +
                      std::string(http::text(of.request->version())));
    });
    memory_server server(site);
    co_await server.run([&](raw_client& raw) -> task<> {
        h2_client client(raw);
        h2_exchange& first = client.begin("GET", "/work");
        h2_exchange& second = client.begin("GET", "/work");
        co_await client.talk(100ms);
        CHECK(began == 2);
        client.engine().reset(first, h2::code::cancel);
        co_await client.talk(100ms);
        CHECK(left == 1);
        co_await client.talk(2s);
        CHECK(second.body == "done");
    });
    CHECK(ended == 1);
    CHECK(log == std::vector<std::string>{"499 HTTP/2", "200 HTTP/2"});
}

RONDO_TEST("http2 server: a reply is streamed while the request comes, until a reset",
           "[http2_server]", seeds(2)) {
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

RONDO_TEST("http2 server: a client that goes cancels all of its handlers", "[http2_server]",
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
           "[http2_server]", seeds(2)) {
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
           "[http2_server]", seeds(2)) {
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
           "[http2_server]", seeds(1).limit(9h)) {
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

RONDO_TEST("http2 server: a body that no handler reads takes no memory while the reply waits",
           "[http2_server]", seeds(1)) {
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

RONDO_TEST("http2 server: the end of a thousand busy connections loses no reply",
           "[http2_server]", seeds(1)) {
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

RONDO_TEST("http2 server: a slow connection with many replies loses none", "[http2_server]",
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

RONDO_TEST("http2 server: a reply can end the connection, and other requests are answered",
           "[http2_server]", seeds(1)) {
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

RONDO_TEST("http2 server: the body of a request, cancelled in three ways, loses nothing",
           "[http2_server]", seeds(2)) {
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
           "[http2_server]", seeds(2)) {
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

RONDO_TEST("http2 server: without the option it is HTTP/1.1 alone", "[http2_server]", seeds(1)) {
    const http::router site = make_h2_site();
    http::server_options options;
    options.http2 = false;
    CHECK(code_of(co_await said_to(site, h2_talk::hello_client, options)) == 505);
    // Methods that begin as the preface does are HTTP/1.1.
    for (const std::size_t chunk_max : {std::size_t{1000}, std::size_t{1}}) {
        memory_server server(site, {}, {.chunk_max = chunk_max});
        co_await server.run([](raw_client& client) -> task<> {
            CHECK(code_of(co_await client.ask(get("/quick", "", "PRINT"))) == 405);
            CHECK(code_of(co_await client.ask(get("/quick", "", "PRI"))) == 405);
        });
        memory_server other(site, {}, {.chunk_max = chunk_max});
        co_await other.run([](raw_client& client) -> task<> {
            CHECK(code_of(co_await client.ask("PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n")) == 505);
        });
    }
}

}  // namespace
#endif
