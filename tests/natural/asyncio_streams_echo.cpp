// SPDX-License-Identifier: MIT
// asyncio's page on streams: an echo server and its client.
// Runs on: ring and simulator
//
//     server: Hello World!
//     client: Hello World!
//     client: close the connection
#include <utility>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

rondo::task<> handle_echo(rondo::tcp_stream stream) {
    while (auto line = co_await stream.read_line()) {
        fmt::print("server: {}\n", *line);
        co_await stream.write_all(*line, "\n");
    }
}

rondo::task<> tcp_echo_client(rondo::endpoint server, std::string message) {
    auto stream = co_await rondo::connect_tcp(server);
    co_await stream.write_all(message, "\n");
    auto answer = co_await stream.read_line();
    fmt::print("client: {}\n", answer.value());
    fmt::print("client: close the connection\n");
    stream.close();
}

rondo::task<> program() {
    auto listener = rondo::tcp_listener::bind({"127.0.0.1", 0});
    auto address = listener.local();
    auto server = rondo::create_task(rondo::serve(std::move(listener), handle_echo));
    co_await tcp_echo_client(address, "Hello World!");
    server.cancel();
}

int main() { rondo::run(program()); }
