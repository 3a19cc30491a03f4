// SPDX-License-Identifier: MIT
// ipc_queue: order, bounds, join, and consumers that are killed.
#include <rondo/ipc_queue.hpp>

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <rondo/executor.hpp>
#include <rondo/gather.hpp>

#include "support/core_tools.hpp"
#include "support/forked.hpp"

using namespace rondo_tests;

namespace {

using texts = ipc_queue<std::string>;

RONDO_TEST("ipc_queue: first in, first out, many times round the buffer; then the end",
           "[ipc_queue][kernel]") {
    texts q(64);
    for (int i = 0; i < 100; ++i) {
        co_await q.put(std::string(static_cast<std::size_t>(i % 30), 'a'));
        co_await q.put("b");
        CHECK(q.size() == 2);
        const auto first = co_await q.next();
        CHECK(first->size() == static_cast<std::size_t>(i % 30));
        const auto second = co_await q.next();
        CHECK(*second == "b");
        CHECK(q.unfinished() == 2);
        q.task_done();
        q.task_done();
    }
    CHECK_THROWS_AS(q.task_done(), invalid_state_error);
    CHECK_THROWS_AS(co_await q.put(std::string(100, 'x')), limit_error);
    co_await q.put("last");
    q.close();
    CHECK(q.closed());
    CHECK_THROWS_AS(co_await q.put("more"), queue_closed_error);
    CHECK_THROWS_AS(q.blocking_put("more"), queue_closed_error);
    const auto last = co_await q.next();
    CHECK(*last == "last");
    const auto end = co_await q.next();
    CHECK_FALSE(end);
    CHECK_FALSE(q.blocking_next());
}

TEST_CASE("ipc_queue: two consumer processes take 10,000 items each, and join waits for all",
          "[ipc_queue]") {
    testing::leak_probe probe;
    {
        ipc_queue<int> q(1000);
        ipc_queue<long> sums(1000);
        const auto consume = [&] {
            long sum = 0;
            while (auto one = q.blocking_next()) {
                sum += *one;
                q.task_done();
            }
            sums.blocking_put(sum);
        };
        forked one(consume), two(consume);
        long expected = 0;
        for (int i = 0; i < 20'000; ++i) {
            q.blocking_put(i);
            expected += i;
        }
        q.blocking_join();
        CHECK(q.unfinished() == 0);
        q.close();
        CHECK(one.wait() + two.wait() == 0);
        CHECK(*sums.blocking_next() + *sums.blocking_next() == expected);
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("ipc_queue: a killed consumer loses its items, and join throws that once",
          "[ipc_queue]") {
    ipc_queue<int> q(1000);
    for (int i = 0; i < 5; ++i) q.blocking_put(i);
    ipc_queue<int> taken(100);
    forked child([&] {
        q.blocking_next();
        q.blocking_next();
        q.blocking_next();
        q.task_done();
        taken.blocking_put(1);
        for (;;) ::pause();
    });
    taken.blocking_next();
    CHECK(q.unfinished() == 4);
    CHECK_FALSE(q.blocking_join_for(1ms));
    const int pid = child.pid();
    child.kill();
    q.blocking_next();
    q.task_done();
    q.blocking_next();
    try {
        q.blocking_join();
        FAIL("join did not throw");
    } catch (const lost_items_error& lost) {
        CHECK(lost.pid() == pid);
        CHECK(lost.items() == 2);
    }
    q.task_done();
    q.blocking_join();
}

TEST_CASE("ipc_queue: consumers and producers killed at any moment leave a valid queue",
          "[ipc_queue][stress]") {
    testing::leak_probe probe;
    {
        ipc_queue<std::vector<int>> q({.bytes = 300, .items = 5});
        const shared_memory memory(sizeof(std::atomic<int>));
        auto& done = memory.make<std::atomic<int>>(0, 0);  // items of all consumers
        std::size_t lost = 0;
        for (int round = 0; round < many(200, 40); ++round) {
            forked producer([&] {
                for (int i = 0;; ++i)
                    q.blocking_put(std::vector<int>(static_cast<std::size_t>(i % 10), i));
            });
            forked consumer([&] {
                for (;;) {
                    const auto one = q.blocking_next();
                    for (const int each : *one)
                        if (each % 10 != static_cast<int>(one->size())) ::_exit(1);
                    q.task_done();
                    ++done;
                }
            });
            for (const int until = done + round % 40; done < until;) std::this_thread::yield();
            consumer.kill();
            producer.kill();
            while (q.size() != 0) {  // the remaining items are whole
                REQUIRE(q.size() <= 5);
                const auto one = q.blocking_next();
                for (const int each : *one) REQUIRE(each % 10 == static_cast<int>(one->size()));
                q.task_done();
            }
            try {
                q.blocking_join();
            } catch (const lost_items_error& error) {
                lost += error.items();
                REQUIRE(error.items() == 1);
                q.blocking_join();
            }
        }
        CHECK(lost <= static_cast<std::size_t>(many(200, 40)));
        CHECK(q.unfinished() == 0);
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("ipc_queue: memory without a queue is not adopted", "[ipc_queue]") {
    ipc_queue<int> q(100);
    auto same = ipc_queue<int>::adopt(::fcntl(q.number(), F_DUPFD_CLOEXEC, 0));
    same.blocking_put(4);
    CHECK(*q.blocking_next() == 4);
    same.task_done();  // counted for this process, through any handle
    const shared_memory other(100'000);
    CHECK_THROWS_AS(ipc_queue<int>::adopt(::fcntl(other.number(), F_DUPFD_CLOEXEC, 0)), error);
}

RONDO_TEST("ipc_queue: put, next and join are cancelled before they start and while they wait",
           "[ipc_queue][cancel][kernel]") {
    ipc_queue<int> q(12);
    co_await check_cancelled_before([&] { return q.next(); });
    co_await check_cancelled_while_suspended([&] { return q.next(); });
    co_await check_cancelled_before([&] { return q.put(1); });
    CHECK(q.size() == 0);
    co_await q.put(1);
    co_await check_cancelled_before([&] { return q.next(); });
    co_await check_cancelled_while_suspended([&] { return q.put(2); });
    co_await check_cancelled_before([&] { return q.join(); });
    co_await check_cancelled_while_suspended([&] { return q.join(); });
    CHECK(q.size() == 1);
    co_await q.next();
    co_await check_cancelled_while_suspended([&] { return q.join(); });
    q.task_done();
    co_await q.join();
}

RONDO_TEST("ipc_queue: an item put while its taker is cancelled is taken exactly once",
           "[ipc_queue][cancel][kernel]") {
    ipc_queue<int> q(100);
    const auto take = [](ipc_queue<int>* from, int* got) -> task<> {
        *got = *(co_await from->next());
    };
    for (int round = 1; round <= many(300, 60); ++round) {
        int got = 0;
        auto waits = create_task(take(&q, &got));
        co_await finish(round % 4);
        q.blocking_put(round);
        waits.cancel();
        co_await gather_settled(waits);
        if (got == 0) got = *(co_await q.next());
        REQUIRE(got == round);
        q.task_done();
        REQUIRE(q.unfinished() == 0);
    }
}

RONDO_TEST("ipc_queue: a bound in items, and what does not wait", "[ipc_queue][cancel][kernel]") {
    ipc_queue<int> q({.items = 2});
    CHECK(q.empty());
    CHECK_FALSE(q.full());
    CHECK_FALSE(q.try_get());
    CHECK(q.try_put(1));
    co_await q.put(2);
    CHECK(q.full());
    CHECK_FALSE(q.empty());
    CHECK_FALSE(q.try_put(3));
    co_await check_cancelled_before([&] { return q.put(3); });
    co_await check_cancelled_while_suspended([&] { return q.put(3); });
    auto same = ipc_queue<int>::adopt(::fcntl(q.number(), F_DUPFD_CLOEXEC, 0));
    CHECK_FALSE(same.try_put(3));  // the bound is the queue's
    auto third = create_task(q.put(3));
    co_await finish();
    CHECK(*same.try_get() == 1);
    co_await third;
    CHECK(q.size() == 2);
    CHECK(q.unfinished() == 3);
    q.close();
    CHECK_THROWS_AS(q.try_put(4), queue_closed_error);
    CHECK(*q.try_get() == 2);
    CHECK(*q.try_get() == 3);
    CHECK_FALSE(q.try_get());

    ipc_queue<int> small({.bytes = 16, .items = 100});  // the bytes bound it first
    CHECK(small.try_put(1));
    CHECK_FALSE(small.full());
    CHECK(small.try_put(2));
    CHECK(small.full());
    CHECK_FALSE(small.try_put(3));
    CHECK_THROWS_AS(ipc_queue<int>({.items = static_cast<std::size_t>(-1)}), limit_error);
}

RONDO_TEST("ipc_queue: tasks on both sides", "[ipc_queue][kernel]") {
    ipc_queue<int> q(40);
    const auto produce = [](ipc_queue<int>* to) -> task<> {
        for (int i = 0; i < 500; ++i) co_await to->put(i);
        co_await to->join();
        to->close();
    };
    const auto consume = [](ipc_queue<int>* from) -> task<long> {
        long sum = 0;
        while (auto one = co_await from->next()) {
            sum += *one;
            from->task_done();
        }
        co_return sum;
    };
    const auto [none, sum] = co_await gather(produce(&q), consume(&q));
    CHECK(sum == 499L * 500 / 2);
}

task<> take_one(ipc_queue<int>* from) {
    co_await from->next();
    from->task_done();
}

RONDO_TEST("ipc_queue: waiting tasks use no thread of the pool", "[ipc_queue][kernel]") {
    ipc_queue<int> q(1000);
    std::vector<future<>> waits;
    for (int i = 0; i < 50; ++i) waits.push_back(create_task(take_one(&q)));
    co_await finish();
    const int answer = co_await to_thread([] { return 7; });
    CHECK(answer == 7);
    for (int i = 0; i < 50; ++i) co_await q.put(i);
    co_await q.join();
    for (auto& one : waits) co_await one;
}

RONDO_TEST("ipc_queue: a task that never has to wait still lets others run",
           "[ipc_queue][kernel]") {
    ipc_queue<int> q(100);
    bool ran = false;
    auto other = create_task([](bool* r) -> task<> {
        *r = true;
        co_return;
    }(&ran));
    int rounds = 0;
    for (; !ran && rounds < 10'000; ++rounds) {
        co_await q.put(1);
        co_await q.next();
        q.task_done();
    }
    CHECK(rounds < 1'000);
    co_await other;
}

TEST_CASE("ipc_queue: an item of another type is an error, and counts as done", "[ipc_queue]") {
    ipc_queue<std::string> q(100);
    auto wrong = ipc_queue<int>::adopt(::fcntl(q.number(), F_DUPFD_CLOEXEC, 0));
    q.blocking_put("text");
    CHECK_THROWS_AS(wrong.blocking_next(), format_error);
    CHECK(q.unfinished() == 0);
    q.blocking_join();
}

TEST_CASE("ipc_queue: 20,000 times with overwritten memory", "[ipc_queue][fuzz]") {
    constexpr std::size_t after_the_lock = 64;  // closed, head and tail
    std::mt19937 random(13);
    const int cases = many(20'000, 5'000);
    int errors = 0;
    for (int i = 0; i < cases; ++i) {
        texts q(200);
        for (int n = 0; n < 5; ++n) q.blocking_put(std::string(random() % 20, 'x'));
        q.blocking_next();
        const auto memory = shared_memory::adopt(::fcntl(q.number(), F_DUPFD_CLOEXEC, 0));
        for (std::size_t n = 1 + random() % 3; n != 0; --n) {
            const std::size_t at = random() % 2 == 0 ? after_the_lock + random() % 24
                                                     : memory.size() - 1 - random() % 200;
            memory.bytes()[at] =
                static_cast<std::byte>(random() % 4 == 0 ? random() : random() % 3);
        }
        try {
            q.unfinished();
            while (q.size() != 0) q.blocking_next();
            q.blocking_join_for(0ms);
        } catch (const error&) {
            ++errors;
        }
    }
    CHECK(errors > cases / 20);
    CHECK(errors < cases);
}

}  // namespace

TEST_CASE("ipc_queue: size() ends while another process overwrites the memory", "[ipc_queue]") {
    constexpr std::size_t place_of_tail = 80;
    texts q(200);
    for (int n = 0; n < 5; ++n) q.blocking_put("some");
    const auto memory = shared_memory::adopt(::fcntl(q.number(), F_DUPFD_CLOEXEC, 0));
    auto* const tail =
        reinterpret_cast<volatile std::uint64_t*>(memory.bytes().data() + place_of_tail);
    REQUIRE(*tail == 5 * (4 + serialize(std::string("some")).size()));
    rondo_tests::forked other([&] {
        for (std::uint64_t value = 0;; value = (value + 7) % 200) *tail = value;
    });
    std::size_t most = 0;
    int damaged = 0;
    // Longer if the other process has not run meanwhile.
    const time_point until = time_point::clock::now() + 10s;
    for (int i = 0; i < many(20'000, 5'000) ||
                    (damaged == 0 && time_point::clock::now() < until);
         ++i) {
        try {
            most = std::max({most, q.size(), q.unfinished()});
        } catch (const error&) {
            ++damaged;
        }
    }
    CHECK(most <= 50);
    CHECK(damaged > 0);
}
