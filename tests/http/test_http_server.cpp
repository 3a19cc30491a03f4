// SPDX-License-Identifier: MIT
// The server on a connection of memory, byte for byte.
#include "http/server_tools.hpp"

#include <rondo/gather.hpp>
#include <rondo/shield.hpp>

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace rondo_tests;
using http::reply;

task<> tick(http::body_writer& out) {
    for (int i = 1; i <= 3; ++i) {
        co_await out.write_all(std::to_string(i));
        co_await sleep(10ms);
    }
}
task<reply> ticks(http::request&) { co_return reply::stream("text/plain", tick); }
task<reply> meant(http::request&) {
    throw http::reply_error(409, "there is one already");
    co_return reply();
}

http::router make_site() {
    http::router site = plain_site();
    site.get("/ticks", ticks);
    site.get("/meant", meant);
    return site;
}

const std::string quick_reply = "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\n"
                                "content-length: 5\r\n\r\nquick";

RONDO_TEST("http server: a reply, and the next one on the same connection", "[http_server]") {
    const http::router site = make_site();
    memory_server server(site);
    co_await server.run([](raw_client& client) -> task<> {
        CHECK(co_await client.ask(get("/quick")) == quick_reply);
        CHECK(body_of(co_await client.ask(get("/hello/Ann%20%2F"))) == "hello Ann /\n");
        CHECK(body_of(co_await client.ask(post("/echo", "some text"))) == "some text");
        CHECK(body_of(co_await client.ask(get("/count", "transfer-encoding: chunked\r\n", "POST") +
                                          "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n")) == "5 bytes\n");
        const std::string head = co_await client.ask(get("/quick", "", "HEAD"));
        CHECK(head == quick_reply.substr(0, quick_reply.size() - 5));
        const std::string last = co_await client.ask(get("/quick", "connection: close\r\n"));
        CHECK_THAT(last, Catch::Contains("connection: close\r\n"));
        CHECK_THAT(last, Catch::EndsWith("quick(closed)"));
    });
}

RONDO_TEST("http server: a request in any pieces is one request", "[http_server]", seeds(1)) {
    const http::router site = make_site();
    const std::string all = get("/hello/Bob") + post("/echo", "text") +
                            get("/count", "transfer-encoding: chunked\r\n", "POST") +
                            "3\r\nabc\r\n0\r\nx: y\r\n\r\n" + get("/quick");
    const std::string expected = co_await said_to(site, all);
    CHECK_THAT(expected, Catch::Contains("hello Bob") && Catch::Contains("3 bytes"));
    for (std::size_t cut = 1; cut < all.size(); ++cut) {
        memory_server server(site);
        co_await server.run([&](raw_client& client) -> task<> {
            co_await client.say(all.substr(0, cut));
            co_await sleep(1ms);
            CHECK(co_await client.ask("") + co_await client.ask(all.substr(cut)) == expected);
        });
    }
    memory_server server(site, {}, {.chunk_max = 1});
    co_await server.run([&](raw_client& client) -> task<> {
        CHECK(co_await client.ask(all) == expected);
    });
}

RONDO_TEST("http server: pipelined requests are answered in order, one at a time",
           "[http_server]") {
    const http::router site = make_site();
    memory_server server(site);
    co_await server.run([](raw_client& client) -> task<> {
        co_await client.say(get("/slow") + get("/quick") + get("/hello/x"));
        CHECK(co_await client.hear(500ms) == "");
        const std::string all = co_await client.hear(600ms);
        const auto first = all.find("slow"), second = all.find("quick"), third = all.find("hello");
        CHECK(first < second);
        CHECK(second < third);
        CHECK(third != all.npos);
    });
}

RONDO_TEST("http server: memory is bounded against a client that only sends", "[http_server]") {
    const http::router site = make_site();
    memory_server server(site);
    co_await server.run([](raw_client& client) -> task<> {
        std::string many;
        for (int i = 0; i < 2000; ++i) many += get("/slow");
        // Behind the slow one no more than two buffers are read: the writer waits.
        const bool all_taken = co_await move_on_after(100ms, client.say(many + many + many));
        CHECK_FALSE(all_taken);
    });
}

