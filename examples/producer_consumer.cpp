// SPDX-License-Identifier: MIT
// Shows a bounded queue as a bakery shelf for three loaves. The baker waits while the shelf is
// full; the customers wait while it is empty. At closing time the queue is closed: no loaf can be
// put any more, but the remaining loaves are sold.
// Run: producer_consumer
//
//     loaf 1 is on the shelf
//     ann buys loaf 1
//     ...
//     the bell rings, with 3 on the shelf
//     the baker goes home, and takes the loaf that found no room along
//     ...
//     11 on the shelf in all, 11 sold
#include <chrono>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<int> baker(rondo::queue<int>& shelf) {
    int loaf = 0;
    try {
        for (;;) {
            co_await rondo::sleep(20ms);
            co_await shelf.put(loaf + 1);  // waits while the shelf has three
            fmt::print("loaf {} is on the shelf\n", ++loaf);
        }
    } catch (const rondo::queue_closed_error&) {
        fmt::print("the baker goes home, and takes the loaf that found no room along\n");
    }
    co_return loaf;
}

rondo::task<int> customer(std::string name, rondo::queue<int>& shelf) {
    int bought = 0;
    while (auto loaf = co_await shelf.next()) {  // empty when the queue is closed and drained
        fmt::print("{} buys loaf {}\n", name, *loaf);
        ++bought;
        co_await rondo::sleep(130ms);  // eats
    }
    fmt::print("{} finds the shelf empty and the shop closed\n", name);
    co_return bought;
}

rondo::task<> bell(rondo::queue<int>& shelf) {
    co_await rondo::sleep(500ms);
    fmt::print("the bell rings, with {} on the shelf\n", shelf.size());
    shelf.close();
}

rondo::task<> bakery() {
    rondo::queue<int> shelf(3);
    // All four may borrow the shelf: gather returns only when they have ended.
    auto [baked, ann, bob, rung] = co_await rondo::gather(baker(shelf), customer("ann", shelf),
                                                          customer("bob", shelf), bell(shelf));
    fmt::print("{} on the shelf in all, {} sold\n", baked, ann + bob);
}

int main() { rondo::run(bakery()); }
