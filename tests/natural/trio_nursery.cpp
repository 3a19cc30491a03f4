// SPDX-License-Identifier: MIT
// Trio's tutorial: a parent waits for its children; if one fails, the others are cancelled first.
// Runs on: ring and simulator
//
//     parent: started
//     child1: started
//     child2: started
//     child1: exiting
//     child2: exiting
//     parent: all done
//     the careful one cleans up
//     parent: something broke
#include <chrono>
#include <stdexcept>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> child(int number) {
    fmt::print("child{}: started\n", number);
    co_await rondo::sleep(number * 20ms);
    fmt::print("child{}: exiting\n", number);
}

rondo::task<> breaks() {
    co_await rondo::sleep(5ms);
    throw std::runtime_error("something broke");
}

rondo::task<> careful() {
    struct guard {
        ~guard() { fmt::print("the careful one cleans up\n"); }
    } cleaner;
    co_await rondo::sleep(1h);
}

rondo::task<> program() {
    fmt::print("parent: started\n");
    co_await rondo::with_task_group([](rondo::task_group& nursery) -> rondo::task<> {
        nursery.start(child, 1);
        nursery.start(child, 2);
        co_return;
    });
    fmt::print("parent: all done\n");
    try {
        co_await rondo::with_task_group([](rondo::task_group& nursery) -> rondo::task<> {
            nursery.start(careful);
            nursery.start(breaks);
            co_return;
        });
    } catch (const std::runtime_error& error) {
        fmt::print("parent: {}\n", error.what());
    }
}

int main() { rondo::run(program()); }
