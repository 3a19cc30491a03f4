// SPDX-License-Identifier: MIT
// Shows a TCP server with one task for each connection. Ctrl-C cancels all of them, and the program
// ends normally.
// Run: echo_server [PORT]        (7007; 0 takes a free one), then: echo_client 127.0.0.1 PORT hello
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

rondo::task<> echo(rondo::tcp_stream peer) {
    std::array<char, 16 * 1024> buffer;
    while (auto chunk = co_await peer.read_some(buffer))  // false at the end of the stream
        co_await peer.write_all(chunk);
}

int main(int argc, char** argv) {
    const std::string_view wanted = argc > 1 ? argv[1] : "7007";
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(wanted.data(), wanted.data() + wanted.size(), port);
    if (error != std::errc() || end != wanted.data() + wanted.size() || argc > 2) {
        fmt::print(stderr, "usage: {} [PORT]\n", argv[0]);
        return 2;
    }
    try {
        auto listener = rondo::tcp_listener::bind({"127.0.0.1", port});
        fmt::print("listening on {}\n", listener.local().text());
        std::fflush(stdout);
        rondo::run(rondo::serve(std::move(listener), echo));
    } catch (const std::system_error& failed) {
        fmt::print(stderr, "{}\n", failed.what());  // bind 127.0.0.1:7007: Address already in use
        return 1;
    }
}
