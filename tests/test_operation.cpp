// SPDX-License-Identifier: MIT
// Operations and descriptors: a result that came is delivered, a cancel hits nobody else, a number
// is closed by its last completion. Laws 1, 2 and 4.
#include <fcntl.h>
#include <sys/socket.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "child.hpp"
#include "core_tools.hpp"

using namespace rondo_tests;

namespace {

RONDO_TEST("operation: bytes go from one end to the other", "[operation][both]") {
    connection pair = co_await connected();
    char text[8] = {};
    for (int sent = 0; sent < 5;)
        sent += co_await transmit(pair.here, &"hello"[sent], 5U - static_cast<unsigned>(sent));
    for (int have = 0; have < 5;)
        have +=
            co_await receive(pair.there, text + have, sizeof text - static_cast<std::size_t>(have));
    CHECK(std::string(text) == "hello");
    CHECK(running_loop().stats().operations == 0);
}

RONDO_TEST("operation: a failure names the operation and its object", "[operation][both]") {
    sockaddr_in nobody{};
    {
        listening gone;
        nobody = gone.name;
        co_await gone.socket.close();
    }
    descriptor socket = tcp_socket("to nobody");
    CHECK_THROWS_WITH(co_await connect_to(socket, nobody),
                      Catch::Contains("connect to nobody: Connection refused"));
    socket.rename("renamed");
    char byte = 0;
    const descriptor idle = tcp_socket("idle");
    const auto failed = co_await as_result(receive(idle, &byte, 1));
    CHECK_FALSE(failed.has_value());
    CHECK(failed.error() == std::errc::not_connected);
    const auto worked = co_await as_result(nop());
    CHECK(worked.value() == 0);
}

RONDO_TEST("operation: on a closed descriptor it fails and touches no other one",
           "[operation][both]") {
    connection pair = co_await connected();
    const descriptor fills_the_gap = tcp_socket("in the listener's place");
    const int number = pair.here.number();
    CHECK(number >= 0);
    co_await pair.here.close();
    CHECK(pair.here.number() == -1);
    CHECK_FALSE(pair.here.is_open());
    descriptor next = tcp_socket("next");
    CHECK(next.number() == number);  // the lowest free one: the number is re-used at once
    char byte = 0;
    CHECK_THROWS_WITH(co_await receive(pair.here, &byte, 1),
                      Catch::Contains("recv here: Bad file descriptor"));
    co_await pair.here.close();  // as often as one likes
    CHECK(next.is_open());
}

RONDO_TEST("operation: more than the queue holds wait for a slot, in order", "[operation][both]") {
    int ended = 0;
    const auto body = [](int* count) -> task<> {
        co_await nop();
        ++*count;
    };
    const int count = many(5000, 1000);
    std::vector<future<>> all;
    for (int i = 0; i < count; ++i) all.push_back(create_task(body(&ended)));
    co_await yield_now();
    for (std::size_t i = 0; i < all.size(); i += 7) all[i].cancel();  // in flight or in the backlog
    while (running_loop().stats().tasks > 1) co_await yield_now();
    CHECK(ended > 0);
    CHECK(running_loop().stats().operations == 0);
}

// -- three moments --------------------------------------------------------------------------------

RONDO_TEST("operation: cancelled before and while", "[operation][cancel][both]") {
    connection pair = co_await connected();
    listening nobody_comes;
    char byte = 0;
    std::string large(8 << 20, 'x');
    const auto make_nop = [] { return nop(); };
    const auto make_recv = [&] { return receive(pair.there, &byte, 1); };
    const auto make_result = [&] { return as_result(receive(pair.there, &byte, 1)); };
    const auto make_accept = [&] { return accept_from(nobody_comes.socket); };
    const auto make_send = [&] { return transmit(pair.here, large.data(), large.size()); };
    co_await check_cancelled_before(make_nop);
    co_await check_cancelled_before(make_recv);
    co_await check_cancelled_before(make_result);
    co_await check_cancelled_before(make_accept);
    co_await check_cancelled_while_suspended(make_recv);
    co_await check_cancelled_while_suspended(make_result);
    co_await check_cancelled_while_suspended(make_accept);
    co_await check_cancelled_before(make_send);
    // Until it blocks: then it can be cancelled while suspended.
    for (bool blocked = false; !blocked;)
        blocked = !(co_await move_on_after(1ms, transmit(pair.here, large.data(), large.size())));
    co_await check_cancelled_while_suspended(make_send);
    CHECK(running_loop().stats().operations == 0);
}

RONDO_TEST(
    "operation: cancelled after its completion it gives its result, and the next wait throws",
    "[operation][cancel][both]") {
    // Two operations that end at about the same time: whoever is resumed first cancels the other,
    // where that one's completion has been reaped too. Rounds until it was so.
    struct side {
        future<> other;
        outcome_of_wait came = outcome_of_wait::none;
        bool cancelled_other = false;
        bool next_threw = false;
    };
    const auto body = [](side* mine, side* theirs) -> task<> {
        try {
            const int result = co_await nop();
            mine->came = result == 0 ? outcome_of_wait::value : outcome_of_wait::failed;
        } catch (const cancelled&) {
            mine->came = outcome_of_wait::cancelled;
        }
        if (!theirs->cancelled_other && mine->other.state() == task_state::ready) {
            mine->cancelled_other = true;
            mine->other.cancel();
        }
        try {
            co_await yield_now();
        } catch (const cancelled&) {
            mine->next_threw = true;
            throw;
        }
    };
    int late = 0;
    for (int round = 0; late < 5 && round < 2000; ++round) {
        side a, b;
        b.other = create_task(body(&a, &b));
        a.other = create_task(body(&b, &a));
        for (const future<>& f : {a.other, b.other}) {
            try {
                co_await f;
            } catch (const future_cancelled&) {
            }
        }
        REQUIRE(a.came == outcome_of_wait::value);
        REQUIRE(b.came == outcome_of_wait::value);
        REQUIRE(a.next_threw == b.cancelled_other);
        REQUIRE(b.next_threw == a.cancelled_other);
        late += a.cancelled_other || b.cancelled_other ? 1 : 0;
    }
    CHECK(late == 5);
}

RONDO_TEST("operation: a connection that was accepted for a cancelled task is closed or delivered",
           "[operation][cancel][both]") {
    listening at;
    int delivered = 0, cancelled_ones = 0;
    for (int round = 0; round < 300; ++round) {
        descriptor client = tcp_socket("client");
        std::optional<descriptor> got;
        const auto body = [](listening* l, std::optional<descriptor>* out) -> task<> {
            *out = co_await accept_from(l->socket);
        };
        auto accepting = create_task(body(&at, &got));
        co_await yield_now();
        const auto connecting = [](descriptor* d, const sockaddr_in* name) -> task<> {
            co_await connect_to(*d, *name);
        };
        auto connect = create_task(connecting(&client, &at.name));
        co_await settle(round % 7);
        accepting.cancel();
        try {
            co_await accepting;
        } catch (const future_cancelled&) {
        }
        co_await connect;
        if (got) {
            ++delivered;
        } else {
            ++cancelled_ones;
            descriptor still_there = co_await accept_from(at.socket);  // nobody was lost
            CHECK(still_there.is_open());
        }
    }
    CHECK(delivered + cancelled_ones == 300);
}

// -- law 4 ----------------------------------------------------------------------------------------

struct tally {
    int completed = 0;
    int cancelled = 0;
    long sent = 0;
    long received = 0;
};

task<> receive_one(const descriptor* from, tally* count) {
    char byte = 0;
    try {
        const int got = co_await receive(*from, &byte, 1);
        CHECK(got == 1);
        ++count->received;
        ++count->completed;
    } catch (const cancelled&) {
        ++count->cancelled;
        throw;
    }
}
task<> send_one(const descriptor* to, tally* count) {
    co_await transmit(*to, "x", 1);
    ++count->sent;
}

RONDO_TEST("operation: ten thousand cancels race completions and hit nobody else",
           "[operation][cancel][both]", seeds(1).limit(60s)) {
    // The next round's frame and operation stand at the address of the last one's. Each byte sent
    // is received by exactly one operation; none fails with a cancellation it was not asked for.
    connection pair = co_await connected();
    tally count;
    const int rounds = many(10'000, 3'000);
    for (int round = 0; round < rounds; ++round) {
        auto reader = create_task(receive_one(&pair.there, &count));
        co_await yield_now();
        auto writer = create_task(send_one(&pair.here, &count));
        if (testing::simulated())
            co_await sleep(duration((round % 100) * 25'000));  // latencies are 20 us to 2 ms
        else
            co_await settle(round % 4 == 0 ? 0 : 1 + round % 3 * 40);
        reader.cancel();
        try {
            co_await reader;
        } catch (const future_cancelled&) {
        }
        co_await writer;
        if (count.received == count.sent) continue;
        co_await receive_one(&pair.there, &count);  // what the cancelled one left
        REQUIRE(count.received == count.sent);
    }
    INFO("completed " << count.completed << ", cancelled " << count.cancelled);
    CHECK(count.sent == rounds);
    CHECK(count.cancelled >= 100);
    CHECK(count.completed - count.cancelled >= 100);  // without the clean-up reads
}

RONDO_TEST("operation: closing with operations in flight ends those and no later ones",
           "[operation][both]", seeds(2).limit(60s)) {
    // Number and frame are re-used at once; a byte of a later connection must never come to an
    // operation of an earlier one.
    const int rounds = many(1000, 300);
    listening at;
    for (int round = 0; round < rounds; ++round) {
        descriptor here = tcp_socket("here");
        co_await connect_to(here, at.name);
        descriptor there = co_await accept_from(at.socket);
        char secret = 0;
        int error = 0;
        const auto body = [](const descriptor* from, char* byte, int* code) -> task<> {
            try {
                co_await receive(*from, byte, 1);
            } catch (const std::system_error& e) {
                *code = e.code().value();
            }
        };
        auto reader = create_task(body(&there, &secret, &error));
        if (round % 2 == 0) co_await settle(round % 5);
        auto closing = there.close();
        if (round % 3 == 0) co_await std::move(closing);
        descriptor other = tcp_socket("other");  // may have the number, once that is free
        co_await connect_to(other, at.name);
        descriptor peer = co_await accept_from(at.socket);
        co_await transmit(other, "S", 1);
        co_await transmit(peer, "S", 1);
        co_await reader;
        REQUIRE(secret == 0);
        REQUIRE((error == ECANCELED || error == EBADF));
        char byte = 0;
        REQUIRE(co_await receive(peer, &byte, 1) == 1);
        REQUIRE(byte == 'S');
    }
}

RONDO_TEST("operation: the error of one on a destroyed descriptor still knows its name",
           "[operation][both]") {
    connection pair = co_await connected();
    auto doomed = std::make_unique<descriptor>(std::move(pair.there));
    std::vector<std::string> errors;
    const auto body = [](const descriptor* from, std::vector<std::string>* texts) -> task<> {
        char byte = 0;
        auto operation = receive(*from, &byte, 1);
        try {
            co_await std::move(operation);
        } catch (const std::exception& e) {
            texts->push_back(e.what());
        }
    };
    auto a = create_task(body(doomed.get(), &errors)), b = create_task(body(doomed.get(), &errors));
    co_await settle();
    doomed.reset();  // the record lives on until both have told what became of them
    co_await a;
    co_await b;
    REQUIRE(errors.size() == 2);
    for (const std::string& text : errors) CHECK(text == "recv there: Operation canceled");
}

RONDO_TEST("closing: cancelled before, while and after", "[operation][cancel][both]") {
    connection pair = co_await connected();
    char byte = 0;
    const auto reading = [](const descriptor* from, char* out) -> task<> {
        try {
            co_await receive(*from, out, 1);
        } catch (const std::system_error&) {
        }
    };
    auto first = create_task(reading(&pair.there, &byte));
    co_await yield_now();
    co_await yield_now();
    const auto make_there = [&] { return pair.there.close(); };
    co_await check_cancelled_before(make_there);
    CHECK_FALSE(pair.there.is_open());  // closed all the same
    co_await first;
    // While: it waits for the operation's completion. After: that has come.
    for (int round = 1; round < 20; ++round) {
        connection next = co_await connected();
        auto reader = create_task(reading(&next.there, &byte));
        co_await settle();
        const auto body = [](descriptor* d) -> task<> { co_await d->close(); };
        auto closer = create_task(body(&next.there));
        co_await settle(round);
        closer.cancel();
        try {
            co_await closer;
        } catch (const future_cancelled&) {
        }
        co_await reader;
        CHECK_FALSE(next.there.is_open());
    }
}

// -- the real system ------------------------------------------------------------------------------

RONDO_TEST("operation: pipes and socket pairs, also with O_NONBLOCK", "[operation][kernel]") {
    for (const int flags : {0, O_NONBLOCK}) {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC | flags) == 0);
        descriptor out = descriptor::adopt(ends[0], "pipe's end");
        const descriptor in = descriptor::adopt(ends[1], "pipe's beginning");
        char byte = 0;
        const auto make = [&] { return read_from(out, &byte, 1); };
        co_await check_cancelled_before(make);
        co_await check_cancelled_while_suspended(make);
        co_await check_cancelled_while_suspended(make);
        const auto read_later = [](const descriptor* d, char* b) -> task<int> {
            co_return co_await read_from(*d, b, 1);
        };
        auto reader = create_task(read_later(&out, &byte));
        co_await settle();
        REQUIRE(::write(ends[1], "p", 1) == 1);
        CHECK(co_await reader == 1);
        CHECK(byte == 'p');

        int pair[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (flags != 0 ? SOCK_NONBLOCK : 0),
                             0, pair) == 0);
        const descriptor a = descriptor::adopt(pair[0], "a"), b = descriptor::adopt(pair[1], "b");
        const auto make_receive = [&] { return receive(a, &byte, 1); };
        co_await check_cancelled_while_suspended(make_receive);
        auto receiver = create_task(read_later(&a, &byte));
        co_await settle();
        CHECK(co_await transmit(b, "q", 1) == 1);
        CHECK(co_await receiver == 1);
        CHECK(byte == 'q');
    }
}

