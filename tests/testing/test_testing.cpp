// SPDX-License-Identifier: MIT
// rondo::testing itself: it must find leaks, and repeat the run of a seed.
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>

#include <rondo/detail/loop/descriptor.hpp>
#include <rondo/rondo.hpp>

#include "support/child.hpp"
#include "support/core_tools.hpp"
#include "support/net_tools.hpp"

using namespace rondo_tests;

namespace {

task<> nothing() { co_return; }
task<int> fails() {
    co_await yield_now();
    throw std::runtime_error("unseen");
}

TEST_CASE("testing: simulate and on_ring run tasks and callables, and return values", "[testing]") {
    const auto give = []() -> task<int> { co_return 4; };
    CHECK(testing::simulate(give()) == 4);
    CHECK(testing::simulate(give) == 4);
    CHECK(testing::on_ring(give()) == 4);
    CHECK(testing::on_ring(give) == 4);
    testing::simulate(nothing());
    CHECK_FALSE(testing::simulated());
    testing::simulate([]() -> task<> {
        CHECK(testing::simulated());
        co_return;
    });
}

TEST_CASE("testing: virtual hours take no time, and the seed determines the run", "[testing]") {
    const auto trace_of = [](std::uint64_t seed) {
        testing::world w(testing::sim_options{.seed = seed});
        w.run([]() -> task<> {
            two_ends pair = co_await connected();
            char byte = 0;
            co_await transmit(pair.here, "x", 1);
            co_await receive(pair.there, &byte, 1);
            co_await sleep(10h);
        }());
        const std::uint64_t trace = w.trace();
        w.end();
        return trace;
    };
    CHECK(trace_of(1) == trace_of(1));
    CHECK(trace_of(1) != trace_of(2));
}

TEST_CASE("testing: a fault hits the operation of its number", "[testing]") {
    const auto body = []() -> task<int> { co_return co_await nop(); };
    CHECK(testing::simulate(body) == 0);
    CHECK_THROWS_AS(testing::simulate(body, {.what = testing::fault::error}), std::system_error);
    CHECK(testing::simulate(body, {.what = testing::fault::error, .at_operation = 1}) == 0);
}

TEST_CASE("testing: a leak is a failure that names it", "[testing]") {
    int leaked = -1;
    const auto leaks_descriptor = [&]() -> task<> {
        leaked = ::dup(0);
        co_return;
    };
    CHECK_THROWS_WITH(testing::simulate(leaks_descriptor),
                      Catch::Contains("descriptor " + std::to_string(leaked) + " ("));
    ::close(leaked);
    std::optional<task<>> kept;
    const auto leaks_frame = [&]() -> task<> {
        kept.emplace(nothing());
        co_return;
    };
    if (!with_asan() && !with_tsan())
        CHECK_THROWS_WITH(testing::simulate(leaks_frame), "1 coroutine frames are alive");
    const auto leaks_error = []() -> task<> {
        create_task(fails(), {.name = "lost"});
        co_await finish();
    };
    CHECK_THROWS_WITH(testing::simulate(leaks_error), Catch::Contains("\"lost\""));
    std::optional<descriptor> socket;
    const auto leaks_socket = [&]() -> task<> {
        socket.emplace(tcp_socket("kept"));
        co_return;
    };
    CHECK_THROWS_WITH(testing::simulate(leaks_socket),
                      Catch::Contains("1 descriptors of the simulated kernel are open"));
    std::atomic<bool> stop{false};
    std::optional<std::thread> running;
    const auto leaks_thread = [&]() -> task<> {
        running.emplace([&stop] {
            while (!stop) ::usleep(100);
        });
        co_return;
    };
    CHECK_THROWS_WITH(testing::simulate(leaks_thread), Catch::Contains("1 threads run"));
    stop = true;
    running->join();
    const auto leaks_child = []() -> task<> {
        const pid_t child = ::fork();
        if (child == 0) ::_exit(0);
        siginfo_t info{};
        ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);
        co_return;
    };
    CHECK_THROWS_WITH(testing::simulate(leaks_child), Catch::Contains("was not waited for"));
    ::wait(nullptr);
    testing::simulate(nothing());  // all of that was removed again
}

task<> answer(tcp_stream client) {
    const auto line = co_await client.read_line();
    if (line) co_await client.write_all(*line, "\n");
}

task<> serve_clients(tcp_listener listener) {
    co_await serve(std::move(listener), answer);
}

task<> served_program() {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const auto where = listener.local();
    co_await with_task_group([&](task_group& group) -> task<> {
        group.start(serve_clients, std::move(listener));
        auto stream = co_await connect_tcp(where);
        co_await stream.write_all("hello\n");
        const auto line = co_await stream.read_line();
        const bool wrong = line && !std::string("hello").starts_with(*line);
        if (wrong) throw std::logic_error("it was not hello");
        group.cancel();
    });
}

