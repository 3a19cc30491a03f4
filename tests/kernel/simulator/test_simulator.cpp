// SPDX-License-Identifier: MIT
// The simulated kernel by itself: clock, queue, timers, cancelling, jobs. Sockets, streams, files,
// faults and whole runs have files of their own (test_sim_*.cpp).
#include <fcntl.h>
#include <linux/time_types.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <thread>

#include "support/sim_driver.hpp"

using namespace sim_driver;

namespace {

__kernel_timespec time_of(duration span) {
    return {span.count() / 1'000'000'000, span.count() % 1'000'000'000};
}

entry timeout_of(const __kernel_timespec& time, std::uint32_t flags = 0) {
    return make(opcode::timeout, -1, &time, 1, 0, flags);
}

}  // namespace

// -- the clock --

TEST_CASE("simulator: time jumps to the deadline and never goes back", "[simulator]") {
    machine m;
    const time_point start = m.sim->now();
    CHECK(start == time_point(1000s));
    CHECK_FALSE(m.turn(start + 10h).stuck);
    CHECK(m.sim->now() == start + 10h);
    m.turn(start + 1h);
    CHECK(m.sim->now() >= start + 10h);
}

TEST_CASE("simulator: an enter that does not wait moves time by at most a microsecond",
          "[simulator]") {
    machine m;
    const time_point start = m.sim->now();
    for (int turn = 0; turn < 1000; ++turn) {
        const time_point before = m.sim->now();
        m.turn(time_point::min());
        REQUIRE(m.sim->now() >= before);
        REQUIRE(m.sim->now() <= before + 1us);
    }
    CHECK(m.sim->now() > start);
}

TEST_CASE("simulator: a busy loop sees operations complete", "[simulator]") {
    machine m;
    m.add(make(opcode::nop));
    int turns = 0;
    while (m.seen.empty() && ++turns < 1000) m.turn(time_point::min());
    CHECK(m.seen.size() == 1);
}

TEST_CASE("simulator: it is stuck if no event is left, and only if asked to wait forever",
          "[simulator]") {
    machine m;
    CHECK(m.turn(time_point::max()).stuck);
    CHECK_FALSE(m.turn(time_point::min()).stuck);
    CHECK_FALSE(m.turn(m.sim->now() + 1s).stuck);
    int client = -1;
    int server = -1;
    m.pair(client, server);
    std::string buffer(8, '?');
    m.add(receive_into(server, buffer));
    CHECK(m.turn(time_point::max()).stuck);
    CHECK(m.sim->in_flight() == 1);
    m.send_all(client, "x");
    m.drain();
    CHECK(m.sim->in_flight() == 0);
}

TEST_CASE("simulator: a wake ends the next wait, and only one", "[simulator]") {
    machine m;
    m.sim->wake();
    CHECK_FALSE(m.turn(time_point::min()).stuck);  // does not wait, so the wake stays
    const time_point before = m.sim->now();
    CHECK_FALSE(m.turn(time_point::max()).stuck);
    CHECK(m.sim->now() <= before + 1us);
    CHECK(m.turn(time_point::max()).stuck);
    std::thread([&] { m.sim->wake(); }).join();
    CHECK_FALSE(m.turn(time_point::max()).stuck);
}

TEST_CASE("simulator: another thread attaches only while nothing is in flight", "[simulator]") {
    machine m;
    const __kernel_timespec hour = time_of(1h);
    m.add(timeout_of(hour));
    m.turn(time_point::min());
    std::thread([&] { CHECK_THROWS_AS(m.sim->attach(), std::system_error); }).join();
    m.drain();
    std::thread([&] { CHECK_NOTHROW(m.sim->attach()); }).join();
}

TEST_CASE("simulator: it has no event descriptor", "[simulator]") {
    CHECK(machine().sim->event_fd() == -ENOSYS);
}

// -- entries --

