// SPDX-License-Identifier: MIT
// on: a call on another loop and its results; test_on_cancel.cpp has the cancellations and ends.
// Two loops really run at the same time here: every test is [kernel], except those that call their
// own loop.
#include <rondo/on.hpp>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <rondo/gather.hpp>

#include "support/core_tools.hpp"
#include "support/count_allocations.hpp"
#include "support/other_loop.hpp"

using namespace rondo_tests;

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

// -- results --------------------------------------------------------------------------------------

RONDO_TEST("on: calls on the other loop's thread and resumes here", "[on][kernel]") {
    other_loop there;
    const auto called = co_await on(there.home(), this_thread);
    CHECK(called == there.thread());
    const auto ran = co_await on(there.home(), this_thread_later);
    CHECK(ran == there.thread());
    CHECK(std::this_thread::get_id() != there.thread());
}

RONDO_TEST("on: gives the value of a task and of a plain function", "[on][kernel]") {
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

RONDO_TEST("on: any awaitable is awaited on the other loop", "[on][kernel]") {
    other_loop there;
    co_await on(there.home(), [] { return sleep(1ms); });
    CHECK(co_await on(there.home(), [] { return create_task(add_later(3, 4)); }) == 7);
    CHECK_FALSE(co_await move_on_after(1ms, on(there.home(), [] { return sleep(1h); })));
}

RONDO_TEST("on: works with the caller's own loop", "[on][both]") {
    CHECK(co_await on(running_loop(), add_later, 3, 4) == 7);
    CHECK(co_await on(running_loop(), add, 3, 4) == 7);
    const auto inner = []() -> task<int> {
        co_return co_await on(running_loop(), add_later, 1, 2);
    };
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

RONDO_TEST("on: callable and arguments are destroyed on the other loop before the caller resumes",
           "[on][kernel]") {
    other_loop there;
    const auto held = std::make_shared<int>(1);
    auto plain = on(
        there.home(), [owned = held](const std::shared_ptr<int>& more) { return *owned + *more; },
        held);
    CHECK(co_await plain == 2);
    CHECK(held.use_count() == 1);
    const auto later = [owned = held](const std::shared_ptr<int>& more) -> task<int> {
        co_await yield_now();
        co_return *owned + *more;
    };
    auto of_a_task = on(there.home(), later, held);
    CHECK(co_await of_a_task == 2);
    CHECK(held.use_count() == 2);  // `later` has one
    auto failing = on(
        there.home(), [](const std::shared_ptr<int>&) { throw std::runtime_error("no"); }, held);
    CHECK_THROWS_AS(co_await failing, std::runtime_error);
    CHECK(held.use_count() == 2);
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

RONDO_TEST("on: a call back, from inside a call", "[on][kernel]") {
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

#ifndef RONDO_SANITIZED
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

// -- many -----------------------------------------------------------------------------------------

RONDO_TEST("on: 100,000 calls each way between two loops at once", "[on][kernel]", limit(300s)) {
    other_loop there;
    constexpr int tasks = 50;
    constexpr int calls = 2000;
    const auto caller = [](remote to, long* sum) -> task<> {
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
