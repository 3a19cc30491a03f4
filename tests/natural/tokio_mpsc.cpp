// SPDX-License-Identifier: MIT
// Tokio's mpsc channel: several senders, one receiver, which ends when all senders have ended.
// Runs on: ring and simulator
//
//     sum 60
#include <fmt/core.h>
#include <rondo/rondo.hpp>

rondo::task<> sender(rondo::queue<int>& channel, int number) {
    for (int i = 0; i < 10; i++) co_await channel.put(number);
}

rondo::task<> senders(rondo::queue<int>& channel) {
    co_await rondo::gather(sender(channel, 1), sender(channel, 2), sender(channel, 3));
    channel.close();
}

rondo::task<int> receiver(rondo::queue<int>& channel) {
    int sum = 0;
    while (auto number = co_await channel.next()) sum += *number;
    co_return sum;
}

rondo::task<> program() {
    rondo::queue<int> channel(4);
    auto [sum, nothing] = co_await rondo::gather(receiver(channel), senders(channel));
    fmt::print("sum {}\n", sum);
}

int main() { rondo::run(program()); }
