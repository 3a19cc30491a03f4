// SPDX-License-Identifier: MIT
// g++ 12 would destroy the aggregate's string twice inside the co_await.
// compiler: g++
// expect: 12 destroys a temporary aggregate that owns something twice
#include <string>

#include <rondo/queue.hpp>

struct order {
    std::string what;
};

rondo::task<> sends(rondo::queue<order>& orders) {
#ifndef CONTROL
    co_await orders.put(order{"tea"});
#else
    order tea{"tea"};
    auto put = orders.put(std::move(tea));
    co_await put;
#endif
}
