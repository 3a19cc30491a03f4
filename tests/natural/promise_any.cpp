// SPDX-License-Identifier: MIT
// JavaScript's Promise.any: the first mirror that succeeds; an early failure does not matter.
// Runs on: ring and simulator
//
//     file from mirror-2
//     race: mirror-1 is down
//     none: mirror-1 is down
#include <chrono>
#include <stdexcept>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<std::string> download(std::string mirror, rondo::duration delay, bool up) {
    co_await rondo::sleep(delay);
    if (!up) throw std::runtime_error(mirror + " is down");
    co_return "file from " + mirror;
}

rondo::task<> program() {
    fmt::print("{}\n", co_await rondo::race_success(download("mirror-1", 1ms, false),
                                                    download("mirror-2", 20ms, true),
                                                    download("mirror-3", 1h, true)));
    try {
        co_await rondo::race(download("mirror-1", 1ms, false), download("mirror-2", 1h, true));
    } catch (const std::exception& error) {
        fmt::print("race: {}\n", error.what());
    }
    try {
        co_await rondo::race_success(download("mirror-1", 1ms, false));
    } catch (const std::exception& error) {
        fmt::print("none: {}\n", error.what());
    }
}

int main() { rondo::run(program()); }
