// SPDX-License-Identifier: MIT
// The losers of a select over waits for other tasks have taken nothing.
#include <memory>
#include <vector>

#include <rondo/bridge.hpp>
#include <rondo/queue.hpp>
#include <rondo/select.hpp>
#include <rondo/sync.hpp>
#include <rondo/wait.hpp>

#include "compose/lossless.hpp"

namespace {

using namespace rondo_tests;

template <class Queue>
struct of_queue : taken_items {
    Queue items{};
    static task<std::unique_ptr<of_queue>> make() { co_return std::make_unique<of_queue>(); }
    task<> give(int number) {
        const bool stored = items.try_put(number);
        if (!stored) throw error("a queue without a limit is full");
        co_return;
    }
    auto take() { return items.next(); }
    void got(std::optional<int> item) { taken.push_back(*item); }
};

RONDO_TEST("select: a queue keeps the items of losers", "[select]", seeds(30)) {
    co_await loses_nothing<of_queue<queue<int>>>();
}
RONDO_TEST("select: a bridge_queue keeps the items of losers", "[select][both]", seeds(30)) {
    co_await loses_nothing<of_queue<bridge_queue<int>>>();
}

struct of_broadcast : taken_items {
    broadcast<int> sender{2 * items};
    broadcast<int>::subscriber receiver = sender.subscribe();
    static task<std::unique_ptr<of_broadcast>> make() {
        co_return std::make_unique<of_broadcast>();
    }
    task<> give(int number) {
        sender.send(number);
        co_return;
    }
    auto take() { return receiver.next(); }
    void got(std::optional<int> item) { taken.push_back(*item); }
};

RONDO_TEST("select: a broadcast keeps the items of losers", "[select]", seeds(30)) {
    co_await loses_nothing<of_broadcast>();
}

/// Each permit that is given is acquired once.
struct of_semaphore : taken_items {
    semaphore permits{0};
    static task<std::unique_ptr<of_semaphore>> make() {
        co_return std::make_unique<of_semaphore>();
    }
    task<> give(int) {
        permits.release();
        co_return;
    }
    auto take() { return permits.acquire(); }
    void got(permit one) {
        one.forget();
        taken.push_back(static_cast<int>(taken.size()));
    }
};

RONDO_TEST("select: a semaphore keeps the permits of losers", "[select]", seeds(30)) {
    co_await loses_nothing<of_semaphore>();
}

/// The giver holds the mutex until it "gives"; then the taker gets it, and hands it back.
struct of_mutex : taken_items {
    mutex lock;
    queue<int> returned;
    mutex::guard held;
    static task<std::unique_ptr<of_mutex>> make() {
        auto made = std::make_unique<of_mutex>();
        made->held = co_await made->lock.lock();
        co_return made;
    }
    task<> give(int) {
        held.unlock();
        co_await returned.next();
    }
    auto take() { return lock.lock(); }
    void got(mutex::guard taker) {
        taken.push_back(static_cast<int>(taken.size()));
        held = std::move(taker);
        if (!returned.try_put(0)) throw error("a queue without a limit is full");
    }
};

RONDO_TEST("select: a mutex that a loser was handed goes to the next", "[select]", seeds(30)) {
    co_await loses_nothing<of_mutex>();
}

/// One notification for each item: the losers pass theirs on.
struct of_condition : taken_items {
    mutex lock;
    condition changed{lock};
    int given = 0;
    int seen = 0;
    static task<std::unique_ptr<of_condition>> make() {
        co_return std::make_unique<of_condition>();
    }
    task<> give(int) {
        auto guard = co_await lock.lock();
        ++given;
        changed.notify();
    }
    task<> take() {
        auto guard = co_await lock.lock();
        while (given == seen) co_await changed.wait(guard);
    }
    void got(std::monostate) { taken.push_back(seen++); }
};

RONDO_TEST("select: a condition loses no notification", "[select]", seeds(30)) {
    co_await loses_nothing<of_condition>();
}

RONDO_TEST("select: a notification of a loser wakes the next waiter", "[select]", seeds(20)) {
    mutex lock;
    condition changed(lock);
    event stop;
    const auto waits = [&]() -> task<> {
        auto guard = co_await lock.lock();
        co_await changed.wait(guard);
    };
    auto selecting = create_task(select(stop.wait(), waits()));
    co_await finish();
    auto other = create_task(waits());
    co_await finish();
    changed.notify();  // the one in the select, which loses in this turn
    stop.set();
    if (die(2) == 0) selecting.cancel();
    const std::vector<task_handle> first(1, selecting);
    co_await wait(first);
    if (!selecting.cancelled() && selecting.result().index() == 1) changed.notify();
    co_await wait_for(1s, other);
}

/// An event counts nothing: each round it is set, seen and cleared.
struct of_event : taken_items {
    event set;
    event seen;
    static task<std::unique_ptr<of_event>> make() { co_return std::make_unique<of_event>(); }
    task<> give(int) {
        set.set();
        co_await seen.wait();
        seen.clear();
    }
    auto take() { return set.wait(); }
    void got(std::monostate) {
        taken.push_back(static_cast<int>(taken.size()));
        set.clear();
        seen.set();
    }
};

RONDO_TEST("select: an event that a loser waited for stays set", "[select]", seeds(30)) {
    co_await loses_nothing<of_event>();
}

}  // namespace
