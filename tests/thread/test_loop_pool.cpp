// SPDX-License-Identifier: MIT
// loop_pool: results and errors of run and submit, and calls between its loops;
// test_loop_pool_end.cpp has the ends.
#include <rondo/loop_pool.hpp>

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <rondo/bridge.hpp>
#include <rondo/connect.hpp>
#include <rondo/serve.hpp>

#include "support/core_tools.hpp"
#include "support/executor_tools.hpp"
#include "support/loop_pool_tools.hpp"

using namespace rondo_tests;

namespace {

// -- run ------------------------------------------------------------------------------------------

TEST_CASE("loop_pool: has one loop per core, each on its own thread",
          "[loop_pool]") {
    const testing::leak_probe probe;
    {
        cpu_set_t usable;
        REQUIRE(::sched_getaffinity(0, sizeof usable, &usable) == 0);
        loop_pool cores;
        CHECK(cores.size() == static_cast<std::size_t>(CPU_COUNT(&usable)));
        const auto thread = []() -> task<std::thread::id> { co_return std::this_thread::get_id(); };
        auto threads = cores.run(thread);
        threads.push_back(std::this_thread::get_id());
        std::sort(threads.begin(), threads.end());
        CHECK(std::unique(threads.begin(), threads.end()) == threads.end());
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("loop_pool: run gives the values of the loops in their order", "[loop_pool]") {
    const testing::leak_probe probe;
    {
        loop_pool cores(3);
        CHECK(cores.run(index_here) == std::vector<std::size_t>{0, 1, 2});
        const auto owned = [](int n) -> task<std::unique_ptr<int>> {
            co_return std::make_unique<int>(n);
        };
        CHECK(*cores.run(owned, 5).at(2) == 5);
        CHECK(cores.run(index_here) == std::vector<std::size_t>{0, 1, 2});  // any number of times
        CHECK_THROWS_AS(loop_pool::current_index(), no_running_loop_error);
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("loop_pool: each loop gets its own copies", "[loop_pool]") {
    const testing::leak_probe probe;
    {
        loop_pool cores(3);
        const std::string text(100, 'x');
        std::atomic<int> seen{0};
        const auto changes = [text](std::string own, std::atomic<int>& count) -> task<> {
            own += std::to_string(loop_pool::current_index());
            co_await sleep(1ms);
            if (own == text + std::to_string(loop_pool::current_index())) ++count;
        };
        cores.run(changes, text, std::ref(seen));
        CHECK(seen == 3);
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("loop_pool: several threads may run at once", "[loop_pool]") {
    const testing::leak_probe probe;
    {
        loop_pool cores(2);
        std::atomic<int> failed{0};
        std::vector<std::thread> callers;
        for (int i = 0; i < 4; ++i)
            callers.emplace_back([&] {
                for (int n = 0; n < 20; ++n)
                    if (cores.run(index_here) != std::vector<std::size_t>{0, 1}) ++failed;
            });
        for (auto& one : callers) one.join();
        CHECK(failed == 0);
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("loop_pool: run inside a loop is a clear error", "[loop_pool]") {
    const testing::leak_probe probe;
    {
        loop_pool cores(1);
        const auto nested = [&]() -> task<> {
            cores.run(index_here);
            co_return;
        };
        CHECK_THROWS_AS(cores.run(nested), invalid_state_error);
        CHECK_THROWS_AS(run(nested()), invalid_state_error);
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("loop_pool: its threads have names, block signals and can be pinned", "[loop_pool]") {
    const testing::leak_probe probe;
    {
        cpu_set_t usable;
        REQUIRE(::sched_getaffinity(0, sizeof usable, &usable) == 0);
        loop_pool cores(loop_pool_options{.loops = 3, .pin = true, .name = "a-name-that-is-long"});
        const auto look = []() -> task<std::string> {
            char name[16] = "";
            ::pthread_getname_np(::pthread_self(), name, sizeof name);
            sigset_t now;
            ::pthread_sigmask(SIG_SETMASK, nullptr, &now);
            std::string text = name;
            if (::sigismember(&now, SIGINT) == 1) text += " blocks SIGINT";
            if (::sigismember(&now, SIGSEGV) == 1) text += " blocks SIGSEGV";
            cpu_set_t own;
            ::sched_getaffinity(0, sizeof own, &own);
            co_return text + ' ' + std::to_string(CPU_COUNT(&own));
        };
        const auto all = cores.run(look);
        CHECK(all.at(0) == "a-name-that-i-0 blocks SIGINT 1");
        CHECK(all.at(2) == "a-name-that-i-2 blocks SIGINT 1");
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("loop_pool: tasks that a main has started go on until the pool ends, and are cleaned up",
          "[loop_pool]") {
    const testing::leak_probe probe;
    std::atomic<int> cleaned_up{0}, began{0};
    {
        loop_pool cores(2);
        const auto left = [](std::atomic<int>& began_, std::atomic<int>& cleaned) -> task<> {
            ++began_;
            try {
                co_await sleep(1h);
            } catch (const cancelled&) {
            }
            co_await shield(sleep_a_little(1ms));
            ++cleaned;
        };
        const auto main = [&]() -> task<> {
            create_task(left(began, cleaned_up));
            co_await finish();
        };
        cores.run(main);
        CHECK(began == 2);
        CHECK(cleaned_up == 0);
    }
    CHECK(cleaned_up == 2);
    CHECK(probe.leaks() == "");
}

// -- errors ---------------------------------------------------------------------------------------

struct odd_error : std::runtime_error {
    using std::runtime_error::runtime_error;
    std::size_t from = 0;
};

TEST_CASE("loop_pool: an error of any loop cancels the others, which are awaited, and is thrown",
          "[loop_pool]") {
    const testing::leak_probe probe;
    {
        loop_pool cores(3);
        for (std::size_t bad = 0; bad < 3; ++bad) {
            std::atomic<int> cleaned_up{0};
            std::atomic<std::size_t> begun{0};
            const auto main = [&]() -> task<int> {
                co_await all_have_begun(begun, 3);
                if (loop_pool::current_index() == bad) {
                    odd_error error("odd");
                    error.from = bad;
                    throw error;
                }
                try {
                    co_await sleep(1h);
                } catch (const cancelled&) {
                }
                co_await shield(sleep_a_little(1ms));
                ++cleaned_up;
                co_await yield_now();
                co_return 1;
            };
            try {
                cores.run(main);
                FAIL("nothing was thrown");
            } catch (const odd_error& error) {
                CHECK(error.from == bad);
            }
            CHECK(cleaned_up == 2);
        }
        const auto number = []() -> task<> {
            throw 4;
            co_return;
        };
        CHECK_THROWS_AS(loop_pool(1).run(number), int);
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("loop_pool: further errors go to the exception handler of their loop", "[loop_pool]") {
    const testing::leak_probe probe;
    {
        loop_pool cores(4);
        std::atomic<int> told{0}, right{0};
        std::atomic<std::size_t> begun{0};
        const auto main = [&]() -> task<> {
            running_loop().set_exception_handler(
                [&, index = loop_pool::current_index()](const exception_context& context) {
                    ++told;
                    if (index == loop_pool::current_index() &&
                        context.message.find("the first one was: odd") != std::string::npos)
                        ++right;
                });
            co_await all_have_begun(begun, 4);
            try {
                if (loop_pool::current_index() != 2) co_await sleep(1h);
            } catch (const cancelled&) {
            }
            throw odd_error("odd");
        };
        CHECK_THROWS_AS(cores.run(main), odd_error);
        CHECK(told == 3);
        CHECK(right == 3);
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("loop_pool: a main that other code cancels is an error", "[loop_pool]") {
    const testing::leak_probe probe;
    {
        loop_pool cores(2);
        const auto main = []() -> task<> {
            if (loop_pool::current_index() == 1) current_task().cancel();
            co_await sleep(1h);
        };
        CHECK_THROWS_AS(cores.run(main), future_cancelled);
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("loop_pool: a loop that is stopped from inside is an error; the others go on",
          "[loop_pool]") {
    const testing::leak_probe probe;
    {
        loop_pool cores(2);
        const auto main = []() -> task<> {
            if (loop_pool::current_index() == 1) running_loop().stop();
            co_await sleep(1h);
        };
        CHECK_THROWS_AS(cores.run(main), closed_error);
        CHECK_THROWS_AS(cores.run(index_here), closed_error);
        const auto ask_the_first = [&]() -> task<std::size_t> {
            co_return co_await on(cores[0], index_here);
        };
        CHECK(run(ask_the_first()) == 0);
    }
    CHECK(probe.leaks() == "");
}

// -- submit ---------------------------------------------------------------------------------------

TEST_CASE("loop_pool: submit calls on the given loop, and returns a future",
          "[loop_pool]") {
    const testing::leak_probe probe;
    {
        loop_pool cores(2);
        CHECK(cores.submit(1, index_here).get() == 1);
        CHECK(cores.submit(0, &loop_pool::current_index).get() == 0);
        CHECK(cores.submit(index_here).get() + cores.submit(index_here).get() == 1);
        const auto length = [](const std::string& text) { return text.size(); };
        CHECK(cores.submit(1, length, std::string(100, 'x')).get() == 100);
        int touched = 0;
        cores.submit(1, [](int* word) { ++*word; }, &touched).get();
        CHECK(touched == 1);
        const auto fails = []() -> task<> {
            co_await yield_now();
            throw odd_error("odd");
        };
        CHECK_THROWS_AS(cores.submit(1, fails).get(), odd_error);
        const auto awaits = [&]() -> task<std::size_t> {
            co_return co_await cores.submit(1, index_here);
        };
        CHECK(run(awaits()) == 1);
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("loop_pool: cancelling the future of a submit cancels its task", "[loop_pool]") {
    const testing::leak_probe probe;
    {
        loop_pool cores(1);
        gate begun, told;
        const auto sleeps = [](gate* has_begun, gate* was_told) -> task<> {
            has_begun->open();
            try {
                co_await sleep(1h);
            } catch (const cancelled&) {
                was_told->open();
                throw;
            }
        };
        auto future = cores.submit(0, sleeps, &begun, &told);
        begun.pass();
        CHECK(future.cancel());
        told.pass();
        CHECK_THROWS_AS(future.get(), future_cancelled);
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("loop_pool: the end of the pool cancels submitted tasks; then submit throws",
          "[loop_pool]") {
    const testing::leak_probe probe;
    for (int round = 0; round < many(50, 10); ++round) {
        std::vector<thread_future<>> all;
        {
            loop_pool cores(2);
            for (int i = 0; i < 20; ++i) all.push_back(cores.submit(sleep_for_ever));
            cores.stop();
            CHECK_THROWS_AS(cores.submit(sleep_for_ever), closed_error);
            CHECK_THROWS_AS(cores.submit(1, sleep_for_ever), closed_error);
        }
        std::size_t cancelled_ones = 0;
        for (auto& one : all) {
            one.wait();
            cancelled_ones += one.cancelled() ? 1u : 0u;
        }
        CHECK(cancelled_ones == all.size());
    }
    CHECK(probe.leaks() == "");
}

// -- between the loops ----------------------------------------------------------------------------

TEST_CASE("loop_pool: all loops call all others at the same time", "[loop_pool]") {
    const testing::leak_probe probe;
    {
        loop_pool cores(4);
        const auto main = [&]() -> task<std::size_t> {
            std::size_t wrong = 0;
            for (std::size_t i = 0; i < 400; ++i)
                wrong += co_await on(cores[i % 4], index_here) == i % 4 ? 0u : 1u;
            co_return wrong;
        };
        CHECK(cores.run(main) == std::vector<std::size_t>(4, 0));
        std::vector<std::size_t> turns(4);
        const auto in_turn = [&]() -> task<> {
            for (int i = 0; i < 40; ++i) ++turns[co_await on(cores.next(), index_here)];
        };
        run(in_turn());
        CHECK(turns == std::vector<std::size_t>(4, 10));
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("loop_pool: a bridge_queue carries items from loop to loop, in order", "[loop_pool]") {
    const testing::leak_probe probe;
    {
        loop_pool cores(2);
        bridge_queue<int> out(16), back(16);
        const int count = many(100'000, 10'000);
        const auto main = [&]() -> task<long> {
            long sum = 0;
            if (loop_pool::current_index() == 0) {
                const auto produce = [&]() -> task<> {
                    for (int i = 0; i < count; ++i) co_await out.put(i);
                    out.close();
                };
                auto producing = create_task(produce());
                for (int expected = 0; auto item = co_await back.next(); ++expected)
                    sum += *item == 2 * expected ? 1 : -1;
                co_await producing;
            } else {
                while (auto item = co_await out.next()) co_await back.put(2 * *item);
                back.close();
            }
            co_return sum;
        };
        CHECK(cores.run(main) == std::vector<long>{count, 0});
    }
    CHECK(probe.leaks() == "");
}

// -- serving --------------------------------------------------------------------------------------

// The chance that the kernel's hash puts all of 200 connections on one of two sockets is 2^-199.
TEST_CASE("loop_pool: the kernel distributes connections over the loops, and stop is graceful",
          "[loop_pool]") {
    const testing::leak_probe probe;
    {
        loop_pool cores(2);
        auto first = tcp_listener::bind({"127.0.0.1", 0}, {.reuse_port = true});
        const endpoint where = first.local();
        std::array<std::atomic<int>, 2> connections{}, farewells{};
        std::atomic<std::size_t> listening{0};
        const auto greet = [&](tcp_stream peer) -> task<> {
            const std::size_t i = loop_pool::current_index();
            ++connections[i];
            co_await peer.write_all("hello\n");
            const auto nothing = co_await peer.read_line();  // until the client has gone
            if (!nothing) ++farewells[i];
        };
        const auto server = [&]() -> task<> {
            auto listener = tcp_listener::bind(where, {.reuse_port = true});
            co_await all_have_begun(listening, 2);
            co_await serve(std::move(listener), greet, {.grace = 10s});
        };
        const auto client = [&]() -> task<> {
            while (listening < 2) co_await yield_now();
            std::vector<tcp_stream> all;
            for (int i = 0; i < 200; ++i) {
                all.push_back(co_await connect_tcp(where));
                CHECK(co_await all.back().read_line() == "hello");
            }
            cores.stop();
            co_await sleep(1ms);
        };
        first.close();
        std::thread serving([&] { cores.run(server); });
        run(client());
        serving.join();
        INFO(connections[0] << " and " << connections[1]);
        CHECK(connections[0] + connections[1] == 200);
        CHECK(connections[0] > 20);
        CHECK(connections[1] > 20);
        CHECK(farewells[0] == connections[0]);
        CHECK(farewells[1] == connections[1]);
    }
    CHECK(probe.leaks() == "");
}

}  // namespace
