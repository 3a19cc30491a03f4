// SPDX-License-Identifier: MIT
// What a task is: a function that can wait without holding a thread. `run` gives it a loop.
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
    co_await rondo::sleep(500ms);  // the loop is free meanwhile
    co_return "world";
}

rondo::task<> hello() {
    fmt::print("Hello ...\n");
    fmt::print("... {}!\n", co_await world());  // awaiting a task runs it, here and now
}

int main() { rondo::run(hello()); }
