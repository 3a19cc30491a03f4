// SPDX-License-Identifier: MIT
// The queue against a model of the server, on virtual time: how jobs begin and end, cancellation,
// and connections that are lost.
#include <rondo/work_queue.hpp>

#include <map>
#include <string>
#include <vector>

#include "redis/work_tools.hpp"
#include "support/child.hpp"

using namespace rondo;
using namespace rondo_tests;
using namespace std::chrono_literals;

RONDO_TEST("work_queue: a job is put once for its id, and done once", "[redis]") {
    queue_server server;
    co_await server.run([&]() -> task<> {
        auto queue = co_await open_queue(server);
        CHECK(queue.durability() == durability::always);
        CHECK(co_await queue.put("one", {.id = "a"}) == put_result::added);
        CHECK(co_await queue.put("two", {.id = "a"}) == put_result::known);
        std::vector<work_item> items;
        for (int i = 0; i < 250; ++i)
            items.push_back({.payload = "p" + std::to_string(i), .id = std::to_string(i % 240)});
        const auto results = co_await queue.put_many(std::move(items));
        CHECK(std::count(results.begin(), results.end(), put_result::added) == 240);
        std::map<std::string, int> seen;
        const auto result = co_await queue.work(
            7, [&](std::string payload) -> task<> {
                ++seen[payload];
                co_await sleep(10ms);
            },
            {.until_empty = true});
        CHECK(result.done == 241);
        CHECK(seen.size() == 241);
        CHECK(seen["one"] == 1);
        const auto stats = co_await queue.stats();
        CHECK(stats.waiting + stats.leased + stats.later + stats.dead == 0);
        CHECK(co_await queue.put("again", {.id = "a"}) == put_result::known);
        CHECK(co_await queue.forget("a"));
        CHECK(co_await queue.put("again", {.id = "a"}) == put_result::added);
    });
}

RONDO_TEST("work_queue: jobs that are put while others wait for them begin at once", "[redis]") {
    queue_server server;
    co_await server.run([&]() -> task<> {
        auto queue = co_await open_queue(server);
        std::vector<time_point> begun;
        auto working = create_task(queue.work(2, [&](std::string, work_lease& lease) -> task<> {
            CHECK(lease.attempt() == 1);
            begun.push_back(running_loop().time());
            co_return;
        }));
        for (int i = 0; i < 5; ++i) {
            co_await sleep(3s);
            const auto now = running_loop().time();
            co_await queue.put("x");
            co_await until([&] { return begun.size() == static_cast<std::size_t>(i) + 1; });
            CHECK(begun.back() - now < 20ms);  // a few round trips
        }
        co_await queue.put("later", {.delay = 10s});
        const auto now = running_loop().time();
        co_await until([&] { return begun.size() == 6; });
        CHECK(begun.back() - now >= 10s - 5ms);
        CHECK(begun.back() - now < 11s + 50ms);
        working.cancel();
        CHECK_THROWS_AS(co_await working, future_cancelled);
    });
}

RONDO_TEST("work_queue: a job that throws is repeated later, and dead in the end", "[redis]") {
    queue_server server;
    co_await server.run([&]() -> task<> {
        auto queue = co_await open_queue(server, {.attempts = 3, .backoff = {1s, 1min}});
        co_await queue.put("throws", {.id = "a"});
        co_await queue.put("fails", {.id = "b"});
        co_await queue.put("recovers", {.id = "c"});
        std::vector<time_point> attempts;
        std::uint64_t fence = 0;
        const auto result = co_await queue.work(
            4, [&](std::string payload, work_lease& lease) -> task<> {
                CHECK(lease.fence() > fence);
                fence = lease.fence();
                if (payload == "fails") throw work_failed("no use");
                if (payload == "recovers" && lease.attempt() == 2) co_return;
                if (payload == "throws") {
                    attempts.push_back(running_loop().time());
                    CHECK(lease.attempt() == attempts.size());
                }
                throw std::runtime_error("it broke");
            },
            {.until_empty = true});
        CHECK(result.done == 1);
        CHECK(result.dead == 2);
        CHECK(result.retried == 3);
        REQUIRE(attempts.size() == 3);
        CHECK(attempts[1] - attempts[0] >= 500ms);  // up to half is left out
        CHECK(attempts[1] - attempts[0] < 2100ms);
        CHECK(attempts[2] - attempts[1] >= 1s);
        CHECK(server.model.dead_ids() == words{"a", "b"});
        CHECK(co_await queue.revive("a"));
        CHECK_FALSE(co_await queue.revive("a"));
        unsigned again = 0;
        co_await queue.work(
            1, [&](std::string, work_lease& lease) -> task<> {
                again = lease.attempt();
                co_return;
            },
            {.until_empty = true});
        CHECK(again == 1);
    });
}

