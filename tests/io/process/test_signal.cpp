// SPDX-License-Identifier: MIT
// Waiting for signals, and signals that end `run`. Tests that change dispositions do so in a child
// process.
#include <rondo/signal.hpp>

#include <signal.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <utility>

#include <rondo/run.hpp>
#include <rondo/sleep.hpp>

#include "support/child.hpp"
#include "support/core_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

/// Sends a signal to the process; used in a child with one thread.
void send(int number) { ::kill(::getpid(), number); }
/// Sends a signal to this thread only: the tests' watchdog thread does not block signals.
void send_here(int number) { ::pthread_kill(::pthread_self(), number); }

bool is_blocked(int number) {
    sigset_t now;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &now);
    return ::sigismember(&now, number) == 1;
}

/// Runs `body` as main in a child with one thread; its result is the exit code.
template <class Body>
rondo_tests::child_end in_child(Body body) {
    return rondo_tests::run_child([&] { return rondo::run(body()); });
}

}  // namespace

TEST_CASE("signal: a set gives each signal with its sender, and unblocks the signals afterwards",
          "[signal]") {
    const auto child = in_child([]() -> task<int> {
        {
            signal_set signals(SIGUSR1, SIGHUP);
            if (!is_blocked(SIGUSR1) || !is_blocked(SIGHUP) || is_blocked(SIGUSR2)) co_return 1;
            send(SIGUSR1);
            send(SIGUSR1);  // two equal ones count as one
            std::optional<signal_info> got = co_await signals.next();
            if (!got || got->number != SIGUSR1 || got->pid != ::getpid()) co_return 2;
            if (got->uid != ::getuid() || got->code != SI_USER) co_return 3;
            sigval value{};
            value.sival_int = 42;
            ::sigqueue(::getpid(), SIGHUP, value);
            got = co_await signals.next();
            if (!got || got->number != SIGHUP || got->value != 42 || got->code != SI_QUEUE)
                co_return 4;
            const auto none = co_await move_on_after(20ms, signals.next());
            if (none) co_return 5;
            send(SIGHUP);  // is not read: it must not end this process below
        }
        if (is_blocked(SIGUSR1) || is_blocked(SIGHUP)) co_return 6;
        co_return 0;
    });
    INFO(child.text);
    CHECK(child.exited());
}

TEST_CASE("signal: signals blocked before stay blocked, and there may be several sets",
          "[signal]") {
    const auto child = in_child([]() -> task<int> {
        sigset_t one;
        ::sigemptyset(&one);
        ::sigaddset(&one, SIGUSR1);
        ::pthread_sigmask(SIG_BLOCK, &one, nullptr);
        {
            signal_set first(SIGUSR1);
            signal_set second(SIGUSR2);
            send(SIGUSR2);
            send(SIGUSR1);
            const auto a = co_await first.next();
            const auto b = co_await second.next();
            if (a->number != SIGUSR1 || b->number != SIGUSR2) co_return 1;
            signal_set moved(std::move(second));
            send(SIGUSR2);
            const auto c = co_await moved.next();
            if (c->number != SIGUSR2) co_return 2;
        }
        co_return is_blocked(SIGUSR1) && !is_blocked(SIGUSR2) ? 0 : 3;
    });
    INFO(child.text);
    CHECK(child.exited());
}

TEST_CASE("signal: wait_signal gives the number of the first signal", "[signal]") {
    const auto child = in_child([]() -> task<int> {
        auto waiting = create_task(wait_signal(SIGTERM, SIGUSR1));
        co_await sleep(10ms);
        send(SIGTERM);
        const int number = co_await waiting;
        co_return number == SIGTERM && !is_blocked(SIGTERM) ? 0 : 1;
    });
    INFO(child.text);
    CHECK(child.exited());
}

TEST_CASE("signal: a number that is no signal is refused", "[signal]") {
    for (const int number : {0, -1, 65, SIGKILL, SIGSTOP}) {
        try {
            signal_set none(number);
            FAIL(number);
        } catch (const std::system_error& error) {
            CHECK(error.code().value() == EINVAL);
            CHECK(std::string(error.what()).find(std::to_string(number)) != std::string::npos);
        }
    }
}

RONDO_TEST("signal: a wait ends in all three forms, and no signal is lost", "[signal][kernel]") {
    signal_set signals(SIGUSR2);
    const auto next = [&] { return signals.next(); };
    co_await rondo_tests::check_cancelled_before(next);
    co_await rondo_tests::check_cancelled_while_suspended(next);
    co_await rondo_tests::check_cancelled_after_arrival(next, [] { send_here(SIGUSR2); });
    send_here(SIGUSR2);
    const auto got = co_await signals.next();
    CHECK(got->number == SIGUSR2);
}

