// SPDX-License-Identifier: MIT
// Answers each line in capitals, one task for each connection. Ctrl-C stops accepting, gives those
// who are connected two seconds to finish, and then ends them.
// Run: upper_server [PORT], then: nc 127.0.0.1 7051
#include <cctype>
#include <cstdint>
#include <cstdlib>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> in_capitals(rondo::tcp_stream peer) {
    while (auto line = co_await peer.read_line()) {
        for (char& c : *line) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        co_await peer.write_all(*line, "\n");
    }
}

int main(int argc, char** argv) {
    const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 7051);
    auto listener = rondo::tcp_listener::bind({"127.0.0.1", port});
    rondo::run(rondo::serve(std::move(listener), in_capitals, {.grace = 2s}));
    fmt::print("all have gone\n");
}
