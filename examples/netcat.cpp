// SPDX-License-Identifier: MIT
// Shows copy in both directions: standard input to a TCP or Unix connection, and back to standard
// output. The end of the input shuts down writing; the end of the connection ends the program.
// Run: echo hello | netcat HOST PORT, or netcat unix:PATH
#include <cstdint>
#include <cstdlib>
#include <exception>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

template <class Stream>
rondo::task<> send_input(Stream& peer) {
    auto in = rondo::standard_input();
    co_await rondo::copy(in, peer);
    co_await peer.shutdown_write();
}

template <class Stream>
rondo::task<> show_output(Stream& peer) {
    auto out = rondo::standard_output();
    co_await rondo::copy(peer, out);
}

template <class Stream>
rondo::task<> connect(rondo::task<Stream> connecting) {
    auto peer = co_await std::move(connecting);
    co_await rondo::with_task_group([&](rondo::task_group& group) -> rondo::task<> {
        group.start(send_input(peer));
        co_await show_output(peer);
        group.cancel();  // the peer has closed: stop reading the input
    });
}

int main(int argc, char** argv) {
    if (argc < 2 || argc > 3) {
        fmt::print(stderr, "usage: {0} HOST PORT\n       {0} unix:PATH\n", argv[0]);
        return 2;
    }
    try {
        if (argc == 2)
            rondo::run(connect(rondo::connect_unix(rondo::endpoint(argv[1]))));
        else
            rondo::run(connect(rondo::connect_tcp(
                argv[1], static_cast<std::uint16_t>(std::atoi(argv[2])))));
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
}
