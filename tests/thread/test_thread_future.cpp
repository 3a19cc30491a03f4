// SPDX-License-Identifier: MIT
// thread_future and thread_promise: the states of Python's Future, every way to wait, and results
// that no code reads.
#include <rondo/thread_future.hpp>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <rondo/gather.hpp>
#include <rondo/run.hpp>

#include "support/core_tools.hpp"

using namespace rondo_tests;

namespace {

std::exception_ptr some_error(const char* text) {
    return std::make_exception_ptr(std::out_of_range(text));
}

/// Records the calls of the thread exception hook.
struct hooked {
    static inline std::atomic<int> told{0};
    static inline std::string message;
    rondo::thread_exception_hook before;
    hooked() : before(set_thread_exception_hook([](const exception_context& context) {
          message = context.message;
          ++told;
      })) {
        told = 0;
        message.clear();
    }
    ~hooked() { set_thread_exception_hook(before); }
};

// -- states ---------------------------------------------------------------------------------------

TEST_CASE("thread_future: pending, running, done", "[thread_future]") {
    thread_promise<int> promise;
    const thread_future<int> f = promise.get_future();
    CHECK_FALSE(f.done());
    CHECK_FALSE(f.running());
    CHECK(promise.set_running_or_notify_cancel());
    CHECK(f.running());
    CHECK_FALSE(f.cancel());
    promise.set_value(5);
    CHECK(f.done());
    CHECK_FALSE(f.running());
    CHECK_FALSE(f.cancel());
    CHECK_FALSE(f.cancelled());
    CHECK(f.get() == 5);
    CHECK(f.get() == 5);
    CHECK(f.exception() == nullptr);
    CHECK_THROWS_AS(promise.set_value(6), invalid_state_error);
    CHECK_THROWS_AS(promise.set_exception(some_error("late")), invalid_state_error);
    CHECK(f.get_for(1h) == 5);
}

TEST_CASE("thread_future: cancelled before it has begun, at once and for good", "[thread_future]") {
    thread_promise<int> promise;
    const auto f = promise.get_future();
    CHECK(f.cancel());
    CHECK_FALSE(f.cancel());
    CHECK(f.done());
    CHECK(f.cancelled());
    CHECK(promise.done());
    CHECK_FALSE(promise.set_running_or_notify_cancel());
    CHECK_FALSE(promise.set_value(1));
    CHECK_FALSE(promise.set_exception(some_error("late")));
    CHECK_FALSE(promise.set_cancelled());
    CHECK_THROWS_AS(f.get(), future_cancelled);
    CHECK_THROWS_AS(f.exception(), future_cancelled);
}

TEST_CASE("thread_future: a running job is asked to stop if that is possible", "[thread_future]") {
    int asked = 0;
    thread_promise<int> promise([&] { return ++asked < 3; });
    const auto f = promise.get_future();
    CHECK(promise.set_running_or_notify_cancel());
    CHECK(f.cancel());
    CHECK(f.cancel());
    CHECK_FALSE(f.cancel());
    CHECK(asked == 3);
    CHECK(f.running());
    promise.set_cancelled();
    CHECK(f.cancelled());
    CHECK_THROWS_AS(std::move(f).get(), future_cancelled);
}

TEST_CASE("thread_future: every waiter gets the error with its type", "[thread_future]") {
    thread_promise<> promise;
    const auto f = promise.get_future();
    const auto g = f;
    CHECK(f == g);
    promise.set_exception(some_error("far"));
    CHECK_THROWS_AS(f.get(), std::out_of_range);
    CHECK_THROWS_WITH(g.get(), "far");
    CHECK(f.exception() != nullptr);
}

TEST_CASE("thread_future: a promise that is destroyed without a value is an error at the waiter",
          "[thread_future]") {
    const hooked hook;
    thread_future<int> f;
    CHECK_FALSE(f);
    {
        thread_promise<int> promise;
        f = promise.get_future();
    }
    CHECK_THROWS_AS(f.get(), broken_promise_error);
    {
        thread_promise<int> nobody_waits;
    }
    CHECK(hook.told == 0);
}

TEST_CASE("thread_future: an error that is never retrieved goes to the hook, once",
          "[thread_future]") {
    const hooked hook;
    {
        thread_promise<> promise;
        auto f = promise.get_future();
        const auto g = f;
        promise.set_exception(some_error("unseen"));
        CHECK(hook.told == 0);
    }
    CHECK(hook.told == 1);
    CHECK(hook.message == "a thread_future failed and its exception was never retrieved");
    {
        thread_promise<> promise;
        auto f = promise.get_future();
        promise.set_exception(some_error("seen"));
        CHECK(f.exception() != nullptr);
    }
    CHECK(hook.told == 1);
}

TEST_CASE("thread_future: a value may be move-only, a reference, or one that counts its copies",
          "[thread_future]") {
    thread_promise<std::unique_ptr<int>> owning;
    auto owned = owning.get_future();
    owning.set_value(std::make_unique<int>(3));
    CHECK(*owned.get() == 3);
    const auto taken = std::move(owned).get();
    CHECK(*taken == 3);

    int number = 1;
    thread_promise<int&> referring;
    auto reference = referring.get_future();
    referring.set_value(number);
    CHECK(&reference.get() == &number);
    CHECK(&std::move(reference).get() == &number);

    const auto shared = std::make_shared<int>(4);
    thread_future<std::shared_ptr<int>> last;
    {
        thread_promise<std::shared_ptr<int>> sharing;
        last = sharing.get_future();
        sharing.set_value(shared);
        CHECK(std::move(last).get().use_count() == 3);  // copied: the promise still has a handle
        last = sharing.get_future();
    }
    CHECK(std::move(last).get().use_count() == 2);  // moved
}

// -- threads --------------------------------------------------------------------------------------

TEST_CASE("thread_future: threads block until it is done or their timeout has passed",
          "[thread_future]") {
    testing::leak_probe probe;
    {
        thread_promise<std::string> promise;
        const auto f = promise.get_future();
        CHECK_FALSE(f.wait_for(1ms));
        CHECK_THROWS_AS(f.get_for(1ms), timeout_error);
        CHECK_FALSE(f.wait_for(duration(-1)));
        std::atomic<int> got{0};
        std::vector<std::jthread> waiting;
        for (int i = 0; i < 4; ++i)
            waiting.emplace_back([&got, f, i] {
                if ((i % 2 == 0 ? f.get() : f.get_for(1h)) == "there") ++got;
            });
        promise.set_value("there");
        waiting.clear();
        CHECK(got == 4);
        CHECK(f.get() == "there");
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("thread_future: a cancellation wakes blocked threads", "[thread_future]") {
    thread_promise<int> promise;
    const auto f = promise.get_future();
    std::atomic<bool> told{false};
    std::jthread waits([&] {
        try {
            f.get();
        } catch (const future_cancelled&) {
            told = true;
        }
    });
    CHECK(f.cancel());
    waits.join();
    CHECK(told);
}

// -- callbacks ------------------------------------------------------------------------------------

TEST_CASE("thread_future: callbacks are called once, in order, on the thread that sets the value",
          "[thread_future]") {
    thread_promise<int> promise;
    const auto f = promise.get_future();
    std::vector<int> order;
    std::thread::id where;
    for (int i = 0; i < 3; ++i)
        f.add_done_callback([&, i](const thread_future<int>& done) {
            order.push_back(i * 10 + done.get());
            where = std::this_thread::get_id();
        });
    std::jthread giver([&] { promise.set_value(7); });
    const auto id = giver.get_id();
    giver.join();
    CHECK(order == std::vector{7, 17, 27});
    CHECK(where == id);
    f.add_done_callback([&](const auto&) { where = std::this_thread::get_id(); });
    CHECK(where == std::this_thread::get_id());
}

TEST_CASE("thread_future: a callback that throws goes to the hook, and the others are called",
          "[thread_future]") {
    const hooked hook;
    thread_promise<int> promise;
    const auto f = promise.get_future();
    int called = 0;
    f.add_done_callback([](const auto&) { throw std::runtime_error("callback"); });
    f.add_done_callback([&](const auto& done) { called += done.cancelled(); });
    CHECK(f.cancel());
    CHECK(called == 1);
    CHECK(hook.told == 1);
    CHECK(hook.message == "a done callback of a thread_future threw");
}

TEST_CASE("thread_future: callbacks are called once when adding them races with the end",
          "[thread_future][stress]") {
    for (int round = 0; round < many(20'000, 2'000); ++round) {
        static std::atomic<int> turn{0};
        thread_promise<int> promise;
        const auto f = promise.get_future();
        std::atomic<int> called{0};
        static std::atomic<thread_promise<int>*> to_give{nullptr};
        static std::jthread giver([](const std::stop_token& stop) {
            while (!stop.stop_requested())
                if (auto* p = to_give.exchange(nullptr)) {
                    p->set_value(1);
                    ++turn;
                }
        });
        const int before = turn;
        to_give = &promise;
        f.add_done_callback([&](const auto&) { ++called; });
        f.add_done_callback([&](const auto&) { ++called; });
        while (turn == before) std::this_thread::yield();
        if (called != 2) FAIL("round " << round);
    }
}

// -- tasks ----------------------------------------------------------------------------------------

RONDO_TEST("thread_future: a task awaits it, on its own loop's thread", "[thread_future][kernel]") {
    const auto home = std::this_thread::get_id();
    thread_promise<std::string> promise;
    const auto f = promise.get_future();
    std::jthread giver([&] { promise.set_value("from afar"); });
    const std::string& value = co_await f;
    CHECK(value == "from afar");
    CHECK(std::this_thread::get_id() == home);
    CHECK(co_await f == "from afar");
    CHECK(co_await thread_future<std::string>(f) == "from afar");
}

RONDO_TEST("thread_future: several tasks await one", "[thread_future][kernel]") {
    thread_promise<int> promise;
    const auto waits = [](thread_future<int> f) -> task<int> { co_return co_await f; };
    std::vector<future<int>> waiting;
    for (int i = 0; i < 10; ++i) waiting.push_back(create_task(waits(promise.get_future())));
    co_await yield_now();
    std::jthread giver([&] { promise.set_value(3); });
    int sum = 0;
    for (auto& f : waiting) sum += co_await f;
    CHECK(sum == 30);
}

RONDO_TEST("thread_future: errors and cancellations by others come out of an await",
           "[thread_future][both]") {
    thread_promise<int> failing, dropped;
    const auto f = failing.get_future();
    const auto g = dropped.get_future();
    failing.set_exception(some_error("awaited"));
    CHECK_THROWS_AS(co_await f, std::out_of_range);
    g.cancel();
    CHECK_THROWS_AS(co_await g, future_cancelled);
}

RONDO_TEST("thread_future: a cancelled await leaves at once, and the late result is dropped",
           "[thread_future][both]") {
    auto promise = std::make_unique<thread_promise<std::shared_ptr<int>>>();
    const auto value = std::make_shared<int>(1);
    co_await check_cancelled_while_suspended([&] { return promise->get_future(); });
    CHECK_FALSE(promise->done());
    promise->set_value(value);
    CHECK(value.use_count() == 2);
    promise.reset();
    CHECK(value.use_count() == 1);
}

RONDO_TEST(
    "thread_future: an await in a cancelled scope throws even if the value is there",
    "[thread_future][both]") {
    thread_promise<int> promise;
    co_await check_cancelled_before([&] { return promise.get_future(); });
    promise.set_value(1);
    co_await check_cancelled_before([&] { return promise.get_future(); });
}

RONDO_TEST(
    "thread_future: cancelled after the value was set, the await gives it and the next wait throws",
    "[thread_future][both]") {
    thread_promise<int> promise;
    int had = 0;
    bool next_threw = false;
    auto waits = [](thread_future<int> f, int* got, bool* threw) -> task<> {
        *got = co_await f;
        try {
            co_await yield_now();
        } catch (const cancelled&) {
            *threw = true;
            throw;
        }
    };
    auto running = create_task(waits(promise.get_future(), &had, &next_threw));
    co_await yield_now();
    promise.set_value(4);  // posted, and not yet resumed
    running.cancel();
    CHECK_THROWS_AS(co_await running, future_cancelled);
    CHECK(had == 4);
    CHECK(next_threw);
}

TEST_CASE("thread_future: 10,000 awaits, cancels and results race", "[thread_future][stress]") {
    testing::leak_probe probe;
    std::atomic<int> values{0}, cancels{0};
    const auto storm = [&]() -> task<> {
        std::atomic<thread_promise<int>*> to_give{nullptr};
        std::atomic<bool> end{false};
        std::jthread giver([&] {
            while (!end)
                if (auto* p = to_give.exchange(nullptr)) {
                    p->set_value(1);
                    delete p;
                }
        });
        const auto waits = [](thread_future<int> f, std::atomic<int>* got) -> task<> {
            *got += co_await f;
        };
        for (int i = 0; i < many(10'000, 2'000); ++i) {
            auto* promise = new thread_promise<int>;
            auto running = create_task(waits(promise->get_future(), &values));
            co_await yield_now();
            to_give = promise;
            if (i % 3 != 0) running.cancel();
            const auto outcomes = co_await gather_settled(running);
            cancels += std::get<0>(outcomes).has_exception() ? 1 : 0;
            while (to_give.load() != nullptr) std::this_thread::yield();
        }
        end = true;
    };
    run(storm());
    CHECK(values + cancels >= many(10'000, 2'000));
    CHECK(values > 0);
    CHECK(cancels > 0);
    CHECK(probe.leaks() == "");
}

TEST_CASE("thread_promise: move assignment breaks the promise that was there, at once",
          "[thread_future]") {
    thread_promise<int> one, other;
    const auto broken = one.get_future();
    const auto kept = other.get_future();
    one = std::move(other);
    CHECK(broken.done());
    CHECK_FALSE(kept.done());
    one.set_value(3);
    CHECK(kept.get() == 3);
}

}  // namespace
