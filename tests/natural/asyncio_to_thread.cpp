// SPDX-License-Identifier: MIT
// asyncio.to_thread: a blocking call does not keep the loop from its other tasks.
// Runs on: ring
//
//     blocking call: 42
//     blocking call: cannot open
//     the loop went on meanwhile
#include <chrono>
#include <stdexcept>
#include <thread>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

int blocking_io(int number) {
    std::this_thread::sleep_for(50ms);
    if (number < 0) throw std::runtime_error("cannot open");
    return number;
}

rondo::task<> ticks(int& count) {
    while (true) {
        co_await rondo::sleep(1ms);
        ++count;
    }
}

rondo::task<> calls() {
    fmt::print("blocking call: {}\n", co_await rondo::to_thread(blocking_io, 42));
    try {
        co_await rondo::to_thread(blocking_io, -1);
    } catch (const std::exception& error) {
        fmt::print("blocking call: {}\n", error.what());
    }
}

rondo::task<> program() {
    int count = 0;
    co_await rondo::race(calls(), ticks(count));
    if (count > 0) fmt::print("the loop went on meanwhile\n");
}

int main() { rondo::run(program()); }
