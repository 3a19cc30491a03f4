// SPDX-License-Identifier: MIT
// Java's CountDownLatch: the driver lets the workers start together and waits for all of them.
// Runs on: ring and simulator
//
//     no worker has worked yet
//     3 workers have worked
#include <chrono>
#include <vector>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

class countdown_latch {
public:
    explicit countdown_latch(int count) : count_(count) {}
    void count_down() {
        if (--count_ == 0) zero_.set();
    }
    rondo::task<> wait() { co_await zero_.wait(); }

private:
    int count_;
    rondo::event zero_;
};

rondo::task<> worker(countdown_latch& start, countdown_latch& done, int& worked) {
    co_await start.wait();
    ++worked;
    done.count_down();
}

rondo::task<> program() {
    countdown_latch start(1), done(3);
    int worked = 0;
    for (int i = 0; i < 3; i++) rondo::create_task(worker(start, done, worked));
    co_await rondo::sleep(5ms);
    if (worked == 0) fmt::print("no worker has worked yet\n");
    start.count_down();
    co_await done.wait();
    fmt::print("{} workers have worked\n", worked);
}

int main() { rondo::run(program()); }
