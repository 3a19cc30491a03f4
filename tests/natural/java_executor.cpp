// SPDX-License-Identifier: MIT
// Java's ExecutorService: submit, invokeAll, an exception inside a Future, shutdown.
// Runs on: ring
//
//     submit: 42
//     all: 1 4 9 16
//     failed: / by zero
//     terminated
#include <stdexcept>
#include <vector>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

int divide(int a, int b) {
    if (b == 0) throw std::runtime_error("/ by zero");
    return a / b;
}

rondo::task<> program() {
    rondo::thread_pool executor(4);
    auto future = executor.submit(divide, 84, 2);
    fmt::print("submit: {}\n", co_await future);

    std::vector<rondo::thread_future<int>> all;
    for (int i = 1; i <= 4; i++) all.push_back(executor.submit([i] { return i * i; }));
    fmt::print("all:");
    for (auto& one : all) fmt::print(" {}", co_await one);
    fmt::print("\n");

    try {
        co_await executor.submit(divide, 1, 0);
    } catch (const std::exception& error) {
        fmt::print("failed: {}\n", error.what());
    }
    co_await executor.close();
    fmt::print("terminated\n");
}

int main() { rondo::run(program()); }
