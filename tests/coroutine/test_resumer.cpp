// SPDX-License-Identifier: MIT
// The order of resumptions, turns, and fairness: a task that is always ready starves no other.
#include <sys/resource.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/core_tools.hpp"

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

RONDO_TEST("resumer: a turn runs the tasks that were ready when it began", "[resumer][both]") {
    std::string log;
    const auto body = [](std::string* l, char first) -> task<> {
        l->push_back(first);
        create_task(append(l, static_cast<char>(first + 2)));
        co_await yield_now();
        l->push_back(static_cast<char>(first + 4));
    };
    create_task(body(&log, 'a'));
    create_task(body(&log, 'b'));
    co_await finish(4);
    CHECK(log == "abcedf");
}

task<int> ready_value() { co_return 1; }

/// Awaits a ready awaitable forever, and counts its rounds.
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

RONDO_TEST("resumer: a task that never suspends goes to the end of the queue after 128 transfers",
           "[resumer][both]") {
    for (const food what : {food::tasks, food::futures, food::own_errors, food::yields}) {
        bool stop = false;
        long rounds = 0;
        auto busy = create_task(never_suspends(what, &stop, &rounds));
        co_await yield_now();
        for (int i = 0; i < 10; ++i) {
            const long before = rounds;
            co_await yield_now();
            CHECK(rounds > before);                                    // it continues,
            CHECK(rounds - before <= rondo::detail::resumer::budget);  // and so do others
        }
        stop = true;
        co_await busy;
    }
}

RONDO_TEST("resumer: a task that is always ready starves neither timers nor sockets",
           "[resumer][both]", seeds(1).limit(20s)) {
    two_ends pair = co_await connected();
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
    co_await sleep(20us);  // virtual time moves slowly while a task is ready
    char byte = 0;
    CHECK(co_await transmit(pair.here, "x", 1) == 1);
    CHECK(co_await receive(pair.there, &byte, 1) == 1);
    CHECK(byte == 'x');
    CHECK(rounds > 0);
    stop = true;
    co_await busy;
    co_await idle;
    co_await finish();
}

/// Raises the limit of descriptors while it lives, up to the hard limit.
class more_descriptors {
public:
    explicit more_descriptors(rlim_t count) {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        rlimit wanted = before_;
        wanted.rlim_cur = std::max(before_.rlim_cur, std::min(count, before_.rlim_max));
        ::setrlimit(RLIMIT_NOFILE, &wanted);
    }
    ~more_descriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
    more_descriptors(const more_descriptors&) = delete;
    more_descriptors& operator=(const more_descriptors&) = delete;

private:
    rlimit before_{};
};

/// Counts the rounds of all tasks, and how far the first is ahead of the last.
class race_of_equals {
public:
    explicit race_of_equals(std::size_t count) : done_(count), at_(1, count) {}
    void round_done(std::size_t who) {
        const std::size_t now = ++done_[who];
        if (now == at_.size()) at_.push_back(0);
        --at_[now - 1];
        ++at_[now];
        while (at_[last_] == 0) ++last_;
        lead_ = std::max(lead_, now - last_);
    }
    std::size_t rounds(std::size_t who) const { return done_[who]; }
    std::size_t last() const { return last_; }
    std::size_t greatest_lead() const { return lead_; }

private:
    std::vector<std::size_t> done_;
    std::vector<std::size_t> at_;  // number of tasks that have done that many rounds
    std::size_t last_ = 0;
    std::size_t lead_ = 0;
};

constexpr std::size_t rounds_each = 20;

/// Sends to itself in every round.
task<> goes_round(const two_ends* own, race_of_equals* race, std::size_t who) {
    while (race->rounds(who) < rounds_each) {
        char byte = 0;
        const int sent = co_await transmit(own->here, "x", 1);
        REQUIRE(sent == 1);
        const int got = co_await receive(own->there, &byte, 1);
        REQUIRE(got == 1);
        race->round_done(who);
    }
}

