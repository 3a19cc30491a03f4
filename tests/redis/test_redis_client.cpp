// SPDX-License-Identifier: MIT
// The client against a simulated server: commands of several tasks, cancellation, and lost
// connections.
#include <rondo/redis.hpp>

#include <rondo/gather.hpp>

#include "redis/fake_redis.hpp"

using namespace rondo;
using namespace rondo_tests;
using namespace std::chrono_literals;

namespace {

task<> until(std::function<bool()> what) {
    while (!what()) co_await sleep(1ms);
}

}  // namespace

RONDO_TEST("redis: commands, values and everyday calls", "[redis]") {
    fake_redis server;
    co_await server.run([&]() -> task<> {
        redis::client client(server.url());
        CHECK_FALSE(client.is_connected());
        co_await client.ping();
        CHECK(client.is_connected());
        const bool was_set = co_await client.set("k", "v\r\n", {.expires = 1500ms, .if_new = true});
        CHECK(was_set);
        CHECK(server.commands.back() == words{"SET", "k", "v\r\n", "NX", "PX", "1500"});
        const auto text = co_await client.get("k");
        CHECK(text == "v\r\n");
        const auto none = co_await client.get("none");
        CHECK_FALSE(none);
        CHECK(co_await client.incr("n") == 1);
        CHECK(co_await client.incr("n", 4) == 5);
        CHECK(co_await client.del("k") == 1);
        const std::vector<std::string> more = {"b", "c"};
        CHECK_THROWS_AS(co_await client.command("mget", "a", more, 5), redis::reply_error);
        CHECK(server.commands.back() == words{"mget", "a", "b", "c", "5"});
        CHECK(co_await redis_error_of(client.command("NONE")) ==
              "NONE: ERR unknown command 'NONE'");
        CHECK(server.connections == 1);
        co_await client.close();
        CHECK_THROWS_AS(co_await client.ping(), closed_error);
    });
}

RONDO_TEST("redis: a thousand commands at once are a pipeline, and come back in order", "[redis]") {
    fake_redis server;
    co_await server.run([&]() -> task<> {
        redis::client client(server.url());
        std::vector<task<redis::value>> asked;
        for (int i = 0; i < 1000; ++i) asked.push_back(client.command("ECHO", i));
        const auto began = running_loop().time();
        const auto answers = co_await gather(std::move(asked));
        REQUIRE(answers.size() == 1000);
        for (std::size_t i = 0; i < 1000; ++i)
            if (answers[i] != redis::value(std::to_string(i))) FAIL("reply " << i);
        CHECK(server.connections == 1);
        CHECK(running_loop().time() - began < 1s);  // a round trip takes up to 4 ms
    });
}

RONDO_TEST("redis: the URL's user and database are given to every connection", "[redis]") {
    fake_redis server;
    server.password = "p@ss";
    co_await server.run([&]() -> task<> {
        redis::client client(server.url("ada:p%40ss@") + "/2");
        co_await client.set("a", 1);
        CHECK(server.commands[0] == words{"AUTH", "ada", "p@ss"});
        CHECK(server.commands[1] == words{"SELECT", "2"});
        redis::client wrong(server.url(":secret@"));
        const std::string why = co_await redis_error_of(wrong.ping());
        CHECK(why == "AUTH: WRONGPASS invalid username-password pair or user is disabled.");
        redis::client without(server.url());
        CHECK(co_await redis_error_of(without.connect()) ==
              "PING: NOAUTH Authentication required.");
    });
}

RONDO_TEST("redis: a server that repeats the words of AUTH does not make the password known",
           "[redis]") {
    fake_redis server;
    server.answers = [](const words& command, fake_redis::peer&) -> std::optional<std::string> {
        if (command[0] != "AUTH") return std::nullopt;
        if (command.size() > 2)
            return resp::error("ERR unknown command 'AUTH', with args beginning with: '" +
                               command[1] + "' '" + command[2].substr(0, 5) + "'");
        return resp::error("ERR no " + command[1]);
    };
    co_await server.run([&]() -> task<> {
        redis::client named(server.url("ada:sesame-open@"));
        CHECK(co_await redis_error_of(named.ping()) == "AUTH: ERR unknown command 'AUTH'");
        redis::client nameless(server.url(":sesame-open@"));
        CHECK(co_await redis_error_of(nameless.ping()) == "AUTH: ERR");
    });
}

