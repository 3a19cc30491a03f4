// SPDX-License-Identifier: MIT
// The kernel on readiness and its environment: deadlines, wakes, threads, fork() and host loops.
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <future>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/kernel_driver.hpp"
#include "support/ring_tools.hpp"
#include "kernel/readiness/readiness.hpp"

using namespace kernel_driver;
using rondo_tests::child_end;
using rondo_tests::open_descriptors;
using rondo_tests::readable;
using rondo_tests::run_child;

namespace {

struct fixture : driver {
    explicit fixture(unsigned entries = 256) : driver(make_readiness(entries)) {}
};

/// The argument of opcode::timeout.
struct timespec_of_entry {
    explicit timespec_of_entry(time_point when)
        : seconds(when.time_since_epoch() / 1s), nanoseconds(when.time_since_epoch() % 1s / 1ns) {}
    std::int64_t seconds;
    std::int64_t nanoseconds;
};

/// On any thread: assertions belong to the test's own.
void write_byte(int to) {
    if (::write(to, "x", 1) != 1) std::abort();
}

entry timeout_of(const timespec_of_entry& when) {
    return make(opcode::timeout, -1, &when, 1, 0, timeout_absolute);
}

}  // namespace

TEST_CASE("readiness: a batch longer than the queue completes, and a full room leaves the rest",
          "[readiness]") {
    fixture f(32);
    for (int i = 0; i < 1000; ++i) f.add(make(opcode::nop));
    for (int i = 0; i < 10; ++i) f.turn(time_point::max(), 100);
    CHECK(f.seen.size() == 1000);
    for (std::size_t i = 0; i < f.seen.size(); ++i)
        CHECK(f.seen[i].user_data == (1 << 20) + 64 * (i + 1));
    f.turn();
    CHECK(f.seen.size() == 1000);
    CHECK(f.os->count().entries == 1000);
    CHECK(f.os->count().completions == 1000);
}

TEST_CASE("readiness: a quiet entry tells only its failure", "[readiness]") {
    fixture f;
    entry quiet = make(opcode::nop);
    quiet.flags = entry_skip_success;
    quiet.user_data = first_tag;
    *f.os->next_entry() = quiet;
    quiet.code = opcode::async_cancel;
    quiet.address = 4711;
    quiet.user_data = first_tag + 1;
    *f.os->next_entry() = quiet;
    f.turn();
    REQUIRE(f.seen.size() == 1);
    CHECK(f.seen[0].user_data == first_tag + 1);
    CHECK(f.seen[0].result == -ENOENT);
}

TEST_CASE("readiness: deadlines and timeouts are never early", "[readiness]") {
    fixture f;
    for (const duration wait : {duration(1us), duration(300us), duration(2ms)}) {
        const time_point deadline = f.os->now() + wait;
        f.turn(deadline);
        CHECK(f.os->now() >= deadline);
    }
    const timespec_of_entry soon(f.os->now() + 2ms), late(f.os->now() + 1h);
    const auto first = f.add(timeout_of(late));
    const auto second = f.add(timeout_of(soon));
    CHECK(f.next(second).result == -ETIME);
    entry update = make(opcode::timeout_remove, -1, nullptr, 0, address_in_entry(&soon),
                        timeout_update | timeout_absolute);
    update.address = first;
    CHECK(f.call(update) == 0);
    CHECK(f.next(first).result == -ETIME);
    CHECK(f.call(update) == -ENOENT);
    const auto third = f.add(timeout_of(late));
    entry remove = make(opcode::timeout_remove);
    remove.address = third;
    CHECK(f.call(remove) == 0);
    CHECK(f.next(third).result == -ECANCELED);
}

TEST_CASE("readiness: an enter whose deadline is centuries past does not wait", "[readiness]") {
    fixture f;
    bool has_waited = false;
    std::promise<void> ended;
    std::thread rescue([&, end = ended.get_future()] {
        has_waited = end.wait_for(5s) == std::future_status::timeout;
        if (has_waited) f.os->wake();
    });
    f.turn(time_point::min() + 1ns);
    ended.set_value();
    rescue.join();
    CHECK_FALSE(has_waited);
}

TEST_CASE("readiness: a wake ends one enter, even one that begins later", "[readiness]") {
    const auto kernel = make_readiness(256);
    kernel->wake();
    kernel->attach();
    completion out;
    CHECK(kernel->enter(time_point::max(), &out, 1).completions == 0);  // otherwise it hangs
    kernel->wake();
    kernel->enter(time_point::min(), &out, 1);
    CHECK(kernel->enter(time_point::max(), &out, 1).completions == 0);
    const time_point deadline = kernel->now() + 1ms;
    kernel->enter(deadline, &out, 1);
    CHECK(kernel->now() >= deadline);
}

