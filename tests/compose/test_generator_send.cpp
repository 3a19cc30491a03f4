// SPDX-License-Identifier: MIT
// Values, errors and the end that a consumer passes to a generator: send, throw_in, close.
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <rondo/async_generator.hpp>
#include <rondo/generator.hpp>

#include "support/child.hpp"
#include "support/core_tools.hpp"

using namespace rondo_tests;

namespace {

/// Counts how many of it live.
struct counted {
    inline static int alive = 0;
    counted() { ++alive; }
    counted(const counted&) { ++alive; }
    ~counted() { --alive; }
};

generator<double, double> running_average(counted = {}) {
    double sum = 0;
    double average = 0;
    for (int count = 1; count <= 100; ++count) {
        sum += co_yield average;
        average = sum / count;
    }
}

/// Yields numbers; begins again if a runtime_error is thrown in, ends if a range_error is.
generator<int> restarted(counted = {}) {
    const counted local;
    for (int i = 0;; ++i) {
        try {
            co_yield i;
        } catch (const std::range_error&) {
            co_return;
        } catch (const std::runtime_error&) {
            i = 9;
        }
    }
}

template <class T, class Sent>
inline constexpr bool is_range = std::ranges::input_range<generator<T, Sent>>;
static_assert(is_range<int, std::optional<int>> && is_range<std::string&, void>);
static_assert(sizeof(rondo::detail::yield_reply<void>) == sizeof(void*));

TEST_CASE("generator: co_yield gives the value that was sent", "[generator]") {
    auto average = running_average();
    CHECK(average.next() == 0.0);
    CHECK(average.send(10) == 10.0);
    CHECK(average.send(20) == 15.0);
    CHECK(average.send(3.0F) == 11.0);
}

TEST_CASE("generator: send before the first item is an error, next where a value is needed",
          "[generator]") {
    auto average = running_average();
    CHECK_THROWS_WITH(average.send(1), Catch::Contains("has not begun: call next()"));
    CHECK(average.next() == 0.0);
    CHECK_THROWS_WITH(average.next(), Catch::Contains("call send(value)"));
    CHECK(average.send(1) == 1.0);  // neither has changed it
}

TEST_CASE("generator: after the end next and send are empty, throw_in throws", "[generator]") {
    const auto once = []() -> generator<int, std::string> {
        const std::string which = co_yield 1;
        co_yield which == "two" ? 2 : 3;
    };
    auto numbers = once();
    CHECK(numbers.next() == 1);
    CHECK(numbers.send("two") == 2);
    CHECK_FALSE(numbers.send("over").has_value());
    CHECK_FALSE(numbers.send("over").has_value());
    CHECK_FALSE(numbers.next().has_value());
    CHECK_THROWS_WITH(numbers.throw_in(std::runtime_error("why?")), "why?");
}

TEST_CASE("generator: a sent optional is empty for next and in a for loop", "[generator]") {
    const auto count = []() -> generator<int, std::optional<int>> {
        for (int i = 0; i < 12; ++i)
            if (const auto to = co_yield i) i = *to;
    };
    auto numbers = count();
    CHECK(numbers.next() == 0);
    CHECK(numbers.next() == 1);
    CHECK(numbers.send(4) == 5);
    std::vector<int> seen;
    for (const int i : numbers) {
        seen.push_back(i);
        if (i == 6) CHECK(numbers.send(9) == 10);  // inside the loop, which goes on behind it
    }
    CHECK(seen == std::vector<int>{6, 11});
}

TEST_CASE("generator: values are moved in, through nothing in between", "[generator]") {
    const auto keep = [](std::vector<std::unique_ptr<int>>* to)
        -> generator<std::size_t, std::unique_ptr<int>> {
        for (;;) to->push_back(co_yield to->size());
    };
    std::vector<std::unique_ptr<int>> all;
    auto keeper = keep(&all);
    keeper.next();
    const int* const address = [&] {
        auto first = std::make_unique<int>(7);
        const int* const of = first.get();
        CHECK(keeper.send(std::move(first)) == std::size_t{1});
        return of;
    }();
    CHECK(all[0].get() == address);
    const std::size_t frames = rondo::detail::live_frames();
    for (int i = 0; i < 1000; ++i) keeper.send(nullptr);
    CHECK(rondo::detail::live_frames() == frames);
    CHECK(all.size() == 1001);
}

TEST_CASE("generator: throw_in raises at the co_yield, and gives the next item", "[generator]") {
    {
        auto numbers = restarted();
        CHECK(numbers.next() == 0);
        CHECK(numbers.next() == 1);
        CHECK(numbers.throw_in(std::runtime_error("again")) == 10);
        CHECK(numbers.next() == 11);
        CHECK(numbers.throw_in(std::make_exception_ptr(std::runtime_error("again"))) == 10);
        CHECK_FALSE(numbers.throw_in(std::range_error("enough")).has_value());
        CHECK(counted::alive == 0);
        CHECK_FALSE(numbers.next().has_value());
    }
    auto numbers = restarted();
    numbers.next();
    CHECK_THROWS_WITH(numbers.throw_in(std::logic_error("unknown")), "unknown");
    CHECK(counted::alive == 0);  // law 9
    CHECK(numbers.begin() == numbers.end());
}

TEST_CASE("generator: throw_in before the first item ends it without running it", "[generator]") {
    auto numbers = restarted();
    CHECK(counted::alive == 1);
    CHECK_THROWS_WITH(numbers.throw_in(std::runtime_error("not caught")), "not caught");
    CHECK(counted::alive == 0);
    CHECK_FALSE(numbers.next().has_value());
}

TEST_CASE("generator: close destroys its locals, also inside its loop", "[generator]") {
    auto numbers = restarted();
    int seen = 0;
    for (const int i : numbers) {
        ++seen;
        if (i == 3) numbers.close();
        if (i == 3) CHECK(counted::alive == 0);
    }
    CHECK(seen == 4);
    CHECK_FALSE(numbers.next().has_value());
    numbers.close();
    auto unbegun = restarted();
    unbegun.close();
    CHECK(unbegun.begin() == unbegun.end());
}

TEST_CASE("generator: an iterator that another iteration has replaced is at the end",
          "[generator]") {
    auto numbers = restarted();
    auto first = numbers.begin();
    auto second = numbers.begin();
    CHECK(first == numbers.end());
    CHECK(*second == 1);
    auto moved = std::move(second);
    auto kept = std::move(numbers);  // the place goes along
    ++moved;
    CHECK(*moved == 2);
    CHECK_FALSE(kept.throw_in(std::range_error("enough")).has_value());
    CHECK(moved == kept.end());
}

TEST_CASE("generator: its own body cannot resume or close it", "[generator][death]") {
    generator<int, int>* self = nullptr;
    const auto own = [](generator<int, int>** of) -> generator<int, int> {
        const int got = co_yield 1;
        CHECK_THROWS_WITH((*of)->send(5), Catch::Contains("resumed by its own body"));
        CHECK_THROWS_WITH((*of)->next(), Catch::Contains("resumed by its own body"));
        CHECK_THROWS_WITH((*of)->throw_in(std::runtime_error("x")),
                          Catch::Contains("resumed by its own body"));
        co_yield got;
    };
    auto numbers = own(&self);
    self = &numbers;
    numbers.next();
    CHECK(numbers.send(3) == 3);

    const auto died = run_child([] {
        generator<int>* itself = nullptr;
        const auto closing = [](generator<int>** of) -> generator<int> {
            (*of)->close();
            co_yield 1;
        };
        auto wrong = closing(&itself);
        itself = &wrong;
        wrong.next();
        return 0;
    });
    CHECK(died.aborted());
    CHECK(died.says("closed or destroyed by its own body"));
}

// -- the same of an async_generator ----------------------------------------------------------

/// Answers a moment later; forgets everything if a runtime_error is thrown in.
async_generator<std::string, std::string> parrot(counted = {}) {
    std::string words = "hello";
    for (;;) {
        try {
            words += co_yield words;
        } catch (const std::runtime_error& error) {
            words = error.what();
        }
        co_await sleep(1ms);
        if (words.ends_with("bye")) co_return;
    }
}

RONDO_TEST("async_generator: co_yield gives the value that was sent",
           "[async_generator][both]") {
    auto bird = parrot();
    CHECK(co_await bird.next() == "hello");
    CHECK(co_await bird.send(", you") == "hello, you");
    const std::string again = " and you, over there by the window";
    CHECK(co_await bird.send(again) == "hello, you and you, over there by the window");
    CHECK(counted::alive == 1);
    CHECK_FALSE(co_await bird.send("; good bye"));
    CHECK(counted::alive == 0);
    CHECK_FALSE(co_await bird.send("too late"));
    CHECK_FALSE(co_await bird.next());
}

RONDO_TEST("async_generator: send before the first item is an error, next where a value is needed",
           "[async_generator]") {
    auto bird = parrot();
    CHECK_THROWS_WITH(co_await bird.send("x"), Catch::Contains("has not begun: call next()"));
    CHECK(co_await bird.next() == "hello");
    CHECK_THROWS_WITH(co_await bird.next(), Catch::Contains("call send(value)"));
    CHECK(co_await bird.send("!") == "hello!");
}

RONDO_TEST("async_generator: throw_in raises at the co_yield, and gives the next item",
           "[async_generator][both]") {
    auto bird = parrot();
    CHECK(co_await bird.next() == "hello");
    CHECK(co_await bird.throw_in(std::runtime_error("silence")) == "silence");
    CHECK(co_await bird.send(".") == "silence.");
    CHECK_FALSE(co_await bird.throw_in(std::make_exception_ptr(std::runtime_error("bye"))));
    CHECK(counted::alive == 0);
    CHECK_THROWS_WITH(co_await bird.throw_in(std::runtime_error("nobody")), "nobody");

    auto other = parrot();
    co_await other.next();
    CHECK_THROWS_WITH(co_await other.throw_in(std::logic_error("unknown")), "unknown");
    CHECK(counted::alive == 0);
    CHECK_FALSE(co_await other.send("x"));

    auto unbegun = parrot();
    CHECK_THROWS_WITH(co_await unbegun.throw_in(std::runtime_error("early")), "early");
    CHECK(counted::alive == 0);
    CHECK_FALSE(co_await unbegun.next());
}

RONDO_TEST("async_generator: what is sent is moved, by name too, and allocates no frame",
           "[async_generator]") {
    const auto keep = [](std::vector<std::unique_ptr<int>>* to)
        -> async_generator<std::size_t, std::unique_ptr<int>> {
        for (;;) to->push_back(co_yield to->size());
    };
    std::vector<std::unique_ptr<int>> all;
    auto keeper = keep(&all);
    co_await keeper.next();
    auto sending = keeper.send(std::make_unique<int>(7));
    CHECK(co_await sending == std::size_t{1});
    CHECK(*all[0] == 7);
    const std::size_t frames = rondo::detail::live_frames();
    for (int i = 0; i < 1000; ++i) {
        const auto size = co_await keeper.send(std::make_unique<int>(i));
        CHECK(size == std::size_t(i) + 2);
    }
    CHECK(rondo::detail::live_frames() == frames);
}

RONDO_TEST("async_generator: a sent optional is empty for next", "[async_generator]") {
    const auto count = []() -> async_generator<int, std::optional<int>> {
        for (int i = 0;; ++i)
            if (const auto to = co_yield i) i = *to;
    };
    auto numbers = count();
    CHECK(co_await numbers.next() == 0);
    CHECK(co_await numbers.send(4) == 5);
    CHECK(co_await numbers.next() == 6);
    numbers.close();
    CHECK_FALSE(co_await numbers.next());
    numbers.close();
}

RONDO_TEST("async_generator: send is cancelled before, while and after",
           "[async_generator][cancel][both]") {
    auto bird = parrot();
    co_await bird.next();
    co_await check_cancelled_before([&] { return bird.send("a"); });
    CHECK(counted::alive == 0);  // its wait was cancelled, and it has ended
    auto other = parrot();
    co_await other.next();
    co_await check_cancelled_while_suspended([&] { return other.send("b"); });
    CHECK(counted::alive == 0);

    promise<> gate;
    const auto gated = [](future<> until, counted) -> async_generator<int, int> {
        const int got = co_yield 1;
        co_await until;
        co_yield got;
    };
    auto numbers = gated(gate.get_future(), counted());
    co_await numbers.next();
    observed seen;
    co_await check_cancelled_after_completion([&] { return numbers.send(2); },
                                              [&] { gate.set_value(); }, &seen);
    CHECK(seen.first == outcome_of_wait::cancelled);
    CHECK(counted::alive == 0);
}

RONDO_TEST("async_generator: throw_in is cancelled before and while",
           "[async_generator][cancel][both]") {
    auto bird = parrot();
    co_await bird.next();
    co_await check_cancelled_before([&] { return bird.throw_in(std::runtime_error("a")); });
    CHECK(counted::alive == 0);
    auto other = parrot();
    co_await other.next();
    co_await check_cancelled_while_suspended(
        [&] { return other.throw_in(std::runtime_error("b")); });
    CHECK(counted::alive == 0);
}

RONDO_TEST("async_generator: send has a time limit, and one sender at a time",
           "[async_generator]") {
    auto bird = parrot();
    co_await bird.next();
    CHECK(co_await wait_for(1s, bird.send("?")) == "hello?");
    auto first = ensure_future(bird.send("1"));
    co_await finish();
    CHECK_THROWS_AS(co_await bird.send("2"), invalid_state_error);
    CHECK_THROWS_AS(co_await bird.throw_in(std::runtime_error("3")), invalid_state_error);
    CHECK(co_await first == "hello?1");
    CHECK_FALSE(co_await move_on_after(100us, bird.send("too slow")));
    CHECK(counted::alive == 0);
}

}  // namespace
