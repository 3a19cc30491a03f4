// SPDX-License-Identifier: MIT
// on: a call on another loop and its way home. Two loops really run at the same time here: all but what goes to its own
// loop is [kernel].
#include <rondo/on.hpp>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <rondo/gather.hpp>
#include <rondo/run.hpp>

#include "core_tools.hpp"
#include "other_loop.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif

#ifndef SANITIZED  // which have these themselves
namespace {
std::atomic<std::size_t> allocations{0};
}
void* operator new(std::size_t size) {
    allocations.fetch_add(1, std::memory_order_relaxed);
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#endif

using namespace rondo_tests;
namespace detail = rondo::detail;

namespace {

std::thread::id this_thread() { return std::this_thread::get_id(); }
task<std::thread::id> this_thread_later() {
    co_await yield_now();
    co_return std::this_thread::get_id();
}
int add(int a, int b) { return a + b; }
task<int> add_later(int a, int b) {
    co_await sleep(1us);
    co_return a + b;
}

task<> sleep_a_little(duration how_long) { co_await sleep(how_long); }
task<> sleep_for_ever() { co_await sleep(duration::max()); }

// -- what comes back ----------------------------------------------------------------------------

RONDO_TEST("on: calls on the other loop's thread and goes on here", "[on][kernel]") {
    other_loop there;
    const auto called = co_await on(there.home(), this_thread);
    CHECK(called == there.thread());
    const auto ran = co_await on(there.home(), this_thread_later);
    CHECK(ran == there.thread());
    CHECK(std::this_thread::get_id() != there.thread());
}

RONDO_TEST("on: gives the value of a task, and of a plain function", "[on][kernel]") {
    other_loop there;
    CHECK(co_await on(there.home(), add_later, 3, 4) == 7);
    CHECK(co_await on(there.home(), add, 3, 4) == 7);
    int touched = 0;
    co_await on(there.home(), [&] { ++touched; });
    const auto touch = [&]() -> task<> {
        co_await yield_now();
        ++touched;
    };
    co_await on(there.home(), touch);
    CHECK(touched == 2);
}

RONDO_TEST("on: whatever can be awaited is awaited over there", "[on][kernel]") {
    other_loop there;
    co_await on(there.home(), [] { return sleep(1ms); });
    CHECK(co_await on(there.home(), [] { return create_task(add_later(3, 4)); }) == 7);
    CHECK_FALSE(co_await move_on_after(1ms, on(there.home(), [] { return sleep(1h); })));
}

RONDO_TEST("on: its own loop is as good as another", "[on][both]") {
    CHECK(co_await on(running_loop(), add_later, 3, 4) == 7);
    CHECK(co_await on(running_loop(), add, 3, 4) == 7);
    const auto inner = []() -> task<int> { co_return co_await on(running_loop(), add_later, 1, 2); };
    CHECK(co_await on(running_loop(), inner) == 3);
}

RONDO_TEST("on: arguments are kept until the end, results may be move-only or references",
           "[on][kernel]") {
    other_loop there;
    auto number = std::make_unique<int>(5);
    auto call = on(
        there.home(),
        [](std::unique_ptr<int> n) -> task<std::unique_ptr<int>> {
            co_await yield_now();
            ++*n;
            co_return n;
        },
        std::move(number));
    const std::unique_ptr<int> result = co_await call;
    CHECK(*result == 6);
    std::string text = "abc";
    auto& same = co_await on(
        there.home(), [](std::string& t) -> std::string& { return t += 'd'; }, std::ref(text));
    CHECK(&same == &text);
    CHECK(co_await on(there.home(), &std::string::size, text) == 4);
    auto owner = std::make_shared<int>(1);
    const auto body = [owner](std::shared_ptr<int> more) -> task<long> {
        co_await yield_now();
        co_return owner.use_count() + *more;
    };
    auto held = on(there.home(), body, owner);
    CHECK(co_await held >= 4);
}

struct odd_error : std::runtime_error {
    using std::runtime_error::runtime_error;
    int number = 17;
};

RONDO_TEST("on: an exception arrives as the type it is", "[on][kernel]") {
    other_loop there;
    const auto plain = []() -> int { throw odd_error("odd"); };
    const auto later = []() -> task<> {
        co_await yield_now();
        throw odd_error("odd");
    };
    const auto number = []() -> task<> {
        throw 4;
        co_return;
    };
    CHECK_THROWS_AS(co_await on(there.home(), plain), odd_error);
    CHECK_THROWS_AS(co_await on(there.home(), later), odd_error);
    CHECK_THROWS_AS(co_await on(there.home(), number), int);
}

RONDO_TEST("on: there and back again, from inside a call", "[on][kernel]") {
    other_loop there;
    const auto here = running_loop().remote();
    const auto outer = [](remote back, int n) -> task<int> {
        co_return 1 + co_await on(back, add_later, n, n);
    };
    CHECK(co_await on(there.home(), outer, here, 20) == 41);
}

task_local<int> request(-1);
int request_here() { return request.get(); }
task<int> request_later() {
    co_await yield_now();
    const auto child = []() -> task<int> { co_return request.get(); };
    co_return request.get() + co_await create_task(child());
}

RONDO_TEST("on: the values of task_locals are there", "[on][kernel]") {
    other_loop there;
    CHECK(co_await on(there.home(), request_here) == -1);
    const auto inside = [&]() -> task<int> {
        const int plain = co_await on(there.home(), request_here);
        const int in_tasks = co_await on(there.home(), request_later);
        const int here = co_await on(running_loop(), request_later);
        co_return plain * 10'000 + in_tasks * 100 + here;
    };
    CHECK(co_await request.with(7, inside) == 71'414);
    CHECK(co_await on(there.home(), request_later) == -2);
}

RONDO_TEST("on: many at once, with gather and map_concurrent", "[on][kernel]", limit(30s)) {
    other_loop there;
    const auto [a, b] =
        co_await gather(on(there.home(), add_later, 1, 2), on(there.home(), add, 3, 4));
    CHECK(a + b == 10);
    std::vector<int> numbers(2000);
    for (int i = 0; i < 2000; ++i) numbers[static_cast<std::size_t>(i)] = i;
    const auto twice = [&](int n) -> task<int> {
        co_return co_await on(there.home(), add_later, n, n);
    };
    const auto all = co_await map_concurrent(500, numbers, twice);
    long sum = 0;
    for (const int n : all) sum += n;
    CHECK(sum == 2000L * 1999L);
}

#ifndef SANITIZED
RONDO_TEST("on: a plain call allocates nothing, a task its frames", "[on][kernel]") {
    other_loop there;
    for (int i = 0; i < 20; ++i) co_await on(there.home(), add_later, i, i);
    const std::size_t before = allocations;
    long sum = 0;
    for (int i = 0; i < 1000; ++i) sum += co_await on(there.home(), add, i, i);
    for (int i = 0; i < 1000; ++i) sum += co_await on(there.home(), add_later, i, i);
    CHECK(allocations == before);
    CHECK(sum == 4 * 999'000 / 2);
}
#endif

// -- cancellation -------------------------------------------------------------------------------

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

RONDO_TEST("on: a cancellation goes over to the task there, whose end is waited for",
           "[on][kernel]") {
    other_loop there;
    std::string notes;  // touched by one side at a time
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

// Law 2: what was done is delivered.
RONDO_TEST("on: what a cancelled task gives all the same is returned, and the next wait throws",
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

/// Cancels a task by a post that stands in the inbox of its loop right behind the way home of its call.
class cancels_behind {
public:
    cancels_behind(const other_loop& there, future<> calling)
        : home_(running_loop().remote()), calling_(std::move(calling)) {
        there.home().try_post(there_);
        both_.pass();  // while this loop stands still both posts come, and it takes them together
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
    detail::standing_post there_{[](void* self) noexcept { static_cast<cancels_behind*>(self)->follow(); },
                                 this};
    detail::standing_post post_{[](void* self) noexcept { static_cast<cancels_behind*>(self)->cancel(); },
                                this};
};

RONDO_TEST("on: cancelled when it has come home and has not resumed, it gives its value",
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
    co_await settle();
    first.cancel();
    second.cancel();
    co_await settle();
    CHECK_FALSE(first.done());  // the post is in the other loop's hands
    door.open();
    co_await forget(first);
    co_await forget(second);
    CHECK(first.cancelled());
    CHECK(second.cancelled());
    CHECK(called == 0);
}

// The cancel is under way while the call comes home, in every order that chance makes.
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

RONDO_TEST("on: who is cancelled over there is told so", "[on][kernel]") {
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

// -- the other loop's end -----------------------------------------------------------------------

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

RONDO_TEST("on: what a task gives while its loop ends is delivered", "[on][kernel]") {
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
        co_await settle();
        if (cancel_too) a.cancel();
        door.open();
        co_await forget(a);
        co_await forget(b);
        CHECK(first.first == (cancel_too ? outcome_of_wait::cancelled : outcome_of_wait::failed));
        CHECK(second.first == outcome_of_wait::failed);
        CHECK(called == 0);
    }
}

// Calls, cancels and ends of the other loop meet in every order that chance makes: each call ends, and nothing is left.
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

TEST_CASE("on: a loop that ends while its own calls are elsewhere waits for them", "[on]") {
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
        own.run_until_complete(settle());
        begun.pass();
        own.close();
        CHECK(calling.done());
        CHECK(ended);
    }
    CHECK(probe.leaks() == "");
}

// -- many ---------------------------------------------------------------------------------------

RONDO_TEST("on: 100,000 calls each way between two loops at once", "[on][kernel]", limit(300s)) {
    other_loop there;
    constexpr int tasks = 50;
    const int calls = 2000;
    const auto caller = [calls](remote to, long* sum) -> task<> {
        for (int i = 0; i < calls; i += 2) {
            *sum += co_await on(to, add, i, 1);
            *sum += co_await on(to, add_later, i + 1, 1);
        }
    };
    const auto all = [&](remote to) -> task<long> {
        std::vector<long> sums(tasks);
        std::vector<task<>> callers;
        for (long& sum : sums) callers.push_back(caller(to, &sum));
        co_await gather(std::move(callers));
        long total = 0;
        for (const long sum : sums) total += sum;
        co_return total;
    };
    const auto back = running_loop().remote();
    const auto [out, in] = co_await gather(all(there.home()), on(there.home(), all, back));
    const long expected = tasks * (long{calls} * (calls - 1) / 2 + calls);
    CHECK(out == expected);
    CHECK(in == expected);
}

}  // namespace
