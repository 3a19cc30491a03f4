// SPDX-License-Identifier: MIT
// Python's queue.PriorityQueue: jobs come out by their priority.
// Runs on: ring and simulator
//
//     processing job: critical job
//     processing job: mid-level job
//     processing job: low-level job
#include <string>
#include <utility>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using job = std::pair<int, std::string>;

rondo::task<> process(rondo::priority_queue<job>& jobs) {
    while (auto next = co_await jobs.next()) {
        fmt::print("processing job: {}\n", next->second);
        jobs.task_done();
    }
}

rondo::task<> program() {
    rondo::priority_queue<job> jobs;
    co_await jobs.put(job(3, "mid-level job"));
    co_await jobs.put(job(10, "low-level job"));
    co_await jobs.put(job(1, "critical job"));
    auto worker = rondo::create_task(process(jobs));
    co_await jobs.join();
    jobs.close();
    co_await worker;
}

int main() { rondo::run(program()); }
