// SPDX-License-Identifier: MIT
// asyncio.Condition: consumers wait until there is bread; the baker notifies them.
// Runs on: ring and simulator
//
//     ann takes one
//     bob takes one
//     the shelf is empty
#include <chrono>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

struct bakery {
    rondo::mutex mutex;
    rondo::condition baked{mutex};
    int bread = 0;
};

rondo::task<> customer(bakery& shop, std::string name) {
    auto lock = co_await shop.mutex.lock();
    co_await shop.baked.wait(lock, [&] { return shop.bread > 0; });
    --shop.bread;
    fmt::print("{} takes one\n", name);
}

rondo::task<> baker(bakery& shop) {
    for (int i = 0; i < 2; i++) {
        co_await rondo::sleep(5ms);
        auto lock = co_await shop.mutex.lock();
        ++shop.bread;
        shop.baked.notify();
    }
}

rondo::task<> program() {
    bakery shop;
    co_await rondo::gather(customer(shop, "ann"), customer(shop, "bob"), baker(shop));
    if (shop.bread == 0) fmt::print("the shelf is empty\n");
}

int main() { rondo::run(program()); }
