// SPDX-License-Identifier: MIT
// The timer heap against a model (a std::map by deadline and order of setting), and its further
// guarantees.
#include "loop/timers.hpp"

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using rondo::duration;
using rondo::time_point;
using rondo::detail::timer_heap;
using rondo::detail::timer_node;

namespace {

time_point at(std::int64_t ns) { return time_point(duration(ns)); }

// A timer that records its number when it expires, and then calls a function of the test.
struct recorder : timer_node {
    explicit recorder(int n = 0, std::vector<int>* l = nullptr)
        : timer_node(record), number(n), log(l) {}
    virtual ~recorder() = default;
    virtual void then() noexcept {}

    static void record(timer_node& node) noexcept {
        auto& self = static_cast<recorder&>(node);
        self.log->push_back(self.number);
        self.then();
    }
    int number;
    std::vector<int>* log;
};

template <class Fn>
struct recorder_then : recorder {
    Fn fn;
    recorder_then(int n, std::vector<int>* l, Fn f) : recorder(n, l), fn(std::move(f)) {}
    void then() noexcept override { fn(); }
};

// The heap and its model side by side.
class pair_of_both {
public:
    explicit pair_of_both(std::uint32_t seed) : random_(seed) {
        for (int i = 0; i < 300; ++i) nodes_.emplace_back(i, &log_);
    }

    void step() {
        recorder& node = nodes_[random_() % nodes_.size()];
        // Few distinct deadlines, so that ties are frequent.
        const std::int64_t when = now_ + static_cast<std::int64_t>(random_() % 50);
        switch (random_() % 8) {
            case 0: case 1: case 2: case 3:
                if (!node.is_set()) set(node, when);
                break;
            case 4:
                if (node.is_set()) update(node, when);
                break;
            case 5: case 6: cancel(node); break;
            case 7: expire(now_ + static_cast<std::int64_t>(random_() % 10)); break;
        }
        agree();
    }

    void finish() {
        expire(now_ + 1000);
        CHECK(heap_.empty());
        CHECK(heap_.next() == time_point::max());
    }

private:
    using key = std::pair<std::int64_t, std::uint64_t>;

    void set(recorder& node, std::int64_t when) {
        heap_.set(node, at(when));
        remember(node, when);
    }
    void update(recorder& node, std::int64_t when) {
        heap_.update(node, at(when));
        forget(node);
        remember(node, when);
    }
    void cancel(recorder& node) {
        heap_.cancel(node);
        if (places_.count(node.number) != 0) forget(node);
    }
    void expire(std::int64_t now) {
        now_ = now;
        std::vector<int> expected;
        while (!model_.empty() && model_.begin()->first.first <= now) {
            expected.push_back(model_.begin()->second);
            places_.erase(model_.begin()->second);
            model_.erase(model_.begin());
        }
        log_.clear();
        const std::size_t count = heap_.expire(at(now));
        REQUIRE(log_ == expected);
        REQUIRE(count == expected.size());
    }
    void remember(recorder& node, std::int64_t when) {
        const key k{when, order_++};
        model_[k] = node.number;
        places_[node.number] = k;
    }
    void forget(recorder& node) {
        model_.erase(places_[node.number]);
        places_.erase(node.number);
    }
    void agree() {
        REQUIRE(heap_.size() == model_.size());
        if (model_.empty()) return;
        const auto& [first, number] = *model_.begin();
        REQUIRE(heap_.next() == at(first.first));
        REQUIRE(heap_.when(nodes_[static_cast<std::size_t>(number)]) == at(first.first));
    }

    std::mt19937 random_;
    std::vector<int> log_;
    std::deque<recorder> nodes_;
    timer_heap heap_;
    std::map<key, int> model_;
    std::map<int, key> places_;
    std::uint64_t order_ = 0;
    std::int64_t now_ = 0;
};

}  // namespace

TEST_CASE("timers: random use gives the model's results", "[timers]") {
    const auto seed = std::random_device()();
    CAPTURE(seed);
    for (std::uint32_t run = 0; run < 20; ++run) {
        pair_of_both both(seed + run);
        for (int i = 0; i < 3000; ++i) both.step();
        both.finish();
    }
}

TEST_CASE("timers: timers with one deadline expire in the order in which they were set",
          "[timers]") {
    std::vector<int> log;
    std::vector<int> expected;
    std::deque<recorder> nodes;
    timer_heap heap;
    for (int i = 0; i < 1000; ++i) {
        heap.set(nodes.emplace_back(i, &log), at(5));
        if (i % 3 != 0) expected.push_back(i);
    }
    for (std::size_t i = 0; i < 1000; i += 3) heap.cancel(nodes[i]);  // which moves other items
    for (std::size_t i = 0; i < 1000; i += 6) {
        heap.set(nodes[i], at(5));
        expected.push_back(static_cast<int>(i));
    }
    CHECK(heap.expire(at(5)) == expected.size());
    CHECK(log == expected);
}

TEST_CASE("timers: an updated timer comes after others with its deadline", "[timers]") {
    std::vector<int> log;
    recorder a(1, &log);
    recorder b(2, &log);
    timer_heap heap;
    heap.set(a, at(5));
    heap.set(b, at(5));
    heap.update(a, at(5));
    heap.expire(at(5));
    CHECK(log == std::vector<int>{2, 1});
}

