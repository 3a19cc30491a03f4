// SPDX-License-Identifier: MIT
// Event, barrier and bounded semaphore for threads. No test sleeps: to be sure that a thread waits,
// the other thread polls until it does.
#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include <rondo/thread_sync.hpp>

#include "support/core_tools.hpp"

using namespace rondo_tests;

namespace {

template <class Condition>
void until(Condition holds) {
    while (!holds()) std::this_thread::yield();
}

TEST_CASE("thread_event: stays set until it is cleared", "[thread_sync]") {
    thread_event event;
    CHECK_FALSE(event.is_set());
    CHECK_FALSE(event.wait_for(0ms));
    CHECK_FALSE(event.wait_for(-1h));
    CHECK_FALSE(event.wait_for(1ms));
    event.set();
    event.set();
    event.wait();
    CHECK(event.wait_for(0ms));
    CHECK(event.wait_for(duration::max()));
    event.clear();
    CHECK_FALSE(event.is_set());
}

TEST_CASE("thread_event: wakes every waiter, even if it is cleared at once", "[thread_sync]") {
    thread_event event;
    std::atomic<int> woken{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&, i] {
            if (i % 2 == 0)
                event.wait();
            else
                event.wait_for(1h);
            ++woken;
        });
    until([&] {
        event.set();
        event.clear();
        return woken == 4;
    });
    for (auto& one : threads) one.join();
    CHECK_FALSE(event.is_set());
}

TEST_CASE("thread_barrier: opens when the last thread arrives, round after round",
          "[thread_sync]") {
    constexpr int parties = 4, rounds = 200;
    int actions = 0;  // used by the action only, which never runs twice at a time
    std::vector<std::atomic<int>> places(parties);
    thread_barrier barrier(parties, [&] { ++actions; });
    CHECK(barrier.parties() == parties);
    std::atomic<bool> early{false};
    const auto run = [&] {
        for (int round = 0; round < rounds; ++round) {
            ++places[barrier.wait()];
            if (actions < round + 1) early = true;
        }
    };
    // `actions` is read while no thread can be in the action: the next action needs the reader.
    std::vector<std::thread> threads;
    for (int i = 0; i < parties; ++i) threads.emplace_back(run);
    for (auto& one : threads) one.join();
    CHECK(actions == rounds);
    CHECK_FALSE(early);
    for (const auto& one : places) CHECK(one == rounds);
    CHECK(barrier.waiting() == 0);
}

TEST_CASE("thread_barrier: a timeout breaks it, reset repairs it", "[thread_sync]") {
    thread_barrier barrier(2, {}, 1ms);
    CHECK_THROWS_AS(barrier.wait(), broken_barrier_error);
    CHECK(barrier.broken());
    CHECK(barrier.waiting() == 0);
    CHECK_THROWS_AS(barrier.wait_for(1h), broken_barrier_error);
    barrier.reset();
    CHECK_FALSE(barrier.broken());
    std::thread other([&] { barrier.wait_for(duration::max()); });
    CHECK_NOTHROW(barrier.wait_for(1h));
    other.join();
}

/// A thread that waits at `barrier`, and whether its wait failed.
struct visitor {
    std::atomic<bool> broken{false};
    std::thread thread;
    explicit visitor(thread_barrier& barrier)
        : thread([this, &barrier] {
              try {
                  barrier.wait();
              } catch (const broken_barrier_error&) {
                  broken = true;
              }
          }) {}
};

TEST_CASE("thread_barrier: abort and reset fail every waiter", "[thread_sync]") {
    for (const bool abort : {true, false}) {
        thread_barrier barrier(3);
        visitor a(barrier), b(barrier);
        until([&] { return barrier.waiting() == 2; });
        if (abort)
            barrier.abort();
        else
            barrier.reset();
        a.thread.join();
        b.thread.join();
        CHECK(a.broken);
        CHECK(b.broken);
        CHECK(barrier.broken() == abort);
        CHECK(barrier.waiting() == 0);
    }
}

TEST_CASE("thread_barrier: reset does not affect later waits", "[thread_sync]") {
    thread_barrier barrier(2);
    for (int round = 0; round < 100; ++round) {
        visitor gone(barrier);
        until([&] { return barrier.waiting() == 1; });
        barrier.reset();
        visitor a(barrier), b(barrier);  // perhaps before the first one has run
        gone.thread.join();
        a.thread.join();
        b.thread.join();
        REQUIRE(gone.broken);
        REQUIRE_FALSE(a.broken);
        REQUIRE_FALSE(b.broken);
    }
}

TEST_CASE("thread_barrier: an action that throws breaks it", "[thread_sync]") {
    thread_barrier barrier(2, [] { throw std::runtime_error("not today"); });
    visitor other(barrier);
    until([&] { return barrier.waiting() == 1; });
    CHECK_THROWS_WITH(barrier.wait(), "not today");
    other.thread.join();
    CHECK(other.broken);
    CHECK(barrier.broken());
}

TEST_CASE("thread_bounded_semaphore: has the given number of permits", "[thread_sync]") {
    thread_bounded_semaphore permits(2);
    permits.acquire();
    CHECK(permits.try_acquire());
    CHECK_FALSE(permits.try_acquire());
    CHECK_FALSE(permits.try_acquire_for(1ms));
    CHECK(permits.available() == 0);
    permits.release(2);
    CHECK(permits.available() == 2);
    CHECK_THROWS_AS(permits.release(), invalid_state_error);
    permits.acquire();
    CHECK_THROWS_AS(permits.release(2), invalid_state_error);
    CHECK(permits.available() == 1);
    CHECK(permits.try_acquire_for(duration::max()));
}

TEST_CASE("thread_bounded_semaphore: never admits more than its bound", "[thread_sync]") {
    thread_bounded_semaphore permits(2);
    std::atomic<int> inside{0}, most{0}, entered{0};
    const auto work = [&] {
        for (int i = 0; i < 500; ++i) {
            if (i % 2 == 0)
                permits.acquire();
            else if (!permits.try_acquire_for(1h))
                return;
            const int now = ++inside;
            for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
            }
            ++entered;
            --inside;
            permits.release();
        }
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back(work);
    for (auto& one : threads) one.join();
    CHECK(entered == 2000);
    CHECK(most <= 2);
    CHECK(permits.available() == 2);
}

}  // namespace
