// SPDX-License-Identifier: MIT
// UDP: a server answers each datagram; the client asks again when an answer is late.
// Runs on: ring and simulator
//
//     pong 1
//     pong 2
//     pong 3
#include <array>
#include <chrono>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> server(rondo::udp_socket& socket) {
    std::array<char, 100> buffer;
    while (true) {
        auto ping = co_await socket.receive_from(buffer);
        co_await socket.send_to("pong" + std::string(ping.text().substr(4)), ping.from);
    }
}

rondo::task<> client(rondo::endpoint where) {
    auto socket = rondo::udp_socket::open();
    co_await socket.connect(where);
    std::array<char, 100> buffer;
    for (int i = 1; i <= 3;) {
        co_await socket.send(fmt::format("ping {}", i));
        auto answer = co_await rondo::move_on_after(1s, socket.receive_from(buffer));
        if (!answer) continue;
        fmt::print("{}\n", answer->text());
        ++i;
    }
}

rondo::task<> program() {
    auto socket = rondo::udp_socket::bind({"127.0.0.1", 0});
    co_await rondo::race(server(socket), client(socket.local()));
}

int main() { rondo::run(program()); }
