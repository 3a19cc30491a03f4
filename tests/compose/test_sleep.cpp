// SPDX-License-Identifier: MIT
// Time: never early, ties in order, and a million sleepers. On the ring no test checks lateness.
#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include <rondo/gather.hpp>
#include <rondo/timer.hpp>
#include <rondo/wait.hpp>

#include "support/core_tools.hpp"

using namespace rondo_tests;

namespace {

task<> sleep_and_note(duration delay, std::string* log, char name) {
    co_await sleep(delay);
    log->push_back(name);
}

RONDO_TEST("sleep: is never early", "[sleep][both]") {
    for (const duration delay : {duration(1), duration(999), duration(64'000), duration(500'000)}) {
        const time_point start = running_loop().time();
        co_await sleep(delay);
        CHECK(running_loop().time() - start >= delay);
        const time_point when = running_loop().time() + delay;
        co_await sleep_until(when);
        CHECK(running_loop().time() >= when);
    }
}

RONDO_TEST("sleep: ends in the order of the deadlines, and on a tie in the order of the calls",
           "[sleep]", seeds(20)) {
    std::string log;
    const time_point when = running_loop().time() + 1s;
    const auto until = [](time_point t, std::string* l, char name) -> task<> {
        co_await sleep_until(t);
        l->push_back(name);
    };
    std::vector<future<>> all;
    for (char name : std::string("abcdefgh")) all.push_back(create_task(until(when, &log, name)));
    all.push_back(create_task(until(when - 1ns, &log, '0')));
    all.push_back(create_task(until(when + 1ns, &log, '9')));
    running_loop().call_at(when, [&log] { log.push_back('i'); });
    for (const auto& f : all) co_await f;
    co_await finish();
    CHECK(log == "0iabcdefgh9");  // the callback was set first, before the tasks began
}

RONDO_TEST("sleep: zero and less let other tasks run once", "[sleep][both]") {
    std::string log;
    auto a = create_task(sleep_and_note(0ns, &log, 'a'));
    auto b = create_task(sleep_and_note(-1h, &log, 'b'));
    auto c = create_task(sleep_and_note(duration::min(), &log, 'c'));
    co_await yield_now();
    CHECK(log.empty());
    co_await finish();
    CHECK(log == "abc");
    co_await sleep_until(time_point::min());
    co_await sleep_until(running_loop().time());
    CHECK(running_loop().stats().timers == 0);
}

RONDO_TEST("sleep: the longest span does not overflow", "[sleep][both]") {
    std::string log;
    auto f = create_task(sleep_and_note(duration::max(), &log, 'a'));
    auto g = create_task(sleep_and_note(std::chrono::hours(2'000'000), &log, 'b'));
    co_await sleep(1ms);
    CHECK(log.empty());
    f.cancel();
    g.cancel();
}

using rondo::detail::to_duration;
template <class Rep, class Period = std::ratio<1>>
using span = std::chrono::duration<Rep, Period>;
using std::chrono::seconds;

static_assert(to_duration(seconds(-10'000'000'000)) == duration::min());
static_assert(to_duration(seconds(10'000'000'000)) == duration::max());
static_assert(to_duration(span<std::uint64_t>::max()) == duration::max());
static_assert(to_duration(span<std::uint64_t, std::nano>::max()) == duration::max());
static_assert(to_duration(span<std::uint64_t, std::nano>(5)) == 5ns);
static_assert(to_duration(span<std::int64_t, std::micro>::min()) == duration::min());
static_assert(to_duration(span<std::int8_t>(-128)) == -128s);
static_assert(to_duration(span<long, std::exa>(1)) == duration::max());
static_assert(to_duration(span<int, std::pico>(1'001)) == 2ns);   // never early
static_assert(to_duration(span<int, std::pico>(-1'999)) == -1ns);
static_assert(to_duration(span<int, std::ratio<1, 60>>(1)) == 16'666'667ns);
static_assert(to_duration(span<double>(0.25)) == 250ms);
static_assert(to_duration(span<double, std::nano>(0.5)) == 1ns);
static_assert(to_duration(span<float>(std::numeric_limits<float>::infinity())) == duration::max());
static_assert(to_duration(span<double>(-1e300)) == duration::min());
static_assert(to_duration(span<double>(std::numeric_limits<double>::quiet_NaN())) == 0ns);

RONDO_TEST("sleep: a span of any unit is converted exactly, in every function that takes one",
           "[sleep][both]") {
    constexpr auto long_ago = seconds(-10'000'000'000);
    constexpr auto for_ever = span<std::uint64_t>::max();
    co_await sleep(long_ago);
    CHECK_FALSE(co_await move_on_after(1ms, sleep(for_ever)));
    CHECK_FALSE(co_await move_on_after(long_ago, sleep(for_ever)));
    CHECK(co_await wait_for(for_ever, sleep(0s, 1)) == 1);
    CHECK_THROWS_AS(co_await wait_for(span<double>(0.001), sleep(for_ever)), timeout_error);
    promise<> called, never;
    running_loop().call_later(long_ago, [&] { called.set_value(); });
    running_loop().call_later(for_ever, [&] { never.set_value(); });
    co_await called.get_future();
    const std::vector futures{never.get_future()};
    const auto waited = co_await wait(futures, return_when::all_completed, long_ago);
    CHECK(waited.done.empty());
    timer late(for_ever, [&] { never.set_value(); });
    late.start();
    CHECK(late.delay() == duration::max());
    co_await sleep(1ms);
    CHECK_FALSE(never.done());
}

RONDO_TEST("sleep: cancelled before, while and after", "[sleep][cancel]") {
    const auto make = [] { return sleep(1h); };
    co_await check_cancelled_before(make);
    co_await check_cancelled_while_suspended(make);
    CHECK(running_loop().stats().timers == 0);
    // After: a callback with the same deadline that was set earlier runs while the sleeper is
    // ready.
    const time_point when = running_loop().time() + 1s;
    observed seen;
    future<> sleeper;
    bool was_ready = false;
    running_loop().call_at(when, [&] {
        was_ready = sleeper.state() == task_state::ready;
        sleeper.cancel();
    });
    const auto make_until = [when] { return sleep_until(when); };
    sleeper = create_task(observe(make_until, &seen));
    co_await sleep(2s);
    CHECK(was_ready);
    CHECK(seen.first == outcome_of_wait::value);  // its deadline had passed
    CHECK(seen.next_threw);
    CHECK(sleeper.cancelled());
}

RONDO_TEST("sleep: cancelled before and while, also on the ring", "[sleep][cancel][both]") {
    const auto make = [] { return sleep(1h); };
    const auto make_zero = [] { return sleep(0s); };
    co_await check_cancelled_before(make);
    co_await check_cancelled_before(make_zero);
    co_await check_cancelled_while_suspended(make);
    CHECK(running_loop().stats().timers == 0);
}

// -- limits --------------------------------------------------------------------------------------

task<int> slow(duration delay) {
    co_await sleep(delay);
    co_return 4;
}

RONDO_TEST("wait_for: gives the value in time, else throws timeout_error", "[sleep]") {
    CHECK(co_await wait_for(2s, slow(1s)) == 4);
    const time_point start = running_loop().time();
    CHECK_THROWS_AS(co_await wait_for(1s, slow(2s)), timeout_error);
    CHECK(running_loop().time() - start < 2s);
    CHECK(running_loop().stats().timers == 0);
    CHECK(co_await wait_for(duration::max(), slow(1s)) == 4);
    CHECK_THROWS_AS(co_await wait_for(0s, slow(1s)), timeout_error);
    const auto immediately = []() -> task<int> { co_return 5; };
    CHECK(co_await wait_for(0s, immediately()) == 5);  // it ended with a value, which wins
    co_await wait_for(1s, sleep(1ms));
}

RONDO_TEST("wait_for: an inner error wins, an inner timeout stays the inner one's", "[sleep]") {
    const auto fails = []() -> task<> {
        co_await sleep(1s);
        throw std::out_of_range("inner");
    };
    CHECK_THROWS_AS(co_await wait_for(2s, fails()), std::out_of_range);
    bool inner_expired = false;
    const auto nested = [](bool* expired) -> task<int> {
        try {
            co_await wait_for(1s, slow(1h));
        } catch (const timeout_error&) {
            *expired = true;
        }
        co_return co_await slow(1s);
    };
    CHECK(co_await wait_for(5s, nested(&inner_expired)) == 4);
    CHECK(inner_expired);
    CHECK_THROWS_AS(co_await wait_for(1s, wait_for(5s, slow(1h))), timeout_error);
}

RONDO_TEST("move_on_after: an empty optional, or false", "[sleep]") {
    CHECK(co_await move_on_after(2s, slow(1s)) == std::optional<int>(4));
    CHECK_FALSE((co_await move_on_after(1s, slow(2s))).has_value());
    CHECK(co_await move_on_after(2s, sleep(1s)));
    CHECK_FALSE(co_await move_on_after(1s, sleep(2s)));
    promise<int> never;
    CHECK_FALSE((co_await move_on_after(1s, shield(never.get_future()))).has_value());
    CHECK_FALSE(never.done());
}

RONDO_TEST("with_timeout: the deadline can be read and moved", "[sleep]") {
    const auto patient = [](timeout_scope& scope) -> task<int> {
        CHECK(scope.when() == running_loop().time() + 1s);
        scope.reschedule(running_loop().time() + 1h);
        co_await sleep(10min);
        CHECK_FALSE(scope.expired());
        scope.reschedule(time_point::max());
        co_await sleep(24h);
        co_return 1;
    };
    CHECK(co_await with_timeout(1s, patient) == 1);
    const auto hasty = [](timeout_scope& scope) -> task<int> {
        scope.reschedule(running_loop().time());
        CHECK(scope.expired());
        scope.reschedule(time_point::max());  // has no effect any more
        CHECK(scope.expired());
        co_await yield_now();
        co_return 1;
    };
    CHECK_THROWS_AS(co_await with_timeout(1h, hasty), timeout_error);
}

// -- many sleepers -------------------------------------------------------------------------------

task<> sleep_and_count(time_point when, int* count, bool* early) {
    co_await sleep_until(when);
    *early = *early || running_loop().time() < when;
    ++*count;
}

task<> many_sleepers(int count, duration spread) {
    int ended = 0;
    bool early = false;
    const time_point start = running_loop().time() + 1ms;
    for (int i = 0; i < count; ++i)
        create_task(sleep_and_count(start + spread * (i % 1009) / 1009, &ended, &early));
    while (ended < count) co_await sleep(spread / 50 + 1us);
    CHECK_FALSE(early);
    CHECK(running_loop().stats().timers == 0);
}

RONDO_TEST("sleep: a million at the same time", "[sleep]", seeds(1).limit(60s)) {
    co_await many_sleepers(many(1'000'000, 100'000), 10min);
}
RONDO_TEST("sleep: a million at the same time, on the ring", "[sleep][kernel]", limit(60s)) {
    co_await many_sleepers(many(1'000'000, 100'000), 20ms);
}

RONDO_TEST("sleep: nine of ten of a hundred thousand are cancelled, and their timers removed",
           "[sleep][both]", seeds(2).limit(60s)) {
    const int count = many(100'000, 10'000);
    std::vector<future<>> all;
    all.reserve(static_cast<std::size_t>(count));
    const auto body = []() -> task<> { co_await sleep(1h); };
    for (int i = 0; i < count; ++i) all.push_back(create_task(body()));
    co_await yield_now();
    CHECK(running_loop().stats().timers == static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < all.size(); ++i)
        if (i % 10 != 0) all[i].cancel();
    CHECK(running_loop().stats().timers == static_cast<std::size_t>(count / 10));
    for (const auto& f : all)
        if (!f.done()) task_handle(f).cancel();
    CHECK(running_loop().stats().timers == 0);
    co_await finish();
    CHECK(std::all_of(all.begin(), all.end(), [](const future<>& f) { return f.cancelled(); }));
}

// -- inherited deadlines -------------------------------------------------------------------------

RONDO_TEST("current_scope: has the earliest deadline, also in children", "[sleep]") {
    CHECK(remaining() == duration::max());
    CHECK(current_scope().deadline() == time_point::max());
    const auto look = []() -> task<duration> {
        co_await yield_now();
        co_return remaining();
    };
    const auto inside = [&](timeout_scope& outer) -> task<> {
        CHECK(current_scope().deadline() == outer.when());
        co_await sleep(1500ms);
        CHECK(remaining() / 1s == 8);
        auto [child, limited] = co_await gather(look(), wait_for(1h, look()));
        CHECK(child / 1s == 8);
        CHECK(limited / 1s == 8);  // the outer deadline is earlier
        CHECK(co_await wait_for(2500ms, look()) / 1s == 2);
        CHECK(co_await shield(look()) == duration::max());  // no deadline reaches it there
        auto detached = create_task(look());
        CHECK(co_await detached == duration::max());
        outer.reschedule(time_point::max());
        CHECK(remaining() == duration::max());
    };
    co_await with_timeout(10s, inside);
    CHECK(remaining() == duration::max());
    const auto late = [&](timeout_scope&) -> task<> {
        CHECK(remaining() == duration::zero());
        CHECK(current_scope().cancel_requested());
        co_await yield_now();
    };
    CHECK_THROWS_AS(co_await with_timeout(0s, late), timeout_error);
}

RONDO_TEST("sleep: with a value gives it", "[sleep][both]") {
    CHECK(co_await sleep(1us, std::string("awake")) == "awake");
    const auto make = [] { return sleep(1h, 1); };
    co_await check_cancelled_before(make);
    co_await check_cancelled_while_suspended(make);
}

RONDO_TEST("sleep: counts from the await", "[sleep]") {
    const auto nap = sleep(10ms);
    co_await sleep(1s);
    const time_point before = running_loop().time();
    co_await nap;
    CHECK(running_loop().time() - before == 10ms);
    const auto until = sleep_until(running_loop().time() + 10ms);
    co_await sleep(1s);
    const time_point late = running_loop().time();
    co_await until;
    CHECK(running_loop().time() == late);
}

TEST_CASE("sleep: may be made before there is a loop", "[sleep]") {
    const auto nap = sleep(1ms);
    const auto body = [&]() -> task<> { co_await nap; };
    testing::simulate(body);
}

RONDO_TEST("timeout_scope: moved into the past, the next wait throws",
           "[sleep][both]") {
    bool moved = false;
    const auto body = [&](timeout_scope& limit) -> task<> {
        limit.reschedule(time_point::min());  // as if a read had completed with the deadline
        CHECK(limit.expired());
        limit.reschedule(running_loop().time() + 1h);
        moved = true;
        CHECK(limit.expired());
        co_await sleep(1us);
    };
    CHECK_THROWS_AS(co_await with_timeout(1h, body), timeout_error);
    CHECK(moved);
}

RONDO_TEST("with_timeout: its error tells the limit in force", "[sleep]") {
    const auto body = [](timeout_scope& limit) -> task<> {
        co_await sleep(1s);
        limit.reschedule(running_loop().time() + 2s);
        co_await sleep(1h);
    };
    CHECK_THROWS_WITH(co_await with_timeout(10s, body), Catch::Contains("after 3s"));
    CHECK_THROWS_WITH(co_await with_timeout(2s, body), Catch::Contains("after 3s"));
    const auto at_once = [](timeout_scope& limit) -> task<> {
        limit.reschedule(time_point::min());
        co_await sleep(1h);
    };
    CHECK_THROWS_WITH(co_await with_timeout(2s, at_once), Catch::Contains("after 0"));
}

}  // namespace
