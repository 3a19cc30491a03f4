// SPDX-License-Identifier: MIT
// Shows generators that receive values. `send` passes a value to the co_yield that the generator
// is suspended at, and gives the next item. The average keeps its sum and its count in plain local
// variables. The thermometer is an async_generator, which may wait between its items: it is told
// after each reading how long to wait for the next one.
// Run: running_average
//
//     20.0 degrees, on average 20.0
//     21.0 degrees, on average 20.5
//     25.0 degrees, on average 22.0
//     30.0 degrees, on average 24.0
//     too hot: the thermometer is read more often
//     31.0 degrees, on average 25.4
#include <chrono>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::generator<double, double> running_average() {
    double sum = 0;
    double average = 0;
    for (int count = 1;; ++count) {
        sum += co_yield average;
        average = sum / count;
    }
}

rondo::async_generator<double, rondo::duration> thermometer() {
    for (const double degrees : {20.0, 21.0, 25.0, 30.0, 31.0}) {
        const rondo::duration pause = co_yield degrees;
        co_await rondo::sleep(pause);
    }
}

rondo::task<> watch() {
    auto average = running_average();
    average.next();  // runs to its first co_yield, which then waits for a value
    auto readings = thermometer();
    rondo::duration pause = 50ms;
    for (auto degrees = co_await readings.next(); degrees;
         degrees = co_await readings.send(pause)) {
        fmt::print("{:.1f} degrees, on average {:.1f}\n", *degrees, *average.send(*degrees));
        if (*degrees == 30) {
            fmt::print("too hot: the thermometer is read more often\n");
            pause = 10ms;
        }
    }
}

int main() { rondo::run(watch()); }
