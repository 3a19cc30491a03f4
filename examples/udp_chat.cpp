// SPDX-License-Identifier: MIT
// Shows UDP: two terminals send each other every typed line as a datagram.
// Run: udp_chat 7052 7053   and in another terminal: udp_chat 7053 7052   (Ctrl-D ends it)
#include <array>
#include <cstdint>
#include <cstdlib>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

rondo::task<> show(rondo::udp_socket& socket) {
    std::array<char, 1500> buffer;
    for (;;) {
        const auto message = co_await socket.receive_from(buffer);
        fmt::print("{} says: {}\n", message.from.text(), message.text());
        std::fflush(stdout);
    }
}

rondo::task<> type(rondo::udp_socket& socket, rondo::endpoint peer) {
    auto keyboard = rondo::standard_input();
    while (auto line = co_await keyboard.read_line()) co_await socket.send_to(*line, peer);
}

rondo::task<> talk(std::uint16_t own, std::uint16_t other) {
    auto socket = rondo::udp_socket::bind({"127.0.0.1", own});
    co_await rondo::race(show(socket), type(socket, {"127.0.0.1", other}));
}

int main(int argc, char** argv) {
    if (argc != 3) {
        fmt::print(stderr, "usage: {} OWN-PORT OTHER-PORT\n", argv[0]);
        return 2;
    }
    rondo::run(talk(static_cast<std::uint16_t>(std::atoi(argv[1])),
                    static_cast<std::uint16_t>(std::atoi(argv[2]))));
}
