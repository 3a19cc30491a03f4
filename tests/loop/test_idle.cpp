// SPDX-License-Identifier: MIT
// A loop that has nothing to do for a second returns the memory of frames that are no longer used.
// It wakes for that once or twice, and not again before something has run. Under a sanitizer all
// frames come from malloc, and nothing is returned.
#include <poll.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include <rondo/detail/base/frame_pool.hpp>
#include <rondo/gather.hpp>

#include "support/core_tools.hpp"
#include "support/net_tools.hpp"

using namespace rondo_tests;

namespace {

using rondo::detail::written_frame_bytes;

constexpr std::size_t mebibyte = std::size_t{1} << 20;
constexpr std::size_t may_stay = 128 * 1024;  // with the frames of the test itself

bool pooled() {
    rondo::detail::frame_free(rondo::detail::frame_allocate(64), 64);
    return rondo::detail::this_thread_frames.limit != 0;
}

template <std::size_t Size>
task<> with_local() {
    std::array<char, Size> local{};
    co_await sleep(1ms);
    local.back() = local.front();
}

template <std::size_t... Steps>
void start_each(std::vector<task<>>& all, std::index_sequence<Steps...>) {
    (all.push_back(with_local<Steps * 48 + 1>()), ...);
}

/// Frames of ten sizes, four hundred of each at a time.
task<> burst() {
    std::vector<task<>> all;
    for (int i = 0; i < 400; ++i) start_each(all, std::make_index_sequence<10>());
    co_await gather(std::move(all));
}

/// Runs `fn` on a thread, which has a pool of its own.
template <class Fn>
void on_thread(Fn fn) {
    std::thread(fn).join();
}

std::uint64_t turns() { return running_loop().stats().turns; }

}  // namespace

TEST_CASE("idle: frames of a burst are returned after a second, and nothing wakes the loop again",
          "[idle]") {
    if (!pooled()) SKIP("frames come from malloc under a sanitizer");
    std::size_t before = 0, after = 0, wakes = 0, later_wakes = 0;
    on_thread([&] {
        rondo::loop l;
        l.run_until_complete([&]() -> task<> {
            co_await burst();
            before = written_frame_bytes();
            std::uint64_t first = turns();
            co_await sleep(2200ms);
            wakes = turns() - first;
            after = written_frame_bytes();
            co_await sleep(10ms);
            co_await sleep(2200ms);  // what has run in between did not need much memory
            first = turns();
            co_await sleep(1300ms);
            later_wakes = turns() - first;
        }());
    });
    CHECK(before > mebibyte);
    CHECK(after < may_stay);
    CHECK(wakes <= 6);        // each is two turns
    CHECK(later_wakes <= 2);  // the end of the sleep
}

TEST_CASE("idle: a loop that keeps running keeps its frames, whatever another thread's loop does",
          "[idle]") {
    if (!pooled()) SKIP("frames come from malloc under a sanitizer");
    std::size_t before = 0, busy = 0, idle = 0;
    duration longest{};
    std::thread other([&] {
        rondo::loop l;
        l.run_until_complete([&]() -> task<> {
            co_await burst();
            for (int i = 0; i < 5; ++i) co_await sleep(450ms);  // ticks now and then
            idle = written_frame_bytes();
        }());
    });
    on_thread([&] {
        rondo::loop l;
        l.run_until_complete([&]() -> task<> {
            co_await burst();
            before = written_frame_bytes();
            for (int i = 0; i < 110; ++i) {
                const time_point began = running_loop().time();
                co_await sleep(20ms);
                longest = std::max(longest, running_loop().time() - began);
            }
            busy = written_frame_bytes();
        }());
    });
    other.join();
    CHECK(before > mebibyte);
    // On a machine that is overloaded this loop was idle too.
    if (longest < 100ms) CHECK(busy >= before);
    CHECK(idle < may_stay);
}

