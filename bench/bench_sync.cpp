// SPDX-License-Identifier: MIT
// Tasks that interact: locks, queues, events, wait_for and gather.
#include <optional>
#include <vector>

#include <rondo/future.hpp>
#include <rondo/gather.hpp>
#include <rondo/queue.hpp>
#include <rondo/sleep.hpp>
#include <rondo/sync.hpp>

#include "cases.hpp"

namespace bench {
namespace {

using rondo::task;

task<> pong(rondo::queue<int>& from, rondo::queue<int>& to) {
    for (std::uint64_t i = 0; i < round_trips; ++i) {
        const std::optional<int> ball = co_await from.next();
        co_await to.put(*ball);
    }
}

task<> ping(rondo::queue<int>& to, rondo::queue<int>& from) {
    for (std::uint64_t i = 0; i < round_trips; ++i) {
        co_await to.put(static_cast<int>(i));
        const std::optional<int> ball = co_await from.next();
        sink += static_cast<std::uint64_t>(*ball);
    }
}

task<> ping_pong() {
    rondo::queue<int> there(1), back(1);
    co_await rondo::gather(ping(there, back), pong(there, back));
}

task<> put_and_take() {
    rondo::queue<int> line(16);
    for (std::uint64_t i = 0; i < lockings; ++i) {
        co_await line.put(1);
        const std::optional<int> item = co_await line.next();
        sink += static_cast<std::uint64_t>(*item);
    }
}

task<> lock_alone() {
    rondo::mutex lock;
    for (std::uint64_t i = 0; i < lockings; ++i) {
        const auto held = co_await lock.lock();
        ++sink;
    }
}

task<> lock_in_turn(rondo::mutex& lock) {
    for (std::uint64_t i = 0; i < handovers / 2; ++i) {
        const auto held = co_await lock.lock();
        ++sink;
        co_await rondo::yield_now();  // the other task begins to wait for the lock
    }
}

task<> lock_handover() {
    rondo::mutex lock;
    co_await rondo::gather(lock_in_turn(lock), lock_in_turn(lock));
}

task<> wait_once(rondo::event& bell) { co_await bell.wait(); }

task<> ring_for_many() {
    for (std::uint64_t i = 0; i < bells; ++i) {
        rondo::event bell;
        std::vector<task<>> all;
        for (std::uint64_t k = 0; k < listeners; ++k) all.push_back(wait_once(bell));
        const auto ring = [&]() -> task<> {
            co_await rondo::yield_now();
            bell.set();
        };
        all.push_back(ring());
        co_await rondo::gather(std::move(all));
    }
}

task<> quick() {
    ++sink;
    co_return;
}

task<> limit_what_is_ready() {
    for (std::uint64_t i = 0; i < lockings; ++i)
        co_await rondo::wait_for(std::chrono::seconds(30), quick());
}

task<> nap() { co_await rondo::sleep(std::chrono::microseconds(1)); }

template <std::uint64_t Children, task<> (*Child)()>
task<> gather_of() {
    for (std::uint64_t i = 0; i < spawned / Children; ++i) {
        std::vector<task<>> all;
        all.reserve(Children);
        for (std::uint64_t k = 0; k < Children; ++k) all.push_back(Child());
        co_await rondo::gather(std::move(all));
    }
}

}  // namespace

void add_sync_cases(suite& cases) {
    constexpr auto cpu = judged::by_cpu;
    cases.push_back({"chan_pingpong", "hop between two tasks over two queues of one", cpu,
                     [] { return measured(round_trips * 2, ping_pong); }});
    cases.push_back({"queue_put_next", "item put and taken by one task", cpu,
                     [] { return measured(lockings, put_and_take); }});
    cases.push_back({"mutex_alone", "mutex locked and unlocked by one task", cpu,
                     [] { return measured(lockings, lock_alone); }});
    cases.push_back({"mutex_handover", "mutex handed over between two tasks", cpu,
                     [] { return measured(handovers, lock_handover); }});
    cases.push_back({"event_10k", "waiter of an event that ten thousand wait for", cpu,
                     [] { return measured(bells * listeners, ring_for_many); }});
    cases.push_back({"wait_for_ready", "wait_for around a task that returns at once", cpu,
                     [] { return measured(lockings, limit_what_is_ready); }});
    cases.push_back({"gather_1", "gather of one child", cpu,
                     [] { return measured(spawned, gather_of<1, quick>); }});
    cases.push_back({"gather_10", "child of a gather of ten", cpu,
                     [] { return measured(spawned, gather_of<10, quick>); }});
    cases.push_back({"gather_10k", "child of a gather of ten thousand", cpu,
                     [] { return measured(spawned, gather_of<10'000, quick>); }});
    cases.push_back({"gather_10k_asleep", "child of a gather of ten thousand that sleep", cpu,
                     [] { return measured(spawned, gather_of<10'000, nap>); }});
}

}  // namespace bench
