// SPDX-License-Identifier: MIT
// wait_queue: first come first served, and no choice is ever lost.
#include <string>

#include "support/child.hpp"
#include "support/core_tools.hpp"

using namespace rondo_tests;

namespace {

task<> wait_and_note(wait_queue* queue, std::string* log, char name) {
    co_await queue->park();
    log->push_back(name);
}

RONDO_TEST("wait_queue: chooses in the order of arrival", "[wait_queue][both]") {
    wait_queue queue;
    std::string log;
    for (char name : std::string("abcd")) create_task(wait_and_note(&queue, &log, name));
    CHECK(queue.empty());
    co_await yield_now();
    CHECK(queue.size() == 4);
    CHECK(queue.unpark_one());
    CHECK(queue.size() == 3);
    co_await yield_now();
    CHECK(log == "a");
    CHECK(queue.unpark_all() == 3);
    CHECK_FALSE(queue.unpark_one());
    co_await yield_now();
    CHECK(log == "abcd");
    CHECK(queue.empty());
}

RONDO_TEST("wait_queue: a waiter in the middle leaves when it is cancelled", "[wait_queue][both]") {
    wait_queue queue;
    std::string log;
    auto a = create_task(wait_and_note(&queue, &log, 'a'));
    auto b = create_task(wait_and_note(&queue, &log, 'b'));
    auto c = create_task(wait_and_note(&queue, &log, 'c'));
    co_await yield_now();
    b.cancel();
    CHECK(queue.size() == 2);
    co_await finish();
    CHECK(b.cancelled());
    CHECK(queue.unpark_all() == 2);
    co_await finish();
    CHECK(log == "ac");
}

RONDO_TEST("wait_queue: a chosen waiter that is cancelled passes the choice on",
           "[wait_queue][both]") {
    wait_queue queue;
    std::string log;
    auto a = create_task(wait_and_note(&queue, &log, 'a'));
    auto b = create_task(wait_and_note(&queue, &log, 'b'));
    auto c = create_task(wait_and_note(&queue, &log, 'c'));
    co_await yield_now();
    queue.unpark_one();
    a.cancel();
    queue.unpark_one();  // chooses b
    b.cancel();
    co_await finish();
    CHECK(a.cancelled());
    CHECK(b.cancelled());
    CHECK(log == "c");  // two choices came to one waiter; the other found none
    CHECK(queue.empty());
}

RONDO_TEST("wait_queue: the owner decides how a choice is passed on", "[wait_queue][both]") {
    struct permits {
        wait_queue queue;
        int free = 0;
        int taken = 0;
    } store;
    static constexpr auto kind = wait_queue::kind("a permit");
    const auto take = [](permits* p) -> task<> {
        const auto pass_on = [](void* word) noexcept {
            auto& self = *static_cast<permits*>(word);
            if (!self.queue.unpark_one()) ++self.free;
        };
        co_await p->queue.park(kind, pass_on, p);
        ++p->taken;
    };
    auto a = create_task(take(&store)), b = create_task(take(&store));
    co_await finish();
    CHECK(a.describe().find("a permit") != std::string::npos);
    store.queue.unpark_one();
    a.cancel();
    co_await finish();
    CHECK(store.taken == 1);
    auto c = create_task(take(&store));
    co_await finish();
    store.queue.unpark_one();
    c.cancel();
    co_await finish();
    CHECK(c.cancelled());
    CHECK(store.taken == 1);
    CHECK(store.free == 1);  // no waiter was left: the permit is back
    co_await b;
}

RONDO_TEST("wait_queue: cancelled before, while and after", "[wait_queue][cancel][both]") {
    wait_queue queue;
    const auto make = [&] { return queue.park(); };
    co_await check_cancelled_before(make);
    CHECK(queue.empty());
    co_await check_cancelled_while_suspended(make);
    CHECK(queue.empty());
    observed seen;
    const auto choose = [&] { queue.unpark_one(); };
    co_await check_cancelled_after_completion(make, choose, &seen);
    CHECK(seen.first == outcome_of_wait::cancelled);  // taken back, law 3
    CHECK(queue.empty());
}

RONDO_TEST("wait_queue: exhaustively, every choice ends at a waiter", "[wait_queue]",
           seeds(1).limit(30s)) {
    // Three waiters; six steps out of {choose one, cancel a, cancel b, cancel c, one turn}. A
    // waiter that ends uncancelled was chosen; no choice is lost while a task waits.
    constexpr int steps = 6, kinds = 5;
    int programs = 1;
    for (int i = 0; i < steps; ++i) programs *= kinds;
    const int stride = many(1, 11);
    for (int program = 0; program < programs; program += stride) {
        wait_queue queue;
        std::string log;
        std::vector<future<>> waiters;
        for (char name : std::string("abc"))
            waiters.push_back(create_task(wait_and_note(&queue, &log, name)));
        co_await yield_now();
        std::size_t choices = 0;
        for (int step = 0, rest = program; step < steps; ++step, rest /= kinds) {
            const int what = rest % kinds;
            if (what == 0)
                choices += queue.unpark_one() ? 1U : 0U;
            else if (what < 4)
                waiters[static_cast<std::size_t>(what - 1)].cancel();
            else
                co_await yield_now();
        }
        co_await finish();
        std::size_t alive = 0;
        for (const auto& w : waiters) alive += w.done() ? 0U : 1U;
        // Choices that found a waiter were used, unless all waiters left had been cancelled.
        const bool ok = queue.size() == alive && (alive == 0 || log.size() == choices);
        if (!ok) {
            INFO("program " << program);
            REQUIRE(ok);
        }
        queue.unpark_all();
        co_await finish();
    }
}

TEST_CASE("wait_queue: destroying one with waiters aborts with a message",
          "[wait_queue]") {
    const child_end end = run_child([] {
        testing::simulate([]() -> task<> {
            std::string log;
            auto queue = std::make_unique<wait_queue>();
            create_task(wait_and_note(queue.get(), &log, 'a'));
            co_await yield_now();
            queue.reset();
        });
        return 0;
    });
    CHECK(end.aborted());
    CHECK(end.says("a wait queue was destroyed while tasks wait in it"));
}

}  // namespace