RONDO_TEST("redis: a server that is full, or no Redis, is no connection", "[redis]") {
    fake_redis server;
    std::string greeting = "HTTP/1.1 400 Bad Request\r\n\r\n";
    server.answers = [&](const words& command, fake_redis::peer&) -> std::optional<std::string> {
        if (command[0] == "PING" && !greeting.empty()) return greeting;
        return std::nullopt;
    };
    co_await server.run([&]() -> task<> {
        redis::client client(server.url());
        CHECK(co_await redis_error_of(client.ping()) ==
              "connect " + server.where().text() +
                  ": the server does not speak the protocol of Redis");
        greeting = resp::error("ERR max number of clients reached");
        CHECK_THROWS_AS(co_await client.ping(), redis::connection_error);
        greeting.clear();
        co_await client.ping();

        // A client that was connected waits until others have left.
        testing::reset_connections();
        co_await until([&] { return !client.is_connected(); });
        greeting = resp::error("ERR max number of clients reached");
        auto waiting = create_task(client.command("ECHO", "x"));
        co_await sleep(5s);
        CHECK_FALSE(waiting.done());
        greeting.clear();
        CHECK(co_await waiting == "x");
    });
}

RONDO_TEST("redis: commands that would change the connection of all are refused", "[redis]") {
    redis::client client("redis://nowhere");
    for (const char* each :
         {"subscribe a", "MULTI", "SELECT 1", "auth x", "client reply off", "MONITOR", "wait 1 0",
          "WAITAOF 1 0 0", "readonly", "CLIENT NO-TOUCH on"}) {
        INFO(each);
        const std::string why = co_await redis_error_of(client.command(each));
        CHECK(why.find(" is not sent: ") != std::string::npos);
    }
}

RONDO_TEST("redis: a command ends in all three forms of a cancellation", "[redis]") {
    fake_redis server;
    server.waits = [](words command, fake_redis::peer&) -> task<std::optional<std::string>> {
        if (command[0] == "SLOW") {
            co_await sleep(1s);
            co_return "+slow\r\n";
        }
        co_return std::nullopt;
    };
    co_await server.run([&]() -> task<> {
        redis::client client(server.url());
        co_await client.ping();
        const auto slow = [&] { return client.command("SLOW"); };
        co_await check_cancelled_before(slow);
        co_await check_cancelled_while_suspended(slow);
        // Its reply is still to come, and must not be given to another command.
        const auto mine = co_await client.command("ECHO", "mine");
        CHECK(mine == "mine");
        // A reply that has come is returned.
        observed seen;
        auto echo = create_task(observe([&] { return client.command("ECHO", "x"); }, &seen));
        co_await yield_now();
        while (echo.state() == task_state::waiting) co_await yield_now();
        echo.cancel();
        try {
            co_await echo;
        } catch (const future_cancelled&) {
        }
        CHECK(seen.first == outcome_of_wait::value);
        CHECK(seen.next_threw);
        const auto last = co_await client.command("ECHO", "last");
        CHECK(last == "last");
        CHECK(server.connections == 1);
    });
}

RONDO_TEST("redis: connecting ends in all three forms of a cancellation", "[redis]") {
    fake_redis server;
    co_await server.run([&]() -> task<> {
        redis::client client(server.url());
        const auto connect = [&] { return client.connect(); };
        const auto ping = [&] { return client.ping(); };
        co_await check_cancelled_before(ping);
        CHECK(server.connections == 0);
        testing::cut_off(server.where());
        co_await check_cancelled_while_suspended(ping);
        co_await check_cancelled_while_suspended(connect);
        testing::restore(server.where());
        co_await client.ping();
        CHECK(server.connections == 1);
    });
}

