// SPDX-License-Identifier: MIT
// An echo server that reads by views: `echo_views PORT`. It runs until it is killed.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include <rondo/run.hpp>
#include <rondo/serve.hpp>

namespace {

rondo::task<> echo(rondo::tcp_stream peer) {
    while (const auto view = co_await peer.read_view()) co_await peer.write_all(view);
}

}  // namespace

int main(int argc, char** argv) {
    const long port = argc == 2 ? std::strtol(argv[1], nullptr, 10) : 0;
    if (port <= 0 || port > 65535) {
        std::fprintf(stderr, "usage: %s PORT\n", argv[0]);
        return 2;
    }
    const rondo::endpoint where("127.0.0.1", static_cast<std::uint16_t>(port));
    rondo::run(rondo::serve(rondo::tcp_listener::bind(where), echo));
}
