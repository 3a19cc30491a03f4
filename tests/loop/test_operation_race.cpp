// SPDX-License-Identifier: MIT
// Cancel against completion, ten thousand times, with frames, addresses and descriptor numbers
// reused at once (law 4). Every round has one outcome, each outcome comes often, no other operation
// is hit, and no byte is lost.
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <string>

#include "support/core_tools.hpp"

using namespace rondo_tests;

namespace {

struct tally {
    int delivered = 0;
    int cancelled = 0;
    int again = 0;  // rounds whose buffer, frame and operation had the address of the last one's
    const void* last = nullptr;
    long sent = 0;
    long received = 0;
};

task<> receive_one(const descriptor* from, tally* count) {
    char byte = 0;
    count->again += &byte == count->last ? 1 : 0;
    count->last = &byte;
    try {
        const int got = co_await receive(*from, &byte, 1);
        REQUIRE(got == 1);
        REQUIRE(byte == 'x');
        ++count->received;
        ++count->delivered;
    } catch (const cancelled&) {
        ++count->cancelled;
        throw;
    }
}
task<> send_one(const descriptor* to, tally* count) {
    co_await transmit(*to, "x", 1);
    ++count->sent;
}
task<> connect_one(const descriptor* from, const sockaddr_in* name) {
    co_await connect_to(*from, *name);
}

/// Number of rounds. These are races with the kernel, so the thread sanitizer sees little in them.
int many_rounds() { return many(10'000, with_tsan() && !long_run() ? 300 : 1'000); }
/// The real ring matters most; the simulator takes three times as long for a round, since its
/// latencies must pass.
int rounds_here() { return testing::simulated() ? std::min(1'000, many_rounds()) : many_rounds(); }

task<> ended(const future<>& f) {
    try {
        co_await f;
    } catch (const future_cancelled&) {
    }
}

/// A short wait, another one each round: up to the latencies of the simulator, or a few turns.
task<> a_while(int round) {
    if (testing::simulated())
        co_await sleep(duration(round % 100 * 25'000));
    else
        co_await finish(round % 12 * 10);  // the loop polls the kernel every 61 resumptions
}

/// Cancels `waiting` at one of these moments, in turn: before `begin` makes its event, in the same
/// batch of entries, a while later, and after the event was seen.
enum class moment { before, together, later, after };
template <class Begin>
task<moment> cancel_in_turn(future<> waiting, int round, Begin begin) {
    const auto when = static_cast<moment>(round % 4);
    if (when == moment::before) {
        waiting.cancel();
        co_await ended(waiting);
        begin();
        co_return when;
    }
    begin();
    if (when == moment::after) {
        cancel_on_completion canceller(waiting);
        while (!canceller.over()) co_await yield_now();
        REQUIRE(canceller.hit());
    } else {
        co_await yield_now();
        if (when == moment::later) co_await a_while(round);
        waiting.cancel();
    }
    co_await ended(waiting);
    co_return when;
}

RONDO_TEST("operation: ten thousand cancels race completions and hit no other operation",
           "[operation][cancel][both]", seeds(1).limit(60s)) {
    // The next round's frame and operation have the address of the last one's. Each byte sent is
    // received by exactly one operation; none fails with a cancellation that was not requested.
    two_ends pair = co_await connected();
    tally count, rest;
    const int rounds = many_rounds();
    for (int round = 0; round < rounds; ++round) {
        auto reader = create_task(receive_one(&pair.there, &count));
        co_await yield_now();
        const int delivered = count.delivered;
        future<> writer;
        const auto begin = [&] { writer = create_task(send_one(&pair.here, &count)); };
        const moment when = co_await cancel_in_turn(reader, round, begin);
        co_await writer;
        const bool came = count.delivered != delivered;
        if (when == moment::before) REQUIRE_FALSE(came);
        if (when == moment::after) REQUIRE(came);
        if (!came) co_await receive_one(&pair.there, &rest);  // no other operation took it
        REQUIRE(count.delivered + count.cancelled == round + 1);
        REQUIRE(count.received + rest.received == count.sent);
    }
    INFO("delivered " << count.delivered << ", cancelled " << count.cancelled << ", again "
                      << count.again);
    CHECK(count.sent == rounds);
    CHECK(count.delivered + count.cancelled == rounds);
    CHECK(rest.received == count.cancelled);
    CHECK(count.delivered >= std::min(100, rounds / 10));
    CHECK(count.cancelled >= std::min(100, rounds / 10));
    if (!with_asan() && !with_tsan()) CHECK(count.again >= rounds / 10);
}

RONDO_TEST("operation: of ten thousand cancelled accepts each connection is taken or left",
           "[operation][cancel][both]", seeds(1).limit(60s)) {
    listening at;
    int delivered = 0, left = 0;
    const auto body = [](listening* l, std::optional<descriptor>* out) -> task<> {
        *out = co_await accept_from(l->socket);
    };
    const int rounds = rounds_here();
    for (int round = 0; round < rounds; ++round) {
        const descriptor client = tcp_socket("client");
        reset_at_close(client);
        std::optional<descriptor> got;
        auto accepting = create_task(body(&at, &got));
        co_await yield_now();
        future<> connecting;
        const auto begin = [&] { connecting = create_task(connect_one(&client, &at.name)); };
        const moment when = co_await cancel_in_turn(accepting, round, begin);
        co_await connecting;
        if (when == moment::before) REQUIRE_FALSE(got);
        if (when == moment::after) REQUIRE(got);
        (got ? delivered : left) += 1;
        if (!got) got = co_await accept_from(at.socket);
        char byte = 0;
        co_await transmit(client, "c", 1);
        REQUIRE(co_await receive(*got, &byte, 1) == 1);  // the byte is this round's
        reset_at_close(*got);
    }
    INFO("delivered " << delivered << ", left " << left);
    CHECK(delivered + left == rounds);
    CHECK(delivered >= std::min(100, rounds / 10));
    CHECK(left >= std::min(100, rounds / 10));
}

RONDO_TEST("operation: of ten thousand cancelled connects each is made or not made",
           "[operation][cancel][both]", seeds(1).limit(60s)) {
    // A cancelled connect may have reached the listener or not; one that succeeded has.
    listening at;
    int connected_ones = 0, given_up = 0;
    const auto body = [](const descriptor* from, const sockaddr_in* name, bool* done) -> task<> {
        co_await connect_to(*from, *name);
        *done = true;
    };
    const int rounds = rounds_here();
    for (int round = 0; round < rounds; ++round) {
        descriptor client = tcp_socket("client");
        reset_at_close(client);
        bool done = false;
        auto connecting = create_task(body(&client, &at.name, &done));
        if (round % 3 != 0) co_await yield_now();
        if (round % 3 == 1) {
            cancel_on_completion canceller(connecting);
            while (!canceller.over()) co_await yield_now();
            REQUIRE(canceller.hit());
        } else {
            connecting.cancel();
        }
        co_await ended(connecting);
        if (round % 3 == 0) REQUIRE_FALSE(done);  // it had not begun
        if (round % 3 == 1) REQUIRE(done);
        (done ? connected_ones : given_up) += 1;
        if (!done) {
            client = tcp_socket("again");
            reset_at_close(client);
            co_await connect_to(client, at.name);
        }
        co_await transmit(client, "c", 1);
        for (char byte = 0; byte != 'c';) {  // skips those that arrived and were cancelled
            const descriptor there = co_await accept_from(at.socket);
            reset_at_close(there);
            const auto got = co_await as_result(receive(there, &byte, 1));
            REQUIRE((byte == 'c' || !got.has_value() || got.value() == 0));
        }
    }
    INFO("connected " << connected_ones << ", given up " << given_up);
    CHECK(connected_ones + given_up == rounds);
    CHECK(connected_ones >= std::min(100, rounds / 10));
    CHECK(given_up >= std::min(100, rounds / 10));
}

RONDO_TEST("sleep: of ten thousand cancelled ones each has ended or was cancelled",
           "[sleep][cancel][both]", seeds(1).limit(60s)) {
    const auto body = [](time_point until, outcome_of_wait* came, bool* next_threw) -> task<> {
        try {
            co_await sleep_until(until);
            *came = outcome_of_wait::value;
        } catch (const cancelled&) {
            *came = outcome_of_wait::cancelled;
        }
        try {
            co_await yield_now();
        } catch (const cancelled&) {
            *next_threw = true;
            throw;
        }
    };
    int over = 0, cancelled_ones = 0;
    const int rounds = rounds_here();
    for (int round = 0; round < rounds; ++round) {
        outcome_of_wait came = outcome_of_wait::none;
        bool next_threw = false, asked = false, called = false;
        future<> sleeper;
        const auto ask = [&] {
            called = true;
            asked = !sleeper.done();
            sleeper.cancel();
        };
        // At once; before the deadline, at it and after it. Callbacks of one moment come in order.
        const int which = round % 4;
        const duration far = which == 0 ? duration(1h) : duration(10us);
        const time_point until = running_loop().time() + far;
        if (which != 0) running_loop().call_at(until + duration((which - 2) * 1000), ask);
        sleeper = create_task(body(until, &came, &next_threw));
        co_await yield_now();
        if (which == 0) ask();
        co_await ended(sleeper);
        while (!called) co_await yield_now();
        if (which == 0) REQUIRE(came == outcome_of_wait::cancelled);
        if (came == outcome_of_wait::cancelled) REQUIRE(next_threw);
        if (!asked) REQUIRE(came == outcome_of_wait::value);
        if (!asked) REQUIRE_FALSE(next_threw);
        (came == outcome_of_wait::value ? over : cancelled_ones) += 1;
    }
    INFO("over " << over << ", cancelled " << cancelled_ones);
    CHECK(over + cancelled_ones == rounds);
    CHECK(over >= std::min(100, rounds / 10));
    CHECK(cancelled_ones >= std::min(100, rounds / 10));
}

RONDO_TEST("operation: ten thousand times closed with a read in flight, and no later one is read",
           "[operation][both]", seeds(1).limit(60s)) {
    // Number and frame are reused at once. An operation of an earlier connection must never get a
    // byte of a later one.
    const int rounds = many_rounds();
    listening at;
    int refused = 0, ended_in_flight = 0, same_number = 0;
    const auto body = [](const descriptor* from, char* byte, int* code) -> task<> {
        try {
            co_await receive(*from, byte, 1);
        } catch (const std::system_error& e) {
            *code = e.code().value();
        }
    };
    for (int round = 0; round < rounds; ++round) {
        descriptor here = tcp_socket("here");
        co_await connect_to(here, at.name);
        descriptor there = co_await accept_from(at.socket);
        reset_at_close(here);
        char secret = 0;
        int error = 0;
        auto reader = create_task(body(&there, &secret, &error));
        if (round % 2 == 0) co_await finish(1 + round % 5);
        const int number = there.number();
        auto closing = there.close();
        if (round % 3 == 0) co_await std::move(closing);
        descriptor other = tcp_socket("other");  // may get the number, once it is free
        same_number += other.number() == number ? 1 : 0;
        co_await connect_to(other, at.name);
        descriptor peer = co_await accept_from(at.socket);
        same_number += peer.number() == number ? 1 : 0;
        co_await transmit(other, "S", 1);
        co_await transmit(peer, "S", 1);
        co_await reader;
        REQUIRE(secret == 0);
        // Begun before the close it is cancelled, begun after it it is refused.
        REQUIRE(error == (round % 2 == 0 ? ECANCELED : EBADF));
        (error == EBADF ? refused : ended_in_flight) += 1;
        char byte = 0;
        REQUIRE(co_await receive(peer, &byte, 1) == 1);
        REQUIRE(byte == 'S');
        REQUIRE(co_await receive(other, &byte, 1) == 1);
        reset_at_close(other);
        reset_at_close(peer);
    }
    INFO("number used again " << same_number);
    CHECK(refused == rounds / 2);
    CHECK(ended_in_flight == rounds / 2);
    CHECK(same_number >= rounds / 3);
}

RONDO_TEST(
    "operation: a cancel that races readiness of a nonblocking descriptor gives no wrong result",
    "[operation][kernel]", limit(20s)) {
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    const descriptor a = descriptor::adopt(pair[0], "a"), b = descriptor::adopt(pair[1], "b");
    tally count, rest;
    for (int round = 0; round < many_rounds(); ++round) {
        auto reader = create_task(receive_one(&a, &count));
        co_await finish(2);
        future<> writer;
        const auto begin = [&] { writer = create_task(send_one(&b, &count)); };
        co_await cancel_in_turn(reader, round, begin);
        co_await writer;
        if (count.received + rest.received != count.sent) co_await receive_one(&a, &rest);
        REQUIRE(count.received + rest.received == count.sent);
    }
    CHECK(count.delivered + count.cancelled == many_rounds());
    CHECK(count.delivered >= std::min(100, many_rounds() / 10));
    CHECK(count.cancelled >= std::min(100, many_rounds() / 10));
}

}  // namespace
