// SPDX-License-Identifier: MIT
// The connections of a session: limits, idle ones, and that a cancel at any moment leaves the pool
// whole.
#include <rondo/http.hpp>

#include <malloc.h>

#include <random>
#include <vector>

#include <rondo/gather.hpp>
#include <rondo/task_group.hpp>

#include "http/cancel_tools.hpp"
#include "http/scripted_server.hpp"
#include "support/tls_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace rondo_tests;

RONDO_TEST("http pool: a limit for each host, further requests wait in line", "[http_pool][both]") {
    scripted_server server([](const seen_request& request) { return reply(200, request.line()); });
    co_await server.run([&]() -> task<> {
        http::session_options two;
        two.connections_per_host = 2;
        http::session client(two);
        std::vector<task<std::string>> all;
        for (int i = 0; i < 9; ++i)
            all.push_back(text_of(client, server.url("/" + std::to_string(i))));
        const auto texts = co_await gather(std::move(all));
        for (std::size_t i = 0; i < texts.size(); ++i)
            CHECK(texts[i] == "GET /" + std::to_string(i) + " HTTP/1.1");
        CHECK(server.open_max <= 2);
        CHECK(client.connections() == client.idle_connections());
        CHECK(client.connections() <= 2);
    });
}

RONDO_TEST("http pool: spare buffers are freed a second after the last request", "[http_pool]") {
    if (with_asan() || with_tsan()) co_return;  // their malloc does not count
    scripted_server server([](const seen_request&) { return reply(200, "text"); });
    co_await server.run([&]() -> task<> {
        http::session client;
        std::vector<task<std::string>> all;
        for (int i = 0; i < 16; ++i) all.push_back(text_of(client, server.url()));
        co_await gather(std::move(all));
        co_await sleep(500ms);
        CHECK(co_await text_of(client, server.url()) == "text");
        const std::size_t before = mallinfo2().uordblks;
        co_await sleep(900ms);
        CHECK(before - mallinfo2().uordblks < 16 * 1024);
        co_await sleep(200ms);
        CHECK(before - mallinfo2().uordblks > 4 * 16 * 1024);
        CHECK(client.idle_connections() > 4);
        CHECK(co_await text_of(client, server.url()) == "text");
    });
}

RONDO_TEST("http pool: a limit for all hosts closes the connection that was idle longest",
           "[http_pool]") {
    scripted_server a([](const seen_request&) { return reply(200, "a"); });
    scripted_server b([](const seen_request&) { return reply(200, "b"); });
    co_await a.run([&]() -> task<> {
        co_await b.run([&]() -> task<> {
            http::session_options one;
            one.connections = 1;
            http::session client(one);
            for (int i = 0; i < 3; ++i) {
                CHECK(co_await text_of(client, a.url()) == "a");
                CHECK(co_await text_of(client, b.url()) == "b");
                CHECK(client.connections() == 1);
            }
            CHECK(a.connections == 3);
            auto both = gather(text_of(client, a.url()), text_of(client, b.url()));
            co_await std::move(both);
        });
    });
}

RONDO_TEST("http pool: an idle connection is closed after its time, the server's counts",
           "[http_pool]", limit(3min)) {
    scripted_server server([](const seen_request& request) {
        return reply(200, "x", request.number == 1 ? "" : "keep-alive: timeout=61, max=9\r\n");
    });
    co_await server.run([&]() -> task<> {
        http::session client;
        co_await ask(client, server.url());
        co_await sleep(3s);
        CHECK(client.idle_connections() == 1);
        co_await sleep(2s);
        CHECK(client.idle_connections() == 0);
        CHECK(server.open == 0);
        co_await ask(client, server.url());
        co_await sleep(59s);
        CHECK(client.idle_connections() == 1);
        co_await sleep(2s);
        CHECK(client.connections() == 0);
    });
}

RONDO_TEST("http pool: a connection that died while idle is not noticed by the user",
           "[http_pool][both]") {
    scripted_server server([](const seen_request& request) {
        if (request.connection == 1 && request.number == 2) return std::string(hang_up);
        if (request.connection == 2) return std::string(then_close) + reply(200, "then closed");
        return reply(200, "x");
    });
    co_await server.run([&]() -> task<> {
        http::session client;
        co_await ask(client, server.url());
        // Closed when the second request comes, without a byte: it is sent again.
        CHECK(co_await text_of(client, server.url()) == "then closed");
        CHECK(server.connections == 2);
        co_await sleep(10ms);
        // The second connection ended while it was idle: it is not used again.
        CHECK(co_await text_of(client, server.url()) == "x");
        CHECK(server.connections == 3);
    });
}

RONDO_TEST("http pool: a POST is not repeated once it was sent", "[http_pool]") {
    scripted_server server([](const seen_request& request) {
        return request.number == 1 ? reply(200, "x") : std::string(hang_up);
    });
    co_await server.run([&]() -> task<> {
        http::session client;
        co_await ask(client, server.url());
        bool was_lost = false;
        try {
            co_await client.post(server.url()).body("once");
        } catch (const http::protocol_error&) {
            was_lost = true;
        }
        CHECK(was_lost);
        CHECK(server.requests.size() == 2);
        CHECK(client.connections() == 0);
    });
}

RONDO_TEST("http pool: bytes that came unasked on an idle connection belong to no request",
           "[http_pool][both]") {
    scripted_server server([](const seen_request& request) {
        if (request.connection != 1) return reply(200, "mine");
        return reply(200, "first") + reply(200, "not asked for");
    });
    co_await server.run([&]() -> task<> {
        http::session client;
        CHECK(co_await text_of(client, server.url()) == "first");
        co_await sleep(10ms);
        CHECK(co_await text_of(client, server.url()) == "mine");
        CHECK(server.connections == 2);
    });
}