TEST_CASE("readiness: no wake of another thread is lost, and it orders memory", "[readiness]") {
    const auto kernel = make_readiness(256);
    kernel->attach();
    constexpr int rounds = 20'000;
    std::atomic<int> posted{0}, seen{0};
    int plain = 0;
    std::thread other([&] {
        plain = 42;
        for (int i = 1; i <= rounds; ++i) {
            posted.store(i);
            kernel->wake();
            while (i % 2 == 0 && seen.load() < i) std::this_thread::yield();
        }
    });
    completion out;
    kernel->enter(time_point::max(), &out, 1);
    CHECK(plain == 42);
    while (seen.load() < rounds) {  // a lost wake hangs here
        seen.store(posted.load());
        if (seen.load() < rounds) kernel->enter(time_point::max(), &out, 1);
    }
    other.join();
}

TEST_CASE("readiness: wakes, sockets and threads together lose nothing", "[readiness]") {
    fixture f;
    two_numbers pair(*f.os, AF_UNIX, SOCK_STREAM);
    std::atomic<bool> ended{false};
    std::thread other([&] {
        for (int i = 0; i < 5000; ++i) {
            if (i % 3 == 0) f.os->wake();
            write_byte(pair.ends[1]);
        }
        ended.store(true);
        f.os->wake();
    });
    const int file = ::open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    std::string into(64, '\0'), read(16, '\0');
    int got = 0;
    while (got < 5000) {
        entry away = read_of(file, read, 0);
        away.flags = entry_async;
        const auto reading = f.add(away);
        const int some = f.call(recv_of(pair.ends[0], into));
        REQUIRE(some > 0);
        got += some;
        REQUIRE(f.next(reading).result > 0);
    }
    other.join();
    CHECK(got == 5000);
    ::close(file);
}

TEST_CASE("readiness: it moves to another thread while nothing is in flight", "[readiness]") {
    fixture f;
    two_numbers pair(*f.os, AF_UNIX, SOCK_STREAM);
    std::string into(4, '\0'), said;
    const auto move = [&] {
        try {
            f.os->attach();
        } catch (const std::system_error& error) {
            said = error.what();
        }
    };
    const auto waiting = f.add(recv_of(pair.ends[0], into));
    CHECK(f.waits(waiting));
    std::thread(move).join();
    CHECK(said.find("nothing is in flight; 1 entry is in flight") != std::string::npos);
    CHECK(f.cancel(waiting) == 0);
    CHECK(f.next(waiting).result == -ECANCELED);
    said.clear();
    int got = 0;
    std::thread([&] {
        move();
        REQUIRE(::write(pair.ends[1], "x", 1) == 1);
        got = f.call(recv_of(pair.ends[0], into));
    }).join();
    CHECK(said.empty());
    CHECK(got == 1);
    move();
    CHECK(said.empty());
}

TEST_CASE("readiness: a descriptor that goes from one loop to another is watched there",
          "[readiness]") {
    fixture one, other;
    two_numbers pair(*one.os, AF_UNIX, SOCK_STREAM);
    std::string into(4, '\0');
    for (int round = 0; round < 3; ++round)
        for (fixture* f : {&one, &other}) {
            const auto waiting = f->add(recv_of(pair.ends[0], into));
            CHECK(f->waits(waiting));
            REQUIRE(::write(pair.ends[1], "x", 1) == 1);
            CHECK(f->next(waiting).result == 1);
        }
}

TEST_CASE("readiness: two loops read the same terminal in turn", "[readiness]") {
    fixture one, other;
    const int master = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0 || ::grantpt(master) != 0 || ::unlockpt(master) != 0)
        SKIP("there are no pseudo-terminals here");
    const int terminal = ::open(::ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    REQUIRE(terminal >= 0);
    for (const bool waits : {false, true, false})
        for (fixture* f : {&one, &other}) {
            std::string line(20, '\0');
            std::uint64_t reading = 0;
            if (waits) {
                reading = f->add(read_of(terminal, line));
                CHECK(f->waits(reading));
            }
            REQUIRE(::write(master, "hello\n", 6) == 6);
            if (!waits) reading = f->add(read_of(terminal, line));
            CHECK(f->next(reading).result == 6);
        }
    one.os->close(terminal);
    ::close(master);
}

