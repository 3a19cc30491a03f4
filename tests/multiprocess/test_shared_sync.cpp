// SPDX-License-Identifier: MIT
// robust_mutex and shared_semaphore, above all if their holder is killed.
#include <rondo/shared_sync.hpp>

#include <atomic>
#include <thread>

#include <rondo/gather.hpp>
#include <rondo/shared_memory.hpp>

#include "support/child.hpp"
#include "support/core_tools.hpp"
#include "support/forked.hpp"

using namespace rondo_tests;

namespace {

/// A lock, and data that children write to the same memory.
struct board {
    robust_mutex mutex;
    std::atomic<int> stage{0};
    long count = 0;
};

void until(const std::atomic<int>& stage, int value) {
    while (stage != value) std::this_thread::yield();
}

TEST_CASE("robust_mutex: one holder at a time; a second lock by the same thread is an error",
          "[shared_sync]") {
    const shared_memory memory(sizeof(board));
    auto& at = memory.make<board>(0);
    {
        auto held = at.mutex.lock();
        CHECK(held);
        CHECK_FALSE(held.owner_died());
        CHECK_THROWS_AS(at.mutex.lock(), invalid_state_error);
        std::jthread([&] {
            CHECK_FALSE(at.mutex.try_lock());
            CHECK_FALSE(at.mutex.lock_for(1ms));
            CHECK_FALSE(at.mutex.lock_for(-1ms));
        }).join();
        auto moved = std::move(held);
        CHECK_FALSE(held);
        moved.unlock();
        moved.unlock();
    }
    CHECK(at.mutex.try_lock());
    CHECK(at.mutex.lock_for(1h));
}

TEST_CASE("robust_mutex: processes and threads count together without a lost update",
          "[shared_sync]") {
    const shared_memory memory(sizeof(board));
    auto& at = memory.make<board>(0);
    const auto count = [&] {
        for (int i = 0; i < 10'000; ++i) {
            const auto held = at.mutex.lock();
            ++at.count;
        }
    };
    forked one(count), two(count);
    count();
    CHECK(one.wait() == 0);
    CHECK(two.wait() == 0);
    CHECK(at.count == 30'000);
}

TEST_CASE("robust_mutex: owner_died() is true after a death until mark_consistent",
          "[shared_sync]") {
    const shared_memory memory(sizeof(board));
    auto& at = memory.make<board>(0);
    for (int round = 0; round < 20; ++round) {
        at.stage = 0;
        forked child([&] {
            const auto held = at.mutex.lock();
            at.stage = 1;
            for (;;) ::pause();
        });
        until(at.stage, 1);
        CHECK_FALSE(at.mutex.try_lock());
        child.kill();
        auto held = round % 3 == 0   ? at.mutex.try_lock()
                    : round % 3 == 1 ? at.mutex.lock_for(1h)
                                     : at.mutex.lock();
        CHECK(held);
        CHECK(held.owner_died());
        held.mark_consistent();
        CHECK_FALSE(held.owner_died());
        held.unlock();
        CHECK_FALSE(at.mutex.lock().owner_died());
    }
}

TEST_CASE("robust_mutex: without mark_consistent it cannot be locked any more", "[shared_sync]") {
    const shared_memory memory(sizeof(board));
    auto& at = memory.make<board>(0);
    forked child([&] {
        const auto held = at.mutex.lock();
        at.stage = 1;
        for (;;) ::pause();
    });
    until(at.stage, 1);
    child.kill();
    CHECK(at.mutex.lock().owner_died());
    CHECK_THROWS_AS(at.mutex.lock(), not_recoverable_error);
    CHECK_THROWS_AS(at.mutex.try_lock(), not_recoverable_error);
    CHECK_THROWS_AS(at.mutex.lock_for(1ms), not_recoverable_error);
}

TEST_CASE("robust_mutex: a release by another thread is an assertion", "[shared_sync]") {
    if (with_tsan()) return;  // it supports no threads in a forked child
    const auto end = run_child([] {
        const shared_memory memory(sizeof(board));
        auto& at = memory.make<board>(0);
        auto held = at.mutex.lock();
        std::jthread([&] { held.unlock(); }).join();
        return 0;
    });
    CHECK(end.aborted());
    CHECK(end.says("a robust_mutex is released by a thread that does not hold it"));
}

// -- shared_semaphore -----------------------------------------------------------------------------

TEST_CASE("shared_semaphore: permits, their bound, and time limits", "[shared_sync]") {
    const shared_memory memory(4096);
    auto& permits = memory.make<shared_semaphore>(0, 2u);
    permits.blocking_acquire();
    CHECK(permits.try_acquire());
    CHECK_FALSE(permits.try_acquire());
    CHECK_FALSE(permits.blocking_acquire_for(1ms));
    CHECK_FALSE(permits.blocking_acquire_for(-1ms));
    CHECK(permits.available() == 0);
    CHECK_THROWS_AS(permits.release(3), invalid_state_error);
    CHECK(permits.available() == 0);
    permits.release(2);
    CHECK_THROWS_AS(permits.release(), invalid_state_error);
    CHECK(permits.blocking_acquire_for(1h));
}

TEST_CASE("shared_semaphore: processes never hold more permits than there are", "[shared_sync]") {
    const shared_memory memory(4096);
    auto& permits = memory.make<shared_semaphore>(0, 2u);
    auto& inside = memory.make<std::atomic<int>>(128, 0);
    auto& most = memory.make<std::atomic<int>>(192, 0);
    const auto use = [&] {
        for (int i = 0; i < 2'000; ++i) {
            permits.blocking_acquire();
            const int now = ++inside;
            for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
            }
            --inside;
            permits.release();
        }
    };
    forked one(use), two(use), three(use);
    CHECK(one.wait() + two.wait() + three.wait() == 0);
    CHECK(most <= 2);
    CHECK(permits.available() == 2);
}

RONDO_TEST("shared_semaphore: a task waits while the loop runs others", "[shared_sync][kernel]") {
    const shared_memory memory(4096);
    auto& permits = memory.make<shared_semaphore>(0, 1u);
    co_await permits.acquire();
    auto second = create_task(permits.acquire());
    co_await finish();
    CHECK_FALSE(second.done());
    permits.release();
    co_await second;
    CHECK(permits.available() == 0);
}

RONDO_TEST(
    "shared_semaphore: acquire is cancelled before it starts and while it waits; no permit is lost",
    "[shared_sync][cancel][kernel]") {
    const shared_memory memory(4096);
    auto& permits = memory.make<shared_semaphore>(0, 1u);
    co_await check_cancelled_before([&] { return permits.acquire(); });
    CHECK(permits.available() == 1);
    permits.blocking_acquire();
    co_await check_cancelled_while_suspended([&] { return permits.acquire(); });
    permits.release();
    CHECK(permits.available() == 1);
    // Released and cancelled at once: the task may have the permit or not.
    for (int round = 0; round < many(500, 100); ++round) {
        co_await permits.acquire();
        bool had = false;
        auto waits = create_task([](shared_semaphore* s, bool* got) -> task<> {
            co_await s->acquire();
            *got = true;
        }(&permits, &had));
        co_await finish(round % 3 + 1);
        permits.release();
        waits.cancel();
        co_await gather_settled(waits);
        REQUIRE(permits.available() == (had ? 0 : 1));
        if (had) permits.release();
    }
}

}  // namespace