RONDO_TEST("http server: a streamed reply goes out as it is written", "[http_server]") {
    const http::router site = make_site();
    memory_server server(site);
    co_await server.run([](raw_client& client) -> task<> {
        co_await client.say(get("/ticks"));
        const std::string all = co_await client.hear(5ms);
        CHECK_THAT(all, Catch::EndsWith("transfer-encoding: chunked\r\n\r\n1\r\n1\r\n"));
        CHECK(co_await client.hear(15ms) == "1\r\n2\r\n1\r\n3\r\n0\r\n\r\n");
        co_await client.say("GET /ticks HTTP/1.0\r\n\r\n");
        CHECK_THAT(co_await client.hear(15ms),
                   Catch::Contains("connection: close\r\n\r\n123(closed)"));
    });
}

RONDO_TEST("http server: a handler that throws is answered with 500, and says nothing",
           "[http_server]") {
    const http::router site = make_site();
    std::vector<std::string> reports;
    running_loop().set_exception_handler(
        [&](const exception_context& context) { reports.push_back(context.message); });
    memory_server server(site);
    co_await server.run([](raw_client& client) -> task<> {
        const std::string said = co_await client.ask(get("/broken?secret=1"));
        CHECK(code_of(said) == 500);
        CHECK(body_of(said) == "Internal Server Error\n");
        CHECK(code_of(co_await client.ask(get("/meant"))) == 409);
        CHECK(body_of(co_await client.ask(get("/meant"))) == "there is one already\n");
    });
    CHECK(reports == std::vector<std::string>{"the handler of GET /broken failed"});
    running_loop().set_exception_handler({});
}

RONDO_TEST("http server: 100 Continue is sent when the handler reads", "[http_server]") {
    const http::router site = make_site();
    memory_server server(site);
    co_await server.run([](raw_client& client) -> task<> {
        const std::string expect = "expect: 100-continue\r\ncontent-length: 4\r\n";
        CHECK(co_await client.ask(get("/echo", expect, "POST")) ==
              "HTTP/1.1 100 Continue\r\n\r\n");
        CHECK(body_of(co_await client.ask("text")) == "text");
        // A handler that does not read refuses: the body may come or not, so it is the end.
        const std::string refused = co_await client.ask(get("/ignore", expect, "POST"));
        CHECK(code_of(refused) == 200);
        CHECK_THAT(refused, Catch::Contains("connection: close\r\n"));
        CHECK_THAT(co_await client.hear(2s), Catch::EndsWith("(closed)"));
    });
}

RONDO_TEST("http server: an upload that the handler does not read is skipped, or the end",
           "[http_server]") {
    const http::router site = make_site();
    for (const std::size_t size : {std::size_t{60000}, std::size_t{70000}}) {
        memory_server server(site);
        co_await server.run([&](raw_client& client) -> task<> {
            const std::string said =
                co_await client.ask(post("/ignore", std::string(size, 'x')) + get("/quick"));
            CHECK_THAT(said, Catch::Contains("quick"));
            const bool goes_on = said.rfind("HTTP/1.1") != 0;
            CHECK(goes_on == (size == 60000));
        });
    }
    memory_server server(site);
    co_await server.run([&](raw_client& client) -> task<> {
        co_await client.say(get("/ignore", "content-length: 100\r\n", "POST"));
        CHECK_THAT(co_await client.hear(900ms), Catch::EndsWith("quick"));
        CHECK(co_await client.hear(2500ms) == "(closed)");
        co_await sleep(2s);
        CHECK(server.has_ended);
    });
}

RONDO_TEST("http server: a client that goes cancels the handler", "[http_server]") {
    http::router site;
    int began = 0, ended = 0;
    const auto work = [&](http::request&) -> task<reply> {
        ++began;
        co_await sleep(1s);
        ++ended;
        co_return reply::text("done");
    };
    site.get("/work", work);
    for (const bool half_close : {false, true}) {
        began = ended = 0;
        http::server_options options;
        options.half_close = half_close;
        memory_server server(site, options);
        co_await server.run([&](raw_client& client) -> task<> {
            co_await client.say(get("/work"));
            co_await sleep(100ms);
            co_await client.end();
            const std::string said = co_await client.hear(3s);
            CHECK_THAT(said, Catch::EndsWith(half_close ? "done(closed)" : "(closed)"));
            CHECK(said.size() == (half_close ? 91U : 8U));
        });
        CHECK(began == 1);
        CHECK(ended == (half_close ? 1 : 0));
    }
}

