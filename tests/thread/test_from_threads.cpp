// SPDX-License-Identifier: MIT
// From threads into a loop: run_coroutine_threadsafe and block_on, and what happens if one side
// ends first.
#include <rondo/from_threads.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <rondo/executor.hpp>
#include <rondo/run.hpp>
#include <rondo/sleep.hpp>
#include <rondo/task_group.hpp>
#include <rondo/thread_wait.hpp>

#include "support/core_tools.hpp"
#include "support/executor_tools.hpp"

using namespace rondo_tests;

namespace {

task<int> twice(int n) {
    co_await yield_now();
    co_return 2 * n;
}

task<> for_ever() { co_await sleep(10h); }

/// Returns after all earlier posts to the running loop have run.
task<> posts_have_run() {
    promise<> reached;
    running_loop().call_soon_threadsafe([&] { reached.set_value(); });
    co_await reached.get_future();
    co_await finish();
}

// -- run_coroutine_threadsafe ---------------------------------------------------------------------

RONDO_TEST("run_coroutine_threadsafe: runs in the loop, and the thread gets the value",
           "[from_threads][kernel]") {
    const auto home = std::this_thread::get_id();
    const int got = co_await to_thread(
        [&](const remote& loop) {
            auto where = run_coroutine_threadsafe(
                [](std::thread::id expected) -> task<bool> {
                    co_await yield_now();
                    co_return std::this_thread::get_id() == expected;
                }(home),
                loop);
            REQUIRE(where.get());
            return run_coroutine_threadsafe(twice(21), loop).get();
        },
        running_loop().remote());
    CHECK(got == 42);
}

RONDO_TEST("run_coroutine_threadsafe: an error arrives as the type it is", "[from_threads][both]") {
    auto f = run_coroutine_threadsafe(
        []() -> task<std::unique_ptr<int>> {
            co_await yield_now();
            throw std::out_of_range("from the loop");
        }(),
        running_loop());
    CHECK_THROWS_AS(co_await f, std::out_of_range);
    auto owner = run_coroutine_threadsafe(
        []() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(3); }(),
        running_loop());
    const auto three = co_await std::move(owner);
    CHECK(*three == 3);
    int number = 0;
    auto reference =
        run_coroutine_threadsafe([](int& n) -> task<int&> { co_return n; }(number), running_loop());
    CHECK(&co_await reference == &number);
}

RONDO_TEST("run_coroutine_threadsafe: cancelling the future cancels the task",
           "[from_threads][both]") {
    bool cleaned = false;
    auto f = run_coroutine_threadsafe(
        [](bool* done) -> task<> {
            try {
                co_await sleep(10h);
            } catch (const cancelled&) {
                *done = true;
                throw;
            }
        }(&cleaned),
        running_loop());
    co_await posts_have_run();
    CHECK(f.running());
    CHECK(f.cancel());
    CHECK_THROWS_AS(co_await f, future_cancelled);
    CHECK(cleaned);
    CHECK_FALSE(f.cancel());
}

RONDO_TEST("run_coroutine_threadsafe: cancelled before its post is run, it never runs",
           "[from_threads][both]") {
    bool began = false;
    const auto held = std::make_shared<int>();
    auto f = run_coroutine_threadsafe(
        [](bool* b, std::shared_ptr<int>) -> task<> {
            *b = true;
            co_return;
        }(&began, held),
        running_loop());
    long held_when_told = 0;
    f.add_done_callback([&](const auto&) { held_when_told = held.use_count(); });
    CHECK(f.cancel());
    CHECK_FALSE(f.cancel());
    CHECK(f.cancelled());
    co_await posts_have_run();
    CHECK(f.done());
    CHECK_FALSE(began);
    CHECK(held.use_count() == 1);
    CHECK(held_when_told == 1);  // destroyed before, and on the loop's thread
}

