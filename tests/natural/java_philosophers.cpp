// SPDX-License-Identifier: MIT
// The dining philosophers: five, with a fork between each two; the lower fork is taken first.
// Runs on: ring and simulator
//
//     5 philosophers have eaten 15 times, at most 2 at a time
#include <algorithm>
#include <array>
#include <chrono>
#include <vector>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

struct table {
    std::array<rondo::mutex, 5> forks;
    int eating = 0, most = 0, meals = 0;
};

rondo::task<> philosopher(table& t, std::size_t seat) {
    std::size_t next = (seat + 1) % 5;
    std::size_t low = std::min(seat, next), high = std::max(seat, next);
    for (int i = 0; i < 3; i++) {
        auto first = co_await t.forks[low].lock();
        auto second = co_await t.forks[high].lock();
        t.most = std::max(t.most, ++t.eating);
        co_await rondo::sleep(1ms);
        --t.eating;
        ++t.meals;
    }
}

rondo::task<> program() {
    table t;
    std::vector<rondo::task<>> all;
    for (std::size_t seat = 0; seat < 5; seat++) all.push_back(philosopher(t, seat));
    co_await rondo::gather(std::move(all));
    fmt::print("5 philosophers have eaten {} times, at most {} at a time\n", t.meals, t.most);
}

int main() { rondo::run(program()); }
