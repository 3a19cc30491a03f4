// SPDX-License-Identifier: MIT
// Orders in which two tasks can select from queues and locks, while others put, release and cancel.
// No item and no permit may be lost, and no task may wait for one that is there.
#include <array>
#include <optional>
#include <variant>

#include <rondo/queue.hpp>
#include <rondo/select.hpp>
#include <rondo/sync.hpp>

#include "support/catch.hpp"
#include "support/core_tools.hpp"
#include "support/explorer.hpp"

namespace {

using namespace rondo_tests;

/// Actors 0 and 1 select from two queues, in opposite order; the others put into both in one step.
template <int Tasks, int Rounds>
struct selected_items {
    std::array<queue<int>, 2> lines;
    int put = 0;
    int taken = 0;
    std::array<unsigned, 2> seen{};  // bit i is item i

    explicit selected_items(stage& s) {
        for (std::size_t i = 0; i < Tasks; ++i)
            s.actor(i < 2 ? take(s, i) : put_into_both(s));
    }
    task<> put_into_both(stage& s) {
        for (int i = 0; i < Rounds; ++i) {
            ++put;
            for (queue<int>& line : lines)
                s.require(line.try_put(put), "a queue without a limit is full");
            co_await yield_now();
        }
    }
    task<> take(stage& s, std::size_t me) {
        try {
            for (int i = 0; i < Rounds; ++i) {
                const auto what = co_await select(lines[me].next(), lines[1 - me].next());
                const bool first = what.index() == 0;
                const int item = first ? *std::get<0>(what) : *std::get<1>(what);
                unsigned& before = seen[first ? me : 1 - me];
                s.require((before >> item & 1) == 0, "an item came twice");
                before |= 1u << item;
                ++taken;
            }
        } catch (const cancelled&) {
        }
    }
    void check_step(stage&) {}
    void check_end(stage& s) {
        const auto stored = static_cast<int>(lines[0].size() + lines[1].size());
        s.require(2 * put == taken + stored, "an item is lost, or came from nowhere");
        if (!s.ended(0) || !s.ended(1)) s.require(stored == 0, "a task waits for what is there");
    }
};

/// Each actor selects a permit, a mutex or a place, holds what it gets, and gives it back.
template <int Tasks, int Rounds>
struct selected_locks {
    semaphore permits{1};
    mutex lock;
    rwlock shared;
    int inside = 0;

    explicit selected_locks(stage& s) {
        for (std::size_t i = 0; i < Tasks; ++i) s.actor(hold(s, i));
    }
    task<> hold(stage& s, std::size_t me) {
        try {
            for (int i = 0; i < Rounds; ++i) {
                if (me % 2 == 0) {
                    const auto held = co_await select(permits.acquire(), lock.lock());
                    co_await stay(s);
                } else {
                    const auto held = co_await select(lock.lock(), shared.lock());
                    co_await stay(s);
                }
            }
        } catch (const cancelled&) {
        }
    }
    task<> stay(stage& s) {
        struct count {
            int& of;
            explicit count(int& n) : of(++n) {}
            ~count() { --of; }
        };
        const count here(inside);
        s.require(inside <= 3, "more tasks hold something than there is");
        co_await yield_now();
    }
    void check_step(stage&) {}
    void check_end(stage& s) {
        s.require(s.all_ended(), "a task waits although all is free");
        s.require(permits.available() == 1 && !lock.locked(), "a permit or a lock is lost");
        const auto free = shared.try_lock();
        s.require(static_cast<bool>(free), "a lock is lost");
    }
};

void report(const exploration& done) {
    INFO("after " << done.runs << " runs, choices " << done.path);
    CHECK(done.failure == "");
}

TEST_CASE("select: loses no item in any order of its tasks", "[select][interleavings]") {
    report(explore_samples<selected_items<4, 3>>(
        static_cast<std::uint64_t>(many(15'000, 2'000)), 3, 1));
}

TEST_CASE("select: loses no lock in any order of its tasks", "[select][interleavings]") {
    report(explore_samples<selected_locks<3, 2>>(
        static_cast<std::uint64_t>(many(15'000, 2'000)), 2, 1));
    report(explore_samples<selected_locks<5, 3>>(
        static_cast<std::uint64_t>(many(10'000, 1'000)), 3, 1));
}

}  // namespace
