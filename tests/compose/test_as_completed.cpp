// SPDX-License-Identifier: MIT
// as_completed: yields the handles that were passed, in the order in which they are done.
#include <rondo/as_completed.hpp>

#include <stdexcept>
#include <vector>

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

RONDO_TEST("as_completed: yields the handles in the order of their ends", "[as_completed]") {
    std::vector<future<int>> asked;
    for (int i = 0; i < 5; ++i) asked.push_back(create_task(after(std::chrono::seconds(5 - i), i)));
    std::vector<int> order;
    auto done = as_completed(asked);
    while (auto f = co_await done.next()) {
        CHECK(f->done());
        CHECK(*f == asked[static_cast<std::size_t>(f->result())]);  // the same handle
        order.push_back(f->result());
    }
    CHECK(order == std::vector<int>{4, 3, 2, 1, 0});
}

RONDO_TEST("as_completed: futures that are done come first, in order; one passed twice comes twice",
           "[as_completed][both]") {
    std::vector<future<int>> asked{create_task(after(1us, 1)), create_task(after(0s, 2))};
    asked.push_back(asked[0]);
    for (const auto& f : asked) co_await f;
    std::vector<int> order;
    auto done = as_completed(asked);
    while (auto f = co_await done.next()) order.push_back(f->result());
    CHECK(order == std::vector<int>{1, 2, 1});
    auto nothing = as_completed(std::vector<future<int>>());
    CHECK_FALSE((co_await nothing.next()).has_value());
}

RONDO_TEST("as_completed: errors and cancellations stay in the futures", "[as_completed]") {
    std::vector<future<int>> asked{create_task(fail_after(1s)), create_task(after(1h, 1))};
    asked[1].cancel();
    int failed = 0, cut = 0;
    auto done = as_completed(asked);
    while (auto f = co_await done.next()) {
        if (f->cancelled())
            ++cut;
        else if (f->exception())
            ++failed;
    }
    CHECK(failed == 1);
    CHECK(cut == 1);
}

RONDO_TEST("as_completed: the timeout is for all of them together", "[as_completed]") {
    std::vector<future<int>> asked{create_task(after(1s, 1)), create_task(after(3s, 2)),
                                   create_task(after(1h, 3))};
    auto done = as_completed(asked, 4s);
    auto first = co_await done.next();
    REQUIRE(first.has_value());
    CHECK(first->result() == 1);
    auto second = co_await done.next();
    REQUIRE(second.has_value());
    CHECK(second->result() == 2);
    CHECK_THROWS_AS(co_await done.next(), timeout_error);
    CHECK_FALSE(asked[2].done());  // none was cancelled
    CHECK_FALSE((co_await done.next()).has_value());
    asked[2].cancel();
    co_await finish();
}

RONDO_TEST("as_completed: destroyed early it leaves nothing behind", "[as_completed][both]") {
    std::vector<future<int>> asked{create_task(after(1ms, 1)), create_task(after(2ms, 2))};
    {
        auto done = as_completed(asked);
        auto first = co_await done.next();
        REQUIRE(first.has_value());
        CHECK(first->result() == 1);
    }
    CHECK(co_await asked[1] == 2);
}

RONDO_TEST("as_completed: waiting for the task itself or for another loop's future is an error",
           "[as_completed]") {
    testing::world other{testing::sim_options{}};
    auto given = other.loop().create_promise<int>();
    std::vector<future<int>> theirs(1, given.get_future());
    auto done = as_completed(theirs);
    CHECK_THROWS_AS(co_await done.next(), invalid_state_error);
    given.set_value(1);
}

RONDO_TEST("as_completed: each end costs one step", "[as_completed]", seeds(1).limit(60s)) {
    // If the cost were quadratic, a hundred thousand would take minutes.
    std::vector<future<int>> asked;
    for (int i = 0; i < 100'000; ++i)
        asked.push_back(create_task(after(std::chrono::microseconds(100'000 - i), i)));
    int seen = 0;
    auto done = as_completed(asked);
    while (auto f = co_await done.next()) ++seen;
    CHECK(seen == 100'000);
}

RONDO_TEST("as_completed: cancelled in three forms, and no future is lost",
           "[as_completed][both]") {
    promise<int> given;
    std::vector<future<int>> asked(1, given.get_future());
    const auto first_of = [&]() -> task<int> {
        auto done = as_completed(asked);
        auto f = co_await done.next();
        co_return f->result();
    };
    const auto make = [&] { return first_of(); };
    co_await check_cancelled_before(make);
    co_await check_cancelled_while_suspended(make);
    observed seen;
    const auto complete = [&] { given.set_value(1); };
    co_await check_cancelled_after_completion(make, complete, &seen);
    CHECK(seen.first == outcome_of_wait::cancelled);
    CHECK(co_await first_of() == 1);
}

}  // namespace
