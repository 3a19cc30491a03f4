// SPDX-License-Identifier: MIT
// Queues: both sides are served first come first served, and no item is lost, whatever is cancelled
// and when.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <rondo/gather.hpp>
#include <rondo/queue.hpp>

#include "support/child.hpp"
#include "support/core_tools.hpp"

using namespace rondo_tests;

namespace {

template <class Queue, class T>
task<> put_one(Queue* queue, T item) {
    co_await queue->put(std::move(item));
}

template <class Queue>
task<> take_into(Queue* queue, std::vector<int>* taken) {
    if (auto item = co_await queue->next()) taken->push_back(*item);
}

task<> serve(queue<int>* orders, std::vector<int>* served) {
    while (auto order = co_await orders->next()) served->push_back(*order);
}

RONDO_TEST("queue: what is put is taken in order, and a closed queue ends when it is drained",
           "[queue][both]") {
    queue<int> orders(3);
    std::vector<int> served;
    const auto produce = [](queue<int>* to) -> task<> {
        for (int i = 0; i < 100; ++i) {
            co_await to->put(i);
            CHECK(to->size() <= 3);
        }
        to->close();
    };
    co_await gather(produce(&orders), serve(&orders, &served));
    CHECK(served.size() == 100);
    CHECK(std::is_sorted(served.begin(), served.end()));
    CHECK(orders.closed());
    CHECK_FALSE(co_await orders.next());
}

RONDO_TEST("queue: reports size, empty and full", "[queue]") {
    queue<int> q(2), unbounded;
    CHECK(q.maxsize() == 2);
    CHECK(unbounded.maxsize() == 0);
    CHECK(q.empty());
    CHECK(q.try_put(1));
    CHECK_FALSE(q.full());
    CHECK(q.try_put(2));
    CHECK(q.full());
    CHECK_FALSE(q.try_put(3));
    CHECK(q.size() == 2);
    CHECK(q.try_get() == 1);
    CHECK(q.try_get() == 2);
    CHECK_FALSE(q.try_get());
    for (int i = 0; i < 1000; ++i) CHECK(unbounded.try_put(i));
    CHECK_FALSE(unbounded.full());
    for (int i = 0; i < 1000; ++i) CHECK(co_await unbounded.next() == i);
}

RONDO_TEST("queue: an item that finds no room stays with its owner", "[queue]") {
    queue<std::unique_ptr<int>> q(1);
    co_await q.put(std::make_unique<int>(1));
    auto second = std::make_unique<int>(2);
    CHECK_FALSE(q.try_put(std::move(second)));
    CHECK(second != nullptr);
    auto first = co_await q.next();
    CHECK(**first == 1);
    CHECK(q.try_put(std::move(second)));
    CHECK(second == nullptr);
}

class no_default {
public:
    explicit no_default(std::string name) : name_(std::move(name)) {}
    const std::string& name() const { return name_; }
    bool operator<(const no_default& other) const { return name_ < other.name_; }

private:
    std::string name_;
};

template <class Queue>
task<> through(Queue* q) {
    co_await q->put(no_default("a name that is too long to stand in the string"));
    const auto back = co_await q->next();
    CHECK(back->name() == "a name that is too long to stand in the string");
    co_await q->put(no_default("left behind"));
}

RONDO_TEST("queue: items need neither default constructor nor copy", "[queue]") {
    queue<no_default> q;
    lifo_queue<no_default> lifo;
    priority_queue<no_default> heap;
    co_await through(&q);
    co_await through(&lifo);
    co_await through(&heap);
}

struct pair_of_names {
    std::string first, second;
};

RONDO_TEST("queue: an aggregate that owns something is put by name", "[queue][gcc12]") {
    queue<pair_of_names> q;
    pair_of_names names{std::string(40, 'a'), std::string(40, 'b')};
    co_await q.put(names);  // copies
    auto put = q.put(std::move(names));
    co_await put;
    for (int i = 0; i < 2; ++i) CHECK((co_await q.next())->second == std::string(40, 'b'));
}

RONDO_TEST("queue: last in, first out", "[queue]") {
    lifo_queue<int> q(4);
    for (int i = 1; i <= 3; ++i) co_await q.put(i);
    CHECK(co_await q.next() == 3);
    co_await q.put(4);
    CHECK(co_await q.next() == 4);
    CHECK(co_await q.next() == 2);
    CHECK(q.try_get() == 1);
}

RONDO_TEST("queue: the smallest first, or what the comparison says", "[queue]") {
    priority_queue<int> q;
    const auto by_last_digit = [](int a, int b) { return a % 10 < b % 10; };
    priority_queue<int, decltype(by_last_digit)> digits(0, by_last_digit);
    for (int i : {5, 12, 9, 21, 8}) {
        co_await q.put(i);
        co_await digits.put(i);
    }
    for (int i : {5, 8, 9, 12, 21}) CHECK(co_await q.next() == i);
    for (int i : {21, 12, 5, 8, 9}) CHECK(co_await digits.next() == i);
}

RONDO_TEST("queue: getters and putters are served in the order in which they came",
           "[queue][both]") {
    queue<int> q(1);
    std::vector<int> taken;
    std::vector<future<>> all;
    for (int i = 0; i < 5; ++i) all.push_back(create_task(take_into(&q, &taken)));
    co_await finish();
    for (int i = 0; i < 10; ++i) all.push_back(create_task(put_one(&q, i)));
    co_await finish(20);
    CHECK(taken == std::vector<int>{0, 1, 2, 3, 4});
    for (int i = 0; i < 5; ++i) all.push_back(create_task(take_into(&q, &taken)));
    co_await finish(20);
    CHECK(taken == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
    for (auto& one : all) CHECK(one.done());
}

RONDO_TEST("queue: no task overtakes a waiter that was woken", "[queue]") {
    queue<int> q(1);
    std::vector<int> taken;
    auto first = create_task(put_one(&q, 1));
    auto second = create_task(put_one(&q, 2));
    co_await finish();
    CHECK(q.try_get() == 1);  // the place is now promised to the second putter
    CHECK(q.full());
    CHECK_FALSE(q.try_put(3));
    auto third = create_task(put_one(&q, 3));
    CHECK(co_await q.next() == 2);
    CHECK(co_await q.next() == 3);

    auto early = create_task(take_into(&q, &taken));
    co_await finish();
    CHECK(q.try_put(4));  // the item is now promised to the early getter
    CHECK_FALSE(q.try_get());
    auto late = create_task(put_one(&q, 5));
    CHECK(co_await q.next() == 5);
    CHECK(taken == std::vector<int>{4});
}

RONDO_TEST("queue: putting into a closed queue is an error, before and while it waits",
           "[queue][both]") {
    queue<int> q(1);
    co_await q.put(1);
    auto waiting = create_task(put_one(&q, 2));
    co_await finish();
    q.close();
    CHECK_THROWS_AS(co_await waiting, queue_closed_error);
    CHECK_THROWS_AS(co_await q.put(3), queue_closed_error);
    CHECK_THROWS_AS(q.try_put(3), queue_closed_error);
    CHECK(co_await q.next() == 1);
    CHECK_FALSE(co_await q.next());
    q.close();
}

RONDO_TEST("queue: a putter that is woken and finds the queue closed stores nothing", "[queue]") {
    queue<int> q(1);
    co_await q.put(1);
    auto waiting = create_task(put_one(&q, 2));
    co_await finish();
    CHECK(q.try_get() == 1);
    q.close();
    CHECK_THROWS_AS(co_await waiting, queue_closed_error);
    CHECK_FALSE(co_await q.next());
}

TEST_CASE("queue: destroying it before a woken task took its item or place aborts with a sentence",
          "[queue][death]") {
    const auto with = [](bool gets) {
        return run_child([gets] {
            testing::simulate([gets]() -> task<> {
                auto q = std::make_unique<queue<int>>(1);
                if (!gets) co_await q->put(1);
                std::vector<int> taken;
                auto waiting = gets ? create_task(take_into(q.get(), &taken))
                                    : create_task(put_one(q.get(), 2));
                co_await finish();
                if (gets)
                    co_await q->put(1);
                else
                    co_await q->next();
                q = nullptr;
                co_await waiting;
            });
            return 0;
        });
    };
    for (const bool gets : {true, false}) {
        const auto end = with(gets);
        INFO(end.text);
        CHECK(end.aborted());
        CHECK(end.says("a queue was destroyed before a woken task took its item or its place"));
    }
}

RONDO_TEST("queue: closing wakes everyone who waits for an item", "[queue][both]") {
    queue<int> q;
    std::vector<int> taken;
    std::vector<future<>> all;
    for (int i = 0; i < 3; ++i) all.push_back(create_task(take_into(&q, &taken)));
    co_await finish();
    CHECK(q.try_put(7));
    q.close();
    co_await finish();
    for (auto& one : all) CHECK(one.done());
    CHECK(taken == std::vector<int>{7});
}

RONDO_TEST("queue: the last item goes to the next waiter even if the queue is closed",
           "[queue]") {
    queue<int> q;
    std::vector<int> taken;
    auto first = create_task(take_into(&q, &taken));
    co_await finish();
    CHECK(q.try_put(7));
    q.close();
    auto second = create_task(take_into(&q, &taken));
    first.cancel();
    co_await finish();
    CHECK(taken == std::vector<int>{7});
    CHECK(second.done());
}

RONDO_TEST("queue: an immediate close drops the items, and they count as done", "[queue][both]") {
    queue<std::shared_ptr<int>> q;
    const auto item = std::make_shared<int>(1);
    for (int i = 0; i < 3; ++i) co_await q.put(item);
    CHECK(item.use_count() == 4);
    auto joined =
        create_task([](queue<std::shared_ptr<int>>* of) -> task<> { co_await of->join(); }(&q));
    co_await finish();
    q.close(close_mode::immediate);
    CHECK(item.use_count() == 1);
    co_await joined;
    CHECK_FALSE(co_await q.next());
    CHECK(q.empty());
}

RONDO_TEST("queue: a getter that was promised an item finds none after an immediate close",
           "[queue]") {
    queue<int> q;
    std::vector<int> taken;
    auto getter = create_task(take_into(&q, &taken));
    co_await finish();
    CHECK(q.try_put(1));
    q.close(close_mode::immediate);
    co_await getter;
    CHECK(taken.empty());
}

struct comes_back {
    queue<comes_back>* home;
    int* calls;
    comes_back(queue<comes_back>* q, int* c) : home(q), calls(c) {}
    comes_back(comes_back&& other) noexcept
        : home(std::exchange(other.home, nullptr)), calls(other.calls) {}
    ~comes_back() {
        if (home == nullptr) return;
        ++*calls;
        CHECK(home->closed());
        CHECK(home->empty());
    }
};

RONDO_TEST("queue: an item's destructor may use the queue that drops it", "[queue]") {
    int calls = 0;
    queue<comes_back> q;
    co_await q.put(comes_back(&q, &calls));
    co_await q.put(comes_back(&q, &calls));
    q.close(close_mode::immediate);
    CHECK(calls == 2);
}

RONDO_TEST("queue: join waits until each item was dealt with", "[queue][both]") {
    queue<int> q;
    co_await q.join();  // nothing was put
    for (int i = 0; i < 3; ++i) co_await q.put(i);
    const auto wait_for_all = [](queue<int>* of) -> task<> { co_await of->join(); };
    auto a = create_task(wait_for_all(&q)), b = create_task(wait_for_all(&q));
    for (int i = 0; i < 3; ++i) {
        co_await finish();
        CHECK_FALSE(a.done());
        co_await q.next();
        q.task_done();
    }
    co_await a;
    co_await b;
    CHECK_THROWS_AS(q.task_done(), invalid_state_error);
}

RONDO_TEST("queue: put is cancelled before, while and after", "[queue][cancel][both]") {
    queue<int> q(1);
    co_await check_cancelled_before([&] { return q.put(1); });
    CHECK(q.empty());
    co_await q.put(1);
    co_await check_cancelled_while_suspended([&] { return q.put(2); });
    observed seen;
    std::optional<int> freed;
    co_await check_cancelled_after_completion([&] { return q.put(3); },
                                              [&] { freed = q.try_get(); }, &seen);
    CHECK(freed == 1);
    CHECK(seen.first == outcome_of_wait::cancelled);
    CHECK(q.empty());
    CHECK_FALSE(q.full());  // the place went back
}

RONDO_TEST("queue: next is cancelled before, while and after", "[queue][cancel][both]") {
    queue<int> q;
    CHECK(q.try_put(0));
    co_await check_cancelled_before([&] { return q.next(); });
    CHECK(q.try_get() == 0);
    co_await check_cancelled_while_suspended([&] { return q.next(); });
    observed seen;
    bool put = false;
    co_await check_cancelled_after_completion([&] { return q.next(); }, [&] { put = q.try_put(1); },
                                              &seen);
    CHECK(put);
    CHECK(seen.first == outcome_of_wait::cancelled);
    CHECK(q.try_get() == 1);
    co_await check_cancelled_after_completion([&] { return q.next(); }, [&] { q.close(); }, &seen);
    CHECK(seen.first == outcome_of_wait::cancelled);
    co_await check_cancelled_before([&] { return q.next(); });
    co_await check_cancelled_before([&] { return q.put(1); });
}

RONDO_TEST("queue: join is cancelled before, while and after", "[queue][cancel][both]") {
    queue<int> q;
    co_await check_cancelled_before([&] { return q.join(); });
    CHECK(q.try_put(1));
    co_await check_cancelled_while_suspended([&] { return q.join(); });
    observed seen;
    co_await check_cancelled_after_completion([&] { return q.join(); }, [&] { q.task_done(); },
                                              &seen);
    CHECK(seen.first == outcome_of_wait::cancelled);
}

RONDO_TEST("queue: items that were promised to cancelled getters keep their order",
           "[queue][cancel]") {
    queue<int> q;
    std::vector<int> taken;
    std::vector<future<>> getters;
    for (int i = 0; i < 3; ++i) getters.push_back(create_task(take_into(&q, &taken)));
    co_await finish();
    for (int i = 1; i <= 4; ++i) CHECK(q.try_put(i));
    for (auto& one : getters) one.cancel();
    co_await finish();
    CHECK(taken.empty());
    for (int i = 1; i <= 4; ++i) CHECK(q.try_get() == i);
}

RONDO_TEST("queue: waits can have a timeout", "[queue][both]") {
    queue<int> q(1);
    CHECK_FALSE(co_await move_on_after(1ms, q.next()));
    co_await q.put(1);
    CHECK_THROWS_AS(co_await wait_for(1ms, q.put(2)), timeout_error);
    CHECK(co_await wait_for(1s, q.next()) == 1);
    CHECK(q.empty());
}

RONDO_TEST("queue: a task that never has to wait lets others run", "[queue][both]") {
    queue<int> q;
    bool other_ran = false;
    auto other = create_task([](bool* ran) -> task<> {
        *ran = true;
        co_return;
    }(&other_ran));
    int rounds = 0;
    for (; !other_ran && rounds < 10'000; ++rounds) {
        co_await q.put(rounds);
        CHECK(co_await q.next() == rounds);
    }
    CHECK(other_ran);
}

RONDO_TEST("queue: an await costs no allocation beyond its frame", "[queue]") {
    // The awaiter is as large as its parts: nothing is allocated elsewhere.
    using waiting = decltype(std::declval<queue<int>&>().next().rondo_awaiter());
    CHECK(sizeof(waiting) <=
          sizeof(rondo::detail::leaf_wait) + sizeof(rondo::detail::wait_node) + 3 * sizeof(void*));
    co_return;
}

RONDO_TEST("queue: cancelling many who wait is linear", "[queue]", seeds(1).limit(30s)) {
    const int count = many(100'000, 5'000);
    queue<int> q;
    std::vector<int> taken;
    std::vector<future<>> getters;
    for (int i = 0; i < count; ++i) getters.push_back(create_task(take_into(&q, &taken)));
    co_await finish();
    for (int i = 0; i < count; ++i) CHECK_NOFAIL(q.try_put(i));  // each getter is promised one
    for (auto& one : getters) one.cancel();
    co_await finish();
    CHECK(taken.empty());
    CHECK(q.size() == static_cast<std::size_t>(count));
}

}  // namespace
