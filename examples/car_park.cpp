// SPDX-License-Identifier: MIT
// Shows rondo::semaphore as a car park with three places. Cars wait in line for a place. A coach
// takes two places at once, and no car overtakes it while it waits for them.
// Run: car_park
//
//     car 1 parks, 2 free
//     car 2 parks, 1 free
//     car 3 parks, 0 free
//     the impatient one: a semaphore with 0 permits and 3 wait; drives on
//     car 1 leaves
//     ...
//     the coach parks on 2 places, 0 free
//     ...
//     the last one has left, 3 free
#include <chrono>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> car(int number, rondo::semaphore& places) {
    auto place = co_await places.acquire();  // released at the end of this function
    fmt::print("car {} parks, {} free\n", number, places.available());
    co_await rondo::sleep(100ms + number * 10ms);
    fmt::print("car {} leaves\n", number);
}

rondo::task<> coach(rondo::semaphore& places) {
    auto two = co_await places.acquire(2);  // both or none
    fmt::print("the coach parks on {} places, {} free\n", two.count(), places.available());
    co_await rondo::sleep(100ms);
    fmt::print("the coach leaves\n");
}

rondo::task<> impatient(rondo::semaphore& places) {
    const auto place = co_await rondo::move_on_after(50ms, places.acquire());
    if (!place) fmt::print("the impatient one: {}; drives on\n", places.describe());
}

rondo::task<> saturday() {
    rondo::semaphore places(3);
    co_await rondo::gather(car(1, places), car(2, places), car(3, places), coach(places),
                           car(4, places), car(5, places), impatient(places));
    fmt::print("the last one has left, {} free\n", places.available());
}

int main() { rondo::run(saturday()); }
