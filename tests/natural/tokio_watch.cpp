// SPDX-License-Identifier: MIT
// Tokio's watch channel: a service sees the newest configuration; it may miss one in between.
// Runs on: ring and simulator
//
//     configuration 0
//     configuration 2
//     configuration 3
#include <chrono>
#include <cstdint>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> service(rondo::watch<int>& config) {
    std::uint64_t seen = 0;
    while (co_await config.changed(seen)) fmt::print("configuration {}\n", config.get());
}

rondo::task<> administrator(rondo::watch<int>& config) {
    co_await rondo::sleep(5ms);
    config.set(1);
    config.set(2);
    co_await rondo::sleep(5ms);
    config.set(3);
    config.close();
}

rondo::task<> program() {
    rondo::watch<int> config(0);
    co_await rondo::gather(service(config), administrator(config));
}

int main() { rondo::run(program()); }
