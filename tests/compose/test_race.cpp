// SPDX-License-Identifier: MIT
// race, race_success and staggered_race: the winner, the end of the others, their errors,
// cancellation.
#include <rondo/race.hpp>

#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include <rondo/sync.hpp>

#include "support/core_tools.hpp"

namespace {

using namespace rondo_tests;

task<std::string> answer(duration delay, std::string text) {
    co_await sleep(delay);
    co_return text;
}

task<std::string> refuse(duration delay, std::string why) {
    co_await sleep(delay);
    throw std::invalid_argument(why);
}

/// Gives an answer, or if cancelled, ends only a while later.
task<std::string> slow_to_go(int* gone) {
    try {
        co_await sleep(24h);
    } catch (const cancelled&) {
    }
    co_await shield(rondo::detail::as_task(sleep(1ms)));
    ++*gone;
    throw cancelled();
}

RONDO_TEST("race: the first answer wins, and the others have ended when it returns",
           "[race][both]") {
    int gone = 0;
    CHECK(co_await race(slow_to_go(&gone), answer(1ms, "quick"), slow_to_go(&gone)) == "quick");
    CHECK(gone == 2);
}

RONDO_TEST("race: an error of the first to end is thrown, and the others have ended",
           "[race][both]") {
    int gone = 0;
    std::string caught;
    try {
        co_await race(slow_to_go(&gone), refuse(1ms, "refused"), answer(1h, "late"));
    } catch (const std::invalid_argument& e) {
        caught = e.what();
    }
    CHECK(caught == "refused");
    CHECK(gone == 1);
}

/// Gives its answer although it is cancelled.
task<std::string> stubborn(std::string text) {
    co_await shield(rondo::detail::as_task(sleep(2ms)));
    co_return text;
}

RONDO_TEST("race: a value that comes after the first error does not win", "[race][both]") {
    CHECK_THROWS_AS(co_await race(refuse(1ms, "refused"), stubborn("late")),
                    std::invalid_argument);
    std::vector<task<std::string>> all;
    all.push_back(stubborn("late"));
    all.push_back(refuse(1ms, "refused"));
    CHECK_THROWS_AS(co_await race(std::move(all)), std::invalid_argument);
}

RONDO_TEST("race: further errors are reported, with the first one named", "[race]") {
    std::vector<std::string> reports;
    running_loop().set_exception_handler([&reports](const exception_context& context) {
        reports.push_back(context.message);
    });
    const auto fails_late = []() -> task<std::string> {
        co_await shield(rondo::detail::as_task(sleep(2ms)));
        throw std::runtime_error("too");
    };
    CHECK_THROWS_AS(co_await race(fails_late(), refuse(1ms, "quick")), std::invalid_argument);
    REQUIRE(reports.size() == 1);
    CHECK(reports[0].find("quick") != std::string::npos);
}

RONDO_TEST("race: a server ends with its client, also if the client fails", "[race][both]") {
    event never, stopped;
    const auto serve = [&]() -> task<> {
        try {
            co_await never.wait();
        } catch (const cancelled&) {
            stopped.set();
            throw;
        }
    };
    const auto client = []() -> task<> {
        co_await sleep(1ms);
        throw std::runtime_error("the client has failed");
    };
    CHECK_THROWS_AS(co_await race(serve(), client()), std::runtime_error);
    CHECK(stopped.is_set());
}

RONDO_TEST("race: one that is cancelled by its own future ends it", "[race][both]") {
    const auto gives_up = []() -> task<> {
        current_task().cancel();
        co_await sleep(1h);
    };
    CHECK_THROWS_AS(co_await race(gives_up(), rondo::detail::as_task(sleep(1h))),
                    future_cancelled);
    co_await race_success(gives_up(), rondo::detail::as_task(sleep(1ms)));
}

RONDO_TEST("race_success: an error does not win, and is dropped if another task wins",
           "[race][both]") {
    CHECK(co_await race_success(refuse(0s, "first"), refuse(1ms, "second"),
                                answer(2ms, "late")) == "late");
}

RONDO_TEST("race_success: if all fail the first error is thrown, the others are reported",
           "[race]") {
    std::vector<std::string> reports;
    running_loop().set_exception_handler([&reports](const exception_context& context) {
        reports.push_back(context.message);
    });
    std::string caught;
    try {
        co_await race_success(refuse(2s, "slow"), refuse(1s, "quick"));
    } catch (const std::invalid_argument& e) {
        caught = e.what();
    }
    CHECK(caught == "quick");
    REQUIRE(reports.size() == 1);
    CHECK(reports[0].find("quick") != std::string::npos);  // it names the first one
}

RONDO_TEST("race: an error of a cancelled loser goes to the exception handler", "[race]") {
    std::vector<std::exception_ptr> reports;
    running_loop().set_exception_handler(
        [&reports](const exception_context& context) { reports.push_back(context.error); });
    const auto fails_at_its_end = []() -> task<std::string> {
        try {
            co_await sleep(24h);
        } catch (const cancelled&) {
            throw std::runtime_error("could not clean up");
        }
        co_return "never";
    };
    CHECK(co_await race(fails_at_its_end(), answer(1s, "good")) == "good");
    REQUIRE(reports.size() == 1);
    CHECK_THROWS_AS(std::rethrow_exception(reports[0]), std::runtime_error);
}

RONDO_TEST("race: if several are done at once, the first in argument order wins", "[race][both]") {
    CHECK(co_await race(answer(0s, "a"), answer(0s, "b")) == "a");
    std::vector<task<int>> ready;
    for (int i = 0; i < 5; ++i)
        ready.push_back([](int value) -> task<int> { co_return value; }(i));
    CHECK(co_await race(std::move(ready)) == 0);
}

RONDO_TEST("race: of several types gives a variant whose index tells the winner", "[race][both]") {
    const auto number = []() -> task<int> { co_return 7; };
    const auto nothing = []() -> task<> { co_await sleep(1h); };
    const auto who = co_await race(nothing(), number(), answer(1h, "x"));
    REQUIRE(who.index() == 1);
    CHECK(std::get<1>(who) == 7);
    const auto quick = []() -> task<> { co_return; };
    const auto other = co_await race(number(), quick());
    CHECK(other.index() == 0);
    co_await race(quick(), quick());  // all void: gives nothing
}

RONDO_TEST("race: futures are only awaited; a loser goes on if another task waits for it",
           "[race][both]") {
    auto slow = create_task(answer(2ms, "slow"));
    const auto look = [](future<std::string> f) -> task<std::string> { co_return co_await f; };
    auto waiting = create_task(look(slow));
    co_await finish();
    CHECK(co_await race(slow, create_task(answer(0s, "quick"))) == "quick");
    CHECK(co_await waiting == "slow");
}

RONDO_TEST("race: an empty range is an error", "[race][both]") {
    CHECK_THROWS_AS(co_await race(std::vector<task<int>>()), std::invalid_argument);
    CHECK_THROWS_AS(co_await race_success(std::vector<task<int>>()), std::invalid_argument);
}

RONDO_TEST("race: cancelled in three forms", "[race][both]") {
    const auto make = [] { return race(answer(1h, "a"), answer(1h, "b")); };
    co_await check_cancelled_before(make);
    co_await check_cancelled_while_suspended(make);
    const auto success = [] { return race_success(answer(1h, "a"), answer(1h, "b")); };
    co_await check_cancelled_before(success);
    co_await check_cancelled_while_suspended(success);
    promise<std::string> given;
    observed seen;
    const auto both = [f = given.get_future()] { return race(f, answer(1h, "b")); };
    auto waiting = create_task(observe(both, &seen));
    co_await finish();
    given.set_value("won");  // its child is ready, and has not run
    waiting.cancel();
    CHECK_THROWS_AS(co_await waiting, future_cancelled);
    CHECK(seen.first == outcome_of_wait::cancelled);  // a future keeps its value (law 3)
    CHECK(given.get_future().result() == "won");
}

RONDO_TEST("race: a winner's value is returned in spite of a cancellation", "[race][both]") {
    promise<> on;
    observed seen;
    const auto child = [f = on.get_future()]() -> task<int> {
        co_await shield(f);
        co_return 1;
    };
    const auto stays = []() -> task<int> {
        co_await shield(rondo::detail::as_task(sleep(1ms)));
        co_return 2;
    };
    const auto check = [&](auto make) -> task<> {
        auto waiting = create_task(observe(make, &seen));
        co_await finish();
        waiting.cancel();
        CHECK_THROWS_AS(co_await waiting, future_cancelled);
        CHECK(seen.first == outcome_of_wait::value);
        CHECK(seen.next_threw);
    };
    const auto first_to_end = [&] { return race(child(), stays()); };
    co_await check(first_to_end);
    const auto first_success = [&] { return race_success(child(), stays()); };
    co_await check(first_success);
    on.set_value();
}

// -- staggered_race ------------------------------------------------------------------------------

struct runner {
    duration needs;
    bool works;
};

task<duration> run_it(runner r, std::vector<duration>* starts, time_point from) {
    starts->push_back(running_loop().time() - from);
    co_await sleep(r.needs);
    if (!r.works) throw std::runtime_error("it does not work");
    co_return r.needs;
}

RONDO_TEST("staggered_race: the next task starts after the delay", "[race]") {
    std::vector<duration> starts;
    const std::vector<runner> all{{10s, true}, {3s, true}, {1h, true}, {1h, true}};
    const auto run = [&, from = running_loop().time()](runner r) {
        return run_it(r, &starts, from);
    };
    CHECK(co_await staggered_race(1s, all, run) == 3s);
    REQUIRE(starts.size() == 4);
    for (int i = 0; i < 4; ++i) CHECK(starts[static_cast<std::size_t>(i)] / 1s == i);
}

RONDO_TEST("staggered_race: the next task starts when one has failed", "[race]") {
    std::vector<duration> starts;
    const std::vector<runner> all{{1ms, false}, {2ms, false}, {5s, true}, {1h, true}};
    const auto run = [&, from = running_loop().time()](runner r) {
        return run_it(r, &starts, from);
    };
    CHECK(co_await staggered_race(10s, all, run) == 5s);
    CHECK(starts.size() == 3);
    CHECK(starts.back() < 1s);
}

RONDO_TEST("staggered_race: after two failures at once, two others start", "[race]") {
    promise<> fails;
    int started = 0;
    const auto run = [&](int which) -> task<int> {
        ++started;
        if (which < 2) co_await fails.get_future();
        if (which == 2) co_await sleep(24h);
        co_return which;
    };
    const auto fail = [&]() -> task<> {
        while (started < 2) co_await sleep(1ms);
        fails.set_exception(std::make_exception_ptr(std::runtime_error("both")));
    };
    auto failing = create_task(fail());
    const time_point from = running_loop().time();
    const std::vector<int> all{0, 1, 2, 3};
    CHECK(co_await staggered_race(1s, all, run) == 3);
    CHECK(started == 4);
    CHECK(running_loop().time() - from < 1500ms);  // no further second for the second one
    co_await failing;
}

RONDO_TEST("staggered_race: a callable that throws counts as a failed task", "[race]") {
    running_loop().set_exception_handler([](const exception_context&) {});
    const time_point from = running_loop().time();
    const auto run = [](int which) -> task<int> {
        if (which < 2) throw std::out_of_range("no such address");
        return [](int n) -> task<int> { co_return n; }(which);
    };
    const std::vector<int> all{0, 1, 2, 3};
    CHECK(co_await staggered_race(10s, all, run) == 2);
    CHECK(running_loop().time() - from < 1s);  // each failure started the next one
    const std::vector<int> none{0, 1};
    CHECK_THROWS_AS(co_await staggered_race(10s, none, run), std::out_of_range);
}

RONDO_TEST("staggered_race: if all fail, the first error is thrown", "[race]") {
    running_loop().set_exception_handler([](const exception_context&) {});
    std::vector<duration> starts;
    const std::vector<runner> all{{1ms, false}, {1ms, false}};
    const auto run = [&, from = running_loop().time()](runner r) {
        return run_it(r, &starts, from);
    };
    CHECK_THROWS_AS(co_await staggered_race(10s, all, run), std::runtime_error);
    CHECK(starts.size() == 2);
    CHECK_THROWS_AS(co_await staggered_race(10s, std::vector<runner>(), run),
                    std::invalid_argument);
}

RONDO_TEST("staggered_race: takes a range of callables too", "[race][both]") {
    using starter = task<std::string> (*)();
    const std::vector<starter> starters{[] { return refuse(0s, "no"); },
                                        [] { return answer(0s, "yes"); }};
    CHECK(co_await staggered_race(1h, starters) == "yes");
}

RONDO_TEST("staggered_race: cancelled in three forms", "[race][both]") {
    std::vector<duration> starts;
    const std::vector<runner> all{{1h, true}, {1h, true}};
    const auto run = [&](runner r) { return run_it(r, &starts, time_point()); };
    const auto make = [&] { return staggered_race(30min, all, run); };
    co_await check_cancelled_before(make);
    CHECK(starts.empty());
    co_await check_cancelled_while_suspended(make);
    CHECK(starts.size() == 1);
    promise<> fails;
    const auto on_call = [&](int which) -> task<int> {
        if (which == 1) co_await sleep(1h);
        co_await shield(fails.get_future());
        co_return which;
    };
    observed seen;
    const auto once = [&] { return staggered_race(1h, std::vector<int>{0, 1}, on_call); };
    const auto complete = [&] {
        fails.set_exception(std::make_exception_ptr(std::runtime_error("no")));
    };
    auto waiting = create_task(observe(once, &seen));
    co_await finish();
    complete();  // the first one will fail, and has not yet
    waiting.cancel();
    CHECK_THROWS_AS(co_await waiting, future_cancelled);
    CHECK(seen.next_threw);
    CHECK(fails.get_future().exception() != nullptr);  // the cancelled race did not retrieve it
}

}  // namespace
