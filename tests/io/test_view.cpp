// SPDX-License-Identifier: MIT
// Reading by views: every byte arrives once and in order, even if views are held back, buffers run
// out, other reads are mixed in, or reads are cancelled or closed. Every buffer is given back.
#include <rondo/view.hpp>

#include <array>
#include <cstdio>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <rondo/gather.hpp>
#include <rondo/run.hpp>
#include <rondo/sleep.hpp>

#include "support/child.hpp"
#include "support/core_tools.hpp"
#include "support/net_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using rondo_tests::connect_pair;
using rondo_tests::pattern;

/// Reads up to the end.
task<std::string> read_views(tcp_stream* from) {
    std::string all;
    while (auto view = co_await from->read_view()) all += view.text();
    co_return all;
}

task<> send_and_end(tcp_stream* to, std::string all, std::size_t step) {
    for (std::size_t at = 0; at < all.size(); at += step)
        co_await to->write_all(std::string_view(all).substr(at, step));
    co_await to->shutdown_write();
}

task<> send_text(tcp_stream* to, std::string_view text) { co_await to->write_all(text); }

task<> echo_views(tcp_stream* peer) {
    while (auto view = co_await peer->read_view()) co_await peer->write_all(view);
    co_await peer->shutdown_write();
}

}  // namespace

