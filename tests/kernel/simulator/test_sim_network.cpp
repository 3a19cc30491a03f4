// SPDX-License-Identifier: MIT
// Network faults that a test makes while its program runs: parts cut off and restored, connections
// reset, latencies.
#include <rondo/connect.hpp>
#include <rondo/net.hpp>
#include <rondo/task_group.hpp>

#include "support/core_tools.hpp"

using namespace rondo;
using namespace rondo_tests;

namespace {

struct pair_of_streams {
    tcp_stream client, server;
    pair_of_streams(tcp_stream c, tcp_stream s) : client(std::move(c)), server(std::move(s)) {}
};

task<pair_of_streams> connect_both(tcp_listener& listener) {
    auto accepting = create_task(listener.accept());
    tcp_stream client = co_await connect_tcp(listener.local());
    tcp_stream server = co_await std::move(accepting);
    co_return pair_of_streams(std::move(client), std::move(server));
}

}  // namespace

RONDO_TEST("set_network: the latency of a byte", "[simulator]") {
    testing::set_network({.latency_least = 3s, .latency_most = 3s});
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    auto both = co_await connect_both(listener);
    const time_point start = running_loop().time();
    co_await both.client.write_all("x");
    std::string byte = "?";
    co_await both.server.read_some(byte);
    CHECK(running_loop().time() - start >= 3s);
    CHECK(running_loop().time() - start < 4s);
}

RONDO_TEST("cut_off: a connect gets no answer until restore", "[simulator]") {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    testing::cut_off(listener.local());
    auto connecting = create_task(connect_tcp(listener.local()));
    co_await sleep(1h);
    CHECK(connecting.state() == task_state::waiting);
    // a connect that is cancelled leaves nothing
    bool gave_up = false;
    try {
        co_await wait_for(1s, connect_tcp(listener.local()));
    } catch (const timeout_error&) {
        gave_up = true;
    }
    CHECK(gave_up);
    testing::restore(listener.local());
    auto client = co_await std::move(connecting);
    auto server = co_await listener.accept();
    CHECK(server.remote() == client.local());
}

RONDO_TEST("cut_off: other addresses stay reachable, and port 0 is the whole host", "[simulator]") {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    auto other = tcp_listener::bind({"127.0.0.2", 0});
    testing::cut_off(endpoint("127.0.0.2", 0));
    auto client = co_await connect_tcp(listener.local());
    auto lost = create_task(connect_tcp(other.local()));
    co_await sleep(1h);
    CHECK(!lost.done());
    lost.cancel();
    try {
        co_await lost;
    } catch (const future_cancelled&) {
    }
    CHECK(lost.cancelled());
}

RONDO_TEST("cut_off: the bytes of a stream wait, in order, and its end after them",
           "[simulator]") {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    auto both = co_await connect_both(listener);
    co_await both.client.write_all("one ");
    testing::cut_off(listener.local());
    co_await both.client.write_all("two");
    co_await both.client.shutdown_write();
    auto reading = create_task(both.server.read_all());
    co_await sleep(1h);
    CHECK(!reading.done());
    testing::restore(listener.local());
    const std::string got = co_await std::move(reading);
    CHECK(got == "one two");
}

RONDO_TEST("reset_connections: both ends read ECONNRESET", "[simulator]") {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    auto both = co_await connect_both(listener);
    testing::reset_connections();
    for (tcp_stream* end : {&both.client, &both.server}) {
        std::string byte = "?";
        const auto got = co_await as_result(end->read_some(byte));
        CHECK(got.error() == std::errc::connection_reset);
    }
}

RONDO_TEST("set_network: it fails on the real kernel", "[simulator][kernel]") {
    CHECK_THROWS_AS(testing::set_network({}), invalid_state_error);
    CHECK_THROWS_AS(testing::cut_off(endpoint("127.0.0.1", 1)), invalid_state_error);
    CHECK_THROWS_AS(testing::reset_connections(), invalid_state_error);
    co_return;
}

TEST_CASE("testing: cancel_main cancels the main task when that operation begins", "[testing]") {
    const auto body = []() -> task<int> {
        int done = 0;
        try {
            for (; done < 10; ++done) co_await nop();
        } catch (const cancelled&) {
            co_return done;
        }
        co_return done;
    };
    for (std::uint64_t at = 0; at < 10; ++at) {
        testing::world w({.what = testing::fault::cancel_main, .at_operation = at});
        const int done = w.run(body());
        CHECK((done == int(at) || done == int(at) + 1));
        w.end();
    }
}

TEST_CASE("testing: at_call fails a call that is not an operation", "[testing]") {
    const auto body = []() -> task<> {
        auto listener = tcp_listener::bind({"127.0.0.1", 0});
        co_return;
    };
    testing::world clean(testing::sim_options{});
    clean.run(body());
    const std::uint64_t calls = clean.calls();
    clean.end();
    REQUIRE(calls >= 4);
    for (std::uint64_t at = 0; at < 3; ++at)
        CHECK_THROWS_AS(testing::simulate(body, {.at_call = at, .error_number = EMFILE}),
                        std::system_error);
    testing::simulate(body, {.at_call = calls, .error_number = EMFILE});
}
