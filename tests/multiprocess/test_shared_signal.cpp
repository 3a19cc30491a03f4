// SPDX-License-Identifier: MIT
// shared_signal: tasks that wait for words in shared memory, with one watcher thread or without it.
#include <rondo/detail/multiprocess/shared_signal.hpp>

#include <sys/syscall.h>

#include <array>
#include <memory>
#include <thread>
#include <vector>

#include <rondo/executor.hpp>
#include <rondo/gather.hpp>
#include <rondo/run.hpp>
#include <rondo/shared_memory.hpp>
#include <rondo/sleep.hpp>

#include "support/child.hpp"
#include "support/core_tools.hpp"
#include "support/forked.hpp"

using namespace rondo_tests;
using rondo::detail::changed;
using rondo::detail::shared_signal;

namespace {

task<> until_bumped(shared_signal* signal, int* ended) {
    const std::uint32_t seen = signal->now();
    while (signal->now() == seen) co_await changed(*signal, seen);
    ++*ended;
}

RONDO_TEST("shared_signal: any number of tasks wait, and threads of the pool stay free",
           "[shared_signal][kernel]") {
    shared_signal signal;
    int ended = 0;
    std::vector<future<>> waits;
    for (int i = 0; i < 100; ++i) waits.push_back(create_task(until_bumped(&signal, &ended)));
    co_await finish();
    const int answer = co_await to_thread([] { return 7; });
    CHECK(answer == 7);
    CHECK(ended == 0);
    signal.bump();
    for (auto& one : waits) co_await one;
    CHECK(ended == 100);
}

RONDO_TEST("shared_signal: more words than one futex_waitv can watch", "[shared_signal][kernel]") {
    const auto signals = std::make_unique<std::array<shared_signal, 300>>();
    int ended = 0;
    std::vector<future<>> waits;
    for (auto& each : *signals) waits.push_back(create_task(until_bumped(&each, &ended)));
    co_await finish();
    CHECK(ended == 0);
    for (auto& each : *signals) each.bump();
    for (auto& one : waits) co_await one;
    CHECK(ended == 300);
}

RONDO_TEST("shared_signal: another process wakes a task", "[shared_signal][kernel]") {
    const shared_memory memory(4096);
    auto& there = memory.make<shared_signal>(0);
    auto& back = memory.make<shared_signal>(64);
    forked child([&] {
        for (std::uint32_t i = 0; i < 500; ++i) {
            while (there.now() == i) there.wait(i, time_point::max());
            back.bump();
        }
    });
    for (std::uint32_t i = 0; i < 500; ++i) {
        there.bump();
        while (back.now() == i) co_await changed(back, i);
    }
    CHECK(child.wait() == 0);
}

RONDO_TEST(
    "shared_signal: a wait is cancelled before it starts, while it waits, and after it was woken",
    "[shared_signal][cancel][kernel]") {
    shared_signal signal;
    co_await check_cancelled_before([&] { return changed(signal, signal.now() + 1); });
    co_await check_cancelled_while_suspended([&] { return changed(signal, signal.now()); });
    for (int round = 0; round < many(500, 100); ++round) {
        int ended = 0;
        auto waits = create_task(until_bumped(&signal, &ended));
        co_await finish(round % 4);
        signal.bump();
        if (round % 2 == 0) std::this_thread::yield();
        waits.cancel();
        co_await gather_settled(waits);
        REQUIRE(ended == (waits.cancelled() ? 0 : 1));
    }
}

RONDO_TEST("shared_signal: unmapping watched memory is harmless", "[shared_signal][kernel]") {
    shared_signal signal;
    int ended = 0;
    auto stays = create_task(until_bumped(&signal, &ended));
    for (int round = 0; round < 100; ++round) {
        const shared_memory memory(4096);
        auto& other = memory.make<shared_signal>(0);
        auto leaves = create_task(changed(other, 0));
        co_await finish(round % 3 + 1);
        leaves.cancel();
        co_await gather_settled(leaves);
    }
    signal.bump();
    co_await stays;
    CHECK(ended == 1);
}

RONDO_TEST("shared_signal: a checkpoint lets other tasks run from time to time",
           "[shared_signal][both]") {
    bool ran = false;
    auto other = create_task([](bool* r) -> task<> {
        *r = true;
        co_return;
    }(&ran));
    int turns = 0;
    for (; !ran && turns < 100'000; ++turns) co_await rondo::detail::checkpoint();
    CHECK(ran);
    CHECK(turns < 1'000);
    co_await other;
}

RONDO_TEST("shared_signal: on the simulator a wait checks again", "[shared_signal]") {
    shared_signal signal;
    int ended = 0;
    auto waits = create_task(until_bumped(&signal, &ended));
    co_await sleep(1s);
    CHECK(ended == 0);
    signal.bump();
    co_await waits;
    CHECK(ended == 1);
}

task<> bump_later(shared_signal* signal) {
    co_await sleep(1ms);
    signal->bump();
}

/// Two tasks and a word, in a child process.
int wait_and_bump() {
    shared_signal signal;
    int ended = 0;
    run(gather(until_bumped(&signal, &ended), until_bumped(&signal, &ended), bump_later(&signal)));
    return ended == 2 ? 0 : 1;
}

TEST_CASE("shared_signal: without futex_waitv, and without a thread, tasks poll the word",
          "[shared_signal]") {
    if (!probe().available()) SKIP("io_uring is denied here");
    if (with_tsan()) return;  // it supports no threads in a forked child
    CHECK(run_child([] { return wait_and_bump(); }).exited());
    const auto old_kernel = run_child([] {
        forbid(SYS_futex_waitv, ENOSYS);
        return wait_and_bump();
    });
    CHECK(old_kernel.exited());
    const auto no_thread = run_child([] {
        forbid(SYS_clone3, EAGAIN);
        return wait_and_bump();
    });
    CHECK(no_thread.exited());
}

}  // namespace
