// SPDX-License-Identifier: MIT
// How tasks are started and described: eagerly, by ensure_future, their names and places.
#include <string>

#include <rondo/gather.hpp>

#include "support/core_tools.hpp"

using namespace rondo_tests;

namespace {

RONDO_TEST("future: all_tasks gives every task with its name", "[future][both]") {
    auto one = create_task(rondo::detail::as_task(sleep(1h)), {.name = "one"});
    co_await yield_now();
    bool found = false;
    for (const task_handle& t : all_tasks()) found = found || (t == one && t.name() == "one");
    CHECK(found);
    CHECK(all_tasks().size() == 2);
    one.cancel();
    CHECK_THROWS_AS(co_await one, future_cancelled);
}

RONDO_TEST("future: describe names a place in the program, not in a header of rondo",
           "[future][both]") {
    const auto make = []() -> task<> { co_await wait_for(1h, sleep(1h, 1)); };
    constexpr int line = __LINE__ - 1;
    auto waiting = create_task(make(), {.name = "patient"});
    co_await finish();
    const std::string text = waiting.describe();
    INFO(text);
    CHECK(text.find("task \"patient\"") == 0);
    CHECK(text.find("waits in sleep") != std::string::npos);
    CHECK(text.ends_with("test_create_task.cpp:" + std::to_string(line)));
    auto ours = create_task(sleep(1h));
    const std::string created = "test_create_task.cpp:" + std::to_string(__LINE__ - 1);
    co_await finish();
    INFO(ours.describe());
    CHECK(ours.describe().ends_with(created));  // the wait has no other place in the program
    CHECK(text.find("before its deadline") != std::string::npos);
    waiting.cancel();
    ours.cancel();
    co_await finish();
}

RONDO_TEST("create_task: eager, the body runs up to its first wait", "[future][both]") {
    std::string log;
    const auto body = [](std::string* l, char name) -> task<char> {
        *l += name;
        co_await yield_now();
        *l += '.';
        co_return name;
    };
    auto late = create_task(body(&log, 'a'));
    auto eager = create_task(body(&log, 'b'), {.name = "eager", .eager = true});
    CHECK(log == "b");
    CHECK(eager.name() == "eager");
    CHECK(current_task().state() == task_state::running);
    CHECK(co_await eager == 'b');
    CHECK(co_await late == 'a');
    const auto quick = []() -> task<int> { co_return 7; };
    CHECK(create_task(quick(), {.eager = true}).result() == 7);  // it is done already
    const auto fails = []() -> task<int> {
        throw std::runtime_error("at once");
        co_return 1;
    };
    auto failed = create_task(fails(), {.eager = true});
    CHECK_THROWS_AS(failed.result(), std::runtime_error);
    running_loop().call_soon([&] { create_task(body(&log, 'c'), {.eager = true}); });
    co_await finish();
    CHECK(log.find('c') != std::string::npos);
}

RONDO_TEST("create_task: eager tasks that start eager tasks keep the stack flat", "[future][both]",
           seeds(1)) {
    struct chain {
        static task<> on(int left, int* begun) {
            ++*begun;
            if (left > 0) create_task(on(left - 1, begun), {.eager = true});
            co_await yield_now();
        }
    };
    int begun = 0;
    create_task(chain::on(20'000, &begun), {.eager = true});
    CHECK(begun >= 32);
    CHECK(begun < 100);  // the deeper ones run in a turn
    while (begun < 20'001) co_await yield_now();
    co_await finish();
}

RONDO_TEST("create_task: an eager task may cancel the task that starts it", "[future][both]") {
    bool threw = false;
    const auto starter = [](bool* cut) -> task<> {
        const auto kill = [](task_handle who) -> task<> {
            who.cancel();
            co_return;
        };
        create_task(kill(current_task()), {.eager = true});
        try {
            co_await yield_now();
        } catch (const cancelled&) {
            *cut = true;
            throw;
        }
    };
    auto f = create_task(starter(&threw));
    CHECK_THROWS_AS(co_await f, future_cancelled);
    CHECK(threw);
}

RONDO_TEST("future: ensure_future takes tasks, futures and other awaitables",
           "[future][both]") {
    const auto give = []() -> task<int> { co_return 1; };
    auto from_task = ensure_future(give());
    CHECK(co_await from_task == 1);
    CHECK(ensure_future(from_task) == from_task);
    auto from_sleep = ensure_future(sleep(1ms));
    co_await from_sleep;
    CHECK(from_sleep.done());
}

RONDO_TEST("future: a child is described by the await of its parent", "[future][both]") {
    const auto child = []() -> task<> { co_await sleep(1h); };
    int line = 0;
    const auto parent = [&]() -> task<> {
        line = __LINE__ + 1;
        co_await gather(child(), child());
    };
    auto running = create_task(parent(), {.name = "parent"});
    co_await finish();
    std::size_t children = 0;
    for (const task_handle& t : all_tasks()) {
        const std::string text = t.describe();
        if (text.find("a child of task \"parent\"") == std::string::npos) continue;
        INFO(text);
        CHECK(text.find("created at ") != std::string::npos);
        CHECK(text.find("test_create_task.cpp:" + std::to_string(line)) != std::string::npos);
        CHECK(text.find("include/rondo/") == std::string::npos);
        ++children;
    }
    CHECK(children == 2);
    running.cancel();
    co_await finish();
}

}  // namespace
