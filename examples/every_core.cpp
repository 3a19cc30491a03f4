// SPDX-License-Identifier: MIT
// Shows a server with one loop per core: SO_REUSEPORT makes the kernel spread the connections.
// It answers each line in capitals. Ctrl-C stops accepting, gives open connections a second to
// finish, and prints how many connections each loop had.
// Run: every_core [PORT], then: nc 127.0.0.1 7052
#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> one_core(std::uint16_t port, std::vector<int>* connections) {
    int& mine = connections->at(rondo::loop_pool::current_index());
    const auto in_capitals = [&mine](rondo::tcp_stream peer) -> rondo::task<> {
        ++mine;  // only this loop uses it: no lock, no atomic
        while (auto line = co_await peer.read_line()) {
            for (char& c : *line)
                c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
            co_await peer.write_all(*line, "\n");
        }
    };
    auto listener = rondo::tcp_listener::bind({"127.0.0.1", port}, {.reuse_port = true});
    co_await rondo::serve(std::move(listener), in_capitals, {.grace = 1s});
}

int main(int argc, char** argv) {
    const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 7052);
    rondo::loop_pool cores;
    std::vector<int> connections(cores.size());
    cores.run(one_core, port, &connections);
    for (std::size_t i = 0; i < cores.size(); ++i)
        fmt::print("loop {}: {} connections\n", i, connections[i]);
}
