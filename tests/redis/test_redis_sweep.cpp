// SPDX-License-Identifier: MIT
// The fault sweep over the client of Redis and the work queue: a fault at every operation and call
// of both sides. See sweep/fault_sweep.hpp.
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include <rondo/work_queue.hpp>

#include "redis/queue_model.hpp"
#include "sweep/fault_sweep.hpp"

namespace {

using namespace fault_sweep;
using rondo_tests::fake_redis;
using rondo_tests::queue_server;

task<> echo(redis::client* client, std::string mine, verdict* v) {
    const auto reply = co_await client->command("ECHO", mine);
    v->expect(reply == mine, "a command gets its own reply");
}

task<> set_and_get(verdict& v) {
    fake_redis server;
    co_await server.run([&]() -> task<> {
        redis::client client(server.url());
        co_await client.set("a", "one");
        const auto got = co_await client.get("a");
        v.expect(got == "one", "a value that was set is there");
        co_await client.close();
    });
}

task<> pipeline(verdict& v) {
    fake_redis server;
    co_await server.run([&]() -> task<> {
        redis::client client(server.url());
        std::vector<task<>> all;
        for (int i = 0; i < 5; ++i) all.push_back(echo(&client, std::to_string(i), &v));
        co_await gather(std::move(all));
    });
}

/// A lost connection is made again: the command after it gets its reply.
task<> one_after_another(verdict& v) {
    fake_redis server;
    co_await server.run([&]() -> task<> {
        redis::client client(server.url());
        co_await client.ping();
        for (int i = 0; i < 4; ++i) {
            try {
                co_await echo(&client, std::to_string(i), &v);
            } catch (const redis::connection_lost&) {
                v.expect(!client.is_connected(), "a lost connection is not used any more");
            }
        }
    });
}

task<> blocked_and_left(verdict& v) {
    fake_redis server;
    co_await server.run([&]() -> task<> {
        redis::client client(server.url());
        for (int i = 0; i < 2; ++i) {
            auto popping = client.command("BLPOP", "list", 0);
            const auto came = co_await move_on_after(100ms, std::move(popping));
            v.expect(!came, "there is nothing to pop");
            co_await echo(&client, "beside it", &v);
        }
    });
}

task<> whole_queue(verdict& v) {
    queue_server server;
    std::map<std::string, int> running, done;
    const auto job = [&](std::string, work_lease& lease) -> task<> {
        const std::string id = lease.id();
        v.expect(++running[id] == 1, "a worker runs a job once at a time");
        try {
            co_await sleep(10ms);
            ++done[id];
        } catch (...) {
            --running[id];
            throw;
        }
        --running[id];
    };
    co_await server.run([&]() -> task<> {
        auto queue = co_await work_queue::open(server.url(), "q");
        co_await queue.put("x", {.id = "a"});
        co_await queue.put("x", {.id = "b"});
        auto working = queue.work(2, job, {.until_empty = true});
        const auto result = co_await std::move(working);
        v.expect(done["a"] > 0 && done["b"] > 0, "jobs are done before the queue is empty");
        v.expect(result.dead == 0, "no job is dead");
    });
}

const scenario table[] = {
    {"set and get", set_and_get},
    {"blocked, and left", blocked_and_left},
    {"a pipeline", pipeline},
    {"one after another", one_after_another},
    {"a whole queue", whole_queue},
};

}  // namespace

TEST_CASE("redis sweep: a fault at every operation and call is an error at worst",
          "[redis][sweep]") {
    tally sum;
    const std::size_t count = rondo_tests::long_run() ? std::size(table) : 1;  // each takes seconds
    for (std::size_t i = 0; i < count; ++i) {
        INFO("scenario " << table[i].name);
        sweep(table[i], 1, sum);
    }
    for (const std::string& defect : sum.defects) FAIL_CHECK(defect);
    std::printf("redis sweep: %llu injected runs, %llu operations, %llu ended with an error\n",
                static_cast<unsigned long long>(sum.injected),
                static_cast<unsigned long long>(sum.operations),
                static_cast<unsigned long long>(sum.failed_runs));
    CHECK(sum.injected > count * 100);
    CHECK(sum.failed_runs > sum.injected / 10);
}
