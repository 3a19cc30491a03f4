// SPDX-License-Identifier: MIT
// Cancellation of TLS: before a wait, while it lasts, after its completion, and at seeded moments.
// A read loses no byte, a write is whole or the last one, a handshake leaves nothing behind.
#include <rondo/tls.hpp>

#include <array>
#include <random>
#include <string>

#include "support/tls_tools.hpp"

using namespace rondo_tests;

namespace {

task<> write_text(tls_stream* to, std::string text) { co_await to->write_all(text); }

/// Writes `all` in pieces of different sizes, with pauses, and ends the stream.
task<> send_slowly(tls_stream* to, const std::string* all, unsigned seed) {
    std::minstd_rand chance(seed);
    for (std::size_t at = 0; at < all->size();) {
        const std::size_t count = std::min<std::size_t>(1 + chance() % 3000, all->size() - at);
        co_await to->write_all(std::string_view(*all).substr(at, count));
        at += count;
        co_await sleep(std::chrono::microseconds(chance() % 200));
    }
    co_await to->shutdown_write();
}

/// One read of a random kind, given up after a random time. Appends what it returned. Returns:
/// false at the end of the stream.
task<bool> read_impatiently(tls_stream& from, std::string& got, std::minstd_rand& chance) {
    const auto limit = std::chrono::microseconds(chance() % 100);
    std::array<char, 700> room;
    switch (chance() % 3) {
        case 0: {
            const auto some = co_await move_on_after(limit, from.read_some(room));
            if (some && !*some) co_return false;
            if (some) got.append(some->data(), some->size());
            break;
        }
        case 1: {
            const auto exact = co_await move_on_after(limit, from.read_exactly(std::size_t(50)));
            if (exact) got += *exact;
            break;
        }
        default: {
            const auto seen = co_await move_on_after(limit, from.peek(10));
            static_cast<void>(seen);
        }
    }
    co_return true;
}

}  // namespace

RONDO_TEST("tls cancel: a read in its three forms", "[tls][cancel]", seeds(3)) {
    auto pair = co_await tls_over_tcp();
    std::array<char, 16> room;
    const auto read = [&] { return pair.client.read_some(room); };
    co_await check_cancelled_before(read);
    co_await check_cancelled_while_suspended(read);
    auto writing = create_task(write_text(&pair.server, "x"));
    co_await writing;
    co_await pair.client.peek();  // tickets and the byte
    const std::string one = co_await pair.client.read_exactly(std::size_t(1));
    CHECK(one == "x");
    // The transport has delivered bytes, and the task has not run since: they are returned. If they
    // are a part of a record, the read throws, and the next one has the whole.
    observed seen;
    auto reading = create_task(observe(read, &seen));
    auto sending = create_task(write_text(&pair.server, "whole"));
    cancel_on_completion canceller(reading);
    CHECK_THROWS_AS(co_await reading, future_cancelled);
    while (!canceller.over()) co_await yield_now();
    CHECK(canceller.hit());
    CHECK(seen.next_threw);
    co_await std::move(sending);
    if (seen.first == outcome_of_wait::cancelled) co_await pair.client.read_some(room);
    CHECK(std::string_view(room.data(), 5) == "whole");
}

