// SPDX-License-Identifier: MIT
// generator<T>: lazy, a range, and cleaned up by its destructor.
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <rondo/generator.hpp>

#include "support/core_tools.hpp"

using namespace rondo_tests;

namespace {

generator<int> count_to(int end, int* steps = nullptr) {
    for (int i = 0; i < end; ++i) {
        if (steps != nullptr) ++*steps;
        co_yield i;
    }
}

static_assert(std::ranges::input_range<generator<int>>);
static_assert(std::ranges::input_range<generator<std::string&>>);
static_assert(std::ranges::input_range<generator<std::unique_ptr<int>>>);
static_assert(!std::is_copy_constructible_v<generator<int>>);

TEST_CASE("generator: gives its items in order", "[generator]") {
    std::vector<int> seen;
    for (int i : count_to(4)) seen.push_back(i);
    CHECK(seen == std::vector<int>{0, 1, 2, 3});
    for (int i : count_to(0)) FAIL("an empty one gave " << i);
}

TEST_CASE("generator: runs only as far as it is iterated", "[generator]") {
    int steps = 0;
    auto numbers = count_to(10, &steps);
    CHECK(steps == 0);
    auto it = numbers.begin();
    CHECK(steps == 1);
    ++it;
    CHECK(*it == 1);
    CHECK(steps == 2);
    it++;
    CHECK(steps == 3);
    CHECK(it != numbers.end());
}

TEST_CASE("generator: another begin continues after the last item", "[generator]") {
    auto numbers = count_to(5);
    for (int i : numbers)
        if (i == 1) break;
    std::vector<int> rest;
    for (int i : numbers) rest.push_back(i);
    CHECK(rest == std::vector<int>{2, 3, 4});
    CHECK(numbers.begin() == numbers.end());
}

TEST_CASE("generator: an unfinished one destroys its locals", "[generator]") {
    const auto token = std::make_shared<int>(0);
    const auto hold = [](std::shared_ptr<int> held) -> generator<int> {
        const auto copy = held;
        for (;;) co_yield 1;
    };
    {
        auto endless = hold(token);
        auto unstarted = hold(token);
        for (int i : endless)
            if (i == 1) break;
        CHECK(token.use_count() == 4);
        auto moved = std::move(endless);
        CHECK(*moved.begin() == 1);
    }
    CHECK(token.use_count() == 1);
}

TEST_CASE("generator: an error is thrown at the iteration, and ends it", "[generator]") {
    const auto failing = []() -> generator<int> {
        co_yield 1;
        throw std::runtime_error("no more");
    };
    auto numbers = failing();
    auto it = numbers.begin();
    CHECK(*it == 1);
    CHECK_THROWS_WITH(++it, "no more");
    CHECK(it == numbers.end());
    CHECK(numbers.begin() == numbers.end());
    const auto at_once = []() -> generator<int> {
        throw std::runtime_error("none");
        co_yield 1;
    };
    auto none = at_once();
    CHECK_THROWS_WITH(none.begin(), "none");
}

TEST_CASE("generator: items are moved out, references refer", "[generator]") {
    const auto boxes = []() -> generator<std::unique_ptr<int>> {
        for (int i = 0; i < 3; ++i) co_yield std::make_unique<int>(i);
    };
    int sum = 0;
    for (auto box : boxes()) sum += *box;
    CHECK(sum == 3);

    std::vector<std::string> names = {"ada", "grace"};
    const auto each = [](std::vector<std::string>& of) -> generator<std::string&> {
        for (auto& name : of) co_yield name;
    };
    for (auto& name : each(names)) name += '!';
    CHECK(names == std::vector<std::string>{"ada!", "grace!"});

    const auto texts = []() -> generator<const std::string&> {
        co_yield std::string("a temporary that lives until the next one is asked for");
    };
    for (const auto& text : texts()) CHECK(text.size() == 54);
}

TEST_CASE("generator: a variable that is yielded is copied, another type converted",
          "[generator]") {
    const auto names = []() -> generator<std::string> {
        std::string kept = "kept for long enough to be on the heap";
        co_yield kept;
        CHECK(kept == "kept for long enough to be on the heap");
        const std::string constant = kept;
        co_yield constant;
        co_yield "from a literal";
    };
    std::vector<std::string> seen;
    for (auto name : names()) seen.push_back(std::move(name));
    CHECK(seen.size() == 3);
    CHECK(seen[0] == seen[1]);
    CHECK(seen[2] == "from a literal");
}

generator<int> walk(int depth) {
    if (depth > 1)
        for (int i : walk(depth - 1)) co_yield i;
    co_yield depth;
}

TEST_CASE("generator: may iterate over another one of itself", "[generator]") {
    int expected = 0;
    for (int i : walk(50)) CHECK(i == ++expected);
    CHECK(expected == 50);
}

RONDO_TEST("generator: may be iterated inside a task, with awaits between", "[generator][both]") {
    int sum = 0;
    for (int i : count_to(100)) {
        co_await yield_now();
        sum += i;
    }
    CHECK(sum == 4950);
}

TEST_CASE("generator: a million items on a small stack", "[generator]") {
    on_small_stack([] {
        long sum = 0;
        for (int i : count_to(1'000'000)) sum += i;
        REQUIRE(sum == 499'999'500'000);
    });
}

}  // namespace
