// SPDX-License-Identifier: MIT
// Trio's tutorial: a client that sends and receives at the same time, and a server that echoes.
// Runs on: ring and simulator
//
//     sent 3 lines
//     received: async can be confusing 0
//     received: async can be confusing 1
//     received: async can be confusing 2
//     connection closed
#include <array>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

rondo::task<> echo_server(rondo::tcp_stream stream) {
    std::array<char, 512> buffer;
    while (auto data = co_await stream.read_some(buffer)) co_await stream.write_all(data);
}

rondo::task<> sender(rondo::tcp_stream& stream) {
    for (int i = 0; i < 3; i++)
        co_await stream.write_all(fmt::format("async can be confusing {}\n", i));
    co_await stream.shutdown_write();
    fmt::print("sent 3 lines\n");
}

rondo::task<std::vector<std::string>> receiver(rondo::tcp_stream& stream) {
    std::vector<std::string> lines;
    while (auto line = co_await stream.read_line()) lines.push_back(*line);
    co_return lines;
}

rondo::task<> parent(rondo::endpoint server) {
    auto stream = co_await rondo::connect_tcp(server);
    auto [lines, nothing] = co_await rondo::gather(receiver(stream), sender(stream));
    for (auto& line : lines) fmt::print("received: {}\n", line);
    fmt::print("connection closed\n");
}

rondo::task<> program() {
    auto listener = rondo::tcp_listener::bind({"127.0.0.1", 0});
    auto where = listener.local();
    auto server = rondo::create_task(rondo::serve(std::move(listener), echo_server));
    co_await parent(where);
    server.cancel();
}

int main() { rondo::run(program()); }
