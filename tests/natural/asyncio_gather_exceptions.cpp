// SPDX-License-Identifier: MIT
// asyncio.gather, with and without return_exceptions.
// Runs on: ring and simulator
//
//     waiter 3 went home
//     gather: no soup today
//     outcome: soup for 1
//     outcome: no soup today
//     outcome: soup for 3
#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<std::string> soup(int table) {
    co_await rondo::sleep(10ms);
    if (table == 2) throw std::runtime_error("no soup today");
    co_return fmt::format("soup for {}", table);
}

rondo::task<std::string> slow(int table) {
    try {
        co_await rondo::sleep(10s);
    } catch (...) {
        fmt::print("waiter {} went home\n", table);
        throw;
    }
    co_return "too late";
}

rondo::task<> program() {
    std::string error;
    try {
        auto [a, b, c] = co_await rondo::gather(soup(1), soup(2), slow(3));
    } catch (const std::exception& e) {
        error = e.what();
    }
    fmt::print("gather: {}\n", error);

    std::vector<rondo::task<std::string>> orders;
    for (int table = 1; table <= 3; table++) orders.push_back(soup(table));
    for (auto& outcome : co_await rondo::gather_settled(std::move(orders))) {
        try {
            fmt::print("outcome: {}\n", outcome.value());
        } catch (const std::exception& e) {
            fmt::print("outcome: {}\n", e.what());
        }
    }
}

int main() { rondo::run(program()); }
