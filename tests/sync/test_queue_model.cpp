// SPDX-License-Identifier: MIT
// Queues of every order against a simple model, under random calls.
#include <algorithm>
#include <cstdint>
#include <deque>
#include <random>
#include <vector>

#include <rondo/queue.hpp>

#include "support/core_tools.hpp"

using namespace rondo_tests;

namespace {

struct in_order {
    using queue_type = queue<int>;
    std::deque<int> items;
    void push(int item) { items.push_back(item); }
    int pop() { return take(items.begin()); }
    int take(std::deque<int>::iterator at) {
        const int item = *at;
        items.erase(at);
        return item;
    }
};
struct last_first : in_order {
    using queue_type = lifo_queue<int>;
    int pop() { return take(items.end() - 1); }
};
struct least_first : in_order {
    using queue_type = priority_queue<int>;
    int pop() { return take(std::min_element(items.begin(), items.end())); }
};

/// A queue and its model. The model records each item at the moment at which it is stored or taken,
/// so both can be compared at every step. The order of arrivals is recorded, to see that no task
/// was overtaken.
template <class Model>
struct trial {
    typename Model::queue_type queue;
    Model model;
    int arrivals = 0, last_getter = 0, last_putter = 0;
    int ended_empty = 0, refused = 0;
    std::vector<future<>> tasks;

    explicit trial(std::size_t maxsize) : queue(maxsize) {}

    void stored(int item) { model.push(item); }
    void took(int item) {
        REQUIRE_FALSE(model.items.empty());
        CHECK(model.pop() == item);
    }
    task<> put(int item) {
        const int me = ++arrivals;
        try {
            co_await queue.put(item);
        } catch (const queue_closed_error&) {
            ++refused;
            co_return;
        }
        stored(item);
        CHECK(me > last_putter);
        last_putter = me;
    }
    task<> get() {
        const int me = ++arrivals;
        const auto item = co_await queue.next();
        if (!item) {
            ++ended_empty;
            CHECK(queue.closed());
            CHECK(model.items.empty());
            co_return;
        }
        took(*item);
        CHECK(me > last_getter);
        last_getter = me;
    }
    template <class Random>
    void step(Random& random, int item) {
        switch (random() % 6) {
            case 0:
            case 1:
                tasks.push_back(create_task(put(item)));
                break;
            case 2:
            case 3:
                tasks.push_back(create_task(get()));
                break;
            case 4:
                if (!tasks.empty()) tasks[random() % tasks.size()].cancel();
                break;
            case 5:
                if (random() % 2 == 0) {
                    if (const auto got = queue.try_get()) took(*got);
                } else if (queue.try_put(item)) {
                    stored(item);
                }
        }
    }
    // Tasks that still wait have a reason to.
    void at_rest() {
        CHECK(queue.size() == model.items.size());
        for (const auto& one : tasks) {
            if (one.done()) continue;
            const bool puts = one.describe().find("queue.put") != std::string::npos;
            CHECK((puts ? queue.full() : queue.empty()));
        }
        std::erase_if(tasks, [](const auto& one) { return one.done(); });
    }
};

template <class Model>
task<> compare_with_model(std::uint64_t seed, std::size_t maxsize) {
    std::mt19937_64 random(seed);
    trial<Model> t(maxsize);
    int item = 0;
    for (int batch = 0; batch < 100; ++batch) {
        for (auto steps = random() % 6; steps > 0; --steps) {
            t.step(random, static_cast<int>(random() % 50) * 1000 + item++);
            if (random() % 3 == 0) co_await yield_now();
        }
        co_await finish(12);
        t.at_rest();
    }
    t.queue.close();
    co_await finish(12);
    std::vector<future<>> rest;
    rest.swap(t.tasks);
    while (const auto got = co_await t.queue.next()) t.took(*got);
    CHECK(t.model.items.empty());
    for (const auto& one : rest) CHECK(one.done());
}

RONDO_TEST("queue: behaves like a simple model under random calls", "[queue]",
           seeds(1).limit(30s)) {
    const auto all = testing::seeds(static_cast<unsigned>(many(60, 10)));
    for (const std::uint64_t seed : all) {
        INFO("seed " << seed);
        const std::size_t maxsize = seed % 4;  // 0: unbounded
        co_await compare_with_model<in_order>(seed, maxsize);
        co_await compare_with_model<last_first>(seed, maxsize);
        co_await compare_with_model<least_first>(seed, maxsize);
    }
}

}  // namespace
