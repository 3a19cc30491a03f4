// SPDX-License-Identifier: MIT
// Tests examples/adapters/redis_client.hpp against the server whose Unix socket RONDO_REDIS names
// (run_adapters.py starts it).
#include "../../examples/adapters/redis_client.hpp"

#include <cstdlib>
#include <string>
#include <vector>

#include "cancel_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

const std::string server = std::getenv("RONDO_REDIS") ? std::getenv("RONDO_REDIS") : "";

}  // namespace

RONDO_TEST("redis: every kind of reply", "[kernel]") {
    redis_client redis;
    co_await redis.connect(server);
    const redis_value pong = co_await redis.command("PING");
    CHECK(pong.text == "PONG");
    co_await redis.command("DEL", "list");
    const redis_value nil = co_await redis.command("LPOP", "list");
    CHECK(nil.is_nil());
    const redis_value length =
        co_await redis.command("RPUSH", "list", "one", std::string("t\0o", 3));
    CHECK(length.number == 2);
    const redis_value list = co_await redis.command("LRANGE", "list", "0", "-1");
    REQUIRE(list.list.size() == 2);
    CHECK(list.list[1].text == std::string("t\0o", 3));
    CHECK_THROWS_AS(co_await redis.command("INCR", "list"), redis_error);
    CHECK_THROWS_AS(co_await redis.command("SUBSCRIBE", "channel"), std::invalid_argument);
    const std::string large(4 << 20, 'x');
    co_await redis.command("SET", "large", large);
    const redis_value back = co_await redis.command("GET", "large");
    CHECK(back.text == large);
}

RONDO_TEST("redis: a thousand commands at once come back in their order", "[kernel]") {
    redis_client redis;
    co_await redis.connect(server);
    std::vector<task<redis_value>> asked;
    for (int i = 0; i < 1000; ++i) asked.push_back(redis.command("ECHO", std::to_string(i)));
    const std::vector<redis_value> answers = co_await gather(std::move(asked));
    REQUIRE(answers.size() == 1000);
    for (std::size_t i = 0; i < 1000; ++i) CHECK(answers[i].text == std::to_string(i));
}

RONDO_TEST("redis: a server that is not there", "[kernel]") {
    redis_client redis;
    CHECK_THROWS_AS(co_await redis.connect("/nowhere/redis"), redis_error);
    CHECK_THROWS_AS(co_await redis.connect("127.0.0.1", 1), redis_error);
    CHECK_THROWS_AS(co_await redis.command("PING"), redis_error);
    co_await redis.connect(server);
    co_await redis.command("PING");
}

RONDO_TEST("redis: commands and connecting end in all three forms of a cancellation", "[kernel]") {
    redis_client redis;
    const auto connect = [&] { return redis.connect(server); };
    co_await rondo_tests::check_cancelled_before(connect);
    co_await rondo_tests::check_cancelled_when_ready(connect);
    co_await connect();
    const auto ping = [&] { return redis.command("PING"); };
    const auto wait = [&] { return redis.command("BLPOP", "never", "0.2"); };
    co_await rondo_tests::check_cancelled_before(ping);
    co_await rondo_tests::check_cancelled_when_ready(ping);
    co_await rondo_tests::check_cancelled_while_suspended(wait);
    // Its reply is still to come, and must not be given to another command.
    const redis_value mine = co_await redis.command("ECHO", "mine");
    CHECK(mine.text == "mine");
    auto connecting = create_task(connect());  // replaces the present connection
    co_await yield_now();
    connecting.cancel();
    try {
        co_await connecting;
    } catch (const future_cancelled&) {
    }
    co_await connect();
    co_await redis.command("PING");
}

RONDO_TEST("redis: a connection that ends fails who waits", "[kernel]") {
    redis_client redis;
    redis_client other;
    co_await redis.connect(server);
    co_await other.connect(server);
    const redis_value id = co_await redis.command("CLIENT", "ID");
    auto waiting = create_task(redis.command("BLPOP", "never", "0"));
    co_await rondo_tests::finish();
    co_await other.command("CLIENT", "KILL", "ID", std::to_string(id.number));
    CHECK_THROWS_AS(co_await waiting, redis_error);
    CHECK_THROWS_AS(co_await redis.command("PING"), redis_error);

    auto closed = create_task(other.command("BLPOP", "never", "0"));
    co_await rondo_tests::finish();
    other.close();
    CHECK_THROWS_AS(co_await closed, redis_error);
}
