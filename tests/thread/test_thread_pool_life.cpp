// SPDX-License-Identifier: MIT
// thread_pool: the start and end of threads, and every way to end a pool. See
// test_thread_pool_jobs.cpp for the jobs.
#include <rondo/thread_pool.hpp>

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
#include <rondo/run.hpp>
#include <rondo/thread_wait.hpp>

#include "support/child.hpp"
#include "support/pool_tools.hpp"

using namespace rondo_tests;

namespace {

// -- threads come and go --------------------------------------------------------------------------

TEST_CASE("thread_pool: threads above core end when they were idle for long enough",
          "[thread_pool]") {
    testing::leak_probe probe;
    auto options = bounds(1, 4, 0);
    options.keep_alive = 1ms;
    thread_pool pool(options);
    for (int round = 0; round < 3; ++round) {
        held_jobs held(pool);
        std::vector<thread_future<int>> all;
        while (pool.stats().busy < 4) {
            try {
                all.push_back(held.submit());
            } catch (const pool_full_error&) {
            }
            std::this_thread::yield();
        }
        held.open();
        for (auto& f : all) f.wait();
        until_idle(pool, 1);
    }
    CHECK(pool.stats().threads == 1);
    CHECK(pool.stats().largest == 4);
    auto none = bounds(2, 2, 10);
    none.keep_alive = 1ms;
    none.core_times_out = true;
    thread_pool all_end(none);
    all_end.submit([] {}).get();
    until_idle(all_end, 0);
    CHECK(all_end.submit([] { return 1; }).get() == 1);
    until_idle(all_end, 0);
    all_end.shutdown();
    pool.shutdown();
    CHECK(probe.leaks() == "");
}

TEST_CASE("thread_pool: the initializer is called by each thread before its first job",
          "[thread_pool]") {
    std::atomic<int> called{0};
    thread_local int ready = 0;
    thread_pool pool(
        bounds(3, 3, 100),
        [](std::atomic<int>* c, const std::string& text) {
            ready = static_cast<int>(text.size()), ++*c;
        },
        &called, std::string("four"));
    std::vector<thread_future<int>> all;
    for (int i = 0; i < 30; ++i) all.push_back(pool.submit([] { return ready; }));
    for (auto& f : all) CHECK(f.get() == 4);
    pool.shutdown();
    CHECK(called == static_cast<int>(pool.stats().largest));
}

TEST_CASE("thread_pool: an initializer that fails breaks the pool, 200 times", "[thread_pool]") {
    testing::leak_probe probe;
    for (int round = 0; round < 200; ++round) {
        thread_pool pool(bounds(2, 2, thread_pool_options::unbounded),
                         [] { throw std::runtime_error("no"); });
        std::vector<thread_future<>> all;
        try {
            for (int i = 0; i < 20; ++i) all.push_back(pool.submit([] {}));
        } catch (const broken_pool_error&) {
        }
        REQUIRE_FALSE(all.empty());
        for (auto& f : all) REQUIRE_THROWS_AS(f.get(), broken_pool_error);
        REQUIRE_THROWS_AS(pool.submit([] {}), broken_pool_error);
    }
    CHECK(probe.leaks() == "");
}

// -- the end --------------------------------------------------------------------------------------

TEST_CASE("thread_pool: shutdown runs the queued jobs or cancels them; then submit throws",
          "[thread_pool]") {
    testing::leak_probe probe;
    for (const bool cancel : {false, true}) {
        thread_pool pool(1);
        held_jobs held(pool);
        auto running = held.run_one();
        auto waiting = held.submit();
        pool.shutdown(false, cancel);
        CHECK_THROWS_AS(held.submit(), closed_error);
        CHECK_THROWS_AS(pool.submit([] {}), closed_error);
        CHECK(waiting.cancelled() == cancel);
        held.open();
        pool.shutdown();
        CHECK(running.get() == 1);
        if (!cancel) CHECK(waiting.get() == 2);
        CHECK(pool.stats().threads == 0);
        pool.shutdown();
    }
    thread_pool never_used(4);
    never_used.shutdown();
    thread_pool moved = std::move(never_used);
    moved = thread_pool(2);
    CHECK(moved.submit([] { return 1; }).get() == 1);
    moved.shutdown();
    CHECK(probe.leaks() == "");
}

TEST_CASE("thread_pool: the destructor cancels queued jobs and waits for running ones",
          "[thread_pool]") {
    testing::leak_probe probe;
    thread_future<int> running, waiting, stopped;
    {
        thread_pool pool(2);
        std::atomic<bool> began{false};
        stopped = pool.submit(
            [&](const std::stop_token& stop) {
                began = true;
                until_stopped(stop);
                return 9;
            });
        while (!began) std::this_thread::yield();
        auto held = std::make_unique<held_jobs>(pool);
        running = held->run_one();
        waiting = held->submit();
        held->open();
        while (!running.done()) std::this_thread::yield();
        while (pool.stats().busy > 1 || pool.stats().queued != 0) std::this_thread::yield();
        waiting = pool.submit([] { return 2; });
        waiting.wait();
    }
    CHECK(running.get() == 1);
    CHECK(stopped.get() == 9);
    CHECK(waiting.get() == 2);
    {
        gate hold;
        std::atomic<bool> began{false};
        std::jthread opener;
        {
            thread_pool pool(1);
            running = pool.submit([&] {
                began = true;
                hold.pass();
                return 1;
            });
            waiting = pool.submit([] { return 2; });
            while (!began) std::this_thread::yield();
            opener = std::jthread([&] {
                while (!waiting.cancelled()) std::this_thread::yield();
                hold.open();
            });
        }
        CHECK(running.get() == 1);
        CHECK(waiting.cancelled());
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("thread_pool: shutdown and submits race, and no future stays open",
          "[thread_pool][stress]") {
    testing::leak_probe probe;
    for (int round = 0; round < many(500, 60); ++round) {
        std::atomic<int> done{0}, sent{0};
        {
            std::optional<thread_pool> pool(std::in_place, bounds(1, 2, 3, policy::caller_runs));
            std::vector<std::jthread> threads;
            for (int i = 0; i < 3; ++i)
                threads.emplace_back([&] {
                    try {
                        for (;;) {
                            pool->submit([] { return 1; }).add_done_callback([&](const auto&) {
                                ++done;
                            });
                            ++sent;
                        }
                    } catch (const closed_error&) {
                    }
                });
            while (sent < round % 40) std::this_thread::yield();
            pool->shutdown(round % 2 == 0, round % 3 == 0);
            threads.clear();
        }
        // A refused job's future was seen by its callback only.
        REQUIRE(done == sent);
    }
    CHECK(probe.leaks() == "");
}

// -- a token --------------------------------------------------------------------------------------

TEST_CASE("thread_pool: cancelling a future stops a job that takes a token", "[thread_pool]") {
    thread_pool pool(1);
    std::atomic<bool> began{false};
    auto f = pool.submit([&](const std::stop_token& stop, int n) {
        began = true;
        until_stopped(stop);
        if (n == 0) throw cancelled();
        return n;
    }, 5);
    while (!began) std::this_thread::yield();
    CHECK(f.cancel());
    CHECK(f.get() == 5);
    began = false;
    auto g = pool.submit([&](const std::stop_token& stop) {
        began = true;
        until_stopped(stop);
        throw cancelled();
    });
    while (!began) std::this_thread::yield();
    CHECK(g.cancel());
    CHECK_THROWS_AS(g.get(), future_cancelled);
    held_jobs held(pool);
    CHECK_FALSE(held.run_one().cancel());
}

// -- numbers, and empty hands ---------------------------------------------------------------------

TEST_CASE("thread_pool: impossible options abort with a sentence", "[thread_pool][death]") {
    const auto made = [](void (*change)(thread_pool_options&)) {
        return run_child([change] {
            thread_pool_options options;
            change(options);
            const thread_pool pool(options);
            return 0;
        });
    };
    const auto refused = [](const child_end& end, const char* words) {
        INFO(end.text);
        CHECK(end.aborted());
        CHECK(end.says(words));
    };
    refused(
        run_child([] { return thread_pool(static_cast<std::size_t>(-1)).stats().threads != 0; }),
        "negative number");
    refused(made([](auto& o) { o.max = static_cast<std::size_t>(-2); }),
            "negative number of threads");
    refused(made([](auto& o) { o.core = 4, o.max = 2; }), "a core above its max");
    refused(made([](auto& o) { o.keep_alive = -1s; }), "a negative keep_alive");
    thread_pool_options few;
    few.max = 2;  // and core at its default
    CHECK(thread_pool(few).core() != nullptr);
}

TEST_CASE("thread_pool: using a moved-from pool aborts with a sentence", "[thread_pool][death]") {
    const auto use = [](void (*call)(thread_pool&)) {
        return run_child([call] {
            thread_pool pool(1);
            const thread_pool now(std::move(pool));
            call(pool);
            return 0;
        });
    };
    for (const auto call : std::initializer_list<void (*)(thread_pool&)>{
             [](thread_pool& p) { p.submit([] {}); }, [](thread_pool& p) { p.shutdown(); },
             [](thread_pool& p) { static_cast<void>(p.stats()); },
             [](thread_pool& p) { p.map([](int n) { return n; }, std::vector{1}).get(); },
             [](thread_pool& p) { run(p.close()); },
             [](thread_pool& p) {
                 run([](thread_pool* q) -> task<> { co_await run_in_executor(*q, [] {}); }(&p));
             },
             [](thread_pool& p) { loop().set_default_executor(std::move(p)); },
             [](thread_pool&) {
                 thread_promise<int> given;
                 const thread_promise<int> now(std::move(given));
                 given.set_value(1);
             },
             [](thread_pool&) {
                 const loop home;
                 remote way = home.remote();
                 const remote now(std::move(way));
                 way.call_soon_threadsafe([] {});
             }}) {
        const auto end = use(call);
        INFO(end.text);
        CHECK(end.aborted());
        CHECK(end.says("it was moved from"));
    }
}

TEST_CASE("thread_pool: stats count the queued jobs", "[thread_pool]") {
    thread_pool pool(bounds(1, 1, 2));
    held_jobs held(pool);
    held.run_one();
    held.submit();
    held.submit();
    CHECK(pool.stats().queued == 2);
    CHECK_THROWS_AS(held.submit(), pool_full_error);
    held.open();
    for (int i = 0; i < many(2'000, 200); ++i) {
        try {
            pool.submit([] {});
        } catch (const pool_full_error&) {
        }
        CHECK(pool.stats().queued <= 2);
    }
}

// -- where threads cannot be had ------------------------------------------------------------------

TEST_CASE("thread_pool: if no thread can be started, a job is run or refused, never lost",
          "[thread_pool]") {
    if (with_tsan()) return;  // it starts no thread in a forked child
    const auto end = run_child([] {
        thread_pool two(bounds(2, 2, 1));
        held_jobs held(two);
        held.run_one();
        forbid(SYS_clone3, EAGAIN);
        forbid(SYS_clone, EAGAIN);
        auto queued = held.submit();  // the one thread will run it
        bool full = false;
        try {
            held.submit();
        } catch (const pool_full_error&) {
            full = true;
        }
        held.open();
        if (queued.get() != 2 || !full) return 1;
        thread_pool none(2);
        try {
            none.submit([] {});
            return 2;
        } catch (const std::system_error& error) {
            if (error.code() != std::errc::resource_unavailable_try_again) return 3;
            std::printf("%s\n", error.what());
        }
        thread_pool here(bounds(1, 1, 1, policy::caller_runs));
        return here.submit([] { return std::this_thread::get_id(); }).get() ==
                       std::this_thread::get_id()
                   ? 0
                   : 4;
    });
    INFO(end.text);
    CHECK(end.exited());
    CHECK(end.says("start a thread of the pool: Resource temporarily unavailable"));
}

// -- a million ------------------------------------------------------------------------------------

TEST_CASE("thread_pool: a million submits and completions from 8 threads",
          "[thread_pool][stress]") {
    testing::leak_probe probe;
    const int each = with_asan() ? 25'000 : 125'000;
    std::atomic<long> sum{0}, called_back{0};
    {
        thread_pool pool(2);
        std::vector<std::jthread> threads;
        for (int t = 0; t < 8; ++t)
            threads.emplace_back([&] {
                std::vector<thread_future<int>> some;
                for (int i = 0; i < each; ++i) {
                    auto f = pool.submit([](int n) { return n; }, i & 1);
                    if (i % 4 == 0)
                        f.add_done_callback([&](const auto& g) { called_back += 1 + 0 * g.get(); });
                    some.push_back(std::move(f));
                    if (some.size() == 100) {
                        for (auto& g : some) sum += std::move(g).get();
                        some.clear();
                    }
                }
            });
    }
    CHECK(sum == 8L * each / 2);
    CHECK(called_back == 8L * each / 4);
    CHECK(probe.leaks() == "");
}

}  // namespace
