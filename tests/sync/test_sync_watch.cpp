// SPDX-License-Identifier: MIT
// watch: the last value is never missed. broadcast: every subscriber gets every item, or an error
// with the number of lost items.
#include <memory>
#include <string>
#include <vector>

#include "support/child.hpp"
#include "support/sync_tools.hpp"

using namespace rondo_tests;

namespace {

// -- watch ----------------------------------------------------------------------------------------

task<> follow(watch<int>* w, std::vector<int>* seen_values) {
    std::uint64_t seen = 0;
    bool more = true;
    while (more) {
        more = co_await w->changed(seen);
        if (more) seen_values->push_back(w->get());
    }
}

RONDO_TEST("watch: a receiver sees the first value, and each that is still there when it looks",
           "[sync][watch][both]") {
    watch<int> w(1);
    std::vector<int> values;
    auto receiver = create_task(follow(&w, &values));
    co_await finish();
    CHECK(values == std::vector<int>{1});
    w.set(2);
    w.set(3);  // 2 is overwritten before the receiver runs
    co_await finish();
    CHECK(values == std::vector<int>{1, 3});
    CHECK(w.version() == 3);
    w.set(4);
    w.close();  // the last value is not missed
    co_await receiver;
    CHECK(values == std::vector<int>{1, 3, 4});
    CHECK(w.closed());
    CHECK_THROWS_AS(w.set(5), closed_error);
    CHECK(w.get() == 4);
    std::uint64_t seen = 0;
    CHECK(co_await w.changed(seen));
    CHECK_FALSE(co_await w.changed(seen));
}

RONDO_TEST("watch: a value that is set while the receiver is busy is there when it looks",
           "[sync][watch][both]") {
    watch<std::string> w;
    std::uint64_t seen = w.version();  // not interested in the first one
    w.set("while busy");
    CHECK(co_await w.changed(seen));
    CHECK(w.get() == "while busy");
    w.close();
    CHECK_FALSE(co_await w.changed(seen));
}

RONDO_TEST("watch: closing wakes the waiters", "[sync][watch][both]") {
    watch<int> w(0);
    std::vector<int> values;
    auto a = create_task(follow(&w, &values)), b = create_task(follow(&w, &values));
    co_await finish();
    CHECK(w.waiting() == 2);
    w.close();
    co_await a;
    co_await b;
    CHECK(values == std::vector<int>{0, 0});
}

RONDO_TEST("watch: cancelled before, while and after", "[sync][watch][cancel][both]") {
    watch<int> w(0);
    std::uint64_t seen = 0;
    const auto make = [&] { return w.changed(seen); };
    co_await check_cancelled_before(make);
    CHECK(seen == 0);
    CHECK(co_await w.changed(seen));
    co_await check_cancelled_while_suspended(make);
    CHECK(w.waiting() == 0);
    observed what;
    co_await check_cancelled_after_completion(
        make, [&] { w.set(1); }, &what);
    CHECK(what.first == outcome_of_wait::cancelled);
    CHECK(seen == 1);  // the value is not missed
    CHECK(co_await w.changed(seen));
    CHECK(w.get() == 1);
    w.close();
    co_await check_cancelled_before(make);
}

RONDO_TEST("watch: a task that reads for ever lets others run", "[sync][watch][both]") {
    watch<int> w(0);
    std::uint64_t seen = 0;
    const auto look = [&] {
        seen = 0;
        return w.changed(seen);
    };
    CHECK(co_await rounds_before_others(look) < 1000);
}

RONDO_TEST("watch: describes its version and its waiters", "[sync][watch][both]") {
    watch<int> w(0);
    std::vector<int> values;
    auto a = create_task(follow(&w, &values));
    co_await finish();
    CHECK(w.describe() == "a watch at version 1 and 1 waits");
    CHECK(a.describe().find("line for a watch at version 1 and 1 waits at ") != std::string::npos);
    w.close();
    CHECK(w.describe() == "a watch at version 1, closed");
    co_await a;
}

// -- broadcast ------------------------------------------------------------------------------------

task<> listen(broadcast<int>::subscriber s, std::vector<int>* into) {
    bool more = true;
    while (more) {
        try {
            const auto item = co_await s.next();
            more = item.has_value();
            if (more) into->push_back(*item);
        } catch (const lagged_error& late) {
            into->push_back(-static_cast<int>(late.lost()));
        }
    }
}

RONDO_TEST("broadcast: every subscriber gets every item from its subscription on",
           "[sync][broadcast][both]") {
    broadcast<int> b(4);
    CHECK(b.send(0) == 0);  // no subscribers
    std::vector<int> early, late;
    auto a = create_task(listen(b.subscribe(), &early));
    CHECK(b.send(1) == 1);
    co_await finish();
    auto c = create_task(listen(b.subscribe(), &late));
    CHECK(b.send(2) == 2);
    CHECK(b.send(3) == 2);
    co_await finish();
    CHECK(b.send(4) == 2);
    b.close();
    co_await a;
    co_await c;
    CHECK(early == std::vector<int>{1, 2, 3, 4});
    CHECK(late == std::vector<int>{2, 3, 4});
    CHECK(b.subscribers() == 0);
    CHECK_THROWS_AS(b.send(5), closed_error);
}

RONDO_TEST("broadcast: a slow subscriber gets the number of lost items, and can continue",
           "[sync][broadcast][both]") {
    broadcast<int> b(3);
    auto s = b.subscribe();
    for (int i = 1; i <= 3; ++i) b.send(i);
    CHECK(s.behind() == 3);
    CHECK(co_await s.next() == 1);
    for (int i = 4; i <= 9; ++i) b.send(i);
    CHECK(s.behind() == 8);
    try {
        static_cast<void>(co_await s.next());
        FAIL("5 items are gone");
    } catch (const lagged_error& late) {
        CHECK(late.lost() == 5);
        CHECK(std::string(late.what()) == "a subscriber was too slow and has lost 5 items");
    }
    CHECK(co_await s.next() == 7);
    CHECK(s.try_next() == 8);
    CHECK(s.try_next() == 9);
    CHECK_FALSE(s.try_next());
    b.send(10);
    b.close();
    CHECK(co_await s.next() == 10);
    CHECK_FALSE(co_await s.next());
}

RONDO_TEST(
    "broadcast: a subscriber that loses items between wake-up and resumption gets the error, too",
    "[sync][broadcast][both]") {
    broadcast<int> b(2);
    std::vector<int> items;
    auto a = create_task(listen(b.subscribe(), &items));
    co_await finish();
    for (int i = 1; i <= 5; ++i) b.send(i);
    co_await finish();
    CHECK(items == std::vector<int>{-3, 4, 5});
    b.close();
    co_await a;
}

RONDO_TEST("broadcast: cancelled before, while and after", "[sync][broadcast][cancel][both]") {
    broadcast<int> b(2);
    auto s = b.subscribe();
    const auto make = [&] { return s.next(); };
    co_await check_cancelled_while_suspended(make);
    CHECK(b.waiting() == 0);
    observed seen;
    co_await check_cancelled_after_completion(
        make, [&] { b.send(1); }, &seen);
    CHECK(seen.first == outcome_of_wait::cancelled);
    CHECK(s.behind() == 1);
    co_await check_cancelled_before(make);
    CHECK(co_await s.next() == 1);  // not lost
    b.close();
    co_await check_cancelled_before(make);
}

RONDO_TEST("broadcast: a subscriber moves, and may go before the others",
           "[sync][broadcast][both]") {
    broadcast<std::string> b(2);
    auto first = std::make_unique<broadcast<std::string>::subscriber>(b.subscribe());
    b.send("one");
    auto moved = std::move(*first);
    CHECK(b.subscribers() == 1);
    first.reset();
    CHECK(b.subscribers() == 1);
    CHECK(co_await moved.next() == "one");
}

RONDO_TEST("broadcast: a subscriber that reads for ever lets others run",
           "[sync][broadcast][both]") {
    broadcast<int> b(2);
    auto s = b.subscribe();
    const auto send_and_read = [&] {
        b.send(1);
        return s.next();
    };
    CHECK(co_await rounds_before_others(send_and_read) < 1000);
}

RONDO_TEST("broadcast: describes its subscribers and its waiters", "[sync][broadcast][both]") {
    broadcast<int> b(2);
    std::vector<int> items;
    auto a = create_task(listen(b.subscribe(), &items));
    auto s = b.subscribe();
    co_await finish();
    CHECK(b.describe() == "a broadcast to 2 subscribers and 1 waits");
    CHECK(a.describe().find("line for a broadcast to 2 subscribers and 1 waits at ") !=
          std::string::npos);
    b.close();
    CHECK(b.describe() == "a broadcast to 2 subscribers, closed");
    co_await a;
}

RONDO_TEST("broadcast: subscribers outlive the sender", "[sync][broadcast][both]") {
    auto b = std::make_unique<broadcast<int>>(2);
    std::vector<int> items;
    auto s = b->subscribe();
    auto waits = create_task(listen(b->subscribe(), &items));
    co_await finish();
    b->send(1);
    b.reset();
    CHECK(co_await s.next() == 1);
    CHECK_FALSE(co_await s.next());
    CHECK_FALSE(co_await s.next());
    co_await waits;
    CHECK(items == std::vector<int>{1});
}

TEST_CASE("broadcast: two waits on one subscriber abort with a sentence",
          "[sync][broadcast]") {
    const child_end shared = run_child([] {
        testing::simulate([]() -> task<> {
            broadcast<int> b(1);
            auto s = b.subscribe();
            const auto take = [](broadcast<int>::subscriber* from) -> task<> {
                static_cast<void>(co_await from->next());
            };
            create_task(take(&s));
            create_task(take(&s));
            co_await yield_now();
        });
        return 0;
    });
    CHECK(shared.aborted());
    CHECK(shared.says("two tasks wait for the next item of one subscriber"));
}

}  // namespace
