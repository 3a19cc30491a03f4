// SPDX-License-Identifier: MIT
// Go by Example, tickers and stateful goroutines: one task owns the state; it hears of ticks,
// deposits and the end by select.
// Runs on: ring and simulator
//
//     balance 60 after 3 deposits
//     it has ticked
#include <chrono>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> account(rondo::queue<int>& deposits, rondo::event& done) {
    rondo::interval ticker(5ms);
    int balance = 0, count = 0, ticks = 0;
    while (true) {
        auto what = co_await rondo::select(deposits.next(), ticker.tick(), done.wait());
        if (what.index() == 0) {
            balance += *std::get<0>(what);
            ++count;
        } else if (what.index() == 1) {
            ++ticks;
        } else {
            break;
        }
    }
    fmt::print("balance {} after {} deposits\n", balance, count);
    if (ticks > 0) fmt::print("it has ticked\n");
}

rondo::task<> customer(rondo::queue<int>& deposits, rondo::event& done) {
    for (int amount : {10, 20, 30}) {
        co_await rondo::sleep(12ms);
        co_await deposits.put(amount);
    }
    done.set();
}

rondo::task<> program() {
    rondo::queue<int> deposits;
    rondo::event done;
    co_await rondo::gather(account(deposits, done), customer(deposits, done));
}

int main() { rondo::run(program()); }
