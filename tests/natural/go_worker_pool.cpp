// SPDX-License-Identifier: MIT
// Go by Example, worker pools: three workers take jobs from one channel and put results into
// another.
// Runs on: ring and simulator
//
//     results: 2 4 6 8 10
#include <chrono>
#include <set>

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> worker(rondo::queue<int>& jobs, rondo::queue<int>& results) {
    while (auto job = co_await jobs.next()) {
        co_await rondo::sleep(5ms);  // an expensive task
        co_await results.put(*job * 2);
    }
}

rondo::task<> program() {
    rondo::queue<int> jobs(100), results(100);
    for (int j = 1; j <= 5; j++) co_await jobs.put(j);
    jobs.close();

    co_await rondo::gather(worker(jobs, results), worker(jobs, results), worker(jobs, results));

    std::set<int> sorted;
    while (auto result = results.try_get()) sorted.insert(*result);
    fmt::print("results: {}\n", fmt::join(sorted, " "));
}

int main() { rondo::run(program()); }
