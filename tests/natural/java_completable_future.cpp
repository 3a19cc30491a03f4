// SPDX-License-Identifier: MIT
// Java's CompletableFuture: allOf, anyOf, thenCombine, exceptionally.
// Runs on: ring and simulator
//
//     combined: 8 in Paris
//     any: Paris
//     exceptionally: no weather for Atlantis
#include <chrono>
#include <stdexcept>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<std::string> city(std::string name, rondo::duration delay) {
    co_await rondo::sleep(delay);
    co_return name;
}

rondo::task<int> weather(std::string name) {
    co_await rondo::sleep(2ms);
    if (name == "Atlantis") throw std::invalid_argument("no weather for " + name);
    co_return 8;
}

rondo::task<> program() {
    auto degrees = rondo::create_task(weather("Paris"));
    auto where = rondo::create_task(city("Paris", 5ms));
    co_await rondo::gather(degrees, where);
    fmt::print("combined: {} in {}\n", degrees.result(), where.result());

    fmt::print("any: {}\n", co_await rondo::race(city("Rome", 1h), city("Paris", 1ms)));

    auto failing = rondo::create_task(weather("Atlantis"));
    try {
        co_await failing;
    } catch (const std::exception& error) {
        fmt::print("exceptionally: {}\n", error.what());
    }
}

int main() { rondo::run(program()); }
