// SPDX-License-Identifier: MIT
// rondo::thread, and the timer that needs no loop.
#include <pthread.h>
#include <sys/syscall.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include <rondo/from_threads.hpp>
#include <rondo/run.hpp>
#include <rondo/thread.hpp>
#include <rondo/thread_sync.hpp>
#include <rondo/thread_wait.hpp>

#include "support/child.hpp"
#include "support/core_tools.hpp"

using namespace rondo_tests;

namespace {

// -- thread ---------------------------------------------------------------------------------------

TEST_CASE("thread: runs its function on copies of the arguments", "[thread]") {
    testing::leak_probe probe;
    std::thread::id ran;
    auto number = std::make_unique<int>(5);
    int seen = 0;
    rondo::thread one(
        "adder",
        [&](std::unique_ptr<int> n, int more) {
            ran = std::this_thread::get_id();
            seen = *n + more;
        },
        std::move(number), 2);
    CHECK(one.name() == "adder");
    const auto id = one.id();
    one.join();
    CHECK(seen == 7);
    CHECK(ran == id);
    CHECK_FALSE(one.running());
    one.join();  // again
    CHECK(one.join_for(0s));
    CHECK(probe.leaks() == "");
}

TEST_CASE("thread: the system shows the first 15 bytes of its name", "[thread]") {
    std::string shown;
    rondo::thread one("a-name-that-is-too-long", [&] {
        char name[16] = "";
        ::pthread_getname_np(::pthread_self(), name, sizeof name);
        shown = name;
    });
    one.join();
    CHECK(shown == "a-name-that-is-");
    CHECK(one.name() == "a-name-that-is-too-long");
}

TEST_CASE("thread: joining an empty one returns at once", "[thread]") {
    rondo::thread none;
    none.join();
    CHECK(none.join_for(-1s));
    CHECK_FALSE(none.running());
    CHECK_FALSE(none.request_stop());
    CHECK_FALSE(static_cast<bool>(none.ended()));
}

TEST_CASE("thread: request_stop and the destructor set its stop_token", "[thread]") {
    testing::leak_probe probe;
    auto until_asked = [](std::stop_token stop, std::atomic<int>* ends) {
        while (!stop.stop_requested()) std::this_thread::yield();
        ++*ends;
    };
    std::atomic<int> ends{0};
    {
        rondo::thread one("one", until_asked, &ends);
        CHECK(one.running());
        CHECK_FALSE(one.join_for(0s));
        CHECK_FALSE(one.join_for(1ms));
        CHECK(one.request_stop());
        CHECK_FALSE(one.request_stop());
        one.join();
        CHECK(ends == 1);
        one = rondo::thread("two", until_asked, &ends);
        CHECK(one.name() == "two");
        one = rondo::thread("three", until_asked, &ends);  // "two" is asked to stop, and joined
        CHECK(ends == 2);
        rondo::thread moved = std::move(one);
        CHECK(moved.running());
    }
    CHECK(ends == 3);
    CHECK(probe.leaks() == "");
}

TEST_CASE("thread: its arguments are destroyed before it has ended", "[thread]") {
    auto alive = std::make_shared<int>(1);
    const std::weak_ptr<int> watched = alive;
    rondo::thread one("holder", [held = std::move(alive)] {});
    one.ended().wait();
    CHECK(watched.expired());
}

std::vector<std::string> told;  // written by one thread, which is joined
void remember(const exception_context& context) {
    try {
        std::rethrow_exception(context.error);
    } catch (const std::exception& error) {
        told.push_back(context.message + ": " + error.what());
    }
}

TEST_CASE("thread: an exception of its function goes to the hook, and it has ended", "[thread]") {
    told.clear();
    const auto before = set_thread_exception_hook(&remember);
    rondo::thread one("thrower", [] { throw std::runtime_error("no more"); });
    one.join();
    set_thread_exception_hook(before);
    CHECK(told ==
          std::vector<std::string>{"an exception left the function of thread thrower: no more"});
    CHECK(one.ended().exception() == nullptr);
}

TEST_CASE("thread: joining itself is refused", "[thread]") {
    std::atomic<int> refused{0};
    std::atomic<bool> there{false};
    rondo::thread one;
    one = rondo::thread("self", [&] {
        while (!there) std::this_thread::yield();
        try {
            one.join();
        } catch (const deadlock_error&) {
            ++refused;
        }
    });
    there = true;
    one.ended().wait();
    CHECK(refused == 1);
}

TEST_CASE("thread: every way of waiting for its own end is refused", "[thread]") {
    std::atomic<int> refused{0};
    thread_event there;
    rondo::thread one;
    const auto refuses = [&](auto wait) {
        try {
            wait();
        } catch (const deadlock_error&) {
            ++refused;
        }
    };
    one = rondo::thread("self", [&] {
        there.wait();
        refuses([&] { one.ended().wait(); });
        refuses([&] { one.ended().get(); });
        refuses([&] { rondo::wait(std::vector{one.ended()}); });
        CHECK_FALSE(one.ended().cancel());
        CHECK_FALSE(one.ended().wait_for(0s));  // a wait with a limit is allowed
    });
    const auto end = one.ended();
    there.set();
    end.wait();
    CHECK(refused == 3);
}

TEST_CASE("thread: joined in a callback of the loop that it waits for, one of both throws",
          "[thread]") {
    const auto nothing = []() -> task<> { co_return; };
    loop l;
    const remote home = l.remote();
    std::atomic<int> refused{0};
    thread_event blocks;
    rondo::thread waits("waits", [&] {
        auto f = run_coroutine_threadsafe(nothing(), home);
        blocks.set();
        try {
            f.get();
        } catch (const deadlock_error&) {
            ++refused;
        }
    });
    l.call_soon([&] {
        blocks.wait();
        try {
            waits.join();
        } catch (const deadlock_error&) {
            ++refused;
        }
        l.stop();
    });
    l.run_forever();
    CHECK(refused == 1);
    l.run_once();
    waits.join();
}

TEST_CASE(
    "thread: destroying it on itself, or on the loop that it waits for, aborts with a sentence",
    "[thread][death]") {
    if (with_tsan()) return;  // it starts no thread in a forked child
    const auto by_itself = run_child([] {
        auto one = std::make_unique<rondo::thread>();
        thread_event there;
        *one = rondo::thread("self", [&] {
            there.wait();
            one = nullptr;
        });
        auto end = one->ended();
        there.set();
        end.wait();
        return 0;
    });
    const auto by_its_timer = run_child([] {
        std::optional<thread_timer> timer;
        timer.emplace(0s, [&] { timer.reset(); });
        timer->start();
        std::this_thread::sleep_for(10s);
        return 0;
    });
    const auto in_a_task = run_child([] {
        run([]() -> task<> {
            thread_event began;
            const rondo::thread one("waits", [&, home = running_loop().remote()] {
                auto f = run_coroutine_threadsafe([]() -> task<> { co_return; }(), home);
                began.set();
                f.get();
            });
            // Either it blocks by now and this aborts, or its wait is refused later: both end.
            began.wait();
            co_return;
        }());
        return 7;
    });
    for (const auto* end : {&by_itself, &by_its_timer}) {
        INFO(end->text);
        CHECK(end->aborted());
        CHECK(end->says("by its own function"));
    }
    INFO(in_a_task.text);
    CHECK((in_a_task.aborted() || in_a_task.exited(7)));
    CHECK(
        (in_a_task.says("co_await ended() first") || in_a_task.says("co_await ended() in a task")));
}

TEST_CASE("thread: if the system cannot start it, an error says so", "[thread]") {
    if (with_tsan()) return;  // it starts no thread in a forked child
    const auto end = run_child([] {
        forbid(SYS_clone3, EAGAIN);
        forbid(SYS_clone, EAGAIN);
        try {
            const rondo::thread one("none", [] {});
        } catch (const std::system_error& error) {
            return error.code() == std::errc::resource_unavailable_try_again ? 0 : 1;
        }
        return 2;
    });
    CHECK(end.exited());
}

RONDO_TEST("thread: a task awaits its end", "[thread][kernel]") {
    thread_event go;
    rondo::thread one("awaited", [&] { go.wait(); });
    auto waiting = create_task([](thread_future<> end) -> task<> { co_await end; }(one.ended()));
    co_await yield_now();
    CHECK_FALSE(waiting.done());
    waiting.cancel();
    CHECK_THROWS_AS(co_await waiting, future_cancelled);
    CHECK(one.running());  // the await has ended; the thread goes on
    go.set();
    co_await one.ended();
    CHECK_FALSE(one.running());
}

// -- thread_timer ---------------------------------------------------------------------------------

TEST_CASE("thread_timer: calls once after its delay, and once more per start",
          "[thread]") {
    testing::leak_probe probe;
    {
        std::atomic<int> calls{0};
        thread_event called;
        thread_timer timer(1ms, [&] {
            ++calls;
            called.set();
        });
        CHECK_FALSE(timer.active());
        for (int round = 1; round <= 3; ++round) {
            const auto before = std::chrono::steady_clock::now();
            called.clear();
            timer.start();
            called.wait();
            CHECK(std::chrono::steady_clock::now() - before >= 1ms);
            CHECK(calls == round);
            CHECK_FALSE(timer.active());
        }
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("thread_timer: cancelled, moved, started twice", "[thread]") {
    testing::leak_probe probe;
    {
        std::atomic<int> calls{0};
        thread_event called;
        thread_timer timer(1h, [&] {
            ++calls;
            called.set();
        });
        timer.cancel();  // there is nothing to cancel
        timer.start();
        CHECK(timer.active());
        CHECK_THROWS_AS(timer.start(), invalid_state_error);
        timer.cancel();
        CHECK_FALSE(timer.active());
        timer.start();
        timer.reset();
        CHECK(timer.active());
        CHECK(timer.delay() == 1h);
        CHECK(calls == 0);
        timer.reset(0s);  // sooner
        called.wait();
        CHECK(timer.delay() == 0s);
        called.clear();
        timer.reset(-1s);
        called.wait();
        timer.reset(duration::max());  // destroyed while it is started
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("thread_timer: its function may start it again, move it and cancel it", "[thread]") {
    std::atomic<int> calls{0};
    thread_event third;
    thread_timer* self = nullptr;
    thread_timer timer(0s, [&] {
        switch (++calls) {
            case 1: self->start(); break;
            case 2: self->reset(1us); break;
            default:
                self->cancel();
                third.set();
        }
    });
    self = &timer;
    timer.start();
    third.wait();
    CHECK(calls == 3);
}

TEST_CASE("thread_timer: an exception of its function goes to the hook", "[thread]") {
    told.clear();
    const auto before = set_thread_exception_hook(&remember);
    {
        thread_event called;
        thread_timer timer(0s, [&] {
            called.set();
            throw std::runtime_error("late");
        });
        timer.start();
        called.wait();
    }
    set_thread_exception_hook(before);
    CHECK(told == std::vector<std::string>{"a thread_timer's function threw: late"});
}

TEST_CASE("thread_timer: started and cancelled by many threads", "[thread]") {
    std::atomic<int> calls{0};
    {
        thread_timer timer(50us, [&] { ++calls; });
        std::vector<std::jthread> threads;
        for (int i = 0; i < 4; ++i)
            threads.emplace_back([&, i] {
                for (int n = 0; n < 500; ++n)
                    if ((n + i) % 3 != 0)
                        timer.reset();
                    else
                        timer.cancel();
            });
        threads.clear();
        timer.reset(0s);
        while (timer.active()) std::this_thread::yield();
    }
    CHECK(calls >= 1);
}

}  // namespace