RONDO_TEST("work_queue: work that is cancelled gives its jobs back at once", "[redis]") {
    queue_server server;
    co_await server.run([&]() -> task<> {
        auto queue = co_await open_queue(server);
        for (int i = 0; i < 5; ++i) co_await queue.put("x", {.id = std::to_string(i)});
        int begun = 0;
        std::string why;
        const auto job = [&](std::string, work_lease& lease) -> task<> {
            CHECK(lease.attempt() == 1);
            ++begun;
            try {
                co_await sleep(1h);
            } catch (const cancelled&) {
                CHECK_FALSE(lease.lost());
                why = lease.why();
                throw;
            }
        };
        auto working = create_task(queue.work(3, job));
        co_await until([&] { return begun == 3; });
        const auto now = running_loop().time();
        working.cancel();
        CHECK_THROWS_AS(co_await working, future_cancelled);
        CHECK(running_loop().time() - now < 100ms);
        CHECK(why == "the worker is stopping");
        const auto stats = co_await queue.stats();
        CHECK(stats.waiting == 5);
        CHECK(stats.leased == 0);
        // In the two other forms: before it begins, and in its blocked read.
        const auto work = [&] { return queue.work(3, job); };
        co_await check_cancelled_before(work);
        CHECK(begun == 3);
        co_await queue.work(
            5, [](std::string) -> task<> { co_return; }, {.until_empty = true});
        auto idle = create_task(work());
        co_await sleep(10s);
        idle.cancel();
        CHECK_THROWS_AS(co_await idle, future_cancelled);
    });
}

RONDO_TEST("work_queue: jobs have the grace time to end", "[redis]") {
    queue_server server;
    co_await server.run([&]() -> task<> {
        auto queue = co_await open_queue(server);
        co_await queue.put("short");
        co_await queue.put("long");
        std::vector<std::string> ended;
        auto working = create_task(queue.work(
            2, [&](std::string payload) -> task<> {
                if (payload == "short")
                    co_await sleep(3s);
                else
                    co_await sleep(1h);
                ended.push_back(payload);
            },
            {.grace = 5s}));
        co_await sleep(1s);
        const auto now = running_loop().time();
        working.cancel();
        CHECK_THROWS_AS(co_await working, future_cancelled);
        CHECK(running_loop().time() - now >= 5s);
        CHECK(running_loop().time() - now < 6s);
        CHECK(ended == words{"short"});
        CHECK(server.model.size() == 1);
    });
}

RONDO_TEST("work_queue: a put whose reply is lost is repeated, and still knows what it added",
           "[redis]") {
    queue_server server;
    co_await server.run([&]() -> task<> {
        auto queue = co_await open_queue(server);
        int lost = 3;
        server.instead = [&](std::string_view step, const words& arguments)
            -> std::optional<std::string> {
            if (step != "put" || lost == 0) return std::nullopt;
            --lost;
            server.model.step(step, arguments, {});  // it runs, without a reply
            return "hang up";
        };
        CHECK(co_await queue.put("x", {.id = "a"}) == put_result::added);
        CHECK(lost == 0);
        CHECK(co_await queue.put("x", {.id = "a"}) == put_result::known);
        CHECK(server.model.size() == 1);
    });
}

