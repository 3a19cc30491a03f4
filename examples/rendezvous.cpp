// SPDX-License-Identifier: MIT
// Shows rondo::barrier: three hikers of different pace leave every hut together. One barrier serves
// all huts. After the second hut cleo turns back and calls `abort`; without it the others would
// wait for her at the third.
// Run: rendezvous
//
//     ada is at hut 1
//     ben is at hut 1
//     cleo is at hut 1
//     all are here, cleo was the last
//     ada is at hut 2
//     ben is at hut 2
//     cleo is at hut 2
//     all are here, cleo was the last
//     cleo turns back
//     ada is at hut 3
//     ada goes on alone: the barrier is broken
//     ben is at hut 3
//     ben goes on alone: the barrier is broken
#include <chrono>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> hiker(std::string name, rondo::duration pace, int huts, rondo::barrier& hikers) {
    try {
        for (int hut = 1; hut <= huts; ++hut) {
            co_await rondo::sleep(pace);
            fmt::print("{} is at hut {}\n", name, hut);
            const auto arrival = co_await hikers.wait();  // 0, 1, 2 in the order of arrival
            if (arrival + 1 == hikers.parties())
                fmt::print("all are here, {} was the last\n", name);
        }
    } catch (const rondo::broken_barrier_error&) {
        fmt::print("{} goes on alone: the barrier is broken\n", name);
        co_return;
    }
    fmt::print("{} turns back\n", name);
    hikers.abort();  // present and later waits throw broken_barrier_error
}

rondo::task<> hike() {
    rondo::barrier hikers(3);
    co_await rondo::gather(hiker("ada", 50ms, 3, hikers), hiker("ben", 100ms, 3, hikers),
                           hiker("cleo", 150ms, 2, hikers));
}

int main() { rondo::run(hike()); }
