// SPDX-License-Identifier: MIT
// mutex and recursive_mutex: one holder at a time, in order; and cancellations in the line.
#include <memory>
#include <string>
#include <vector>

#include <rondo/gather.hpp>

#include "support/child.hpp"
#include "support/count_allocations.hpp"
#include "support/sync_tools.hpp"

using namespace rondo_tests;

namespace {

/// Locks, notes its name, holds the mutex for some turns.
template <class Mutex>
task<> hold(Mutex* m, std::string* log, char name, int turns = 1) {
    auto guard = co_await m->lock();
    log->push_back(name);
    co_await finish(turns);
}

RONDO_TEST("mutex: a guard locks, moves, unlocks early or at its end", "[sync][mutex][both]") {
    mutex m;
    CHECK_FALSE(m.locked());
    {
        auto guard = co_await m.lock();
        CHECK(m.locked());
        CHECK(guard);
        CHECK(guard.owner() == &m);
        CHECK_FALSE(m.try_lock());
        auto moved = std::move(guard);
        CHECK_FALSE(
            guard.owns_lock());  // NOLINT: a moved-from guard holds nothing
        CHECK(moved.owns_lock());
        moved.unlock();
        CHECK_FALSE(m.locked());
        moved = m.try_lock();
        CHECK(moved);
        CHECK(m.locked());
        mutex other;
        moved = co_await other.lock();  // unlocks the first
        CHECK_FALSE(m.locked());
        CHECK(other.locked());
        moved = {};
        CHECK_FALSE(other.locked());
    }
    mutex::guard nothing;
    CHECK_FALSE(nothing);
}

RONDO_TEST("mutex: handed over in the order of arrival", "[sync][mutex][both]") {
    mutex m;
    std::string log;
    auto guard = co_await m.lock();
    for (char name : std::string("abcd")) create_task(hold(&m, &log, name));
    co_await finish();
    CHECK(m.waiting() == 4);
    CHECK(log.empty());
    guard.unlock();
    CHECK(m.locked());  // handed over: never free while a task waits
    CHECK_FALSE(m.try_lock());
    guard = co_await m.lock();
    CHECK(log == "abcd");  // a new request goes to the end of the line
}

RONDO_TEST("mutex: never two holders at a time", "[sync][mutex][both]") {
    mutex m;
    int inside = 0, most = 0, total = 0;
    const auto visit = [](mutex* at, int* in, int* peak, int* sum) -> task<> {
        for (int i = 0; i < 20; ++i) {
            auto guard = co_await at->lock();
            *peak = std::max(*peak, ++*in);
            const int before = *sum;
            co_await finish(i % 3);
            *sum = before + 1;
            --*in;
        }
    };
    co_await gather(visit(&m, &inside, &most, &total), visit(&m, &inside, &most, &total),
                    visit(&m, &inside, &most, &total));
    CHECK(most == 1);
    CHECK(total == 60);
}

RONDO_TEST("mutex: cancelled before, while and after", "[sync][mutex][cancel][both]") {
    mutex m;
    const auto make = [&] { return m.lock(); };
    co_await check_cancelled_before(make);
    CHECK_FALSE(m.locked());
    auto guard = co_await m.lock();
    co_await check_cancelled_before(make);
    co_await check_cancelled_while_suspended(make);
    CHECK(m.waiting() == 0);
    observed seen;
    co_await check_cancelled_after_completion(
        make, [&] { guard.unlock(); }, &seen);
    CHECK(seen.first == outcome_of_wait::cancelled);
    CHECK_FALSE(m.locked());  // given back
}

RONDO_TEST("mutex: a task that was handed it and is cancelled hands it on", "[sync][mutex][both]") {
    mutex m;
    std::string log;
    auto guard = co_await m.lock();
    auto a = create_task(hold(&m, &log, 'a')), b = create_task(hold(&m, &log, 'b'));
    auto c = create_task(hold(&m, &log, 'c')), d = create_task(hold(&m, &log, 'd'));
    co_await finish();
    guard.unlock();  // to a
    a.cancel();
    c.cancel();
    CHECK(m.waiting() == 2);
    co_await d;
    CHECK(a.cancelled());
    CHECK(c.cancelled());
    CHECK(log == "bd");
    CHECK_FALSE(m.locked());
}

RONDO_TEST("mutex: a timeout around lock leaves the line", "[sync][mutex]") {
    mutex m;
    auto guard = co_await m.lock();
    CHECK_THROWS_AS(co_await wait_for(1h, m.lock()), timeout_error);
    CHECK(m.waiting() == 0);
    guard.unlock();
    guard = co_await wait_for(1h, m.lock());
    CHECK(m.locked());
}

RONDO_TEST("mutex: a task that locks a free mutex for ever lets others run",
           "[sync][mutex][both]") {
    mutex m;
    CHECK(co_await rounds_before_others([&] { return m.lock(); }) < 1000);
    recursive_mutex r;
    CHECK(co_await rounds_before_others([&] { return r.lock(); }) < 1000);
}

RONDO_TEST("mutex: a lock that is cancelled while it lets others run gives the mutex back",
           "[sync][mutex][both]") {
    mutex m;
    const auto lock_for_ever = [](mutex* at) -> task<> {
        for (;;) auto guard = co_await at->lock();
    };
    auto busy = create_task(lock_for_ever(&m));
    co_await yield_now();
    CHECK(busy.state() == task_state::ready);
    CHECK(m.locked());
    busy.cancel();
    co_await finish();
    CHECK(busy.cancelled());
    CHECK_FALSE(m.locked());
}

RONDO_TEST("mutex: describes its holder and its waiters", "[sync][mutex][both]") {
    mutex m;
    CHECK(m.describe() == "a mutex that is not locked");
    {
        auto guard = m.try_lock();
        CHECK(m.describe().find("a mutex held by the task created at ") == 0);
    }
    std::string log;
    auto a = create_task(hold(&m, &log, 'a'), {.name = "writer"});
    auto b = create_task(hold(&m, &log, 'b'));
    co_await yield_now();
    CHECK(m.describe() == "a mutex held by task \"writer\" and 1 waits");
    CHECK(b.describe().find("line for a mutex held by task \"writer\" and 1 waits at ") !=
          std::string::npos);
    co_await b;
}

RONDO_TEST("mutex: a holder that has ended is not dereferenced", "[sync][mutex][both]") {
    mutex m;
    mutex::guard kept;
    const auto lock_and_leave = [](mutex* at, mutex::guard* out) -> task<> {
        *out = co_await at->lock();
    };
    co_await create_task(lock_and_leave(&m, &kept));
    CHECK(m.describe() == "a mutex held by a task that has ended");
    kept.unlock();
    running_loop().call_soon([&] { kept = m.try_lock(); });
    co_await finish();
    CHECK(m.describe() == "a mutex held by no task");
    kept.unlock();
}

template <class Mutex>
task<> wait_in_line(Mutex* m, std::size_t index, std::size_t* next, bool* in_order) {
    auto guard = co_await m->lock();
    *in_order &= index == (*next)++;
}

/// Lets `count` tasks wait for a locked mutex, then calls `act`. Returns the number of turns until
/// all of them had ended.
template <class Act>
task<std::uint64_t> with_line(std::size_t count, std::size_t* served, bool* in_order, Act act) {
    mutex m;
    auto guard = co_await m.lock();
    std::vector<future<>> line;
    line.reserve(count);
    for (std::size_t i = 0; i < count; ++i)
        line.push_back(create_task(wait_in_line(&m, i, served, in_order)));
    co_await yield_now();
    REQUIRE(m.waiting() == count);
    const std::uint64_t turns = running_loop().stats().turns;
    act(line, guard);
    for (auto& each : line)
        while (!each.done()) co_await yield_now();
    REQUIRE_FALSE(m.waiting() != 0);
    co_return running_loop().stats().turns - turns;
}

RONDO_TEST("mutex: a hundred thousand in line are served in order, or leave, one step each",
           "[sync][mutex]", seeds(1).limit(60s)) {
    // Counted, not timed: each task is resumed once, in order; leaving the line takes one step.
    const auto count = static_cast<std::size_t>(many(100'000, 10'000));
    std::size_t served = 0;
    bool in_order = true;
    std::uint64_t turns =
        co_await with_line(count, &served, &in_order, [](auto&, auto& guard) { guard.unlock(); });
    CHECK(served == count);
    CHECK(in_order);
    CHECK(turns <= count + 10);
    served = 0;
    turns = co_await with_line(count, &served, &in_order, [](auto& line, auto& guard) {
        for (auto& each : line) each.cancel();
        guard.unlock();
    });
    CHECK(served == 0);
    CHECK(turns <= 10);
    turns = co_await with_line(count, &served, &in_order, [](auto& line, auto& guard) {
        guard.unlock();  // each is handed it, is already cancelled, and hands it on
        for (auto each = line.rbegin(); each != line.rend(); ++each) each->cancel();
    });
    CHECK(served == 0);
    CHECK(turns <= 10);
}

RONDO_TEST("mutex: locking, waiting, handing over and leaving allocate nothing",
           "[sync][mutex][both]") {
    mutex m;
    condition c(m);
    std::size_t served = 0;
    bool in_order = true;
    const auto be_notified = [](condition* at, mutex* of) -> task<> {
        auto guard = co_await of->lock();
        co_await at->wait(guard);
    };
    std::vector<future<>> line;
    for (std::size_t i = 0; i < 8; ++i) line.push_back(create_task(be_notified(&c, &m)));
    co_await yield_now();
    auto guard = m.try_lock();
    for (std::size_t i = 0; i < 8; ++i)
        line.push_back(create_task(wait_in_line(&m, i, &served, &in_order)));
    const std::size_t before = allocations, frames = running_loop().stats().frames;
    co_await yield_now();  // they are in the line
    c.notify(4);
    line[1].cancel();  // in the mutex's line, notified
    line[6].cancel();  // waits for a notification
    line[9].cancel();  // waits for the mutex
    guard.unlock();
    for (int i = 0; i < 40; ++i) co_await yield_now();
    c.notify_all();
    for (int i = 0; i < 40; ++i) co_await yield_now();
    CHECK(allocations == before);
    CHECK(running_loop().stats().frames == frames);  // the futures keep them
    for (auto& each : line) CHECK(each.done());
    CHECK_FALSE(m.locked());
}

#ifndef NDEBUG
TEST_CASE("mutex: a lock that is never awaited aborts with a sentence", "[sync][mutex]") {
    const child_end end = run_child([] {
        testing::simulate([]() -> task<> {
            mutex m;
            {
                [[maybe_unused]] auto guard = m.lock();
            }
            co_return;
        });
        return 0;
    });
    CHECK(end.aborted());
    CHECK(end.says("was never awaited: write co_await before it"));
}
#endif

RONDO_TEST("mutex: a lock that was handed on, or is left by an exception, needs no co_await",
           "[sync][mutex]") {
    mutex m;
    auto first = m.lock();
    {
        const auto guard = co_await wait_for(1s, first);
        CHECK(m.locked());
    }
    static_cast<void>(gather(m.lock()));  // dropped before it began
    try {
        [[maybe_unused]] auto never = m.lock();
        throw 1;
    } catch (int) {
    }
    CHECK_FALSE(m.locked());
}

TEST_CASE("mutex: destroying a locked one aborts with a sentence",
          "[sync][mutex]") {
    const child_end end = run_child([] {
        testing::simulate([]() -> task<> {
            auto m = std::make_unique<mutex>();
            auto guard = co_await m->lock();
            m.reset();
        });
        return 0;
    });
    CHECK(end.aborted());
    CHECK(end.says("a mutex was destroyed while it is locked"));
}

// -- recursive_mutex ------------------------------------------------------------------------------

task<int> descend(recursive_mutex* m, int levels) {
    auto guard = co_await m->lock();
    if (levels == 0) co_return static_cast<int>(m->depth());
    co_return co_await descend(m, levels - 1);
}

RONDO_TEST("recursive_mutex: its holder locks it again, others wait for the last guard",
           "[sync][mutex][both]") {
    recursive_mutex m;
    CHECK(co_await descend(&m, 9) == 10);
    CHECK_FALSE(m.locked());
    std::string log;
    auto first = co_await m.lock();
    auto second = m.try_lock();
    CHECK(m.depth() == 2);
    auto other = create_task(hold(&m, &log, 'a'));
    co_await finish();
    CHECK(m.waiting() == 1);
    first.unlock();
    co_await finish();
    CHECK(log.empty());
    CHECK(m.depth() == 1);
    auto third = co_await m.lock();  // even while a task waits: this task holds it already
    second.unlock();
    third.unlock();
    co_await other;
    CHECK(log == "a");
    CHECK(m.depth() == 0);
}

RONDO_TEST("recursive_mutex: a child task is another task", "[sync][mutex][both]") {
    recursive_mutex m;
    auto guard = co_await m.lock();
    const auto try_it = [](recursive_mutex* at) -> task<bool> {
        co_return at->try_lock().owns_lock();
    };
    CHECK(co_await try_it(&m));                     // awaited: the same task
    CHECK_FALSE(co_await create_task(try_it(&m)));  // created: another one
}

RONDO_TEST("recursive_mutex: cancelled before, while and after", "[sync][mutex][cancel][both]") {
    recursive_mutex m;
    const auto make = [&] { return m.lock(); };
    co_await check_cancelled_before(make);
    CHECK_FALSE(m.locked());
    auto guard = co_await m.lock();
    co_await check_cancelled_before(make);  // throws although this task holds it
    CHECK(m.depth() == 1);
    co_await check_cancelled_while_suspended(make);
    CHECK(m.waiting() == 0);
    observed seen;
    co_await check_cancelled_after_completion(
        make, [&] { guard.unlock(); }, &seen);
    CHECK(seen.first == outcome_of_wait::cancelled);
    CHECK_FALSE(m.locked());
}

RONDO_TEST(
    "recursive_mutex: a lock that is cancelled while it lets others run keeps the earlier locks",
    "[sync][mutex][both]") {
    recursive_mutex m;
    std::size_t depth = 99;
    const auto lock_for_ever = [](recursive_mutex* at, std::size_t* seen) -> task<> {
        auto outer = co_await at->lock();
        try {
            for (;;) auto inner = co_await at->lock();
        } catch (const cancelled&) {
            *seen = at->locked() ? at->depth() : 0;
            throw;
        }
    };
    auto busy = create_task(lock_for_ever(&m, &depth));
    co_await yield_now();
    CHECK(busy.state() == task_state::ready);
    busy.cancel();
    co_await finish();
    CHECK(busy.cancelled());
    CHECK(depth == 1);
    CHECK_FALSE(m.locked());
}

RONDO_TEST("recursive_mutex: describes its holder, its depth and its waiters",
           "[sync][mutex][both]") {
    recursive_mutex m;
    CHECK(m.describe() == "a recursive mutex that is not locked");
    std::string log;
    auto a = create_task(hold(&m, &log, 'a'), {.name = "writer"});
    auto b = create_task(hold(&m, &log, 'b'));
    co_await yield_now();
    CHECK(m.describe() == "a recursive mutex held by task \"writer\", 1 deep and 1 waits");
    CHECK(b.describe().find("line for a recursive mutex held by task \"writer\"") !=
          std::string::npos);
    co_await b;
}

TEST_CASE("recursive_mutex: unlocking in another task aborts with a sentence",
          "[sync][mutex]") {
    const child_end end = run_child([] {
        testing::simulate([]() -> task<> {
            recursive_mutex m;
            auto guard = co_await m.lock();
            const auto unlock = [](recursive_mutex::guard* g) -> task<> {
                g->unlock();
                co_return;
            };
            co_await create_task(unlock(&guard));
        });
        return 0;
    });
    CHECK(end.aborted());
    CHECK(end.says("a recursive mutex was unlocked by a task that does not hold it"));
}

}  // namespace