TEST_CASE("simulator: every entry completes exactly once, in as many enters as needed",
          "[simulator]") {
    machine m;
    for (int at = 0; at < 200; ++at) m.add(make(opcode::nop));
    std::size_t most = 0;
    for (entered brought; !brought.stuck; most = std::max(most, brought.completions))
        brought = m.turn(time_point::max(), 3);
    CHECK(most == 3);
    REQUIRE(m.seen.size() == 200);
    std::vector<bool> done(201);
    for (const completion& one : m.seen) {
        CHECK(one.result == 0);
        CHECK(one.flags == 0);
        CHECK_FALSE(done.at(one.user_data));
        done.at(one.user_data) = true;
    }
    CHECK(m.sim->count().entries == 200);
    CHECK(m.sim->count().completions == 200);
    CHECK(m.sim->in_flight() == 0);
}

TEST_CASE("simulator: the queue holds queue_entries entries and no more", "[simulator]") {
    simulator_options options;
    options.queue_entries = 4;
    machine m(options);
    for (int at = 0; at < 4; ++at) {
        entry* slot = m.sim->next_entry();
        REQUIRE(slot != nullptr);
        *slot = make(opcode::nop);
    }
    CHECK(m.sim->next_entry() == nullptr);
    m.turn(time_point::min());
    CHECK(m.sim->next_entry() != nullptr);
}

TEST_CASE("simulator: entry_skip_success hides success and shows failure", "[simulator]") {
    machine m;
    entry quiet = make(opcode::nop);
    quiet.flags = entry_skip_success;
    m.add(quiet);
    entry loud = make(opcode::fsync, 77);
    loud.flags = entry_skip_success;
    const std::uint64_t failing = m.add(loud);
    m.drain();
    REQUIRE(m.seen.size() == 1);
    CHECK(m.seen[0].user_data == failing);
    CHECK(m.seen[0].result == -EBADF);
    CHECK(m.sim->in_flight() == 0);
}

TEST_CASE("simulator: completions come in the order of their virtual time", "[simulator]") {
    machine m(seeded(GENERATE(1U, 2U, 3U)));
    std::array<__kernel_timespec, 50> times{};
    std::array<duration, 51> spans{};
    for (std::size_t at = 0; at < times.size(); ++at) {
        spans[at + 1] = 1ms * ((at * 37) % 50);
        times[at] = time_of(spans[at + 1]);
        m.add(timeout_of(times[at]));
    }
    m.drain();
    REQUIRE(m.seen.size() == 50);
    for (std::size_t at = 1; at < 50; ++at)
        CHECK(spans[m.seen[at - 1].user_data] < spans[m.seen[at].user_data]);
}

TEST_CASE("simulator: it supports the opcodes it interprets and names the others", "[simulator]") {
    machine m;
    CHECK(m.sim->supports(opcode::statx));
    CHECK_FALSE(m.sim->supports(static_cast<opcode>(47)));
    CHECK(m.sim->multishot_accept());
    CHECK(std::string(sim_opcode_name(opcode::socket)) == "socket");
    CHECK(std::string(sim_opcode_name(static_cast<opcode>(62))) == "pipe");
    CHECK(std::string(sim_opcode_name(static_cast<opcode>(63))) == "unknown");
}

// -- timeouts --

TEST_CASE("simulator: timeouts are exact, relative and absolute", "[simulator]") {
    machine m;
    const time_point start = m.sim->now();
    const __kernel_timespec relative = time_of(5ms);
    const std::uint64_t first = m.add(timeout_of(relative));
    CHECK(m.next(first).result == -ETIME);
    CHECK(m.sim->now() == start + 5ms);
    const __kernel_timespec absolute = time_of(start.time_since_epoch() + 7ms);
    CHECK(m.call(timeout_of(absolute, timeout_absolute)) == -ETIME);
    CHECK(m.sim->now() == start + 7ms);
    CHECK(m.call(timeout_of(absolute, timeout_absolute)) == -ETIME);  // has passed already
    CHECK(m.sim->now() <= start + 8ms);
    const __kernel_timespec wrong{0, -1};
    CHECK(m.call(timeout_of(wrong)) == -EINVAL);
    const __kernel_timespec never{std::numeric_limits<std::int64_t>::max(), 0};
    m.add(timeout_of(never));
    CHECK(m.turn(time_point::max()).stuck);
}

