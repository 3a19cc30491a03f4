// SPDX-License-Identifier: MIT
// Futures and promises: results, their order, and either side destroyed before the other.
#include <memory>
#include <stdexcept>
#include <string>


#include "support/child.hpp"
#include "support/core_tools.hpp"

using namespace rondo_tests;

namespace {

task<> await_and_note(future<int> f, std::string* log, char name) {
    try {
        co_await f;
        log->push_back(name);
    } catch (const std::exception&) {
        log->push_back(static_cast<char>(name - 'a' + 'A'));
    }
}
task<int> fail_later() {
    co_await yield_now();
    throw std::runtime_error("failed later");
}

RONDO_TEST("future: a value is set once, and all waiters get it", "[future][both]") {
    promise<int> given;
    auto f = given.get_future();
    CHECK_FALSE(f.done());
    CHECK_THROWS_AS(f.result(), invalid_state_error);
    CHECK_THROWS_AS(f.exception(), invalid_state_error);
    given.set_value(3);
    CHECK(given.done());
    CHECK_THROWS_AS(given.set_value(4), invalid_state_error);
    CHECK_THROWS_AS(given.set_exception(std::make_exception_ptr(1)), invalid_state_error);
    CHECK(f.result() == 3);
    CHECK(f.exception() == nullptr);
    CHECK(co_await f == 3);
    CHECK(co_await f == 3);
}

RONDO_TEST("future: an lvalue gives a reference, an rvalue moves the value out", "[future][both]") {
    const auto make = []() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(5); };
    auto f = create_task(make());
    const std::unique_ptr<int>& look = co_await f;
    CHECK(*look == 5);
    static_assert(std::is_same_v<decltype(f.result()), const std::unique_ptr<int>&>);
    std::unique_ptr<int> taken = co_await std::move(f);
    CHECK(*taken == 5);
    CHECK(*co_await create_task(make()) == 5);
    int object = 0;
    promise<int&> reference;
    reference.set_value(object);
    CHECK(&co_await reference.get_future() == &object);
    promise<void> nothing;
    nothing.set_value();
    co_await nothing.get_future();
}

RONDO_TEST("future: waiters and callbacks run in the order in which they came",
           "[future][both]") {
    promise<int> given;
    auto f = given.get_future();
    std::string log;
    auto a = create_task(await_and_note(f, &log, 'a'));
    co_await yield_now();
    f.add_done_callback([&log](const future<int>& done) {
        CHECK(done.result() == 1);
        log.push_back('b');
    });
    auto c = create_task(await_and_note(f, &log, 'c'));
    co_await yield_now();
    f.add_done_callback([&log](const future<int>&) { log.push_back('d'); });
    given.set_value(1);
    CHECK(log.empty());  // no waiter runs inside set_value
    co_await finish();
    CHECK(log == "abcd");
    f.add_done_callback([&log](const future<int>&) { log.push_back('e'); });
    CHECK(log == "abcd");  // nor inside add_done_callback
    co_await finish();
    CHECK(log == "abcde");
}

RONDO_TEST("future: a promise destroyed without a value is an error at the waiter",
           "[future][both]") {
    std::string log;
    auto given = std::make_unique<promise<int>>();
    auto f = given->get_future();
    auto waiting = create_task(await_and_note(f, &log, 'a'));
    co_await finish();
    given.reset();
    co_await waiting;
    CHECK(log == "A");
    CHECK_THROWS_AS(f.result(), broken_promise_error);
    promise<int> first, second;
    auto from_first = first.get_future();
    first = std::move(second);
    CHECK_THROWS_AS(from_first.result(), broken_promise_error);
}

RONDO_TEST("future: all waiters get an exception as the type it is", "[future][both]") {
    promise<int> given;
    auto f = given.get_future();
    std::string log;
    auto a = create_task(await_and_note(f, &log, 'a')),
         b = create_task(await_and_note(f, &log, 'b'));
    co_await finish();
    given.set_exception(std::make_exception_ptr(std::out_of_range("far")));
    co_await a;
    co_await b;
    CHECK(log == "AB");
    CHECK_THROWS_AS(f.result(), std::out_of_range);
    CHECK(f.exception() != nullptr);
}

