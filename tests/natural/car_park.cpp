// SPDX-License-Identifier: MIT
// A semaphore as a car park with two places; a driver who waits for too long drives on.
// Runs on: ring and simulator
//
//     car 1 parks
//     car 2 parks
//     car 3 drives on
//     car 4 parks
//     free places: 2
#include <chrono>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> car(int number, rondo::semaphore& places, rondo::duration patience) {
    auto place = co_await rondo::move_on_after(patience, places.acquire());
    if (!place) {
        fmt::print("car {} drives on\n", number);
        co_return;
    }
    fmt::print("car {} parks\n", number);
    co_await rondo::sleep(40ms);
}

rondo::task<> program() {
    rondo::semaphore places(2);
    co_await rondo::gather(car(1, places, 1h), car(2, places, 1h), car(3, places, 5ms),
                           car(4, places, 1h));
    fmt::print("free places: {}\n", places.available());
}

int main() { rondo::run(program()); }
