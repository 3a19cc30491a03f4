// SPDX-License-Identifier: MIT
// Serving: connections are independent of each other, and end with the server.
#include <rondo/serve.hpp>

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/core_tools.hpp"
#include "support/net_tools.hpp"
#include "kernel/simulator/simulator.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

task<> echo(tcp_stream peer) {
    std::array<char, 256> buffer;
    while (auto chunk = co_await peer.read_some(buffer)) co_await peer.write_all(chunk);
}

task<> clean_up(int& cleaned) {
    co_await sleep(1ms);
    ++cleaned;
}

task<> connect_often(endpoint where) {
    try {
        for (int i = 0; i < 5; ++i) co_await connect_tcp(where);
    } catch (const std::system_error&) {  // the server has closed
    }
}

task<> end_server(future<> server) {
    server.cancel();
    try {
        co_await server;
    } catch (const future_cancelled&) {
        co_return;
    }
    FAIL("a server that is cancelled has no other end");
}

RONDO_TEST("serve: answers many at once and ends with its connections", "[serve][both]") {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const endpoint where = listener.local();
    auto server = create_task(serve(std::move(listener), echo));
    std::vector<tcp_stream> clients;
    for (int i = 0; i < 20; ++i) clients.push_back(co_await connect_tcp(where));
    for (auto& client : clients) co_await client.write_all("hello\n");
    for (auto& client : clients) {
        auto line = co_await client.read_line();
        REQUIRE(line == "hello");
    }
    co_await end_server(server);
    std::array<char, 4> buffer;
    for (auto& client : clients) {
        auto chunk = co_await client.read_some(buffer);
        REQUIRE_FALSE(chunk);
    }
    auto refused = co_await rondo_tests::text_of_failure<std::system_error>(connect_tcp(where));
    REQUIRE(refused == "connect " + where.text() + ": Connection refused");
}

RONDO_TEST("serve: a handler's exception is reported with its peer, and the others go on",
           "[serve][both]") {
    std::vector<std::string> reports;
    running_loop().set_exception_handler([&](const exception_context& context) {
        try {
            std::rethrow_exception(context.error);
        } catch (const std::exception& error) {
            reports.push_back(context.message + ": " + error.what());
        }
    });
    auto picky = [](tcp_stream peer) -> task<> {
        for (;;) {
            auto line = co_await peer.read_line();
            if (!line) co_return;
            if (*line == "cancelled") throw cancelled();  // thrown by the handler itself: no error
            if (*line == "bad") throw std::runtime_error("I do not like it");
            co_await peer.write_all("good\n");
        }
    };
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const endpoint where = listener.local();
    auto server = create_task(serve(std::move(listener), picky));
    auto good = co_await connect_tcp(where);
    auto bad = co_await connect_tcp(where);
    auto gone = co_await connect_tcp(where);
    co_await bad.write_all("bad\n");
    auto line = co_await bad.read_line();
    REQUIRE_FALSE(line.has_value());
    co_await gone.write_all("cancelled\n");
    line = co_await gone.read_line();
    REQUIRE_FALSE(line.has_value());
    co_await good.write_all("fine\n");
    line = co_await good.read_line();
    REQUIRE(line == "good");
    REQUIRE(reports.size() == 1);
    REQUIRE(reports.front() == "connection from " + bad.local().text() + ": I do not like it");
    co_await end_server(server);
    running_loop().set_exception_handler({});
}

RONDO_TEST("serve: at most connections_max at once", "[serve][both]") {
    int now = 0, most = 0;
    auto count = [&](tcp_stream peer) -> task<> {
        most = std::max(most, ++now);
        std::array<char, 4> buffer;
        while (co_await peer.read_some(buffer)) {
        }
        --now;
    };
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const endpoint where = listener.local();
    auto server = create_task(serve(std::move(listener), count, {.connections_max = 3}));
    std::vector<tcp_stream> clients;
    for (int i = 0; i < 10; ++i) clients.push_back(co_await connect_tcp(where));
    co_await sleep(5ms);
    REQUIRE(now == 3);
    for (auto& client : clients) {
        client.close();
        co_await sleep(3ms);
    }
    while (now != 0) co_await sleep(1ms);
    REQUIRE(most == 3);
    co_await end_server(server);
}

