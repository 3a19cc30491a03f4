// SPDX-License-Identifier: MIT
// map of a pool, wait and as_completed over several thread_futures: order, laziness, bounds,
// errors, timeouts.
#include <rondo/thread_pool.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <rondo/gather.hpp>
#include <rondo/generator.hpp>
#include <rondo/run.hpp>

#include "support/core_tools.hpp"
#include "support/executor_tools.hpp"

using namespace rondo_tests;

namespace {

long square(long n) { return n * n; }

rondo::generator<long> counting(long* read) {
    for (long n = 0;; ++n) {
        *read = n + 1;
        co_yield n;
    }
}

// -- on plain threads -----------------------------------------------------------------------------

TEST_CASE("pool.map: gives all results in order", "[thread_pool_map]") {
    testing::leak_probe probe;
    {
        thread_pool pool(3);
        const std::array numbers{1L, 2L, 3L, 4L, 5L};
        CHECK(pool.map(square, numbers).get() == std::vector{1L, 4L, 9L, 16L, 25L});
        CHECK(pool.map(square, std::vector<long>{3, 4}).get() == std::vector{9L, 16L});
        CHECK(pool.map(square, std::vector<long>{}).get().empty());
        std::vector<long> many_numbers(1'000);
        for (std::size_t i = 0; i < many_numbers.size(); ++i)
            many_numbers[i] = static_cast<long>(i);
        const auto squares = pool.map(square, many_numbers).chunk(7).get();
        for (std::size_t i = 0; i < squares.size(); ++i)
            REQUIRE(squares[i] == square(static_cast<long>(i)));
        CHECK(squares.size() == 1'000);
        const auto flags =
            pool.map([](long n) { return n % 2 == 0; }, many_numbers).chunk(10).get();
        CHECK(flags[10]);
        CHECK_FALSE(flags[11]);
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("pool.map: several ranges, until the shortest ends", "[thread_pool_map]") {
    thread_pool pool(2);
    const std::vector<int> a{1, 2, 3, 4};
    const std::vector<std::string> b{"x", "yy", "zzz"};
    const auto joined =
        pool.map([](int n, const std::string& s) { return std::to_string(n) + s; }, a, b).get();
    CHECK(joined == std::vector<std::string>{"1x", "2yy", "3zzz"});
}

TEST_CASE("pool.map: lazy, and never further ahead than its bound", "[thread_pool_map]") {
    thread_pool pool(2);
    long read = 0;
    auto squares = pool.map(square, counting(&read));
    CHECK(read == 0);
    CHECK(*squares.blocking_next() == 0);
    CHECK(read <= 4);  // two per thread
    for (long i = 1; i < 50; ++i) {
        REQUIRE(*squares.blocking_next() == i * i);
        REQUIRE(read <= i + 5);
    }
    long read_chunks = 0;
    auto chunks = pool.map(square, counting(&read_chunks)).chunk(10).buffer(3);
    CHECK(*chunks.blocking_next() == 0);
    CHECK(read_chunks == 30);
}

TEST_CASE("pool.map: a loop over its results on a plain thread", "[thread_pool_map]") {
    thread_pool pool(2);
    const std::vector<int> numbers{1, 2, 3};
    std::vector<int> seen;
    for (const int each : pool.map([](int n) { return n * n; }, numbers)) seen.push_back(each);
    CHECK(seen == std::vector{1, 4, 9});
    // The options give the map itself, so the loop does not outlive it.
    for (int& each : pool.map([](int n) { return n + 1; }, numbers).chunk(2).buffer(1))
        seen.push_back(each);
    CHECK(seen == std::vector{1, 4, 9, 2, 3, 4});
    const auto fails = [](int n) { return n == 2 ? throw std::out_of_range("two") : n; };
    std::vector<int> before;
    const auto read = [&] {
        for (const int each : pool.map(fails, numbers)) before.push_back(each);
    };
    CHECK_THROWS_AS(read(), std::out_of_range);
    CHECK(before == std::vector{1});
}

TEST_CASE("pool.map: results in the order of completion", "[thread_pool_map]") {
    thread_pool pool(2);
    gate hold;
    const std::vector<int> numbers{0, 1, 2, 3};
    auto as_they_come = pool.map([&](int n) {
        if (n == 0) hold.pass();
        return n;
    }, numbers).as_completed();
    std::vector<int> order;
    for (int i = 0; i < 3; ++i) order.push_back(*as_they_come.blocking_next());
    CHECK(order == std::vector{1, 2, 3});
    CHECK_THROWS_AS(as_they_come.blocking_next_for(1ms), timeout_error);
    hold.open();
    CHECK(*as_they_come.blocking_next() == 0);
    CHECK_FALSE(as_they_come.blocking_next());
    CHECK_FALSE(as_they_come.blocking_next());
}

TEST_CASE("pool.map: an error comes in its place, ends the map and cancels queued jobs",
          "[thread_pool_map]") {
    for (const bool ordered : {true, false}) {
        thread_pool pool(1);
        std::atomic<int> called{0};
        std::vector<int> numbers(100);
        for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<int>(i);
        auto call = [&](int n) {
            ++called;
            if (n == 2) throw std::out_of_range("two");
            return n;
        };
        auto map = pool.map(call, numbers).as_completed(!ordered);
        CHECK(*map.blocking_next() == 0);
        CHECK(*map.blocking_next() == 1);
        CHECK_THROWS_AS(map.blocking_next(), std::out_of_range);
        CHECK_FALSE(map.blocking_next());
        pool.shutdown();
        CHECK(called <= 6);
    }
}

TEST_CASE("pool.map: a timeout loses nothing", "[thread_pool_map]") {
    thread_pool pool(1);
    gate hold;
    const std::vector<int> numbers{1, 2};
    auto map = pool.map([&](int n) { return hold.pass(), n; }, numbers);
    CHECK_THROWS_AS(map.blocking_next_for(1ms), timeout_error);
    CHECK_THROWS_AS(pool.map([&](int n) { return hold.pass(), n; }, numbers).get_for(1ms),
                    timeout_error);
    hold.open();
    CHECK(*map.blocking_next_for(1h) == 1);
    CHECK(map.get_for(1h) == std::vector{2});
}

TEST_CASE("pool.map: void, move-only results and a pool that is shut down", "[thread_pool_map]") {
    thread_pool pool(2);
    std::atomic<int> sum{0};
    const std::vector<int> numbers{1, 2, 3};
    pool.map([&](int n) { sum += n; }, numbers).get();
    CHECK(sum == 6);
    auto owned = pool.map([](int n) { return std::make_unique<int>(n); }, numbers).get();
    CHECK(*owned[2] == 3);
    std::vector<std::unique_ptr<int>> sources;
    sources.push_back(std::make_unique<int>(4));
    CHECK(pool.map([](std::unique_ptr<int> n) { return *n; }, std::move(sources)).get() ==
          std::vector{4});
    auto later = pool.map(square, std::vector<long>{1, 2});
    pool.shutdown();
    CHECK_THROWS_AS(later.blocking_next(), closed_error);
    CHECK_FALSE(later.blocking_next());
}

// -- in tasks -------------------------------------------------------------------------------------

RONDO_TEST("pool.map: awaited, it gives all results, and the loop goes on",
           "[thread_pool_map][kernel]") {
    thread_pool pool(2);
    const std::array numbers{1L, 2L, 3L};
    const auto squares = co_await pool.map(square, numbers);
    CHECK(squares == std::vector{1L, 4L, 9L});
    co_await pool.map([](long) {}, numbers);
    auto chunked = pool.map(square, std::vector<long>{5, 6}).chunk(2).as_completed();
    const std::vector<long> both = co_await chunked;
    CHECK(both == std::vector{25L, 36L});
    auto lazily = pool.map(square, numbers);
    long sum = 0;
    while (auto one = co_await lazily.next()) sum += *one;
    CHECK(sum == 14);
    std::multiset<long> seen;
    auto as_they_come = pool.map(square, numbers).as_completed();
    while (auto one = co_await as_they_come.next()) seen.insert(*one);
    CHECK(seen == std::multiset<long>{1, 4, 9});
    CHECK_THROWS_AS(co_await pool.map(
                        [](long n) { return n == 2 ? throw std::out_of_range("2") : n; }, numbers),
                    std::out_of_range);
    co_await pool.close();
}

RONDO_TEST("pool.map: next is cancelled before, while and after, and loses nothing",
           "[thread_pool_map][cancel][kernel]") {
    for (const bool ordered : {true, false}) {
        thread_pool pool(1);
        gate hold;
        std::vector<int> numbers{1, 2, 3};
        auto map = pool.map([&](int n) { return hold.pass(), n; }, numbers).as_completed(!ordered);
        co_await check_cancelled_before([&] { return map.next(); });
        co_await check_cancelled_while_suspended([&] { return map.next(); });
        hold.open();
        std::vector<int> got;
        while (auto one = co_await map.next()) got.push_back(*one);
        CHECK(got == numbers);
        co_await pool.close();
    }
}

RONDO_TEST("pool.map: a cancelled await of all results cancels the queued calls",
           "[thread_pool_map][cancel][kernel]") {
    gate hold;
    std::atomic<int> called{0};
    std::vector<int> numbers(20, 1);
    thread_pool pool(1);  // destroyed first: the running call outlives the await
    auto all = create_task(
        [](thread_pool* p, gate* g, std::atomic<int>* c, std::vector<int>* n) -> task<> {
            const auto call = [g, c](int m) { return ++*c, g->pass(), m; };
            co_await p->map(call, *n);
        }(&pool, &hold, &called, &numbers));
    while (called == 0) co_await yield_now();
    all.cancel();
    CHECK_THROWS_AS(co_await all, future_cancelled);
    hold.open();
    co_await pool.close();
    CHECK(called == 1);
}

RONDO_TEST("pool.map: an abandoned map stops a chunk between two calls",
           "[thread_pool_map][cancel][kernel]") {
    gate hold;
    std::atomic<int> called{0};
    std::vector<int> numbers(20, 1);
    thread_pool pool(1);
    auto all = create_task(
        [](thread_pool* p, gate* g, std::atomic<int>* c, std::vector<int>* n) -> task<> {
            const auto call = [g, c](int m) { return ++*c, g->pass(), m; };
            co_await p->map(call, *n).chunk(20);
        }(&pool, &hold, &called, &numbers));
    while (called == 0) co_await yield_now();
    all.cancel();
    CHECK_THROWS_AS(co_await all, future_cancelled);
    hold.open();
    co_await pool.close();
    CHECK(called == 1);
}

TEST_CASE("pool.map: a callable may take a stop_token, and the pool's destructor sets it",
          "[thread_pool_map]") {
    const std::vector<int> numbers{1, 2, 3, 4};
    {
        thread_pool pool(2);
        const auto plus = [](const std::stop_token& stop, int n) {
            return stop.stop_requested() ? 0 : n + 1;
        };
        CHECK(pool.map(plus, numbers).chunk(3).get() == std::vector<int>{2, 3, 4, 5});
        const auto add = [](std::stop_token, int a, int b) { return a + b; };
        CHECK(pool.map(add, numbers, numbers).get() == std::vector<int>{2, 4, 6, 8});
    }
    std::atomic<int> called{0};
    {
        thread_pool pool(1);
        auto left = pool.map(
            [&](const std::stop_token& stop, int) {
                ++called;
                until_stopped(stop);
            },
            numbers).chunk(4);
        CHECK_THROWS_AS(left.blocking_next_for(0s), timeout_error);
        while (called == 0) std::this_thread::yield();
    }
    CHECK(called == 1);
}

// -- several futures ------------------------------------------------------------------------------

TEST_CASE("wait: splits thread_futures into done and pending", "[thread_pool_map]") {
    std::vector<thread_promise<int>> promises(4);
    std::vector<thread_future<int>> futures;
    for (auto& p : promises) futures.push_back(p.get_future());
    CHECK(rondo::wait(std::vector<thread_future<int>>{}).done.empty());
    auto none = rondo::wait(futures, return_when::all_completed, 1ms);
    CHECK(none.done.empty());
    CHECK(none.pending == futures);
    promises[2].set_value(2);
    auto first = rondo::wait(futures, return_when::first_completed);
    CHECK(first.done == std::vector{futures[2]});
    CHECK(first.pending == std::vector{futures[0], futures[1], futures[3]});
    promises[0].set_exception(std::make_exception_ptr(std::out_of_range("x")));
    auto failed = rondo::wait(futures, return_when::first_exception);
    CHECK(failed.done == std::vector{futures[0], futures[2]});
    futures[1].cancel();
    std::jthread last([&] { promises[3].set_value(3); });
    auto all = rondo::wait(futures);
    CHECK(all.done == futures);
    CHECK(all.pending.empty());
    CHECK(futures[0].exception() != nullptr);
}

TEST_CASE("as_completed: gives thread_futures in the order of completion", "[thread_pool_map]") {
    std::vector<thread_promise<int>> promises(3);
    std::vector<thread_future<int>> futures;
    for (auto& p : promises) futures.push_back(p.get_future());
    promises[1].set_value(1);
    auto order = as_completed(futures);
    CHECK(*order.next() == futures[1]);
    promises[2].set_value(2);
    promises[0].set_value(0);
    CHECK(*order.next() == futures[2]);
    CHECK(*order.next() == futures[0]);
    CHECK_FALSE(order.next());
    int sum = 0;
    for (auto& f : as_completed(futures)) sum += f.get();
    CHECK(sum == 3);
    thread_promise<int> never;
    auto in_time = as_completed(std::vector{never.get_future()}, 1ms);
    CHECK_THROWS_AS(in_time.next(), timeout_error);
}

RONDO_TEST("wrap_future: as a future of the loop; cancelling it cancels the job",
           "[thread_pool_map][both]") {
    thread_promise<int> promise, other;
    auto f = wrap_future(promise.get_future());
    auto g = wrap_future(other.get_future());
    promise.set_value(4);
    CHECK(co_await f == 4);
    co_await finish();
    g.cancel();
    CHECK_THROWS_AS(co_await g, future_cancelled);
    CHECK(other.get_future().cancelled());
    thread_promise<int> third, fourth;
    wrap_future(third.get_future()).cancel();  // before it has begun
    co_await finish();
    CHECK(third.get_future().cancelled());
    fourth.set_exception(std::make_exception_ptr(std::out_of_range("no")));
    CHECK_THROWS_AS(co_await wrap_future(fourth.get_future()), std::out_of_range);
    thread_promise<int> a, b;
    a.set_value(1);
    b.set_value(2);
    const auto [one, two] = co_await gather(a.get_future(), b.get_future());
    CHECK(one + two == 3);
}

}  // namespace
