// SPDX-License-Identifier: MIT
// The loop: running and stopping it, callbacks, errors, and its counters. For threads and its end
// see test_loop_end.cpp.
#include <sys/socket.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/child.hpp"
#include "support/loop_tools.hpp"
#include "kernel/simulator/simulator.hpp"

using namespace rondo_tests;

namespace {

// -- running -------------------------------------------------------------------------------------

TEST_CASE("loop: run_until_complete gives the value or the error, any number of times",
          "[loop]") {
    on_both([](loop& l) {
        CHECK(l.run_until_complete(give(1)) == 1);
        CHECK(l.run_until_complete(give(2)) == 2);
        auto f = l.create_task(give(3));
        CHECK(l.run_until_complete(f) == 3);
        CHECK(l.run_until_complete(f) == 3);  // it is done already
        const auto fails = []() -> task<> {
            throw std::out_of_range("x");
            co_return;
        };
        CHECK_THROWS_AS(l.run_until_complete(fails()), std::out_of_range);
        const auto own = []() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(4); };
        CHECK(*l.run_until_complete(own()) == 4);
        auto cancelled_one = l.create_task(sleep_for_ever());
        cancelled_one.cancel();
        CHECK_THROWS_AS(l.run_until_complete(cancelled_one), future_cancelled);
        CHECK_FALSE(l.is_running());
    });
}

TEST_CASE("loop: run ends when no task is left", "[loop]") {
    on_both([](loop& l) {
        l.run();
        int ended = 0;
        const auto body = [](int* count, int n) -> task<> {
            co_await finish(n);
            ++*count;
        };
        for (int i = 0; i < 10; ++i) l.create_task(body(&ended, i));
        l.run();
        CHECK(ended == 10);
        CHECK(l.stats().tasks == 0);
    });
}

TEST_CASE("loop: stop ends run_forever, run and run_until_complete", "[loop]") {
    on_both([](loop& l) {
        l.call_soon([&l] { l.stop(); });
        l.run_forever();
        l.call_later(1ms, [&l] { l.stop(); });
        l.run_forever();
        auto f = l.create_task(sleep_for_ever());
        l.call_soon([&l] { l.stop(); });
        l.run();
        CHECK_FALSE(f.done());
        l.call_soon([&l] { l.stop(); });
        CHECK_THROWS_AS(l.run_until_complete(f), invalid_state_error);
        CHECK(l.run_until_complete(give(5)) == 5);  // a stop is not remembered
    });
}

TEST_CASE("loop: run_once does one turn and waits no longer than its timeout", "[loop]") {
    on_both([](loop& l) {
        CHECK_FALSE(l.run_once());
        CHECK_FALSE(l.run_once(1us));
        int called = 0;
        l.call_soon([&] {
            ++called;
            l.call_soon([&] { ++called; });
        });
        CHECK(l.run_once());
        CHECK(called == 1);
        CHECK(l.run_once());
        CHECK(called == 2);
        l.call_later(1ms, [&] { ++called; });
        while (called == 2) l.run_once(1h);  // the timer ends the wait
        CHECK(called == 3);
    });
}

// -- callbacks -----------------------------------------------------------------------------------

TEST_CASE("loop: callbacks are called in order, and not once they are cancelled", "[loop]") {
    on_both([](loop& l) {
        std::string log;
        l.call_soon([&log] { log.push_back('a'); });
        call_handle b = l.call_soon([&log] { log.push_back('b'); });
        l.call_soon([&log] { log.push_back('c'); });
        const time_point when = l.time() + 1ms;
        l.call_at(when + 1ms, [&] { l.stop(); });
        l.call_at(when, [&log] { log.push_back('d'); });
        call_handle e = l.call_at(when, [&log] { log.push_back('e'); });
        call_handle late = l.call_at(when, [&log] { log.push_back('f'); });
        call_handle f = late;
        CHECK(f.when() == when);
        l.call_later(-1h, [&log] { log.push_back('0'); });
        b.cancel();
        e.cancel();
        e.cancel();
        CHECK(b.cancelled());
        CHECK(e.cancelled());
        CHECK_FALSE(f.cancelled());
        l.run_forever();
        CHECK(log == "ac0df");
        f.cancel();  // it was called: has no effect
        CHECK(l.stats().timers == 0);
    });
}

TEST_CASE("loop: a callback may cancel itself, another one, and schedule more", "[loop]") {
    on_both([](loop& l) {
        std::string log;
        call_handle self, other;
        self = l.call_soon([&] {
            log.push_back('a');
            self.cancel();
            other.cancel();
            l.call_soon([&] { l.stop(); });
        });
        other = l.call_soon([&] { log.push_back('x'); });
        l.run_forever();
        CHECK(log == "a");
    });
}

