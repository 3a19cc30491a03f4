// SPDX-License-Identifier: MIT
// sync.Once and a wait group: ten tasks want the configuration, it is loaded once.
// Runs on: ring and simulator
//
//     loading
//     10 tasks have read 8080
#include <chrono>
#include <vector>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> load(int& port) {
    fmt::print("loading\n");
    co_await rondo::sleep(10ms);
    port = 8080;
}

rondo::task<> handler(rondo::once& loaded, int& port, int& readers) {
    co_await loaded.call([&] { return load(port); });
    if (port == 8080) ++readers;
}

rondo::task<> program() {
    rondo::once loaded;
    int port = 0, readers = 0;
    std::vector<rondo::task<>> all;
    for (int i = 0; i < 10; i++) all.push_back(handler(loaded, port, readers));
    co_await rondo::gather(std::move(all));
    fmt::print("{} tasks have read {}\n", readers, port);
}

int main() { rondo::run(program()); }
