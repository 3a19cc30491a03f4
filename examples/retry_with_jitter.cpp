// SPDX-License-Identifier: MIT
// Shows retry with growing, randomized delays. Growing delays give a server in trouble time to
// recover. The random part (jitter) spreads clients that lost the server at the same moment. Errors
// that another attempt cannot fix are not retried.
// Run: retry_with_jitter
//
//     attempt 1: no answer
//     attempt 2: no answer
//     attempt 3: no answer
//     attempt 4: connected
//     a hundred clients without jitter, in the fullest 10 ms: 100
//     a hundred clients with jitter, in the fullest 10 ms: 28
//     not worth another attempt: no such user
#include <algorithm>
#include <chrono>
#include <map>
#include <stdexcept>
#include <vector>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> connect(int attempt) {
    co_await rondo::sleep(1ms);
    fmt::print("attempt {}: {}\n", attempt, attempt < 4 ? "no answer" : "connected");
    if (attempt < 4) throw std::runtime_error("no answer");
}

rondo::task<> log_in() {
    co_await rondo::sleep(1ms);
    throw std::invalid_argument("no such user");
}

// A hundred clients lose their server at once. Returns the most that come back within 10 ms.
rondo::task<int> fullest_moment(double jitter) {
    std::map<long, int> came_back;  // clients in each 10 ms
    const auto client = [&](int attempts) -> rondo::task<> {
        const auto attempt = [&]() -> rondo::task<> {
            co_await rondo::yield_now();
            if (++attempts == 1) throw std::runtime_error("the server has gone");
            ++came_back[rondo::running_loop().time().time_since_epoch() / 10ms];
        };
        co_await rondo::retry({.delay = 100ms, .jitter = jitter}, attempt);
    };
    co_await rondo::map_concurrent(100, std::vector<int>(100), client);

    int most = 0;
    for (const auto& [moment, clients] : came_back) most = std::max(most, clients);
    co_return most;
}

rondo::task<> story() {
    int attempts = 0;
    const auto next_attempt = [&] { return connect(++attempts); };
    co_await rondo::retry({.delay = 20ms}, next_attempt);  // 20 ms, 40 ms, 80 ms, less the jitter

    fmt::print("a hundred clients without jitter, in the fullest 10 ms: {}\n",
               co_await fullest_moment(0));
    fmt::print("a hundred clients with jitter, in the fullest 10 ms: {}\n",
               co_await fullest_moment(0.5));

    try {
        co_await rondo::retry({}, log_in);
    } catch (const std::invalid_argument& error) {  // a logic_error is not retried
        fmt::print("not worth another attempt: {}\n", error.what());
    }
}

int main() { rondo::run(story()); }
