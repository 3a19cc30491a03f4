// SPDX-License-Identifier: MIT
// asyncio.as_completed and asyncio.wait: answers in the order in which they come.
// Runs on: ring and simulator
//
//     lima 5
//     oslo 35
//     rome 65
//     first: quito; 1 pending
#include <chrono>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<std::string> ping(std::string host, int milliseconds) {
    co_await rondo::sleep(milliseconds * 1ms);
    co_return fmt::format("{} {}", host, milliseconds);
}

rondo::task<> program() {
    std::vector<rondo::future<std::string>> pings;
    pings.push_back(rondo::create_task(ping("rome", 65)));
    pings.push_back(rondo::create_task(ping("oslo", 35)));
    pings.push_back(rondo::create_task(ping("lima", 5)));
    auto answers = rondo::as_completed(pings);
    while (auto answer = co_await answers.next()) fmt::print("{}\n", answer->result());

    std::vector<rondo::future<std::string>> two;
    two.push_back(rondo::create_task(ping("quito", 5), {.name = "quito"}));
    two.push_back(rondo::create_task(ping("tokyo", 10000), {.name = "tokyo"}));
    auto [done, pending] = co_await rondo::wait(two, rondo::return_when::first_completed);
    fmt::print("first: {}; {} pending\n", done[0].name(), pending.size());
    for (auto& late : pending) late.cancel();
}

int main() { rondo::run(program()); }