RONDO_TEST("http pool: a dropped response gives its connection back, or closes it",
           "[http_pool][both]") {
    const std::string long_body(10'000'000, 'x');
    scripted_server server([&](const seen_request& request) {
        if (request.line().find("/long") != std::string::npos) return reply(200, long_body);
        return reply(200, std::string(40'000, 'y'));
    });
    co_await server.run([&]() -> task<> {
        http::session client;
        { auto dropped = co_await client.get(server.url("/short")); }
        while (client.connections() != client.idle_connections()) co_await sleep(1ms);
        CHECK(client.idle_connections() == 1);
        { auto dropped = co_await client.get(server.url("/long")); }
        CHECK(client.connections() == 0);
        CHECK(server.connections == 1);
    });
}

RONDO_TEST("http pool: a response may outlive its session", "[http_pool][both]") {
    const std::string body(100'000, 'x');
    scripted_server server([&](const seen_request&) { return reply(200, body); });
    co_await server.run([&]() -> task<> {
        auto client = std::make_unique<http::session>();
        auto response = co_await client->get(server.url());
        auto later = client->get(server.url());
        client.reset();
        CHECK((co_await response.text()).size() == 100'000);
        auto second = co_await later;
        CHECK((co_await second.text()).size() == 100'000);
    });
}

TEST_CASE("http pool: a session in one loop after another", "[http_pool]") {
    testing::leak_probe probe;
    {
        http::session_options brief;
        brief.keep_alive = 1ms;
        http::session client(brief);
        auto once = [&]() -> task<> {
            scripted_server server([](const seen_request&) { return reply(200, "x"); });
            co_await server.run([&]() -> task<> {
                CHECK(co_await text_of(client, server.url()) == "x");
                while (client.idle_connections() != 0) co_await sleep(1ms);  // this loop's timer
                CHECK(co_await text_of(client, server.url()) == "x");  // is idle when the loop ends
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

std::string answer_of(const seen_request& request) {
    static const std::string large(200'000, 'x');
    const std::string line = request.line();
    const auto is_for = [&](const char* path) { return line.find(path) != std::string::npos; };
    if (is_for("/moved")) return reply(302, "to", "location: /large\r\n");
    if (is_for("/large")) return reply(200, large);
    if (is_for("/upload")) return reply(200, std::to_string(request.body.size()));
    if (is_for("/ends")) return std::string(then_close) + reply(200, "then closed");
    if (is_for("/cut")) return std::string(then_close) + "HTTP/1.1 200 X\r\ncontent-length: 9\r\n";
    if (is_for("/chunks"))
        return "HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n"
               "3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n";
    return reply(200, "small");
}

void must_be_large(const std::string& found) {
    if (found.size() != 200'000) FAIL("a large body of " << found.size() << " bytes");
}

task<> upload(http::session& client, const scripted_server& server, std::size_t size) {
    auto request = client.put(server.url("/upload")).body(std::string(size, 'u'));
    auto response = co_await std::move(request);
    must_be(co_await response.text(), std::to_string(size));
}

task<> drop(http::session& client, std::string url) {
    auto dropped = co_await client.get(url);
    co_await dropped.read_some();
}

/// Asks, and checks the bytes that come.
task<> ask_one_of(http::session& client, const scripted_server& server, unsigned which) {
    switch (which % 10) {
        case 0: must_be(co_await text_of(client, server.url("/")), "small"); break;
        case 1: must_be_large(co_await text_of(client, server.url("/moved"))); break;
        case 2: must_be_large(co_await text_of(client, server.url("/large"))); break;
        case 3: must_be(co_await text_of(client, server.url("/chunks")), "abcdef"); break;
        case 4: must_be(co_await text_of(client, server.url("/ends")), "then closed"); break;
        case 5: co_await ask_in_vain(client, server.url("/cut")); break;
        case 6: co_await drop(client, server.url("/large")); break;
        case 7: co_await drop(client, server.url("/chunks")); break;
        case 8: co_await upload(client, server, 1000); break;
        default: co_await upload(client, server, 150'000);
    }
}

/// All seats are free, and the server has no connection that the client does not know. The client
/// may know one that the server has closed, until it looks.
task<> check_whole(http::session& client, const scripted_server& server) {
    co_await sleep(1s);  // what is left of bodies is read or given up, closing ends
    REQUIRE(client.connections() == client.idle_connections());
    REQUIRE(server.open <= static_cast<int>(client.connections()));
}

task<> cancel_requests(bool secure) {
    scripted_server server(answer_of);
    const auto first = [&](http::session& client) { return ask_one_of(client, server, 0); };
    const auto round = [&](http::session& client, std::mt19937& dice) -> task<> {
        server.requests.clear();
        std::vector<task<>> all;
        for (int i = 0; i < 3; ++i)
            all.push_back(ask_one_of(client, server, static_cast<unsigned>(dice())));
        co_await gather(std::move(all));
    };
    const auto whole = [&](http::session& client) { return check_whole(client, server); };
    co_await cancel_at_any_moment(server, {}, secure, 1, first, round, whole);
}

RONDO_TEST("http pool: a cancel at any moment leaves the pool whole", "[http_pool]",
           for_cancels(false)) {
    co_await cancel_requests(false);
}
RONDO_TEST("http pool: over TLS a cancel at any moment leaves the pool whole as well",
           "[http_pool]", for_cancels(true)) {
    co_await cancel_requests(true);
}

}  // namespace
