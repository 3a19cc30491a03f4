// SPDX-License-Identifier: MIT
// thread_pool: the place of a job at every boundary of core, queue and max (Java's documented
// behaviour, except that an idle thread is used first), and the policies. test_thread_pool_life.cpp
// has the start and end of threads, and every way to end a pool.
#include <rondo/thread_pool.hpp>

#include <pthread.h>
#include <sys/syscall.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <rondo/executor.hpp>
#include <rondo/from_threads.hpp>
#include <rondo/gather.hpp>
#include <rondo/run.hpp>
#include <rondo/thread_sync.hpp>
#include <rondo/threads.hpp>

#include "support/child.hpp"
#include "support/pool_tools.hpp"

using namespace rondo_tests;

namespace {

// -- what comes back ------------------------------------------------------------------------------

struct odd {
    int number;
    int times(int n) const { return n * number; }
};

TEST_CASE("thread_pool: submit calls whatever std::thread can call, and gives its value",
          "[thread_pool]") {
    testing::leak_probe probe;
    {
        thread_pool pool(2);
        CHECK(pool.submit([](int a, int b) { return a + b; }, 3, 4).get() == 7);
        CHECK(pool.submit(&odd::times, odd{3}, 5).get() == 15);
        CHECK(*pool.submit([](std::unique_ptr<int> n) { return n; }, std::make_unique<int>(8))
                   .get() == 8);
        int touched = 0;
        pool.submit([](int& n) { n = 5; }, std::ref(touched)).get();
        CHECK(touched == 5);
        int& same = pool.submit([&]() -> int& { return touched; }).get();
        CHECK(&same == &touched);
        CHECK_THROWS_AS(pool.submit([] { throw std::out_of_range("job"); }).get(),
                        std::out_of_range);
        CHECK_THROWS_AS(pool.submit([]() -> int { throw cancelled(); }).get(), future_cancelled);
        CHECK(pool.stats().largest <= 2);
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("thread_pool: callable and arguments are copied, and destroyed before the future is done",
          "[thread_pool]") {
    const auto counted = std::make_shared<int>(1);
    thread_event submitted;  // until then copies of the statement itself may be there
    thread_pool pool(1);
    auto f = pool.submit(
        [counted, &submitted](const std::shared_ptr<int>& argument) {
            submitted.wait();
            return argument.use_count();
        },
        counted);
    submitted.set();
    CHECK(f.get() == 3);
    CHECK(counted.use_count() == 1);
    auto failing = pool.submit([counted] { throw std::runtime_error("x"); });
    CHECK_THROWS(failing.get());
    CHECK(counted.use_count() == 1);
    held_jobs held(pool);
    held.run_one();
    auto waiting = pool.submit([counted] {});
    CHECK(counted.use_count() == 2);
    CHECK(waiting.cancel());
    CHECK(counted.use_count() == 1);
}

TEST_CASE("thread_pool: threads are named, and block the process's signals", "[thread_pool]") {
    thread_pool_options options;
    options.core = 1;
    options.name_prefix = "a-long-prefix-of-mine";
    thread_pool pool(options);
    const auto name = pool.submit([] {
        char text[16] = "";
        ::pthread_getname_np(::pthread_self(), text, sizeof text);
        return std::string(text);
    });
    CHECK(name.get() == "a-long-prefix-0");
    CHECK(pool.submit(this_thread_name).get() == "a-long-prefix-of-mine-0");
    const auto blocked = pool.submit([] {
        sigset_t now;
        ::pthread_sigmask(SIG_SETMASK, nullptr, &now);
        return ::sigismember(&now, SIGINT) == 1 && ::sigismember(&now, SIGSEGV) == 0;
    });
    CHECK(blocked.get());
}

// -- where a job goes -----------------------------------------------------------------------------

TEST_CASE("thread_pool: core first, then the queue, then max, then the policy", "[thread_pool]") {
    thread_pool pool(bounds(2, 3, 2));
    held_jobs held(pool);
    CHECK(pool.stats().threads == 0);
    held.run_one();
    CHECK(pool.stats().threads == 1);
    held.run_one();
    CHECK(pool.stats().threads == 2);
    auto third = held.submit();
    auto fourth = held.submit();
    CHECK(pool.stats().threads == 2);
    CHECK(pool.stats().queued == 2);
    CHECK(held.running() == 2);
    auto fifth = held.submit();  // one more thread, for the oldest queued job
    while (held.running() < 3) std::this_thread::yield();
    CHECK(third.running());
    CHECK(pool.stats().threads == 3);
    CHECK(pool.stats().queued == 2);
    CHECK(pool.stats().busy == 3);
    CHECK_THROWS_AS(held.submit(), pool_full_error);
    CHECK_THROWS_WITH(held.submit(), "the thread pool is full: 3 threads are busy and 2 jobs wait");
    CHECK(fourth.cancel());  // makes room
    auto sixth = held.submit();
    held.open();
    CHECK(fifth.get() == 5);
    CHECK(sixth.get() == 8);
    until_idle(pool, 3);
    CHECK(pool.stats().completed == 5);
    CHECK(pool.stats().largest == 3);
}

TEST_CASE("thread_pool: an idle thread is used before one is started", "[thread_pool]") {
    thread_pool pool(4);
    for (int i = 0; i < 50; ++i) {
        pool.submit([] {}).get();
        while (pool.stats().busy != 0) std::this_thread::yield();
    }
    CHECK(pool.stats().largest <= 4);
    CHECK(pool.stats().completed == 50);
    thread_pool one(bounds(1, 1, 0));
    one.submit([] {}).get();
    until_idle(one, 1);
    for (int i = 0; i < 50; ++i) {  // no queue: only the idle thread can take it
        for (;;) {
            try {
                one.submit([] {}).get();
                break;
            } catch (const pool_full_error&) {  // the thread has set its result and is not idle yet
                std::this_thread::yield();
            }
        }
    }
    CHECK(one.stats().largest == 1);
}

TEST_CASE("thread_pool: without a queue a job needs a thread at once", "[thread_pool]") {
    thread_pool pool(bounds(1, 2, 0));
    held_jobs held(pool);
    held.run_one();
    held.run_one();
    CHECK(pool.stats().threads == 2);
    CHECK_THROWS_AS(held.submit(), pool_full_error);
}

TEST_CASE("thread_pool: an unbounded queue never starts a thread above core", "[thread_pool]") {
    thread_pool pool(bounds(1, 8, thread_pool_options::unbounded));
    held_jobs held(pool);
    held.run_one();
    std::vector<thread_future<int>> all;
    for (int i = 0; i < 1'000; ++i) all.push_back(held.submit());
    CHECK(pool.stats().threads == 1);
    CHECK(pool.stats().queued == 1'000);
    held.open();
    for (int i = 0; i < 1'000; ++i) REQUIRE(all[static_cast<std::size_t>(i)].get() == i + 2);
}

// -- policies -------------------------------------------------------------------------------------

TEST_CASE("thread_pool: caller_runs runs it on the submitting thread", "[thread_pool]") {
    thread_pool pool(bounds(1, 1, 1, policy::caller_runs));
    held_jobs held(pool);
    held.run_one();
    auto queued = held.submit();
    const auto here = pool.submit([] { return std::this_thread::get_id(); });
    CHECK(here.done());
    CHECK(here.get() == std::this_thread::get_id());
    CHECK_THROWS_AS(pool.submit([] { throw std::out_of_range("x"); }).get(), std::out_of_range);
    held.open();
    CHECK(queued.get() == 2);
    pool.shutdown();
    CHECK_THROWS_AS(pool.submit([] {}), closed_error);
}

TEST_CASE("thread_pool: discard cancels the new job, discard_oldest the oldest queued one",
          "[thread_pool]") {
    thread_pool pool(bounds(1, 1, 2, policy::discard));
    held_jobs held(pool);
    held.run_one();
    auto second = held.submit();
    auto third = held.submit();
    auto fourth = held.submit();
    CHECK(fourth.cancelled());

    thread_pool oldest(bounds(1, 1, 2, policy::discard_oldest));
    held_jobs others(oldest);
    others.run_one();
    auto a = others.submit();
    auto b = others.submit();
    auto c = others.submit();
    CHECK(a.cancelled());
    CHECK_THROWS_AS(a.get(), future_cancelled);
    CHECK_FALSE(b.done());
    auto d = others.submit();
    CHECK(b.cancelled());
    others.open();
    held.open();
    CHECK(c.get() == 4);
    CHECK(d.get() == 5);
    CHECK(second.get() == 2);
    CHECK(third.get() == 3);

    thread_pool no_queue(bounds(1, 1, 0, policy::discard_oldest));
    held_jobs none(no_queue);
    none.run_one();
    CHECK(none.submit().cancelled());  // there is no older one
}

TEST_CASE("thread_pool: block waits for room, or for the end", "[thread_pool]") {
    testing::leak_probe probe;
    {
        thread_pool pool(bounds(1, 1, 1, policy::block));
        held_jobs held(pool);
        held.run_one();
        auto second = held.submit();
        std::atomic<int> stage{0};
        std::jthread blocked([&] {
            stage = 1;
            auto f = pool.submit([] { return 3; });
            stage = 2;
            CHECK(f.get() == 3);
        });
        while (stage == 0) std::this_thread::yield();
        std::this_thread::yield();
        CHECK(stage == 1);
        held.open();
        blocked.join();
        CHECK(second.get() == 2);
    }
    {
        thread_pool pool(bounds(1, 1, 0, policy::block));
        held_jobs held(pool);
        held.run_one();
        std::atomic<bool> refused{false}, began{false};
        std::jthread blocked([&] {
            began = true;
            try {
                pool.submit([] {});
            } catch (const closed_error&) {
                refused = true;
            }
        });
        while (!began) std::this_thread::yield();
        pool.shutdown(false);
        blocked.join();
        CHECK(refused);
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("thread_pool: every job of many submitters is run once under each policy that loses none",
          "[thread_pool][stress]") {
    testing::leak_probe probe;
    for (const policy p : {policy::caller_runs, policy::block, policy::abort}) {
        thread_pool pool(bounds(1, 3, 4, p));
        std::atomic<int> ran{0}, taken{0};
        {
            std::vector<std::jthread> threads;
            for (int t = 0; t < 4; ++t)
                threads.emplace_back([&] {
                    for (int i = 0; i < many(5'000, 1'000); ++i) {
                        try {
                            pool.submit([&] { ++ran; });
                            ++taken;
                        } catch (const pool_full_error&) {
                        }
                    }
                });
        }
        pool.shutdown();
        CHECK(ran == taken);
        if (p != policy::abort) CHECK(ran == 4 * many(5'000, 1'000));
    }
    CHECK(probe.leaks() == "");
}

}  // namespace
