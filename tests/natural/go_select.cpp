// SPDX-License-Identifier: MIT
// A Tour of Go, select: a goroutine waits for two channels and for a time limit.
// Runs on: ring and simulator
//
//     one
//     two
//     nothing more
#include <chrono>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> later(rondo::duration delay, rondo::queue<std::string>& channel, std::string word) {
    co_await rondo::sleep(delay);
    co_await channel.put(word);
}

rondo::task<> receive(rondo::queue<std::string>& c1, rondo::queue<std::string>& c2) {
    while (true) {
        auto ready = co_await rondo::select(c1.next(), c2.next(), rondo::sleep(250ms));
        switch (ready.index()) {
            case 0: fmt::print("{}\n", *std::get<0>(ready)); break;
            case 1: fmt::print("{}\n", *std::get<1>(ready)); break;
            default: fmt::print("nothing more\n"); co_return;
        }
    }
}

rondo::task<> program() {
    rondo::queue<std::string> c1, c2;
    co_await rondo::gather(later(5ms, c1, "one"), later(25ms, c2, "two"), receive(c1, c2));
}

int main() { rondo::run(program()); }
