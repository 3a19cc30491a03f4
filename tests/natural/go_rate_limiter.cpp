// SPDX-License-Identifier: MIT
// Go by Example, rate limiting: one request for each tick; at first a burst of three.
// Runs on: ring and simulator
//
//     request 1 at once
//     request 2 at once
//     request 3 at once
//     request 4 later
#include <chrono>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> refill(rondo::queue<int>& burst) {
    rondo::interval every(20ms);
    while (true) {
        co_await every.tick();
        co_await burst.put(1);
    }
}

rondo::task<> requests(rondo::queue<int>& burst) {
    for (int request = 1; request <= 4; request++) {
        bool at_once = burst.try_get().has_value();
        if (!at_once) co_await burst.next();
        fmt::print("request {} {}\n", request, at_once ? "at once" : "later");
    }
}

rondo::task<> program() {
    rondo::queue<int> burst(3);
    for (int i = 0; i < 3; i++) co_await burst.put(1);
    co_await rondo::race(refill(burst), requests(burst));
}

int main() { rondo::run(program()); }
