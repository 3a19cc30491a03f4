// SPDX-License-Identifier: MIT
// Descriptors with a place in the ring's own table: the file is closed as promptly as without one,
// on any thread and in any loop.
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include "support/core_tools.hpp"
#include "loop/descriptor_record.hpp"
#include "kernel/ring/ring.hpp"
#include "kernel/ring/abi.hpp"

namespace {

using namespace rondo_tests;

constexpr int enough = 40;  // operations, to get a place

/// Only the ring has places, since Linux 6.15.
bool has_places(const loop& of) {
    if (std::string_view(of.stats().kernel) != "ring") return false;
    return (rondo::detail::examine_ring({}).features & rondo::detail::feature_no_iowait) != 0;
}

task<> exchange(const two_ends& pair, int times) {
    char byte = 0;
    for (int i = 0; i < times; ++i) {
        CHECK(co_await transmit(pair.here, "x", 1) == 1);
        CHECK(co_await receive(pair.there, &byte, 1) == 1);
    }
}

RONDO_TEST("descriptor: many operations give it a place, if the kernel has some",
           "[descriptor][kernel]") {
    two_ends pair = co_await connected();
    co_await exchange(pair, 3);
    CHECK(pair.here.record()->place < 0);
    co_await exchange(pair, enough);
    CHECK((pair.here.record()->place >= 0) == has_places(running_loop()));
    CHECK((pair.there.record()->place >= 0) == has_places(running_loop()));
    co_await exchange(pair, enough);
}

RONDO_TEST("descriptor: with a place or without, its peer sees the close at once",
           "[descriptor][both]") {
    for (const int times : {1, enough}) {
        two_ends pair = co_await connected();
        co_await exchange(pair, times);
        char byte = 0;
        const auto read = [&]() -> task<int> { co_return co_await receive(pair.there, &byte, 1); };
        auto waiting = create_task(read());
        co_await finish();
        co_await pair.here.close();
        CHECK(co_await waiting == 0);
    }
}

RONDO_TEST(
    "descriptor: closed while operations are in flight, they end and the place is free again",
    "[descriptor][both]", seeds(1).limit(20s)) {
    const int rounds = many(1500, 200);  // more than there are places
    for (int i = 0; i < rounds; ++i) {
        two_ends pair = co_await connected();
        co_await exchange(pair, i % 100 == 0 ? enough : 1);
        pair.there.record()->uses = 31;  // the next one gives it a place
        char byte = 0;
        const auto read = [&]() -> task<int> { co_return co_await receive(pair.there, &byte, 1); };
        auto waiting = create_task(read());
        co_await yield_now();
        static_cast<void>(pair.there.close());
        try {
            co_await waiting;
            FAIL("a read on a closed descriptor ended well");
        } catch (const std::system_error& e) {
            if (e.code().value() != ECANCELED && e.code().value() != EBADF) throw;
        }
    }
}

RONDO_TEST("descriptor: a place never shows another file's bytes", "[descriptor][both]",
           seeds(2).limit(20s)) {
    // A descriptor with the place of a closed one must not read bytes meant for that one.
    two_ends keeps = co_await connected();
    co_await exchange(keeps, enough);
    for (int i = 0; i < 50; ++i) {
        two_ends secret = co_await connected();
        secret.there.record()->uses = 31;
        co_await exchange(secret, 2);
        co_await transmit(secret.here, "secret", 6);
        co_await secret.there.close();
        two_ends open = co_await connected();
        open.there.record()->uses = 31;
        co_await exchange(open, 2);
        co_await transmit(open.here, "public", 6);
        char text[6];
        const int size = co_await receive(open.there, text, sizeof text);
        CHECK(size > 0);
        CHECK(std::string_view("public").starts_with({text, static_cast<std::size_t>(size)}));
    }
}

// -- across threads and loops --------------------------------------------------------------------

void needs_ring() {
    try {
        loop probe;
    } catch (const uring_unavailable& why) {
        SKIP(why.what());
    }
}

task<> open_and_use(std::optional<two_ends>* pair) {
    *pair = co_await connected();
    co_await exchange(**pair, enough);
}

task<int> read_once(const descriptor* from) {
    char byte = 0;
    co_return co_await receive(*from, &byte, 1);
}

TEST_CASE("descriptor: its place moves with the loop to another thread", "[descriptor]") {
    needs_ring();
    loop moving;
    std::optional<two_ends> pair;
    moving.run_until_complete(open_and_use(&pair));
    const int place = pair->here.record()->place;
    const bool placed = has_places(moving);
    bool through = false;
    std::thread([&] {
        moving.run_until_complete(exchange(*pair, enough));
        through = true;
        moving.run_until_complete(open_and_use(&pair));  // the first pair is closed, on this thread
        moving.close();
    }).join();
    CHECK(through);
    CHECK((place >= 0) == placed);
}

TEST_CASE("descriptor: destroyed on another thread, its file is closed when the loop runs again",
          "[descriptor]") {
    needs_ring();
    loop idle;
    std::optional<two_ends> pair;
    idle.run_until_complete(open_and_use(&pair));
    std::thread([gone = std::move(pair->here)] {}).join();
    CHECK(idle.run_until_complete(read_once(&pair->there)) == 0);
}

TEST_CASE("descriptor: outlives its loop, and works in the next one", "[descriptor]") {
    needs_ring();
    std::optional<two_ends> pair;
    {
        loop first;
        first.run_until_complete(open_and_use(&pair));
    }
    loop second;
    second.run_until_complete(exchange(*pair, enough));
    std::optional<descriptor> there = std::move(pair->there);
    pair.reset();
    CHECK(second.run_until_complete(read_once(&*there)) == 0);
}

TEST_CASE("descriptor: after its loop's end it may be closed on any thread", "[descriptor]") {
    needs_ring();
    std::optional<two_ends> one, other;  // the other one keeps the ring alive
    std::thread([&] {
        loop gone;
        gone.run_until_complete(open_and_use(&one));
        gone.run_until_complete(open_and_use(&other));
    }).join();
    { const descriptor closed = std::move(one->here); }
    loop next;
    CHECK(next.run_until_complete(read_once(&one->there)) == 0);
}

}  // namespace