RONDO_TEST("http server: at its end idle connections close at once, and no reply is lost",
           "[http_server]") {
    const http::router site = make_site();
    memory_server idle(site), busy(site);
    auto first = idle.run([&](raw_client& client) -> task<> {
        CHECK(co_await client.ask(get("/quick")) == quick_reply);
        idle.begin_end();
        CHECK(co_await client.hear() == "(closed)");
    });
    auto second = busy.run([&](raw_client& client) -> task<> {
        co_await client.say(get("/slow"));
        co_await sleep(100ms);
        busy.begin_end();
        const std::string said = co_await client.hear(2s);
        CHECK_THAT(said, Catch::Contains("connection: close"));
        CHECK_THAT(said, Catch::EndsWith("slow(closed)"));
    });
    co_await gather(std::move(first), std::move(second));
}

RONDO_TEST("http server: what serves a connection knows nothing of the one before",
           "[http_server]") {
    http::router site = make_site();
    site.put("/put", [](http::request&) { return reply::text("put"); });
    memory_server server(site);
    for (int i = 0; i < 3; ++i)
        co_await server.run([&](raw_client& client) -> task<> {
            // Its first byte could be that of HTTP/2's preface.
            co_await client.say("P");
            co_await sleep(1s);
            CHECK(body_of(co_await client.ask("UT /put HTTP/1.1\r\nhost: x\r\n\r\n")) == "put");
            CHECK(co_await client.ask(get("/quick")) == quick_reply);
        });
    co_await server.run([&](raw_client& client) -> task<> {
        CHECK(co_await client.ask(get("/quick")) == quick_reply);
    });
}

RONDO_TEST("http server: limits of time for a head and for an idle connection", "[http_server]",
           limit(5min)) {
    const http::router site = make_site();
    http::server_options options;
    options.head = 10s;
    options.idle = 5s;
    const auto seconds_until = [](raw_client& client, duration pause,
                                  std::string drops) -> task<double> {
        const time_point before = running_loop().time();
        std::string said;
        while (!said.ends_with("(closed)")) {
            said = co_await client.hear(pause);
            if (said.empty() && !drops.empty()) co_await client.say(drops);
        }
        co_return std::chrono::duration<double>(running_loop().time() - before).count();
    };
    const auto served = [&](auto asking) -> task<> {
        memory_server server(site, options);
        co_await server.run(std::move(asking));
    };
    co_await served([&](raw_client& client) -> task<> {  // of a head: from the connection's start
        co_await sleep(9s);
        co_await client.say("GET");
        CHECK(co_await seconds_until(client, 100ms, "x") == Approx(1).margin(0.2));
    });
    co_await served([&](raw_client& client) -> task<> {  // and from the first byte of a later one
        CHECK(co_await client.ask(get("/quick")) == quick_reply);
        co_await sleep(4s);
        CHECK(co_await seconds_until(client, 100ms, "x") == Approx(10).margin(0.3));
    });
    co_await served([&](raw_client& client) -> task<> {  // without a byte
        CHECK(co_await client.ask(get("/quick")) == quick_reply);
        CHECK(co_await seconds_until(client, 1s, "") == Approx(5).margin(0.1));
    });
    co_await served([&](raw_client& client) -> task<> {  // an empty line begins a head
        CHECK(co_await client.ask(get("/quick") + get("/quick") + "\r\n") ==
              quick_reply + quick_reply);
        CHECK(co_await seconds_until(client, 1s, "\r\n") == Approx(10).margin(0.1));
    });
}

RONDO_TEST("http server: the body of a request, cancelled in three ways, loses nothing",
           "[http_server]") {
    http::router site;
    const auto read = [](http::request& request) -> task<reply> {
        std::string all;
        for (;;) {  // a wait that is given up again and again
            auto some = co_await move_on_after(7ms, request.read_some());
            if (!some) continue;
            if (!*some) break;
            all += some->text();
        }
        co_return reply::text(std::move(all));
    };
    site.post("/read", read);
    memory_server server(site);
    co_await server.run([](raw_client& client) -> task<> {
        co_await client.say(get("/read", "content-length: 10\r\n", "POST"));
        for (int i = 0; i < 10; ++i) {
            co_await sleep(5ms);
            co_await client.say(std::to_string(i));
        }
        CHECK(body_of(co_await client.hear()) == "0123456789");
    });
}

