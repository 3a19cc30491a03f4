// SPDX-License-Identifier: MIT
// The context package: a deadline that is given once holds for everything that is called below.
// Runs on: ring and simulator
//
//     the query has at most 100 ms
//     closed the connection
//     handler: timed out after 40ms
//     the other request is served
#include <chrono>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

struct connection {
    ~connection() { fmt::print("closed the connection\n"); }
};

rondo::task<int> query() {
    if (rondo::remaining() <= 100ms) fmt::print("the query has at most 100 ms\n");
    connection database;
    co_await rondo::sleep(10s);
    co_return 42;
}

rondo::task<int> handler() { co_return co_await query() + 1; }

rondo::task<> program() {
    try {
        fmt::print("{}\n", co_await rondo::wait_for(40ms, handler()));
    } catch (const rondo::timeout_error& error) {
        fmt::print("handler: {}\n", error.what());
    }
    co_await rondo::wait_for(10s, rondo::sleep(1ms));
    fmt::print("the other request is served\n");
}

int main() { rondo::run(program()); }