RONDO_TEST("signal: closing a set ends its wait with an empty result", "[signal][kernel]") {
    signal_set signals(SIGUSR2);
    const auto until_closed = [](signal_set* set, bool* ended) -> task<> {
        const auto got = co_await set->next();
        *ended = !got.has_value();
    };
    bool ended = false;
    auto waiting = create_task(until_closed(&signals, &ended));
    co_await rondo_tests::finish();
    signals.close();
    co_await waiting;
    CHECK(ended);
    const auto after = co_await signals.next();
    CHECK_FALSE(after);
}

RONDO_TEST("signal: on the simulator a set throws", "[signal]") {
    CHECK_THROWS_AS(signal_set(SIGUSR2), std::system_error);
    CHECK_FALSE(is_blocked(SIGUSR2));
    co_return;
}

TEST_CASE("signal: SIGTERM ends `run` if that was asked for, otherwise it kills", "[signal]") {
    const auto for_ever = []() -> task<> {
        running_loop().call_soon([] { send(SIGTERM); });
        co_await sleep(24h);
    };
    const auto asked = rondo_tests::run_child([&] {
        ::signal(SIGTERM, SIG_DFL);  // Catch2 has set a handler
        rondo::run(for_ever(), {.handle_sigterm = true});
        return rondo::interrupted() ? 77 : 1;
    });
    CHECK(asked.exited(77));
    const auto not_asked = rondo_tests::run_child([&] {
        ::signal(SIGTERM, SIG_DFL);
        rondo::run(for_ever());
        return 1;
    });
    CHECK(WIFSIGNALED(not_asked.status));
    CHECK(WTERMSIG(not_asked.status) == SIGTERM);
}

TEST_CASE("signal: the second SIGINT or SIGTERM kills", "[signal]") {
    const auto stubborn = []() -> task<> {
        running_loop().call_soon([] { send(SIGINT); });
        try {
            co_await sleep(24h);
        } catch (const cancelled&) {
            send(SIGTERM);
        }
        const auto long_rest = []() -> task<> { co_await sleep(24h); };
        auto shielded = shield(long_rest());
        co_await std::move(shielded);
    };
    const auto child = rondo_tests::run_child([&] {
        ::signal(SIGINT, SIG_DFL);
        ::signal(SIGTERM, SIG_DFL);
        rondo::run(stubborn(), {.handle_sigterm = true});
        return 1;
    });
    CHECK(WIFSIGNALED(child.status));
    CHECK(WTERMSIG(child.status) == SIGTERM);
}

TEST_CASE("signal: a set that is destroyed leaves its signal to the other sets", "[signal]") {
    const auto child = in_child([]() -> task<int> {
        auto older = std::make_unique<signal_set>(SIGUSR1);
        signal_set living(SIGUSR1, SIGHUP);
        older.reset();
        if (!is_blocked(SIGUSR1)) co_return 1;
        send(SIGUSR1);
        const auto first = co_await living.next();
        if (!first || first->number != SIGUSR1) co_return 2;
        living = signal_set(SIGUSR1, SIGHUP);
        if (!is_blocked(SIGUSR1) || !is_blocked(SIGHUP)) co_return 3;
        send(SIGHUP);
        const auto second = co_await living.next();
        if (!second || second->number != SIGHUP) co_return 4;
        living = signal_set(SIGUSR2);
        co_return is_blocked(SIGUSR1) || is_blocked(SIGHUP) ? 5 : 0;
    });
    INFO(child.text);
    CHECK(child.exited());
}

TEST_CASE("signal: each set that has a signal gets it", "[signal]") {
    const auto child = in_child([]() -> task<int> {
        signal_set one(SIGUSR1), two(SIGUSR1, SIGHUP), three(SIGHUP);
        auto a = create_task(one.next());
        auto b = create_task(two.next());
        co_await rondo_tests::finish();
        send(SIGUSR1);
        const auto of_one = co_await a;
        const auto of_two = co_await b;
        if (!of_one || of_one->number != SIGUSR1) co_return 1;
        if (!of_two || of_two->number != SIGUSR1) co_return 1;
        send(SIGUSR1);  // no task waits: the second set keeps it
        const auto again = co_await two.next();
        const auto kept = co_await one.next();
        if (again->number != SIGUSR1 || kept->number != SIGUSR1) co_return 2;
        const auto none = co_await move_on_after(5ms, three.next());
        co_return none ? 3 : 0;
    });
    INFO(child.text);
    CHECK(child.exited());
}

TEST_CASE("signal: run tells main which signal ended it", "[signal]") {
    for (const auto& [number, code] : {std::pair(SIGINT, 130), std::pair(SIGTERM, 143)}) {
        const int which = number;
        const auto child = rondo_tests::run_child([which] {
            ::signal(SIGINT, SIG_DFL);
            ::signal(SIGTERM, SIG_DFL);
            const auto main = [which]() -> task<> {
                running_loop().call_soon([which] { send(which); });
                co_await sleep(24h);
            };
            rondo::run(main(), {.handle_sigterm = true});
            const int first = rondo::interrupted();
            rondo::run([]() -> task<> { co_return; }());
            return rondo::interrupted() == 0 ? first : 1;
        });
        INFO(child.text);
        CHECK(child.exited(code));
    }
}
