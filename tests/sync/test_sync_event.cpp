// SPDX-License-Identifier: MIT
// event: set wakes all waiters, and later waits return at once while it is set.
#include <memory>
#include <string>
#include <vector>

#include "support/child.hpp"
#include "support/sync_tools.hpp"

using namespace rondo_tests;

namespace {

task<> wait_and_note(event* e, std::string* log, char name) {
    co_await e->wait();
    log->push_back(name);
}

RONDO_TEST("event: set wakes all waiters in order, and later waits return at once",
           "[sync][event][both]") {
    event e;
    std::string log;
    CHECK_FALSE(e.is_set());
    for (char name : std::string("abc")) create_task(wait_and_note(&e, &log, name));
    co_await finish();
    CHECK(e.waiting() == 3);
    CHECK(log.empty());
    e.set();
    e.set();
    CHECK(e.is_set());
    co_await finish();
    CHECK(log == "abc");
    co_await e.wait();
    e.clear();
    CHECK_FALSE(e.is_set());
    auto late = create_task(wait_and_note(&e, &log, 'd'));
    co_await finish();
    CHECK(log == "abc");
    e.set();
    co_await late;
}

RONDO_TEST("event: a woken waiter resumes even if the event is cleared before it runs",
           "[sync][event][both]") {
    event e;
    std::string log;
    auto a = create_task(wait_and_note(&e, &log, 'a'));
    co_await finish();
    e.set();
    e.clear();
    auto b = create_task(wait_and_note(&e, &log, 'b'));
    co_await finish();
    CHECK(log == "a");
    CHECK(e.waiting() == 1);
    e.set();
    co_await b;
}

RONDO_TEST("event: cancelled before, while and after", "[sync][event][cancel][both]") {
    event e;
    const auto make = [&] { return e.wait(); };
    co_await check_cancelled_before(make);
    co_await check_cancelled_while_suspended(make);
    CHECK(e.waiting() == 0);
    observed seen;
    co_await check_cancelled_after_completion(
        make, [&] { e.set(); }, &seen);
    CHECK(seen.first == outcome_of_wait::cancelled);
    co_await check_cancelled_before(make);  // throws although it is set
}

RONDO_TEST("event: a task that waits for a set event again and again lets others run",
           "[sync][event][both]") {
    event e;
    e.set();
    CHECK(co_await rounds_before_others([&] { return e.wait(); }) < 1000);
}

RONDO_TEST("event: describes its state and its waiters", "[sync][event][both]") {
    event e;
    std::string log;
    auto a = create_task(wait_and_note(&e, &log, 'a'));
    auto b = create_task(wait_and_note(&e, &log, 'b'));
    co_await finish();
    CHECK(e.describe() == "an event that is not set and 2 wait");
    CHECK(a.describe().find("line for an event that is not set and 2 wait at ") !=
          std::string::npos);
    e.set();
    CHECK(e.describe() == "an event that is set");
    co_await finish();
}

RONDO_TEST("event: ten thousand go in one turn", "[sync][event]", seeds(1).limit(30s)) {
    event e;
    std::string log;
    const auto count = static_cast<std::size_t>(many(10'000, 1'000));
    for (std::size_t i = 0; i < count; ++i) create_task(wait_and_note(&e, &log, 'x'));
    co_await yield_now();
    CHECK(e.waiting() == count);
    const auto turns = running_loop().stats().turns;
    e.set();
    while (log.size() < count) co_await yield_now();
    CHECK(running_loop().stats().turns - turns <= 10);
}

TEST_CASE("event: destroying it with waiters aborts with a sentence", "[sync][event]") {
    const child_end end = run_child([] {
        testing::simulate([]() -> task<> {
            std::string log;
            auto e = std::make_unique<event>();
            create_task(wait_and_note(e.get(), &log, 'a'));
            co_await yield_now();
            e.reset();
        });
        return 0;
    });
    CHECK(end.aborted());
    CHECK(end.says("a wait queue was destroyed while tasks wait in it"));
}

}  // namespace
