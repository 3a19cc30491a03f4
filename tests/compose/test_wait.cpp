// SPDX-License-Identifier: MIT
// wait: divides futures into done and pending, and owns none of them.
#include <rondo/wait.hpp>

#include <stdexcept>
#include <vector>

#include <rondo/as_completed.hpp>

#include "support/child.hpp"
#include "support/core_tools.hpp"

namespace {

using namespace rondo_tests;

task<int> after(duration delay, int value) {
    co_await sleep(delay);
    co_return value;
}

task<int> fail_after(duration delay) {
    co_await sleep(delay);
    throw std::runtime_error("failed");
}

RONDO_TEST("wait: all_completed waits for all, in the order given", "[wait][both]") {
    std::vector<future<int>> asked;
    for (int i = 0; i < 5; ++i)
        asked.push_back(create_task(after(std::chrono::milliseconds(5 - i), i)));
    auto [done, pending] = co_await rondo::wait(asked);
    CHECK(pending.empty());
    REQUIRE(done.size() == 5);
    for (int i = 0; i < 5; ++i) CHECK(done[static_cast<std::size_t>(i)].result() == i);
}

RONDO_TEST("wait: first_completed leaves the others running", "[wait]") {
    std::vector<future<int>> asked;
    asked.push_back(create_task(after(9s, 1)));
    asked.push_back(create_task(after(4s, 2)));
    asked.push_back(create_task(after(7s, 3)));
    auto [done, pending] = co_await rondo::wait(asked, return_when::first_completed);
    REQUIRE(done.size() == 1);
    CHECK(done.front().result() == 2);
    REQUIRE(pending.size() == 2);
    CHECK(pending[0] == asked[0]);
    CHECK(pending[1] == asked[2]);
    CHECK(co_await pending[1] == 3);
    CHECK(co_await pending[0] == 1);
}

RONDO_TEST("wait: first_exception returns at an error or a cancellation, else waits for all",
           "[wait]") {
    std::vector<future<int>> asked;
    asked.push_back(create_task(after(1s, 1)));
    asked.push_back(create_task(fail_after(2s)));
    asked.push_back(create_task(after(3s, 3)));
    auto [done, pending] = co_await rondo::wait(asked, return_when::first_exception);
    CHECK(done.size() == 2);
    REQUIRE(pending.size() == 1);
    CHECK_THROWS_AS(asked[1].result(), std::runtime_error);

    std::vector<future<int>> last{asked[2], create_task(after(24h, 4))};
    last[1].cancel();
    auto [ended, going] = co_await rondo::wait(last, return_when::first_exception);
    REQUIRE(ended.size() == 1);
    CHECK(ended[0].cancelled());
    CHECK(co_await going[0] == 3);
}

RONDO_TEST("wait: a timeout cancels none of them and is no error", "[wait]") {
    std::vector<future<int>> asked{create_task(after(1s, 1)), create_task(after(5s, 2))};
    auto [done, pending] = co_await rondo::wait(asked, return_when::all_completed, 2s);
    CHECK(done.size() == 1);
    REQUIRE(pending.size() == 1);
    CHECK_FALSE(pending[0].done());
    auto [none, both] = co_await rondo::wait(pending, return_when::all_completed, 0s);
    CHECK(none.empty());
    CHECK(both.size() == 1);
    CHECK(co_await pending[0] == 2);
}

RONDO_TEST("wait: an empty range, futures that are done, and one future twice: it comes once",
           "[wait][both]") {
    std::vector<future<int>> asked;
    auto [no, none] = co_await rondo::wait(asked);
    CHECK((no.empty() && none.empty()));
    auto f = create_task(after(1ms, 1));
    promise<int> late;
    const auto g = late.get_future();
    asked = {g, f, g, f};
    auto [first, left] = co_await rondo::wait(asked, return_when::first_completed);
    CHECK(first == std::vector{f});
    CHECK(left == std::vector{g});
    late.set_value(2);
    auto [done, pending] = co_await rondo::wait(asked);
    CHECK(done == std::vector{g, f});
    auto [again, still] = co_await rondo::wait(asked, return_when::first_completed);
    CHECK(again == std::vector{g, f});
    CHECK(still.empty());
}

RONDO_TEST("wait: futures of several types are waited for as task_handles", "[wait][both]") {
    promise<> given;
    const std::vector<task_handle> asked{create_task(after(1ms, 1)), given.get_future(),
                                         create_task(fail_after(1h))};
    auto [done, pending] = co_await rondo::wait(asked, return_when::first_completed);
    static_assert(std::is_same_v<decltype(done), std::vector<task_handle>>);
    CHECK(done == std::vector{asked[0]});
    CHECK(pending == std::vector{asked[1], asked[2]});
    pending[1].cancel();
    given.set_value();
    auto [all, none] = co_await rondo::wait(asked);
    CHECK(all == asked);
    CHECK(none.empty());
}

TEST_CASE("wait: an empty future aborts with a message", "[wait]") {
    using verb = task<> (*)(future<int>);
    const verb verbs[] = {
        [](future<int> f) -> task<> { co_await f; },
        [](future<int> f) -> task<> { co_await shield(f); },
        [](future<int> f) -> task<> { co_await gather(f); },
        [](future<int> f) -> task<> {
            const std::vector<future<int>> one{f};
            co_await rondo::wait(one);
        },
        [](future<int> f) -> task<> {
            auto ends = as_completed(std::vector<future<int>>{f});
            co_await ends.next();
        },
    };
    for (const verb each : verbs) {
        const child_end end = run_child([&] {
            testing::simulate([each]() { return each({}); });
            return 0;
        });
        INFO(end.text);
        CHECK(end.aborted());
        CHECK(end.says("this future is empty: it was moved from or never filled"));
    }
}

RONDO_TEST("wait: cancelled before, while and after; the futures go on", "[wait][cancel][both]") {
    auto f = create_task(after(20ms, 5));
    const auto waiting = [&]() -> task<> {
        std::vector<future<int>> asked{f};
        co_await rondo::wait(asked);
    };
    co_await check_cancelled_before(waiting);
    co_await check_cancelled_while_suspended(waiting);
    CHECK_FALSE(f.done());
    promise<int> p;
    const auto for_promise = [&]() -> task<> {
        std::vector<future<int>> asked{p.get_future()};
        co_await rondo::wait(asked);
    };
    auto late = create_task(for_promise());
    co_await finish();
    p.set_value(1);  // it is ready and has not run
    late.cancel();
    CHECK_THROWS_AS(co_await late, future_cancelled);
    CHECK(co_await f == 5);
}

RONDO_TEST("wait: a future of another loop is an error", "[wait]") {
    testing::world other{testing::sim_options{}};
    auto given = other.loop().create_promise<int>();
    std::vector<future<int>> theirs(1, given.get_future());
    CHECK_THROWS_AS(co_await wait(theirs), invalid_state_error);
    given.set_value(3);
}

RONDO_TEST("wait: a task that waits for itself gets an error", "[wait][both]") {
    promise<future<int>> given;
    const auto narcissus = [&]() -> task<int> {
        auto self = given.get_future();
        std::vector<future<int>> asked;
        asked.push_back(co_await self);
        co_await rondo::wait(asked);
        co_return 1;
    };
    auto f = create_task(narcissus());
    given.set_value(f);
    CHECK_THROWS_AS(co_await f, invalid_state_error);
}

RONDO_TEST("wait: a hundred thousand futures at a linear cost", "[wait]", seeds(1).limit(60s)) {
    std::vector<future<int>> asked;
    for (int i = 0; i < 100'000; ++i) asked.push_back(create_task(after(1s, i)));
    auto [done, pending] = co_await rondo::wait(asked);
    CHECK(done.size() == 100'000);
}

}  // namespace
