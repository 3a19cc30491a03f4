// SPDX-License-Identifier: MIT
// Who runs when: order, turns, and that nothing which is always ready starves the rest.
#include <string>
#include <vector>

#include "core_tools.hpp"

using namespace rondo_tests;

namespace {

task<> append(std::string* log, char what) {
    log->push_back(what);
    co_return;
}

RONDO_TEST("resumer: tasks first run in the order of their creation, in the next turn",
           "[resumer][both]") {
    std::string log;
    create_task(append(&log, 'a'));
    create_task(append(&log, 'b'));
    running_loop().call_soon([&log] { log.push_back('c'); });
    create_task(append(&log, 'd'));
    CHECK(log.empty());
    co_await yield_now();
    CHECK(log == "abcd");
}

RONDO_TEST("resumer: a turn runs what was ready when it began", "[resumer][both]") {
    std::string log;
    const auto body = [](std::string* l, char first) -> task<> {
        l->push_back(first);
        create_task(append(l, static_cast<char>(first + 2)));
        co_await yield_now();
        l->push_back(static_cast<char>(first + 4));
    };
    create_task(body(&log, 'a'));
    create_task(body(&log, 'b'));
    co_await settle(4);
    CHECK(log == "abcedf");
}

task<int> ready_value() { co_return 1; }

/// Awaits only what is ready, for ever, and says how often it did.
enum class food { tasks, futures, own_errors, yields };
task<> never_suspends(food what, const bool* stop, long* rounds) {
    promise<int> given;
    given.set_value(1);
    const auto done = given.get_future();
    const auto fails = []() -> task<int> {
        throw 1;
        co_return 0;
    };
    while (!*stop) {
        ++*rounds;
        switch (what) {
            case food::tasks:
                co_await ready_value();
                break;
            case food::futures:
                co_await done;
                break;
            case food::own_errors:
                try {
                    co_await fails();
                } catch (int) {
                }
                break;
            case food::yields:
                co_await yield_now();
                break;
        }
    }
}

RONDO_TEST("resumer: a task that never suspends goes to the end of the queue after 128 hand-overs",
           "[resumer][both]") {
    for (const food what : {food::tasks, food::futures, food::own_errors, food::yields}) {
        bool stop = false;
        long rounds = 0;
        auto busy = create_task(never_suspends(what, &stop, &rounds));
        co_await yield_now();
        for (int i = 0; i < 10; ++i) {
            const long before = rounds;
            co_await yield_now();
            CHECK(rounds > before);                                      // it goes on,
            CHECK(rounds - before <= rondo::detail::resumer::patience);  // and others too
        }
        stop = true;
        co_await busy;
    }
}

RONDO_TEST("resumer: what is always ready starves neither timers nor sockets", "[resumer][both]",
           seeds(1).limit(20s)) {
    connection pair = co_await connected();
    bool stop = false;
    long rounds = 0;
    auto busy = create_task(never_suspends(food::tasks, &stop, &rounds));
    auto idle = create_task(never_suspends(food::yields, &stop, &rounds));
    struct rearming {
        loop* on;
        const bool* stop;
        void operator()() const {
            if (!*stop) on->call_soon(*this);
        }
    };
    running_loop().call_soon(rearming{&running_loop(), &stop});
    co_await sleep(20us);  // virtual time creeps while something is ready
    char byte = 0;
    CHECK(co_await transmit(pair.here, "x", 1) == 1);
    CHECK(co_await receive(pair.there, &byte, 1) == 1);
    CHECK(byte == 'x');
    stop = true;
    co_await busy;
    co_await idle;
    co_await settle();
}

RONDO_TEST("resumer: two hundred connections all get their turns", "[resumer][both]",
           seeds(1).limit(20s)) {
    // Everybody sends to itself, round after round; nobody is more than a few rounds ahead.
    const int count = many(200, 50);
    std::vector<connection> pairs;
    for (int i = 0; i < count; ++i) {
        auto next = connected();
        pairs.push_back(co_await std::move(next));
    }
    std::vector<int> rounds(static_cast<std::size_t>(count));
    const auto body = [](connection* c, int* done) -> task<> {
        char byte = 0;
        for (; *done < 20; ++*done) {
            co_await transmit(c->here, "x", 1);
            co_await receive(c->there, &byte, 1);
        }
    };
    std::vector<future<>> all;
    for (std::size_t i = 0; i < pairs.size(); ++i)
        all.push_back(create_task(body(&pairs[i], &rounds[i])));
    for (const auto& f : all) co_await f;
    for (const int done : rounds) CHECK(done == 20);
}

}  // namespace
