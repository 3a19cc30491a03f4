// SPDX-License-Identifier: MIT
// Shows Redis inside rondo: several commands at once over one connection.
// Run: redis_ping /path/of/socket | ADDRESS PORT
//
//     PONG
//     3
#include <cstdlib>
#include <string>

#include <fmt/core.h>

#include "redis_client.hpp"

rondo::task<> ping(std::string where, int port) {
    redis_client redis;
    if (port == 0)
        co_await redis.connect(where);
    else
        co_await redis.connect(where, port);
    const redis_value pong = co_await redis.command("PING");
    fmt::print("{}\n", pong.text);

    co_await redis.command("DEL", "rondo:count");
    // Pipelined: three commands are sent before the first reply comes.
    const auto [one, two, three] = co_await rondo::gather(redis.command("INCR", "rondo:count"),
                                                          redis.command("INCR", "rondo:count"),
                                                          redis.command("INCR", "rondo:count"));
    fmt::print("{}\n", three.number);
    co_await redis.command("DEL", "rondo:count");
}

int main(int argc, char** argv) {
    if (argc < 2) {
        fmt::print(stderr, "usage: redis_ping PATH | ADDRESS PORT\n");
        return 2;
    }
    try {
        rondo::run(ping, std::string(argv[1]), argc > 2 ? std::atoi(argv[2]) : 0);
    } catch (const redis_error& error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
}
