// SPDX-License-Identifier: MIT
// Shows a task: a function that can wait without blocking its thread. `run` runs it on a new loop.
// Run: hello
//
//     Hello ...
//     ... world!
#include <chrono>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<std::string> world() {
    co_await rondo::sleep(500ms);  // other tasks can run meanwhile
    co_return "world";
}

rondo::task<> hello() {
    fmt::print("Hello ...\n");
    fmt::print("... {}!\n", co_await world());  // awaiting a task starts it
}

int main() { rondo::run(hello()); }
