// SPDX-License-Identifier: MIT
// Leases of jobs against a model of the server, on virtual time: renewed, lost, too short.
#include <rondo/work_queue.hpp>

#include <string>
#include <vector>

#include "redis/work_tools.hpp"

using namespace rondo;
using namespace rondo_tests;
using namespace std::chrono_literals;

namespace {

task<> slow_end() { co_await sleep(2s); }

}  // namespace

RONDO_TEST("work_queue: leases are renewed; a job whose worker vanished is taken over", "[redis]") {
    queue_server server;
    co_await server.run([&]() -> task<> {
        auto queue = co_await open_queue(server, {.lease = 3s});
        co_await queue.put("long", {.id = "long"});
        std::vector<unsigned> attempts;
        const auto job = [&](std::string, work_lease& lease) -> task<> {
            attempts.push_back(lease.attempt());
            co_await sleep(60s);
            CHECK(lease.remaining() > 1s);
        };
        const auto result = co_await queue.work(1, job, {.until_empty = true});
        CHECK(result.done == 1);
        CHECK(attempts == std::vector<unsigned>{1});
        CHECK(server.count("renew") >= 50);

        // A worker takes a job, and is never heard of again.
        co_await queue.put("left", {.id = "left"});
        server.model.step("take", {"ghost:lease=3000", "1", "5", "3000", "1000", "", "0"}, {});
        const auto began = running_loop().time();
        co_await queue.work(1, job, {.until_empty = true});
        CHECK(attempts.back() == 2);
        CHECK(running_loop().time() - began >= 63s);
        CHECK(running_loop().time() - began < 65s);
    });
}

RONDO_TEST("work_queue: a job is cancelled before another worker may begin it", "[redis]") {
    queue_server server;
    co_await server.run([&]() -> task<> {
        quietly();
        auto queue = co_await open_queue(server, {.lease = 10s});
        co_await queue.put("x");
        time_point cancelled_at{};
        bool was_lost = false;
        std::string why;
        auto working = create_task(queue.work(1, [&](std::string, work_lease& lease) -> task<> {
            try {
                co_await sleep(1h);
            } catch (const cancelled&) {
                if (cancelled_at == time_point()) cancelled_at = running_loop().time();
                was_lost = lease.lost();
                why = lease.why();
                throw;
            }
        }));
        co_await sleep(20s);
        const auto cut = running_loop().time();
        testing::cut_off(server.where());
        co_await sleep(15s);
        CHECK(cancelled_at - cut >= 5s);
        CHECK(cancelled_at - cut <= 9s);  // the lease less a tenth, since the last renewal
        CHECK(was_lost);
        CHECK(why == "Redis did not answer until the lease had run out");
        testing::restore(server.where());
        co_await sleep(30s);  // it goes on by itself
        working.cancel();
        CHECK_THROWS_AS(co_await working, future_cancelled);
    });
}

RONDO_TEST("work_queue: a job whose lease is another worker's is told, and cannot end", "[redis]") {
    queue_server server;
    co_await server.run([&]() -> task<> {
        auto queue = co_await open_queue(server, {.lease = 3s});
        co_await queue.put("x");
        server.instead = [&](std::string_view step, const words& arguments)
            -> std::optional<std::string> {
            if (step != "renew") return std::nullopt;
            std::vector<std::string> none(arguments.size() / 3, resp::number(0));
            return resp::list(none);
        };
        std::string why;
        auto working = create_task(queue.work(1, [&](std::string, work_lease& lease) -> task<> {
            try {
                co_await sleep(1h);
            } catch (const cancelled&) {
                if (why.empty()) why = lease.why();
                throw;
            }
        }));
        co_await until([&] { return !why.empty(); });
        CHECK(why == "another worker has its lease");
        server.instead = [&](std::string_view step, const words&) -> std::optional<std::string> {
            return step == "done" ? std::optional(resp::number(0)) : std::nullopt;
        };
        working.cancel();
        CHECK_THROWS_AS(co_await working, future_cancelled);
        work_result result;
        const auto refused = [&]() -> task<> {
            result = co_await queue.work(
                1, [](std::string) -> task<> { co_return; }, {.until_empty = true});
        };
        co_await move_on_after(5s, refused());
        CHECK(server.count("done") >= 1);
        CHECK(server.model.size() == 1);
    });
}

RONDO_TEST("work_queue: a job is not lost by one slow answer, with the shortest lease", "[redis]") {
    queue_server server;
    co_await server.run([&]() -> task<> {
        auto queue = co_await open_queue(server, {.lease = 1s});
        co_await queue.put("x");
        const auto slow_until = running_loop().time() + 400ms;
        server.is_cut_off = [&](const auto&) { return running_loop().time() < slow_until; };
        unsigned attempts = 0;
        const auto result = co_await queue.work(
            1, [&](std::string, work_lease&) -> task<> {
                ++attempts;
                co_await sleep(5s);
            },
            {.until_empty = true});
        CHECK(attempts == 1);
        CHECK(result.done == 1);
        CHECK(result.lost == 0);
    });
}

RONDO_TEST("work_queue: a job does not begin while Redis is too slow for its lease", "[redis]") {
    queue_server server;
    co_await server.run([&]() -> task<> {
        std::vector<std::string> reports;
        running_loop().set_exception_handler(
            [&](const exception_context& what) { reports.push_back(what.message); });
        auto queue = co_await open_queue(server, {.lease = 1s});
        co_await queue.put("x");
        const auto slow_until = running_loop().time() + 10s;
        int looks = 0;
        server.is_cut_off = [&](const auto&) {  // each command waits for 200 ms
            return running_loop().time() < slow_until && ++looks % 11 != 0;
        };
        std::vector<unsigned> attempts;
        const auto result = co_await queue.work(
            1, [&](std::string, work_lease& lease) -> task<> {
                CHECK(running_loop().time() >= slow_until - 200ms);
                attempts.push_back(lease.attempt());
                co_await sleep(5s);
            },
            {.until_empty = true});
        running_loop().set_exception_handler({});
        CHECK(attempts == std::vector<unsigned>{1});
        CHECK(result.done == 1);
        const std::string slow = "work_queue q: jobs are given back before they begin";
        CHECK(std::count(reports.begin(), reports.end(), slow) >= 1);
    });
}

RONDO_TEST("work_queue: a job that a worker has is not begun beside itself", "[redis]") {
    queue_server server;
    co_await server.run([&]() -> task<> {
        auto queue = co_await open_queue(server);
        co_await queue.put("x");
        int running = 0, begun = 0;
        std::string why;
        auto working = create_task(queue.work(3, [&](std::string, work_lease& lease) -> task<> {
            CHECK(++running == 1);
            if (++begun == 2) {
                --running;
                co_return;
            }
            try {
                co_await sleep(1h);
            } catch (const cancelled&) {
                why = lease.why();
            }
            co_await shield(slow_end());
            --running;
            co_await sleep(1h);  // it is still cancelled
        }));
        co_await until([&] { return begun == 1; });
        co_await sleep(1s);  // others wait in a blocked read
        server.model.lose_deliveries();
        co_await until([&] { return begun == 2; });
        CHECK(why == "Redis has lost data, and gave it to this worker again");
        co_await until([&] { return server.model.size() == 0; });
        working.cancel();
        CHECK_THROWS_AS(co_await working, future_cancelled);
    });
}
