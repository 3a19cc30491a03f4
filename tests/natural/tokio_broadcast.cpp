// SPDX-License-Identifier: MIT
// Tokio's broadcast channel: each subscriber gets each message.
// Runs on: ring and simulator
//
//     ann heard 10 20
//     bob heard 10 20
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

rondo::task<std::string> subscriber(std::string name, rondo::broadcast<int>& channel) {
    auto messages = channel.subscribe();
    std::string heard = name + " heard";
    while (auto message = co_await messages.next()) heard += fmt::format(" {}", *message);
    co_return heard;
}

rondo::task<> publisher(rondo::broadcast<int>& channel) {
    channel.send(10);
    channel.send(20);
    channel.close();
    co_return;
}

rondo::task<> program() {
    rondo::broadcast<int> channel(16);
    auto [ann, bob, nothing] = co_await rondo::gather(
        subscriber("ann", channel), subscriber("bob", channel), publisher(channel));
    fmt::print("{}\n{}\n", ann, bob);
}

int main() { rondo::run(program()); }