TEST_CASE("loop: exceptions of callbacks, tasks and posts go to the exception handler", "[loop]") {
    on_both([](loop& l) {
        std::vector<std::string> messages;
        l.set_exception_handler([&](const exception_context& c) { messages.push_back(c.message); });
        l.call_soon([] { throw std::runtime_error("1"); });
        l.call_later(1us, [] { throw 2; });
        l.call_soon_threadsafe([] { throw std::runtime_error("3"); });
        l.call_later(1ms, [&l] { l.stop(); });
        l.run_forever();
        l.call_exception_handler({"by hand", nullptr});
        CHECK(messages.size() == 4);
        CHECK(messages.back() == "by hand");
        l.set_exception_handler([](const exception_context&) { throw 1; });
        captured_stderr quiet;
        l.call_exception_handler({"x", nullptr});
        CHECK(quiet.text().find("the exception handler itself threw") != std::string::npos);
        l.set_exception_handler({});
    });
}

TEST_CASE("loop: without a handler an error is one line on stderr", "[loop]") {
    captured_stderr captured;
    {
        loop l(std::make_shared<rondo::detail::simulator>());
        const auto fails = []() -> task<> {
            throw std::runtime_error("what happened");
            co_return;
        };
        l.create_task(fails(), {.name = "unlucky"});
        l.run();
    }
    const std::string text = captured.text();
    CHECK(text.find("\"unlucky\"") != std::string::npos);
    CHECK(text.find("what happened") != std::string::npos);
    CHECK(text.find("test_loop.cpp:") != std::string::npos);
    CHECK(std::count(text.begin(), text.end(), '\n') == 1);
}

task<int> number_in(std::string text) { co_return std::stoi(text); }
task<int> parse(std::string text) { co_return co_await number_in(text); }
task<> handle(std::string text) { co_await parse(text); }
task<> handle_otherwise(std::string text) {
    bool failed = false;
    try {
        co_await parse(text);
    } catch (const std::invalid_argument&) {
        failed = true;
    }
    co_await sleep(1ms);
    if (failed) throw rondo::error("no number");
}

TEST_CASE("loop: a written error has its type, its text and the awaits that it passed through",
          "[loop]") {
    captured_stderr captured;
    {
        loop l(std::make_shared<rondo::detail::simulator>());
        l.create_task(handle("x"), {.name = "first"});
        l.create_task(handle_otherwise("x"), {.name = "second"});
        l.run();
    }
    const std::string text = captured.text();
    INFO(text);
    CHECK(text.find(": std::invalid_argument: stoi; in parse (test_loop.cpp:") != text.npos);
    CHECK(text.find(") < handle (test_loop.cpp:") != text.npos);
    CHECK(text.find(": rondo::error: no number\n") != text.npos);
}

// -- clear errors --------------------------------------------------------------------------------

TEST_CASE("loop: run inside run, and a second loop on the same thread, are clear errors",
          "[loop]") {
    on_both([](loop& l) {
        loop other(std::make_shared<rondo::detail::simulator>());
        const auto body = [](loop* mine, loop* second) -> task<> {
            CHECK_THROWS_AS(mine->run(), invalid_state_error);
            CHECK_THROWS_AS(mine->run_forever(), invalid_state_error);
            CHECK_THROWS_AS(mine->run_once(), invalid_state_error);
            CHECK_THROWS_AS(mine->run_until_complete(give(1)), invalid_state_error);
            CHECK_THROWS_AS(mine->close(), invalid_state_error);
            CHECK_THROWS_WITH(second->run_once(), Catch::Contains("another loop is running"));
            CHECK(mine->is_running());
            CHECK_FALSE(second->is_running());
            CHECK(&running_loop() == mine);
            co_await yield_now();
        };
        l.run_until_complete(body(&l, &other));
        other.run_once();
        l.run();  // runs the tasks that run_until_complete left above
    });
}