RONDO_TEST("tls cancel: a write in its three forms", "[tls][cancel]", seeds(2)) {
    memory_stream_options narrow;
    narrow.capacity = 1000;
    auto pair = co_await tls_over_memory(trusting_context(), localhost_context(), narrow);
    const std::string much(5000, 'x');
    const auto write = [&] { return pair.client.write_all(much); };
    co_await check_cancelled_before(write);
    co_await pair.client.write_all("nothing was sent, so this is no error");
    std::string got = co_await pair.server.read_exactly(std::size_t(37));
    CHECK(got == "nothing was sent, so this is no error");
    co_await check_cancelled_while_suspended(write);
    CHECK_THROWS_AS(co_await pair.client.write_all("more"), invalid_state_error);
    CHECK_THROWS_AS(co_await pair.client.shutdown_write(), invalid_state_error);
    co_await pair.server.write_all("reading goes on");
    got = co_await pair.client.read_exactly(std::size_t(15));
    CHECK(got == "reading goes on");
    co_await pair.client.close();  // no close_notify after a part of a write
    CHECK_THROWS_AS(co_await pair.server.read_all(), tls_truncated_error);

    // In the kernel's hands: it went or it did not, and the stream knows.
    auto other = co_await tls_over_tcp();
    const auto small = [&] { return other.client.write_all("small"); };
    const outcome_of_wait outcome = co_await cancelled_in_flight(small);
    if (outcome == outcome_of_wait::value) {
        got = co_await other.server.read_exactly(std::size_t(5));
        CHECK(got == "small");
    } else {
        CHECK_THROWS_AS(co_await other.client.write_all("more"), invalid_state_error);
    }
}