TEST_CASE("run_coroutine_threadsafe: blocking on it in a callback of its own loop is refused",
          "[from_threads]") {
    loop l;
    int refused = 0;
    const auto refuses = [&](auto wait) {
        try {
            wait();
        } catch (const deadlock_error&) {
            ++refused;
        }
    };
    l.call_soon([&] {
        auto f = run_coroutine_threadsafe(twice(1), l);
        refuses([&] { f.get(); });
        refuses([&] { f.wait(); });
        refuses([&] { rondo::wait(std::vector{f}); });
        CHECK_FALSE(f.wait_for(0s));  // a wait with a limit is allowed
        f.add_done_callback([&](const auto&) { l.stop(); });
    });
    l.run_forever();
    CHECK(refused == 3);
}

TEST_CASE(
    "run_coroutine_threadsafe: a loop that ends cancels earlier coroutines and refuses later ones",
    "[from_threads]") {
    std::optional<loop> l(std::in_place);
    const remote home = l->remote();
    auto running = run_coroutine_threadsafe(for_ever(), home);
    auto never_ran = run_coroutine_threadsafe(for_ever(), home);
    l->run_once();
    CHECK(running.running());
    auto posted = run_coroutine_threadsafe(for_ever(), home);
    l.reset();
    CHECK(running.cancelled());
    CHECK(never_ran.cancelled());
    CHECK(posted.cancelled());
    CHECK_FALSE(running.cancel());
    CHECK_THROWS_AS(run_coroutine_threadsafe(for_ever(), home), closed_error);
    CHECK_THROWS_AS(home.call_soon_threadsafe([] {}), closed_error);
}

