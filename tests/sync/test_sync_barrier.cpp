// SPDX-License-Identifier: MIT
// barrier: all tasks pass or none, round after round; and which tasks fail when it breaks.
#include <string>
#include <utility>

#include "support/child.hpp"
#include "support/sync_tools.hpp"

using namespace rondo_tests;

namespace {

RONDO_TEST("barrier: no task passes before all have arrived; each gets its index",
           "[sync][barrier][both]") {
    barrier b(3);
    int verdict[3] = {still_there, still_there, still_there};
    CHECK(b.parties() == 3);
    for (int round = 1; round <= 3; ++round) {
        create_task(meet(&b, &verdict[0]));
        create_task(meet(&b, &verdict[1]));
        co_await finish();
        CHECK(b.n_waiting() == 2);
        CHECK(verdict[0] == still_there);
        create_task(meet(&b, &verdict[2]));
        co_await finish();
        CHECK(b.n_waiting() == 0);
        CHECK(b.generation() == static_cast<std::uint64_t>(round));
        for (int i = 0; i < 3; ++i) CHECK(std::exchange(verdict[i], still_there) == i);
    }
}

RONDO_TEST("barrier: the next round fills while the last one still leaves",
           "[sync][barrier][both]") {
    // b has opened the round of a and goes straight on to wait again, before a has run.
    barrier b(2);
    int first = still_there, rounds = 0;
    const auto twice = [](barrier* at, int* done) -> task<> {
        co_await at->wait();
        ++*done;
        co_await at->wait();
        ++*done;
    };
    auto a = create_task(meet(&b, &first));
    auto c = create_task(twice(&b, &rounds));
    co_await finish();
    CHECK(first == 0);
    CHECK(rounds == 1);
    CHECK(b.n_waiting() == 1);
    CHECK(co_await b.wait() == 1);
    co_await c;
    CHECK(rounds == 2);
}

RONDO_TEST("barrier: with one party, wait returns at once", "[sync][barrier][both]") {
    barrier b(1);
    CHECK(co_await b.wait() == 0);
    CHECK(co_await b.wait() == 0);
    CHECK(b.generation() == 2);
}

RONDO_TEST("barrier: a cancelled task leaves, and the others wait for another one",
           "[sync][barrier][both]") {
    barrier b(3);
    int verdict[4] = {still_there, still_there, still_there, still_there};
    auto a = create_task(meet(&b, &verdict[0])), c = create_task(meet(&b, &verdict[1]));
    co_await finish();
    a.cancel();
    CHECK(b.n_waiting() == 1);
    auto d = create_task(meet(&b, &verdict[2]));
    co_await finish();
    CHECK(verdict[1] == still_there);
    CHECK_FALSE(b.broken());
    co_await create_task(meet(&b, &verdict[3]));
    co_await finish();
    CHECK(verdict[0] == was_cancelled);
    CHECK(verdict[1] == 0);  // no two have the same index
    CHECK(verdict[2] == 1);
    CHECK(verdict[3] == 2);
}

RONDO_TEST("barrier: abort fails current and later waits, until it is reset",
           "[sync][barrier][both]") {
    barrier b(2);
    int verdict = still_there;
    auto a = create_task(meet(&b, &verdict));
    co_await finish();
    b.abort();
    CHECK(b.broken());
    CHECK(b.n_waiting() == 0);
    co_await a;
    CHECK(verdict == was_broken);
    CHECK_THROWS_AS(co_await b.wait(), broken_barrier_error);
    b.reset();
    CHECK_FALSE(b.broken());
    verdict = still_there;
    a = create_task(meet(&b, &verdict));
    co_await finish();
    CHECK(verdict == still_there);
    CHECK(co_await b.wait() == 1);
    co_await a;
    CHECK(verdict == 0);
}

RONDO_TEST("barrier: reset fails current waits, except those of a complete round",
           "[sync][barrier][both]") {
    barrier b(2);
    int verdict[3] = {still_there, still_there, still_there};
    auto a = create_task(meet(&b, &verdict[0]));
    co_await finish();
    CHECK(co_await b.wait() == 1);
    b.reset();  // a has not run since
    b.abort();
    b.reset();
    co_await a;
    CHECK(verdict[0] == 0);
    auto c = create_task(meet(&b, &verdict[1]));
    co_await finish();
    b.reset();
    auto d = create_task(meet(&b, &verdict[2]));
    co_await finish();
    CHECK(verdict[1] == was_broken);
    CHECK(verdict[2] == still_there);
    CHECK(co_await b.wait() == 1);
    co_await d;
}

RONDO_TEST("barrier: cancelled before, while and after", "[sync][barrier][cancel][both]") {
    barrier b(2);
    const auto make = [&] { return b.wait(); };
    co_await check_cancelled_before(make);
    CHECK(b.n_waiting() == 0);
    co_await check_cancelled_while_suspended(make);
    CHECK(b.n_waiting() == 0);
    observed seen;
    co_await check_cancelled_after_completion(
        make, [&] { b.reset(); }, &seen);
    CHECK(seen.first == outcome_of_wait::cancelled);  // the cancellation wins over abort
    b.abort();
    co_await check_cancelled_before(make);
}

RONDO_TEST("barrier: a task that is cancelled after all have arrived does not hold up the others",
           "[sync][barrier][both]") {
    barrier b(2);
    int verdict = still_there;
    auto a = create_task(meet(&b, &verdict));
    co_await finish();
    CHECK(co_await b.wait() == 1);
    a.cancel();
    co_await finish();
    CHECK(verdict == was_cancelled);
    CHECK(b.n_waiting() == 0);
    CHECK(b.generation() == 1);
}

RONDO_TEST("barrier: a task that passes for ever lets others run", "[sync][barrier][both]") {
    barrier b(1);
    CHECK(co_await rounds_before_others([&] { return b.wait(); }) < 1000);
}

RONDO_TEST("barrier: says how many wait", "[sync][barrier][both]") {
    barrier b(3);
    int verdict = still_there;
    auto a = create_task(meet(&b, &verdict));
    co_await finish();
    CHECK(b.describe() == "a barrier where 1 of 3 waits");
    CHECK(a.describe().find("line for a barrier where 1 of 3 waits at ") != std::string::npos);
    b.abort();
    CHECK(b.describe() == "a barrier that is broken");
    co_await a;
}

TEST_CASE("barrier: without participants, it aborts with a sentence", "[sync][barrier]") {
    const child_end end = run_child([] {
        barrier b(0);
        return 0;
    });
    CHECK(end.aborted());
    CHECK(end.says("a barrier needs at least one participant"));
}

}  // namespace
