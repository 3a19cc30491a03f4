// SPDX-License-Identifier: MIT
// Shows the client of Redis: values, several commands at once over one connection, a command that
// blocks, and one that is cancelled.
// Run: redis_ping redis://localhost | unix:///run/redis.sock
//
//     PONG from unix:/run/redis.sock
//     hello
//     1 2 3
//     ada grace
//     nothing came in 50 ms
#include <optional>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <rondo/redis.hpp>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> show(std::string url) {
    rondo::redis::client redis(url);
    const auto pong = co_await redis.command("PING");
    fmt::print("{} from {}\n", pong.text(), redis.name());

    co_await redis.set("rondo:greeting", "hello", {.expires = 1min});
    const std::optional<std::string> greeting = co_await redis.get("rondo:greeting");
    fmt::print("{}\n", greeting.value_or("it has expired"));

    // A pipeline: three commands are sent before the first reply comes.
    co_await redis.del("rondo:count");
    const auto [one, two, three] = co_await rondo::gather(
        redis.incr("rondo:count"), redis.incr("rondo:count"), redis.incr("rondo:count"));
    fmt::print("{} {} {}\n", one, two, three);

    const std::vector<std::string> names = {"ada", "grace"};
    co_await redis.del("rondo:names");
    co_await redis.command("RPUSH", "rondo:names", names);
    const auto all = co_await redis.command("LRANGE", "rondo:names", 0, -1);
    fmt::print("{} {}\n", all[0].text(), all[1].text());

    // It gets a connection of its own, and is ended in the server when the time is over.
    auto popping = redis.command("BLPOP", "rondo:nothing", 10);
    const auto popped = co_await rondo::move_on_after(50ms, std::move(popping));
    fmt::print("{} in 50 ms\n", popped ? popped->describe() : "nothing came");
    co_await redis.del("rondo:greeting", "rondo:count", "rondo:names");
}

int main(int argc, char** argv) {
    try {
        rondo::run(show(argc > 1 ? argv[1] : "redis://localhost"));
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
    return rondo::interrupted();
}
