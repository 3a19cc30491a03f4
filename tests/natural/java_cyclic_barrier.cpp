// SPDX-License-Identifier: MIT
// Java's CyclicBarrier: each party waits until all have finished their part of a round.
// Runs on: ring and simulator
//
//     round 1: 3 parts
//     round 2: 3 parts
#include <chrono>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> party(int number, rondo::barrier& barrier, int& parts) {
    for (int round = 1; round <= 2; round++) {
        co_await rondo::sleep(number * 2ms);
        ++parts;
        if (co_await barrier.wait() == 0) {
            fmt::print("round {}: {} parts\n", round, parts);
            parts = 0;
        }
        co_await barrier.wait();
    }
}

rondo::task<> program() {
    rondo::barrier barrier(3);
    int parts = 0;
    co_await rondo::gather(party(1, barrier, parts), party(2, barrier, parts),
                           party(3, barrier, parts));
}

int main() { rondo::run(program()); }