TEST_CASE("simulator: timeouts are removed and updated", "[simulator]") {
    machine m(plain());
    const time_point start = m.sim->now();
    const __kernel_timespec hour = time_of(1h);
    const std::uint64_t gone = m.add(timeout_of(hour));
    entry remove = make(opcode::timeout_remove);
    remove.address = gone;
    const std::uint64_t removing = m.add(remove);
    CHECK(m.next(removing).result == 0);
    CHECK(m.seen.empty());  // the removal's own completion comes first
    CHECK(m.next(gone).result == -ECANCELED);
    CHECK(m.call(remove) == -ENOENT);

    const std::uint64_t moved = m.add(timeout_of(hour));
    const __kernel_timespec sooner = time_of(start.time_since_epoch() + 1s);
    entry update = make(opcode::timeout_remove, -1, nullptr, 0, address_of(&sooner),
                        timeout_update | timeout_absolute);
    update.address = moved;
    CHECK(m.call(update) == 0);
    CHECK(m.next(moved).result == -ETIME);
    CHECK(m.sim->now() == start + 1s);
    CHECK(m.call(update) == -ENOENT);
    remove.address = m.add(make(opcode::nop));  // not a timeout, so not found
    CHECK(m.call(remove) == -ENOENT);
}

TEST_CASE("simulator: 200,000 timers set and removed leave nothing behind", "[simulator]") {
    machine m(plain());
    const __kernel_timespec hour = time_of(1h);
    const __kernel_timespec minute = time_of(1min);
    // Keeps the void events of the others from being dropped at the front of the heap.
    const std::uint64_t in_front = m.add(timeout_of(minute));
    for (int round = 0; round < 2000; ++round) {
        m.seen.clear();
        for (int at = 0; at < 100; ++at) {
            const std::uint64_t timer = m.add(timeout_of(hour));
            entry remove = make(opcode::timeout_remove);
            remove.address = timer;
            remove.flags = entry_skip_success;
            m.add(remove);
        }
        while (m.turn(m.sim->now() + 10us).completions > 0) {
        }
        REQUIRE(m.seen.size() == 100);
    }
    CHECK(m.sim->in_flight() == 1);
    CHECK(m.sim->events_pending() < 1000);
    CHECK(m.next(in_front).result == -ETIME);
    CHECK(m.turn(time_point::max()).stuck);
    CHECK(m.sim->now() == time_point(1000s) + 1min);
}

// -- cancelling --

TEST_CASE("simulator: a cancel ends a waiting operation, its own completion first", "[simulator]") {
    machine m;
    const int listener = m.listen();
    const std::uint64_t accepting = m.add(make(opcode::accept, listener));
    m.turn(time_point::min());
    const std::uint64_t cancelling = m.add(cancel_of(accepting));
    CHECK(m.next(cancelling).result == 0);
    CHECK(m.seen.empty());
    CHECK(m.next(accepting).result == -ECANCELED);
    CHECK(m.call(cancel_of(accepting)) == -ENOENT);
}

TEST_CASE("simulator: a cancel in the batch of its target works", "[simulator]") {
    machine m;
    const int listener = m.listen();
    const std::uint64_t accepting = m.add(make(opcode::accept, listener));
    entry cancel = cancel_of(accepting);
    cancel.flags = entry_skip_success;
    m.add(cancel);
    m.drain();
    REQUIRE(m.seen.size() == 1);
    CHECK(m.seen[0].user_data == accepting);
    CHECK(m.seen[0].result == -ECANCELED);
}

