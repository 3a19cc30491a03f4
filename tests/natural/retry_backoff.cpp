// SPDX-License-Identifier: MIT
// Retry with exponential backoff: the service is down twice; another one is down for good.
// Runs on: ring and simulator
//
//     attempt 1
//     attempt 2
//     attempt 3
//     answer: pong
//     gave up: connection refused
#include <chrono>
#include <stdexcept>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<std::string> ping(int& attempts) {
    fmt::print("attempt {}\n", ++attempts);
    co_await rondo::sleep(1ms);
    if (attempts < 3) throw std::runtime_error("try later");
    co_return "pong";
}

rondo::task<std::string> dead() {
    throw std::runtime_error("connection refused");
    co_return "";
}

rondo::task<> program() {
    int attempts = 0;
    auto answer = co_await rondo::retry({.attempts = 5, .delay = 2ms}, ping, std::ref(attempts));
    fmt::print("answer: {}\n", answer);
    try {
        co_await rondo::retry({.attempts = 2, .delay = 1ms}, dead);
    } catch (const std::exception& error) {
        fmt::print("gave up: {}\n", error.what());
    }
}

int main() { rondo::run(program()); }
