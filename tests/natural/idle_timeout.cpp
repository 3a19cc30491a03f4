// SPDX-License-Identifier: MIT
// A server closes connections on which nothing comes for a while; a talkative one may stay.
// Runs on: ring and simulator
//
//     talkative: pong pong pong
//     idle: the server hung up
#include <chrono>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> handler(rondo::tcp_stream stream) {
    while (true) {
        auto line = co_await rondo::move_on_after(250ms, stream.read_line());
        if (!line || !*line) co_return;  // too late, or the end of the stream
        co_await stream.write_all("pong\n");
    }
}

rondo::task<> talkative(rondo::endpoint server) {
    auto stream = co_await rondo::connect_tcp(server);
    std::string heard;
    for (int i = 0; i < 3; i++) {
        co_await rondo::sleep(1ms);
        co_await stream.write_all("ping\n");
        heard += " " + (co_await stream.read_line()).value();
    }
    fmt::print("talkative:{}\n", heard);
}

rondo::task<> idle(rondo::endpoint server) {
    auto stream = co_await rondo::connect_tcp(server);
    if (!co_await stream.read_line()) fmt::print("idle: the server hung up\n");
}

rondo::task<> clients(rondo::endpoint server) {
    co_await talkative(server);
    co_await idle(server);
}

rondo::task<> program() {
    auto listener = rondo::tcp_listener::bind({"127.0.0.1", 0});
    auto where = listener.local();
    co_await rondo::race(rondo::serve(std::move(listener), handler), clients(where));
}

int main() { rondo::run(program()); }
