// SPDX-License-Identifier: MIT
// Shows time limits around anything that can be awaited. The limited task has ended when they
// return.
// Run: timeout
//
//     timed out after 200ms
//     moved on
//     saved, although time was up
//     what has come counts, late or not
//     step 1
//     ...
//     step 4
#include <chrono>
#include <string>
#include <utility>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<std::string> slow_answer() {
    co_await rondo::sleep(1h);
    co_return "42";
}

rondo::task<> save() {
    co_await rondo::sleep(100ms);
    fmt::print("saved, although time was up\n");
}

rondo::task<> steps(rondo::timeout_scope& limit) {
    for (int step = 1; step <= 4; ++step) {
        co_await rondo::sleep(80ms);
        limit.reschedule(rondo::running_loop().time() + 250ms);  // progress: extend the limit
        fmt::print("step {}\n", step);
    }
}

rondo::task<> patience() {
    try {  // wait_for: too late is an error
        fmt::print("{}\n", co_await rondo::wait_for(200ms, slow_answer()));
    } catch (const rondo::timeout_error& error) {
        fmt::print("{}\n", error.what());
    }

    // move_on_after: too late gives an empty optional.
    auto answer = co_await rondo::move_on_after(200ms, slow_answer());
    fmt::print("{}\n", answer.value_or("moved on"));

    // A shielded task is not cancelled: the limit waits for it.
    const bool saved = co_await rondo::move_on_after(10ms, rondo::shield(save()));
    if (saved) fmt::print("what has come counts, late or not\n");

    // with_timeout: a limit that the task can move, here 250 ms for each step.
    co_await rondo::with_timeout(250ms, steps);
}

int main() { rondo::run(patience()); }