RONDO_TEST("work_queue: a job whose delivery was lost is given back without an attempt",
           "[redis]") {
    queue_server server;
    co_await server.run([&]() -> task<> {
        quietly();
        auto queue = co_await open_queue(server);
        co_await queue.put("x");
        int lost = 2;
        server.instead = [&](std::string_view step, const words& arguments)
            -> std::optional<std::string> {
            if (step != "take" || lost == 0) return std::nullopt;
            --lost;
            server.model.step(step, arguments, {});
            return "hang up";
        };
        unsigned attempt = 0;
        const auto began = running_loop().time();
        co_await queue.work(
            1, [&](std::string, work_lease& lease) -> task<> {
                attempt = lease.attempt();
                co_return;
            },
            {.until_empty = true});
        CHECK(attempt == 1);
        CHECK(running_loop().time() - began < 5s);  // and before the lease runs out
    });
}

RONDO_TEST("work_queue: a job that was delivered and could not begin is given back", "[redis]") {
    queue_server server;
    co_await server.run([&]() -> task<> {
        quietly();
        auto queue = co_await open_queue(server);
        server.instead = [&](std::string_view step, const words&) -> std::optional<std::string> {
            if (step != "begin" || server.count("begin") > 1) return std::nullopt;
            return resp::error("OOM command not allowed when used memory > 'maxmemory'.");
        };
        unsigned attempt = 0;
        auto working = create_task(queue.work(1, [&](std::string, work_lease& lease) -> task<> {
            attempt = lease.attempt();
            co_return;
        }));
        co_await sleep(1s);  // it waits in a blocked read
        co_await queue.put("x");
        co_await sleep(5s);  // less than a lease
        CHECK(server.count("begin") >= 1);
        CHECK(attempt == 1);
        working.cancel();
        CHECK_THROWS_AS(co_await working, future_cancelled);
    });
}

RONDO_TEST("work_queue: a job that comes after the cancellation is not begun", "[redis]") {
    queue_server server;
    co_await server.run([&]() -> task<> {
        auto queue = co_await open_queue(server);
        co_await queue.put("x");
        int begun = 0;
        future<work_result> working;
        server.instead = [&](std::string_view step, const words&) -> std::optional<std::string> {
            if (step == "take") working.cancel();
            return std::nullopt;
        };
        const auto job = [&](std::string) -> task<> {
            ++begun;
            co_return;
        };
        working = create_task(queue.work(1, job, {.grace = 1h}));
        CHECK_THROWS_AS(co_await working, future_cancelled);
        CHECK(begun == 0);
        CHECK(server.count("release") == 1);
        CHECK(server.model.size() == 1);
    });
}

RONDO_TEST("work_queue: an end that Redis refuses is reported", "[redis]") {
    queue_server server;
    co_await server.run([&]() -> task<> {
        std::vector<std::string> reports;
        running_loop().set_exception_handler(
            [&](const exception_context& what) { reports.push_back(what.message); });
        auto queue = co_await open_queue(server);
        co_await queue.put("x");
        server.instead = [&](std::string_view step, const words&) -> std::optional<std::string> {
            if (step != "done") return std::nullopt;
            return resp::error("NOPERM this user has no permissions");
        };
        auto working = queue.work(1, [](std::string) -> task<> { co_return; });
        co_await move_on_after(5s, std::move(working));
        running_loop().set_exception_handler({});
        CHECK(reports == std::vector<std::string>{
                             "work_queue q: Redis refused the end of a job"});
    });
}

