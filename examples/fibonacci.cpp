// SPDX-License-Identifier: MIT
// Shows two endless sequences: a generator, and an async_generator, which may also await between
// its items. Both compute an item only when it is asked for; so do filter, map and take.
// Run: fibonacci
//
//     0 1 1 2 3 5 8 13 21 34 55
//     even ones, while another task counts: 0 2 8 34 144
//     it counted meanwhile
#include <chrono>
#include <cstdint>

#include <fmt/core.h>
#include <fmt/ranges.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::generator<std::uint64_t> fibonacci() {
    for (std::uint64_t a = 0, b = 1;; b += a, a = b - a) co_yield a;
}

rondo::async_generator<std::uint64_t> slow_fibonacci() {
    for (const std::uint64_t number : fibonacci()) {
        co_await rondo::sleep(20ms);  // stands for a slow source
        co_yield number;
    }
}

rondo::task<> count(int& ticks) {
    for (;; ++ticks) co_await rondo::sleep(5ms);
}

rondo::task<> numbers() {
    for (const std::uint64_t number : fibonacci()) {
        fmt::print("{}", number);
        if (number > 50) break;  // destroys the generator at its last co_yield
        fmt::print(" ");
    }
    fmt::print("\n");

    int ticks = 0;
    auto counting = rondo::create_task(count(ticks));
    const auto is_even = [](std::uint64_t number) { return number % 2 == 0; };
    const auto some = co_await slow_fibonacci().filter(is_even).take(5).collect();
    fmt::print("even ones, while another task counts: {}\n", fmt::join(some, " "));
    fmt::print("it {} meanwhile\n", ticks > 5 ? "counted" : "stood still");
    counting.cancel();
    co_await rondo::gather_settled(counting);  // it uses our variable, so it must end first
}

int main() { rondo::run(numbers()); }
