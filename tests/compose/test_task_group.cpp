// SPDX-License-Identifier: MIT
// Task groups: all children have ended when with_task_group returns or throws.
#include <rondo/task_group.hpp>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <rondo/as_completed.hpp>
#include <rondo/gather.hpp>
#include <rondo/sync.hpp>
#include <rondo/wait.hpp>

#include "support/core_tools.hpp"

namespace {

using namespace rondo_tests;

task<> add_after(duration delay, int* sum, int value) {
    co_await sleep(delay);
    *sum += value;
}

task<> fail_after(duration delay, std::string text) {
    co_await sleep(delay);
    throw std::invalid_argument(text);
}

/// Ends only some time after it was cancelled.
task<> slow_to_end(int* ended) {
    try {
        co_await sleep(24h);
    } catch (const cancelled&) {
        // the sleep stands after the handler, in which C++ allows no co_await
    }
    co_await shield(rondo::detail::as_task(sleep(1ms)));
    ++*ended;
    co_await yield_now();
}

RONDO_TEST("task_group: returns when the body and every child have ended", "[task_group][both]") {
    int sum = 0;
    co_await with_task_group([&](task_group& group) -> task<> {
        group.start(add_after, 2ms, &sum, 1);
        group.start(add_after, 1ms, &sum, 10);
        group.start(add_after(0ms, &sum, 100));
        co_return;
    });
    CHECK(sum == 111);
}

RONDO_TEST("task_group: gives the body's value", "[task_group][both]") {
    const auto value = co_await with_task_group([](task_group&) -> task<std::unique_ptr<int>> {
        co_return std::make_unique<int>(5);
    });
    CHECK(*value == 5);
}

RONDO_TEST("task_group: keeps callables and arguments for the child's life", "[task_group][both]") {
    auto shared = std::make_shared<int>(7);
    std::weak_ptr<int> watch = shared;
    int got = 0;
    co_await with_task_group([&](task_group& group) -> task<> {
        auto closure = [kept = std::move(shared), &got]() -> task<> {
            co_await sleep(1ms);
            got = *kept;
        };
        group.start(std::move(closure));
        co_return;
    });
    CHECK(got == 7);
    CHECK(watch.expired());
}

RONDO_TEST("task_group: a child's error cancels and awaits the others and the body",
           "[task_group][both]") {
    int ended = 0;
    bool body_asked = false;
    try {
        co_await with_task_group([&](task_group& group) -> task<> {
            group.start(slow_to_end, &ended);
            group.start(fail_after, 1ms, std::string("child"));
            try {
                co_await sleep(24h);
            } catch (const cancelled&) {
                body_asked = true;
                throw;
            }
        });
        FAIL("no error came");
    } catch (const std::invalid_argument& e) {
        CHECK(std::string(e.what()) == "child");
    }
    CHECK(ended == 1);
    CHECK(body_asked);
}

RONDO_TEST("task_group: the body's error cancels and awaits the children", "[task_group][both]") {
    int ended = 0;
    CHECK_THROWS_AS(co_await with_task_group([&](task_group& group) -> task<> {
                        group.start(slow_to_end, &ended);
                        co_await sleep(1ms);
                        throw std::out_of_range("body");
                    }),
                    std::out_of_range);
    CHECK(ended == 1);
}

RONDO_TEST("task_group: of several errors the first is thrown and all are kept", "[task_group]") {
    std::size_t reported = 0;
    std::size_t listed = 0;
    running_loop().set_exception_handler([&](const exception_context&) { ++reported; });
    const auto look_on = [&](task_group& group) -> task<> {
        try {
            co_await sleep(24h);
        } catch (const cancelled&) {
        }
        co_await shield(rondo::detail::as_task(sleep(1s)));
        listed = group.errors().size();
    };
    try {
        co_await with_task_group([&](task_group& group) -> task<> {
            group.start(fail_after, 1s, std::string("one"));
            group.start(fail_after, 1s, std::string("two"));
            group.start(fail_after, 1s, std::string("three"));
            co_await look_on(group);
        });
        FAIL("no error came");
    } catch (const std::invalid_argument& e) {
        CHECK(std::string(e.what()) == "one");
    }
    running_loop().set_exception_handler({});
    CHECK(listed >= 1);
    CHECK(reported + 1 == listed);
}

RONDO_TEST("task_group: cancel() ends it without an error", "[task_group][both]") {
    int ended = 0;
    bool after = false;
    co_await with_task_group([&](task_group& group) -> task<> {
        group.start(slow_to_end, &ended);
        co_await sleep(1ms);
        group.cancel();
        co_await sleep(24h);
        after = true;
    });
    CHECK(ended == 1);
    CHECK_FALSE(after);
    co_await yield_now();  // the cancellation ended with the group
}

RONDO_TEST("task_group: cancelled from outside it throws cancelled", "[task_group][both]") {
    int ended = 0;
    const auto outer = [&]() -> task<> {
        co_await with_task_group([&](task_group& group) -> task<> {
            group.start(slow_to_end, &ended);
            co_await sleep(24h);
        });
    };
    auto running = create_task(outer());
    co_await finish();
    running.cancel();
    CHECK_THROWS_AS(co_await running, future_cancelled);
    CHECK(ended == 1);
}

RONDO_TEST("task_group: cancelled while it leaves, it still awaits its children",
           "[task_group][both]") {
    int ended = 0;
    const auto outer = [&]() -> task<> {
        co_await with_task_group([&](task_group& group) -> task<> {
            group.start(slow_to_end, &ended);
            co_return;
        });
    };
    auto running = create_task(outer());
    co_await finish();
    running.cancel();
    CHECK_THROWS_AS(co_await running, future_cancelled);
    CHECK(ended == 1);
}

task<> family(task_group& group, int* born, int depth) {
    ++*born;
    if (depth > 0) {
        group.start(family, std::ref(group), born, depth - 1);
        group.start(family, std::ref(group), born, depth - 1);
    }
    co_await sleep(1ms);
}

RONDO_TEST("task_group: children may start children, also while it leaves", "[task_group][both]") {
    int born = 0;
    co_await with_task_group([&](task_group& group) -> task<> {
        group.start(family, std::ref(group), &born, 4);
        co_return;
    });
    CHECK(born == 31);
}

RONDO_TEST("task_group: a child started under a cancelled scope ends at its first wait",
           "[task_group][both]") {
    bool passed = false;
    const auto child = [&]() -> task<> {
        co_await yield_now();
        passed = true;
    };
    co_await with_task_group([&](task_group& group) -> task<> {
        group.cancel();
        group.start(child());
        co_return;
    });
    CHECK_FALSE(passed);
}

RONDO_TEST("task_group: times out with all its children", "[task_group]") {
    int ended = 0;
    CHECK_THROWS_AS(co_await wait_for(1s, with_task_group([&](task_group& group) -> task<> {
                                          group.start(slow_to_end, &ended);
                                          group.start(slow_to_end, &ended);
                                          co_return;
                                      })),
                    timeout_error);
    CHECK(ended == 2);
}

// -- children that are awaited while their siblings end ------------------------------------------

task<int> nap(duration delay, int value) {
    co_await sleep(delay);
    co_return value;
}

RONDO_TEST("task_group: a child is awaited while another one ends", "[task_group][both]") {
    const auto body = [](task_group& group) -> task<> {
        auto late = group.start(nap(2ms, 1));
        group.start(nap(1ms, 2));
        CHECK(co_await late == 1);
    };
    co_await with_task_group(body);
    int a = 0, b = 0;
    const auto await_it = [](future<int> f, int* out) -> task<> { *out = co_await f; };
    const auto siblings = [&](task_group& group) -> task<> {
        auto first = group.start(nap(1ms, 1));
        auto second = group.start(nap(2ms, 2));
        group.start(await_it(first, &a));
        group.start(await_it(second, &b));
        co_return;
    };
    co_await with_task_group(siblings);
    CHECK(a == 1);
    CHECK(b == 2);
}

RONDO_TEST("task_group: wait and as_completed see its children one by one", "[task_group]") {
    std::vector<int> order;
    const auto body = [&](task_group& group) -> task<> {
        std::vector<future<int>> all;
        for (int i = 5; i > 0; --i) all.push_back(group.start(nap(1s * i, i)));
        auto [done, pending] = co_await wait(all, return_when::first_completed);
        CHECK(done.size() == 1);
        CHECK(pending.size() == 4);
        auto ends = as_completed(all);
        while (auto f = co_await ends.next()) order.push_back(f->result());
    };
    co_await with_task_group(body);
    CHECK(order == std::vector<int>{1, 2, 3, 4, 5});
}

// -- one child is cancelled, or throws `cancelled` -----------------------------------------------

task<> cancels_itself(int* passed) {
    current_task().cancel();
    co_await sleep(24h);
    ++*passed;
}

RONDO_TEST("task_group: a child that is cancelled by its own future ends alone",
           "[task_group][both]") {
    int sum = 0;
    event others_were_cancelled;
    const auto survivor = [&]() -> task<> {
        co_await others_were_cancelled.wait();
        sum += 10;
    };
    const auto body = [&](task_group& group) -> task<int> {
        auto before = group.start(nap(24h, 1));  // cancelled before its first turn
        before.cancel();
        auto doomed = group.start(nap(24h, 1));
        group.start(survivor);
        group.start(cancels_itself, &sum);
        co_await sleep(1ms);
        doomed.cancel();
        co_await sleep(1ms);
        CHECK(before.cancelled());
        CHECK(doomed.cancelled());
        CHECK(sum == 0);
        CHECK_THROWS_AS(co_await doomed, future_cancelled);  // as for any other waiter
        others_were_cancelled.set();
        co_return 7;
    };
    CHECK(co_await with_task_group(body) == 7);
    CHECK(sum == 10);
    co_await yield_now();
}

RONDO_TEST(
    "task_group: a child that ends late after its future was cancelled does not end the group",
    "[task_group]") {
    int ended = 0;
    const auto group = [&]() -> task<int> {
        co_return co_await with_task_group([&](task_group& g) -> task<int> {
            g.start(slow_to_end, &ended).cancel();
            auto begun = g.start(slow_to_end, &ended);
            co_await sleep(1s);
            begun.cancel();
            co_return 3;
        });
    };
    auto running = create_task(group());
    co_await sleep(1s);
    co_await yield_now();
    running.cancel();  // while the child that was cancelled before is ending
    CHECK(co_await running == 3);
    CHECK(ended == 1);
}

RONDO_TEST("task_group: `cancelled` without a request is an error like any other",
           "[task_group][both]") {
    const auto throws_it = []() -> task<> {
        co_await sleep(1ms);
        throw cancelled();
    };
    int ended = 0;
    const auto of_child = [&](task_group& group) -> task<int> {
        group.start(slow_to_end, &ended);
        group.start(throws_it);
        co_await sleep(24h);
        co_return 1;
    };
    CHECK_THROWS_AS(co_await with_task_group(of_child), cancelled);
    CHECK(ended == 1);
    const auto of_body = [&](task_group& group) -> task<> {
        group.start(slow_to_end, &ended);
        co_await throws_it();
    };
    CHECK_THROWS_AS(co_await with_task_group(of_body), cancelled);
    CHECK(ended == 2);
    CHECK_THROWS_AS(co_await gather(throws_it(), sleep(24h)), cancelled);
    CHECK_THROWS_AS(co_await wait_for(1h, with_task_group(of_body)), cancelled);  // no timeout
    co_await yield_now();  // this task was not cancelled
}

RONDO_TEST("task_group: with all_errors it throws every error in one", "[task_group]") {
    int reports = 0;
    running_loop().set_exception_handler([&](const exception_context&) { ++reports; });
    const auto body = [&](task_group& group) -> task<> {
        group.start(fail_after, 1s, std::string("one"));
        group.start(fail_after, 1s, std::string("two"));
        group.start(nap(2s, 3)).cancel();
        try {
            co_await sleep(24h);
        } catch (const cancelled&) {
            throw std::out_of_range("three");
        }
    };
    try {
        co_await with_task_group(body, {.all_errors = true});
        FAIL("no error came");
    } catch (const group_error& all) {
        const group_error copy = all;
        CHECK(std::string(copy.what()) == "3 errors in a task group; the first: one");
        REQUIRE(copy.errors().size() == 3);
        CHECK_THROWS_AS(std::rethrow_exception(copy.errors()[1]), std::invalid_argument);
        CHECK_THROWS_AS(std::rethrow_exception(copy.errors()[2]), std::out_of_range);
    }
    const auto peaceful = [](task_group&) -> task<int> { co_return 1; };
    CHECK(co_await with_task_group(peaceful, {.all_errors = true}) == 1);
    CHECK(reports == 0);
    running_loop().set_exception_handler({});
}

RONDO_TEST("task_group: the body's error in its clean-up is reported beside the child's",
           "[task_group]") {
    std::vector<std::string> reports;
    running_loop().set_exception_handler(
        [&](const exception_context& context) { reports.push_back(context.message); });
    const auto fails = []() -> task<> {
        co_await sleep(1s);
        throw std::runtime_error("child");
    };
    const auto body = [&](task_group& group) -> task<> {
        group.start(fails());
        try {
            co_await sleep(10s);
        } catch (const cancelled&) {
            throw std::invalid_argument("body");
        }
    };
    CHECK_THROWS_AS(co_await with_task_group(body), std::runtime_error);
    CHECK(reports.size() == 1);
}

RONDO_TEST("task_group: starts any awaitable", "[task_group][both]") {
    const auto body = [](task_group& group) -> task<> {
        auto slept = group.start(sleep(1ms));
        co_await slept;
        auto limited = with_timeout(1h, [](timeout_scope&) -> task<int> { co_return 3; });
        CHECK(co_await group.start(std::move(limited)) == 3);
    };
    co_await with_task_group(body);
}

}  // namespace
