// SPDX-License-Identifier: MIT
// The loop inside a host's loop: the host only calls poll(2) on one descriptor. A missed wake-up
// shows as a poll that reaches its time limit, which is always an error.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <initializer_list>
#include <memory>
#include <thread>
#include <vector>

#include "support/child.hpp"
#include "support/core_tools.hpp"

using namespace rondo_tests;

namespace {

/// The host's loop. Between its turns, `between` does the host's work: sets promises, cancels,
/// starts.
class host {
public:
    explicit host(rondo::loop& guest) : guest_(&guest), fd_(guest.fd()) {}

    /// Runs until `done`. False if nothing came for ten seconds: a wake-up was missed.
    template <class Done, class Between>
    bool run(Done done, Between between, duration budget = duration::max()) {
        while (!done()) {
            between();
            pollfd watched{fd_, POLLIN, 0};
            const int ready = ::poll(&watched, 1, 10'000);
            if (ready <= 0) return false;
            ++turns;
            guest_->poll(budget);
        }
        return true;
    }
    template <class Done>
    bool run(Done done) {
        return run(done, [] {});
    }
    bool readable() const {
        pollfd watched{fd_, POLLIN, 0};
        return ::poll(&watched, 1, 0) == 1;
    }

    long turns = 0;

private:
    rondo::loop* guest_;
    int fd_;
};

TEST_CASE("embed: use of a loop by another thread during its turn aborts with a message",
          "[embed][death]") {
    if (with_tsan()) return;  // it starts no thread in a forked child
    const auto meanwhile = [](void (*what)(rondo::loop&)) {
        return run_child([what] {
            rondo::loop l;
            std::atomic<bool> inside{false};
            l.call_soon([&] {
                inside = true;
                std::this_thread::sleep_for(10s);
            });
            std::thread other([&] {
                while (!inside) std::this_thread::yield();
                what(l);
            });
            l.run_forever();
            other.join();
            return 0;
        });
    };
    for (const auto runs : std::initializer_list<void (*)(rondo::loop&)>{
             [](rondo::loop& l) { l.poll(); }, [](rondo::loop& l) { l.run_once(); },
             [](rondo::loop& l) { l.run(); }}) {
        const auto end = meanwhile(runs);
        INFO(end.text);
        CHECK(end.aborted());
        CHECK(end.says("two threads run one loop"));
    }
    for (const auto uses : std::initializer_list<void (*)(rondo::loop&)>{
             [](rondo::loop& l) { l.close(); }, [](rondo::loop& l) { l.call_soon([] {}); },
             [](rondo::loop& l) { l.call_later(1s, [] {}); },
             [](rondo::loop& l) { l.create_task([]() -> task<> { co_return; }()); }}) {
        const auto end = meanwhile(uses);
        INFO(end.text);
        CHECK(end.aborted());
        CHECK(end.says("while another one is in its turn"));
    }
}

TEST_CASE("embed: tasks, timers and operations run under a host that only polls", "[embed]") {
    const testing::leak_probe probe;
    {
        loop l;
        host h(l);
        const auto body = []() -> task<int> {
            int sum = 0;
            for (int i = 0; i < 20; ++i) {
                co_await sleep(100us);
                sum += 1 + co_await nop();
                co_await yield_now();
            }
            co_return sum;
        };
        auto f = l.create_task(body());
        REQUIRE(h.run([&] { return f.done(); }));
        CHECK(f.result() == 20);
        CHECK(l.stats().tasks == 0);
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("embed: with nothing to do the descriptor is not readable", "[embed]") {
    loop l;
    host h(l);
    const auto sleeps = []() -> task<> { co_await sleep(1h); };
    auto f = l.create_task(sleeps());
    CHECK(h.readable());
    l.poll();
    l.poll();
    CHECK_FALSE(h.readable());
    CHECK(l.stats().timers == 1);
    f.cancel();
    CHECK(h.readable());
    l.poll();
    CHECK(f.cancelled());
    CHECK_FALSE(h.readable());
}

TEST_CASE("embed: any call between turns that makes work makes it readable", "[embed]") {
    loop l;
    host h(l);
    const auto drained = [&] {
        l.poll();
        l.poll();
        return !h.readable();
    };
    REQUIRE(drained());

    l.create_task([]() -> task<> { co_return; }());
    CHECK(h.readable());
    REQUIRE(drained());

    l.call_soon([] {});
    CHECK(h.readable());
    REQUIRE(drained());

    call_handle soon = l.call_later(0s, [] {});
    CHECK(h.run([&] { return l.stats().timers == 0; }));
    REQUIRE(drained());

    promise<int> given = l.create_promise<int>();
    auto waiting =
        l.create_task([](future<int> f) -> task<int> { co_return co_await f; }(given.get_future()));
    REQUIRE(drained());
    given.set_value(3);
    CHECK(h.readable());
    REQUIRE(drained());
    CHECK(waiting.result() == 3);

    wait_queue queue;
    auto parked = l.create_task([](wait_queue* q) -> task<> { co_await q->park(); }(&queue));
    REQUIRE(drained());
    queue.unpark_one();
    CHECK(h.readable());
    REQUIRE(drained());
    CHECK(parked.done());

    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    auto end = std::make_unique<descriptor>(descriptor::adopt(pair[0], "end"));
    const auto reads = [](const descriptor* from) -> task<int> {
        char byte = 0;
        co_return co_await receive(*from, &byte, 1);
    };
    auto reader = l.create_task(reads(end.get()));
    REQUIRE(drained());
    REQUIRE(::write(pair[1], "x", 1) == 1);  // the completion comes from the kernel
    CHECK(h.run([&] { return reader.done(); }));
    CHECK(reader.result() == 1);
    reader = l.create_task(reads(end.get()));
    REQUIRE(drained());
    reader.cancel();  // makes an entry, which the host must get submitted
    CHECK(h.run([&] { return reader.done(); }));
    CHECK(reader.cancelled());
    auto second = l.create_task(reads(end.get()));
    REQUIRE(drained());
    end->close();  // cancels too
    CHECK(h.run([&] { return second.done(); }));
    CHECK_THROWS_AS(second.result(), std::system_error);
    ::close(pair[1]);

    std::thread([way = l.remote()] { way.call_soon_threadsafe([] {}); }).join();
    CHECK(h.readable());
    REQUIRE(drained());
}

TEST_CASE("embed: an earlier deadline, set between turns, is kept", "[embed]") {
    loop l;
    host h(l);
    const auto sleeps = [](duration d) -> task<> { co_await sleep(d); };
    auto late = l.create_task(sleeps(1h));
    l.poll();
    l.poll();
    auto early = l.create_task(sleeps(2ms));
    CHECK(h.run([&] { return early.done(); }));
    bool called = false;
    l.call_later(2ms, [&] { called = true; });
    CHECK(h.run([&] { return called; }));
    late.cancel();
    CHECK(h.run([&] { return late.done(); }));
}

TEST_CASE("embed: twenty thousand events from this thread and others, none missed", "[embed]") {
    loop l;
    host h(l);
    const int events = many(20'000, 3'000);
    std::atomic<int> posted{0};
    int arrived = 0, ticks = 0, values = 0, cancelled_ones = 0;
    std::thread poster([&, way = l.remote()] {
        for (int i = 0; i < events; ++i) {
            way.call_soon_threadsafe([&arrived] { ++arrived; });
            posted = i + 1;
            if (i % 64 == 0) std::this_thread::yield();
        }
    });
    bool stop = false;
    const auto ticking = [](int* count, const bool* end) -> task<> {
        while (!*end) {
            co_await sleep(50us);
            ++*count;
        }
    };
    auto ticker = l.create_task(ticking(&ticks, &stop));
    std::unique_ptr<promise<int>> given;
    std::vector<future<>> victims;
    const auto waits = [](future<int> f, int* count) -> task<> { *count += co_await f; };
    const auto sleeps = []() -> task<> { co_await sleep(1h); };
    const auto between = [&] {
        if (given) given->set_value(1);
        given = std::make_unique<promise<int>>(l.create_promise<int>());
        l.create_task(waits(given->get_future(), &values));
        if (!victims.empty()) {
            victims.back().cancel();
            victims.pop_back();
            ++cancelled_ones;
        }
        victims.push_back(l.create_task(sleeps()));
    };
    // The other thread may have posted all of them before the first turn.
    const auto done = [&] { return arrived == events && ticks > 0 && values > 0; };
    CHECK(h.run(done, between));
    poster.join();
    CHECK(arrived == events);
    stop = true;
    given->set_value(1);
    victims.back().cancel();
    CHECK(h.run([&] { return l.stats().tasks == 0; }));
    CHECK(ticker.done());
}

TEST_CASE("embed: one post at a time, each wakes the host", "[embed]") {
    loop l;
    host h(l);
    std::atomic<int> seen{0};
    const int rounds = many(3000, 500);
    std::thread poster([&, way = l.remote()] {
        for (int i = 1; i <= rounds; ++i) {
            way.call_soon_threadsafe([&seen] { ++seen; });
            while (seen < i) std::this_thread::yield();
        }
    });
    CHECK(h.run([&] { return seen == rounds; }));
    poster.join();
}

TEST_CASE("embed: a budget ends a turn, and remaining work makes it readable", "[embed]") {
    loop l;
    host h(l);
    long rounds = 0;
    bool stop = false;
    const auto busy = [](long* count, const bool* end) -> task<> {
        while (!*end) {
            ++*count;
            co_await yield_now();
        }
    };
    auto f = l.create_task(busy(&rounds, &stop));
    for (int i = 0; i < 5; ++i) {
        const long before = rounds;
        l.poll(100us);  // returns, though the task is always ready
        CHECK(rounds > before);
        CHECK(h.readable());
    }
    l.poll(0s);
    CHECK(h.readable());
    stop = true;
    CHECK(h.run([&] { return f.done(); }));
}

TEST_CASE("embed: poll and run may alternate, and stop ends only one of them", "[embed]") {
    loop l;
    host h(l);
    const auto body = []() -> task<int> {
        co_await sleep(100us);
        co_return 1;
    };
    CHECK(l.run_until_complete(body()) == 1);
    auto f = l.create_task(body());
    CHECK(h.run([&] { return f.done(); }));
    CHECK(l.run_until_complete(body()) == 1);
    l.call_soon([&l] { l.stop(); });
    l.call_soon([] {});
    l.poll();
    auto g = l.create_task(body());
    CHECK(h.run([&] { return g.done(); }));
}

TEST_CASE("embed: the simulator has no descriptor: an error", "[embed]") {
    testing::world w(testing::sim_options{});
    CHECK_THROWS_AS(w.loop().fd(), std::system_error);
    bool called = false;
    w.loop().call_soon([&called] { called = true; });
    w.loop().poll();
    CHECK(called);
    w.end();
}

TEST_CASE("embed: with a budget of nearly nothing, one resumption runs", "[embed]") {
    testing::world w(testing::sim_options{});
    int called = 0;
    for (int i = 0; i < 3; ++i) w.loop().call_soon([&called] { ++called; });
    w.loop().poll(0ns);
    CHECK(called >= 1);
    w.loop().poll(1ns);
    CHECK(called >= 2);
    w.loop().poll(-1ns);
    CHECK(called == 3);
    w.end();
}

}  // namespace
