// SPDX-License-Identifier: MIT
// Connects standard input and output with a TCP connection, both ways; the end of the input closes
// half of it, and the end of the connection ends the program.
// Run: echo hello | netcat HOST PORT
#include <cstdint>
#include <cstdlib>
#include <system_error>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

rondo::task<> send_input(rondo::tcp_stream& peer) {
    auto in = rondo::standard_input();
    co_await rondo::copy(in, peer);
    co_await peer.shutdown_write();
}

rondo::task<> show_output(rondo::tcp_stream& peer) {
    auto out = rondo::standard_output();
    co_await rondo::copy(peer, out);
}

rondo::task<> connect(std::string host, std::uint16_t port) {
    auto peer = co_await rondo::connect_tcp(std::move(host), port);
    co_await rondo::with_task_group([&](rondo::task_group& group) -> rondo::task<> {
        group.start(send_input(peer));
        co_await show_output(peer);
        group.cancel();  // nobody is there any more for what is still typed
    });
}

int main(int argc, char** argv) {
    if (argc != 3) {
        fmt::print(stderr, "usage: {} HOST PORT\n", argv[0]);
        return 2;
    }
    try {
        rondo::run(connect(argv[1], static_cast<std::uint16_t>(std::atoi(argv[2]))));
    } catch (const std::system_error& error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
}
