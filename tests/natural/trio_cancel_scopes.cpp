// SPDX-License-Identifier: MIT
// Trio's pages on cancellation: nested limits, the outer one wins; a shielded clean-up.
// Runs on: ring and simulator
//
//     inner: too late
//     clean-up: begins
//     clean-up: ends
//     outer: too late
//     after both
#include <chrono>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> clean_up() {
    fmt::print("clean-up: begins\n");
    co_await rondo::sleep(5ms);
    fmt::print("clean-up: ends\n");
}

rondo::task<> work() {
    if (!co_await rondo::move_on_after(5ms, rondo::sleep(1h))) fmt::print("inner: too late\n");
    bool cancelled = false;
    try {
        co_await rondo::sleep(1h);
    } catch (const rondo::cancelled&) {
        cancelled = true;
    }
    if (cancelled) co_await rondo::shield(clean_up());
    co_await rondo::sleep(1h);  // throws again: the scope is still cancelled
    fmt::print("never printed\n");
}

rondo::task<> program() {
    bool in_time = co_await rondo::move_on_after(250ms, work());
    if (!in_time) fmt::print("outer: too late\n");
    co_await rondo::sleep(1ms);
    fmt::print("after both\n");
}

int main() { rondo::run(program()); }