RONDO_TEST("redis: a command that blocks has a connection of its own, and can be cancelled",
           "[redis]") {
    fake_redis server;
    co_await server.run([&]() -> task<> {
        redis::client client(server.url());
        const auto pop = [&] { return client.command("BLPOP", "list", 0); };
        auto waiting = create_task(pop());
        co_await until([&] { return server.connections == 2; });
        CHECK(co_await client.command("ECHO", "x") == "x");  // not held up
        co_await until([&] { return server.push("one"); });
        const auto one = co_await waiting;
        CHECK(one[1] == "one");

        co_await check_cancelled_before(pop);
        co_await check_cancelled_while_suspended(pop);
        // The server has ended it, and the connection is used again.
        auto again = create_task(pop());
        co_await until([&] { return server.push("two"); });
        const auto two = co_await again;
        CHECK(two[1] == "two");
        CHECK(server.connections == 2);

        // It has taken something when it is cancelled: that is returned.
        observed seen;
        std::string got;
        const auto keep = [&]() -> task<> {
            auto reply = co_await pop();
            got = reply[1].text();
        };
        auto late = create_task(observe(keep, &seen));
        co_await until([&] { return server.push("three"); });
        late.cancel();
        try {
            co_await late;
        } catch (const future_cancelled&) {
        }
        CHECK(got == "three");
        CHECK(seen.first == outcome_of_wait::value);
        CHECK(seen.next_threw);
    });
}

RONDO_TEST("redis: a late request to end a command does not end the next one", "[redis]") {
    fake_redis server;
    server.waits = [](words command, fake_redis::peer&) -> task<std::optional<std::string>> {
        if (command[0] == "CLIENT" && command[1] == "UNBLOCK") co_await sleep(2s);
        co_return std::nullopt;
    };
    co_await server.run([&]() -> task<> {
        redis::client client(server.url());
        const auto pop = [&] { return client.command("BLPOP", "list", 0); };
        auto first = create_task(pop());
        co_await until([&] { return server.connections == 2; });
        co_await sleep(20ms);
        first.cancel();
        co_await sleep(20ms);
        CHECK(server.push("one"));
        try {
            co_await first;
        } catch (const future_cancelled&) {
        }
        auto second = create_task(pop());
        co_await sleep(5s);
        CHECK_FALSE(second.done());
        CHECK(server.push("two"));
        const auto two = co_await second;
        CHECK(two[1] == "two");
    });
}

RONDO_TEST("redis: the names of a group and a consumer are not taken for options", "[redis]") {
    fake_redis server;
    server.answers = [](const words& command, fake_redis::peer&) -> std::optional<std::string> {
        return command[0] == "XREADGROUP" ? std::optional(resp::nil) : std::nullopt;
    };
    co_await server.run([&]() -> task<> {
        redis::client client(server.url());
        co_await client.command("XREADGROUP GROUP block streams STREAMS", "s", ">");
        CHECK(server.connections == 1);
        co_await client.command("XREADGROUP GROUP g streams BLOCK 10 STREAMS", "s", ">");
        CHECK(server.connections == 2);
        co_await client.command("XREADGROUP COUNT 1 BLOCK 10 GROUP g c STREAMS", "s", ">");
        CHECK(server.connections == 2);
    });
}

RONDO_TEST("redis: a lost connection fails the commands that were sent, and is made again",
           "[redis]") {
    fake_redis server;
    server.answers = [](const words& command, fake_redis::peer&) -> std::optional<std::string> {
        if (command[0] == "DIE") return "hang up";
        return std::nullopt;
    };
    co_await server.run([&]() -> task<> {
        redis::client client(server.url());
        co_await client.ping();
        auto first = create_task(client.command("DIE"));
        auto second = create_task(client.command("ECHO", "x"));
        const std::string why = co_await redis_error_of(shield(first));
        CHECK(why.find(": the connection was lost, and the server may have run the command: ") !=
              std::string::npos);
        CHECK_THROWS_AS(co_await second, redis::connection_lost);
        CHECK(co_await client.command("ECHO", "again") == "again");
        CHECK(server.connections == 2);
    });
}

RONDO_TEST("redis: commands wait for a server that comes back, for a while", "[redis]") {
    fake_redis server;
    co_await server.run([&]() -> task<> {
        redis::client client(server.url(), {.connect = 500ms, .reconnect = 20s});
        co_await client.ping();
        testing::reset_connections();
        testing::cut_off(server.where());
        co_await until([&] { return !client.is_connected(); });
        auto waiting = create_task(client.command("ECHO", "x"));
        co_await sleep(10s);
        CHECK_FALSE(waiting.done());
        testing::restore(server.where());
        CHECK(co_await waiting == "x");

        testing::reset_connections();
        testing::cut_off(server.where());
        co_await until([&] { return !client.is_connected(); });
        const auto began = running_loop().time();
        CHECK_THROWS_AS(co_await client.ping(), redis::connection_error);
        CHECK(running_loop().time() - began >= 20s);
        CHECK(running_loop().time() - began < 23s);
        testing::restore(server.where());
    });
}