RONDO_TEST("resumer: a thousand connections all get their turns, none far ahead",
           "[resumer][both]", seeds(1).limit(20s)) {
    const auto count = static_cast<std::size_t>(many(1000, 200));
    const more_descriptors enough(4096);
    std::vector<two_ends> pairs;
    for (std::size_t i = 0; i < count; ++i) {
        auto next = connected();
        pairs.push_back(co_await std::move(next));
        reset_at_close(pairs.back().here);
    }
    race_of_equals race(count);
    const time_point begun = running_loop().time();
    std::vector<future<>> all;
    for (std::size_t i = 0; i < count; ++i)
        all.push_back(create_task(goes_round(&pairs[i], &race, i)));
    for (const auto& f : all) co_await f;
    CHECK(race.last() == rounds_each);
    INFO("the greatest lead was " << race.greatest_lead());
    if (!testing::simulated()) {
        CHECK(race.greatest_lead() <= 5);  // loopback has no latency, so all advance together
        co_return;
    }
    // On the simulator each connection has its own latency, at most 2 ms a round, and waits for
    // nothing else. So no round takes longer, whatever the others do.
    const duration took = running_loop().time() - begun;
    INFO("took " << took.count() << " ns of virtual time");
    CHECK(took <= rounds_each * 2100us);
}

/// Yields forever, and records how often an event occurred between two of its turns.
task<> notes_the_gaps(const bool* stop, const int* happened, int* greatest, long* turns) {
    for (int before = *happened; !*stop; ++*turns) {
        co_await yield_now();
        *greatest = std::max(*greatest, *happened - before);
        before = *happened;
    }
}

task<> connect_and_wait(sockaddr_in to) {
    const descriptor client = tcp_socket("client");
    reset_at_close(client);
    co_await connect_to(client, to);
    char byte = 0;
    const auto end = co_await as_result(receive(client, &byte, 1));  // until it is closed
    REQUIRE((!end.has_value() || end.value() == 0));
}

RONDO_TEST("resumer: a thousand arriving connections starve no task and are not starved",
           "[resumer][both]", seeds(1).limit(20s)) {
    const int count = many(1000, 200);
    const more_descriptors enough(4096);
    two_ends pair = co_await connected();
    listening at;
    REQUIRE(rondo::detail::listen_on(at.socket, 4096) == 0);  // all may connect at once
    bool stop = false;
    int accepted = 0, greatest = 0;
    long turns = 0, rounds = 0;
    std::vector<future<>> others;
    others.push_back(create_task(notes_the_gaps(&stop, &accepted, &greatest, &turns)));
    for (int i = 0; i < 10; ++i) {
        const food what = i == 0 ? food::tasks : food::yields;
        others.push_back(create_task(never_suspends(what, &stop, &rounds)));
    }
    const auto echoes = [](const two_ends* own, const bool* end, int* done) -> task<> {
        for (char byte = 0; !*end; ++*done) {
            co_await transmit(own->here, "x", 1);
            co_await receive(own->there, &byte, 1);
        }
    };
    int echoed = 0;
    others.push_back(create_task(echoes(&pair, &stop, &echoed)));
    std::vector<future<>> clients;
    for (int i = 0; i < count; ++i) clients.push_back(create_task(connect_and_wait(at.name)));
    const int echoed_before = echoed;
    for (; accepted < count; ++accepted) co_await accept_from(at.socket);
    INFO("between two turns of another task " << greatest << " were accepted, it had " << turns
                                              << " turns; " << echoed << " echoes");
    CHECK(greatest <= rondo::detail::resumer::budget);
    CHECK(turns >= count / rondo::detail::resumer::budget);
    CHECK(echoed > echoed_before);
    CHECK(rounds > 0);
    stop = true;
    for (const auto& f : others) co_await f;
    for (const auto& f : clients) co_await f;
}

}  // namespace
