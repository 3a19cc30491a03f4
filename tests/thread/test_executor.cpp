// SPDX-License-Identifier: MIT
// to_thread: results, and the start and end of the pool's threads; test_executor_cancel.cpp has the
// cancellations. Tests that need threads that really run at the same time are [kernel].
#include <rondo/executor.hpp>

#include <poll.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <new>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/child.hpp"
#include "support/count_allocations.hpp"
#include "support/rondo_test.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using thread_id = std::thread::id;

int add(int a, int b) { return a + b; }
thread_id where() { return std::this_thread::get_id(); }

// -- results --------------------------------------------------------------------------------------

RONDO_TEST("to_thread: gives the result of the call", "[executor][both]") {
    const int sum = co_await to_thread(add, 3, 4);
    REQUIRE(sum == 7);
    int touched = 0;
    co_await to_thread([&] { touched = 1; });
    REQUIRE(touched == 1);
}

RONDO_TEST("to_thread: a result and arguments may be move-only", "[executor][both]") {
    auto number = std::make_unique<int>(5);
    auto job = to_thread(
        [](std::unique_ptr<int> n) {
            ++*n;
            return n;
        },
        std::move(number));
    const std::unique_ptr<int> result = co_await job;
    REQUIRE(*result == 6);
    REQUIRE(number == nullptr);
}

RONDO_TEST("to_thread: a reference comes back as one", "[executor][both]") {
    std::string text = "abc";
    auto& same = co_await to_thread([](std::string& t) -> std::string& { return t += "d"; },
                                    std::ref(text));
    REQUIRE(&same == &text);
    REQUIRE(text == "abcd");
}

RONDO_TEST("to_thread: arguments are copied, and live until the call has ended",
           "[executor][both]") {
    std::string text(100, 'x');
    auto job = to_thread([](const std::string& t) { return t.size(); }, text);
    text.clear();
    const std::size_t size = co_await job;
    REQUIRE(size == 100);
}

RONDO_TEST("to_thread: takes a member function, and a closure that owns something by name",
           "[executor][both]") {
    const std::string text(50, 'y');
    const std::size_t size = co_await to_thread(&std::string::size, text);
    REQUIRE(size == 50);
    auto job = to_thread([text] { return text.size(); });
    const std::size_t same = co_await job;
    REQUIRE(same == 50);
}

struct odd_error : std::runtime_error {
    using std::runtime_error::runtime_error;
    int number = 17;
};

RONDO_TEST("to_thread: an exception arrives as the type it is", "[executor][both]") {
    int seen = 0;
    try {
        co_await to_thread([]() -> int { throw odd_error("odd"); });
    } catch (const odd_error& error) {
        seen = error.number;
    }
    REQUIRE(seen == 17);
    try {
        co_await to_thread([] { throw 4; });
    } catch (int number) {
        seen = number;
    }
    REQUIRE(seen == 4);
}

RONDO_TEST("to_thread: a callable that takes a stop_token gets one, others do not",
           "[executor][both]") {
    const int with = co_await to_thread(
        [](const std::stop_token& stop, int n) { return stop.stop_possible() ? n : -1; }, 8);
    const int without = co_await to_thread([](int n) { return n; }, 9);
    REQUIRE(with == 8);
    REQUIRE(without == 9);
}

RONDO_TEST("to_thread: works inside wait_for", "[executor][both]") {
    const int sum = co_await wait_for(1h, to_thread(add, 1, 2));
    REQUIRE(sum == 3);
}

// -- the pool -------------------------------------------------------------------------------------

TEST_CASE("to_thread: loops on threads of their own have pools of their own", "[executor]") {
    std::atomic<long> sum{0};
    std::atomic<int> failed{0};
    testing::leak_probe probe;
    auto many = [](std::atomic<long>& s) -> task<> {
        running_loop().set_default_executor(thread_pool(2));
        for (long i = 1; i <= 200; ++i)
            s += co_await to_thread([](long n) { return n; }, i);
    };
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 8; ++i)
            threads.emplace_back([&] {
                try {
                    loop own;
                    own.run_until_complete(many(sum));
                } catch (...) {
                    ++failed;
                }
            });
    }
    REQUIRE(failed == 0);
    REQUIRE(sum == 8 * 20'100);
    REQUIRE(probe.leaks() == "");
}

