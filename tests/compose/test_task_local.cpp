// SPDX-License-Identifier: MIT
// task_local: which tasks see a bound value, and for how long.
#include <rondo/task_local.hpp>

#include <memory>
#include <stdexcept>
#include <string>

#include <rondo/gather.hpp>
#include <rondo/task_group.hpp>

#include "support/core_tools.hpp"

namespace {

using namespace rondo_tests;

const task_local<std::string> request;
const task_local<int> depth(0);

task<std::string> look() {
    co_await yield_now();
    co_return request.find() != nullptr ? request.get() : "none";
}

RONDO_TEST("task_local: code inside the call sees the value, other code does not",
           "[task_local][both]") {
    CHECK(request.find() == nullptr);
    CHECK_THROWS_AS(request.get(), invalid_state_error);
    CHECK(depth.get() == 0);
    CHECK(co_await request.with("r1", look) == "r1");
    CHECK(co_await look() == "none");
}

RONDO_TEST("task_local: the innermost binding of each object counts", "[task_local][both]") {
    const auto inner = []() -> task<std::string> {
        const std::string here = request.get() + std::to_string(depth.get());
        co_return here + co_await look();
    };
    const auto outer = [&]() -> task<std::string> {
        const std::string first = co_await request.with("b", inner);
        co_return first + co_await look();
    };
    const auto with_depth = [&]() -> task<std::string> { co_return co_await depth.with(7, outer); };
    CHECK(co_await request.with("a", with_depth) == "b7ba");
}

RONDO_TEST("task_local: children inherit it, however they are started", "[task_local][both]") {
    const auto in_a_group = [](task_group& group) -> task<std::string> {
        auto child = group.start(look());
        co_return co_await child;
    };
    const auto body = [&]() -> task<> {
        auto [a, b] = co_await gather(look(), wait_for(1h, look()));
        CHECK(a == "r");
        CHECK(b == "r");
        CHECK(co_await with_task_group(in_a_group) == "r");
        CHECK(co_await shield(look()) == "r");
        const auto deeper = []() -> task<std::string> {
            auto [below] = co_await gather(look());
            co_return below;
        };
        auto [c] = co_await gather(deeper());
        CHECK(c == "r");
    };
    co_await request.with("r", body);
}

RONDO_TEST("task_local: detached tasks take the bound values along, and keep them",
           "[task_local][both]") {
    future<std::string> late;
    future<std::string> later;
    const auto body = [&]() -> task<> {
        const auto sleeper = []() -> task<std::string> {
            co_await sleep(2ms);
            auto next = create_task(look());  // their detached tasks do too
            const std::string mine = co_await look();
            co_return mine + co_await next + std::to_string(depth.get());
        };
        const auto start = [&]() -> task<> {
            late = create_task(sleeper());
            later = create_task(look(), {.name = "later", .eager = true});
            co_return;
        };
        co_await depth.with(3, start);
    };
    co_await request.with("r", body);
    CHECK(request.find() == nullptr);
    CHECK(co_await late == "rr3");
    CHECK(co_await later == "r");
    auto outside = create_task(look());
    CHECK(co_await outside == "none");
}

RONDO_TEST("task_local: a detached task that is cancelled, or dropped, releases the values",
           "[task_local][both]") {
    const auto value = std::make_shared<int>(1);
    const task_local<std::shared_ptr<int>> held;
    const auto body = [&]() -> task<> {
        const auto sleeper = []() -> task<> { co_await sleep(1h); };
        auto unborn = create_task(sleeper());
        unborn.cancel();
        auto waiting = create_task(sleeper());
        co_await finish();
        CHECK(value.use_count() == 2);
        waiting.cancel();
        co_await finish();
    };
    co_await held.with(value, body);
    CHECK(value.use_count() == 1);
}

RONDO_TEST("task_local: outside of a task there is nothing bound", "[task_local][both]") {
    bool looked = false;
    const auto body = [&]() -> task<> {
        running_loop().call_soon([&] {
            looked = true;
            CHECK(request.find() == nullptr);
        });
        co_await finish();
    };
    co_await request.with("r", body);
    CHECK(looked);
}

RONDO_TEST("task_local: with is cancelled in three forms", "[task_local][both]") {
    const auto sleeper = []() -> task<> { co_await sleep(1h); };
    const auto make = [&] { return request.with("r", sleeper); };
    co_await check_cancelled_before(make);
    co_await check_cancelled_while_suspended(make);
    promise<> given;
    observed seen;
    const auto waits = [f = given.get_future()]() -> task<> { co_await f; };
    const auto with_future = [&] { return request.with("r", waits); };
    const auto complete = [&] { given.set_value(); };
    co_await check_cancelled_after_completion(with_future, complete, &seen);
    CHECK(seen.first == outcome_of_wait::cancelled);
}

RONDO_TEST("task_local: a value's destructor may cancel the task that took it along",
           "[task_local][both]") {
    struct canceller {
        future<>* who;
        explicit canceller(future<>* f) : who(f) {}
        ~canceller() { who->cancel(); }
    };
    static const task_local<std::shared_ptr<canceller>> held;
    future<> failing;
    const auto start = [](future<>* f) -> task<> {
        const auto fails = []() -> task<> {
            co_await sleep(1ms);
            throw std::runtime_error("x");
        };
        *f = create_task(fails());
        co_return;
    };
    co_await held.with(std::make_shared<canceller>(&failing), start, &failing);
    CHECK_THROWS_AS(co_await shield(failing), std::runtime_error);
}

}  // namespace