RONDO_TEST("future: a timeout around a promise's future does not disturb the promise",
           "[future][both]") {
    promise<int> given;
    CHECK_FALSE(co_await move_on_after(1ms, given.get_future()));
    bool taken = true, again = true;
    std::string reported;
    running_loop().set_exception_handler([&](const exception_context& c) { reported = c.message; });
    running_loop().call_soon([&] {
        taken = given.set_value(1);
        again = given.set_exception(std::make_exception_ptr(2));
    });
    co_await finish();
    CHECK_FALSE(taken);
    CHECK_FALSE(again);
    CHECK(reported == "");
}

RONDO_TEST("future: cancel returns whether it has changed anything", "[future][both]") {
    auto f = create_task([]() -> task<> { co_await sleep(10h); }());
    co_await finish();
    CHECK(f.cancel());
    CHECK_FALSE(f.cancel());
    CHECK_THROWS_AS(co_await f, future_cancelled);
    CHECK_FALSE(f.cancel());
    auto ended = create_task([]() -> task<> { co_return; }());
    co_await ended;
    CHECK_FALSE(ended.cancel());
}

RONDO_TEST("future: cancelling a promise's future ends it at once", "[future][both]") {
    promise<int> given;
    auto f = given.get_future();
    std::string log;
    auto waiting = create_task(await_and_note(f, &log, 'a'));
    co_await finish();
    CHECK(f.cancel());
    CHECK_FALSE(f.cancel());
    CHECK(f.done());
    CHECK(f.cancelled());
    CHECK(given.done());
    CHECK_FALSE(given.set_value(1));
    CHECK_FALSE(given.set_exception(std::make_exception_ptr(1)));
    CHECK_THROWS_AS(f.result(), future_cancelled);
    CHECK_THROWS_AS(f.exception(), future_cancelled);
    co_await waiting;
    CHECK(log == "A");
    CHECK_FALSE(waiting.cancelled());
}

RONDO_TEST("future: callbacks may throw, add callbacks, cancel and start tasks", "[future][both]") {
    std::string log;
    int reports = 0;
    running_loop().set_exception_handler([&reports](const exception_context& context) {
        CHECK(context.message.find("a done callback threw") != std::string::npos);
        ++reports;
    });
    promise<int> given;
    auto f = given.get_future();
    auto other = create_task([]() -> task<> { co_await sleep(1h); }());
    f.add_done_callback([](const future<int>&) { throw std::runtime_error("from a callback"); });
    f.add_done_callback([&](const future<int>& done) {
        log.push_back('a');
        done.add_done_callback([&log](const future<int>&) { log.push_back('c'); });
        other.cancel();
        create_task(await_and_note(done, &log, 'b'));
    });
    given.set_value(1);
    co_await finish(5);
    CHECK(reports == 1);
    CHECK(log.find('a') == 0);
    CHECK(log.size() == 3);
    CHECK(other.cancelled());
    running_loop().set_exception_handler({});
}

RONDO_TEST("future: callbacks do not run a future's cancellation into its waiters",
           "[future][both]") {
    // A callback is no waiter: the last waiter's cancellation cancels, with callbacks or without.
    const auto for_ever = []() -> task<> { co_await sleep(1h); };
    const auto wait = [](future<> f) -> task<> { co_await f; };
    auto inner = create_task(for_ever());
    bool told = false;
    inner.add_done_callback([&told](const future<>& f) { told = f.cancelled(); });
    auto outer = create_task(wait(inner));
    co_await finish();
    outer.cancel();
    co_await finish();
    CHECK(inner.cancelled());
    CHECK(told);
}

