// SPDX-License-Identifier: MIT
// condition: which tasks are notified, in which order, and which holds the mutex then; and that no
// notification is lost with a cancelled task.
#include <memory>
#include <string>
#include <utility>

#include <rondo/sleep.hpp>

#include "support/child.hpp"
#include "support/sync_tools.hpp"

using namespace rondo_tests;

namespace {

struct meeting {
    mutex m;
    condition c{m};
    std::string log;
    bool stop = false;
};

/// Waits once. Notes its name, in capitals if it was cancelled, and whether it held the mutex then.
task<> wait_and_note(meeting* at, char name, int turns = 0) {
    auto guard = co_await at->m.lock();
    try {
        co_await at->c.wait(guard);
        at->log.push_back(name);
    } catch (const cancelled&) {
        at->log.push_back(static_cast<char>(name - 'a' + 'A'));
        CHECK(guard);
        throw;
    }
    CHECK(guard.owner() == &at->m);
    co_await finish(turns);
}

RONDO_TEST("condition: notify wakes the longest waiter, notify_all wakes all",
           "[sync][condition][both]") {
    meeting at;
    for (char name : std::string("abcde")) create_task(wait_and_note(&at, name));
    co_await finish();
    CHECK(at.c.waiting() == 5);
    CHECK_FALSE(at.m.locked());  // unlocked while they wait
    auto guard = co_await at.m.lock();
    CHECK(at.c.notify() == 1);
    CHECK(at.c.notify(2) == 2);
    co_await finish();
    CHECK(at.log.empty());  // they run when they have the mutex
    CHECK(at.m.waiting() == 3);
    guard.unlock();
    co_await finish(6);
    CHECK(at.log == "abc");
    CHECK(at.c.notify_all() == 2);
    CHECK(at.c.notify_all() == 0);
    co_await finish(6);
    CHECK(at.log == "abcde");
    CHECK(at.c.notify() == 0);
}

RONDO_TEST("condition: a notification without waiters is lost",
           "[sync][condition][both]") {
    meeting at;
    CHECK(at.c.notify() == 0);
    auto a = create_task(wait_and_note(&at, 'a'));
    co_await finish();
    CHECK(at.log.empty());
    at.c.notify();
    co_await a;
}

RONDO_TEST("condition: the predicate is called under the mutex, until it is true",
           "[sync][condition][both]") {
    meeting at;
    int value = 0, asked = 0;
    const auto wait_for_three = [](meeting* here, int* v, int* n) -> task<> {
        auto guard = co_await here->m.lock();
        co_await here->c.wait(guard, [&] {
            CHECK(here->m.locked());
            ++*n;
            return *v == 3;
        });
        CHECK(guard);
        CHECK(*v == 3);
    };
    auto a = create_task(wait_for_three(&at, &value, &asked));
    for (int i = 0; i < 3; ++i) {
        co_await finish();
        auto guard = co_await at.m.lock();
        ++value;
        at.c.notify_all();
    }
    co_await a;
    CHECK(asked == 4);
    co_await wait_for_three(&at, &value, &asked);  // true at once
    CHECK(asked == 5);
}

RONDO_TEST("condition: cancelled before, while and after", "[sync][condition][cancel][both]") {
    meeting at;
    auto guard = co_await at.m.lock();
    const auto here = [&] { return at.c.wait(guard); };
    co_await check_cancelled_before(here);
    CHECK(guard);  // never unlocked
    const auto here_until = [&] { return at.c.wait(guard, [] { return true; }); };
    {
        rondo::detail::inner_scope scope;
        rondo::detail::cancel(scope);
        CHECK_THROWS_AS(co_await here_until(), cancelled);  // even if the predicate is true
        CHECK(guard);
    }
    guard.unlock();
    const auto make = [&] {
        return [](meeting* there) -> task<int> {
            co_await wait_and_note(there, 'a');
            co_return 0;
        }(&at);
    };
    co_await check_cancelled_while_suspended(make);
    CHECK(at.log == "A");
    CHECK(at.c.waiting() == 0);
    CHECK_FALSE(at.m.locked());
    observed seen;
    co_await check_cancelled_after_completion(
        make, [&] { at.c.notify(); }, &seen);
    CHECK(seen.first == outcome_of_wait::cancelled);
    CHECK(at.log == "AA");
    CHECK_FALSE(at.m.locked());
}

RONDO_TEST("condition: a cancelled wait locks the mutex again before it throws",
           "[sync][condition][both]") {
    meeting at;
    auto a = create_task(wait_and_note(&at, 'a'));
    co_await finish();
    auto guard = co_await at.m.lock();
    a.cancel();
    a.cancel();
    co_await finish();
    CHECK_FALSE(a.done());  // shielded: it waits for the mutex, however often it is cancelled
    CHECK(at.m.waiting() == 1);
    CHECK(at.log.empty());
    CHECK(a.describe().find("line, after a condition, for its mutex held by ") !=
          std::string::npos);
    guard.unlock();
    co_await finish();
    CHECK(a.cancelled());
    CHECK(at.log == "A");
    CHECK_FALSE(at.m.locked());
}

RONDO_TEST("condition: the notification of a cancelled waiter goes to the next",
           "[sync][condition][both]") {
    meeting at;
    auto a = create_task(wait_and_note(&at, 'a')), b = create_task(wait_and_note(&at, 'b'));
    auto c = create_task(wait_and_note(&at, 'c'));
    co_await finish();
    at.c.notify();  // the mutex is free: a has it already
    a.cancel();
    co_await finish();
    CHECK(at.log == "Ab");
    auto guard = co_await at.m.lock();
    at.c.notify();  // c is in the mutex's line
    auto d = create_task(wait_and_note(&at, 'd'));
    co_await finish();
    c.cancel();
    guard.unlock();
    co_await finish(5);
    CHECK(at.log == "AbC");  // d came after c had dropped the notification
    CHECK(at.c.waiting() == 1);
    at.c.notify();
    co_await d;
}

RONDO_TEST("condition: a timeout around wait locks again and throws", "[sync][condition]") {
    meeting at;
    auto guard = co_await at.m.lock();
    CHECK_THROWS_AS(co_await wait_for(1h, at.c.wait(guard)), timeout_error);
    CHECK(guard);
    CHECK(at.m.locked());
    auto never = at.c.wait(guard, [] { return false; });
    CHECK_FALSE(co_await move_on_after(1h, std::move(never)));
    CHECK(guard);
}

RONDO_TEST("condition: describes its mutex and its waiters", "[sync][condition][both]") {
    meeting at;
    CHECK(at.c.describe() == "a condition of a mutex that is not locked");
    auto a = create_task(wait_and_note(&at, 'a'));
    co_await finish();
    CHECK(at.c.describe() == "a condition of a mutex that is not locked and 1 waits");
    CHECK(a.describe().find("line for a condition of a mutex that is not locked and 1 waits at ") !=
          std::string::npos);
    at.c.notify();
    co_await a;
}

RONDO_TEST("condition: a hundred thousand are notified, one step each", "[sync][condition]",
           seeds(1).limit(60s)) {
    meeting at;
    const auto count = static_cast<std::size_t>(many(100'000, 10'000));
    for (std::size_t i = 0; i < count; ++i) create_task(wait_and_note(&at, 'x'));
    co_await yield_now();
    CHECK(at.c.waiting() == count);
    const auto turns = running_loop().stats().turns;
    CHECK(at.c.notify_all() == count);
    while (at.log.size() < count) co_await yield_now();
    CHECK(running_loop().stats().turns - turns <= count + 10);
}

TEST_CASE("condition: destroying it before all waiters have resumed aborts with a sentence",
          "[sync][condition]") {
    const child_end end = run_child([] {
        testing::simulate([]() -> task<> {
            mutex m;
            auto c = std::make_unique<condition>(m);
            const auto be_notified = [](condition* at, mutex* of) -> task<> {
                auto guard = co_await of->lock();
                co_await at->wait(guard);
            };
            create_task(be_notified(c.get(), &m));
            co_await yield_now();
            c->notify_all();
            c.reset();
        });
        return 0;
    });
    CHECK(end.aborted());
    CHECK(end.says("a condition was destroyed before the tasks that it notified have resumed"));
}

TEST_CASE("condition: waiting without its mutex aborts with a sentence",
          "[sync][condition]") {
    const child_end end = run_child([] {
        testing::simulate([]() -> task<> {
            meeting at;
            mutex::guard none;
            co_await at.c.wait(none);
        });
        return 0;
    });
    CHECK(end.aborted());
    CHECK(end.says("condition::wait with a guard of another mutex, or of none"));
}

}  // namespace
