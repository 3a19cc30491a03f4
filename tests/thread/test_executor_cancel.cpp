// SPDX-License-Identifier: MIT
// The three moments at which a cancellation can reach a call of to_thread: before it is queued,
// before a thread takes it, and while it runs. And the end of a loop, which cancels too. Tests that
// need threads that really run at the same time are [kernel].
#include <rondo/executor.hpp>

#include <atomic>
#include <string>
#include <vector>

#include "support/core_tools.hpp"
#include "support/executor_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;
using rondo_tests::gate;
using rondo_tests::signal_to_loop;
using rondo_tests::until_stopped;

namespace {

task<> call_noting(std::vector<std::string>& notes, const char* name) {
    try {
        co_await to_thread([&] { notes.push_back(std::string("ran ") + name); });
        notes.push_back(std::string("ended ") + name);
    } catch (const cancelled&) {
        notes.push_back(std::string("cancelled ") + name);
        throw;
    }
}

RONDO_TEST("to_thread: under a cancelled scope it throws and calls nothing", "[executor][both]") {
    std::vector<std::string> notes;
    auto cancels_itself = [](std::vector<std::string>& n) -> task<> {
        current_task().cancel();
        co_await call_noting(n, "a");
    };
    auto asked = create_task(cancels_itself(notes));
    co_await sleep(1ms);
    REQUIRE(asked.cancelled());
    REQUIRE(notes == std::vector<std::string>{"cancelled a"});
}

RONDO_TEST("to_thread: a job that has not begun is taken back at once", "[executor][kernel]") {
    running_loop().set_default_executor(thread_pool(1));
    gate door;
    signal_to_loop begun;
    auto block = [](gate& d, signal_to_loop& b) -> task<> {
        co_await to_thread([&] {
            b.give();
            d.pass();
        });
    };
    std::vector<std::string> notes;
    auto first = create_task(block(door, begun));
    co_await begun.given();
    auto second = create_task(call_noting(notes, "b"));
    auto third = create_task(call_noting(notes, "c"));
    co_await yield_now();
    second.cancel();
    try {
        co_await second;  // while the only thread is blocked
    } catch (const future_cancelled&) {
    }
    REQUIRE(notes == std::vector<std::string>{"cancelled b"});
    door.open();
    co_await first;
    co_await third;
    REQUIRE(notes == std::vector<std::string>{"cancelled b", "ran c", "ended c"});
}

RONDO_TEST("to_thread: simulated, a job that was cancelled before its moment never runs",
           "[executor]", seeds(20)) {
    std::vector<std::string> notes;
    auto job = create_task(call_noting(notes, "b"));
    co_await yield_now();
    job.cancel();
    co_await sleep(1h);
    REQUIRE(job.cancelled());
    REQUIRE(notes == std::vector<std::string>{"cancelled b"});
}

RONDO_TEST("to_thread: simulated, a cancel delivers calls that have run, and others never run",
           "[executor]", seeds(200)) {
    std::vector<std::string> notes;
    auto job = create_task(call_noting(notes, "b"));
    co_await sleep(1ms);
    job.cancel();
    co_await sleep(1h);
    const bool ran = notes.front() == "ran b";
    REQUIRE(notes.back() == (ran ? "ended b" : "cancelled b"));
    REQUIRE(job.cancelled() == !ran);
}

RONDO_TEST("to_thread: cancelling a running call sets its stop_token, and its value is delivered",
           "[executor][kernel]") {
    signal_to_loop begun;
    int got = 0;
    bool thrown_later = false;
    auto waits = [](signal_to_loop& b, int& result, bool& later) -> task<> {
        result = co_await to_thread([&](const std::stop_token& stop) {
            b.give();
            until_stopped(stop);
            return 5;
        });
        try {
            co_await yield_now();
        } catch (const cancelled&) {
            later = true;
            throw;
        }
    };
    auto job = create_task(waits(begun, got, thrown_later));
    co_await begun.given();
    job.cancel();
    try {
        co_await job;
    } catch (const future_cancelled&) {
    }
    REQUIRE(got == 5);
    REQUIRE(thrown_later);
}

RONDO_TEST("to_thread: a cancelled running call without a token is waited for",
           "[executor][kernel]") {
    gate door;
    signal_to_loop begun;
    int steps = 0;
    auto waits = [](gate& d, signal_to_loop& b, int& s) -> task<> {
        co_await to_thread([&] {
            b.give();
            d.pass();
        });
        ++s;
    };
    auto job = create_task(waits(door, begun, steps));
    co_await begun.given();
    job.cancel();
    for (int i = 0; i < 10; ++i) co_await yield_now();
    REQUIRE_FALSE(job.done());
    door.open();
    co_await job;  // it ended with a value, despite the cancellation
    REQUIRE(steps == 1);
}

/// Awaits a job whose deadline passes while it runs: the job itself moves the deadline to now.
template <class Job>
task<int> with_deadline_inside(Job job) {
    auto body = [&](timeout_scope& scope) -> task<int> {
        const remote home = running_loop().remote();
        co_return co_await to_thread([&](const std::stop_token& stop) {
            home.call_soon_threadsafe([&scope] { scope.reschedule(time_point::min()); });
            until_stopped(stop);
            return job();
        });
    };
    co_return co_await with_timeout(1h, body);
}

RONDO_TEST("to_thread: under a timeout a value wins, and `cancelled` thrown by the job is one",
           "[executor][kernel]") {
    const int value = co_await with_deadline_inside([] { return 6; });
    REQUIRE(value == 6);
    bool timed_out = false;
    try {
        co_await with_deadline_inside([]() -> int { throw cancelled(); });
    } catch (const timeout_error&) {
        timed_out = true;
    }
    REQUIRE(timed_out);
}

RONDO_TEST("to_thread: cancelling races with ending, and nothing is lost or done twice",
           "[executor][kernel]", limit(60s)) {
    // Cancels in turn: at once; at once, while every thread is busy with other jobs; a few turns
    // later; after a job has run.
    running_loop().set_default_executor(thread_pool(2));
    int delivered = 0, taken_back = 0;
    std::atomic<int> ran{0};
    auto call = [](std::atomic<int>& r, int& d, int& t) -> task<> {
        try {
            co_await to_thread([&] { r.fetch_add(1); });
            ++d;
        } catch (const cancelled&) {
            ++t;
        }
    };
    auto block = [](gate& d) -> task<> { co_await to_thread([&] { d.pass(); }); };
    const int rounds = rondo_tests::many(10'000, 1'000);
    for (int round = 0; round < rounds; ++round) {
        const int before = ran, which = round % 4;
        gate door;
        if (which != 1) door.open();
        std::vector<future<>> blockers;
        for (int i = 0; which == 1 && i < 2; ++i) blockers.push_back(create_task(block(door)));
        auto a = create_task(call(ran, delivered, taken_back));
        auto b = create_task(call(ran, delivered, taken_back));
        co_await yield_now();
        for (int i = 0; which == 2 && i < round % 100; ++i) co_await yield_now();
        while (which == 3 && ran == before) co_await yield_now();
        a.cancel();
        b.cancel();
        while (!a.done() || !b.done()) co_await yield_now();
        if (which == 1) CHECK(ran == before);
        if (which == 3) CHECK(ran > before);
        door.open();
        for (const future<>& each : blockers) co_await each;
    }
    INFO("delivered " << delivered << ", taken back " << taken_back);
    CHECK(delivered == ran);
    CHECK(delivered + taken_back == 2 * rounds);
    CHECK(delivered >= 100);
    CHECK(taken_back >= 100);
}

TEST_CASE("to_thread: destroying a loop waits for the running jobs", "[executor]") {
    std::atomic<int> began{0}, ended{0};
    {
        testing::world w(testing::ring_options{});
        auto job = [](std::atomic<int>& b, std::atomic<int>& e) -> task<> {
            co_await to_thread([&](const std::stop_token& stop) {
                ++b;
                until_stopped(stop);
                ++e;
            });
        };
        w.loop().set_default_executor(thread_pool(3));
        for (int i = 0; i < 5; ++i) w.loop().create_task(job(began, ended));
        while (began < 3) w.loop().run_once(1ms);
        w.end();
    }
    REQUIRE(began >= 3);  // the other two were taken back or, if a thread was quicker, told
    REQUIRE(ended == began);
}

}  // namespace
