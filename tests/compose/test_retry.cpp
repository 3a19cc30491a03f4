// SPDX-License-Identifier: MIT
// retry: attempts, delays, which errors are retried, and that a cancellation is not.
#include <rondo/retry.hpp>

#include <stdexcept>
#include <vector>

#include "support/core_tools.hpp"

namespace {

using namespace rondo_tests;

struct attempts {
    std::vector<time_point> at;
    int fails = 0;
};

task<int> try_it(attempts* seen) {
    seen->at.push_back(running_loop().time());
    co_await yield_now();
    if (static_cast<int>(seen->at.size()) <= seen->fails) throw std::runtime_error("not yet");
    co_return static_cast<int>(seen->at.size());
}

RONDO_TEST("retry: gives the value of the first attempt that succeeds", "[retry][both]") {
    attempts seen;
    seen.fails = 2;
    CHECK(co_await retry({.delay = 1us}, try_it, &seen) == 3);
    CHECK(seen.at.size() == 3);
}

RONDO_TEST("retry: the delays grow by the factor up to the longest", "[retry]") {
    attempts seen;
    seen.fails = 5;
    const retry_options options{
        .attempts = 6, .delay = 1s, .factor = 3, .longest = 10s, .jitter = 0};
    co_await retry(options, try_it, &seen);
    const std::vector<duration> expected{1s, 3s, 9s, 10s, 10s};
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const duration waited = seen.at[i + 1] - seen.at[i];
        CHECK(waited >= expected[i]);
        CHECK(waited < expected[i] + 1ms);
    }
}

RONDO_TEST("retry: jitter takes a random part off each delay", "[retry]", seeds(20)) {
    attempts seen;
    seen.fails = 4;
    co_await retry({.delay = 8s, .factor = 1, .jitter = 0.25}, try_it, &seen);
    bool some_differ = false;
    for (std::size_t i = 0; i + 1 < seen.at.size(); ++i) {
        const duration waited = seen.at[i + 1] - seen.at[i];
        CHECK(waited > 6s - 1ms);
        CHECK(waited < 8s + 1ms);
        if (waited < 8s - 1ms) some_differ = true;
    }
    CHECK(some_differ);
}

RONDO_TEST("retry: throws the last error when the attempts are used up", "[retry]") {
    attempts seen;
    seen.fails = 100;
    CHECK_THROWS_AS(co_await retry({.attempts = 3}, try_it, &seen), std::runtime_error);
    CHECK(seen.at.size() == 3);
    seen.at.clear();
    CHECK(co_await retry({.attempts = 0, .longest = 1s}, try_it, &seen) == 101);  // no limit
}

RONDO_TEST("retry: an error that is not worth another attempt is thrown at once", "[retry]") {
    int calls = 0;
    const auto misuse = [&]() -> task<> {
        ++calls;
        co_await yield_now();
        throw std::logic_error("wrong use");
    };
    CHECK_THROWS_AS(co_await retry({}, misuse), std::logic_error);
    CHECK(calls == 1);
    const auto only_timeouts = [](const std::exception& e) {
        return dynamic_cast<const timeout_error*>(&e) != nullptr;
    };
    attempts seen;
    seen.fails = 1;
    CHECK_THROWS_AS(co_await retry({.worth = only_timeouts}, try_it, &seen), std::runtime_error);
    CHECK(seen.at.size() == 1);
    const auto odd = []() -> task<> {
        co_await yield_now();
        throw 7;  // no std::exception
    };
    CHECK_THROWS_AS(co_await retry({}, odd), int);
}

RONDO_TEST("retry: invalid options are errors", "[retry]") {
    attempts seen;
    CHECK_THROWS_AS(co_await retry({.delay = -1s}, try_it, &seen), std::invalid_argument);
    CHECK_THROWS_AS(co_await retry({.factor = 0.5}, try_it, &seen), std::invalid_argument);
    CHECK_THROWS_AS(co_await retry({.jitter = 2}, try_it, &seen), std::invalid_argument);
    CHECK(seen.at.empty());
}

RONDO_TEST("retry: a cancellation ends the attempt or the delay, and is not retried",
           "[retry][both]") {
    int calls = 0;
    const auto fails = [&]() -> task<int> {
        ++calls;
        co_await yield_now();
        throw std::runtime_error("no");
    };
    const auto in_a_delay = [&] { return retry({.delay = 1h}, fails); };
    co_await check_cancelled_before(in_a_delay);
    CHECK(calls == 1);  // it began, and its first wait threw
    co_await check_cancelled_while_suspended(in_a_delay);
    CHECK(calls == 2);
    promise<> on;
    const auto attempt = [&]() -> task<int> {
        ++calls;
        co_await shield(on.get_future());
        co_return 1;
    };
    observed seen;
    const auto in_an_attempt = [&] { return retry({.delay = 1h}, attempt); };
    const auto complete = [&] { on.set_value(); };
    co_await check_cancelled_after_completion(in_an_attempt, complete, &seen);
    CHECK(seen.first == outcome_of_wait::cancelled);
    CHECK(calls == 3);
}

}  // namespace
