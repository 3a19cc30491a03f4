// SPDX-License-Identifier: MIT
// Shows rondo::event, a flag that any number of tasks wait for. Setting it wakes all waiters, and
// later tasks pass at once until it is cleared.
// Run: boss_and_workers
//
//     ann waits at the gate
//     bob waits at the gate
//     boss: the gate is open (an event that is not set and 2 wait)
//     ann works
//     bob works
//     cid was late, the gate is open, and works
//     boss: you can go home
//     ann goes home
//     bob goes home
//     cid goes home
//     boss: the gate is closed
//     dan comes, and waits at the gate
//     dan waits no longer
#include <chrono>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

struct works {
    rondo::event gate, evening;
};

rondo::task<> worker(std::string name, works& at) {
    fmt::print("{} waits at the gate\n", name);
    co_await at.gate.wait();
    fmt::print("{} works\n", name);
    co_await at.evening.wait();
    fmt::print("{} goes home\n", name);
}

rondo::task<> late_worker(std::string name, works& at) {
    co_await rondo::sleep(200ms);
    co_await at.gate.wait();  // it is set, so this does not wait
    fmt::print("{} was late, the gate is open, and works\n", name);
    co_await at.evening.wait();
    fmt::print("{} goes home\n", name);
}

rondo::task<> boss(works& at) {
    co_await rondo::sleep(100ms);
    fmt::print("boss: the gate is open ({})\n", at.gate.describe());
    at.gate.set();
    co_await rondo::sleep(200ms);
    fmt::print("boss: you can go home\n");
    at.evening.set();
}

rondo::task<> day() {
    works at;
    co_await rondo::gather(worker("ann", at), worker("bob", at), late_worker("cid", at), boss(at));

    fmt::print("boss: the gate is closed\n");
    at.gate.clear();
    fmt::print("dan comes, and waits at the gate\n");
    if (!co_await rondo::move_on_after(100ms, at.gate.wait())) fmt::print("dan waits no longer\n");
}

int main() { rondo::run(day()); }
