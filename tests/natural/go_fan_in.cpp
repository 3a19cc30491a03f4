// SPDX-License-Identifier: MIT
// Rob Pike, "Go concurrency patterns": two boring speakers talk into one channel.
// Runs on: ring and simulator
//
//     Joe 0
//     Ann 0
//     Joe 1
//     Ann 1
//     You're boring; I'm leaving.
#include <chrono>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::async_generator<std::string> boring(std::string name, rondo::duration start) {
    co_await rondo::sleep(start);
    for (int i = 0;; i++) {
        co_yield fmt::format("{} {}", name, i);
        co_await rondo::sleep(60ms);
    }
}

rondo::task<> listen(rondo::merged<std::string>& talk) {
    for (int i = 0; i < 4; i++) fmt::print("{}\n", *co_await talk.next());
}

rondo::task<> program() {
    co_await rondo::with_merged(listen, boring("Joe", 0ms), boring("Ann", 30ms));
    fmt::print("You're boring; I'm leaving.\n");
}

int main() { rondo::run(program()); }