TEST_CASE("loop: every call on a closed loop is an error", "[loop]") {
    loop l(std::make_shared<rondo::detail::simulator>());
    l.close();
    l.close();
    CHECK(l.is_closed());
    CHECK_THROWS_AS(l.run(), invalid_state_error);
    CHECK_THROWS_AS(l.run_once(), invalid_state_error);
    CHECK_THROWS_AS(l.poll(), invalid_state_error);
    CHECK_THROWS_AS(l.fd(), invalid_state_error);
    CHECK_THROWS_AS(l.call_soon([] {}), closed_error);
    CHECK_THROWS_AS(l.call_later(1s, [] {}), closed_error);
    CHECK_THROWS_AS(l.create_task(give(1)), closed_error);
    CHECK_THROWS_AS(l.create_promise<int>(), closed_error);
    CHECK_THROWS_AS(l.call_soon_threadsafe([] {}), closed_error);
    CHECK(l.all_tasks().empty());
    CHECK(l.stats().tasks == 0);
}

TEST_CASE("loop: built on one thread it runs on another, and two threads have one each", "[loop]") {
    loop first, second;
    int results[2] = {};
    std::thread a([&] {
        results[0] = first.run_until_complete(give(1));
        first.close();
    });
    std::thread b([&] {
        results[1] = second.run_until_complete(give(2));
        second.close();
    });
    a.join();
    b.join();
    CHECK(results[0] == 1);
    CHECK(results[1] == 2);
}

TEST_CASE("loop: an idle one may be destroyed on any thread, one with tasks only where it ran",
          "[loop]") {
    auto idle = std::make_unique<loop>();
    std::thread([&] { CHECK(idle->run_until_complete(give(1)) == 1); }).join();
    idle.reset();
    if (with_tsan()) return;  // it supports no thread in a forked child
    const child_end end = run_child([] {
        auto l = std::make_unique<loop>();
        int pair[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return 1;
        const descriptor d = descriptor::adopt(pair[0], "end");
        const auto reads = [](const descriptor* from) -> task<> {
            char byte = 0;
            co_await receive(*from, &byte, 1);
        };
        std::thread([&] {
            l->create_task(reads(&d));
            l->run_once();
        }).join();
        l.reset();
        return 0;
    });
    INFO(end.text);
    CHECK(end.aborted());
    CHECK(end.says("a loop with tasks was destroyed on another thread than the one that ran it"));
}

RONDO_TEST("loop: its counters are consistent", "[loop][both]") {
    const loop_stats before = running_loop().stats();
    CHECK(before.tasks == 1);
    CHECK(before.operations == 0);
    std::vector<future<>> sleepers;
    for (int i = 0; i < 10; ++i) sleepers.push_back(create_task(sleep_for_ever()));
    const auto one_nop = []() -> task<> { co_await nop(); };
    for (int i = 0; i < 10; ++i) create_task(one_nop());
    co_await yield_now();
    const loop_stats during = running_loop().stats();
    CHECK(during.tasks == 21);
    CHECK(during.timers == 10);
    CHECK(during.operations == 10);
    CHECK(during.frames >= before.frames + 20);
    for (auto& f : sleepers) f.cancel();
    sleepers.clear();
    while (running_loop().stats().tasks > 1) co_await yield_now();
    const loop_stats after = running_loop().stats();
    CHECK(after.timers == 0);
    CHECK(after.operations == 0);
    CHECK(after.frames == before.frames);
    CHECK(after.entries >= before.entries + 10);
    CHECK(after.completions >= before.completions + 10);
    CHECK(after.turns > before.turns);
    CHECK(after.enters > before.enters);
}

TEST_CASE("loop: a stop before a run ends it after one turn", "[loop]") {
    on_both([](loop& l) {
        int called = 0;
        l.call_soon([&] {
            ++called;
            l.call_soon([&] { ++called; });
        });
        l.stop();
        l.run_forever();
        CHECK(called == 1);
        auto f = l.create_task(sleep_for_ever());
        l.stop();
        l.run();
        CHECK(called == 2);
        l.stop();
        CHECK_THROWS_AS(l.run_until_complete(f), invalid_state_error);
        l.call_later(1us, [&l] { l.stop(); });  // no earlier stop is remembered
        l.run_forever();
    });
}

TEST_CASE("loop: a task that run_until_complete refuses is dropped", "[loop]") {
    on_both([](loop& l) {
        auto held = std::make_shared<int>(1);
        bool ran = false;
        const auto refused = [](std::shared_ptr<int>, bool* flag) -> task<> {
            *flag = true;
            co_return;
        };
        const auto body = [&]() -> task<> {
            CHECK_THROWS_AS(l.run_until_complete(refused(held, &ran)), invalid_state_error);
            CHECK(l.stats().tasks == 1);
            co_return;
        };
        l.run_until_complete(body());
        l.run();
        CHECK_FALSE(ran);
        CHECK(held.use_count() == 1);
    });
}

TEST_CASE("loop: run_until_complete refuses a future of another loop", "[loop]") {
    on_both([](loop& l) {
        loop other(std::make_shared<rondo::detail::simulator>());
        auto given = other.create_promise<int>();
        const auto f = given.get_future();
        CHECK_THROWS_WITH(l.run_until_complete(f), Catch::Contains("another loop"));
        auto t = other.create_task(give(1));
        CHECK_THROWS_AS(l.run_until_complete(t), invalid_state_error);
        CHECK(other.run_until_complete(t) == 1);
        CHECK(l.run_until_complete(t) == 1);  // it is done
    });
}

TEST_CASE("loop: run_until_complete leaves the value for other handles", "[loop]") {
    on_both([](loop& l) {
        const auto text = []() -> task<std::string> { co_return std::string(100, 'x'); };
        auto f = l.create_task(text());
        const auto again = f;
        CHECK(l.run_until_complete(f) == std::string(100, 'x'));
        CHECK(f.result() == std::string(100, 'x'));
        CHECK(l.run_until_complete(std::move(f)) == again.result());
        const auto own = []() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(4); };
        CHECK(*l.run_until_complete(l.create_task(own())) == 4);
        auto kept = l.create_task(own());
        CHECK(*l.run_until_complete(kept) == 4);  // it cannot be copied, and was moved out
        CHECK_THROWS_AS(kept.result(), invalid_state_error);
    });
}

