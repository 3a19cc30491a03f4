// SPDX-License-Identifier: MIT
// Jobs of a thread pool: those that wait for their own pool, what they own, and those of tasks.
#include <rondo/thread_pool.hpp>

#include <pthread.h>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <rondo/bridge.hpp>
#include <rondo/executor.hpp>
#include <rondo/from_threads.hpp>
#include <rondo/gather.hpp>
#include <rondo/run.hpp>
#include <rondo/sleep.hpp>
#include <rondo/thread_wait.hpp>

#include "support/child.hpp"
#include "support/pool_tools.hpp"

using namespace rondo_tests;

namespace {

// -- waiting for one's own pool -------------------------------------------------------------------

TEST_CASE(
    "thread_pool: a job that waits for its own full pool throws, and with caller_runs it works",
    "[thread_pool]") {
    thread_pool pool(2);
    auto nested = [&pool] { return pool.submit([] { return 1; }).get(); };
    CHECK(pool.submit(nested).get() == 1);  // there is another thread
    std::atomic<int> inside{0}, told{0};
    auto both = [&] {
        ++inside;
        while (inside < 2) std::this_thread::yield();
        try {
            return pool.submit([] { return 1; }).get();
        } catch (const deadlock_error&) {
            ++told;
            return -1;
        }
    };
    auto a = pool.submit(both);
    auto b = pool.submit(both);
    CHECK(a.get() + b.get() <= 0);
    CHECK(told >= 1);

    thread_pool deep(bounds(1, 1, 0, policy::caller_runs));
    std::function<int(int)> fibonacci = [&](int n) -> int {
        if (n < 2) return n;
        auto left = deep.submit(fibonacci, n - 1);
        auto right = deep.submit(fibonacci, n - 2);
        return left.get() + right.get();
    };
    CHECK(deep.submit(fibonacci, 12).get() == 144);

    thread_pool growing(bounds(1, 3, 10));  // starts one more thread if that helps
    std::function<int(int)> chain = [&](int n) -> int {
        return n == 0 ? 0 : 1 + growing.submit(chain, n - 1).get();
    };
    CHECK(growing.submit(chain, 2).get() == 2);
    CHECK_THROWS_AS(growing.submit(chain, 3).get(), deadlock_error);
    thread_pool blocking(bounds(1, 1, 0, policy::block));
    CHECK_THROWS_AS(blocking.submit([&] { blocking.submit([] {}); }).get(), deadlock_error);
}

TEST_CASE(
    "thread_pool: joined on a loop's thread while a job waits for that loop, it aborts",
    "[thread_pool]") {
    if (with_tsan()) return;  // it starts no thread in a forked child
    const auto end = run_child([] {
        run([]() -> task<> {
            thread_pool pool(1);
            std::atomic<bool> began{false};
            pool.submit([&, home = running_loop().remote()] {
                began = true;
                run_coroutine_threadsafe([]() -> task<> { co_return; }(), home).get();
            });
            while (!began) std::this_thread::yield();
            co_return;
        }());
        return 0;
    });
    INFO(end.text);
    CHECK(end.aborted());
    CHECK(end.says("co_await pool.close() first"));
}

TEST_CASE("thread_pool: a job that waits for several futures of its own full pool throws",
          "[thread_pool]") {
    thread_pool pool(1);
    const auto one = [] { return 1; };
    CHECK_THROWS_AS(pool.submit([&] {
                            rondo::wait(std::vector{pool.submit(one), pool.submit(one)});
                        })
                        .get(),
                    deadlock_error);
    CHECK_THROWS_AS(pool.submit([&] {
        for (auto& f : rondo::as_completed(std::vector{pool.submit(one)})) f.wait();
    }).get(), deadlock_error);
    CHECK_THROWS_AS(pool.submit([&] {
        const std::array numbers{1, 2, 3};
        pool.map([](int n) { return n; }, numbers).as_completed().get();
    }).get(), deadlock_error);
    thread_promise<int> elsewhere;  // one future that something else ends is enough
    std::atomic<bool> began{false};
    auto f = pool.submit([&] {
        auto both = std::vector{pool.submit(one), elsewhere.get_future()};
        began = true;
        return rondo::wait(both, return_when::first_completed).done.size();
    });
    while (!began) std::this_thread::yield();
    elsewhere.set_value(1);
    CHECK(f.get() == 1);
}

TEST_CASE("thread_pool: a job or a done callback that waits for the end of its own pool throws",
          "[thread_pool]") {
    thread_pool pool(1);
    CHECK_THROWS_AS(pool.submit([&] { pool.shutdown(); }).get(), deadlock_error);
    CHECK_THROWS_AS(pool.submit([&] { run(pool.close()); }).get(),
                    deadlock_error);  // a loop on the pool's thread
    std::atomic<int> told{0};
    held_jobs held(pool);
    auto f = held.run_one();
    f.add_done_callback([&](const auto&) {
        try {
            pool.shutdown(true, true);
        } catch (const deadlock_error&) {
            ++told;
        }
    });
    held.open();
    CHECK(pool.submit([] { return 2; }).get() == 2);  // nothing was shut down
    CHECK(told == 1);
    pool.submit([&] { pool.shutdown(false); }).get();  // allowed without waiting
    pool.shutdown();
}

RONDO_TEST("thread_pool: a task that a job waits for cannot wait for the pool",
           "[thread_pool][kernel]") {
    thread_pool pool(2), second(2), third(2);
    const auto in_a_child = [&]() -> task<> { co_await gather(second.close(), sleep(0s)); };
    CHECK_THROWS_AS(co_await run_in_executor(pool, [&] { block_on(pool.close()); }),
                    deadlock_error);
    CHECK_THROWS_AS(co_await run_in_executor(second, [&] { block_on(in_a_child()); }),
                    deadlock_error);
    auto detached = third.submit([&] { block_on(third.close()); });
    CHECK_THROWS_AS(co_await detached, deadlock_error);
    CHECK_THROWS_AS(co_await to_thread([] { block_on(shutdown_default_executor()); }),
                    deadlock_error);
    CHECK_THROWS_AS(pool.submit([] {}), closed_error);  // the pool ends nevertheless
    co_await pool.close();
}

TEST_CASE("thread_pool: destroying it in its own job or done callback aborts with a sentence",
          "[thread_pool][death]") {
    if (with_tsan()) return;  // it starts no thread in a forked child
    const auto by_a_job = run_child([] {
        std::optional<thread_pool> pool(std::in_place, 1);
        pool->submit([&] { pool.reset(); }).wait();
        return 0;
    });
    const auto by_a_closure = run_child([] {
        auto pool = std::make_shared<thread_pool>(1);
        gate owned_by_the_job_alone;
        auto f = pool->submit([&, pool] { owned_by_the_job_alone.pass(); });
        pool.reset();
        owned_by_the_job_alone.open();
        f.wait();
        return 0;
    });
    const auto by_a_callback = run_child([] {
        auto pool = std::make_unique<thread_pool>(1);
        gate hold;
        auto f = pool->submit([&] { hold.pass(); });
        f.add_done_callback([&](const auto&) { pool = nullptr; });
        hold.open();
        std::this_thread::sleep_for(10s);
        return 0;
    });
    const auto by_assignment = run_child([] {
        thread_pool pool(1);
        pool.submit([&] { pool = thread_pool(2); }).wait();
        return 0;
    });
    for (const auto* end : {&by_a_job, &by_a_closure, &by_a_callback, &by_assignment}) {
        INFO(end->text);
        CHECK(end->aborted());
        CHECK(end->says("by a job or a done callback on one of its own threads"));
    }
}

// -- what a job owns ------------------------------------------------------------------------------

/// Owned by a job: calls `at_end` in its destructor.
struct at_the_end {
    std::function<void()> at_end;
    explicit at_the_end(std::function<void()> fn) : at_end(std::move(fn)) {}
    at_the_end(at_the_end&& other) noexcept : at_end(std::exchange(other.at_end, nullptr)) {}
    ~at_the_end() {
        if (at_end) at_end();
    }
};

TEST_CASE("thread_pool: a job's closure is destroyed before its future is done, however it ends",
          "[thread_pool]") {
    std::string log;  // each line is written by one thread, before the future is done
    const auto owner = [&log] { return at_the_end([&log] { log += "gone "; }); };
    const auto and_told = [&log](auto f) {
        f.add_done_callback([&log](const auto&) { log += "told "; });
        return f;
    };
    const auto lines = [&log] { return std::exchange(log, ""); };
    gate hold;
    std::optional<thread_pool> pool(std::in_place, bounds(1, 1, 2, policy::discard_oldest));
    auto first = and_told(pool->submit([&hold, owned = owner()] { hold.pass(); }));
    while (pool->stats().busy != 1) std::this_thread::yield();
    auto cancelled = and_told(pool->submit([owned = owner()] {}));
    CHECK(cancelled.cancel());
    CHECK(lines() == "gone told ");
    auto displaced = and_told(pool->submit([owned = owner()] {}));
    auto given_up = and_told(pool->submit([owned = owner()] {}));
    auto last = and_told(pool->submit([owned = owner()] {}));
    CHECK(displaced.cancelled());
    CHECK(lines() == "gone told ");
    pool->shutdown(false, true);
    CHECK(given_up.cancelled());
    CHECK(lines() == "gone told gone told ");
    hold.open();
    pool.reset();
    CHECK(lines() == "gone told ");
    gate door;
    pool.emplace(1);
    auto failed = and_told(
        pool->submit([&door, owned = owner()] { door.pass(), throw std::runtime_error("no"); }));
    door.open();
    pool->shutdown();
    CHECK(lines() == "gone told ");
    CHECK_THROWS_AS(failed.get(), std::runtime_error);
}

TEST_CASE("thread_pool: destructors of jobs submit again, drop last handles and throw queues away",
          "[thread_pool]") {
    testing::leak_probe probe;
    {
        thread_pool pool(1);
        held_jobs held(pool);
        held.run_one();
        std::atomic<int> ran{0};
        const auto again = [&] { return at_the_end([&] { pool.submit([&] { ++ran; }); }); };
        auto cancelled = pool.submit([owned = again()] {});
        CHECK(cancelled.cancel());
        auto last_handle = std::make_unique<thread_future<>>(pool.submit([&] { ++ran; }));
        pool.submit([owned = at_the_end([&] { last_handle = nullptr; }), more = again()] {});
        auto jobs = std::make_shared<bridge_queue<at_the_end>>();
        jobs->blocking_put(again());
        held.open();
        pool.submit([jobs = std::move(jobs)] {}).wait();
        pool.shutdown();
        CHECK(ran == 4);
    }
    CHECK(probe.leaks() == "");
}

RONDO_TEST("to_thread: callable and arguments are destroyed before the task resumes",
           "[thread_pool][both]") {
    const auto held = std::make_shared<int>(1);
    auto named = to_thread([owned = held] { return *owned; });
    CHECK(co_await named == 1);
    CHECK(held.use_count() == 1);
    auto failing =
        to_thread([](const std::shared_ptr<int>&) { throw std::runtime_error("no"); }, held);
    CHECK_THROWS_AS(co_await failing, std::runtime_error);
    CHECK(held.use_count() == 1);
}

RONDO_TEST("run_in_executor: the callable of a refused call is destroyed before the task resumes",
           "[thread_pool][kernel]") {
    const auto held = std::make_shared<int>(1);
    thread_pool pool(1);
    pool.shutdown(false);
    auto refused = run_in_executor(pool, [owned = held] { return *owned; });
    CHECK_THROWS_AS(co_await refused, closed_error);
    CHECK(held.use_count() == 1);
}

// -- tasks ----------------------------------------------------------------------------------------

RONDO_TEST("thread_pool: awaited on the loop's thread; close waits without blocking it",
           "[thread_pool][kernel]") {
    const auto home = std::this_thread::get_id();
    thread_pool pool(2);
    CHECK(co_await pool.submit([] { return 5; }) == 5);
    CHECK(std::this_thread::get_id() == home);
    gate hold;
    auto held = pool.submit([&] { hold.pass(); });
    auto closing = create_task(pool.close());
    co_await finish();
    CHECK_FALSE(closing.done());
    CHECK_THROWS_AS(pool.submit([] {}), closed_error);
    hold.open();
    co_await closing;
    CHECK(held.done());
    CHECK(pool.stats().threads == 0);
    co_await pool.close();
}

RONDO_TEST(
    "thread_pool: close is cancelled before it starts and while it waits, and the pool goes on "
    "ending",
    "[thread_pool][cancel][kernel]") {
    thread_pool pool(1);
    held_jobs jobs(pool);
    auto held = jobs.run_one();
    co_await check_cancelled_before([&] { return pool.close(); });
    co_await check_cancelled_while_suspended([&] { return pool.close(true); });
    CHECK_FALSE(held.done());
    jobs.open();
    co_await pool.close();
    CHECK(held.done());
}

RONDO_TEST("run_in_executor: uses the given pool and its policy", "[thread_pool][kernel]") {
    thread_pool pool(bounds(1, 1, 1, policy::abort));
    const auto id = co_await run_in_executor(pool, [] { return std::this_thread::get_id(); });
    CHECK(id != std::this_thread::get_id());
    gate hold;
    signal_to_loop began;
    auto first = create_task([](thread_pool* p, gate* g, signal_to_loop* b) -> task<> {
        co_await run_in_executor(*p, [&] { b->give(), g->pass(); });
    }(&pool, &hold, &began));
    co_await began.given();
    const auto one = [](thread_pool* p) -> task<int> {
        co_return co_await run_in_executor(*p, [] { return 2; });
    };
    auto second = create_task(one(&pool));
    co_await finish();
    CHECK_THROWS_AS(co_await run_in_executor(pool, [] {}), pool_full_error);
    pool.shutdown(false, true);
    CHECK_THROWS_AS(co_await second, future_cancelled);
    CHECK_THROWS_AS(co_await run_in_executor(pool, [] {}), closed_error);
    hold.open();
    co_await first;
    co_await pool.close();
}

RONDO_TEST("run_in_executor: each policy on a full pool", "[thread_pool][kernel]") {
    for (const policy p :
         {policy::caller_runs, policy::discard, policy::discard_oldest, policy::block}) {
        thread_pool pool(bounds(1, 1, 1, p));
        gate hold;
        signal_to_loop began;
        const auto job = [](thread_pool* of, gate* g, signal_to_loop* b) -> task<int> {
            co_return co_await run_in_executor(*of, [&] {
                if (b != nullptr) b->give();
                if (g != nullptr) g->pass();
                return 1;
            });
        };
        auto first = create_task(job(&pool, &hold, &began));
        co_await began.given();
        auto second = create_task(job(&pool, nullptr, nullptr));
        co_await finish();
        auto third = create_task(job(&pool, nullptr, nullptr));
        co_await finish();
        if (p == policy::caller_runs) CHECK(third.done());
        hold.open();
        CHECK(co_await first == 1);
        if (p == policy::discard_oldest)
            CHECK_THROWS_AS(co_await second, future_cancelled);
        else
            CHECK(co_await second == 1);
        if (p == policy::discard)
            CHECK_THROWS_AS(co_await third, future_cancelled);
        else
            CHECK(co_await third == 1);
        co_await pool.close();
    }
}

RONDO_TEST("set_default_executor: to_thread uses it, and it ends with the loop",
           "[thread_pool][kernel]") {
    thread_pool_options options;
    options.core = 1;
    options.name_prefix = "mine";
    gate hold;
    signal_to_loop began;
    auto in_the_old_one = create_task([](gate* g, signal_to_loop* b) -> task<> {
        co_await to_thread([&] { b->give(), g->pass(); });
    }(&hold, &began));
    co_await began.given();
    running_loop().set_default_executor(thread_pool(options));
    const std::string name = co_await to_thread([] {
        char text[16] = "";
        ::pthread_getname_np(::pthread_self(), text, sizeof text);
        return std::string(text);
    });
    CHECK(name == "mine-0");
    hold.open();
    co_await in_the_old_one;
    co_await shutdown_default_executor();
    CHECK_THROWS_AS(co_await to_thread([] {}), closed_error);
}

}  // namespace