RONDO_TEST("serve: cancelled at any moment it waits for its connections' clean-up", "[serve]",
           seeds(30)) {
    int began = 0, cleaned = 0;
    auto careful = [&](tcp_stream peer) -> task<> {
        ++began;
        std::array<char, 4> buffer;
        try {
            co_await peer.read_some(buffer);
        } catch (const cancelled&) {
        }
        co_await shield(clean_up(cleaned));
    };
    for (int i = 0; i < 10; ++i) {
        auto listener = tcp_listener::bind({"127.0.0.1", 0});
        const endpoint where = listener.local();
        auto server = create_task(serve(std::move(listener), careful));
        auto clients = create_task(connect_often(where));
        co_await sleep(std::chrono::microseconds(700 * i));
        co_await end_server(server);
        REQUIRE(cleaned == began);
        clients.cancel();
    }
    REQUIRE(began > 0);
}

RONDO_TEST("serve: closing its listener ends it with an error", "[serve][both]") {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const std::string name = listener.local().text();
    listener.close();
    auto text =
        co_await rondo_tests::text_of_failure<std::system_error>(serve(std::move(listener), echo));
    REQUIRE(text == "accept " + name + ": Bad file descriptor");
}

// -- grace ----------------------------------------------------------------------------------------

/// Answers each line with that line after `time`, and ends when the peer ends.
class slow_echo {
public:
    explicit slow_echo(duration time) : time_(time) {}
    task<> operator()(tcp_stream peer) const { return answer(std::move(peer), time_); }

private:
    static task<> answer(tcp_stream peer, duration time) {
        while (auto line = co_await peer.read_line()) {
            co_await sleep(time);
            co_await peer.write_all(*line, "\n");
        }
    }
    duration time_;
};

RONDO_TEST("serve: in the grace time connections end by themselves, and none is accepted",
           "[serve][both]", seeds(10)) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const endpoint where = listener.local();
    auto server = create_task(serve(std::move(listener), slow_echo(50ms), {.grace = 10s}));
    auto client = co_await connect_tcp(where);
    co_await client.write_all("last\n");
    co_await sleep(10ms);
    server.cancel();
    co_await sleep(10ms);
    CHECK_FALSE(server.done());
    CHECK_THROWS_AS(co_await connect_tcp(where), std::system_error);
    const auto line = co_await client.read_line();
    CHECK(line.value() == "last");
    CHECK_FALSE(server.done());
    client.close();
    CHECK_THROWS_AS(co_await server, future_cancelled);
}

RONDO_TEST("serve: the rest is cancelled after the grace time, not at a second cancellation",
           "[serve][both]", seeds(10)) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const endpoint where = listener.local();
    auto server = create_task(serve(std::move(listener), slow_echo(0ms), {.grace = 30ms}));
    auto idle = co_await connect_tcp(where);
    co_await idle.write_all("hello\n");
    const auto line = co_await idle.read_line();
    CHECK(line.value() == "hello");
    const time_point asked = running_loop().time();
    server.cancel();
    co_await sleep(10ms);
    server.cancel();
    CHECK_FALSE(server.done());
    CHECK_THROWS_AS(co_await server, future_cancelled);
    CHECK(running_loop().time() >= asked + 30ms);
    const auto end = co_await idle.read_line();
    CHECK_FALSE(end);
}