RONDO_TEST("tls cancel: impatient reads lose no byte", "[tls][cancel]", seeds(4).limit(30s)) {
    auto pair = co_await tls_over_tcp();
    std::minstd_rand chance(17);
    const std::string all = pattern(static_cast<std::size_t>(many(1'600'000, 60'000)));
    auto sending = create_task(send_slowly(&pair.client, &all, static_cast<unsigned>(chance())));
    std::string got;
    int reads = 0;
    try {
        for (bool more = true; more; ++reads)
            more = co_await read_impatiently(pair.server, got, chance);
    } catch (const incomplete_read_error& end) {
        got += end.bytes();
    }
    CHECK(got == all);
    CHECK(reads > many(2000, 100));
    co_await sending;
}

RONDO_TEST("tls cancel: a write that is given up is a prefix", "[tls][cancel]", seeds(8)) {
    std::minstd_rand chance(5);
    for (int round = 0; round < 12; ++round) {
        auto pair = co_await tls_over_tcp();
        const std::string all = pattern(300'000);
        const auto take = [](tls_stream* from, const std::string* sent) -> task<> {
            std::string got;
            std::array<char, 5000> room;
            try {
                while (const chunk some = co_await from->read_some(room))
                    got.append(some.data(), some.size());
                CHECK(got == *sent);  // a clean end is the whole
            } catch (const std::exception&) {
                CHECK(sent->compare(0, got.size(), got) == 0);
            }
        };
        auto taking = create_task(take(&pair.server, &all));
        const auto limit = std::chrono::microseconds(chance() % 3000);
        const bool whole = co_await move_on_after(limit, pair.client.write_all(all));
        if (whole)
            co_await pair.client.shutdown_write();
        else
            co_await pair.client.close();
        co_await taking;
    }
}

RONDO_TEST("tls cancel: a handshake that is given up leaves nothing, at any moment",
           "[tls][cancel]", seeds(3)) {
    const auto connect = [](memory_stream end) -> task<> {
        auto starting = start_tls(std::move(end), trusting_context(), "localhost");
        tls_stream made = co_await std::move(starting);
        co_await made.write_all("x");
    };
    const auto accept = [](memory_stream end, bool* ok) -> task<> {
        try {
            auto starting = start_tls(std::move(end), localhost_context());
            tls_stream made = co_await std::move(starting);
            co_await made.read_exactly(std::size_t(1));
            *ok = true;
        } catch (const std::exception&) {
        }
    };
    memory_stream_options narrow;
    narrow.capacity = narrow.chunk_max = 100;
    int failed = 0, done = 0;
    for (int turns = 0; turns < 100; ++turns) {
        auto ends = memory_stream::pair(narrow);
        bool ok = false;
        auto accepting = create_task(accept(std::move(ends.second), &ok));
        auto connecting = create_task(connect(std::move(ends.first)));
        for (int i = 0; i < turns && !connecting.done(); ++i) co_await yield_now();
        connecting.cancel();
        try {
            co_await connecting;
        } catch (const future_cancelled&) {
        }
        co_await accepting;
        ++(ok ? done : failed);
        if (ok) break;
    }
    CHECK(failed > 10);
    CHECK(done == 1);
    // A stream whose handshake was cancelled says so.
    auto ends = memory_stream::pair();
    tls_stream accepted(rondo::detail::make_tls_server(
        rondo::detail::make_transport(std::move(ends.second)), localhost_context(), {}));
    const auto shake = [&] { return accepted.handshake(); };
    co_await check_cancelled_before(shake);
    co_await check_cancelled_while_suspended(shake);
    CHECK_THROWS_WITH(co_await accepted.read_line(), "handshake: it was cancelled");
    std::array<char, 1> room;
    const chunk end = co_await ends.first.read_some(room);
    CHECK_FALSE(end);
}

RONDO_TEST("tls cancel: a limit of a handshake, and of a connection", "[tls][cancel]") {
    auto ends = memory_stream::pair();
    tls_options quick;
    quick.handshake = 3s;
    auto starting = start_tls(std::move(ends.first), trusting_context(), "localhost", quick);
    CHECK_THROWS_WITH(co_await std::move(starting), "handshake localhost: timed out after 3s");
    auto silent = tcp_listener::bind({"127.0.0.1", 0});
    const std::uint16_t port = silent.local().port();
    connect_tls_options options;
    options.timeout = 2s;
    auto connecting = connect_tls("localhost", port, trusting_context(), options);
    CHECK_THROWS_WITH(co_await std::move(connecting),
                      "connect localhost:" + std::to_string(port) + ": timed out after 2s");
}

RONDO_TEST("tls cancel: closing ends what waits, in every order", "[tls][cancel][both]") {
    // A reader that waits while the stream is closed in order.
    auto pair = co_await tls_over_tcp();
    const auto read = [](tls_stream* from) -> task<int> {
        std::array<char, 16> room;
        try {
            const chunk some = co_await from->read_some(room);
            co_return some ? 1 : 0;
        } catch (const std::system_error& error) {
            co_return error.code().value();
        }
    };
    auto reading = create_task(read(&pair.client));
    co_await finish(5);
    auto peer_reading = create_task(read(&pair.server));
    co_await finish(5);
    auto closing = create_task([](tls_stream* which) -> task<> {
        auto done = which->close();
        co_await std::move(done);
    }(&pair.client));
    const int ended = co_await std::move(reading);
    CHECK(ended == ECANCELED);
    const int end = co_await std::move(peer_reading);
    CHECK(end == 0);
    co_await pair.server.close();
    co_await closing;
    // A writer whose bytes the peer does not take: its close takes no longer than a second.
    auto full = co_await tls_over_tcp();
    const std::string much(8'000'000, 'x');
    const auto write = [](tls_stream* to, const std::string* all) -> task<std::string> {
        try {
            co_await to->write_all(*all);
        } catch (const std::system_error& error) {
            co_return error.what();
        }
        co_return "";
    };
    auto writing = create_task(write(&full.server, &much));
    co_await sleep(20ms);
    CHECK_FALSE(writing.done());
    const time_point before = running_loop().time();
    co_await full.server.close();
    CHECK(running_loop().time() - before < 1s);  // nothing to say after a part of a write
    const std::string said = co_await std::move(writing);
    CHECK(said.find(": Operation canceled (after ") != said.npos);
    CHECK(said.find(" of 8000000 bytes)") != said.npos);
    // A close that is cancelled closes at once.
    auto other = co_await tls_over_tcp();
    auto slow = create_task([](tls_stream* which) -> task<> {
        auto done = which->close();
        co_await std::move(done);
    }(&other.server));
    co_await sleep(20ms);
    slow.cancel();
    CHECK_THROWS_AS(co_await slow, future_cancelled);
    const std::string rest = co_await other.client.read_all();  // its close_notify had gone
    CHECK(rest.empty());
}
