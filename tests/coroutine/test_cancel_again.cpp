// SPDX-License-Identifier: MIT
// A task that waits again and again after it was cancelled: others run all the same.
#include <memory>
#include <string>
#include <vector>

#include <rondo/rondo.hpp>

#include "support/core_tools.hpp"
#include "kernel/simulator/simulator.hpp"

using namespace rondo_tests;

namespace {

constexpr long resumer_budget = rondo::detail::resumer::budget;

template <class Make>
task<> wait_on(Make make, const bool* stop, long* refused) {
    rondo::detail::inner_scope scope;
    rondo::detail::cancel(scope);
    while (!*stop) {
        try {
            static_cast<void>(co_await make());
        } catch (const cancelled&) {
            ++*refused;
        }
    }
}

/// Such a task does not keep others from running: each refused wait spends its budget.
template <class Make>
task<> check_others_go_on(Make make) {
    bool stop = false;
    long refused = 0;
    auto waiting = create_task(wait_on(make, &stop, &refused));
    co_await finish(5);
    stop = true;
    co_await waiting;
    CHECK(refused > resumer_budget);
}

RONDO_TEST("cancel: a task that waits for time or a task again and again lets others run",
           "[cancel][both]") {
    co_await check_others_go_on([] { return sleep(1h); });
    co_await check_others_go_on([] { return sleep_until(running_loop().time() + 1h); });
    co_await check_others_go_on([] { return yield_now(); });
    co_await check_others_go_on([] { return nop(); });
    promise<> never;
    const auto f = never.get_future();
    co_await check_others_go_on([&] { return shield(f); });
    const std::vector<future<>> both{f, f};
    co_await check_others_go_on([&] { return wait(both); });
    wait_queue line;
    co_await check_others_go_on([&] { return line.park(); });
    CHECK(line.empty());
    never.set_value();
    co_await check_others_go_on([&] { return shield(f); });
}

RONDO_TEST("cancel: a task that waits for a lock again and again lets others lock it",
           "[cancel][both]") {
    mutex m;
    co_await check_others_go_on([&] { return m.lock(); });  // free
    CHECK_FALSE(m.locked());
    mutex::guard held = co_await m.lock();
    co_await check_others_go_on([&] { return m.lock(); });
    CHECK(held.owns_lock());
    condition c(m);
    bool stop = false;
    long refused = 0, unlocked = 0;
    const auto notified = [&]() -> task<> {
        mutex::guard own = co_await m.lock();
        while (!stop) {
            try {
                co_await c.wait(own);
            } catch (const cancelled&) {
                ++refused;
                if (!own) ++unlocked;
            }
        }
    };
    held.unlock();
    auto waiting = create_task(notified());
    co_await finish();
    waiting.cancel();
    co_await finish(5);
    CHECK(m.locked());  // the wait is refused while the mutex is locked
    stop = true;
    co_await waiting;
    CHECK(refused > resumer_budget);
    CHECK(unlocked == 0);
    event e;
    co_await check_others_go_on([&] { return e.wait(); });
    semaphore s(0);
    co_await check_others_go_on([&] { return s.acquire(); });
}

RONDO_TEST("cancel: a task that waits at a queue again and again leaves the queue unchanged",
           "[cancel][both]") {
    queue<int> q(1);
    co_await check_others_go_on([&] { return q.next(); });
    co_await check_others_go_on([&] { return q.put(1); });
    CHECK(q.size() == 0);
    co_await q.put(7);
    co_await check_others_go_on([&] { return q.next(); });
    co_await check_others_go_on([&] { return q.put(8); });
    co_await check_others_go_on([&] { return q.join(); });
    CHECK(q.size() == 1);
    CHECK(co_await q.next() == 7);
}

RONDO_TEST("cancel: a task that reads and writes again and again lets others do it",
           "[cancel][both]") {
    two_ends c = co_await connected();
    char byte = 0;
    co_await check_others_go_on([&] { return receive(c.here, &byte, 1); });
    auto ends = socket_pair();
    auto& a = ends.first;  // clang 14 cannot capture structured bindings
    auto& b = ends.second;
    buffer_view into(&byte, 1);
    co_await check_others_go_on([&] { return a.read_some(into); });
    co_await check_others_go_on([&] { return a.read_view(); });
    co_await check_others_go_on([&] { return a.write_all("x"); });
    bool stop = false;
    long refused = 0;
    auto waiting = create_task(wait_on([&] { return a.read_some(into); }, &stop, &refused));
    auto reads = create_task([](unix_stream* from) -> task<std::string> {
        co_return *co_await from->read_line();
    }(&a));
    co_await b.write_all("others\n");  // while the other task is refused again and again
    CHECK(co_await reads == "others");
    stop = true;
    co_await waiting;
    auto socket = udp_socket::bind({"127.0.0.1", 0});
    co_await check_others_go_on([&] { return socket.receive_from(into); });
    co_await check_others_go_on([&] { return socket.send_to("x", socket.local()); });
}

RONDO_TEST("cancel: a task that waits for threads again and again lets others run",
           "[cancel][both]") {
    co_await check_others_go_on([] { return to_thread([] {}); });
    bridge_queue<int> between(1);
    co_await check_others_go_on([&] { return between.next(); });
    thread_promise<> given;
    const auto f = given.get_future();
    co_await check_others_go_on([&] { return f; });
    given.set_value();
    const auto there = running_loop().remote();
    co_await check_others_go_on([&] { return on(there, [] { return 1; }); });
}

TEST_CASE("cancel: at its end a loop names the task that waits again and again, and its place",
          "[cancel]") {
    captured_stderr captured;
    bool cleaned_up = false;
    constexpr int line = __LINE__ + 5;
    const auto stubborn = [&]() -> task<> {
        for (long n = 0; n < 100 * resumer_budget; ++n) {
            try {
                // The place that the loop prints.
                co_await sleep(1h);
            } catch (const cancelled&) {
            }
        }
    };
    const auto cleans_up = [&]() -> task<> {
        co_await shield(finish(20));
        cleaned_up = true;
    };
    {
        loop l(std::make_shared<rondo::detail::simulator>(), {.leave_warning = 0ns});
        l.create_task(stubborn(), {.name = "stubborn"});
        l.create_task(cleans_up());
        l.run_once();
        l.run_once();
    }
    CHECK(cleaned_up);
    const std::string text = captured.text();
    INFO(text);
    CHECK(text.find("task \"stubborn\"") != std::string::npos);
    CHECK(text.find("waits in sleep at ") != std::string::npos);
    CHECK(text.find("test_cancel_again.cpp:" + std::to_string(line)) != std::string::npos);
}

}  // namespace
