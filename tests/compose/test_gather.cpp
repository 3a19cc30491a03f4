// SPDX-License-Identifier: MIT
// gather and map_concurrent: order, errors, cancellation, and that no child outlives them.
#include <rondo/gather.hpp>

#include <array>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <rondo/race.hpp>

#include "support/core_tools.hpp"

namespace {

using namespace rondo_tests;

task<int> after(duration delay, int value) {
    co_await sleep(delay);
    co_return value;
}

task<> fail_after(duration delay, std::string text) {
    co_await sleep(delay);
    throw std::invalid_argument(text);
}

/// Sleeps for ever, records its cancellation, and ends only a while later.
task<> stubborn(int* ended) {
    try {
        co_await sleep(24h);
    } catch (const cancelled&) {
    }
    co_await shield(rondo::detail::as_task(sleep(1ms)));
    ++*ended;
}

struct no_default {
    explicit no_default(int v) : value(v) {}
    int value;
};
task<no_default> made(int v) { co_return no_default(v); }

RONDO_TEST("gather: gives the values in argument order, in whichever order the tasks end",
           "[gather][both]") {
    auto [a, b, c] = co_await gather(after(3ms, 1), after(1ms, 2), after(2ms, 3));
    CHECK(a == 1);
    CHECK(b == 2);
    CHECK(c == 3);
}

RONDO_TEST("gather: runs its children at the same time", "[gather]") {
    const time_point start = running_loop().time();
    co_await gather(after(10s, 1), after(10s, 2), after(10s, 3));
    CHECK(running_loop().time() - start < 11s);
}

RONDO_TEST("gather: starts its children in argument order", "[gather][both]") {
    std::string order;
    const auto note = [&](char c) -> task<> {
        order += c;
        co_return;
    };
    co_await gather(note('a'), note('b'), note('c'));
    CHECK(order == "abc");
}

RONDO_TEST("gather: void is monostate beside values; all void gives nothing", "[gather][both]") {
    auto [nothing, one] = co_await gather(rondo::detail::as_task(sleep(1ms)), after(1ms, 1));
    static_assert(std::is_same_v<decltype(nothing), std::monostate>);
    CHECK(one == 1);
    static_assert(std::is_same_v<decltype(gather(sleep(1ms), sleep(1ms))), task<>>);
    co_await gather(sleep(1ms), sleep(1ms));
}

RONDO_TEST("gather: takes a range, also an empty one", "[gather][both]") {
    std::vector<task<int>> many;
    for (int i = 0; i < 100; ++i) many.push_back(after(1ms, i));
    const std::vector<int> values = co_await gather(std::move(many));
    REQUIRE(values.size() == 100);
    for (int i = 0; i < 100; ++i) CHECK(values[static_cast<std::size_t>(i)] == i);

    std::vector<task<int>> none;
    const std::vector<int> empty = co_await gather(std::move(none));
    CHECK(empty.empty());
}

RONDO_TEST("gather: values need neither a copy nor a default constructor", "[gather][both]") {
    const auto owned = [](int v) -> task<std::unique_ptr<int>> {
        co_return std::make_unique<int>(v);
    };
    auto [a, b] = co_await gather(made(1), owned(2));
    CHECK(a.value == 1);
    CHECK(*b == 2);
}

RONDO_TEST("gather: awaits futures without restarting them", "[gather][both]") {
    const auto text = [](std::string s) -> task<std::string> {
        co_await sleep(1ms);
        co_return s;
    };
    auto f = create_task(text("a string that is too long to be kept in place"));
    auto [x, y] = co_await gather(f, f);
    CHECK(x == y);
    CHECK(f.result() == x);  // copied: f still refers to it
    CHECK(co_await wait_for(1s, f) == x);
    CHECK(f.result() == x);
}

std::vector<future<std::string>> two_texts() {
    const auto text = [](std::string s) -> task<std::string> {
        co_await sleep(1ms);
        co_return s;
    };
    std::vector<future<std::string>> both;
    both.push_back(create_task(text("one text that is too long to be kept in place")));
    both.push_back(create_task(text("another text that is too long to be kept in place")));
    return both;
}

RONDO_TEST("gather: the owner of the futures in a view keeps them", "[gather][both]") {
    const auto owner = two_texts();
    std::vector<future<std::string>> copies = owner;
    const auto values = co_await gather(std::span(copies));
    CHECK(copies == owner);
    const auto outcomes = co_await gather_settled(std::span(copies));
    CHECK(copies == owner);
    CHECK(co_await race(std::span(copies)) == values[0]);
    CHECK(copies == owner);
    CHECK(outcomes[1].value() == values[1]);
    CHECK(copies[1].result() == values[1]);
    std::vector<task<int>> tasks;  // tasks are awaited once, so they are moved out
    tasks.push_back(after(1ms, 4));
    CHECK((co_await gather(std::span(tasks))).front() == 4);
    CHECK_FALSE(tasks.front().valid());
}

RONDO_TEST("gather: a value that cannot be copied is given once, later it is an error",
           "[gather][both]") {
    const auto owned = []() -> task<std::unique_ptr<int>> {
        co_await sleep(1ms);
        co_return std::make_unique<int>(5);
    };
    auto f = create_task(owned());
    auto [first, second] = co_await gather_settled(f, f);
    CHECK(*first.value() == 5);
    CHECK_THROWS_AS(second.value(), invalid_state_error);
    CHECK_THROWS_AS(f.result(), invalid_state_error);
    auto g = create_task(owned());
    CHECK_THROWS_AS(co_await gather(g, g), invalid_state_error);
    promise<std::unique_ptr<int>> given;
    auto h = given.get_future();
    given.set_value(std::make_unique<int>(6));
    CHECK_THROWS_AS(co_await gather(h, h), invalid_state_error);
    auto last = create_task(owned());
    CHECK(*co_await wait_for(1s, std::move(last)) == 5);
}

RONDO_TEST("gather: the first error cancels and awaits the others and keeps its type",
           "[gather][both]") {
    int ended = 0;
    bool caught = false;
    try {
        co_await gather(stubborn(&ended), fail_after(1ms, "first"), stubborn(&ended));
    } catch (const std::invalid_argument& e) {
        caught = true;
        CHECK(std::string(e.what()) == "first");
        CHECK(ended == 2);
    }
    CHECK(caught);
}

RONDO_TEST("gather: further errors go to the exception handler and name the first", "[gather]") {
    std::vector<std::string> reported;
    running_loop().set_exception_handler([&](const exception_context& context) {
        try {
            std::rethrow_exception(context.error);
        } catch (const std::exception& e) {
            reported.push_back(context.message + " / " + e.what());
        }
    });
    CHECK_THROWS_AS(co_await gather(fail_after(1ms, "one"), fail_after(1ms, "two")),
                    std::invalid_argument);
    running_loop().set_exception_handler({});
    REQUIRE(reported.size() == 1);
    CHECK(reported[0].find("the first one was: one") != std::string::npos);
    CHECK(reported[0].find("/ two") != std::string::npos);
}

RONDO_TEST("gather: cancelled, it cancels all and awaits their end", "[gather][both]") {
    int ended = 0;
    auto all = create_task(gather(stubborn(&ended), stubborn(&ended)));
    co_await finish();
    all.cancel();
    bool threw = false;
    try {
        co_await all;
    } catch (const future_cancelled&) {
        threw = true;
    }
    // both caught the cancellation and returned (void): gather returns then
    CHECK_FALSE(threw);
    CHECK(ended == 2);

    auto sleepers = create_task(gather(sleep(24h), sleep(24h)));
    co_await finish();
    sleepers.cancel();
    CHECK_THROWS_AS(co_await sleepers, future_cancelled);
}

RONDO_TEST("gather: cancelled before it starts, its children end at their first wait",
           "[gather][both]") {
    int begun = 0;
    const auto child = [&]() -> task<> {
        ++begun;
        co_await sleep(1h);
    };
    auto all = create_task(gather(child(), child()));
    all.cancel();
    CHECK_THROWS_AS(co_await all, future_cancelled);
    CHECK(begun == 0);
}

RONDO_TEST("gather: a child that is cancelled alone is an error of gather", "[gather][both]") {
    const auto suicidal = []() -> task<int> {
        current_task().cancel();
        co_await sleep(1s);
        co_return 1;
    };
    CHECK_THROWS_AS(co_await gather(suicidal(), after(1h, 2)), future_cancelled);
}

RONDO_TEST("gather: times out as a whole, and its children have ended then", "[gather]") {
    int ended = 0;
    CHECK_THROWS_AS(
        co_await wait_for(1s, gather(stubborn(&ended), rondo::detail::as_task(sleep(24h)))),
        timeout_error);
    CHECK(ended == 1);
}

RONDO_TEST("gather: nests deeply without recursion", "[gather]", seeds(1)) {
    struct nest {
        static task<int> down(int depth) {
            if (depth == 0) co_return 0;
            auto [below] = co_await gather(down(depth - 1));
            co_return below + 1;
        }
    };
    CHECK(co_await nest::down(10'000) == 10'000);
}

RONDO_TEST("gather: a hundred thousand children are cancelled at a linear cost", "[gather]",
           seeds(1).limit(60s)) {
    std::vector<task<>> many;
    for (int i = 0; i < 100'000; ++i) many.push_back(rondo::detail::as_task(sleep(24h)));
    CHECK_THROWS_AS(co_await wait_for(1s, gather(std::move(many))), timeout_error);
}

// -- gather_settled ------------------------------------------------------------------------------

RONDO_TEST("gather_settled: gives every outcome in order, and cancels none", "[gather][both]") {
    auto [a, b, c, d] = co_await gather_settled(after(3ms, 1), fail_after(1ms, "no"), made(4),
                                                rondo::detail::as_task(sleep(2ms)));
    CHECK(a.value() == 1);
    REQUIRE(b.has_exception());
    CHECK_THROWS_AS(b.take(), std::invalid_argument);
    CHECK(c.value().value == 4);
    CHECK(d.has_value());
    std::vector<task<int>> several;
    for (int i = 0; i < 3; ++i)
        several.push_back(after(std::chrono::microseconds(300 - 100 * i), i));
    const auto all = co_await gather_settled(std::move(several));
    REQUIRE(all.size() == 3);
    for (int i = 0; i < 3; ++i) CHECK(all[static_cast<std::size_t>(i)].value() == i);
    CHECK((co_await gather_settled(std::vector<task<>>())).empty());
}

RONDO_TEST("gather_settled: the same future twice, and one that was cancelled", "[gather][both]") {
    auto shared = create_task(after(1ms, 5));
    auto [first, second] = co_await gather_settled(shared, shared);
    CHECK(first.value() == 5);
    CHECK(second.value() == 5);
    auto doomed = create_task(after(1h, 5));
    doomed.cancel();
    auto [cut, whole] = co_await gather_settled(doomed, after(1us, 6));
    CHECK_THROWS_AS(cut.value(), future_cancelled);
    CHECK(whole.value() == 6);
    const auto suicidal = []() -> task<int> {
        current_task().cancel();
        co_await sleep(1s);
        co_return 1;
    };
    auto [own, other] = co_await gather_settled(suicidal(), after(1us, 7));
    CHECK_THROWS_AS(own.value(), future_cancelled);
    CHECK(other.value() == 7);
}

RONDO_TEST("gather_settled: cancelled in three forms", "[gather][both]") {
    const auto make = [] { return gather_settled(after(1h, 1), after(1h, 2)); };
    co_await check_cancelled_before(make);
    co_await check_cancelled_while_suspended(make);
    promise<int> last;
    observed seen;
    const auto keeps = [f = last.get_future()]() -> task<int> { co_return co_await f; };
    const auto with_last = [&] { return gather_settled(keeps()); };
    auto waiting = create_task(observe(with_last, &seen));
    co_await finish();
    last.set_value(1);
    co_await yield_now();  // the child has ended, and its parent is ready
    waiting.cancel();
    CHECK_THROWS_AS(co_await waiting, future_cancelled);
    CHECK(seen.first == outcome_of_wait::value);  // a child that has ended has its outcome
    CHECK(seen.next_threw);
}

RONDO_TEST("gather_settled: cancelled, it awaits its children, and their errors are reported",
           "[gather]") {
    int reports = 0;
    running_loop().set_exception_handler([&reports](const exception_context&) { ++reports; });
    int ended = 0;
    CHECK_THROWS_AS(co_await wait_for(2s, gather_settled(stubborn(&ended), fail_after(1s, "lost"),
                                                         after(1h, 1))),
                    timeout_error);
    CHECK(ended == 1);
    CHECK(reports == 1);
}

// -- map_concurrent ------------------------------------------------------------------------------

RONDO_TEST("map_concurrent: keeps the order of the range and the limit", "[gather][both]") {
    int running = 0;
    int most = 0;
    std::vector<int> range;
    for (int i = 0; i < 20; ++i) range.push_back(i);
    const auto work = [&](int i) -> task<int> {
        most = std::max(most, ++running);
        co_await sleep(std::chrono::microseconds(100 * (i % 3)));
        --running;
        co_return i * i;
    };
    const auto values = co_await map_concurrent(4, range, work);
    REQUIRE(values.size() == 20);
    for (int i = 0; i < 20; ++i) CHECK(values[static_cast<std::size_t>(i)] == i * i);
    CHECK(most == 4);
}

RONDO_TEST("map_concurrent: void, empty ranges, elements by reference", "[gather][both]") {
    std::vector<std::string> words{"a", "bb", "ccc"};
    std::size_t letters = 0;
    const auto count = [&](const std::string& word) -> task<> {
        co_await sleep(1ms);
        letters += word.size();
    };
    co_await map_concurrent(2, words, count);
    CHECK(letters == 6);
    words.clear();
    co_await map_concurrent(2, words, count);
    CHECK(letters == 6);
}

RONDO_TEST("map_concurrent: the first error ends it and leaves the rest out", "[gather][both]") {
    int begun = 0;
    const std::array range{1, 2, 3, 4, 5, 6, 7, 8};
    const auto work = [&](int i) -> task<> {
        ++begun;
        co_await sleep(1ms);
        if (i == 2) throw std::out_of_range("two");
        co_await sleep(24h);
    };
    CHECK_THROWS_AS(co_await map_concurrent(3, range, work), std::out_of_range);
    CHECK(begun == 3);
}

RONDO_TEST("map_concurrent: a function that throws instead of returning a task ends it too",
           "[gather][both]") {
    const std::array range{1, 2, 3};
    const auto work = [](int i) -> task<> {
        if (i == 2) throw std::out_of_range("no task for two");
        return rondo::detail::as_task(sleep(24h));
    };
    CHECK_THROWS_AS(co_await map_concurrent(3, range, work), std::out_of_range);
}

RONDO_TEST("map_concurrent: cancelled, it ends the running tasks and starts no more",
           "[gather][both]") {
    int begun = 0;
    std::vector<int> range(10);
    const auto work = [&](int) -> task<> {
        ++begun;
        co_await sleep(24h);
    };
    auto all = create_task(map_concurrent(2, range, work));
    co_await finish();
    all.cancel();
    CHECK_THROWS_AS(co_await all, future_cancelled);
    CHECK(begun == 2);
}

}  // namespace
