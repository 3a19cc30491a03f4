// SPDX-License-Identifier: MIT
// Shows select: one loop that waits for a stop, a clock, a telephone and orders. The rare and the
// urgent come first, because the first argument wins if several are ready. A loser stays where it
// is: the call that comes together with an order, and the order that comes together with the
// stop.
// Run: several_things
//
//     order: soup
//     the clock ticks
//     order: bread
//     call: a table for two
//     the clock ticks
//     closed, 1 order left
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> restaurant(rondo::event& stop, rondo::unix_stream telephone,
                         rondo::queue<std::string>& orders) {
    rondo::interval clock(50ms);
    for (;;) {
        auto what = co_await rondo::select(stop.wait(), clock.tick(), telephone.read_line(),
                                           orders.next());
        if (what.index() == 0) break;
        if (what.index() == 1) fmt::print("the clock ticks\n");
        if (what.index() == 2) fmt::print("call: {}\n", std::get<2>(what).value_or("hung up"));
        if (what.index() == 3) fmt::print("order: {}\n", *std::get<3>(what));
    }
    fmt::print("closed, {} order left\n", orders.size());
}

rondo::task<> guests(rondo::event& stop, rondo::unix_stream telephone,
                     rondo::queue<std::string>& orders) {
    co_await rondo::sleep(30ms);
    co_await orders.put("soup");
    co_await rondo::sleep(40ms);
    co_await rondo::gather(orders.put("bread"), telephone.write_all("a table for two\n"));
    co_await rondo::sleep(60ms);
    stop.set();
    co_await orders.put("cake");
}

rondo::task<> evening() {
    rondo::event stop;
    rondo::queue<std::string> orders;
    auto [here, there] = rondo::socket_pair();
    co_await rondo::gather(restaurant(stop, std::move(here), orders),
                           guests(stop, std::move(there), orders));
}

int main() { rondo::run(evening()); }