RONDO_TEST("http server: a read that was cancelled before 100 Continue leaves it to the next",
           "[http_server]", seeds(1)) {
    http::router site;
    site.post("/late", [](http::request& request) -> task<reply> {
        const auto nothing = co_await move_on_after(0s, request.read_some());
        CHECK_FALSE(nothing);
        std::string all = co_await request.text();
        co_return reply::text(std::move(all));
    });
    memory_server server(site);
    co_await server.run([](raw_client& client) -> task<> {
        CHECK(co_await client.ask(get("/late", "expect: 100-continue\r\ncontent-length: 4\r\n",
                                      "POST")) == "HTTP/1.1 100 Continue\r\n\r\n");
        CHECK(body_of(co_await client.ask("text")) == "text");
    });
}

RONDO_TEST("http server: after a write that was cancelled nothing more is sent", "[http_server]",
           seeds(1)) {
    http::router site;
    bool went_on = false;
    const auto give_up = [&](http::body_writer& out) -> task<> {
        const std::string block(1000, 'x');
        const bool is_written = co_await move_on_after(1s, out.write_all(block));
        CHECK_FALSE(is_written);
        co_await sleep(2s);
        went_on = true;
        co_await out.write_all("more");
    };
    site.get("/", [&](http::request&) { return reply::stream("text/plain", give_up); });
    // Room for the head, and for parts of the chunk of several sizes: also for exactly its size
    // line, after which the memory stream would take further writes.
    constexpr std::size_t date = 37;
    const std::size_t head = (co_await said_to(site, get("/", "", "HEAD"))).size() + date;
    for (std::size_t room = head; room < head + 12; ++room) {
        memory_server server(site, {}, {.capacity = room});
        went_on = false;
        co_await server.run([&](raw_client& client) -> task<> {
            co_await client.say(get("/"));
            co_await sleep(1500ms);
            const std::string said = co_await client.hear(5s);
            CHECK_FALSE(went_on);
            CHECK(said.find("more") == said.npos);
            CHECK(said.find("\r\n0\r\n") == said.npos);
            CHECK(said.ends_with("(closed)"));
        });
    }
}

RONDO_TEST("http server: a head that is split anywhere is one", "[http_server]", seeds(1)) {
    const http::router site = make_site();
    const std::string head = "PUT /quick HTTP/1.0\r\n\r\n";  // shorter than HTTP/2's preface
    for (std::size_t split = 1; split < head.size(); ++split) {
        INFO("split at " << split);
        memory_server server(site);
        co_await server.run([&](raw_client& client) -> task<> {
            co_await client.say(head.substr(0, split));
            co_await sleep(1ms);
            CHECK(code_of(co_await client.ask(head.substr(split))) == 405);
        });
    }
}

RONDO_TEST("http server: a shielded write ends when the client takes nothing in time",
           "[http_server]", seeds(1)) {
    http::router site;
    bool has_failed = false;
    const auto stubborn = [&](http::body_writer& out) -> task<> {
        const std::string block(10000, 'x');
        try {
            co_await with_shield([&]() -> task<> { co_await out.write_all(block); });
        } catch (const std::exception&) {
            has_failed = true;
            throw;
        }
    };
    site.get("/", [&](http::request&) { return reply::stream("text/plain", stubborn); });
    for (const bool is_cut_off : {false, true}) {
        has_failed = false;
        memory_server server(site, {}, {.capacity = 1000});
        co_await server.run([&](raw_client& client) -> task<> {
            co_await client.say(get("/"));
            co_await sleep(59s);
            CHECK_FALSE(has_failed);
            if (is_cut_off) server.cut_off();
            co_await sleep(is_cut_off ? 500ms : 2s);
            CHECK(has_failed);
            CHECK(server.has_ended);
        });
    }
}

}  // namespace
