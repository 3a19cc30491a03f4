// SPDX-License-Identifier: MIT
// Foreign awaitables: however the foreign code uses the handle, the loop resumes the task.
#include <atomic>
#include <coroutine>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "support/core_tools.hpp"

using namespace rondo_tests;

namespace {

/// An awaitable whose await_suspend is a function of the test.
template <class F>
struct suspending {
    F on_suspend;
    int value = 0;
    explicit suspending(F f, int v = 0) : on_suspend(std::move(f)), value(v) {}
    bool await_ready() const noexcept { return false; }
    auto await_suspend(std::coroutine_handle<> handle) { return on_suspend(handle); }
    int await_resume() { return value; }
};

RONDO_TEST("foreign: one that is ready does not suspend", "[foreign][both]") {
    struct ready {
        bool await_ready() { return true; }
        void await_suspend(std::coroutine_handle<>) { FAIL("suspended"); }
        int await_resume() { return 3; }
    };
    CHECK(co_await ready() == 3);
    co_await std::suspend_never();
    ready named;
    CHECK(co_await named == 3);
}

struct by_member {
    auto operator co_await() const {
        const auto stay = [](std::coroutine_handle<> h) { return h; };
        return suspending<decltype(stay)>(stay, 4);
    }
};
struct by_function {};
auto operator co_await(by_function) {
    const auto stay = [](std::coroutine_handle<> h) { return h; };
    return suspending<decltype(stay)>(stay, 5);
}

RONDO_TEST("foreign: operator co_await is found, as a member and as a function",
           "[foreign][both]") {
    CHECK(co_await by_member() == 4);
    CHECK(co_await by_function() == 5);
}

RONDO_TEST("foreign: resumed later, by another task", "[foreign][both]") {
    std::coroutine_handle<> handle;
    const auto keep = [&handle](std::coroutine_handle<> h) { handle = h; };
    suspending awaitable(keep, 7);
    const auto body = [](decltype(awaitable)* a) -> task<int> { co_return co_await *a; };
    auto waiting = create_task(body(&awaitable));
    co_await finish();
    CHECK(waiting.state() == task_state::waiting);
    CHECK(handle);
    handle.resume();  // only posts: the task runs in a turn of its loop
    CHECK_FALSE(waiting.done());
    CHECK(co_await waiting == 7);
}

RONDO_TEST("foreign: resumed inside its own await_suspend", "[foreign][both]") {
    const auto at_once = [](std::coroutine_handle<> h) { h.resume(); };
    for (int i = 0; i < 1000; ++i) {
        suspending awaitable(at_once, i);
        const int value = co_await awaitable;
        REQUIRE(value == i);
    }
}

RONDO_TEST("foreign: await_suspend that returns bool", "[foreign][both]") {
    std::coroutine_handle<> handle;
    const auto no = [](std::coroutine_handle<>) { return false; };
    const auto yes = [&handle](std::coroutine_handle<> h) {
        handle = h;
        return true;
    };
    suspending stays(no, 1);
    for (int i = 0; i < 1000; ++i) {
        const int value = co_await stays;
        REQUIRE(value == 1);
    }
    suspending leaves(yes, 2);
    const auto body = [](decltype(leaves)* a) -> task<int> { co_return co_await *a; };
    auto waiting = create_task(body(&leaves));
    co_await finish();
    handle.resume();
    CHECK(co_await waiting == 2);
}

/// A foreign coroutine: runs when its handle is resumed, then destroys itself.
struct foreign_coroutine {
    struct promise_type {
        foreign_coroutine get_return_object() {
            return {std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        std::suspend_always initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { std::terminate(); }
    };
    std::coroutine_handle<> handle;
};
foreign_coroutine resume_other(std::coroutine_handle<> other, int* ran) {
    ++*ran;
    other.resume();
    co_return;
}

RONDO_TEST("foreign: await_suspend that returns a handle: its own, another one's, none",
           "[foreign][both]") {
    const auto own = [](std::coroutine_handle<> h) { return h; };
    int ran = 0;
    const auto other = [&ran](std::coroutine_handle<> h) -> std::coroutine_handle<> {
        return resume_other(h, &ran).handle;
    };
    std::coroutine_handle<> kept;
    const auto none = [&kept](std::coroutine_handle<> h) -> std::coroutine_handle<> {
        kept = h;
        return std::noop_coroutine();
    };
    // more transfers than a task may make before it goes to the end of the queue
    for (int i = 0; i < 1000; ++i) {
        suspending itself(own, 1);
        suspending through(other, 2);
        const int first = co_await itself, second = co_await through;
        REQUIRE(first + second == 3);
    }
    CHECK(ran == 1000);
    const auto body = [](decltype(none) make) -> task<int> {
        const auto ready = []() -> task<int> { co_return 1; };
        int sum = 0;
        for (int i = 0; i < 300; ++i) {
            for (int k = 0; k < i; ++k) co_await ready();  // its budget ends at every point
            suspending nobody(make, 3);
            sum += co_await nobody;
        }
        co_return sum;
    };
    auto waiting = create_task(body(none));
    while (!waiting.done()) {
        if (kept) std::exchange(kept, {}).resume();
        co_await yield_now();
    }
    CHECK(waiting.result() == 900);
}

RONDO_TEST("foreign: a task whose await_suspend throws is not suspended", "[foreign][both]") {
    const auto refuses = [](std::coroutine_handle<>) { throw std::runtime_error("no"); };
    struct bad_end {
        bool await_ready() { return false; }
        bool await_suspend(std::coroutine_handle<>) { return false; }
        void await_resume() { throw std::out_of_range("end"); }
    };
    suspending awaitable(refuses);
    for (int i = 0; i < 10; ++i) {
        CHECK_THROWS_AS(co_await awaitable, std::runtime_error);
        CHECK_THROWS_AS(co_await bad_end(), std::out_of_range);
    }
    co_await sleep(1ms);  // the task goes on as usual
}

RONDO_TEST("foreign: resumed from other threads", "[foreign][kernel]") {
    std::vector<std::thread> threads;
    const auto elsewhere = [&threads](std::coroutine_handle<> h) {
        threads.emplace_back([h] { h.resume(); });
    };
    const std::thread::id mine = std::this_thread::get_id();
    for (int i = 0; i < 200; ++i) {
        suspending awaitable(elsewhere, i);
        const int value = co_await awaitable;
        REQUIRE(value == i);
        REQUIRE(std::this_thread::get_id() == mine);
    }
    for (std::thread& t : threads) t.join();
}

RONDO_TEST("foreign: two hundred tasks resumed by four threads at once", "[foreign][kernel]") {
    std::atomic<int> suspended{0};
    std::vector<std::coroutine_handle<>> handles(200);
    struct placing {
        std::atomic<int>* suspended;
        std::coroutine_handle<>* place;
        bool await_ready() { return false; }
        void await_suspend(std::coroutine_handle<> h) {
            *place = h;
            ++*suspended;
        }
        void await_resume() {}
    };
    const auto body = [](placing p) -> task<> { co_await p; };
    std::vector<future<>> tasks;
    for (auto& place : handles) tasks.push_back(create_task(body(placing{&suspended, &place})));
    while (suspended != 200) co_await yield_now();
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < 4; ++t)
        threads.emplace_back([&handles, t] {
            for (std::size_t i = t; i < handles.size(); i += 4) handles[i].resume();
        });
    for (const auto& f : tasks) co_await f;
    for (std::thread& t : threads) t.join();
}

RONDO_TEST("foreign: a cancellation waits for the foreign code and then reaches the next wait",
           "[foreign][cancel][both]") {
    std::coroutine_handle<> handle;
    const auto keep = [&handle](std::coroutine_handle<> h) { handle = h; };
    suspending awaitable(keep, 1);
    bool came_back = false, next_threw = false;
    const auto body = [](decltype(awaitable)* a, bool* came, bool* threw) -> task<> {
        co_await *a;
        *came = true;
        try {
            co_await yield_now();
        } catch (const cancelled&) {
            *threw = true;
            throw;
        }
    };
    auto waiting = create_task(body(&awaitable, &came_back, &next_threw));
    co_await finish();
    waiting.cancel();
    co_await finish();
    CHECK_FALSE(waiting.done());
    CHECK(waiting.describe().find("a foreign awaitable") != std::string::npos);
    handle.resume();
    CHECK_THROWS_AS(co_await waiting, future_cancelled);
    CHECK(waiting.cancelled());
    CHECK(came_back);
    CHECK(next_threw);
}

TEST_CASE("foreign: a task suspended in one is named at the loop's end and destroyed",
          "[foreign]") {
    auto alive = std::make_shared<int>();
    captured_stderr quiet;
    {
        testing::world w(testing::sim_options{});
        const auto body = [](std::shared_ptr<int>) -> task<> { co_await std::suspend_always(); };
        const auto outer = [&](std::shared_ptr<int> held) -> task<> { co_await body(held); };
        w.loop().create_task(outer(alive), {.name = "hangs"});
        w.run([]() -> task<> { co_await sleep(1ms); }());
        CHECK(alive.use_count() == 3);
        w.end();
    }
    CHECK(alive.use_count() == 1);
    const std::string text = quiet.text();
    CHECK(text.find("\"hangs\"") != std::string::npos);
    CHECK(text.find("test_foreign.cpp:") != std::string::npos);
}

TEST_CASE("foreign: foreign code that keeps the handle until its destruction is no leak",
          "[foreign]") {
    // The awaitable lives in the frame, and is destroyed with it, last of all.
    struct owner {
        std::shared_ptr<int> alive;
        bool await_ready() { return false; }
        void await_suspend(std::coroutine_handle<>) {}
        void await_resume() {}
    };
    auto alive = std::make_shared<int>();
    captured_stderr quiet;
    const auto body = [](std::shared_ptr<int> p) -> task<> {
        owner awaitable{std::move(p)};
        co_await awaitable;
    };
    testing::world w(testing::sim_options{});
    auto f = w.loop().create_task(body(alive));
    w.run([]() -> task<> { co_await sleep(1ms); }());
    w.loop().close();
    CHECK(f.done());
    CHECK(f.cancelled());
    f = {};
    w.end();
    CHECK(alive.use_count() == 1);
}

}  // namespace