TEST_CASE("readiness: a forked child gets an error, and leaves the parent's set alone",
          "[readiness]") {
    fixture f;
    two_numbers pair(*f.os, AF_UNIX, SOCK_STREAM);
    std::string into(4, '\0');
    const auto waiting = f.add(recv_of(pair.ends[0], into));
    CHECK(f.waits(waiting));
    child_end end = run_child([&] {
        try {
            f.os->attach();
            return 1;
        } catch (const std::system_error& error) {
            if (!rondo_tests::says(error, "made before fork()")) return 2;
        }
        driver own(make_readiness(16));
        for (const int fd : pair.ends) own.os->close(fd);  // the parent's stay registered
        two_numbers fresh(*own.os, AF_UNIX, SOCK_STREAM);
        std::string text(4, '\0');
        const auto first = own.add(recv_of(fresh.ends[0], text));
        if (!own.waits(first)) return 3;
        if (own.call(send_of(fresh.ends[1], "y")) != 1) return 4;
        if (own.next(first).result != 1) return 5;
        f.os.reset();
        return 0;
    });
    INFO(end.text);
    CHECK(end.exited());
    CHECK(f.call(send_of(pair.ends[1], "x")) == 1);
    CHECK(f.next(waiting).result == 1);
    end = run_child([&] { return f.os->next_entry() == nullptr ? 0 : 1; });
    CHECK(end.aborted());
    CHECK(end.says("rondo: this loop was made before fork() and belongs to the parent"));
}

TEST_CASE("readiness: after its end the same descriptors are open as before", "[readiness]") {
    { const fixture first; }
    const std::size_t before = open_descriptors();
    for (int i = 0; i < 3; ++i) {
        fixture f;
        f.os->event_fd();
        CHECK(open_descriptors() == before + 5);
        two_numbers pair(*f.os, 0, 0);
        std::string into(4, '\0');
        const auto waiting = f.add(read_of(pair.ends[0], into));
        CHECK(f.waits(waiting));
        CHECK(f.cancel(waiting) == 0);
    }
    CHECK(open_descriptors() == before);
}

TEST_CASE("readiness: a host sees events, wakes, times and what threads have done",
          "[readiness]") {
    fixture f;
    const int host = f.os->event_fd();
    REQUIRE(host >= 0);
    const auto settle = [&] {
        f.os->watch_event(false);
        f.os->drain_event();
        f.turn();
        f.os->watch_event(true);
        f.turn();
    };
    settle();
    CHECK_FALSE(readable(host));
    two_numbers pair(*f.os, AF_UNIX, SOCK_STREAM);
    std::string into(4, '\0');
    const auto waiting = f.add(recv_of(pair.ends[0], into));
    settle();
    CHECK_FALSE(readable(host));
    REQUIRE(::write(pair.ends[1], "x", 1) == 1);
    CHECK(readable(host));
    settle();
    CHECK(f.taken(waiting).has_value());
    CHECK_FALSE(readable(host));

    std::thread([&] { f.os->wake(); }).join();
    CHECK(readable(host));
    settle();
    settle();
    CHECK_FALSE(readable(host));

    const timespec_of_entry soon(f.os->now() + 5ms);
    const auto timing = f.add(timeout_of(soon));
    settle();
    CHECK(readable(host, 2000));
    settle();
    CHECK(f.taken(timing).has_value());
    settle();
    CHECK_FALSE(readable(host));

    const int file = ::open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    entry away = read_of(file, into, 0);
    away.flags = entry_async;
    const auto reading = f.add(away);
    settle();
    while (!f.taken(reading)) {
        REQUIRE(readable(host, 2000));
        settle();
    }
    f.os->signal_event();
    CHECK(readable(host));
    settle();
    CHECK_FALSE(readable(host));
    ::close(file);
}

TEST_CASE("readiness: a host that sleeps in poll(2) sees 5,000 writes of another thread",
          "[readiness]") {
    fixture f;
    const int host = f.os->event_fd();
    two_numbers pair(*f.os, AF_UNIX, SOCK_STREAM);
    std::atomic<int> seen{0};
    std::thread other([&] {
        for (int i = 1; i <= 5000; ++i) {
            write_byte(pair.ends[1]);
            while (seen.load() < i) std::this_thread::yield();
        }
    });
    std::string into(4, '\0');
    auto waiting = f.add(recv_of(pair.ends[0], into));
    f.turn();
    bool lost = false;
    while (!lost && seen.load() < 5000) {
        if (!f.taken(waiting)) {
            lost = !readable(host, 5000);
            f.turn();
            continue;
        }
        waiting = f.add(recv_of(pair.ends[0], into));
        f.turn();
        seen.fetch_add(1);
    }
    CHECK_FALSE(lost);
    seen.store(5000);
    other.join();
    f.cancel(waiting);
}