RONDO_TEST("redis: the first connection is tried once", "[redis]") {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const auto where = listener.local();
    co_await listener.close();
    redis::client client("redis://" + where.text());
    const std::string why = co_await redis_error_of(client.ping());
    CHECK(why == "connect " + where.text() + ": Connection refused");
}

RONDO_TEST("redis: a server that reads its data is waited for", "[redis]") {
    fake_redis server;
    int loading = 3;
    server.answers = [&](const words&, fake_redis::peer&) -> std::optional<std::string> {
        if (loading == 0) return std::nullopt;
        --loading;
        return resp::error("LOADING Redis is loading the dataset in memory");
    };
    co_await server.run([&]() -> task<> {
        redis::client client(server.url());
        co_await client.ping();
        CHECK(server.connections == 4);
    });
}

RONDO_TEST("redis: a server that owes a reply and is silent is given up", "[redis]") {
    fake_redis server;
    server.waits = [](words command, fake_redis::peer&) -> task<std::optional<std::string>> {
        if (command[0] == "HANG") co_await sleep(9h);
        co_return std::nullopt;
    };
    co_await server.run([&]() -> task<> {
        redis::client client(server.url(), {.reply = 5s});
        co_await client.ping();
        co_await sleep(1h);  // idle is not silent
        const auto began = running_loop().time();
        const std::string why = co_await redis_error_of(client.command("HANG"));
        CHECK(why.find("owed replies and sent nothing: timed out after 5s") != std::string::npos);
        CHECK(running_loop().time() - began < 6s);
        co_await client.ping();
    });
}

RONDO_TEST("redis: a reply that is too large, or has no request, ends the connection",
           "[redis]") {
    fake_redis server;
    server.answers = [](const words& command, fake_redis::peer&) -> std::optional<std::string> {
        if (command[0] == "LARGE") return "$2000\r\n" + std::string(2000, 'x') + "\r\n";
        if (command[0] == "TWO") return "+one\r\n+two\r\n";
        return std::nullopt;
    };
    co_await server.run([&]() -> task<> {
        redis::client client(server.url(), {.reply_bytes = 1000});
        CHECK_THROWS_AS(co_await client.command("LARGE"), redis::protocol_error);
        CHECK(co_await client.command("TWO") == "one");
        co_await until([&] { return !client.is_connected(); });
        CHECK(co_await client.command("ECHO", "x") == "x");
        CHECK(server.connections == 3);
    });
}

RONDO_TEST("redis: a client that is destroyed fails the commands that wait", "[redis]") {
    fake_redis server;
    server.waits = [](words command, fake_redis::peer&) -> task<std::optional<std::string>> {
        if (command[0] == "HANG") co_await sleep(9h);
        co_return std::nullopt;
    };
    co_await server.run([&]() -> task<> {
        std::optional<redis::client> client(server.url());
        auto first = create_task(client->command("HANG"));
        auto second = create_task(client->command("BLPOP", "a", 0));
        co_await until([&] { return server.connections == 2; });
        co_await sleep(10ms);
        client.reset();
        CHECK_THROWS_AS(co_await first, redis::connection_lost);
        CHECK_THROWS_AS(co_await second, redis::connection_lost);
    });
}

RONDO_TEST("redis: large commands do not fill the memory of a client whose server is slow",
           "[redis]", seeds(2)) {
    fake_redis server;
    co_await server.run([&]() -> task<> {
        redis::client client(server.url());
        const std::string large(std::size_t{1} << 20, 'x');
        std::vector<task<redis::value>> asked;
        for (int i = 0; i < 7; ++i) asked.push_back(client.command("ECHO", large));
        const auto answers = co_await gather(std::move(asked));
        for (const auto& each : answers) CHECK(each.text().size() == large.size());
    });
}