TEST_CASE("timers: never before the deadline, and all of them at it", "[timers]") {
    std::vector<int> log;
    recorder a(1, &log);
    timer_heap heap;
    heap.set(a, at(100));
    CHECK(heap.next() == at(100));
    CHECK(heap.expire(at(99)) == 0);
    CHECK(a.is_set());
    CHECK(heap.expire(at(100)) == 1);
    CHECK_FALSE(a.is_set());
}

TEST_CASE("timers: the least and the greatest time_point are valid deadlines", "[timers]") {
    std::vector<int> log;
    recorder never(1, &log);
    recorder always(2, &log);
    timer_heap heap;
    heap.set(never, time_point::max());
    heap.set(always, time_point::min());
    CHECK(heap.next() == time_point::min());
    CHECK(heap.expire(time_point::max() - duration(1)) == 1);
    CHECK(log == std::vector<int>{2});
    CHECK(heap.when(never) == time_point::max());
    heap.cancel(never);
    heap.cancel(never);
    CHECK(heap.empty());
}

TEST_CASE("timers: an expiring timer may cancel one that is due in the same pass", "[timers]") {
    std::vector<int> log;
    timer_heap heap;
    recorder victim(2, &log);
    recorder last(3, &log);
    recorder_then first(1, &log, [&] { heap.cancel(victim); });
    heap.set(first, at(1));
    heap.set(victim, at(1));
    heap.set(last, at(2));
    CHECK(heap.expire(at(10)) == 2);
    CHECK(log == std::vector<int>{1, 3});
}

TEST_CASE("timers: an expiring timer may move others, into this pass's past or out of it",
          "[timers]") {
    std::vector<int> log;
    timer_heap heap;
    recorder later(2, &log);
    recorder moved_back(3, &log);
    recorder_then first(1, &log, [&] {
        heap.update(later, at(20));
        heap.update(moved_back, at(1));
    });
    heap.set(first, at(1));
    heap.set(later, at(2));
    heap.set(moved_back, at(30));
    CHECK(heap.expire(at(10)) == 1);
    CHECK(heap.next() == at(11));  // the earliest deadline of the next pass
    CHECK(heap.expire(at(11)) == 1);
    CHECK(log == std::vector<int>{1, 3});
    CHECK(heap.expire(at(20)) == 1);
}

TEST_CASE("timers: one that re-arms itself in the past waits for the next pass", "[timers]") {
    // In this pass it would run for ever, and the timers after it would never run.
    std::vector<int> log;
    timer_heap heap;
    recorder behind(2, &log);
    recorder* self = nullptr;
    recorder_then greedy(1, &log, [&] { heap.set(*self, time_point::min()); });
    self = &greedy;
    heap.set(greedy, at(1));
    heap.set(behind, at(5));
    CHECK(heap.expire(at(10)) == 2);
    CHECK(log == std::vector<int>{1, 2});
    CHECK(heap.expire(at(11)) == 1);
    CHECK(heap.expire(at(12)) == 1);
    heap.cancel(greedy);
}

TEST_CASE("timers: an expiring timer may be freed", "[timers]") {
    // It is out of the heap before it is called, so its frame may be destroyed in the call.
    struct ends_itself : timer_node {
        int* ended;
        explicit ends_itself(int* e) : timer_node(end), ended(e) {}
        static void end(timer_node& node) noexcept {
            auto* self = static_cast<ends_itself*>(&node);
            ++*self->ended;
            delete self;
        }
    };
    int ended = 0;
    timer_heap heap;
    for (int i = 0; i < 100; ++i) heap.set(*new ends_itself(&ended), at(i % 10));
    CHECK(heap.expire(at(10)) == 100);
    CHECK(ended == 100);
}

TEST_CASE("timers: a million, nine of ten cancelled, the rest in order; the tables shrink",
          "[timers]") {
    constexpr std::size_t count = 1'000'000;
    const auto seed = std::random_device()();
    CAPTURE(seed);
    std::mt19937 random(seed);
    std::vector<int> log;
    log.reserve(count);
    auto nodes = std::make_unique<recorder[]>(count);
    std::vector<std::int64_t> deadlines(count);
    timer_heap heap;
    for (std::size_t i = 0; i < count; ++i) {
        nodes[i].number = static_cast<int>(i);
        nodes[i].log = &log;
        deadlines[i] = static_cast<std::int64_t>(random() % 1000);
        heap.set(nodes[i], at(deadlines[i]));
    }
    const std::size_t most = heap.capacity();
    for (std::size_t i = 0; i < count; ++i)
        if (i % 10 != 0) heap.cancel(nodes[i]);
    CHECK(heap.size() == count / 10);

    // Cancelling does not shrink the tables, since that might fail; setting the next timer does.
    recorder last(static_cast<int>(count), &log);
    heap.set(last, at(1001));
    CHECK(heap.capacity() < most / 3);

    CHECK(heap.expire(at(1000)) == count / 10);
    bool ordered = true;
    for (std::size_t i = 1; i < log.size(); ++i) {
        const auto a = static_cast<std::size_t>(log[i - 1]);
        const auto b = static_cast<std::size_t>(log[i]);
        ordered &= std::pair(deadlines[a], a) < std::pair(deadlines[b], b);
    }
    CHECK(ordered);
    CHECK(heap.expire(at(1001)) == 1);
    heap.set(last, at(1));
    CHECK(heap.capacity() < 1000);
    heap.cancel(last);
}
