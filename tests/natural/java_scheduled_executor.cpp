// SPDX-License-Identifier: MIT
// Java's ScheduledExecutorService: a beep at a fixed rate, cancelled later; a task after a delay.
// Runs on: ring and simulator
//
//     beep
//     beep
//     beep
//     no more beeps
#include <chrono>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> beeper(rondo::event& enough) {
    int beeps = 0;
    for (rondo::interval every(10ms);; co_await every.tick()) {
        fmt::print("beep\n");
        if (++beeps == 3) enough.set();
    }
}

rondo::task<> program() {
    rondo::event enough;
    auto beeping = rondo::create_task(beeper(enough));
    co_await enough.wait();
    beeping.cancel();
    co_await rondo::gather_settled(beeping);
    bool called = false;
    rondo::running_loop().call_later(15ms, [&] { called = true; });
    co_await rondo::sleep(30ms);
    if (called && beeping.cancelled()) fmt::print("no more beeps\n");
}

int main() { rondo::run(program()); }