TEST_CASE("loop: create_task takes any awaitable", "[loop]") {
    on_both([](loop& l) {
        auto f = l.create_task(sleep(1us), {.name = "sleeper"});
        CHECK(f.name() == "sleeper");
        l.run_until_complete(f);
    });
}

// -- handlers and callbacks that are destroyed during their call ---------------------------------

TEST_CASE("loop: an exception handler that throws loses neither error", "[loop]") {
    captured_stderr captured;
    {
        loop l(std::make_shared<rondo::detail::simulator>());
        l.set_exception_handler(
            [](const exception_context&) { throw std::runtime_error("the second one"); });
        l.call_soon([] { throw std::runtime_error("the first one"); });
        l.run_once();
    }
    const std::string text = captured.text();
    INFO(text);
    CHECK(text.find("a callback threw: std::runtime_error: the first one\n") != std::string::npos);
    CHECK(text.find("the exception handler itself threw: std::runtime_error: the second one\n") !=
          std::string::npos);
}

/// Records its destruction.
struct sentinel {
    explicit sentinel(bool* flag) noexcept : gone(flag) {}
    sentinel(const sentinel&) = delete;
    ~sentinel() { *gone = true; }
    bool* gone;
};

TEST_CASE("loop: an exception handler that replaces itself lives until it returns", "[loop]") {
    loop l(std::make_shared<rondo::detail::simulator>());
    bool gone = false, was_gone = true;
    std::string log;
    auto replaces = [&, held = std::make_shared<sentinel>(&gone)](const exception_context&) {
        log.push_back('a');
        const bool& is_gone = gone;
        bool& seen = was_gone;
        l.set_exception_handler([&log](const exception_context&) { log.push_back('b'); });
        seen = is_gone;
    };
    l.set_exception_handler(std::move(replaces));
    l.call_exception_handler({"one", nullptr});
    CHECK_FALSE(was_gone);
    l.call_exception_handler({"two", nullptr});
    CHECK(log == "ab");
}

TEST_CASE("loop: a call may be cancelled by a handle that its own callback owns", "[loop]") {
    on_both([](loop& l) {
        bool gone = false;
        alignas(call_handle) unsigned char room[sizeof(call_handle)];
        auto* const owned = ::new (static_cast<void*>(room)) call_handle;
        std::shared_ptr<call_handle> handle(owned, [&room](call_handle* h) {
            h->~call_handle();
            std::fill(std::begin(room), std::end(room), static_cast<unsigned char>(0xff));
        });
        *handle = l.call_later(1h, [handle, held = std::make_shared<sentinel>(&gone)] {});
        handle.reset();  // only the callback holds it from now on
        owned->cancel();
        CHECK(gone);
        CHECK(l.stats().timers == 0);
    });
}

TEST_CASE("loop: invalid options are errors with a message", "[loop]") {
    CHECK_THROWS_WITH(loop({.entries = 0}), "loop_options::entries must be at least 1");
    CHECK_THROWS_AS(loop({.completions = 0}), std::invalid_argument);
    CHECK_THROWS_AS(loop({.timer_slack = -1ns}), std::invalid_argument);
}

}  // namespace
