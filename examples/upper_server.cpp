// SPDX-License-Identifier: MIT
// Shows a server with a graceful end: it answers each line in capitals. Ctrl-C stops accepting,
// gives open connections two seconds to finish, and then cancels them.
// Run: upper_server [PORT | unix:PATH], then: nc 127.0.0.1 7051
#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

template <class Stream>
rondo::task<> in_capitals(Stream peer) {
    while (auto line = co_await peer.read_line()) {
        for (char& c : *line) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        co_await peer.write_all(*line, "\n");
    }
}

int main(int argc, char** argv) {
    const std::string_view where = argc > 1 ? argv[1] : "7051";
    const rondo::serve_options how{.grace = 2s};
    if (where.starts_with("unix:")) {
        auto listener = rondo::unix_listener::bind(rondo::endpoint(where));
        rondo::run(rondo::serve(std::move(listener), in_capitals<rondo::unix_stream>, how));
    } else {
        const auto port = static_cast<std::uint16_t>(std::atoi(where.data()));
        auto listener = rondo::tcp_listener::bind({"127.0.0.1", port});
        rondo::run(rondo::serve(std::move(listener), in_capitals<rondo::tcp_stream>, how));
    }
    fmt::print("all have gone\n");
}