RONDO_TEST("serve: a limit of connections does not keep a server from ending", "[serve][both]") {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const endpoint where = listener.local();
    auto server = create_task(
        serve(std::move(listener), slow_echo(0ms), {.connections_max = 1, .grace = 20ms}));
    auto first = co_await connect_tcp(where);
    auto second = co_await connect_tcp(where);  // waits in the backlog
    co_await first.write_all("one\n");
    auto line = co_await first.read_line();
    CHECK(line.value() == "one");
    first.close();
    co_await second.write_all("two\n");
    line = co_await second.read_line();
    CHECK(line.value() == "two");
    server.cancel();
    CHECK_THROWS_AS(co_await server, future_cancelled);
}

RONDO_TEST("serve: without connections the grace time is not waited for", "[serve][both]") {
    auto server =
        create_task(serve(tcp_listener::bind({"127.0.0.1", 0}), slow_echo(0ms), {.grace = 1h}));
    co_await sleep(1ms);
    server.cancel();
    CHECK_THROWS_AS(co_await server, future_cancelled);
}

RONDO_TEST("serve: when it has ended its address is free", "[serve][both]") {
    for (const duration grace : {0ms, 10ms}) {
        auto listener = tcp_listener::bind({"127.0.0.1", 0});
        const endpoint where = listener.local();
        co_await move_on_after(5ms, serve(std::move(listener), echo, {.grace = grace}));
        CHECK(tcp_listener::bind(where, {.reuse_address = false}).is_open());
    }
}

// -- reports --------------------------------------------------------------------------------------

/// Makes more connections than a kernel with few descriptors can accept.
task<> serve_without_descriptors() {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const endpoint where = listener.local();
    auto server = create_task(serve(std::move(listener), echo));
    for (int spell = 0; spell < 2; ++spell) {
        std::vector<tcp_stream> clients;
        // The third connection's first end fits, its other end does not.
        for (int i = 0; i < 3; ++i) clients.push_back(co_await connect_tcp(where));
        co_await sleep(5s);
        clients.clear();
        co_await sleep(5s);
    }
    co_await end_server(server);
}

TEST_CASE("serve: each shortage of descriptors is reported once", "[serve]") {
    detail::simulator_options how;
    how.descriptors_max = 6;
    loop simulated(std::make_shared<detail::simulator>(how), {.timer_slack = duration(0)});
    std::vector<std::string> told;
    simulated.set_exception_handler([&](const exception_context& context) {
        try {
            std::rethrow_exception(context.error);
        } catch (const std::system_error& error) {
            told.push_back(context.message + ": " + error.what());
        }
    });
    simulated.run_until_complete(serve_without_descriptors());
    CHECK(told.size() == 2);
    for (const std::string& text : told)
        CHECK(text.find(": connections wait: Too many open files") != text.npos);
}

/// `count` connections with handlers that throw, and as many that the peer resets.
task<> serve_badly(int count) {
    auto throws = [](tcp_stream peer) -> task<> {
        std::array<char, 4> buffer;
        if (co_await peer.read_some(buffer)) throw std::runtime_error("I do not like it");
    };
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const endpoint where = listener.local();
    auto server = create_task(serve(std::move(listener), throws));
    for (int i = 0; i < count; ++i) {
        auto client = co_await connect_tcp(where);
        co_await client.write_all("x");
        auto other = co_await connect_tcp(where);
        other.abort();
    }
    co_await sleep(100ms);
    co_await end_server(server);
}

TEST_CASE("serve: failures that repeat are not all written", "[serve]") {
    rondo_tests::captured_stderr written;
    {
        loop simulated(std::make_shared<detail::simulator>(detail::simulator_options()));
        simulated.run_until_complete(serve_badly(100));
    }
    const std::string text = written.text();
    INFO(text);
    std::size_t lines = 0;
    for (std::size_t at = 0; (at = text.find("I do not like it", at)) != text.npos; ++at) ++lines;
    CHECK(lines == 20);
    CHECK(text.find("rondo: 80 more errors were not written\n") != text.npos);
    CHECK(text.find("reset") == text.npos);
}

}  // namespace
