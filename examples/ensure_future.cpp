// SPDX-License-Identifier: MIT
// Shows tasks that run in the background, and their futures: await them together, add a callback,
// cancel them.
// Run: ensure_future
//
//     first started
//     second started
//     third started
//     second completed
//     first completed
//     callback: result of first
//     result of first / result of second
//     the third was cancelled
#include <chrono>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<std::string> part(std::string name, rondo::duration delay) {
    fmt::print("{} started\n", name);
    co_await rondo::sleep(delay);
    fmt::print("{} completed\n", name);
    co_return "result of " + name;
}

rondo::task<> story() {
    auto first = rondo::ensure_future(part("first", 200ms));  // runs from the next turn on
    auto second = rondo::ensure_future(part("second", 100ms));
    auto third = rondo::create_task(part("third", 1h), {.name = "the third"});
    first.add_done_callback(
        [](const rondo::future<std::string>& f) { fmt::print("callback: {}\n", f.result()); });

    auto [a, b] = co_await rondo::gather(first, second);  // futures are awaited, not restarted
    fmt::print("{} / {}\n", a, b);

    third.cancel();  // its present wait throws rondo::cancelled
    try {
        fmt::print("{}\n", co_await third);
    } catch (const rondo::future_cancelled&) {
        fmt::print("the third was cancelled\n");
    }
}

int main() {
    rondo::loop loop;
    loop.run_until_complete(story());
}
