// SPDX-License-Identifier: MIT
// Bridges between threads and tasks: on every side, no item is lost and no waiter is forgotten.
#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <rondo/bridge.hpp>
#include <rondo/gather.hpp>
#include <rondo/run.hpp>

#include "support/child.hpp"
#include "support/core_tools.hpp"

using namespace rondo_tests;

namespace {

task<long> sum_of(bridge_queue<int>* from) {
    long sum = 0;
    while (auto item = co_await from->next()) sum += *item;
    co_return sum;
}

task<> put_many(bridge_queue<int>* to, int first, int count) {
    for (int i = 0; i < count; ++i) co_await to->put(first + i);
}

long blocking_sum_of(bridge_queue<int>& from) {
    long sum = 0;
    while (auto item = from.blocking_next()) sum += *item;
    return sum;
}

void blocking_put_many(bridge_queue<int>& to, int first, int count) {
    for (int i = 0; i < count; ++i) to.blocking_put(first + i);
}

constexpr long sum_to(long end) { return end * (end - 1) / 2; }

RONDO_TEST("bridge_queue: between tasks of one loop it is a queue", "[bridge][both]") {
    bridge_queue<int> q(3);
    CHECK(q.maxsize() == 3);
    const auto produce = [](bridge_queue<int>* to) -> task<> {
        co_await put_many(to, 0, 500);
        to->close();
    };
    const auto [sum, none] = co_await gather(sum_of(&q), produce(&q));
    CHECK(sum == sum_to(500));
    CHECK(q.closed());
    CHECK_THROWS_AS(co_await q.put(1), queue_closed_error);
    CHECK_THROWS_AS(q.try_put(1), queue_closed_error);
}

RONDO_TEST("bridge_queue: try_put and try_get do not wait, and an item without room is untouched",
           "[bridge]") {
    bridge_queue<std::unique_ptr<int>> q(1);
    CHECK_FALSE(q.try_get());
    CHECK(q.try_put(std::make_unique<int>(1)));
    auto second = std::make_unique<int>(2);
    CHECK_FALSE(q.try_put(std::move(second)));
    CHECK(second != nullptr);
    CHECK(q.size() == 1);
    const auto first = q.try_get();
    CHECK(**first == 1);
    co_return;
}

TEST_CASE("bridge_queue: between threads it blocks, with or without a timeout",
          "[bridge]") {
    bridge_queue<std::string> q(1);
    CHECK_THROWS_AS(q.blocking_next_for(1ms), timeout_error);
    q.blocking_put("first");
    std::string second = "second";
    CHECK_THROWS_AS(q.blocking_put_for(1ms, std::move(second)), timeout_error);
    CHECK(second == "second");
    CHECK(q.blocking_next_for(1h) == "first");
    q.close();
    CHECK_FALSE(q.blocking_next());
    CHECK_FALSE(q.blocking_next_for(1h));
    CHECK_THROWS_AS(q.blocking_put("third"), queue_closed_error);
}

TEST_CASE("bridge_queue: many threads on both sides", "[bridge]") {
    bridge_queue<int> q(4);
    std::atomic<long> sum{0};
    std::vector<std::thread> getters, putters;
    for (int i = 0; i < 3; ++i) getters.emplace_back([&] { sum += blocking_sum_of(q); });
    for (int i = 0; i < 3; ++i)
        putters.emplace_back([&, i] { blocking_put_many(q, i * 1000, 1000); });
    for (auto& one : putters) one.join();
    q.close();
    for (auto& one : getters) one.join();
    CHECK(sum == sum_to(3000));
}

RONDO_TEST("bridge_queue: threads put, tasks take", "[bridge][kernel]", limit(60s)) {
    bridge_queue<int> q(4);
    std::vector<std::thread> putters;
    std::atomic<int> left{3};
    for (int i = 0; i < 3; ++i)
        putters.emplace_back([&, i] {
            blocking_put_many(q, i * 1000, 1000);
            if (--left == 0) q.close();
        });
    const auto [a, b] = co_await gather(sum_of(&q), sum_of(&q));
    for (auto& one : putters) one.join();
    CHECK(a + b == sum_to(3000));
}

RONDO_TEST("bridge_queue: tasks put, threads take", "[bridge][kernel]", limit(60s)) {
    bridge_queue<int> q(4);
    std::atomic<long> sum{0};
    std::vector<std::thread> getters;
    for (int i = 0; i < 2; ++i) getters.emplace_back([&] { sum += blocking_sum_of(q); });
    co_await gather(put_many(&q, 0, 1000), put_many(&q, 1000, 1000));
    q.close();
    for (auto& one : getters) one.join();
    CHECK(sum == sum_to(2000));
}

TEST_CASE("bridge_queue: between two loops, there and back", "[bridge][kernel]") {
    bridge_queue<int> there(1), back(1);
    try {
        const loop probe;
    } catch (const uring_unavailable& why) {
        SKIP(why.what());
    }
    const auto echo = [](bridge_queue<int>* in, bridge_queue<int>* out) -> task<> {
        while (auto item = co_await in->next()) co_await out->put(*item + 1);
        out->close();
    };
    const auto ask = [](bridge_queue<int>* out, bridge_queue<int>* in) -> task<int> {
        int item = 0;
        for (int i = 0; i < 500; ++i) {
            co_await out->put(item);
            const auto answer = co_await in->next();
            item = *answer;
        }
        out->close();
        co_return item;
    };
    std::thread other([&] { loop().run_until_complete(echo(&there, &back)); });
    loop mine;
    CHECK(mine.run_until_complete(ask(&there, &back)) == 500);
    other.join();
}

task<> take_one(bridge_queue<int>* from) { co_await from->next(); }
task<> put_one(bridge_queue<int>* to, int item) { co_await to->put(item); }

TEST_CASE("bridge_queue: the end of a loop loses nothing", "[bridge]") {
    for (const bool promised : {false, true}) {
        bridge_queue<int> q(1);
        testing::world w(testing::sim_options{});
        w.loop().create_task(take_one(&q));
        bool stored = false;
        w.run([](bridge_queue<int>* to, bool put, bool* done) -> task<> {
            co_await finish();
            if (put)
                *done = to->try_put(1);  // promised; the post is under way when the loop ends
        }(&q, promised, &stored));
        w.end();
        CHECK(stored == promised);
        if (!promised) CHECK(q.try_put(1));
        CHECK(q.size() == 1);
        CHECK(q.blocking_next_for(0s) == 1);
    }
}

TEST_CASE("bridge_queue: loops that come and go while a thread puts", "[bridge][kernel]") {
    try {
        const loop probe;
    } catch (const uring_unavailable& why) {
        SKIP(why.what());
    }
    constexpr int items = 500;
    bridge_queue<int> q(2);
    std::thread putter([&] {
        blocking_put_many(q, 0, items);
        q.close();
    });
    // Each loop ends with one task that waits, and that may have been woken.
    const auto note_one = [](bridge_queue<int>* from, long* all, bool* ended) -> task<> {
        const auto item = co_await from->next();
        if (item)
            *all += *item;
        else
            *ended = true;
    };
    const auto live = [&note_one](bridge_queue<int>* from, long* all, bool* ended) -> task<> {
        create_task(note_one(from, all, ended));
        for (int i = 0; i < 3 && !*ended; ++i) co_await note_one(from, all, ended);
    };
    long sum = 0;
    for (bool ended = false; !ended;) {
        loop here;
        here.run_until_complete(live(&q, &sum, &ended));
    }
    putter.join();
    CHECK(sum == sum_to(items));
    CHECK(q.size() == 0);
}

/// Like check_cancelled_after_completion, but the task is woken by a post: it is cancelled while
/// the post is under way.
template <class Make, class Complete>
task<> check_cancelled_on_its_way(Make make, Complete complete) {
    observed seen;
    auto waiting = create_task(observe(make, &seen));
    co_await finish();
    CHECK(waiting.state() == task_state::waiting);
    complete();
    waiting.cancel();
    CHECK_THROWS_AS(co_await waiting, future_cancelled);
    CHECK(seen.first == outcome_of_wait::cancelled);
    CHECK(seen.next_threw);
}

RONDO_TEST("bridge_queue: next is cancelled before, while and after", "[bridge][cancel][both]") {
    bridge_queue<int> q;
    CHECK(q.try_put(0));
    co_await check_cancelled_before([&] { return q.next(); });
    CHECK(q.try_get() == 0);
    co_await check_cancelled_while_suspended([&] { return q.next(); });
    bool put = false;
    co_await check_cancelled_on_its_way([&] { return q.next(); }, [&] { put = q.try_put(1); });
    CHECK(put);
    CHECK(q.try_get() == 1);
    co_await check_cancelled_on_its_way([&] { return q.next(); }, [&] { q.close(); });
}

RONDO_TEST("bridge_queue: put is cancelled before, while and after", "[bridge][cancel][both]") {
    bridge_queue<int> q(1);
    co_await check_cancelled_before([&] { return q.put(1); });
    CHECK(q.size() == 0);
    co_await q.put(1);
    co_await check_cancelled_while_suspended([&] { return q.put(2); });
    std::optional<int> freed;
    co_await check_cancelled_on_its_way([&] { return q.put(3); }, [&] { freed = q.try_get(); });
    CHECK(freed == 1);
    CHECK(q.size() == 0);
    CHECK(q.try_put(4));  // the place is free again
}

RONDO_TEST("bridge_queue: an item that was promised to a cancelled task goes to the next waiter",
           "[bridge][cancel][both]") {
    bridge_queue<int> q;
    auto first = create_task(take_one(&q));
    co_await finish();
    auto second = ensure_future(q.next());
    co_await finish();
    CHECK(q.try_put(7));
    first.cancel();
    CHECK(co_await second == 7);
    q.close();
}

RONDO_TEST("bridge_queue: a putter that is woken and finds the queue closed stores nothing",
           "[bridge][both]") {
    bridge_queue<int> q(1);
    co_await q.put(1);
    auto waiting = create_task(put_one(&q, 2));
    auto later = create_task(put_one(&q, 3));
    co_await finish();
    CHECK(q.try_get() == 1);
    q.close();
    CHECK_THROWS_AS(co_await waiting, queue_closed_error);
    CHECK_THROWS_AS(co_await later, queue_closed_error);
    CHECK_FALSE(co_await q.next());
}

TEST_CASE("bridge_queue: a refused item stays with the caller", "[bridge]") {
    bridge_queue<std::unique_ptr<int>> q(1);
    q.blocking_put(std::make_unique<int>(1));
    auto second = std::make_unique<int>(2);
    CHECK_THROWS_AS(q.blocking_put_for(0s, std::move(second)), timeout_error);
    CHECK(second != nullptr);
    q.close();
    CHECK_THROWS_AS(q.blocking_put(std::move(second)), queue_closed_error);
    CHECK_THROWS_AS(q.try_put(std::move(second)), queue_closed_error);
    CHECK(second != nullptr);
    bridge_queue<std::string> texts;
    const std::string kept = "copied";
    texts.blocking_put(kept);
    texts.blocking_put("made");
    CHECK(texts.blocking_next() == "copied");
    CHECK(texts.blocking_next() == "made");
}

TEST_CASE("bridge_queue: destroying it before a woken waiter took its item aborts with a sentence",
          "[bridge][death]") {
    const auto died = run_child([] {
        testing::simulate([]() -> task<> {
            auto q = std::make_unique<bridge_queue<int>>();
            auto waiting = create_task(
                [](bridge_queue<int>* from) -> task<> { co_await from->next(); }(q.get()));
            co_await finish();
            co_await q->put(1);
            q = nullptr;
            co_await waiting;
        });
        return 0;
    });
    INFO(died.text);
    CHECK(died.aborted());
    CHECK(died.says("took its item or its place"));
}

RONDO_TEST("bridge_event: set and destroyed at once, its waiters resume", "[bridge][both]") {
    auto event = std::make_unique<bridge_event>();
    auto waiting = create_task([](bridge_event* e) -> task<> { co_await e->wait(); }(event.get()));
    auto queue = std::make_unique<bridge_queue<int>>();
    auto taking = create_task(sum_of(queue.get()));
    co_await finish();
    event->set();
    event = nullptr;
    queue->close();
    queue = nullptr;
    co_await waiting;
    CHECK(co_await taking == 0);
}

TEST_CASE("bridge_queue: blocking in a task aborts with a sentence", "[bridge][death]") {
    const auto died = run_child([] {
        bridge_queue<int> q;
        testing::simulate([&]() -> task<> {
            q.blocking_next();
            co_return;
        });
        return 0;
    });
    CHECK(died.aborted());
    CHECK(died.says("a task must not block at a bridge"));
}

/// Takes with timeouts and cancellations until the queue has ended; counts every item exactly once.
task<> take_impatiently(bridge_queue<int>* from, std::uint64_t seed, long* sum) {
    std::mt19937_64 random(seed);
    for (bool ended = false; !ended;) {
        const auto patience = std::chrono::microseconds(random() % 200);
        const auto item = co_await move_on_after(patience, from->next());
        if (!item) continue;
        if (*item)
            *sum += **item;
        else
            ended = true;
    }
}

task<> put_impatiently(bridge_queue<int>* to, std::uint64_t seed, int first, int count) {
    std::mt19937_64 random(seed);
    for (int i = 0; i < count;) {
        const auto patience = std::chrono::microseconds(random() % 200);
        bool stored = true;
        try {
            co_await wait_for(patience, to->put(first + i));
        } catch (const timeout_error&) {
            stored = false;
        }
        if (stored) ++i;
    }
}

long take_impatiently_in_a_thread(bridge_queue<int>& from, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    for (long sum = 0;;) {
        try {
            const auto item = from.blocking_next_for(std::chrono::microseconds(random() % 200));
            if (!item) return sum;
            sum += *item;
        } catch (const timeout_error&) {
        }
    }
}

void put_impatiently_in_a_thread(bridge_queue<int>& to, std::uint64_t seed, int first, int count) {
    std::mt19937_64 random(seed);
    for (int i = 0; i < count;) {
        try {
            int item = first + i;
            to.blocking_put_for(std::chrono::microseconds(random() % 200), std::move(item));
            ++i;
        } catch (const timeout_error&) {
        }
    }
}

RONDO_TEST("bridge_queue: timeouts and cancellations on every side lose nothing",
           "[bridge][cancel][kernel]", limit(60s)) {
    const int each = many(2000, 500);
    for (const std::uint64_t seed : testing::seeds(3)) {
        INFO("seed " << seed);
        bridge_queue<int> q(seed % 3);
        std::atomic<long> sum{0};
        long here = 0, also_here = 0;
        std::atomic<int> left{3};
        const auto finish = [&] {
            if (--left == 0) q.close();
        };
        std::thread getter([&] { sum += take_impatiently_in_a_thread(q, seed); });
        std::vector<std::thread> putters;
        for (int i = 0; i < 2; ++i)
            putters.emplace_back([&, i] {
                put_impatiently_in_a_thread(q, seed + 1, i * each, each);
                finish();
            });
        const auto put_here = [&]() -> task<> {
            co_await put_impatiently(&q, seed, 2 * each, each);
            finish();
        };
        co_await gather(take_impatiently(&q, seed, &here),
                        take_impatiently(&q, seed + 7, &also_here), put_here());
        getter.join();
        for (auto& one : putters) one.join();
        CHECK(sum + here + also_here == sum_to(3 * each));
    }
}

// -- bridge_event ---------------------------------------------------------------------------------

RONDO_TEST("bridge_event: tasks wait until it is set", "[bridge][both]") {
    bridge_event event;
    int woken = 0;
    const auto wait = [](bridge_event* of, int* count) -> task<> {
        co_await of->wait();
        ++*count;
    };
    auto a = create_task(wait(&event, &woken)), b = create_task(wait(&event, &woken));
    co_await finish();
    CHECK(woken == 0);
    CHECK_FALSE(event.is_set());
    event.set();
    event.clear();  // the waiters resume nevertheless
    co_await a;
    co_await b;
    CHECK(woken == 2);
    CHECK_FALSE(event.is_set());
    event.set();
    event.set();
    co_await event.wait();
    CHECK(event.is_set());
}

RONDO_TEST("bridge_event: cancelled before, while and after", "[bridge][cancel][both]") {
    bridge_event event;
    co_await check_cancelled_before([&] { return event.wait(); });
    co_await check_cancelled_while_suspended([&] { return event.wait(); });
    co_await check_cancelled_on_its_way([&] { return event.wait(); }, [&] { event.set(); });
    co_await check_cancelled_before([&] { return event.wait(); });
}

RONDO_TEST("bridge_event: set by a thread, set for a thread", "[bridge][kernel]") {
    bridge_event to_task, to_thread;
    std::thread other([&] {
        if (to_thread.blocking_wait_for(0ms)) return;
        to_task.set();
        to_thread.blocking_wait();
    });
    co_await to_task.wait();
    to_thread.set();
    other.join();
    CHECK(to_task.is_set());
}

TEST_CASE("bridge_event: a thread waits with a timeout", "[bridge]") {
    bridge_event event;
    CHECK_FALSE(event.blocking_wait_for(1ms));
    event.set();
    CHECK(event.blocking_wait_for(0ms));
    event.blocking_wait();
    event.clear();
    CHECK_FALSE(event.blocking_wait_for(0ms));
}

}  // namespace