RONDO_TEST("future: cancelled before, while and after", "[future][cancel][both]") {
    const auto kept = std::make_unique<promise<int>>();
    promise<int>* given = kept.get();
    const auto make = [&] { return given->get_future(); };
    co_await check_cancelled_before(make);
    CHECK_FALSE(given->done());  // it was never awaited
    co_await check_cancelled_while_suspended(make);
    CHECK(given->done());  // its only waiter was cancelled, and cancelled it
    promise<int> second;
    given = &second;
    observed seen;
    const auto give = [&] { second.set_value(9); };
    co_await check_cancelled_after_completion(make, give, &seen);
    CHECK(seen.first == outcome_of_wait::cancelled);
    CHECK(second.get_future().result() == 9);  // the value is still there
}

RONDO_TEST("future: awaiting a task's future, cancelled before, while and after",
           "[future][cancel][both]") {
    promise<int> gate;
    const auto work = [](future<int> f) -> task<int> { co_return co_await shield(f); };
    auto inner = create_task(work(gate.get_future()));
    const auto make = [&] { return inner; };
    co_await finish();
    co_await check_cancelled_before(make);
    CHECK_FALSE(inner.done());
    observed seen;
    auto waiting = create_task(observe(make, &seen));
    co_await finish();
    gate.set_value(1);
    while (!inner.done()) co_await yield_now();
    waiting.cancel();
    co_await finish();
    CHECK(waiting.cancelled());
    CHECK(inner.result() == 1);
    auto second = create_task([]() -> task<> { co_await sleep(1h); }());
    const auto make_second = [&] { return second; };
    co_await check_cancelled_while_suspended(make_second);
    co_await finish();
    CHECK(second.cancelled());
}

RONDO_TEST("future: a task that awaits itself gets an error", "[future][both]") {
    auto mine = std::make_shared<future<>>();
    const auto body = [](std::shared_ptr<future<>> self) -> task<> {
        co_await yield_now();
        CHECK_THROWS_AS(co_await *self, invalid_state_error);
        *self = {};
    };
    *mine = create_task(body(mine));
    auto f = *mine;
    co_await f;
}

RONDO_TEST("future: a done callback can be removed until the future is done", "[future][both]") {
    promise<int> given;
    auto f = given.get_future();
    std::string log;
    const auto first = f.add_done_callback([&log](const future<int>&) { log += 'a'; });
    f.add_done_callback([&log](const future<int>&) { log += 'b'; });
    const auto third = f.add_done_callback([&log](const future<int>&) { log += 'c'; });
    CHECK(f.remove_done_callback(first));
    CHECK_FALSE(f.remove_done_callback(first));
    CHECK_FALSE(f.remove_done_callback(nullptr));
    given.set_value(1);
    CHECK_FALSE(f.remove_done_callback(third));
    co_await yield_now();
    CHECK(log == "bc");
}

RONDO_TEST("future: one of another loop is an error while it is not done", "[future]") {
    testing::world other{testing::sim_options{}};
    auto given = std::make_unique<promise<int>>(other.loop().create_promise<int>());
    auto f = given->get_future();
    CHECK_THROWS_AS(co_await f, invalid_state_error);
    given->set_value(3);
    CHECK(co_await f == 3);
}

RONDO_TEST("future: an error that was not retrieved is reported once", "[future][both]") {
    std::vector<std::string> reports;
    running_loop().set_exception_handler([&reports](const exception_context& context) {
        reports.push_back(context.message);
        CHECK_THROWS_AS(std::rethrow_exception(context.error), std::runtime_error);
    });
    create_task(fail_later(), {.name = "lost"});
    co_await finish(4);
    REQUIRE(reports.size() == 1);
    CHECK(reports[0].find("\"lost\"") != std::string::npos);
    CHECK(reports[0].find("test_future.cpp:") != std::string::npos);
    {
        auto kept = create_task(fail_later());
        co_await finish(4);
        CHECK(kept.done());
        CHECK(reports.size() == 1);  // while there is a handle the error may still be retrieved
        auto copy = kept;
        kept = {};
        CHECK(reports.size() == 1);
    }
    CHECK(reports.size() == 2);
    {
        auto asked = create_task(fail_later());
        co_await finish(4);
        CHECK(asked.exception() != nullptr);
    }
    {
        auto awaited = create_task(fail_later());
        CHECK_THROWS_AS(co_await awaited, std::runtime_error);
    }
    create_task([]() -> task<> { co_await sleep(1h); }()).cancel();  // a cancellation is no error
    co_await finish();
    CHECK(reports.size() == 2);
    running_loop().set_exception_handler({});
}

