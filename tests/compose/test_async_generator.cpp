// SPDX-License-Identifier: MIT
// async_generator<T>: runs in the task that awaits next(), leaves nothing behind when it is
// destroyed early; its adaptors, and merge.
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <rondo/generator.hpp>
#include <rondo/merge.hpp>

#include "support/child.hpp"
#include "support/core_tools.hpp"

using namespace rondo_tests;

namespace {

async_generator<int> count_to(int end, duration pause = 1ms) {
    for (int i = 0; i < end; ++i) {
        if (pause != duration::zero()) co_await sleep(pause);
        co_yield i;
    }
}

async_generator<int> count_at_once(int end) {
    for (int i = 0; i < end; ++i) co_yield i;
}

/// A function, since g++ 12 rejects a braced list in an expression with co_await.
template <class... I>
std::vector<int> ints(I... all) {
    return {all...};
}

/// Lives until the frame that holds it is destroyed.
class alive {
public:
    explicit alive(int* count) : count_(count) { ++*count_; }
    alive(alive&& other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
    ~alive() {
        if (count_ != nullptr) --*count_;
    }

private:
    int* count_;
};

async_generator<int> held(int* count, int end) {
    const alive local(count);
    for (int i = 0; i < end; ++i) {
        co_await sleep(1ms);
        co_yield i;
    }
}

RONDO_TEST("async_generator: gives its items in order, then nothing", "[async_generator][both]") {
    auto numbers = count_to(5);
    std::vector<int> seen;
    while (auto i = co_await numbers.next()) seen.push_back(*i);
    CHECK(seen == std::vector<int>{0, 1, 2, 3, 4});
    CHECK_FALSE(co_await numbers.next());
    auto none = count_to(0);
    CHECK_FALSE(co_await none.next());
}

RONDO_TEST("async_generator: is lazy", "[async_generator]") {
    int count = 0;
    auto numbers = held(&count, 2);
    CHECK(count == 0);
    CHECK(co_await numbers.next() == 0);
    CHECK(count == 1);
    CHECK(co_await numbers.next() == 1);
    CHECK_FALSE(co_await numbers.next());
    CHECK(count == 0);
}

RONDO_TEST("async_generator: destroyed early it destroys its locals at once",
           "[async_generator][both]") {
    int count = 0;
    {
        auto numbers = held(&count, 10);
        co_await numbers.next();
        CHECK(count == 1);
        auto unstarted = held(&count, 10);
        auto moved = std::move(numbers);
        CHECK(co_await moved.next() == 1);
        CHECK_FALSE(co_await numbers.next());  // it was moved from, and is empty
    }
    CHECK(count == 0);
}

async_generator<int> outer(int* count) {
    const alive local(count);
    auto inner = held(count, 10);
    while (auto i = co_await inner.next()) co_yield *i * 2;
}

RONDO_TEST("async_generator: one around another destroys it with itself", "[async_generator]") {
    int count = 0;
    {
        auto numbers = outer(&count);
        co_await numbers.next();
        CHECK(co_await numbers.next() == 2);
        CHECK(count == 2);
    }
    CHECK(count == 0);
}

RONDO_TEST("async_generator: an error is thrown by next, and ends it", "[async_generator][both]") {
    int count = 0;
    const auto failing = [](int* c) -> async_generator<int> {
        const alive local(c);
        co_yield 1;
        co_await sleep(1ms);
        throw std::runtime_error("no more");
    };
    auto numbers = failing(&count);
    CHECK(co_await numbers.next() == 1);
    CHECK_THROWS_WITH(co_await numbers.next(), "no more");
    CHECK(count == 0);
    CHECK_FALSE(co_await numbers.next());
}

RONDO_TEST("async_generator: items are moved out, references refer", "[async_generator]") {
    const auto boxes = []() -> async_generator<std::unique_ptr<int>> {
        for (int i = 0; i < 3; ++i) co_yield std::make_unique<int>(i);
    };
    auto each = boxes();
    int sum = 0;
    while (auto box = co_await each.next()) sum += **box;
    CHECK(sum == 3);

    std::vector<std::string> names = {"ada", "grace"};
    const auto by_reference = [](std::vector<std::string>* of) -> async_generator<std::string&> {
        for (auto& name : *of) co_yield name;
    };
    auto all = by_reference(&names);
    while (auto name = co_await all.next()) {
        CHECK(name->size() >= 3);
        *name += '!';
    }
    CHECK(names == std::vector<std::string>{"ada!", "grace!"});

    const auto copies = []() -> async_generator<std::string> {
        std::string kept = "kept for long enough to be on the heap";
        co_yield kept;
        CHECK(kept.size() == 38);
        co_yield "from a literal";
    };
    auto texts = copies();
    CHECK((co_await texts.next())->size() == 38);
    CHECK(co_await texts.next() == "from a literal");
}

RONDO_TEST("async_generator: next is cancelled before, while and after",
           "[async_generator][cancel][both]") {
    int count = 0;
    {
        auto numbers = held(&count, 10);
        co_await check_cancelled_before([&] { return numbers.next(); });
        CHECK(count == 0);  // it was cancelled at its wait, and has ended
        CHECK_FALSE(co_await numbers.next());
    }
    {
        auto numbers = held(&count, 10);
        co_await numbers.next();
        co_await check_cancelled_while_suspended([&] { return numbers.next(); });
        CHECK(count == 0);
        CHECK_FALSE(co_await numbers.next());
    }
    promise<> gate;
    const auto gated = [](future<> until, int* c) -> async_generator<int> {
        const alive local(c);
        co_await until;
        co_yield 1;
    };
    auto numbers = gated(gate.get_future(), &count);
    observed seen;
    co_await check_cancelled_after_completion([&] { return numbers.next(); },
                                              [&] { gate.set_value(); }, &seen);
    CHECK(seen.first == outcome_of_wait::cancelled);
    CHECK(count == 0);
}

RONDO_TEST("async_generator: an item that was yielded is returned in spite of a cancellation",
           "[async_generator][cancel]") {
    auto numbers = count_at_once(3);
    rondo::detail::inner_scope scope;
    rondo::detail::cancel(scope);
    CHECK(co_await numbers.next() == 0);
    CHECK(co_await numbers.next() == 1);
}

RONDO_TEST("async_generator: a timeout around next ends it",
           "[async_generator][both]") {
    int count = 0;
    auto numbers = held(&count, 10);
    CHECK_FALSE(co_await move_on_after(100us, numbers.next()));
    CHECK(count == 0);
    CHECK_FALSE(co_await numbers.next());
}

RONDO_TEST("async_generator: one that catches the cancellation may go on",
           "[async_generator][cancel]") {
    const auto stubborn = []() -> async_generator<int> {
        for (int i = 0; i < 3; ++i) {
            bool asked = false;
            try {
                co_await sleep(1s);
            } catch (const cancelled&) {
                asked = true;
            }
            co_yield asked ? -1 : i;
        }
    };
    auto numbers = stubborn();
    const auto first = co_await move_on_after(1ms, numbers.next());
    CHECK(first.has_value());
    CHECK(*first == -1);
    CHECK(co_await numbers.next() == 1);
}

RONDO_TEST("async_generator: two tasks cannot await next at once", "[async_generator]") {
    auto numbers = count_to(3, 1s);
    auto first = ensure_future(numbers.next());
    co_await finish();
    CHECK_THROWS_AS(co_await numbers.next(), invalid_state_error);
    CHECK(co_await first == 0);
    CHECK(co_await numbers.next() == 1);
}

RONDO_TEST("async_generator: several tasks may await next in turn", "[async_generator]") {
    auto numbers = count_to(4);
    const auto one = [](async_generator<int>* of) -> task<int> {
        const auto item = co_await of->next();
        co_return *item;
    };
    for (int i = 0; i < 4; ++i) CHECK(co_await create_task(one(&numbers)) == i);
}

RONDO_TEST("async_generator: a task destroyed with its loop leaves nothing",
           "[async_generator]") {
    int count = 0;
    {
        auto numbers = held(&count, 10);
        auto waiting = ensure_future(numbers.next());
        co_await finish();
        CHECK(count == 1);
        waiting.cancel();
        co_await finish();
    }
    CHECK(count == 0);
}

/// A foreign awaitable that is never resumed.
struct never {
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    void await_resume() const noexcept {}
};

async_generator<int> stuck(int* count) {
    const alive local(count);
    co_yield 1;
    co_await never();
    co_yield 2;
}

async_generator<int> around_stuck(int* count) {
    const alive local(count);
    auto inner = stuck(count);
    while (auto i = co_await inner.next()) co_yield *i;
}

task<> ask_twice(int* count) {
    const alive local(count);
    auto numbers = around_stuck(count);
    co_await numbers.next();
    co_await numbers.next();
}

TEST_CASE("async_generator: frames destroyed during a wait are destroyed leaf first",
          "[async_generator]") {
    const captured_stderr quiet;
    int count = 0;
    testing::world w(testing::sim_options{});
    w.loop().create_task(ask_twice(&count));
    w.run([](int* c) -> task<> {
        co_await sleep(1ms);
        CHECK(*c == 3);
    }(&count));
    w.end();
    CHECK(count == 0);
}

TEST_CASE("async_generator: a million items on a small stack", "[async_generator]") {
    on_small_stack([] {
        const int items = many(1'000'000, 100'000);
        const long sum = testing::simulate([&]() -> task<long> {
            auto numbers = count_at_once(items).map([](int i) { return i; });
            long all = 0;
            while (auto i = co_await numbers.next()) all += *i;
            co_return all;
        });
        REQUIRE(sum == long{items} * (items - 1) / 2);
    });
}

RONDO_TEST("async_generator: lets other tasks run between its items", "[async_generator]") {
    bool ran = false;
    auto other = create_task([](bool* flag) -> task<> {
        *flag = true;
        co_return;
    }(&ran));
    auto numbers = count_at_once(100'000);
    int count = 0;
    for (; !ran && co_await numbers.next(); ++count) {
    }
    CHECK(ran);
    CHECK(count < 1000);
}

TEST_CASE("async_generator: yielding inside a scope of its own aborts",
          "[async_generator][death]") {
    const auto died = run_child([] {
        testing::simulate([]() -> task<> {
            auto wrong = []() -> async_generator<int> {
                timeout_scope limit(time_point::max());
                co_yield 1;
            }();
            co_await wrong.next();
        });
        return 0;
    });
    CHECK(died.aborted());
    CHECK(died.says("yielded inside a timeout"));
}

// -- adaptors ------------------------------------------------------------------------------------

bool is_even(int i) { return i % 2 == 0; }
task<bool> is_even_later(int i) {
    co_await sleep(1ms);
    co_return i % 2 == 0;
}
task<std::string> as_text_later(int i) {
    co_await yield_now();
    co_return std::to_string(i);
}

RONDO_TEST("async_generator: map, filter, take, enumerate and collect", "[async_generator][both]") {
    const auto doubled = co_await count_to(4).map([](int i) { return i * 2.5; }).collect();
    CHECK(doubled == std::vector<double>{0, 2.5, 5, 7.5});
    const auto texts = co_await count_to(3).map(as_text_later).collect();
    CHECK(texts == std::vector<std::string>{"0", "1", "2"});
    CHECK(co_await count_to(6).filter(is_even).collect() == ints(0, 2, 4));
    CHECK(co_await count_to(6).filter(is_even_later).collect() == ints(0, 2, 4));
    CHECK((co_await count_to(6).take(0).collect()).empty());
    CHECK(co_await count_to(2).take(5).collect() == ints(0, 1));
    const auto numbered = co_await count_to(2).map(as_text_later).enumerate(1).collect();
    CHECK(numbered == std::vector<std::pair<std::size_t, std::string>>{{1, "0"}, {2, "1"}});
}

RONDO_TEST("async_generator: take does not pull one more item", "[async_generator]") {
    const auto then_fail = []() -> async_generator<int> {
        co_yield 1;
        co_yield 2;
        throw std::runtime_error("one too many");
    };
    CHECK(co_await then_fail().take(2).collect() == ints(1, 2));
}

struct record {
    std::string name;
    int age;
};

RONDO_TEST("async_generator: move-only items, aggregates and references pass through",
           "[async_generator][gcc12]") {
    const auto box = [](int i) { return std::make_unique<int>(i); };
    const auto is_odd = [](const std::unique_ptr<int>& p) { return *p % 2 == 1; };
    const auto boxes = co_await count_to(5).map(box).filter(is_odd).take(9).collect();
    CHECK(boxes.size() == 2);
    const auto make = [](int i) { return record{std::string(40, 'x'), i}; };
    const auto records = co_await count_to(3).map(make).collect();
    CHECK(records.back().age == 2);

    std::vector<record> table(records);
    const auto rows = [](std::vector<record>* of) -> async_generator<record&> {
        for (auto& one : *of) co_yield one;
    };
    const auto age = [](record& one) -> int& { return one.age; };
    auto ages = rows(&table).map(age);
    while (auto one = co_await ages.next()) *one += 1;
    CHECK(table.back().age == 3);
}

RONDO_TEST("async_generator: errors and cancellations pass through every layer",
           "[async_generator][cancel]") {
    int count = 0;
    const auto fail_at_two = [](int i) {
        if (i == 2) throw std::runtime_error("two");
        return i;
    };
    CHECK_THROWS_WITH(co_await held(&count, 5).map(fail_at_two).take(4).collect(), "two");
    CHECK(count == 0);
    auto numbers = held(&count, 5).filter(is_even_later).take(4);
    co_await check_cancelled_while_suspended([&] { return numbers.next(); });
    CHECK(count == 0);
    auto all = ensure_future(held(&count, 5).collect());
    co_await finish();
    all.cancel();
    CHECK_THROWS_AS(co_await all, future_cancelled);
    CHECK(count == 0);
}

// -- merged --------------------------------------------------------------------------------------

task<std::vector<int>> all_of(merged<int>& items) {
    std::vector<int> all;
    while (auto item = co_await items.next()) all.push_back(*item);
    co_return all;
}

async_generator<int> every(duration pause, int first, int count) {
    for (int i = 0; i < count; ++i) {
        co_await sleep(pause);
        co_yield first + i;
    }
}

RONDO_TEST("merge: items as they come, until all sources have ended", "[merge]") {
    const auto all = co_await with_merged(all_of, every(20ms, 100, 2), every(15ms, 200, 3));
    CHECK(all == std::vector<int>{200, 100, 201, 101, 202});
    std::vector<async_generator<int>> none;
    CHECK((co_await with_merged(all_of, std::move(none))).empty());
}

RONDO_TEST("merge: a body that ends early ends the sources first", "[merge][both]") {
    int count = 0;
    const auto first_two = [&](merged<int>& items) -> task<int> {
        const auto a = co_await items.next();
        CHECK(count == 2);
        const auto b = co_await items.next();
        co_return *a + *b;
    };
    CHECK(co_await with_merged(first_two, held(&count, 100), held(&count, 100)) == 0);
    CHECK(count == 0);
}

RONDO_TEST("merge: an error of a source or of the body ends everything", "[merge][both]") {
    int count = 0;
    const auto failing = [](int) -> int { throw std::runtime_error("bad source"); };
    CHECK_THROWS_WITH(co_await with_merged(all_of, held(&count, 9), held(&count, 9).map(failing)),
                      "bad source");
    CHECK(count == 0);
    const auto bad_body = [](merged<int>& items) -> task<> {
        co_await items.next();
        throw std::runtime_error("bad body");
    };
    CHECK_THROWS_WITH(co_await with_merged(bad_body, held(&count, 9), held(&count, 9)), "bad body");
    CHECK(count == 0);
}

RONDO_TEST("merge: cancelled before and while", "[merge][cancel][both]") {
    int count = 0;
    const auto make = [&] { return with_merged(all_of, held(&count, 1000), held(&count, 1000)); };
    co_await check_cancelled_before(make);
    CHECK(count == 0);
    co_await check_cancelled_while_suspended(make);
    CHECK(count == 0);
}

RONDO_TEST("async_generator: move assignment destroys the old generator at once",
           "[generator][both]") {
    const auto held = std::make_shared<int>(1);
    const auto items = [](std::shared_ptr<int> kept) -> async_generator<int> { co_yield *kept; };
    auto one = items(held);
    auto other = items(nullptr);
    one = std::move(other);
    CHECK(held.use_count() == 1);
    co_return;
}

}  // namespace
