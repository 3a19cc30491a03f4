// SPDX-License-Identifier: MIT
// asyncio.run_coroutine_threadsafe: a plain thread asks a task of the loop, and waits for it.
// Runs on: ring
//
//     the thread got 42
//     the loop was told
#include <thread>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

rondo::task<int> answer(int question) {
    co_await rondo::yield_now();
    co_return question * 2;
}

rondo::task<> program() {
    auto& loop = rondo::running_loop();
    rondo::event told;
    std::thread thread([&] {
        auto future = rondo::run_coroutine_threadsafe(answer(21), loop);
        fmt::print("the thread got {}\n", future.get());
        loop.call_soon_threadsafe([&] { told.set(); });
    });
    co_await told.wait();
    fmt::print("the loop was told\n");
    thread.join();
}

int main() { rondo::run(program()); }
