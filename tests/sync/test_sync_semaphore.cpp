// SPDX-License-Identifier: MIT
// semaphore and bounded_semaphore: several permits at once, in order, none lost and none in excess.
#include <algorithm>
#include <string>
#include <vector>

#include <rondo/gather.hpp>
#include <rondo/thread_sync.hpp>

#include "support/child.hpp"
#include "support/sync_tools.hpp"

using namespace rondo_tests;

namespace {

task<> take_and_note(semaphore* s, std::size_t count, std::string* log, char name, int turns = 1) {
    auto held = co_await s->acquire(count);
    log->push_back(name);
    co_await finish(turns);
}

RONDO_TEST("semaphore: permits are taken, released early, in the destructor, or forgotten",
           "[sync][semaphore][both]") {
    semaphore s(3);
    {
        auto one = co_await s.acquire();
        auto two = co_await s.acquire(2);
        CHECK(two.count() == 2);
        CHECK(s.available() == 0);
        CHECK_FALSE(s.try_acquire());
        one.release();
        CHECK_FALSE(one);
        CHECK(s.available() == 1);
        CHECK_FALSE(s.try_acquire(2));
        one = s.try_acquire();
        CHECK(one);
        one = std::move(two);  // gives back what it had
        CHECK(s.available() == 1);
        CHECK(one.count() == 2);
    }
    CHECK(s.available() == 3);
    CHECK((co_await s.acquire(2)).forget() == 2);
    CHECK(s.available() == 1);
    s.release(4);
    CHECK(s.available() == 5);
}

RONDO_TEST("semaphore: first come first served, also for large requests",
           "[sync][semaphore][both]") {
    semaphore s(1);
    std::string log;
    auto held = co_await s.acquire();
    auto a = create_task(take_and_note(&s, 3, &log, 'a'));
    auto b = create_task(take_and_note(&s, 1, &log, 'b'));
    co_await finish();
    s.release(1);
    co_await finish();
    CHECK(log.empty());  // b would fit, but a is first
    CHECK_FALSE(s.try_acquire());
    s.release(1);
    held.release();
    co_await finish();
    co_await b;
    CHECK(log == "ab");
    CHECK(s.available() == 3);
}

RONDO_TEST("semaphore: when the first waiter leaves, later ones may be served",
           "[sync][semaphore][both]") {
    semaphore s(1);
    std::string log;
    auto a = create_task(take_and_note(&s, 2, &log, 'a'));
    auto b = create_task(take_and_note(&s, 1, &log, 'b'));
    co_await finish();
    CHECK(s.waiting() == 2);
    a.cancel();
    CHECK(s.waiting() == 0);
    co_await b;
    CHECK(log == "b");
    CHECK(s.available() == 1);
}

RONDO_TEST("semaphore: never more holders than permits", "[sync][semaphore][both]") {
    semaphore s(3);
    int inside = 0, most = 0;
    const auto visit = [](semaphore* at, int* in, int* peak) -> task<> {
        auto held = co_await at->acquire();
        *peak = std::max(*peak, ++*in);
        co_await finish(2);
        --*in;
    };
    std::vector<task<>> cars;
    for (int i = 0; i < 20; ++i) cars.push_back(visit(&s, &inside, &most));
    co_await gather(std::move(cars));
    CHECK(most == 3);
    CHECK(s.available() == 3);
}

RONDO_TEST("semaphore: cancelled before, while and after", "[sync][semaphore][cancel][both]") {
    semaphore s(2);
    const auto make = [&] { return s.acquire(2); };
    co_await check_cancelled_before(make);
    CHECK(s.available() == 2);
    auto held = co_await s.acquire();
    co_await check_cancelled_before(make);
    co_await check_cancelled_while_suspended(make);
    CHECK(s.waiting() == 0);
    observed seen;
    co_await check_cancelled_after_completion(
        make, [&] { held.release(); }, &seen);
    CHECK(seen.first == outcome_of_wait::cancelled);
    CHECK(s.available() == 2);  // given back
}

RONDO_TEST(
    "semaphore: the permits of a cancelled waiter go to the next waiters that they suffice for",
    "[sync][semaphore][both]") {
    semaphore s(0);
    std::string log;
    auto a = create_task(take_and_note(&s, 3, &log, 'a'));
    auto b = create_task(take_and_note(&s, 1, &log, 'b'));
    auto c = create_task(take_and_note(&s, 2, &log, 'c'));
    co_await finish();
    s.release(3);
    CHECK(s.available() == 0);
    a.cancel();
    co_await finish(2);
    CHECK(log == "bc");
    co_await finish();
    CHECK(s.available() == 3);
}

RONDO_TEST("semaphore: a task that acquires for ever lets others run", "[sync][semaphore][both]") {
    semaphore s(1);
    CHECK(co_await rounds_before_others([&] { return s.acquire(); }) < 1000);
}

RONDO_TEST("bounded_semaphore: a surplus release is an error", "[sync][semaphore][both]") {
    bounded_semaphore s(2);
    CHECK_THROWS_AS(s.release(), invalid_state_error);
    CHECK(s.available() == 2);
    (co_await s.acquire()).forget();
    CHECK_THROWS_AS(s.release(2), invalid_state_error);
    CHECK(s.available() == 1);
    s.release();
    CHECK(s.available() == 2);
    semaphore free(SIZE_MAX / 2);
    free.release(SIZE_MAX / 2 + 1);  // as many as can be counted
    CHECK_THROWS_AS(free.release(), invalid_state_error);
}

RONDO_TEST("semaphore: describes its permits and its waiters", "[sync][semaphore][both]") {
    semaphore s(1);
    CHECK(s.describe() == "a semaphore with 1 permit");
    std::string log;
    auto a = create_task(take_and_note(&s, 2, &log, 'a'));
    co_await finish();
    CHECK(s.describe() == "a semaphore with 1 permit and 1 waits");
    CHECK(a.describe().find("line for a semaphore with 1 permit and 1 waits at ") !=
          std::string::npos);
    s.release();
    co_await a;
}

TEST_CASE("semaphore: a negative number of permits is refused", "[sync][semaphore][death]") {
    const auto none = static_cast<std::size_t>(-1);
    const auto ends = {run_child([&] { return semaphore(none).available() != 0; }),
                       run_child([&] { return bounded_semaphore(none).available() != 0; }),
                       run_child([&] { return thread_bounded_semaphore(none).available() != 0; })};
    for (const auto& end : ends) {
        INFO(end.text);
        CHECK(end.aborted());
        CHECK(end.says("a semaphore was given a negative number of permits"));
    }
}

}  // namespace
