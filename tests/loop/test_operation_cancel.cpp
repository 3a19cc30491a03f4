// SPDX-License-Identifier: MIT
// Cancelled operations: before they begin, while the kernel has them, after their completion and
// before their task has run (law 2), and in the backlog, where operations wait for a free entry.
#include <cstdint>
#include <string>
#include <vector>

#include <rondo/detail/loop/descriptor.hpp>

#include "support/core_tools.hpp"

using namespace rondo_tests;

namespace {

task<> send_text(const descriptor* to, std::string_view text) {
    co_await transmit(*to, text.data(), text.size());
}
task<> connect_one(const descriptor* from, const sockaddr_in* name) {
    co_await connect_to(*from, *name);
}

RONDO_TEST("operation: cancelled before and while", "[operation][cancel][both]") {
    two_ends pair = co_await connected();
    listening nobody_comes;
    char byte = 0;
    std::string large(8 << 20, 'x');
    const auto make_nop = [] { return nop(); };
    const auto make_recv = [&] { return receive(pair.there, &byte, 1); };
    const auto make_result = [&] { return as_result(receive(pair.there, &byte, 1)); };
    const auto make_accept = [&] { return accept_from(nobody_comes.socket); };
    int ends[2];  // of a Unix socket: unlike TCP, it stays full
    REQUIRE(rondo::detail::new_socket_pair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    const descriptor full = descriptor::adopt(ends[0], "full");
    const descriptor unread = descriptor::adopt(ends[1], "unread");
    const auto make_send = [&] { return transmit(full, large.data(), large.size()); };
    co_await check_cancelled_before(make_nop);
    co_await check_cancelled_before(make_recv);
    co_await check_cancelled_before(make_result);
    co_await check_cancelled_before(make_accept);
    co_await check_cancelled_while_suspended(make_recv);
    co_await check_cancelled_while_suspended(make_result);
    co_await check_cancelled_while_suspended(make_accept);
    co_await check_cancelled_before(make_send);
    while (co_await move_on_after(1ms, make_send())) {  // until nothing fits any more
    }
    co_await check_cancelled_while_suspended(make_send);
    CHECK(running_loop().stats().operations == 0);
}

RONDO_TEST("operation: cancelled after its completion, it gives its result",
           "[operation][cancel][both]") {
    two_ends pair = co_await connected();
    listening at;
    char byte = 0;
    const auto send_a_byte = [&] { create_task(send_text(&pair.here, "x")); };
    for (int round = 0; round < 3; ++round) {
        const auto make_nop = [] { return nop(); };
        co_await check_cancelled_after_arrival(make_nop);
        const auto make_result = [] { return as_result(nop()); };
        co_await check_cancelled_after_arrival(make_result);

        byte = 0;
        const auto make_recv = [&] { return receive(pair.there, &byte, 1); };
        co_await check_cancelled_after_arrival(make_recv, send_a_byte);
        CHECK(byte == 'x');
        byte = 0;
        const auto make_read = [&] { return read_from(pair.there, &byte, 1); };
        co_await check_cancelled_after_arrival(make_read, send_a_byte);
        CHECK(byte == 'x');

        const auto make_send = [&] { return transmit(pair.here, "y", 1); };
        co_await check_cancelled_after_arrival(make_send);
        CHECK(co_await receive(pair.there, &byte, 1) == 1);  // it was sent, and once
        CHECK(byte == 'y');

        const descriptor client = tcp_socket("client");
        const auto make_accept = [&] { return accept_from(at.socket); };
        const auto begin_connect = [&] { create_task(connect_one(&client, &at.name)); };
        co_await check_cancelled_after_arrival(make_accept, begin_connect);
        CHECK(co_await receive(client, &byte, 1) == 0);  // the unclaimed descriptor was closed

        const descriptor second = tcp_socket("second");
        const auto make_connect = [&] { return connect_to(second, at.name); };
        co_await check_cancelled_after_arrival(make_connect);
        const descriptor there = co_await accept_from(at.socket);
        CHECK(co_await transmit(second, "z", 1) == 1);
        CHECK(co_await receive(there, &byte, 1) == 1);
        CHECK(byte == 'z');
    }
    CHECK(running_loop().stats().operations == 0);
}

RONDO_TEST("operation: an error that came before the cancellation is thrown",
           "[operation][cancel][both]") {
    const descriptor idle = tcp_socket("idle");
    char byte = 0;
    std::string text;
    const auto body = [](const descriptor* from, char* into, std::string* out) -> task<> {
        try {
            co_await receive(*from, into, 1);
        } catch (const std::system_error& e) {
            *out = e.what();
        }
        co_await yield_now();
    };
    auto failing = create_task(body(&idle, &byte, &text));
    co_await yield_now();
    cancel_on_completion canceller(failing);
    try {
        co_await failing;
    } catch (const future_cancelled&) {
    }
    CHECK(canceller.hit());
    CHECK(failing.cancelled());
    CHECK(text == "recv idle: Transport endpoint is not connected");
}

RONDO_TEST("closing: cancelled before, while and after", "[operation][cancel][both]") {
    two_ends pair = co_await connected();
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
    CHECK_FALSE(pair.there.is_open());  // it is closed in any case
    co_await first;
    // While: it waits for the operation's completion. After: the completion has come.
    for (int round = 1; round < 20; ++round) {
        two_ends next = co_await connected();
        auto reader = create_task(reading(&next.there, &byte));
        co_await finish();
        const auto body = [](descriptor* d) -> task<> { co_await d->close(); };
        auto closer = create_task(body(&next.there));
        co_await finish(round);
        closer.cancel();
        try {
            co_await closer;
        } catch (const future_cancelled&) {
        }
        co_await reader;
        CHECK_FALSE(next.there.is_open());
    }
}

RONDO_TEST("closing: cancelled after the number was closed", "[operation][cancel][both]") {
    for (int round = 0; round < 3; ++round) {
        two_ends pair = co_await connected();
        char byte = 0;
        int error = 0;
        const auto reads = [](const descriptor* from, char* out, int* code) -> task<> {
            try {
                co_await receive(*from, out, 1);
            } catch (const std::system_error& e) {
                *code = e.code().value();
            }
        };
        auto reader = create_task(reads(&pair.there, &byte, &error));
        co_await finish();
        const auto make_close = [&] { return pair.there.close(); };
        co_await check_cancelled_after_arrival(make_close);
        co_await reader;
        CHECK(error == ECANCELED);
        CHECK(co_await receive(pair.here, &byte, 1) == 0);
    }
}

// -- the backlog ---------------------------------------------------------------------------------
// A submission queue of four, which the simulator does not empty before the next poll. The real
// ring submits a full queue at once, so that no operation ever waits there.

constexpr unsigned slots = 4;

struct crowd {
    std::vector<future<>> tasks;
    std::vector<outcome_of_wait> came;

    template <class Make>
    explicit crowd(std::size_t count, Make make) : came(count) {
        const auto body = [](Make m, outcome_of_wait* out) -> task<> {
            try {
                static_cast<void>(co_await m());
                *out = outcome_of_wait::value;
            } catch (const cancelled&) {
                *out = outcome_of_wait::cancelled;
                throw;
            } catch (const std::system_error& e) {
                *out = outcome_of_wait::failed;
                CHECK(e.code().value() == ECANCELED);
            }
        };
        for (std::size_t i = 0; i < count; ++i) tasks.push_back(create_task(body(make, &came[i])));
    }
};

task<> wait_for_all(std::vector<future<>>* tasks) {
    for (const future<>& each : *tasks) {
        try {
            co_await each;
        } catch (const future_cancelled&) {
        }
    }
}

/// Five operations after a full queue. Those whose bit is set are cancelled, from the front or from
/// the back.
task<> cancel_in_backlog(unsigned chosen, bool from_the_back) {
    constexpr unsigned behind = 5;
    crowd all(slots + behind, [] { return nop(); });
    const std::uint64_t before = running_loop().stats().entries;
    co_await yield_now();
    CHECK(running_loop().stats().operations == slots + behind);
    unsigned asked = 0;
    for (unsigned i = 0; i < behind; ++i) {
        const unsigned at = from_the_back ? behind - 1 - i : i;
        if ((chosen >> at & 1u) == 0) continue;
        all.tasks[slots + at].cancel();
        ++asked;
    }
    CHECK(running_loop().stats().operations == slots + behind - asked);  // those ended at once
    co_await wait_for_all(&all.tasks);
    for (unsigned i = 0; i < slots + behind; ++i) {
        const bool was_asked = i >= slots && (chosen >> (i - slots) & 1u) != 0;
        CHECK(all.came[i] == (was_asked ? outcome_of_wait::cancelled : outcome_of_wait::value));
        CHECK(all.tasks[i].cancelled() == was_asked);
    }
    CHECK(running_loop().stats().operations == 0);
    // Neither they nor their cancels were ever submitted.
    CHECK(running_loop().stats().entries == before + slots + behind - asked);
}

testing::sim_options four_slots(std::uint64_t seed) {
    testing::sim_options options;
    options.seed = seed;
    options.loop.entries = slots;
    return options;
}

TEST_CASE("operation: in the backlog it is cancelled at every place, and never submitted",
          "[operation][cancel]") {
    for (unsigned chosen = 0; chosen < 32; ++chosen)
        for (const bool from_the_back : {false, true}) {
            INFO("chosen " << chosen << ", from the back " << from_the_back);
            testing::simulate([&] { return cancel_in_backlog(chosen, from_the_back); },
                              four_slots(chosen + 1));
        }
}

TEST_CASE("operation: closing a descriptor ends its operations in the backlog too",
          "[operation][cancel]") {
    for (const std::uint64_t seed : testing::seeds(10))
        testing::simulate(
            []() -> task<> {
                two_ends pair = co_await connected();
                char bytes[8];
                int next = 0;
                crowd all(8, [&] { return receive(pair.there, &bytes[next++], 1); });
                co_await yield_now();
                co_await pair.there.close();  // four in the queue, four in the backlog
                co_await wait_for_all(&all.tasks);
                for (const outcome_of_wait came : all.came) CHECK(came == outcome_of_wait::failed);
                CHECK(running_loop().stats().operations == 0);
            },
            four_slots(seed));
}

TEST_CASE("operation: a cancel without a free entry waits, and is dropped if it is too late",
          "[operation][cancel]") {
    int sent = 0, forgotten = 0;
    const auto body = [&](duration before_it) -> task<> {
        crowd one(1, [] { return nop(); });
        co_await sleep(before_it);  // until the kernel has it, or has completed it
        if (one.tasks[0].done()) co_return;
        const std::uint64_t before = running_loop().stats().entries;
        crowd fill(slots, [] { return nop(); });
        co_await yield_now();
        one.tasks[0].cancel();  // no entry is free
        co_await wait_for_all(&one.tasks);
        co_await wait_for_all(&fill.tasks);
        const std::uint64_t cancels = running_loop().stats().entries - before - slots;
        REQUIRE(cancels <= 1);
        (cancels == 1 ? sent : forgotten) += 1;
        if (cancels == 0) CHECK(one.came[0] == outcome_of_wait::value);
    };
    const auto seeds = testing::seeds(1000);
    for (const std::uint64_t seed : seeds)
        testing::simulate([&] { return body(duration(seed % 3000)); }, four_slots(seed));
    INFO("sent " << sent << ", forgotten " << forgotten);
    if (seeds.size() == 1) return;  // RONDO_SEED repeats one
    CHECK(sent >= 20);
    CHECK(forgotten >= 20);
}

}  // namespace
