// SPDX-License-Identifier: MIT
// The queues between threads and tasks in their three orders: which item is next, task_done and
// join, full and empty, and both ways to close.
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <rondo/bridge.hpp>
#include <rondo/gather.hpp>
#include <rondo/run.hpp>
#include <rondo/thread.hpp>

#include "support/child.hpp"
#include "support/core_tools.hpp"

using namespace rondo_tests;

namespace {

template <class Queue>
std::vector<int> drained(Queue& queue) {
    std::vector<int> all;
    while (auto item = queue.try_get()) all.push_back(*item);
    return all;
}

TEST_CASE("bridge queues: first in first out, last in first out, smallest first", "[bridge]") {
    bridge_queue<int> first_in;
    bridge_lifo_queue<int> last_in;
    bridge_priority_queue<int> smallest;
    bridge_priority_queue<int, std::greater<>> largest;
    for (const int item : {2, 1, 3}) {
        first_in.blocking_put(item);
        last_in.blocking_put(item);
        smallest.blocking_put(item);
        largest.blocking_put(item);
    }
    CHECK(drained(first_in) == std::vector{2, 1, 3});
    CHECK(drained(last_in) == std::vector{3, 1, 2});
    CHECK(drained(smallest) == std::vector{1, 2, 3});
    CHECK(drained(largest) == std::vector{3, 2, 1});
}

RONDO_TEST("bridge queues: tasks get the items in the queue's order too", "[bridge][both]") {
    bridge_lifo_queue<std::string> last_in(2);
    co_await last_in.put("a");
    co_await last_in.put("b");
    CHECK(last_in.full());
    CHECK(co_await last_in.next() == "b");
    CHECK(co_await last_in.next() == "a");
    CHECK(last_in.empty());

    const auto by_length = [](const std::string& a, const std::string& b) {
        return a.size() < b.size();
    };
    bridge_priority_queue<std::string, decltype(by_length)> shortest(0, by_length);
    shortest.reserve(3);
    for (const char* word : {"three", "to", "four"}) co_await shortest.put(word);
    CHECK(co_await shortest.next() == "to");
    CHECK(co_await shortest.next() == "four");
    CHECK(co_await shortest.next() == "three");
}

TEST_CASE("bridge queues: full, empty and size at each moment", "[bridge]") {
    bridge_queue<int> q(2), endless;
    CHECK(q.empty());
    CHECK_FALSE(q.full());
    q.blocking_put(1);
    CHECK_FALSE(q.empty());
    q.blocking_put(2);
    CHECK(q.full());
    CHECK(q.size() == 2);
    CHECK_FALSE(q.try_put(3));
    CHECK(q.blocking_next() == 1);
    CHECK_FALSE(q.full());
    endless.blocking_put(1);
    CHECK_FALSE(endless.full());
    CHECK(endless.maxsize() == 0);
}

// -- task_done and join ---------------------------------------------------------------------------

template <class Queue>
void work_until_closed(Queue& queue, std::atomic<int>& done) {
    while (auto item = queue.blocking_next()) {
        ++done;
        queue.task_done();
    }
}

TEST_CASE("bridge queues: blocking_join returns when every item is done", "[bridge]") {
    bridge_lifo_queue<int> q(3);
    q.blocking_join();  // nothing was put
    std::atomic<int> done{0};
    {
        std::vector<rondo::thread> workers;
        for (int i = 0; i < 2; ++i)
            workers.emplace_back("worker", [&] { work_until_closed(q, done); });
        for (int i = 0; i < 100; ++i) q.blocking_put(i);
        q.blocking_join();
        CHECK(done == 100);
        q.close();
    }
    CHECK_THROWS_AS(q.task_done(), invalid_state_error);
}

TEST_CASE("bridge queues: blocking_join_for says whether every item is done", "[bridge]") {
    bridge_queue<int> q;
    q.blocking_put(1);
    CHECK_FALSE(q.blocking_join_for(0s));
    CHECK(q.blocking_next_for(0s) == 1);
    CHECK_FALSE(q.blocking_join_for(1ms));  // taken, and not done
    q.task_done();
    CHECK(q.blocking_join_for(1h));
}

RONDO_TEST("bridge queues: a task joins the work of threads", "[bridge][kernel]", limit(60s)) {
    bridge_priority_queue<int> q;
    std::atomic<int> done{0};
    rondo::thread worker("worker", [&] { work_until_closed(q, done); });
    for (int i = 0; i < 100; ++i) co_await q.put(i);
    co_await q.join();
    CHECK(done == 100);
    q.close();
    co_await worker.ended();
}

RONDO_TEST("bridge queues: every joiner resumes, and a later one does not wait", "[bridge][both]") {
    bridge_queue<int> q;
    co_await q.join();
    co_await q.put(1);
    co_await q.put(2);
    auto first = create_task([](bridge_queue<int>* of) -> task<> { co_await of->join(); }(&q));
    auto second = create_task([](bridge_queue<int>* of) -> task<> { co_await of->join(); }(&q));
    co_await finish();
    q.task_done();
    co_await finish();
    CHECK_FALSE(first.done());
    q.task_done();
    co_await gather(first, second);
    co_await q.join();
    CHECK(q.size() == 2);  // done does not mean taken
}

RONDO_TEST("bridge queues: join is cancelled before, while and after", "[bridge][cancel][both]") {
    bridge_queue<int> q;
    co_await check_cancelled_before([&] { return q.join(); });
    co_await q.put(1);
    co_await check_cancelled_while_suspended([&] { return q.join(); });
    observed seen;
    auto waiting = create_task(observe([&] { return q.join(); }, &seen));
    co_await finish();
    CHECK(waiting.state() == task_state::waiting);
    q.task_done();  // the post is under way
    waiting.cancel();
    CHECK_THROWS_AS(co_await waiting, future_cancelled);
    CHECK(seen.first == outcome_of_wait::cancelled);
    CHECK(seen.next_threw);
}

TEST_CASE("bridge queues: joining in a task without co_await aborts with a sentence",
          "[bridge][death]") {
    const auto died = run_child([] {
        bridge_queue<int> q;
        q.blocking_put(1);
        testing::simulate([&]() -> task<> {
            q.blocking_join();
            co_return;
        });
        return 0;
    });
    CHECK(died.aborted());
    CHECK(died.says("a task must not block at a bridge"));
}

// -- a thread that is asked to stop ---------------------------------------------------------------

TEST_CASE("bridge queues: a stop request ends the waits of a thread", "[bridge]") {
    testing::leak_probe probe;
    {
        bridge_queue<int> q(1);
        std::atomic<int> taken{0};
        rondo::thread getter("getter", [&](std::stop_token stop) {
            while (auto item = q.blocking_next(stop)) taken += *item;
        });
        q.blocking_put(5);
        while (taken != 5) std::this_thread::yield();
        getter.request_stop();
        getter.join();
        bool stored = true, joined = true;
        q.blocking_put(1);
        {
            const rondo::thread putter("putter", [&](std::stop_token stop) {
                stored = q.blocking_put(2, stop);
            });
            const rondo::thread joiner("joiner", [&](std::stop_token stop) {
                joined = q.blocking_join(stop);
            });
        }  // the destructors request the stops
        CHECK_FALSE(stored);
        CHECK_FALSE(joined);
        CHECK(q.size() == 1);
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("bridge queues: after a stop request nothing is taken or stored", "[bridge]") {
    bridge_queue<std::unique_ptr<int>> q;
    std::stop_source source;
    q.blocking_put(std::make_unique<int>(1));
    CHECK(**q.blocking_next(source.get_token()) == 1);
    source.request_stop();
    auto second = std::make_unique<int>(2);
    CHECK_FALSE(q.blocking_put(std::move(second), source.get_token()));
    CHECK(second != nullptr);
    q.blocking_put(std::move(second));
    CHECK_FALSE(q.blocking_next(source.get_token()));
    CHECK(q.size() == 1);
}

TEST_CASE("bridge queues: stop requests that meet items lose none", "[bridge]") {
    const int rounds = many(300, 60);
    bridge_queue<int> q;
    long put = 0, taken = 0;
    for (int i = 0; i < rounds; ++i) {
        rondo::thread getter("getter", [&](std::stop_token stop) {
            while (auto item = q.blocking_next(stop)) taken += *item;
        });
        q.blocking_put(i);
        put += i;
    }
    while (auto item = q.try_get()) taken += *item;
    CHECK(taken == put);
}

// -- close ----------------------------------------------------------------------------------------

/// An item whose destructor uses the queue.
struct talkative {
    bridge_queue<talkative>* of;
    std::size_t* seen;
    explicit talkative(bridge_queue<talkative>& queue, std::size_t& s) : of(&queue), seen(&s) {}
    talkative(talkative&& other) noexcept
        : of(std::exchange(other.of, nullptr)), seen(other.seen) {}
    talkative& operator=(talkative&&) = delete;
    ~talkative() {
        if (of != nullptr) *seen += of->size() + 1;
    }
};

TEST_CASE("bridge queues: an immediate close destroys the items, which count as done",
          "[bridge]") {
    bridge_priority_queue<int> q;
    for (const int item : {3, 1, 2}) q.blocking_put(item);
    CHECK(q.blocking_next() == 1);
    q.close(close_mode::immediate);
    CHECK(q.closed());
    CHECK(q.empty());
    CHECK_FALSE(q.blocking_next());
    CHECK_THROWS_AS(q.blocking_put(4), queue_closed_error);
    CHECK_FALSE(q.blocking_join_for(0s));  // the one that was taken
    q.task_done();
    CHECK(q.blocking_join_for(0s));

    std::size_t seen = 0;
    bridge_queue<talkative> items;
    items.blocking_put(talkative(items, seen));
    items.close(close_mode::immediate);
    CHECK(seen == 1);
}

RONDO_TEST("bridge queues: a getter that was promised an item finds none after an immediate close",
           "[bridge][both]") {
    bridge_lifo_queue<int> q;
    auto waiting = ensure_future(q.next());
    auto joined = create_task([](bridge_lifo_queue<int>* of) -> task<> {
        co_await finish();
        co_await of->join();
    }(&q));
    co_await finish();
    CHECK(q.try_put(1));  // promised; the post is under way
    q.close(close_mode::immediate);
    CHECK_FALSE((co_await waiting).has_value());
    co_await joined;
    CHECK_FALSE((co_await q.next()).has_value());
}

// -- many on each side ----------------------------------------------------------------------------

template <class Queue>
task<long> take_all(Queue* from) {
    long sum = 0;
    while (auto item = co_await from->next()) {
        sum += *item;
        from->task_done();
    }
    co_return sum;
}
template <class Queue>
task<> put_some(Queue* to, int count) {
    for (int i = 0; i < count; ++i) co_await to->put(1);
}

/// Two threads and two tasks put; a thread and two tasks take; a task joins and then closes.
template <class Queue>
task<> meet(Queue* q) {
    const int each = many(1000, 300);
    std::atomic<long> taken{0};
    rondo::thread taker("taker", [q, &taken] {
        while (auto item = q->blocking_next()) {
            taken += *item;
            q->task_done();
        }
    });
    std::vector<rondo::thread> putters;
    for (int i = 0; i < 2; ++i)
        putters.emplace_back("putter", [q, each] {
            for (int n = 0; n < each; ++n) q->blocking_put(1);
        });
    const auto end = [](Queue* queue, int per, std::vector<rondo::thread>* from) -> task<> {
        co_await gather(put_some(queue, per), put_some(queue, per));
        for (const auto& one : *from) co_await one.ended();
        co_await queue->join();
        queue->close();
    };
    const auto [a, b, none] = co_await gather(take_all(q), take_all(q), end(q, each, &putters));
    co_await taker.ended();
    CHECK(a + b + taken == 4 * each);
    CHECK(q->empty());
}

RONDO_TEST("bridge queues: threads and tasks on both sides lose nothing in any order",
           "[bridge][kernel]", limit(60s)) {
    bridge_queue<int> first_in(4);
    co_await meet(&first_in);
    bridge_lifo_queue<int> last_in(4);
    co_await meet(&last_in);
    bridge_priority_queue<int> smallest;
    co_await meet(&smallest);
}

}  // namespace
