// SPDX-License-Identifier: MIT
// Requests over HTTP/2 that are cancelled: the pool stays whole at any moment.
#include <rondo/http.hpp>

#include <random>
#include <string>
#include <vector>

#include <rondo/gather.hpp>

#include "http/cancel_tools.hpp"
#include "http/h2_server.hpp"
#include "http/scripted_server.hpp"
#include "support/core_tools.hpp"
#include "support/tls_tools.hpp"

#ifdef RONDO_WITH_NGHTTP2

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace rondo_tests;

RONDO_TEST("http2 client: a cancelled or dropped request resets its stream and no other",
           "[http2_client_cancel]") {
    h2_server server(answer_well);
    co_await server.run([&]() -> task<> {
        http::session client(with_http_2());
        co_await ask(client, server.url());
        auto other = client.get(server.url("/bulk"));
        auto reading = co_await std::move(other);
        co_await move_on_after(5ms, ask(client, server.url("/never")));
        { auto dropped = co_await client.get(server.url("/bulk")); }
        const std::string all = co_await reading.bytes();
        CHECK(all == bulk());
        CHECK(server.connections == 1);
        co_await sleep(10ms);
        int cancelled = 0;
        for (const h2_request& each : server.peers.front()->requests)
            if (each.closed == h2::code::cancel) ++cancelled;
        CHECK(cancelled == 2);
        CHECK(server.peers.front()->engine.streams() == 0);
    });
}

RONDO_TEST("http2 client: a request is cancelled before it begins, while it waits, and too late",
           "[http2_client_cancel]", seeds(2)) {
    h2_server server(answer_well);
    co_await server.run([&]() -> task<> {
        http::session client(with_http_2());
        const auto silent = [&] { return text_of(client, server.url("/never")); };
        co_await check_cancelled_before(silent);
        CHECK(server.seen.empty());
        co_await check_cancelled_while_suspended(silent);
        co_await ask(client, server.url());
        co_await check_cancelled_while_suspended(silent);  // on the connection that is shared
        auto response = co_await client.get(server.url("/large"));
        co_await sleep(20ms);  // all of it has come: the read has its bytes, though it is cancelled
        auto late = create_task(response.bytes());
        co_await yield_now();
        late.cancel();
        co_await sleep(20ms);
        CHECK(late.done());
        // The first one, unless its request was cancelled before the server's settings had come.
        CHECK((server.connections == 1 || server.connections == 2));
        CHECK(client.connections() == 1);
    });
}

// -- a cancel at any moment -----------------------------------------------------------------------

constexpr unsigned share = 10;  // of the cancels of test_http_pool.cpp

task<> ask_one_of(http::session& client, const h2_server& server, unsigned which) {
    const auto upload = [&](std::size_t size) -> task<> {
        auto request = client.put(server.url("/up")).body(std::string(size, 'u'));
        auto response = co_await std::move(request);
        must_be(co_await response.text(), std::to_string(size));
    };
    switch (which % 10) {
        case 0:
            must_be(co_await text_of(client, server.url("/s")), "GET /s");
            break;
        case 1:
            must_be(co_await text_of(client, server.url("/moved")), std::string(200'000, 'x'));
            break;
        case 2:
            must_be(co_await text_of(client, server.url("/large")), std::string(200'000, 'x'));
            break;
        case 3:
            co_await ask_in_vain(client, server.url("/reset"));
            break;
        case 4:
            must_be(co_await text_of(client, server.url("/bye")), "bye");
            break;
        case 5:
            co_await ask_in_vain(client, server.url("/cut"));
            break;
        case 6: {
            auto dropped = co_await client.get(server.url("/large"));
        } break;
        case 7:
            co_await ask_in_vain(client, server.url("/refused"));
            break;
        case 8:
            co_await upload(1000);
            break;
        default:
            co_await upload(150'000);
    }
}

/// Ends as well if the connection that others share was cut under it.
task<> ask_one_or_lose(http::session& client, const h2_server& server, unsigned which) {
    try {
        co_await ask_one_of(client, server, which);
    } catch (const http::protocol_error&) {
    } catch (const http::body_error&) {
    }
}

task<> check_whole(http::session& client, const h2_server& server) {
    co_await sleep(1s);
    REQUIRE(client.connections() == client.idle_connections());
    REQUIRE(server.open <= static_cast<int>(client.connections()));
    for (const h2_peer* each : server.peers) REQUIRE(each->engine.streams() == 0);
}

task<> cancel_streams(bool secure) {
    h2::options few;
    few.streams = 2;
    h2_server server(answer_well, few);
    http::session_options options;
    if (!secure) options.version = second_version;
    const auto first = [&](http::session& client) { return ask_one_of(client, server, 0); };
    const auto round = [&](http::session& client, std::mt19937& dice) -> task<> {
        server.seen.clear();
        std::vector<task<>> all;
        for (int i = 0; i < 5; ++i)
            all.push_back(ask_one_or_lose(client, server, static_cast<unsigned>(dice())));
        co_await gather(std::move(all));
    };
    const auto whole = [&](http::session& client) { return check_whole(client, server); };
    co_await cancel_at_any_moment(server, options, secure, share, first, round, whole);
}

RONDO_TEST("http2 client: a cancel at any moment leaves the pool whole", "[http2_client_cancel]",
           for_cancels(false, share)) {
    co_await cancel_streams(false);
}
RONDO_TEST("http2 client: over TLS a cancel at any moment leaves the pool whole as well",
           "[http2_client_cancel]", for_cancels(true, share)) {
    co_await cancel_streams(true);
}

}  // namespace

#endif
