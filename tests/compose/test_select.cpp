// SPDX-License-Identifier: MIT
// select: who has won, ties, errors, cancellation, and what is asked without starting a task.
// test_select_lossless.cpp shows that losers lose nothing.
#include <rondo/select.hpp>

#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include <rondo/bridge.hpp>
#include <rondo/queue.hpp>
#include <rondo/sync.hpp>
#include <rondo/timer.hpp>

#include "support/core_tools.hpp"

namespace {

using namespace rondo_tests;

task<int> number(duration delay, int value) {
    co_await sleep(delay);
    co_return value;
}
task<> nothing(duration delay) { co_await sleep(delay); }

task<int> refuse(duration delay) {
    co_await sleep(delay);
    throw std::invalid_argument("refused");
}

task<int> slow_to_go(int* gone) {
    try {
        co_await sleep(24h);
    } catch (const cancelled&) {
    }
    co_await shield(rondo::detail::as_task(sleep(1ms)));
    ++*gone;
    throw cancelled();
}

RONDO_TEST("select: index() says who has ended, also among equal types", "[select][both]") {
    const auto same = co_await select(number(1h, 1), number(1ms, 2));
    static_assert(std::is_same_v<decltype(same), const std::variant<int, int>>);
    REQUIRE(same.index() == 1);
    CHECK(std::get<1>(same) == 2);
    const auto voids = co_await select(nothing(1h), nothing(0s), nothing(1h));
    static_assert(std::is_same_v<std::variant_alternative_t<0, decltype(voids)>,
                                 const std::monostate>);
    CHECK(voids.index() == 1);
    const auto alone = co_await select(number(0s, 5));
    CHECK(std::get<0>(alone) == 5);
}

RONDO_TEST("select: the others have ended when it returns", "[select][both]") {
    int gone = 0;
    const auto who = co_await select(slow_to_go(&gone), nothing(1ms), slow_to_go(&gone));
    CHECK(who.index() == 1);
    CHECK(gone == 2);
}

RONDO_TEST("select: of several that are ready the first argument wins, the others keep theirs",
           "[select][both]") {
    queue<int> one, other;
    event set;
    set.set();
    for (int i = 0; i < 300; ++i) {  // more than a task may do at a stretch
        co_await one.put(1);
        co_await other.put(2);
        const auto what = co_await select(one.next(), set.wait(), other.next());
        REQUIRE(what.index() == 0);
        const auto event_first = co_await select(set.wait(), other.next());
        REQUIRE(event_first.index() == 0);
        REQUIRE(one.size() == 0);
        REQUIRE(other.size() == 1);
        const auto last = co_await select(one.next(), other.next());
        REQUIRE(last.index() == 1);
        REQUIRE(std::get<1>(last) == 2);
    }
}

RONDO_TEST("select: a moment that has passed goes before a queue that is never empty",
           "[select]") {
    queue<int> jobs;
    for (int i = 0; i < 400; ++i) co_await jobs.put(i);
    const auto busy = []() -> task<int> {
        co_await sleep(24h);
        co_return 0;
    };
    interval every(1ms);
    int beats = 0;
    for (int round = 0; round < 200; ++round) {
        co_await sleep(10ms);
        const auto what = co_await select(every.tick(), jobs.next());
        beats += what.index() == 0 ? 1 : 0;
        const auto by_task = co_await select(busy(), sleep_until(running_loop().time()),
                                             jobs.next());
        REQUIRE(by_task.index() == 1);
    }
    CHECK(beats == 200);
}

RONDO_TEST("select: each kind of wait that is ready is taken without a task", "[select][both]") {
    bool suspended = false;
    const auto other_task = [&]() -> task<> {
        suspended = true;
        co_return;
    };
    queue<int> numbers;
    bridge_queue<int> bridged;
    bridge_event rung;
    event set;
    mutex lock;
    rwlock shared;
    semaphore places(1);
    watch<int> latest(7);
    promise<int> given;
    set.set();
    rung.set();
    given.set_value(8);
    std::uint64_t seen = 0;
    co_await numbers.put(1);
    co_await bridged.put(2);
    broadcast<int> sender(2);
    auto subscriber = sender.subscribe();
    sender.send(9);
    queue<int> empty;
    auto other = create_task(other_task());
    CHECK(*std::get<1>(co_await select(empty.next(), numbers.next())) == 1);
    CHECK(*std::get<1>(co_await select(empty.next(), bridged.next())) == 2);
    CHECK((co_await select(empty.next(), rung.wait())).index() == 1);
    CHECK((co_await select(empty.next(), set.wait())).index() == 1);
    CHECK((co_await select(empty.next(), lock.lock())).index() == 1);
    CHECK((co_await select(empty.next(), shared.lock())).index() == 1);
    CHECK((co_await select(empty.next(), places.acquire())).index() == 1);
    CHECK(std::get<1>(co_await select(empty.next(), latest.changed(seen))));
    CHECK(std::get<1>(co_await select(empty.next(), given.get_future())) == 8);
    CHECK(*std::get<1>(co_await select(empty.next(), subscriber.next())) == 9);
    CHECK(!suspended);  // a select that starts tasks waits for their end
    co_await other;
    CHECK(!lock.locked());
    CHECK(places.available() == 1);
}

RONDO_TEST("select: the error of the first to end is thrown as the type it is",
           "[select][both]") {
    CHECK_THROWS_AS(co_await select(nothing(1h), refuse(1ms)), std::invalid_argument);
    promise<int> fails;
    fails.set_exception(std::make_exception_ptr(std::out_of_range("no")));
    event never;
    CHECK_THROWS_AS(co_await select(never.wait(), fails.get_future()), std::out_of_range);
    const auto what = co_await select(nothing(0s), refuse(1h));
    CHECK(what.index() == 0);
}

RONDO_TEST("select: of a range gives the place and the value", "[select][both]") {
    std::vector<task<int>> all;
    all.push_back(number(1h, 1));
    all.push_back(number(1ms, 2));
    const auto [place, value] = co_await select(std::move(all));
    CHECK(place == 1);
    CHECK(value == 2);
    std::vector<task<>> voids;
    for (int i = 3; i > 0; --i) voids.push_back(nothing(i * 1ms));
    const auto last = co_await select(std::move(voids));
    CHECK(last.first == 2);
    CHECK_THROWS_AS(co_await select(std::vector<task<int>>()), std::invalid_argument);
}

RONDO_TEST("select: is an awaitable like others", "[select][both]") {
    event never;
    queue<int> jobs;
    const bool in_time = (co_await move_on_after(1ms, select(never.wait(), jobs.next())))
                             .has_value();
    CHECK(!in_time);
    co_await jobs.put(3);
    auto named = select(never.wait(), jobs.next());
    CHECK(*std::get<1>(co_await std::move(named)) == 3);
    co_await jobs.put(4);
    auto started = create_task(select(never.wait(), jobs.next()));
    CHECK(*std::get<1>(co_await started) == 4);
    const auto [inner, outer] =
        co_await gather(select(never.wait(), nothing(1ms)), select(nothing(2ms), never.wait()));
    CHECK(inner.index() == 1);
    CHECK(outer.index() == 0);
}

RONDO_TEST("select: cancelled in three forms", "[select][both]") {
    event never;
    queue<int> jobs;
    const auto make = [&] { return select(never.wait(), jobs.next(), number(1h, 1)); };
    co_await check_cancelled_before(make);
    co_await check_cancelled_while_suspended(make);
    co_await jobs.put(1);
    co_await check_cancelled_before(make);  // although an item is there
    CHECK(jobs.size() == 1);
    CHECK(*jobs.try_get() == 1);
    observed seen;
    bool put = false;
    auto waiting = create_task(observe(make, &seen));
    co_await finish();
    put = jobs.try_put(2);  // promised to a child, which has not run
    waiting.cancel();
    CHECK_THROWS_AS(co_await waiting, future_cancelled);
    CHECK(put);
    CHECK(jobs.size() == 1);  // it is back, and the wait has thrown
    CHECK(seen.first == outcome_of_wait::cancelled);
    CHECK(*jobs.try_get() == 2);
}

RONDO_TEST("select: a value that comes in spite of a cancellation is returned", "[select][both]") {
    observed seen;
    const auto stays = []() -> task<int> {
        co_await shield(rondo::detail::as_task(sleep(1ms)));
        co_return 2;
    };
    event never;
    const auto make = [&] { return select(never.wait(), stays()); };
    auto waiting = create_task(observe(make, &seen));
    co_await finish();
    waiting.cancel();
    CHECK_THROWS_AS(co_await waiting, future_cancelled);
    CHECK(seen.first == outcome_of_wait::value);
    CHECK(seen.next_threw);
}

RONDO_TEST("select: the task of a future that its caller holds runs on if it loses",
           "[select][both]") {
    event go;
    const auto answer = [&]() -> task<int> {
        co_await go.wait();
        co_return 42;
    };
    auto running = create_task(answer());
    const auto& same = running;
    for (int turn = 0; turn < 3; ++turn)
        CHECK((co_await select(sleep(1ms), running, same)).index() == 0);
    // A cancellation of the select itself leaves it alone, too.
    const bool in_time = co_await move_on_after(1ms, [](future<int>& f) -> task<> {
        co_await select(sleep(1h), f);
    }(running));
    CHECK_FALSE(in_time);
    // The same for a range of them.
    std::vector<future<int>> several{create_task(answer()), create_task(answer())};
    CHECK((co_await select(sleep(1ms), select(several))).index() == 0);
    // A future that is given away ends with the select.
    auto given = create_task(answer());
    const auto handle = given;
    co_await select(sleep(1ms), std::move(given));
    CHECK(handle.cancelled());
    go.set();
    CHECK(std::get<1>(co_await select(sleep(1h), running)) == 42);
    CHECK(std::get<1>(co_await select(sleep(1h), running)) == 42);  // of one that has ended
    const auto ended = co_await select(several);
    CHECK(ended.second == 42);
    CHECK(co_await several[1 - ended.first] == 42);
}

}  // namespace
