// SPDX-License-Identifier: MIT
// An echo server on 127.0.0.1, written as a user would: `echo PORT [LOOPS]`. It runs until it is
// killed, on LOOPS loops.
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include <rondo/loop_pool.hpp>
#include <rondo/serve.hpp>

namespace {

rondo::task<> echo(rondo::tcp_stream peer) {
    std::array<char, 16 * 1024> buffer;
    while (const auto chunk = co_await peer.read_some(buffer)) co_await peer.write_all(chunk);
}

rondo::task<> one_loop(rondo::endpoint where) {
    co_await rondo::serve(rondo::tcp_listener::bind(where, {.reuse_port = true}), echo);
}

}  // namespace

int main(int argc, char** argv) {
    const long port = argc > 1 ? std::strtol(argv[1], nullptr, 10) : 0;
    const long loops = argc == 3 ? std::strtol(argv[2], nullptr, 10) : 1;
    if (port <= 0 || port > 65535 || loops <= 0 || loops > 1024 || argc > 3) {
        std::fprintf(stderr, "usage: %s PORT [LOOPS]\n", argv[0]);
        return 2;
    }
    const rondo::endpoint where("127.0.0.1", static_cast<std::uint16_t>(port));
    if (argc == 2)
        rondo::run(rondo::serve(rondo::tcp_listener::bind(where), echo));
    else
        rondo::loop_pool(static_cast<std::size_t>(loops)).run(one_loop, where);
}