TEST_CASE("idle: a loop inside a host's loop returns frames too, and then leaves the host alone",
          "[idle]") {
    if (!pooled()) SKIP("frames come from malloc under a sanitizer");
    std::size_t before = 0, after = 0;
    int wakes = 0, later = -1;
    on_thread([&] {
        rondo::loop guest;
        auto running = guest.create_task(burst());
        pollfd watched{guest.fd(), POLLIN, 0};
        while (!running.done() && ::poll(&watched, 1, 10'000) == 1) guest.poll();
        before = written_frame_bytes();
        const auto end = std::chrono::steady_clock::now() + 2200ms;
        while (std::chrono::steady_clock::now() < end) {
            if (::poll(&watched, 1, 100) != 1) continue;
            guest.poll();
            ++wakes;
        }
        after = written_frame_bytes();
        later = ::poll(&watched, 1, 1300);
    });
    CHECK(before > mebibyte);
    CHECK(after < may_stay);
    CHECK(wakes <= 3);
    CHECK(later == 0);
}

TEST_CASE("idle: a loop that has moved to another thread returns the frames of that thread",
          "[idle]") {
    if (!pooled()) SKIP("frames come from malloc under a sanitizer");
    rondo::loop l;
    on_thread([&] { l.run_until_complete(burst()); });  // its timeout goes with the thread's ring
    std::size_t before = 0, after = 0;
    on_thread([&] {
        l.run_until_complete([&]() -> task<> {
            co_await burst();
            before = written_frame_bytes();
            co_await sleep(2200ms);
            after = written_frame_bytes();
        }());
        l.close();
    });
    CHECK(before > mebibyte);
    CHECK(after < may_stay);
}

TEST_CASE("idle: on the simulator frames are returned when a second of virtual time has passed",
          "[idle]") {
    if (!pooled()) SKIP("frames come from malloc under a sanitizer");
    std::size_t before = 0, soon = 0, after = 0;
    on_thread([&] {
        rondo::testing::simulate([&]() -> task<> {
            co_await burst();
            before = written_frame_bytes();
            co_await sleep(900ms);
            co_await sleep(50ms);
            soon = written_frame_bytes();
            co_await sleep(9h);
            co_await sleep(1ms);
            after = written_frame_bytes();
        });
    });
    CHECK(before > mebibyte);
    CHECK(soon >= before);
    CHECK(after < may_stay);
}

TEST_CASE("idle: on the simulator nothing depends on how much memory there is to return",
          "[idle]") {
    const auto program = []() -> task<> {
        auto ends = co_await rondo_tests::connect_pair();
        const auto talk = [&]() -> task<> {
            char byte = 0;
            for (int i = 0; i < 20; ++i) {
                co_await sleep(std::chrono::milliseconds(370 * (i % 7)));
                co_await ends.client.write_all("x");
                const buffer_view room(&byte, 1);
                co_await ends.server.read_some(room);
            }
        };
        const auto ticks = []() -> task<> {
            for (int i = 0; i < 30; ++i) co_await sleep(333ms);
            co_await sleep(9h);
        };
        co_await gather(talk(), ticks());
    };
    const auto run = [&](bool memory_first) {
        std::pair<std::uint64_t, duration> seen;
        on_thread([&] {
            std::vector<void*> frames(memory_first ? 4000 : 0);
            for (void*& each : frames) each = rondo::detail::frame_allocate(400);
            for (void* each : frames) rondo::detail::frame_free(each, 400);
            rondo::testing::sim_options options;
            options.seed = 7;
            rondo::testing::world w(options);
            w.run(program());
            seen = {w.trace(), w.loop().time().time_since_epoch()};
            w.end();
        });
        return seen;
    };
    CHECK(run(true) == run(false));
}

TEST_CASE("idle: a deadlock is found at once, however much memory there is to return", "[idle]") {
    captured_stderr captured;
    bool found = false;
    duration took{};
    on_thread([&] {
        rondo::testing::world w{rondo::testing::sim_options{}};
        rondo::loop& l = w.loop();
        time_point since{};
        const auto waits_for_ever = [&]() -> task<> {
            co_await burst();
            since = l.time();
            rondo::promise<int> never;
            auto answer = never.get_future();
            co_await std::move(answer);
        };
        try {
            w.run(waits_for_ever());
        } catch (const rondo::deadlock_error&) {
            found = true;
        }
        took = l.time() - since;
        w.end();
    });
    CHECK(found);
    CHECK(took < 100ms);
}
