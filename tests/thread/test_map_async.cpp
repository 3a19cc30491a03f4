// SPDX-License-Identifier: MIT
// thread_pool::map_async: begins at once, one future for all results.
#include <atomic>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <rondo/from_threads.hpp>
#include <rondo/gather.hpp>
#include <rondo/run.hpp>
#include <rondo/sleep.hpp>
#include <rondo/task_local.hpp>

#include "support/pool_tools.hpp"

using namespace rondo_tests;

namespace {

int square(int n) { return n * n; }

std::vector<int> numbers_to(int end) {
    std::vector<int> all(static_cast<std::size_t>(end));
    std::iota(all.begin(), all.end(), 0);
    return all;
}

TEST_CASE("map_async: results in the order of the elements, of any kind", "[map_async]") {
    testing::leak_probe probe;
    {
        thread_pool pool(3);
        CHECK(pool.map_async(square, std::vector{3, 1, 2}).get() == std::vector{9, 1, 4});
        const std::vector<std::string> words{"a", "b"};
        const auto joined = pool.map_async(
            [](const std::string& word, int n) { return word + std::to_string(n); }, words,
            std::vector{1, 2, 3});
        CHECK(joined.get() == std::vector<std::string>{"a1", "b2"});
        CHECK(pool.map_async([](int n) { return n > 1; }, std::vector{1, 2}).get() ==
              std::vector{false, true});
        const auto owned =
            pool.map_async([](int n) { return std::make_unique<int>(n); }, std::vector{7});
        CHECK(*owned.get().front() == 7);
        CHECK(pool.map_async(square, std::vector<int>()).get().empty());
        std::atomic<int> sum{0};
        thread_future<> all = pool.map_async([&](int n) { sum += n; }, numbers_to(101));
        all.get();
        CHECK(sum == 5050);
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("map_async: begins without a reader, and never more calls at once than threads",
          "[map_async]") {
    thread_pool pool(2);
    std::atomic<int> now{0}, most{0}, made{0};
    {
        const auto dropped = pool.map_async(
            [&](int) {
                const int at_once = ++now;
                for (int seen = most; seen < at_once;)
                    most.compare_exchange_weak(seen, at_once);
                std::this_thread::yield();
                --now;
                ++made;
            },
            numbers_to(200));
    }
    pool.shutdown();
    CHECK(made == 200);
    CHECK(most <= 2);
}

RONDO_TEST("map_async: a task awaits it, also among others", "[map_async][kernel]") {
    thread_pool pool(2);
    auto squares = pool.map_async(square, numbers_to(4));
    const std::vector<int> expected{0, 1, 4, 9};
    CHECK(co_await squares == expected);
    const auto direct = co_await pool.map_async(square, numbers_to(4));
    CHECK(direct == expected);
    const auto [a, b] = co_await gather(squares, pool.submit(square, 5));
    CHECK(a.size() == 4);
    CHECK(b == 25);
    co_await pool.close();
}

RONDO_TEST("map_async: its calls see the task_locals of the task that started it",
           "[map_async][kernel]") {
    static task_local<int> level(0);
    thread_pool pool(2);
    const auto body = [](thread_pool* on) -> task<int> {
        auto seen = on->map_async([](int) { return level.get(); }, numbers_to(3));
        int sum = 0;
        for (const int each : co_await seen) sum += each;
        co_return sum;
    };
    CHECK(co_await level.with(4, body, &pool) == 12);
    co_await pool.close();
}

TEST_CASE("map_async: the first error ends it, and it is done when no call runs any more",
          "[map_async]") {
    testing::leak_probe probe;
    {
        thread_pool pool(2);
        std::atomic<int> made{0}, running{0};
        const auto all = pool.map_async(
            [&](std::stop_token stop, int n) {
                ++made;
                ++running;
                while (n == 0 && running != 2) std::this_thread::yield();
                if (n == 1) until_stopped(stop);
                --running;
                if (n == 0) throw std::out_of_range("zero");
                return n;
            },
            numbers_to(1000));
        CHECK_THROWS_AS(all.get(), std::out_of_range);
        CHECK(running == 0);
        CHECK(made == 2);
        CHECK(pool.submit(square, 2).get() == 4);
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("map_async: cancelled before, during and after its calls", "[map_async][cancel]") {
    thread_pool pool(1);
    gate hold, begun;
    auto first = pool.submit([&] { hold.pass(); });
    std::atomic<int> made{0};
    const auto before = pool.map_async([&](int) { ++made; }, numbers_to(3));
    CHECK(before.cancel());
    CHECK(before.done());  // the pool is still busy
    CHECK_THROWS_AS(before.get(), future_cancelled);
    hold.open();
    first.wait();

    const auto during = pool.map_async(
        [&](std::stop_token stop, int n) {
            ++made;
            begun.open();
            until_stopped(stop);
            return n;
        },
        numbers_to(3));
    begun.pass();
    CHECK(during.cancel());
    CHECK_THROWS_AS(during.get(), future_cancelled);
    CHECK(made == 1);

    const auto after = pool.map_async(square, numbers_to(2));
    after.wait();
    CHECK_FALSE(after.cancel());
    CHECK(after.get() == std::vector{0, 1});
}

TEST_CASE("map_async: a cancelled call makes the future cancelled, a last call its value",
          "[map_async][cancel]") {
    thread_pool pool(1);
    CHECK_THROWS_AS(pool.map_async([](int) -> int { throw cancelled(); }, numbers_to(2)).get(),
                    future_cancelled);
    gate begun, hold;
    const auto last = pool.map_async(
        [&](int n) {
            begun.open();
            hold.pass();
            return n;
        },
        std::vector{8});
    begun.pass();
    CHECK(last.cancel());
    hold.open();
    CHECK(last.get() == std::vector{8});
}

RONDO_TEST("map_async: a task leaves it at once, and the map goes on",
           "[map_async][cancel][kernel]") {
    thread_pool pool(1);
    gate hold;
    std::atomic<int> made{0};
    auto all = pool.map_async(
        [&](int) {
            hold.pass();
            ++made;
        },
        numbers_to(3));
    co_await check_cancelled_before([&] { return all; });
    co_await check_cancelled_while_suspended([&] { return all; });
    hold.open();
    co_await all;
    CHECK(made == 3);
    co_await pool.close();
}

TEST_CASE("map_async: one runner is enough if the pool has no room for more", "[map_async]") {
    for (const policy how : {policy::abort, policy::discard, policy::discard_oldest}) {
        thread_pool pool(bounds(1, 3, 1, how));
        held_jobs held(pool);
        auto running = held.run_one();
        const auto all = pool.map_async(square, numbers_to(50));
        held.open();
        CHECK(all.get().size() == 50);
        CHECK(running.get() == 1);
    }
    thread_pool full(bounds(1, 1, 0, policy::abort));
    held_jobs held(full);
    auto running = held.run_one();
    CHECK_THROWS_AS(full.map_async(square, numbers_to(2)), pool_full_error);
    thread_pool caller(bounds(1, 1, 0, policy::caller_runs));
    held_jobs busy(caller);
    auto other = busy.run_one();
    CHECK(caller.map_async(square, numbers_to(3)).get() == std::vector{0, 1, 4});
    thread_pool over(1);
    over.shutdown();
    CHECK_THROWS_AS(over.map_async(square, numbers_to(2)), closed_error);
    CHECK(over.map_async(square, std::vector<int>()).get().empty());
}

TEST_CASE("map_async: waiting for it in a job of its own pool is a deadlock_error",
          "[map_async]") {
    thread_pool pool(1);
    auto outer = pool.submit([&] { return pool.map_async(square, numbers_to(2)).get().size(); });
    CHECK_THROWS_AS(outer.get(), deadlock_error);
}

TEST_CASE("map_async: what it owns is destroyed before it is done", "[map_async]") {
    thread_pool pool(2);
    auto owned = std::make_shared<int>(1);
    const std::weak_ptr<int> watched = owned;
    auto all = pool.map_async([held = std::move(owned)](const std::shared_ptr<int>& n) {
        return *held + *n;
    }, std::vector{std::make_shared<int>(1), std::make_shared<int>(2)});
    all.wait();
    CHECK(watched.expired());
    CHECK(all.get() == std::vector{2, 3});
}

// -- the end of a pool ----------------------------------------------------------------------------

std::vector<std::string> told;  // written by one thread
void remember(const exception_context& context) { told.push_back(context.message); }

/// The text that a waiter for `f` gets.
template <class T>
std::string text_of(const thread_future<T>& f) {
    try {
        f.get();
        return "a value";
    } catch (const future_cancelled& error) {
        return error.what();
    }
}

TEST_CASE("thread_pool: its destructor runs the queue if on_destruction says so",
          "[thread_pool]") {
    testing::leak_probe probe;
    std::atomic<int> ran{0};
    {
        thread_pool_options options;
        options.core = 2;
        options.on_destruction = queued_jobs::run;
        thread_pool pool(options);
        for (int i = 0; i < 100; ++i) pool.submit([&] { ++ran; });
        thread_pool moved = std::move(pool);
        moved.map_async([&](int) { ++ran; }, numbers_to(100));
        bool asked = true;
        moved.submit([&](std::stop_token stop) { asked = stop.stop_requested(); }).wait();
        CHECK_FALSE(asked);
    }
    CHECK(ran == 200);
    CHECK(probe.leaks() == "");
}

TEST_CASE("thread_pool: the futures of jobs that never ran say why", "[thread_pool]") {
    told.clear();
    const auto before = set_thread_exception_hook(remember);
    gate hold;
    thread_future<int> kept, first, second;
    thread_future<std::vector<int>> mapped;
    {
        thread_pool pool(1);
        auto running = pool.submit([&](std::stop_token stop) {
            hold.open();
            until_stopped(stop);
        });
        hold.pass();
        kept = pool.submit(square, 1);
        pool.submit(square, 2);
        pool.submit(square, 3);
        pool.map_async(square, numbers_to(2));
        mapped = pool.map_async(square, numbers_to(2));
    }
    CHECK(kept.cancelled());
    CHECK_THROWS_AS(mapped.get(), future_cancelled);
    CHECK(text_of(kept).find("the thread pool was destroyed before the job began") == 0);
    REQUIRE(told.size() == 1);
    CHECK(told[0] == "a thread_pool was destroyed, and 3 queued jobs never ran");
    try {  // the exception that leaves the scope says enough
        thread_pool pool(1);
        gate begun;
        pool.submit([&](std::stop_token stop) {
            begun.open();
            until_stopped(stop);
        });
        begun.pass();
        pool.submit(square, 2);
        throw std::out_of_range("scope");
    } catch (const std::out_of_range&) {
    }
    CHECK(told.size() == 1);
    set_thread_exception_hook(before);

    thread_pool pool(bounds(1, 1, 1, policy::discard_oldest));
    held_jobs held(pool);
    auto running = held.run_one();
    first = pool.submit(square, 1);
    second = pool.submit(square, 2);
    CHECK(text_of(first) == "the thread pool was full and discarded this job");
    pool.shutdown(false, true);
    CHECK(text_of(second) == "the thread pool was shut down before this job began");
    CHECK(second.cancelled());
}

RONDO_TEST("thread_pool: a task that awaits a job that never ran is told why",
           "[thread_pool][kernel]") {
    thread_future<int> kept;
    {
        thread_pool pool(1);
        gate begun;
        auto running = pool.submit([&](std::stop_token stop) {
            begun.open();
            until_stopped(stop);
        });
        begun.pass();
        kept = pool.submit(square, 1);
    }
    std::string text;
    try {
        co_await kept;
    } catch (const future_cancelled& error) {
        text = error.what();
    }
    CHECK(text.find("on_destruction") != std::string::npos);
}

TEST_CASE("thread_pool: a loop's end runs the queue of its executor if on_destruction says so",
          "[thread_pool][executor]") {
    for (const auto how : {queued_jobs::run, queued_jobs::cancel}) {
        std::atomic<int> ran{0};
        testing::world w(testing::sim_options{});
        thread_pool_options options;
        options.core = 1;
        options.on_destruction = how;
        thread_pool pool(options);
        gate begun, hold;
        auto running = pool.submit([&](std::stop_token stop) {
            begun.open();
            if (how == queued_jobs::run)
                hold.pass();
            else
                until_stopped(stop);
        });
        begun.pass();
        auto queued = pool.submit([&] { ++ran; });
        w.loop().set_default_executor(std::move(pool));
        hold.open();
        w.end();
        CHECK(ran == (how == queued_jobs::run ? 1 : 0));
    }
}

}  // namespace
