// SPDX-License-Identifier: MIT
// A TCP proxy: bytes go both ways at the same time, and so does the end of each direction.
// Runs on: ring and simulator
//
//     HELLO THROUGH THE PROXY
//     the end came through as well
#include <algorithm>
#include <cctype>
#include <string>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

rondo::task<> upper(rondo::tcp_stream stream) {
    while (auto line = co_await stream.read_line()) {
        std::transform(line->begin(), line->end(), line->begin(),
                       [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
        co_await stream.write_all(*line, "\n");
    }
}

rondo::task<> one_way(rondo::tcp_stream& from, rondo::tcp_stream& to) {
    co_await rondo::copy(from, to);
    co_await to.shutdown_write();
}

rondo::task<> proxy(rondo::endpoint target, rondo::tcp_stream client) {
    auto server = co_await rondo::connect_tcp(target);
    co_await rondo::gather(one_way(client, server), one_way(server, client));
}

rondo::task<> client(rondo::endpoint where) {
    auto stream = co_await rondo::connect_tcp(where);
    co_await stream.write_all("hello through the proxy\n");
    co_await stream.shutdown_write();
    while (auto line = co_await stream.read_line()) fmt::print("{}\n", *line);
    fmt::print("the end came through as well\n");
}

rondo::task<> program() {
    auto back = rondo::tcp_listener::bind({"127.0.0.1", 0});
    auto front = rondo::tcp_listener::bind({"127.0.0.1", 0});
    auto target = back.local(), where = front.local();
    auto forward = [&](rondo::tcp_stream stream) { return proxy(target, std::move(stream)); };
    co_await rondo::race(rondo::serve(std::move(back), upper),
                         rondo::serve(std::move(front), forward), client(where));
}

int main() { rondo::run(program()); }
