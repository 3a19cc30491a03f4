// SPDX-License-Identifier: MIT
// Shows gather: runs many tasks at once and returns all results. If one throws, the others are
// cancelled and have ended before gather throws.
// Run: gather
//
//     9 rondo
//     1000 squares, the last is 998001
//     1 4 9 16 25 36 49 64
//     out of paper; square(4) has been cancelled
#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<int> square(int n) {
    co_await rondo::sleep(100ms);
    co_return n * n;
}

rondo::task<std::string> name() {
    co_await rondo::sleep(150ms);
    co_return "rondo";
}

rondo::task<int> fail() {
    co_await rondo::sleep(50ms);
    throw std::runtime_error("out of paper");
}

rondo::task<> all_at_once() {
    auto [nine, who] = co_await rondo::gather(square(3), name());
    fmt::print("{} {}\n", nine, who);  // after 150 ms, not 250

    std::vector<rondo::task<int>> squares;
    for (int n = 0; n < 1000; ++n) squares.push_back(square(n));
    const std::vector<int> values = co_await rondo::gather(std::move(squares));
    fmt::print("{} squares, the last is {}\n", values.size(), values.back());  // 100 ms later

    // At most three at a time: 100 ms for each row of three.
    const std::vector numbers{1, 2, 3, 4, 5, 6, 7, 8};
    fmt::print("{}\n", fmt::join(co_await rondo::map_concurrent(3, numbers, square), " "));

    try {
        co_await rondo::gather(square(4), fail());
    } catch (const std::runtime_error& error) {
        fmt::print("{}; square(4) has been cancelled\n", error.what());
    }
}

int main() { rondo::run(all_at_once()); }
