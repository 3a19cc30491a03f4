// SPDX-License-Identifier: MIT
// Trio's example of happy eyeballs: try the next address when the last one is slow or has failed;
// the first that answers wins.
// Runs on: ring and simulator
//
//     trying 2001:db8::1
//     trying 192.0.2.1
//     trying 192.0.2.2
//     connected to 192.0.2.2
#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<std::string> attempt(std::string address) {
    fmt::print("trying {}\n", address);
    if (address == "2001:db8::1") co_await rondo::sleep(1h);  // a black hole
    if (address == "192.0.2.1") throw std::runtime_error("connection refused");
    co_await rondo::sleep(1ms);
    co_return address;
}

rondo::task<> program() {
    std::vector<std::string> addresses{"2001:db8::1", "192.0.2.1", "192.0.2.2"};
    auto winner = co_await rondo::staggered_race(20ms, addresses, attempt);
    fmt::print("connected to {}\n", winner);
}

int main() { rondo::run(program()); }
