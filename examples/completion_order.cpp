// SPDX-License-Identifier: MIT
// Shows how to handle results in the order in which tasks end: by callbacks, and by as_completed.
// as_completed gives the original futures, so their names are known. A failed task has ended too.
// Run: completion_order
//
//     callback: the hare has ended
//     the hare: 10 km
//     callback: the fox has ended
//     the fox fell into a ditch
//     callback: the tortoise has ended
//     the tortoise: 10 km
#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<int> run_to_the_end(rondo::duration time) {
    co_await rondo::sleep(time);
    co_return 10;
}

rondo::task<int> run_into_a_ditch(rondo::duration time) {
    co_await rondo::sleep(time);
    throw std::runtime_error("fell into a ditch");
}

void call_back(const rondo::future<int>& runner) {
    fmt::print("callback: {} has ended\n", runner.name());
}

rondo::task<> finish() {
    const std::vector<rondo::future<int>> runners{
        rondo::create_task(run_to_the_end(300ms), {.name = "the tortoise"}),
        rondo::create_task(run_to_the_end(100ms), {.name = "the hare"}),
        rondo::create_task(run_into_a_ditch(200ms), {.name = "the fox"})};
    for (const auto& runner : runners) runner.add_done_callback(call_back);

    auto ended = rondo::as_completed(runners);
    while (auto runner = co_await ended.next()) {
        try {
            fmt::print("{}: {} km\n", runner->name(), runner->result());
        } catch (const std::exception& error) {
            fmt::print("{} {}\n", runner->name(), error.what());
        }
    }
}

int main() { rondo::run(finish()); }
