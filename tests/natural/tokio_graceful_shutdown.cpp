// SPDX-License-Identifier: MIT
// Tokio's page on graceful shutdown: Ctrl-C ends a server; the request that runs is finished.
// Runs on: ring
//
//     request 1 begins
//     Ctrl-C
//     request 1 is finished
//     the server has ended
#include <chrono>
#include <csignal>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> handle(int request) {
    fmt::print("request {} begins\n", request);
    co_await rondo::sleep(200ms);
    fmt::print("request {} is finished\n", request);
}

rondo::task<> server(rondo::queue<int>& requests) {
    while (auto request = co_await requests.next()) co_await rondo::shield(handle(*request));
}

rondo::task<> ctrl_c() {
    co_await rondo::wait_signal(SIGINT);
    fmt::print("Ctrl-C\n");
}

rondo::task<> press_it() {
    co_await rondo::sleep(10ms);
    std::raise(SIGINT);
    co_await rondo::sleep(1h);
}

rondo::task<> program() {
    rondo::queue<int> requests;
    for (int i = 1; i <= 10; i++) co_await requests.put(i);
    co_await rondo::race(server(requests), ctrl_c(), press_it());
    fmt::print("the server has ended\n");
}

int main() { rondo::run(program()); }
