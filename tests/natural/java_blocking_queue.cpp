// SPDX-License-Identifier: MIT
// Java's BlockingQueue: a thread produces, a task consumes; the queue is bounded and has an end.
// Runs on: ring
//
//     sum of 100 items: 4950
#include <thread>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

void producer(rondo::bridge_queue<int>& queue) {
    for (int i = 0; i < 100; i++) queue.blocking_put(i);
    queue.close();
}

rondo::task<> consumer(rondo::bridge_queue<int>& queue) {
    int sum = 0, count = 0;
    while (auto item = co_await queue.next()) {
        sum += *item;
        ++count;
    }
    fmt::print("sum of {} items: {}\n", count, sum);
}

int main() {
    rondo::bridge_queue<int> queue(8);
    std::thread thread(producer, std::ref(queue));
    rondo::run(consumer(queue));
    thread.join();
}
