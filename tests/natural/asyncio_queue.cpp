// SPDX-License-Identifier: MIT
// asyncio's page on queues: three workers, queue.join, and the workers are cancelled at the end.
// Runs on: ring and simulator
//
//     20 jobs are done
//     worker-1 was cancelled
//     worker-2 was cancelled
//     worker-3 was cancelled
#include <chrono>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> worker(std::string name, rondo::queue<rondo::duration>& queue, int& done) {
    try {
        while (true) {
            auto sleep_for = co_await queue.next();
            co_await rondo::sleep(*sleep_for);
            ++done;
            queue.task_done();
        }
    } catch (const rondo::cancelled&) {
        fmt::print("{} was cancelled\n", name);
        throw;
    }
}

rondo::task<> program() {
    rondo::queue<rondo::duration> queue;
    int done = 0;
    for (int i = 0; i < 20; i++) co_await queue.put(1ms);

    std::vector<rondo::future<>> tasks;
    for (int i = 1; i <= 3; i++)
        tasks.push_back(rondo::create_task(worker(fmt::format("worker-{}", i), queue, done)));

    co_await queue.join();
    fmt::print("{} jobs are done\n", done);
    for (auto& task : tasks) task.cancel();
    co_await rondo::gather_settled(tasks);
}

int main() { rondo::run(program()); }