RONDO_TEST("operation: a cancel that meets readiness of a nonblocking descriptor invents no result",
           "[operation][kernel]", limit(20s)) {
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    const descriptor a = descriptor::adopt(pair[0], "a"), b = descriptor::adopt(pair[1], "b");
    tally count;
    for (int round = 0; round < 2000; ++round) {
        auto reader = create_task(receive_one(&a, &count));
        co_await settle(2);
        auto writer = create_task(send_one(&b, &count));
        co_await settle(round % 3);
        reader.cancel();
        try {
            co_await reader;
        } catch (const future_cancelled&) {
        }
        co_await writer;
        if (count.received != count.sent) co_await receive_one(&a, &count);
        REQUIRE(count.received == count.sent);
    }
}

TEST_CASE("operation: a loop is destroyed with a thousand reads in flight", "[operation]") {
    const testing::leak_probe probe;
    {
        loop on;
        std::vector<std::unique_ptr<descriptor>> ends;
        std::vector<int> others;
        const auto body = [](const descriptor* from) -> task<> {
            std::string buffer(4096, '\0');  // its own local: borrowed by the kernel
            co_await receive(*from, buffer.data(), buffer.size());
        };
        for (int i = 0; i < 400; ++i) {
            int pair[2];
            REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
            ends.push_back(std::make_unique<descriptor>(descriptor::adopt(pair[0], "end")));
            others.push_back(pair[1]);
            on.create_task(body(ends.back().get()));
        }
        on.run_once();
        on.run_once();
        CHECK(on.stats().operations == 400);
        for (std::size_t i = 0; i < others.size(); i += 2)
            CHECK(::write(others[i], "late", 4) == 4);  // these complete, the others are cancelled
        on.close();
        CHECK(on.stats().operations == 0);
        CHECK(on.stats().tasks == 0);
        for (const int number : others) ::close(number);
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("operation: a buffer freed while the kernel has it ends a sanitized program",
          "[operation]") {
    if (!with_asan()) return;
    const child_end end = run_child([] {
        loop on;
        int pair[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return 1;
        const auto body = [](int number, char* buffer) -> task<> {
            const descriptor from = descriptor::adopt(number, "end");
            co_await receive(from, buffer, 64);
        };
        char* buffer = static_cast<char*>(std::malloc(64));
        on.create_task(body(pair[0], buffer));
        on.run_once();
        std::free(buffer);
        if (::write(pair[1], "boom", 4) != 4) return 2;
        on.run();
        return 0;
    });
    INFO(end.text);
    CHECK(end.aborted());
    CHECK(end.says("an operation's buffer was freed before its completion came"));
}

}  // namespace
