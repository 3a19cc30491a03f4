// SPDX-License-Identifier: MIT
// timer: calls once, when it is due; interval: ticks that do not drift.
#include <rondo/timer.hpp>

#include <memory>
#include <stdexcept>
#include <vector>

#include "support/core_tools.hpp"

namespace {

using namespace rondo_tests;

RONDO_TEST("timer: calls its function once, after the delay", "[timer][both]") {
    int calls = 0;
    timer t(1ms, [&calls] { ++calls; });
    CHECK_FALSE(t.active());
    co_await sleep(2ms);
    CHECK(calls == 0);  // it was not started
    const time_point from = running_loop().time();
    t.start();
    CHECK(t.active());
    while (calls == 0) co_await sleep(100us);
    CHECK(running_loop().time() - from >= 1ms);
    CHECK_FALSE(t.active());
    co_await sleep(2ms);
    CHECK(calls == 1);
}

RONDO_TEST("timer: cancelled, or destroyed, it does not call", "[timer][both]") {
    int calls = 0;
    timer t(1ms, [&calls] { ++calls; });
    t.start();
    CHECK_THROWS_AS(t.start(), invalid_state_error);
    t.cancel();
    t.cancel();
    CHECK_FALSE(t.active());
    {
        timer gone(1ms, [&calls] { ++calls; });
        gone.start();
    }
    co_await sleep(2ms);
    CHECK(calls == 0);
    t.start();  // again
    co_await sleep(2ms);
    CHECK(calls == 1);
}

RONDO_TEST("timer: reset moves it", "[timer]") {
    std::vector<duration> calls;
    const time_point from = running_loop().time();
    timer t(10s, [&] { calls.push_back(running_loop().time() - from); });
    t.reset();  // starts it
    for (int i = 0; i < 5; ++i) {
        co_await sleep(9s);
        t.reset();
    }
    CHECK(calls.empty());
    t.reset(2s);
    CHECK(t.delay() == 2s);
    co_await sleep(1h);
    REQUIRE(calls.size() == 1);
    CHECK(calls[0] / 1s == 47);
}

RONDO_TEST("timer: its function may start, cancel and destroy it", "[timer]") {
    int calls = 0;
    auto t = std::make_unique<timer>(1s, [] {});
    t = std::make_unique<timer>(1s, [&] {
        if (++calls < 3)
            t->reset();
        else
            t.reset();
    });
    t->start();
    co_await sleep(1h);
    CHECK(calls == 3);
    CHECK(t == nullptr);
}

RONDO_TEST("timer: an error of its function goes to the exception handler", "[timer]") {
    int reports = 0;
    running_loop().set_exception_handler([&reports](const exception_context&) { ++reports; });
    timer t(1s, [] { throw std::runtime_error("in a timer"); });
    t.start();
    co_await sleep(2s);
    CHECK(reports == 1);
}

RONDO_TEST("interval: does not drift", "[timer]") {
    const time_point from = running_loop().time();
    interval every(1s);
    for (int i = 1; i <= 100; ++i) {
        CHECK(co_await every.tick() == 1);
        CHECK((running_loop().time() - from) / 1s == i);
        co_await sleep(300ms);
    }
    every.reset();
    CHECK(every.next() - running_loop().time() == 1s);
}

RONDO_TEST("interval: missed ticks are skipped, come at once, or delay the next ones", "[timer]") {
    for (const missed_ticks policy :
         {missed_ticks::skip, missed_ticks::burst, missed_ticks::delay}) {
        const time_point from = running_loop().time();
        interval every(1s, policy);
        co_await sleep(3500ms);
        const auto first = co_await every.tick();
        CHECK(first == (policy == missed_ticks::skip ? 3 : 1));
        CHECK(running_loop().time() - from < 3600ms);
        const auto second = co_await every.tick();
        CHECK(second == 1);
        const duration at = running_loop().time() - from;
        if (policy == missed_ticks::skip) CHECK(at / 100ms == 40);
        if (policy == missed_ticks::burst) CHECK(at / 100ms == 35);
        if (policy == missed_ticks::delay) CHECK(at / 100ms == 45);
    }
    CHECK_THROWS_AS(interval(0s), std::invalid_argument);
}

RONDO_TEST("interval: cancelled in three forms, and the tick is not lost", "[timer][both]") {
    interval every(1h);
    const auto make = [&] { return every.tick(); };
    co_await check_cancelled_before(make);
    co_await check_cancelled_while_suspended(make);
    interval quick(1ms, missed_ticks::burst);
    const time_point first = quick.next();
    observed seen;
    const auto make_quick = [&] { return quick.tick(); };
    auto waiting = create_task(observe(make_quick, &seen));
    co_await finish();
    waiting.cancel();
    CHECK_THROWS_AS(co_await waiting, future_cancelled);
    if (seen.first == outcome_of_wait::cancelled) CHECK(quick.next() == first);
    CHECK(co_await quick.tick() == 1);
}

}  // namespace