RONDO_TEST("view: bytes arrive as written, in pieces of any size", "[view][both]", seeds(10)) {
    for (const std::size_t step : {std::size_t(1), std::size_t(4096), std::size_t(70000)}) {
        auto c = co_await connect_pair();
        const std::string all = pattern(step == 1 ? 300 : 400'000);
        auto done = gather(send_and_end(&c.client, all, step), echo_views(&c.server),
                           read_views(&c.client));
        const auto results = co_await std::move(done);
        REQUIRE(std::get<2>(results) == all);
    }
}

RONDO_TEST("view: a read after the end gives the end again", "[view][both]") {
    auto c = co_await connect_pair();
    co_await c.client.write_all("last words");
    c.client.close();
    std::string all = co_await read_views(&c.server);
    REQUIRE(all == "last words");
    for (int i = 0; i < 3; ++i) {
        const auto view = co_await c.server.read_view();
        REQUIRE_FALSE(view);
        std::array<char, 8> room;
        const auto chunk = co_await c.server.read_some(room);
        REQUIRE_FALSE(chunk);
    }
}

RONDO_TEST("view: mixed with all other reads no byte is lost", "[view][both]",
           seeds(20)) {
    auto c = co_await connect_pair();
    co_await c.client.write_all("a line\nAAAABBBB");
    const auto line = co_await c.server.read_line();
    REQUIRE(line.value() == "a line");
    std::string got;
    while (got.size() < 8) {
        const auto view = co_await c.server.read_view();
        got += view.text();
    }
    REQUIRE(got == "AAAABBBB");
    // The receive is in flight in the background now; the rest comes through it.
    co_await c.client.write_all("CCCCDDDDsecond line\nEEEEFF");
    co_await c.client.shutdown_write();
    std::array<char, 4> four;
    co_await c.server.read_exactly(four);
    REQUIRE(std::string(four.data(), 4) == "CCCC");
    got.clear();
    while (got.size() < 4) {
        std::array<char, 1> one;
        const auto chunk = co_await c.server.read_some(one);
        got += chunk.text();
    }
    REQUIRE(got == "DDDD");
    const auto second = co_await c.server.read_line();
    REQUIRE(second.value() == "second line");
    got = co_await read_views(&c.server);
    REQUIRE(got == "EEEEFF");
}

RONDO_TEST("view: a task that holds all buffers does not stop others", "[view][both]", seeds(3)) {
    auto hoarder = co_await connect_pair();
    std::vector<receive_view> held;
    const std::size_t more_than_all = loop_options().receive_buffers + 44;
    while (held.size() < more_than_all) {
        co_await hoarder.client.write_all("x");
        auto view = co_await hoarder.server.read_view();
        REQUIRE(view.text() == "x");
        held.push_back(std::move(view));
    }
    auto other = co_await connect_pair();
    const std::string all = pattern(100'000);
    auto done = gather(send_and_end(&other.client, all, 5000), read_views(&other.server));
    const auto results = co_await std::move(done);
    REQUIRE(std::get<1>(results) == all);
    held.clear();
    co_await hoarder.client.write_all("again");
    std::string got;
    while (got.size() < 5) {
        const auto view = co_await hoarder.server.read_view();
        got += view.text();
    }
    REQUIRE(got == "again");
}

RONDO_TEST("view: a stream that is not read takes a bounded number of buffers", "[view][both]",
           seeds(3).limit(60s)) {
    auto c = co_await connect_pair();
    auto other = co_await connect_pair();
    const std::string all = pattern(testing::simulated() ? 3'000'000 : 48'000'000);
    auto first = co_await [](tcp_stream* from, tcp_stream* to) -> task<receive_view> {
        co_await to->write_all("!");
        co_return co_await from->read_view();  // from here on it receives in the background
    }(&c.server, &c.client);
    REQUIRE(first.text() == "!");
    auto sending = create_task(send_and_end(&c.client, all, 65536));
    auto done = gather(send_and_end(&other.client, all, 65536), read_views(&other.server));
    const auto results = co_await std::move(done);
    REQUIRE(std::get<1>(results) == all);
    REQUIRE_FALSE(sending.done());  // the writer waits: back-pressure
    const std::string got = co_await read_views(&c.server);
    REQUIRE(got == all);
    co_await sending;
}

RONDO_TEST("view: reads cancelled in all three forms lose nothing", "[view][both]", seeds(10)) {
    auto c = co_await connect_pair();
    const auto read = [&] { return c.server.read_view(); };
    co_await rondo_tests::check_cancelled_before(read);
    co_await rondo_tests::check_cancelled_while_suspended(read);
    const auto send = [&] { create_task(send_text(&c.client, "x")); };
    co_await rondo_tests::check_cancelled_after_arrival(read, send);
    co_await c.client.write_all("yz");
    std::string got;
    while (got.size() < 2) {
        const auto view = co_await c.server.read_view();
        got += view.text();
    }
    REQUIRE(got == "yz");  // the x was delivered before
    // A plain read that waits for the views' receive.
    std::array<char, 8> room{};
    const auto some = [&] { return c.server.read_some(room); };
    co_await rondo_tests::check_cancelled_before(some);
    co_await rondo_tests::check_cancelled_while_suspended(some);
    co_await rondo_tests::check_cancelled_after_arrival(some, send);
    REQUIRE(room[0] == 'x');
}

RONDO_TEST("view: a second reader of either kind is refused", "[view][both]") {
    auto c = co_await connect_pair();
    auto reading = create_task(read_views(&c.server));
    co_await rondo_tests::finish();
    std::array<char, 8> room;
    CHECK_THROWS_AS(co_await c.server.read_view(), invalid_state_error);
    CHECK_THROWS_AS(co_await c.server.read_some(room), invalid_state_error);
    CHECK_THROWS_AS(co_await c.server.read_line(), invalid_state_error);
    c.client.close();
    co_await reading;
}

RONDO_TEST("view: closing ends the wait, and an idle stream may be destroyed", "[view][both]") {
    auto c = co_await connect_pair();
    auto reading = create_task(read_views(&c.server));
    co_await rondo_tests::finish();
    c.server.close();
    try {
        co_await reading;
        FAIL("it was closed");
    } catch (const std::system_error& error) {
        CHECK(error.code().value() == ECANCELED);
    }
    auto idle = co_await connect_pair();
    co_await idle.client.write_all("one");
    { const auto view = co_await idle.server.read_view(); }
    co_await idle.client.write_all("two");  // is never read
}

RONDO_TEST("view: a reset by the peer is an error, after the bytes before it", "[view][kernel]") {
    auto c = co_await connect_pair();
    co_await c.client.write_all("one");
    { const auto view = co_await c.server.read_view(); }
    co_await c.server.write_all("unread");
    c.client.close();  // resets, because there are unread bytes
    try {
        for (;;) {
            const auto view = co_await c.server.read_view();
            if (!view) FAIL("the end, and not the reset");
        }
    } catch (const std::system_error& error) {
        CHECK(error.code().value() == ECONNRESET);
    }
}

TEST_CASE("view: the address sanitizer reports the use of a view given back", "[view]") {
    if (!rondo_tests::with_asan()) return;
    const auto looks_too_late = []() -> task<> {
        auto c = co_await connect_pair();
        co_await c.client.write_all("gone");
        const char* where = nullptr;
        {
            const auto view = co_await c.server.read_view();
            where = view.data();
        }
        std::printf("%c\n", *where);
    };
    const auto child = rondo_tests::run_child([&] {
        rondo::run(looks_too_late());
        return 0;
    });
    CHECK(child.says("use-after-poison"));
}

TEST_CASE("view: it may outlive its loop", "[view]") {
    testing::leak_probe probe;
    std::optional<receive_view> kept;
    rondo::run([](std::optional<receive_view>* out) -> task<> {
        auto c = co_await connect_pair();
        co_await c.client.write_all("kept");
        out->emplace(co_await c.server.read_view());
    }, &kept);
    CHECK(kept->text() == "kept");
    kept.reset();
    CHECK(probe.leaks().empty());
}

TEST_CASE("view: a loop moves to another thread with its views", "[view]") {
    loop home;
    std::optional<rondo_tests::connection> c;
    std::optional<receive_view> kept;
    const auto begin = [&]() -> task<> {
        c.emplace(co_await connect_pair());
        co_await c->client.write_all("one");
        kept.emplace(co_await c->server.read_view());
        c->server.close();
        c->client.close();
    };
    const auto more = [&]() -> task<> {
        auto again = co_await connect_pair();
        std::string got;
        for (int i = 0; i < 1000; ++i) {
            co_await again.client.write_all("x");
            const auto view = co_await again.server.read_view();
            got += view.text();
        }
        CHECK(got == std::string(1000, 'x'));
    };
    home.run_until_complete(begin());
    while (home.stats().operations != 0) home.run_once(1s);
    std::thread([&] {
        home.run_until_complete(more());
        CHECK(kept->text() == "one");
        kept.reset();
        home.close();
    }).join();
}

RONDO_TEST("view: after a reset each read throws, and never gives the end", "[view][both]") {
    auto c = co_await connect_pair();
    c.client.abort();
    for (int i = 0; i < 3; ++i) {
        const auto read = [&]() -> task<> { co_await c.server.read_view(); };
        const std::string text = co_await rondo_tests::text_of_failure<std::system_error>(read());
        CHECK(text.find("Connection reset by peer") != text.npos);
    }
    std::array<char, 8> room;
    CHECK_THROWS_AS(co_await c.server.read_some(room), std::system_error);
}

TEST_CASE("view: views read in one loop are continued in the next one", "[view]") {
    std::optional<rondo_tests::connection> c;
    const auto exchange = [&](const char* text) -> task<> {
        if (!c) c.emplace(co_await connect_pair());
        co_await c->client.write_all(text);
        const auto view = co_await c->server.read_view();
        CHECK(view.text() == text);
    };
    rondo::run(exchange("one"));
    rondo::run(exchange("two"));
}

RONDO_TEST("view: a read of a closed stream throws closed_error", "[view][both]") {
    auto c = co_await connect_pair();
    c.server.close();
    CHECK_THROWS_AS(co_await c.server.read_view(), closed_error);
}