RONDO_TEST("work_queue: options and payloads that make no sense are refused", "[redis]") {
    queue_server server;
    co_await server.run([&]() -> task<> {
        const std::string url = server.url();
        CHECK_THROWS_AS(co_await work_queue::open(url, ""), std::invalid_argument);
        CHECK_THROWS_AS(co_await work_queue::open(url, "a{b}"), std::invalid_argument);
        CHECK_THROWS_AS(co_await work_queue::open(url, "q", {.lease = 1ms}),
                        std::invalid_argument);
        CHECK_THROWS_AS(co_await work_queue::open(url, "q", {.attempts = 0}),
                        std::invalid_argument);
        // A put may be repeated for longer.
        CHECK_THROWS_AS(co_await work_queue::open(url, "q", {.remember = 1min}),
                        std::invalid_argument);
        CHECK_THROWS_AS(co_await work_queue::open("localhost", "q"), redis::url_error);
        redis::client narrow(url, {.reply_bytes = 1 << 20});
        CHECK_THROWS_AS(co_await work_queue::open(std::move(narrow), "q"), std::invalid_argument);
        auto queue = co_await open_queue(server, {.require = durability::always});
        CHECK_THROWS_AS(co_await queue.put(std::string(work_queue::payload_max + 1, 'x')),
                        limit_error);
        const std::string id(1025, 'x');
        CHECK_THROWS_AS(co_await queue.put("x", {.id = id}), std::invalid_argument);
        CHECK_THROWS_AS(co_await queue.work(0, [](std::string) -> task<> { co_return; }),
                        std::invalid_argument);
        server.answers = [](const words& command, fake_redis::peer&) -> std::optional<std::string> {
            if (command[0] == "CONFIG")
                return resp::list({resp::bulk("appendonly"), resp::bulk("no")});
            if (command[0] == "INFO") return resp::bulk("redis_version:7.2.4\r\n");
            return std::nullopt;
        };
        const auto asks = [&]() -> task<> {
            co_await work_queue::open(url, "q", {.require = durability::second});
        };
        const std::string why = co_await redis_error_of(asks());
        CHECK(why.find(" is none, and about a second is required") != std::string::npos);
    });
}

RONDO_TEST("work_queue: an error of the queue's own commands ends work, and its jobs", "[redis]") {
    queue_server server;
    co_await server.run([&]() -> task<> {
        auto queue = co_await open_queue(server);
        co_await queue.put("x");
        server.instead = [&](std::string_view step, const words&) -> std::optional<std::string> {
            if (step == "take" && server.count("take") > 1)
                return resp::error("NOPERM this user has no permissions");
            return std::nullopt;
        };
        bool was_cancelled = false;
        auto working = queue.work(2, [&](std::string) -> task<> {
            try {
                co_await sleep(1h);
            } catch (const cancelled&) {
                was_cancelled = true;
                throw;
            }
        });
        CHECK_THROWS_AS(co_await std::move(working), redis::reply_error);
        CHECK(was_cancelled);
        CHECK(server.model.size() == 1);
    });
}

TEST_CASE("work_queue: a queue that was moved from ends the program with a sentence", "[redis]") {
    const auto use = [](void (*call)(work_queue&)) {
        return run_child([call] {
            testing::simulate([call]() -> task<> {
                queue_server server;
                co_await server.run([&]() -> task<> {
                    auto queue = co_await open_queue(server);
                    const work_queue now(std::move(queue));
                    call(queue);
                });
            });
            return 0;
        });
    };
    for (const auto call : std::initializer_list<void (*)(work_queue&)>{
             [](work_queue& q) { static_cast<void>(q.put("x")); },
             [](work_queue& q) { static_cast<void>(q.stats()); },
             [](work_queue& q) { static_cast<void>(q.name()); },
             [](work_queue& q) { static_cast<void>(q.revive("x")); },
             [](work_queue& q) {
                 static_cast<void>(q.work(1, [](std::string) -> task<> { co_return; }));
             }}) {
        const child_end end = use(call);
        INFO(end.text);
        CHECK(end.aborted());
        CHECK(end.says("it was moved from"));
    }
}