TEST_CASE(
    "run_coroutine_threadsafe: threads go on posting while the loop ends, and each future ends",
    "[from_threads][stress]") {
    testing::leak_probe probe;
    for (int round = 0; round < many(200, 30); ++round) {
        std::optional<loop> l(std::in_place);
        std::atomic<int> refused{0}, ended{0}, sent{0};
        std::vector<std::jthread> threads;
        for (int i = 0; i < 3; ++i)
            threads.emplace_back([&, home = l->remote()] {
                for (;;) {
                    try {
                        auto f = run_coroutine_threadsafe(twice(1), home);
                        ++sent;
                        f.wait();
                        ++ended;
                    } catch (const closed_error&) {
                        ++refused;
                        return;
                    }
                }
            });
        for (int turns = 0; turns < 20; ++turns) l->run_once(1ms);
        l.reset();
        threads.clear();
        REQUIRE(refused == 3);
        REQUIRE(sent == ended);
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("posts: a million from 8 threads, each run once and in its thread's order",
          "[from_threads][stress]") {
    testing::leak_probe probe;
    constexpr int threads = 8;
    const int each = with_asan() ? 25'000 : 125'000;
    {
        loop l;
        std::vector<int> next(threads, 0);
        int left = threads * each;
        bool in_order = true;
        std::vector<std::jthread> posting;
        for (int t = 0; t < threads; ++t)
            posting.emplace_back([&, t, home = l.remote()] {
                for (int i = 0; i < each; ++i)
                    home.call_soon_threadsafe([&, t, i] {
                        in_order = in_order && next[static_cast<std::size_t>(t)]++ == i;
                        if (--left == 0) l.stop();
                    });
            });
        l.run_forever();
        CHECK(left == 0);
        CHECK(in_order);
    }
    CHECK(probe.leaks() == "");
}

// -- block_on -------------------------------------------------------------------------------------

RONDO_TEST("block_on: runs a task on the loop of the job", "[from_threads][kernel]") {
    const auto home = std::this_thread::get_id();
    const int sum = co_await to_thread([&] {
        int local = 3;
        const bool there = block_on([](std::thread::id expected, int& borrowed) -> task<bool> {
            co_await yield_now();
            ++borrowed;
            co_return std::this_thread::get_id() == expected;
        }(home, local));
        return block_on(twice(local)) + (there ? 1 : 0);
    });
    CHECK(sum == 9);
    thread_pool pool(2);
    const int submitted = co_await pool.submit([] { return block_on(twice(4)); });
    CHECK(submitted == 8);
    const int through_two =
        co_await pool.submit([&] { return pool.submit([] { return block_on(twice(5)); }).get(); });
    CHECK(through_two == 10);
    co_await pool.close();
}

RONDO_TEST("block_on: an error arrives as the type it is, in the job", "[from_threads][kernel]") {
    const std::string text = co_await to_thread([]() -> std::string {
        try {
            block_on([]() -> task<> {
                co_await yield_now();
                throw std::out_of_range("there");
            }());
        } catch (const std::out_of_range& error) {
            return error.what();
        }
        return "";
    });
    CHECK(text == "there");
}

RONDO_TEST("block_on: a cancellation of the task that waits for the job reaches the coroutine",
           "[from_threads][kernel]") {
    signal_to_loop began;
    bool cleaned = false;
    auto waiting = create_task([](signal_to_loop* begin, bool* clean) -> task<> {
        co_await to_thread([&] {
            block_on([](signal_to_loop* b, bool* c) -> task<> {
                b->give();
                try {
                    co_await sleep(10h);
                } catch (const cancelled&) {
                    *c = true;
                    throw;
                }
            }(begin, clean));
        });
    }(&began, &cleaned));
    co_await began.given();
    waiting.cancel();
    CHECK_THROWS_AS(co_await waiting, future_cancelled);
    CHECK(cleaned);
}

RONDO_TEST("block_on: in the body of a task group it is not a child of the group",
           "[from_threads][kernel]") {
    int ended = 0;
    co_await with_task_group([&](task_group& group) -> task<> {
        promise<> go_on;
        const auto child = [](future<> until, int* count) -> task<> {
            co_await until;
            co_await yield_now();
            ++*count;
        };
        for (int i = 0; i < 3; ++i) group.start(child(go_on.get_future(), &ended));
        const auto blocking = [](int n) { return block_on(twice(n)); };
        for (int i = 0; i < 5; ++i) CHECK(co_await to_thread(blocking, i) == 2 * i);
        CHECK(ended == 0);
        go_on.set_value();
    });
    CHECK(ended == 3);  // it has waited for each of its children
}

RONDO_TEST("block_on: the values of task_locals are there, in the job and in its task",
           "[from_threads][kernel]") {
    static const task_local<std::string> request("none");
    static const task_local<int> level(0);
    auto body = []() -> task<> {
        const std::string in_job = co_await to_thread([] { return request.get(); });
        CHECK(in_job == "r1");
        const std::string behind = co_await to_thread([] {
            return block_on([]() -> task<std::string> {
                co_await yield_now();
                co_return request.get() + std::to_string(level.get());
            }());
        });
        CHECK(behind == "r17");
        thread_pool pool(2);
        const std::string submitted = co_await pool.submit([&] {
            return request.get() + pool.submit([] { return request.get(); }).get_for(10h);
        });
        CHECK(submitted == "r1r1");
        co_await pool.close();
    };
    co_await request.with("r1", [&]() -> task<> { co_await level.with(7, body); });
    const std::string outside = co_await to_thread([] { return request.get(); });
    CHECK(outside == "none");
}

TEST_CASE("block_on: in a job that no task has made, it throws", "[from_threads]") {
    CHECK_THROWS_AS(block_on(twice(1)), invalid_state_error);
    thread_pool pool(1);
    auto f = pool.submit([] { return block_on(twice(1)); });
    CHECK_THROWS_AS(f.get(), invalid_state_error);
    loop l;
    l.run_until_complete([]() -> task<> {
        CHECK_THROWS_AS(block_on(twice(1)), invalid_state_error);
        co_return;
    }());
}

}  // namespace