TEST_CASE("set_default_executor: with a pool that runs a job, the loop's end asks the job to stop",
          "[executor]") {
    testing::leak_probe probe;
    std::atomic<bool> began = false;
    thread_future<> job;
    {
        thread_pool pool(1);
        job = pool.submit([&began](std::stop_token asked) {
            began = true;
            while (!asked.stop_requested()) std::this_thread::yield();
        });
        while (!began) std::this_thread::yield();
        loop own;
        own.set_default_executor(std::move(pool));
    }
    REQUIRE(job.done());
    REQUIRE(probe.leaks() == "");
}

RONDO_TEST("to_thread: 10,000 at once", "[executor][both]", seeds(2).limit(60s)) {
    auto one = [](long n) -> task<long> {
        co_return co_await to_thread([](long m) { return m * 2; }, n);
    };
    std::vector<future<long>> all;
    for (long i = 0; i < 10'000; ++i) all.push_back(create_task(one(i)));
    long sum = 0;
    for (auto& f : all) sum += co_await f;
    REQUIRE(sum == 10'000L * 9'999L);
}

RONDO_TEST("to_thread: runs on a thread of the pool, which blocks the process's signals",
           "[executor][kernel]") {
    const thread_id there = co_await to_thread(where);
    REQUIRE(there != std::this_thread::get_id());
    const std::string name = co_await to_thread([] {
        char text[16] = "";
        ::pthread_getname_np(::pthread_self(), text, sizeof text);
        return std::string(text);
    });
    REQUIRE(name.starts_with("rondo-pool-"));
    const auto blocked = [](int number) {
        sigset_t now;
        ::pthread_sigmask(SIG_SETMASK, nullptr, &now);
        return ::sigismember(&now, number) == 1;
    };
    for (const int number : {SIGINT, SIGCHLD, SIGPIPE}) {
        const bool is = co_await to_thread(blocked, number);
        INFO("signal " << number);
        REQUIRE(is);
    }
    const bool segv = co_await to_thread(blocked, SIGSEGV);
    REQUIRE_FALSE(segv);
    REQUIRE_FALSE(blocked(SIGINT));
}

RONDO_TEST("to_thread: jobs begin in the order of the awaits", "[executor][kernel]") {
    running_loop().set_default_executor(thread_pool(1));
    std::vector<int> order;
    auto one = [](std::vector<int>& o, int n) -> task<> {
        co_await to_thread([&] { o.push_back(n); });
    };
    std::vector<future<>> all;
    for (int i = 0; i < 1'000; ++i) all.push_back(create_task(one(order, i)));
    for (auto& f : all) co_await f;
    std::vector<int> expected(1'000);
    std::iota(expected.begin(), expected.end(), 0);
    REQUIRE(order == expected);
}

// The barrier opens for three threads: with fewer this hangs.
RONDO_TEST("to_thread: starts one thread per job, up to the limit", "[executor][kernel]") {
    running_loop().set_default_executor(thread_pool(3));
    std::barrier<> three(3);
    std::atomic<int> running{0}, most{0};
    auto one = [](std::barrier<>& b, std::atomic<int>& r, std::atomic<int>& m) -> task<> {
        co_await to_thread([&] {
            const int now = ++r;
            for (int seen = m; seen < now && !m.compare_exchange_weak(seen, now);) {}
            b.arrive_and_wait();
            --r;
        });
    };
    std::vector<future<>> all;
    for (int i = 0; i < 30; ++i) all.push_back(create_task(one(three, running, most)));
    for (auto& f : all) co_await f;
    REQUIRE(most == 3);
}

RONDO_TEST("to_thread: a job's posts are called before its await resumes",
           "[executor][kernel]") {
    int called = 0;
    for (int i = 1; i <= 100; ++i) {
        co_await to_thread(
            [&](const remote& home) { home.call_soon_threadsafe([&called] { ++called; }); },
            running_loop().remote());
        REQUIRE(called == i);
    }
}

#ifndef RONDO_SANITIZED
RONDO_TEST("to_thread: allocates nothing", "[executor][kernel]") {
    running_loop().set_default_executor(thread_pool(1));
    for (int i = 0; i < 10; ++i) co_await to_thread(add, i, i);
    const std::size_t before = rondo_tests::allocations;
    long sum = 0;
    for (int i = 0; i < 1'000; ++i) sum += co_await to_thread(add, i, i);
    REQUIRE(rondo_tests::allocations == before);
    REQUIRE(sum == 999'000);
}
#endif

TEST_CASE("to_thread: an embedded loop is woken by the end of a job", "[executor]") {
    testing::world w(testing::ring_options{});
    auto two = []() -> task<int> {
        const int first = co_await to_thread(add, 1, 2);
        co_return first + co_await to_thread(add, 3, 4);
    };
    auto result = w.loop().create_task(two());
    while (!result.done()) {
        pollfd host{w.loop().fd(), POLLIN, 0};
        REQUIRE(::poll(&host, 1, 5'000) == 1);
        w.loop().poll();
    }
    REQUIRE(result.result() == 10);
    result = {};
    w.end();
}

// -- where threads cannot be had: the thread sanitizer starts none in a forked child --------------

#ifndef RONDO_THREAD_SANITIZED
void no_more_threads() {
    rondo_tests::forbid(SYS_clone3, EAGAIN);
    rondo_tests::forbid(SYS_clone, EAGAIN);
}

task<int> count_elsewhere(int jobs, thread_id there) {
    auto one = [](thread_id expected) -> task<bool> {
        co_return co_await to_thread(where) == expected;
    };
    std::vector<future<bool>> all;
    for (int i = 0; i < jobs; ++i) all.push_back(create_task(one(there)));
    int count = 0;
    for (auto& f : all) count += co_await f ? 1 : 0;
    co_return count;
}

TEST_CASE("to_thread: if no thread can be started, the call is made on the loop's own",
          "[executor]") {
    const auto end = rondo_tests::run_child([] {
        no_more_threads();
        loop own;
        const int here = own.run_until_complete(count_elsewhere(100, std::this_thread::get_id()));
        return here == 100 ? 0 : 1;
    });
    INFO(end.text);
    REQUIRE(end.exited());
}

TEST_CASE("to_thread: if no second thread can be started, the first one runs all jobs",
          "[executor]") {
    const auto end = rondo_tests::run_child([] {
        auto all = []() -> task<int> {
            const thread_id first = co_await to_thread(where);
            no_more_threads();
            co_return co_await count_elsewhere(100, first);
        };
        loop own;
        return own.run_until_complete(all()) == 100 ? 0 : 1;
    });
    INFO(end.text);
    REQUIRE(end.exited());
}
#endif

// -- on the simulator -----------------------------------------------------------------------------

task<std::string> order_of_ends() {
    std::string order;
    auto one = [](std::string& o, char name) -> task<> {
        co_await to_thread([] {});
        o += name;
    };
    std::vector<future<>> all;
    for (char name = 'a'; name <= 'j'; ++name) all.push_back(create_task(one(order, name)));
    for (auto& f : all) co_await f;
    co_return order;
}

TEST_CASE("to_thread: simulated, the order of ends comes from the seed alone", "[executor]") {
    std::vector<std::string> orders;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        const std::string order = testing::simulate(order_of_ends, {.seed = seed});
        REQUIRE(testing::simulate(order_of_ends, {.seed = seed}) == order);
        orders.push_back(order);
    }
    std::sort(orders.begin(), orders.end());
    REQUIRE(std::unique(orders.begin(), orders.end()) - orders.begin() > 15);
}

RONDO_TEST("to_thread: simulated, it runs on the loop's thread and takes virtual time",
           "[executor]") {
    const time_point start = running_loop().time();
    const thread_id there = co_await to_thread(where);
    REQUIRE(there == std::this_thread::get_id());
    REQUIRE(running_loop().time() > start);
}

}  // namespace
