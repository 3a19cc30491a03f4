// SPDX-License-Identifier: MIT
// rwlock: readers share it, a writer is alone, no task starves, and there is one line for both.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <rondo/gather.hpp>

#include "support/child.hpp"
#include "support/sync_tools.hpp"

using namespace rondo_tests;

namespace {

task<> write(rwlock* l, std::string* log, char name, int turns = 3) {
    auto guard = co_await l->lock();
    log->push_back(name);
    co_await finish(turns);
}
task<> read(rwlock* l, std::string* log, char name, int turns = 3) {
    auto guard = co_await l->lock_shared();
    log->push_back(name);
    co_await finish(turns);
}

RONDO_TEST("rwlock: readers share it, a writer has it alone", "[sync][rwlock][both]") {
    rwlock l;
    {
        auto a = co_await l.lock_shared();
        auto b = co_await l.lock_shared();
        CHECK(l.shared() == 2);
        CHECK_FALSE(l.try_lock());
        CHECK(l.try_lock_shared());
        CHECK_FALSE(l.locked());
        a.unlock();
        CHECK(l.shared() == 1);
    }
    {
        auto w = co_await l.lock();
        CHECK(l.locked());
        CHECK_FALSE(l.try_lock());
        CHECK_FALSE(l.try_lock_shared());
    }
    CHECK(l.try_lock());
    CHECK_FALSE(l.locked());
    CHECK(l.shared() == 0);
}

RONDO_TEST("rwlock: first come first served, readers side by side enter together",
           "[sync][rwlock][both]") {
    rwlock l;
    std::string log;
    auto first = co_await l.lock_shared();
    auto w = create_task(write(&l, &log, 'W'));
    auto a = create_task(read(&l, &log, 'a')), b = create_task(read(&l, &log, 'b'));
    auto v = create_task(write(&l, &log, 'V'));
    auto c = create_task(read(&l, &log, 'c'));
    co_await finish();
    CHECK(l.waiting() == 5);  // a reader does not overtake a writer that waits
    CHECK_FALSE(l.try_lock_shared());
    first.unlock();
    CHECK(l.locked());
    co_await w;
    CHECK(l.shared() == 2);
    co_await c;
    CHECK(log == "WabVc");
    CHECK(v.done());
    CHECK(l.shared() == 0);
}

RONDO_TEST("rwlock: a writer is always alone", "[sync][rwlock][both]") {
    struct room {
        rwlock l;
        int readers = 0, writers = 0, most_readers = 0;
        bool wrong = false;
    } here;
    const auto visit_to_read = [](room* in) -> task<> {
        for (int i = 0; i < 15; ++i) {
            auto guard = co_await in->l.lock_shared();
            in->most_readers = std::max(in->most_readers, ++in->readers);
            in->wrong |= in->writers > 0;
            co_await finish(i % 3);
            --in->readers;
        }
    };
    const auto visit_to_write = [](room* in) -> task<> {
        for (int i = 0; i < 15; ++i) {
            auto guard = co_await in->l.lock();
            in->wrong |= ++in->writers > 1 || in->readers > 0;
            co_await finish(i % 2);
            --in->writers;
        }
    };
    co_await gather(visit_to_read(&here), visit_to_write(&here), visit_to_read(&here),
                    visit_to_write(&here), visit_to_read(&here));
    CHECK_FALSE(here.wrong);
    CHECK(here.most_readers > 1);
}

RONDO_TEST("rwlock: when a waiting writer leaves, the readers after it enter",
           "[sync][rwlock][both]") {
    rwlock l;
    std::string log;
    auto first = co_await l.lock_shared();
    auto w = create_task(write(&l, &log, 'W'));
    auto a = create_task(read(&l, &log, 'a')), b = create_task(read(&l, &log, 'b'));
    co_await finish();
    w.cancel();
    CHECK(l.waiting() == 0);
    co_await finish(1);
    CHECK(log == "ab");
    CHECK(w.cancelled());
    co_await b;
}

RONDO_TEST("rwlock: cancelled before, while and after", "[sync][rwlock][cancel][both]") {
    rwlock l;
    const auto to_write = [&] { return l.lock(); };
    const auto to_read = [&] { return l.lock_shared(); };
    co_await check_cancelled_before(to_write);
    co_await check_cancelled_before(to_read);
    CHECK(l.describe() == "an rwlock that is not locked");
    auto guard = co_await l.lock();
    co_await check_cancelled_while_suspended(to_write);
    co_await check_cancelled_while_suspended(to_read);
    CHECK(l.waiting() == 0);
    observed seen;
    co_await check_cancelled_after_completion(
        to_read, [&] { guard.unlock(); }, &seen);
    CHECK(seen.first == outcome_of_wait::cancelled);
    CHECK(l.shared() == 0);  // given back
    guard = co_await l.lock();
    co_await check_cancelled_after_completion(
        to_write, [&] { guard.unlock(); }, &seen);
    CHECK(seen.first == outcome_of_wait::cancelled);
    CHECK_FALSE(l.locked());
}

RONDO_TEST("rwlock: a lock that was handed to a cancelled task is handed on",
           "[sync][rwlock][both]") {
    rwlock l;
    std::string log;
    auto guard = co_await l.lock();
    auto w = create_task(write(&l, &log, 'W'));
    auto a = create_task(read(&l, &log, 'a')), b = create_task(read(&l, &log, 'b'));
    auto v = create_task(write(&l, &log, 'V'));
    co_await finish();
    guard.unlock();  // to w
    w.cancel();
    co_await finish(2);
    a.cancel();  // it holds it already: it ends at its next wait
    co_await v;
    CHECK(log == "abV");
    CHECK_FALSE(l.locked());
}

RONDO_TEST("rwlock: a task that locks for ever lets others run", "[sync][rwlock][both]") {
    rwlock l;
    CHECK(co_await rounds_before_others([&] { return l.lock(); }) < 1000);
    CHECK(co_await rounds_before_others([&] { return l.lock_shared(); }) < 1000);
}

RONDO_TEST("rwlock: describes its holders and its waiters", "[sync][rwlock][both]") {
    rwlock l;
    std::string log;
    auto w = create_task(write(&l, &log, 'W'), {.name = "writer"});
    auto a = create_task(read(&l, &log, 'a')), v = create_task(write(&l, &log, 'V'));
    co_await yield_now();
    CHECK(l.describe() == "an rwlock held by task \"writer\" and 2 wait");
    CHECK(
        a.describe().find("line, to read, for an rwlock held by task \"writer\" and 2 wait at ") !=
        std::string::npos);
    CHECK(v.describe().find("line, to write, for an rwlock held by ") != std::string::npos);
    co_await w;
    CHECK(l.describe() == "an rwlock held by 1 reader and 1 waits");
    co_await v;
}

TEST_CASE("rwlock: destroying a locked one aborts with a sentence",
          "[sync][rwlock]") {
    const child_end end = run_child([] {
        testing::simulate([]() -> task<> {
            auto l = std::make_unique<rwlock>();
            auto guard = co_await l->lock_shared();
            l.reset();
        });
        return 0;
    });
    CHECK(end.aborted());
    CHECK(end.says("an rwlock was destroyed while it is locked"));
}

}  // namespace
