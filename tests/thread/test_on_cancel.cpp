// SPDX-License-Identifier: MIT
// on: the three forms of a cancellation, and the end of the other loop, at every moment of a call.
#include <rondo/on.hpp>

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/core_tools.hpp"
#include "support/other_loop.hpp"

using namespace rondo_tests;
namespace detail = rondo::detail;

namespace {

int add(int a, int b) { return a + b; }
task<int> add_later(int a, int b) {
    co_await sleep(1us);
    co_return a + b;
}
task<> sleep_a_little(duration how_long) { co_await sleep(how_long); }
task<> sleep_for_ever() { co_await sleep(duration::max()); }

struct odd_error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// -- cancellation ---------------------------------------------------------------------------------

task<> forget(future<> f) {
    try {
        co_await f;
    } catch (const future_cancelled&) {
    }
}

RONDO_TEST("on: under a cancelled scope it throws and calls nothing", "[on][kernel]") {
    other_loop there;
    std::atomic<int> called{0};
    co_await check_cancelled_before([&] { return on(there.home(), [&] { ++called; }); });
    CHECK(called == 0);
}

RONDO_TEST("on: a cancellation reaches the task on the other loop, whose end is waited for",
           "[on][kernel]") {
    other_loop there;
    std::string notes;  // used by one side at a time
    signal_to_loop begun;
    const auto cleans_up = [&]() -> task<> {
        begun.give();
        try {
            co_await sleep(1h);
        } catch (const cancelled&) {
            notes += "asked ";
        }
        co_await shield(sleep_a_little(2ms));
        notes += "cleaned ";
        co_await yield_now();
    };
    const auto calls = [&]() -> task<> {
        try {
            co_await on(there.home(), cleans_up);
        } catch (const cancelled&) {
            notes += "left";
            throw;
        }
    };
    auto calling = create_task(calls());
    co_await begun.given();
    calling.cancel();
    co_await forget(calling);
    CHECK(calling.cancelled());
    CHECK(notes == "asked cleaned left");
}

RONDO_TEST("on: a timeout ends when the task there has ended", "[on][kernel]") {
    other_loop there;
    CHECK_FALSE(co_await move_on_after(1ms, on(there.home(), sleep_for_ever)));
    CHECK_THROWS_AS(co_await wait_for(1ms, on(there.home(), sleep_for_ever)),
                    timeout_error);
}

// Law 2: the result of a call that was made is delivered.
RONDO_TEST("on: a result of a cancelled task is returned, and the next wait throws",
           "[on][kernel]") {
    other_loop there;
    signal_to_loop begun;
    const auto stubborn = [&]() -> task<int> {
        begun.give();
        try {
            co_await sleep(1h);
        } catch (const cancelled&) {
        }
        co_return 5;
    };
    observed seen;
    auto calling = create_task(observe([&] { return on(there.home(), stubborn); }, &seen));
    co_await begun.given();
    calling.cancel();
    co_await forget(calling);
    CHECK(seen.first == outcome_of_wait::value);
    CHECK(seen.next_threw);
}

RONDO_TEST("on: an error of the task's own wins over a cancellation", "[on][kernel]") {
    other_loop there;
    signal_to_loop begun;
    const auto fails = [&]() -> task<int> {
        begun.give();
        try {
            co_await sleep(1h);
        } catch (const cancelled&) {
        }
        throw odd_error("on the way out");
    };
    observed seen;
    auto calling = create_task(observe([&] { return on(there.home(), fails); }, &seen));
    co_await begun.given();
    calling.cancel();
    co_await forget(calling);
    CHECK(seen.first == outcome_of_wait::failed);
}

/// Cancels a task by a post that is in the loop's inbox directly after the home post of its call.
class cancels_behind {
public:
    cancels_behind(const other_loop& there, future<> calling)
        : home_(running_loop().remote()), calling_(std::move(calling)) {
        there.home().try_post(there_);
        both_.pass();  // this loop is blocked while both posts arrive, and takes them together
    }
    bool hit() const noexcept { return hit_; }

private:
    void follow() noexcept {
        home_.try_post(post_);
        both_.open();
    }
    void cancel() noexcept {
        hit_ = calling_.state() == task_state::ready;
        calling_.cancel();
    }
    remote home_;
    future<> calling_;
    bool hit_ = false;
    gate both_;
    detail::preallocated_post there_{
        [](void* self) noexcept { static_cast<cancels_behind*>(self)->follow(); }, this};
    detail::preallocated_post post_{
        [](void* self) noexcept { static_cast<cancels_behind*>(self)->cancel(); }, this};
};

RONDO_TEST("on: cancelled after the way home and before it resumes, it gives its value",
           "[on][kernel]") {
    other_loop there;
    gate door;
    there.hold(door);
    observed seen;
    auto calling = create_task(observe([&] { return on(there.home(), add, 1, 2); }, &seen));
    co_await yield_now();  // it has been posted
    door.open();
    const cancels_behind canceller(there, calling);
    co_await forget(calling);
    CHECK(canceller.hit());
    CHECK(seen.first == outcome_of_wait::value);
    CHECK(seen.next_threw);
}

RONDO_TEST("on: a call that has not begun is taken back", "[on][kernel]") {
    other_loop there;
    gate door;
    there.hold(door);
    std::atomic<int> called{0};
    const auto calls = [&](bool as_task) -> task<> {
        const auto plain = [&] { ++called; };
        const auto task_there = [&]() -> task<> {
            ++called;
            co_return;
        };
        if (as_task)
            co_await on(there.home(), task_there);
        else
            co_await on(there.home(), plain);
    };
    auto first = create_task(calls(true));
    auto second = create_task(calls(false));
    co_await finish();
    first.cancel();
    second.cancel();
    co_await finish();
    CHECK_FALSE(first.done());  // the other loop has taken the post
    door.open();
    co_await forget(first);
    co_await forget(second);
    CHECK(first.cancelled());
    CHECK(second.cancelled());
    CHECK(called == 0);
}

// The cancel is under way while the call comes home, in every order that chance produces.
RONDO_TEST("on: a cancel that crosses the way home does no harm", "[on][kernel]", limit(60s)) {
    other_loop there;
    const int rounds = many(20'000, 3'000);
    int values = 0;
    for (int i = 0; i < rounds; ++i) {
        observed seen;
        auto calling = create_task(observe(
            [&] { return on(there.home(), [](int n) -> task<int> {
                if (n % 3 == 0) co_await yield_now();
                co_return n;
            }, i); }, &seen));
        for (int turns = i % 7; turns > 0; --turns) co_await yield_now();
        calling.cancel();
        co_await forget(calling);
        values += seen.first == outcome_of_wait::value ? 1 : 0;
    }
    INFO(values << " of " << rounds << " came home first");
    CHECK(values <= rounds);
}

RONDO_TEST("on: a call that is cancelled on the other loop throws future_cancelled",
           "[on][kernel]") {
    other_loop there;
    const auto cancels_itself = []() -> task<> {
        current_task().cancel();
        co_await yield_now();
    };
    CHECK_THROWS_AS(co_await on(there.home(), cancels_itself), future_cancelled);
    const auto throws = []() -> int { throw cancelled(); };
    CHECK_THROWS_AS(co_await on(there.home(), throws), future_cancelled);
    CHECK_FALSE(cancel_requested());
}

// -- the other loop's end -------------------------------------------------------------------------

RONDO_TEST("on: a loop that has ended is a closed_error", "[on][kernel]") {
    other_loop there;
    const remote home = there.home();
    there.end();
    CHECK_THROWS_AS(co_await on(home, add, 1, 2), closed_error);
    CHECK_THROWS_AS(co_await on(home, add_later, 1, 2), closed_error);
}

RONDO_TEST("on: a loop that ends cancels the task there; the caller gets a closed_error",
           "[on][kernel]") {
    other_loop there;
    std::string notes;
    const auto sleeps = [&]() -> task<> {
        there.stop();
        try {
            co_await sleep(1h);
        } catch (const cancelled&) {
            notes += "asked";
            throw;
        }
    };
    CHECK_THROWS_AS(co_await on(there.home(), sleeps), closed_error);
    CHECK(notes == "asked");
    CHECK_FALSE(cancel_requested());
}

RONDO_TEST("on: the result of a task whose loop ends is delivered", "[on][kernel]") {
    other_loop there;
    const auto stubborn = [&]() -> task<int> {
        there.stop();
        try {
            co_await sleep(1h);
        } catch (const cancelled&) {
        }
        co_await shield(sleep_a_little(1ms));
        co_return 5;
    };
    CHECK(co_await on(there.home(), stubborn) == 5);
}

RONDO_TEST("on: a call that finds its loop ending is not made", "[on][kernel]") {
    for (const bool cancel_too : {false, true}) {
        other_loop there;
        gate door;
        there.hold(door, true);
        std::atomic<int> called{0};
        const auto counts = [&]() -> task<> {
            ++called;
            co_return;
        };
        observed first, second;
        auto a = create_task(
            observe([&] { return on(there.home(), counts); }, &first));
        auto b = create_task(observe([&] { return on(there.home(), [&] { return ++called; }); },
                                     &second));
        co_await finish();
        if (cancel_too) a.cancel();
        door.open();
        co_await forget(a);
        co_await forget(b);
        CHECK(first.first == (cancel_too ? outcome_of_wait::cancelled : outcome_of_wait::failed));
        CHECK(second.first == outcome_of_wait::failed);
        CHECK(called == 0);
    }
}

// Calls, cancels and ends of the other loop, in every order that chance produces: each call ends,
// and nothing leaks.
RONDO_TEST("on: a loop may end at any moment", "[on][kernel]", limit(120s)) {
    const auto calls = [](remote there, int n) -> task<> {
        try {
            for (;;) {
                if (n % 2 == 0)
                    co_await on(there, add_later, n, n);
                else
                    co_await on(there, add, n, n);
            }
        } catch (const closed_error&) {
        }
    };
    for (int round = 0; round < many(100, 20); ++round) {
        other_loop there;
        std::vector<future<>> all;
        for (int i = 0; i < 20; ++i) all.push_back(create_task(calls(there.home(), i)));
        co_await sleep(std::chrono::microseconds(37 * (round % 20)));
        for (std::size_t i = 0; i < all.size(); i += 4) all[i].cancel();
        there.end();  // blocks this loop meanwhile
        for (auto& one : all) co_await forget(one);
    }
}

TEST_CASE("on: a loop that ends waits for its calls on other loops", "[on]") {
    const testing::leak_probe probe;
    {
        other_loop there;
        std::atomic<bool> ended{false};
        gate begun;
        const auto slow = [&]() -> task<> {
            begun.open();
            try {
                co_await sleep(1h);
            } catch (const cancelled&) {
            }
            co_await shield(sleep_a_little(1ms));
            ended = true;
        };
        loop own;
        const auto calls = [&]() -> task<> { co_await on(there.home(), slow); };
        auto calling = own.create_task(calls());
        own.run_until_complete(finish());
        begun.pass();
        own.close();
        CHECK(calling.done());
        CHECK(ended);
    }
    CHECK(probe.leaks() == "");
}

}  // namespace
