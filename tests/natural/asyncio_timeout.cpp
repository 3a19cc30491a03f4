// SPDX-License-Identifier: MIT
// asyncio.timeout: a limit for a block; it may be moved while the block runs.
// Runs on: ring and simulator
//
//     the long operation timed out, but we've handled it.
//     this one had more time
#include <chrono>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> long_running() { co_await rondo::sleep(1h); }

rondo::task<> program() {
    try {
        co_await rondo::with_timeout(10ms, [](rondo::timeout_scope&) -> rondo::task<> {
            co_await long_running();
        });
    } catch (const rondo::timeout_error&) {
        fmt::print("the long operation timed out, but we've handled it.\n");
    }
    co_await rondo::with_timeout(200ms, [](rondo::timeout_scope& limit) -> rondo::task<> {
        limit.reschedule(rondo::running_loop().time() + 10s);
        co_await rondo::sleep(250ms);
    });
    fmt::print("this one had more time\n");
}

int main() { rondo::run(program()); }
