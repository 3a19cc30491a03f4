// SPDX-License-Identifier: MIT
// Cancellation: which waits it reaches, what shields from it, and which results win against it.
#include <memory>
#include <stdexcept>
#include <vector>

#include <rondo/rondo.hpp>

#include "support/core_tools.hpp"
#include "kernel/simulator/simulator.hpp"

using namespace rondo_tests;

namespace {

constexpr long resumer_budget = rondo::detail::resumer::budget;

task<> sleep_for_ever() { co_await sleep(duration::max()); }

/// The pattern for a handler of `cancelled` that awaits: inside a catch block co_await is not
/// allowed.
task<> sleep_until_asked() {
    try {
        co_await sleep_for_ever();
    } catch (const cancelled&) {
    }
}

template <class T>
task<bool> was_cancelled(future<T> f) {
    try {
        co_await f;
    } catch (const future_cancelled&) {
    }
    co_return f.cancelled();
}

RONDO_TEST("cancel: a suspended task leaves its wait", "[cancel][both]") {
    auto t = create_task(sleep_for_ever());
    co_await finish();
    t.cancel();
    t.cancel();  // repeated requests have no effect
    CHECK(co_await was_cancelled(t));
    t.cancel();  // nor has one after the end
    CHECK(running_loop().stats().timers == 0);
}

RONDO_TEST("cancel: every later wait throws too, even one that would not suspend",
           "[cancel][both]") {
    int thrown = 0;
    const auto stubborn = [](int* count) -> task<> {
        promise<int> given;
        given.set_value(1);
        auto done = given.get_future();
        wait_queue queue;
        try {
            co_await sleep_for_ever();
        } catch (...) {  // tries to swallow the request
            ++*count;
        }
        for (int i = 0; i < 3; ++i) {
            try {
                if (i == 0) co_await done;
                if (i == 1) co_await queue.park();
                if (i == 2) co_await nop();
            } catch (const cancelled&) {
                ++*count;
            }
        }
        CHECK(cancel_requested());
        co_await yield_now();
        ++*count;
    };
    auto t = create_task(stubborn(&thrown));
    co_await finish();
    t.cancel();
    CHECK(co_await was_cancelled(t));
    CHECK(thrown == 4);
    CHECK_FALSE(cancel_requested());
}

RONDO_TEST("cancel: awaiting a task is not a wait by itself", "[cancel][both]") {
    const auto compute = [](int n) -> task<int> { co_return n; };
    const auto body = [&]() -> task<int> {
        try {
            co_await sleep_for_ever();
        } catch (const cancelled&) {
        }
        co_return co_await compute(5);
    };
    auto t = create_task(body());
    co_await finish();
    t.cancel();
    CHECK(co_await t == 5);  // a value that was returned stays
    CHECK_FALSE(t.cancelled());
}

RONDO_TEST("cancel: an error of the task itself wins", "[cancel][both]") {
    const auto body = []() -> task<> {
        try {
            co_await sleep_for_ever();
        } catch (const cancelled&) {
            throw std::runtime_error("while cleaning up");
        }
    };
    auto t = create_task(body());
    co_await finish();
    t.cancel();
    CHECK_THROWS_AS(co_await t, std::runtime_error);
}

RONDO_TEST("cancel: before its first turn the body never runs and its arguments are destroyed",
           "[cancel][both]") {
    auto argument = std::make_shared<int>(0);
    const auto body = [](std::shared_ptr<int> ran) -> task<> {
        ++*ran;
        co_return;
    };
    {
        auto t = create_task(body(argument));
        CHECK(argument.use_count() == 2);
        t.cancel();
        CHECK(co_await was_cancelled(t));
    }
    create_task(body(argument)).cancel();
    co_await finish();
    CHECK(*argument == 0);
    CHECK(argument.use_count() == 1);
}

RONDO_TEST("cancel: a task that throws `cancelled` without a request counts as cancelled",
           "[cancel][both]") {
    const auto body = []() -> task<> {
        co_await yield_now();
        throw cancelled();
    };
    CHECK(co_await was_cancelled(create_task(body())));
}

// -- shields --------------------------------------------------------------------------------------

RONDO_TEST("cancel: shield(task) delays the request until the inner work has ended",
           "[cancel][both]") {
    int steps = 0;
    const auto clean_up = [](int* done) -> task<int> {
        for (int i = 0; i < 3; ++i) {
            co_await yield_now();
            ++*done;
        }
        CHECK_FALSE(cancel_requested());
        co_return 4;
    };
    const auto body = [&clean_up, &steps]() -> task<> {
        const int value = co_await shield(clean_up(&steps));
        CHECK(value == 4);
        ++steps;
        co_await yield_now();
        steps = 100;
    };
    auto t = create_task(body());
    co_await yield_now();
    t.cancel();
    CHECK(co_await was_cancelled(t));
    CHECK(steps == 4);
}

RONDO_TEST("cancel: with_shield lets clean-up code await after a request", "[cancel][both]") {
    bool cleaned = false;
    const auto body = [](bool* done) -> task<> {
        co_await sleep_until_asked();
        const auto clean_up = [](bool* d) -> task<> {
            co_await sleep(1ms);
            *d = true;
        };
        co_await with_shield(clean_up, done);
        co_await yield_now();
    };
    auto t = create_task(body(&cleaned));
    co_await finish();
    t.cancel();
    CHECK(co_await was_cancelled(t));
    CHECK(cleaned);
}

RONDO_TEST("cancel: shield(future) leaves at once and the future continues", "[cancel][both]") {
    const auto work = []() -> task<int> {
        co_await finish(5);
        co_return 6;
    };
    const auto body = [](future<int> f) -> task<> { co_await shield(f); };
    auto inner = create_task(work());
    auto outer = create_task(body(inner));
    co_await yield_now();
    co_await yield_now();
    outer.cancel();
    CHECK(co_await was_cancelled(outer));
    CHECK_FALSE(inner.done());
    CHECK(co_await inner == 6);
}

RONDO_TEST("cancel: only the last waiter's cancellation cancels a shared future",
           "[cancel][both]") {
    const auto wait = [](future<> f) -> task<> { co_await f; };
    auto shared = create_task(sleep_for_ever());
    auto first = create_task(wait(shared)), second = create_task(wait(shared));
    co_await finish();
    first.cancel();
    CHECK(co_await was_cancelled(first));
    CHECK_FALSE(shared.done());
    second.cancel();
    CHECK(co_await was_cancelled(second));
    co_await finish();
    CHECK(shared.cancelled());
}

RONDO_TEST("cancel: awaiting a future that another task cancelled is an error, not a request",
           "[cancel][both]") {
    const auto wait = [](future<> f) -> task<bool> {
        bool threw = false;
        try {
            co_await f;
        } catch (const future_cancelled&) {
            threw = true;
        }
        co_await yield_now();  // continues: this task was not cancelled
        co_return threw && !cancel_requested();
    };
    auto victim = create_task(sleep_for_ever());
    auto waiter = create_task(wait(victim));
    co_await finish();
    victim.cancel();
    CHECK(co_await waiter);
}

// -- scopes inside scopes -------------------------------------------------------------------------

RONDO_TEST("cancel: leaving a scope ends its request, and only its own", "[cancel][both]") {
    {
        rondo::detail::inner_scope outer;
        {
            rondo::detail::inner_scope inner;
            rondo::detail::cancel(inner);
            CHECK(cancel_requested());
            CHECK(inner.ends_here());
        }
        CHECK_FALSE(cancel_requested());
        rondo::detail::cancel(outer);
        {
            rondo::detail::inner_scope inner;
            CHECK(cancel_requested());  // opened below a cancelled scope
            rondo::detail::cancel(inner);
            CHECK_FALSE(inner.ends_here());
            rondo::detail::inner_scope shielded(rondo::detail::inner_scope::kind::shield);
            CHECK_FALSE(cancel_requested());
            rondo::detail::inner_scope again;
            rondo::detail::cancel(again);  // a request of its own below the shield
            CHECK(cancel_requested());
            CHECK(again.ends_here());
        }
        CHECK(cancel_requested());
    }
    CHECK_FALSE(cancel_requested());
    co_await yield_now();
}

RONDO_TEST("cancel: an outer request is never turned into an inner timeout", "[cancel][both]") {
    bool timed_out = false;
    const auto body = [](bool* flag) -> task<> {
        try {
            co_await wait_for(1h, sleep_for_ever());
        } catch (const timeout_error&) {
            *flag = true;
        }
    };
    auto t = create_task(body(&timed_out));
    co_await finish();
    t.cancel();
    CHECK(co_await was_cancelled(t));
    CHECK_FALSE(timed_out);
}

RONDO_TEST("cancel: if both scopes were cancelled, the outer one wins", "[cancel]") {
    const auto inner = []() -> task<> {
        co_await sleep_until_asked();
        const auto clean_up = []() -> task<> { co_await sleep(1h); };
        co_await with_shield(clean_up);
        co_await yield_now();
    };
    const auto body = [&]() -> task<> { co_await wait_for(1s, inner()); };
    auto t = create_task(body());
    co_await sleep(10s);  // the timeout has expired, the clean-up continues
    t.cancel();
    CHECK(co_await was_cancelled(t));
}

RONDO_TEST("cancel: a timeout inside a shield still works", "[cancel]") {
    const auto body = []() -> task<bool> {
        co_await sleep_until_asked();
        co_return co_await shield(move_on_after(1s, sleep_for_ever()));
    };
    auto t = create_task(body());
    co_await finish();
    t.cancel();
    CHECK_FALSE(co_await t);
}

// -- size -----------------------------------------------------------------------------------------

task<> await_next(std::vector<future<>>* chain, std::size_t index) {
    if (index == 0)
        co_await sleep_for_ever();
    else
        co_await (*chain)[index - 1];
}

TEST_CASE("cancel: a chain of tasks that await each other is cancelled with a flat stack",
          "[cancel]") {
    const auto length = static_cast<std::size_t>(many(100'000, 20'000));
    std::size_t ended = 0;
    on_small_stack([&] {
        testing::simulate(
            [&]() -> task<> {
                std::vector<future<>> chain;
                chain.reserve(length);
                for (std::size_t i = 0; i < length; ++i)
                    chain.push_back(create_task(await_next(&chain, i)));
                co_await finish();
                chain.back().cancel();
                for (const auto& f : chain) {
                    try {
                        co_await f;
                    } catch (const future_cancelled&) {
                    }
                    if (f.cancelled()) ++ended;
                }
            },
            {.limit = 60s});
    });
    CHECK(ended == length);
}

TEST_CASE("cancel: ten thousand nested scopes are reached with a flat stack",
          "[cancel]") {
    bool reached = false;
    on_small_stack([&] {
        testing::simulate([&]() -> task<> {
            const auto body = [](bool* flag) -> task<> {
                std::vector<std::unique_ptr<rondo::detail::inner_scope>> scopes;
                for (int i = 0; i < 10'000; ++i)
                    scopes.push_back(std::make_unique<rondo::detail::inner_scope>());
                try {
                    co_await sleep_for_ever();
                } catch (const cancelled&) {
                    *flag = true;
                }
                while (!scopes.empty()) scopes.pop_back();
            };
            auto t = create_task(body(&reached));
            co_await finish();
            t.cancel();
            co_await t;
        });
    });
    CHECK(reached);
}

}  // namespace