TEST_CASE("simulator: the second cancel comes too late", "[simulator]") {
    machine m;
    const int listener = m.listen();
    const std::uint64_t accepting = m.add(make(opcode::accept, listener));
    const std::uint64_t first = m.add(cancel_of(accepting));
    const std::uint64_t second = m.add(cancel_of(accepting));
    m.drain();
    const int results = m.next(first).result + m.next(second).result;
    CHECK((results == -EALREADY || results == -ENOENT));
    CHECK(m.next(accepting).result == -ECANCELED);
}

TEST_CASE("simulator: a cancel never hits a later operation of the same user_data", "[simulator]") {
    // Entries are taken in order. So a cancel affects an operation that was in flight at its
    // submission, even if it runs when the address is used again.
    for (std::uint64_t seed = 1; seed <= 500; ++seed) {
        machine m(seeded(seed));
        const int listener = m.listen();
        entry nop = make(opcode::nop);
        nop.user_data = 1U << 20;
        m.add_as(nop);
        const std::uint64_t cancelling = m.add(cancel_of(nop.user_data));
        m.next(nop.user_data);
        entry accept = make(opcode::accept, listener);
        accept.user_data = nop.user_data;
        m.add_as(accept);
        m.next(cancelling);
        m.drain();
        REQUIRE(m.seen.empty());
        REQUIRE(m.sim->in_flight() == 1);
    }
}

TEST_CASE("simulator: a cancel that races a completion has every outcome", "[simulator]") {
    int taken_back = 0, late_and_said = 0, late_and_silent = 0, not_found = 0;
    for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
        machine m(seeded(seed));
        m.sim->put_file("a", "12345");
        const std::uint64_t opening = m.add(make(opcode::openat, AT_FDCWD, "a", 0, 0, O_RDONLY));
        m.turn(m.sim->now() + 50us);
        const std::uint64_t cancelling = m.add(cancel_of(opening));
        m.drain();
        const int said = m.next(cancelling).result;
        const int got = m.next(opening).result;
        REQUIRE(m.seen.empty());
        REQUIRE((got == -ECANCELED || got == simulator::first_descriptor));
        REQUIRE(m.sim->descriptors_open() == (got >= 0 ? 1U : 0U));
        if (got == -ECANCELED) REQUIRE(said == 0);
        taken_back += got == -ECANCELED;
        late_and_said += got >= 0 && said == -EALREADY;
        late_and_silent += got >= 0 && said == 0;
        not_found += got >= 0 && said == -ENOENT;
    }
    CHECK(taken_back > 100);
    CHECK(late_and_said > 100);
    CHECK(late_and_silent > 100);
    CHECK(not_found > 100);
}

// -- jobs --

namespace {

struct job {
    machine* m;
    time_point ran{};
    std::thread::id thread{};
    int made = -1;

    static void run(void* argument) {
        auto* self = static_cast<job*>(argument);
        self->ran = self->m->sim->now();
        self->thread = std::this_thread::get_id();
        self->made = self->m->socket();  // a job may use part (b) of kernel.hpp
        self->m->sim->wake();
    }
};

}  // namespace

TEST_CASE("simulator: a job runs on this thread, later, and wakes the wait", "[simulator]") {
    machine m;
    const time_point start = m.sim->now();
    job work{&m};
    REQUIRE(m.sim->run_elsewhere(&job::run, &work));
    CHECK(work.ran == time_point());
    CHECK(m.sim->jobs_pending() == 1);
    const entered brought = m.turn(time_point::max());
    CHECK_FALSE(brought.stuck);
    CHECK(brought.completions == 0);
    CHECK(work.ran > start);
    CHECK(work.ran == m.sim->now());
    CHECK(work.thread == std::this_thread::get_id());
    CHECK(work.made == simulator::first_descriptor);
    CHECK(m.sim->jobs_pending() == 0);
    CHECK(m.turn(time_point::max()).stuck);
}
