// SPDX-License-Identifier: MIT
// Shows a TCP client: it connects by host name, sends each word as a line, and prints the answers.
// Run: echo_client HOST PORT WORD...
#include <charconv>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> chat(std::string host, std::uint16_t port, std::vector<std::string> words) {
    auto server = co_await rondo::connect_tcp(host, port, {.timeout = 3s});
    for (const auto& word : words) {
        co_await server.write_all(word, "\n");  // several parts, one system call
        const auto line = co_await rondo::wait_for(5s, server.read_line());
        if (!line) break;  // the server has closed the connection
        fmt::print("<- {}\n", *line);
    }
    co_await server.close();
}

int main(int argc, char** argv) {
    const std::string_view wanted = argc > 3 ? argv[2] : "";
    std::uint16_t port = 0;
    std::from_chars(wanted.data(), wanted.data() + wanted.size(), port);
    if (port == 0) {
        fmt::print(stderr, "usage: {} HOST PORT WORD...\n", argv[0]);
        return 2;
    }
    try {
        rondo::run(chat(argv[1], port, {argv + 3, argv + argc}));
    } catch (const std::system_error& error) {
        fmt::print(stderr, "{}\n", error.what());  // connect localhost:7007: Connection refused
        return 1;
    }
}