std::string swept(task<> (*program)()) {
    try {
        testing::sweep(program, {.seeds = 1});
    } catch (const testing::sweep_error& error) {
        return error.what();
    }
    return "nothing was found";
}

TEST_CASE("testing: sweep runs a server with every fault at every operation", "[testing]") {
    const testing::sweep_count count = testing::sweep(served_program);
    CHECK(count.operations > 5);
    CHECK(count.calls > 3);
    CHECK(count.runs > 2 * 8 * 5);
    CHECK(count.failed > 10);
    CHECK(count.failed < count.runs);
}

TEST_CASE("testing: sweep finds failures, hangs, leaks and wrong results",
          "[testing]") {
    CHECK(swept([]() -> task<> { throw std::runtime_error("no"); co_return; }) ==
          "seed 1, without a fault: the program failed: no");
    CHECK(swept([]() -> task<> {
              event never;
              co_await never.wait();
          }) == "seed 1, without a fault: the program took longer than sweep_options::patience");
    const std::string wrong = swept([]() -> task<> {
        try {
            co_await write_file("f", "x");
        } catch (const std::system_error&) {
            throw std::logic_error("a write cannot fail");
        }
    });
    CHECK(wrong.starts_with(
        "seed 1, ECANCELED at operation 0: wrong result: a write cannot fail\n"));
    CHECK(wrong.find("EIO at operation 1") != wrong.npos);
    const std::string left = swept([]() -> task<> {
        const int number = rondo::detail::new_socket(AF_UNIX, SOCK_STREAM, 0);
        co_await write_file("f", "x");
        const auto too_late = descriptor::adopt(number, "closed unless the write fails");
    });
    CHECK(left.find("1 descriptors of the simulated kernel are open") != left.npos);
}

RONDO_TEST("testing: an operation that is not simulated is an error that names it", "[testing]",
           seeds(1)) {
    auto [one, other] = socket_pair();
    std::string text = co_await text_of_failure<std::system_error>(splice(one, other));
    CHECK(text == "splice a pair: Function not implemented");
    text = co_await text_of_failure<std::system_error>(command("true").run());
    CHECK(text == "spawn true: Function not implemented");
    text = co_await text_of_failure<std::system_error>(command("true").out_file("/tmp").run());
    CHECK(text == "spawn true: Function not implemented");
}

TEST_CASE("testing: a run that takes too long prints its waiting tasks, and aborts", "[testing]") {
    if (with_tsan()) return;  // it does not support the watchdog's thread in a forked child
    for (const bool lets_go : {true, false}) {
        const child_end end = run_child([lets_go] {
            const auto waits = []() -> task<> { co_await sleep(1h); };
            const auto spins = [&]() -> task<> {
                create_task(waits(), {.name = "patient"});
                co_await yield_now();
                if (lets_go) co_await sleep(1h);
                for (;;) ::usleep(1000);
            };
            testing::on_ring(spins, {.limit = 20ms});
            return 0;
        });
        INFO(end.text);
        CHECK(end.aborted());
        const bool on_ring = end.says("a test ran longer than its limit (on the ring)");
        CHECK((on_ring || end.says("a test ran longer than its limit (on readiness)")));
        CHECK(end.says("\"patient\""));
    }
}

TEST_CASE("testing: seeds come from the environment if it is set", "[testing]") {
    const std::string before =
        std::getenv("RONDO_SEED") != nullptr ? std::getenv("RONDO_SEED") : "";
    ::unsetenv("RONDO_SEED");
    CHECK(testing::seeds(3) == std::vector<std::uint64_t>{1, 2, 3});
    ::setenv("RONDO_SEED", "77", 1);
    CHECK(testing::seeds(3) == std::vector<std::uint64_t>{77});
    if (before.empty())
        ::unsetenv("RONDO_SEED");
    else
        ::setenv("RONDO_SEED", before.c_str(), 1);
}

TEST_CASE("testing: kernels that it can pretend to run on", "[testing]") {
    CHECK_THROWS_AS(testing::pretend_kernel("2.4"), std::invalid_argument);
    for (const char* version : {"6.1", "5.19"}) {
        testing::pretend_kernel(version);
        testing::on_ring([]() -> task<> {
            two_ends pair = co_await connected();
            char byte = 0;
            co_await transmit(pair.here, "x", 1);
            CHECK(co_await receive(pair.there, &byte, 1) == 1);
            const auto make = [&] { return receive(pair.there, &byte, 1); };
            co_await check_cancelled_while_suspended(make);
        });
    }
    testing::pretend_kernel("");
    testing::pretend_kernel_from_environment();
}

int calls = 0;
task<int> count_call() { co_return ++calls; }

RONDO_TEST("testing: an assertion runs its co_await once", "[testing]", seeds(1)) {
    calls = 0;
    CHECK(co_await count_call() == 1);
    REQUIRE(co_await count_call() == 2);
    CHECK_FALSE(co_await count_call() == 2);
    CHECK_NOTHROW(co_await count_call());
    CHECK(calls == 4);
}

}  // namespace
