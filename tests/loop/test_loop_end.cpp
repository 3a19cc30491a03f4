// SPDX-License-Identifier: MIT
// Posts from other threads before, during and after a loop's end, and the end of a loop with tasks,
// operations and callbacks that are left.
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <rondo/gather.hpp>
#include <rondo/task_group.hpp>

#include "support/child.hpp"
#include "support/loop_tools.hpp"
#include "kernel/simulator/simulator.hpp"

using namespace rondo_tests;

namespace {

// -- from other threads --------------------------------------------------------------------------

TEST_CASE("loop: eight threads post, and every post runs, those of a thread in order",
          "[loop]") {
    loop l;
    constexpr int threads = 8;
    const int posts = many(20'000, 3'000);
    std::vector<int> next(threads);
    bool in_order = true;
    int left = threads * posts;
    std::vector<std::thread> posters;
    for (int t = 0; t < threads; ++t)
        posters.emplace_back([&, t] {
            const remote way = l.remote();
            for (int i = 0; i < posts; ++i)
                way.call_soon_threadsafe([&, t, i] {
                    int& expected = next[static_cast<std::size_t>(t)];
                    in_order = in_order && expected++ == i;
                    if (--left == 0) l.stop();
                });
        });
    l.run_forever();
    for (std::thread& t : posters) t.join();
    CHECK(left == 0);
    CHECK(in_order);
    CHECK(l.stats().posts == static_cast<std::uint64_t>(threads * posts));
}

TEST_CASE("loop: a post wakes a loop that sleeps, each time", "[loop]") {
    loop l;
    std::atomic<int> seen{0};
    const int rounds = many(2000, 500);
    std::thread poster([&, way = l.remote()] {
        for (int i = 1; i <= rounds; ++i) {
            way.call_soon_threadsafe([&seen] { ++seen; });
            while (seen < i) std::this_thread::yield();
        }
        way.call_soon_threadsafe([&l] { l.stop(); });
    });
    l.run_forever();
    poster.join();
    CHECK(seen == rounds);
}

TEST_CASE("loop: posting after the end is closed_error, and drops what was posted", "[loop]") {
    auto owned = std::make_shared<int>(0);
    std::optional<remote> way;
    {
        loop l;
        way = l.remote();
        way->call_soon_threadsafe([owned] { ++*owned; });  // before the end: it runs
    }
    CHECK(*owned == 1);
    CHECK(owned.use_count() == 1);
    CHECK_THROWS_AS(way->call_soon_threadsafe([owned] { ++*owned; }), closed_error);
    CHECK_THROWS_AS(way->call_soon_threadsafe([] {}), closed_error);
    CHECK(owned.use_count() == 1);
    CHECK_FALSE(way->try_post([](void*) {}, nullptr));
}

TEST_CASE("loop: posts that race its end run or are refused, none is lost", "[loop]") {
    for (int round = 0; round < many(30, 10); ++round) {
        std::atomic<int> taken{0}, called{0};
        std::atomic<bool> begun{false};
        std::thread poster;
        {
            loop l;
            poster = std::thread([&, way = l.remote()] {
                try {
                    for (;;) {
                        way.call_soon_threadsafe([&called] { ++called; });
                        ++taken;
                        begun = true;
                    }
                } catch (const closed_error&) {
                }
            });
            while (!begun) l.run_once();
        }
        poster.join();
        REQUIRE(taken == called);
    }
}

// -- its end -------------------------------------------------------------------------------------

RONDO_TEST("loop: is destroyed with everything in flight", "[loop][both]") {
    // The test harness checks afterwards that nothing is left.
    const auto receives = [](two_ends c) -> task<> {
        char byte = 0;
        co_await receive(c.here, &byte, 1);
    };
    const auto accepts = []() -> task<> {
        listening at;
        co_await accept_from(at.socket);
    };
    const auto parks = []() -> task<> {
        wait_queue queue;
        co_await queue.park();
    };
    const auto cleans_up = []() -> task<> {
        try {
            co_await sleep_for_ever();
        } catch (const cancelled&) {
        }
        co_await shield(finish(5));
    };
    const auto promises = []() -> task<> {
        promise<int> never;
        co_await never.get_future();
    };
    two_ends pair = co_await connected();
    create_task(receives(std::move(pair)));
    create_task(accepts());
    create_task(parks());
    create_task(cleans_up());
    create_task(promises());
    create_task(sleep_for_ever());
    co_await finish();
    create_task(sleep_for_ever());  // not yet begun
    running_loop().call_later(1h, [] {});
    running_loop().call_soon([] {});
}

TEST_CASE("loop: a callback that schedules itself for ever does not keep it from ending",
          "[loop]") {
    on_both([](loop& l) {
        struct rearming {
            loop* on;
            long* count;
            void operator()() const {
                ++*count;
                on->call_soon(*this);
            }
        };
        static long count;
        l.call_soon(rearming{&l, &count});
        CHECK(l.run_until_complete(give(7)) == 7);
        // The task left at the loop's end catches its cancellation once, and still ends.
        const auto stubborn = []() -> task<> {
            try {
                co_await sleep_for_ever();
            } catch (const cancelled&) {
            }
        };
        l.create_task(stubborn());
        l.run_once();
    });
}

TEST_CASE("loop: shutdown hooks run after the tasks, the last one first", "[loop]") {
    std::string log;
    captured_stderr quiet;
    {
        loop l(std::make_shared<rondo::detail::simulator>());
        const auto body = [](std::string* out) -> task<> {
            try {
                co_await sleep_for_ever();
            } catch (const cancelled&) {
                out->push_back('t');
                throw;
            }
        };
        l.at_shutdown([&log] { log.push_back('1'); });
        l.at_shutdown([] { throw std::runtime_error("from a hook"); });
        l.at_shutdown([&log, &l] {
            log.push_back('3');
            l.at_shutdown([&log] { log.push_back('4'); });
        });
        l.create_task(body(&log));
        l.run_once();
    }
    CHECK(log == "t341");
    CHECK(quiet.text().find("from a hook") != std::string::npos);
}

TEST_CASE("loop: leaving takes no longer than its tasks", "[loop]") {
    // On the real clock: an unneeded wait would take leave_warning, five seconds.
    testing::world w(testing::ring_options{.limit = 3s});
    auto f = w.loop().create_task(sleep_for_ever());
    w.loop().run_once();
    f.cancel();
    f = {};
    w.end();
}

TEST_CASE(
    "loop: at its end a shield holds until its task has ended, and is printed if that takes long",
    "[loop]") {
    captured_stderr captured;
    int cleaned_up = 0;
    {
        testing::world w(testing::sim_options{});
        const auto clean_up = [](int* done) -> task<> {
            co_await sleep(8s);
            ++*done;
        };
        const auto by_task = [&]() -> task<> { co_await shield(clean_up(&cleaned_up)); };
        const auto by_function = [&]() -> task<> { co_await with_shield(clean_up, &cleaned_up); };
        w.loop().create_task(by_task(), {.name = "the one that tidies"});
        w.loop().create_task(by_function());
        w.loop().run_once();
        w.loop().close();
        CHECK(cleaned_up == 2);
        w.end();
    }
    const std::string text = captured.text();
    CHECK(text.find("leaving a loop takes long") != std::string::npos);
    CHECK(text.find("the one that tidies") != std::string::npos);
}

TEST_CASE("loop: on the simulator a deadlock is an error that names the tasks", "[loop]") {
    captured_stderr captured;
    wait_queue queue;
    {
        testing::world w(testing::sim_options{});
        const auto parks = [](wait_queue* q) -> task<> { co_await q->park(); };
        auto f = w.loop().create_task(parks(&queue), {.name = "the one that waits"});
        CHECK_THROWS_AS(w.loop().run(), deadlock_error);
        CHECK_THROWS_AS(w.loop().run_until_complete(f), deadlock_error);
        CHECK_THROWS_AS(w.loop().run_forever(), deadlock_error);
        f.cancel();
        CHECK_THROWS_AS(w.loop().run_until_complete(f), future_cancelled);
        CHECK_THROWS_AS(w.loop().run_forever(), deadlock_error);
        f = {};
        w.end();
    }
    const std::string text = captured.text();
    CHECK(text.find("nothing can wake") != std::string::npos);
    CHECK(text.find("the one that waits") != std::string::npos);
    CHECK(text.find("a wait queue") != std::string::npos);
}

TEST_CASE("loop: a post that creates a task at the loop's end leaves nothing behind", "[loop]") {
    testing::leak_probe probe;
    bool ran = false;
    {
        testing::world w(testing::sim_options{});
        const auto nothing = []() -> task<> { co_return; };
        w.loop().run_until_complete(nothing());
        w.loop().remote().call_soon_threadsafe([&ran] {
            ran = true;
            create_task(sleep(1h));
        });
        w.end();
    }
    CHECK(ran);
    CHECK(probe.leaks() == "");
}

struct for_ever {
    bool await_ready() { return false; }
    void await_suspend(std::coroutine_handle<>) {}
    void await_resume() {}
};

TEST_CASE("loop: a group whose body and child are in foreign awaitables is destroyed child first",
          "[loop]") {
    captured_stderr captured;
    testing::leak_probe probe;
    {
        loop l({.foreign_grace = 1ms});
        const auto in_group = [](task_group& group) -> task<> {
            const auto child = []() -> task<> { co_await for_ever(); };
            group.start(child());
            co_await for_ever();
        };
        const auto body = [&]() -> task<> { co_await with_task_group(in_group); };
        const auto main = [&]() -> task<> {
            create_task(body());
            co_await sleep(1ms);
        };
        l.run_until_complete(main());
    }
    CHECK(captured.text().find("foreign") != std::string::npos);
    CHECK(probe.leaks() == "");
}

TEST_CASE("loop: ends with a thousand nested gathers", "[loop]") {
    struct nest {
        static task<> down(int depth) {
            if (depth == 0) co_return co_await sleep(1h);
            co_await gather(down(depth - 1));
        }
    };
    testing::world w(testing::sim_options{});  // its watchdog allows five seconds
    const auto main = []() -> task<> {
        create_task(nest::down(1000));
        co_await sleep(1ms);
    };
    w.loop().run_until_complete(main());
    w.end();
}

// -- tasks and calls started during the end ------------------------------------------------------

/// Starts a task or a call when it is destroyed.
struct starts_when_dropped {
    int number;
    explicit starts_when_dropped(int fd) : number(fd) {}
    starts_when_dropped(const starts_when_dropped&) = delete;
    ~starts_when_dropped() {
        try {
            create_task(shield(sleep(1us, 1)));
            running_loop().add_reader(number, [] {});
        } catch (const std::exception&) {
        }
    }
};

TEST_CASE("loop: work that hooks, posts and callbacks start at its end is awaited or refused",
          "[loop]") {
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    const std::string ways[] = {"hook", "hook that creates a task", "post", "call_later",
                                "call_soon", "late hook"};
    for (const std::string& way : ways) {
        INFO(way);
        testing::leak_probe probe;
        bool ran = false;
        {
            loop l;
            l.run_until_complete(rondo::detail::as_task(yield_now()));
            const auto watches = [&] {
                ran = true;
                l.add_reader(pair[0], [] {});
            };
            if (way == "hook") l.at_shutdown(watches);
            if (way == "hook that creates a task") l.at_shutdown([&] {
                ran = true;
                create_task(sleep(1h));
                create_task(shield(sleep(1us, 1)));
            });
            if (way == "post") l.call_soon_threadsafe(watches);
            const auto held = std::make_shared<starts_when_dropped>(pair[0]);
            if (way == "call_later") l.call_later(1h, [held] {});
            if (way == "call_soon") l.call_soon([held] {});
            if (way == "late hook")
                l.call_soon_threadsafe([&l, watches] { l.at_shutdown(watches); });
        }
        CHECK(ran == (way.find("call") == std::string::npos));
        CHECK(probe.leaks() == "");
    }
    ::close(pair[0]);
    ::close(pair[1]);
}

TEST_CASE("loop: its destructor drops callbacks, close calls them", "[loop]") {
    for (const bool closes : {false, true}) {
        int called = 0;
        bool dropped = false;
        const auto flag = std::shared_ptr<void>(nullptr, [&](void*) { dropped = true; });
        {
            loop l(std::make_shared<rondo::detail::simulator>());
            l.call_soon([&called, keep = flag] { ++called; });
            if (closes) l.close();
        }
        CHECK(called == (closes ? 1 : 0));
        CHECK(flag.use_count() == 1);
    }
}

TEST_CASE("loop: destruction in a wrong place aborts with a message for each", "[loop]") {
    if (with_tsan()) return;  // it supports no thread in a forked child
    const auto parked = []() -> task<> { co_await sleep_for_ever(); };
    const auto of = [&](auto body) { return run_child([&] { return body(), 0; }); };
    const child_end in_callback = of([] {
        auto l = std::make_unique<loop>();
        l->call_soon([&l] { l.reset(); });
        l->run_once();
    });
    INFO(in_callback.text);
    CHECK(in_callback.says("destroyed inside its own run"));
    const child_end in_other = of([&] {
        auto left = std::make_unique<loop>();
        left->create_task(parked());
        left->run_once();
        loop l;
        l.call_soon([&left] { left.reset(); });
        l.run_once();
    });
    INFO(in_other.text);
    CHECK(in_other.says("destroyed inside the run of another one"));
    const child_end in_fork = of([&] {
        auto l = std::make_unique<loop>();
        l->create_task(parked());
        l->run_once();
        const child_end end = run_child([&] { return l.reset(), 0; });
        std::fputs(end.text.c_str(), stdout);
    });
    INFO(in_fork.text);
    CHECK(in_fork.says("destroyed in a forked child"));
}

}  // namespace