RONDO_TEST("future: a wait in a dropped future's task goes on: the loop owns it",
           "[future][both]") {
    bool ended = false;
    const auto body = [](bool* flag) -> task<> {
        co_await finish();
        *flag = true;
    };
    create_task(body(&ended));
    co_await finish(6);
    CHECK(ended);
}

// -- futures that outlive the loop ---------------------------------------------------------------

task<int> give_number(int n) { co_return n; }

TEST_CASE("future: outlives its loop", "[future]") {
    captured_stderr quiet;
    future<int> value, error, never;
    std::unique_ptr<promise<int>> open;
    bool called = false;
    {
        testing::world w(testing::sim_options{});
        value = w.loop().create_task(give_number(8));
        error = w.loop().create_task(fail_later());
        open = std::make_unique<promise<int>>(w.loop().create_promise<int>());
        never = open->get_future();
        never.add_done_callback([&called](const future<int>&) { called = true; });
        w.loop().run();
    }
    CHECK(value.result() == 8);
    CHECK(error.done());
    CHECK_THROWS_AS(value.add_done_callback([](const future<int>&) {}), closed_error);
    open.reset();  // no loop is left to call its callback
    CHECK_THROWS_AS(never.result(), broken_promise_error);
    CHECK_FALSE(called);
    error = {};  // its error goes to stderr, since its loop's handler is gone
    CHECK(quiet.text().find("failed later") != std::string::npos);
}

TEST_CASE("future: without a running loop there is a clear error", "[future]") {
    CHECK_THROWS_AS(promise<int>(), no_running_loop_error);
    CHECK_THROWS_AS(create_task(give_number(1)), no_running_loop_error);
    CHECK_THROWS_AS(current_task(), no_running_loop_error);
    CHECK_THROWS_AS(running_loop(), no_running_loop_error);
    CHECK_THROWS_AS(create_task(sleep(1s)), no_running_loop_error);
}

RONDO_TEST("future: a long chain of waiting tasks ends without recursion", "[future][both]",
           seeds(1).limit(20s)) {
    // Each task holds the one before as a parameter until it ends.
    const auto after = [](future<> before) -> task<> { co_await before; };
    auto last = create_task(yield_now());
    for (int i = 0; i < many(200'000, 20'000); ++i) {
        last = create_task(after(std::move(last)));
        co_await last;
    }
    last = create_task(yield_now());
    co_await last;
}

RONDO_TEST("promise: an error that was not retrieved is reported, a broken promise is not",
           "[future][both]") {
    int reports = 0;
    running_loop().set_exception_handler([&reports](const exception_context&) { ++reports; });
    const auto fail = [](promise<int> p) {
        p.set_exception(std::make_exception_ptr(std::runtime_error("x")));
    };
    fail(promise<int>());
    CHECK(reports == 1);
    {
        promise<int> asked;
        auto f = asked.get_future();
        fail(std::move(asked));
        CHECK_THROWS_AS(f.result(), std::runtime_error);
    }
    { const promise<int> broken; }
    CHECK(reports == 1);
    co_return;
}

RONDO_TEST("promise: move assignment breaks the old promise at once", "[future][both]") {
    promise<int> one, other;
    const auto broken = one.get_future();
    const auto kept = other.get_future();
    one = std::move(other);
    CHECK(broken.done());
    CHECK_THROWS_AS(broken.result(), broken_promise_error);
    CHECK_FALSE(kept.done());
    one.set_value(3);
    CHECK(co_await kept == 3);
}

TEST_CASE("promise: a null exception_ptr aborts with a message", "[future]") {
    const child_end end = run_child([] {
        testing::simulate([]() -> task<> {
            promise<> p;
            p.set_exception(nullptr);
            co_return;
        });
        return 0;
    });
    INFO(end.text);
    CHECK(end.aborted());
    CHECK(end.says("a promise was given an exception_ptr that is null"));
}

}  // namespace
