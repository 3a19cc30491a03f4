// SPDX-License-Identifier: MIT
// A watchdog: a timer that is reset by each sign of life, and barks when there is none.
// Runs on: ring and simulator
//
//     alive
//     alive
//     alive
//     the worker hangs
#include <chrono>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> worker(rondo::timer& watchdog) {
    for (int i = 0; i < 3; i++) {
        co_await rondo::sleep(2ms);
        fmt::print("alive\n");
        watchdog.reset();
    }
    co_await rondo::sleep(1h);
}

rondo::task<> program() {
    rondo::event barked;
    rondo::timer watchdog(250ms, [&] { barked.set(); });
    watchdog.start();
    auto working = rondo::create_task(worker(watchdog));
    co_await barked.wait();
    fmt::print("the worker hangs\n");
    working.cancel();
}

int main() { rondo::run(program()); }
