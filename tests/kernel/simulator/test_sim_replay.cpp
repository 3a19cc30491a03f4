// SPDX-License-Identifier: MIT
// Properties of every run of the simulated kernel. A random client makes a few thousand calls; at
// the end every entry must have ended and nothing may be left. The same client shows that a seed
// replays.
#include <fcntl.h>
#include <linux/time_types.h>
#include <poll.h>

#include <array>
#include <cerrno>
#include <map>
#include <set>

#include "support/sim_driver.hpp"

using namespace sim_driver;

namespace {

/// Submits random entries on random descriptors of its own, cancels some, and counts completions.
/// It draws from the kernel's random(), so that its run is a function of the seed alone.
class rambler {
public:
    explicit rambler(const simulator_options& options) : m(options) {
        m.sim->put_file("in", letters(2000));
        listener_ = m.listen(7000, 3);
        idle_[listener_] = 0;
    }

    void run(int steps) {
        for (int step = 0; step < steps; ++step) {
            act();
            if (below(3) == 0) reap(below(2) == 0 ? time_point::min() : m.sim->now() + 30us);
        }
        finish();
    }

    machine m;
    std::size_t cancelled = 0;
    std::size_t late = 0;  // cancelled, but completed with a result
    std::size_t succeeded = 0;

private:
    struct flight {
        opcode code;
        int fd;
        bool asked;  // a cancel was submitted
    };

    std::uint32_t below(std::uint32_t bound) {
        return static_cast<std::uint32_t>(m.sim->random() >> 33) % bound;
    }
    int any_descriptor() {
        return std::next(idle_.begin(), below(static_cast<std::uint32_t>(idle_.size())))->first;
    }

    void start(const entry& what) {
        const std::uint64_t id = m.add(what);
        flights_[id] = {what.code, what.fd, false};
        if (idle_.count(what.fd) > 0) ++idle_[what.fd];
    }

    void act() {
        const int fd = any_descriptor();
        const std::string& text = texts_[below(4)];
        char* buffer = buffers_[below(4)].data();
        const std::uint32_t size = 1 + below(500);
        switch (below(14)) {
            case 0:
                return start(make(opcode::nop));
            case 1:
                return start(make(opcode::timeout, -1, &times_[below(3)], 1));
            case 2:
                return start(make(opcode::socket, AF_INET, nullptr, 0, SOCK_STREAM));
            case 3:
                return start(make(opcode::connect, fd, &name_, 0, sizeof(name_)));
            case 4:
                return start(accept(below(4) == 0));
            case 5:
                return start(make(opcode::openat, AT_FDCWD, below(2) == 0 ? "in" : "out", 0, 0,
                                  O_RDWR | O_CREAT));
            case 6:
            case 7:
                return start(make(opcode::write, fd, text.data(), size, 0));
            case 8:
                return start(make(opcode::recv, fd, buffer, size, 0, MSG_WAITALL));
            case 9:
                return start(make(opcode::read, fd, buffer, size, below(3000)));
            case 10: {
                const std::uint32_t multishot = below(2);  // own statement: fixed order of draws
                const std::uint32_t events = below(2) == 0 ? POLLIN : POLLOUT;
                return start(make(opcode::poll_add, fd, nullptr, multishot, 0, events));
            }
            case 11:
                return start(make(opcode::shutdown, fd, nullptr, below(3)));
            case 12:
                return cancel_one();
            default:
                return close_one();
        }
    }

    entry accept(bool multishot) {
        entry what = make(opcode::accept, listener_);
        if (multishot) what.ioprio = accept_multishot;
        return what;
    }

    void cancel_one() {
        if (flights_.empty()) return;
        const auto at =
            std::next(flights_.begin(), below(static_cast<std::uint32_t>(flights_.size())));
        if (at->second.code == opcode::async_cancel) return;
        at->second.asked = true;
        start(cancel_of(at->first));
    }

    void close_one() {
        const int fd = any_descriptor();
        if (idle_[fd] > 0 || fd == listener_) return;
        idle_.erase(fd);
        start(make(opcode::close, fd));
    }

    void reap(time_point deadline) {
        m.turn(deadline, 1 + below(8));
        for (const completion& one : std::exchange(m.seen, {})) take(one);
    }

    void take(const completion& one) {
        const auto found = flights_.find(one.user_data);
        REQUIRE(found != flights_.end());  // never stale, never twice
        const flight& flew = found->second;
        if (one.result >= 0 && (flew.code == opcode::accept || flew.code == opcode::socket ||
                                flew.code == opcode::openat)) {
            REQUIRE(idle_.count(one.result) == 0);
            idle_[one.result] = 0;
        }
        if (flew.code == opcode::close) REQUIRE(one.result == 0);
        succeeded += one.result >= 0;
        cancelled += one.result == -ECANCELED;
        late += flew.asked && one.result >= 0;
        if (one.result == -ECANCELED) REQUIRE(flew.asked);
        if ((one.flags & completion_more) != 0) return;
        if (idle_.count(flew.fd) > 0) --idle_[flew.fd];
        flights_.erase(found);
    }

    void finish() {
        for (int round = 0; !flights_.empty(); ++round) {
            REQUIRE(round < 50);
            const auto all = flights_;
            for (const auto& one : all) {
                const auto found = flights_.find(one.first);
                if (found == flights_.end() || one.second.code == opcode::async_cancel) continue;
                found->second.asked = true;
                start(cancel_of(one.first));
                reap(time_point::min());
            }
            for (int turn = 0; turn < 100; ++turn) reap(m.sim->now() + 100us);
            if (round > 2) reap(m.sim->now() + 1h);  // completes a close that a fault delays
        }
        while (!idle_.empty()) {
            const int fd = idle_.begin()->first;
            REQUIRE(idle_.begin()->second == 0);
            REQUIRE(m.sim->close(fd) == 0);
            idle_.erase(fd);
        }
        m.drain();
        REQUIRE(m.seen.empty());
        REQUIRE(m.sim->in_flight() == 0);
        REQUIRE(m.sim->descriptors_open() == 0);
        const kernel::counters counted = m.sim->count();
        REQUIRE(counted.completions >= counted.entries);
    }

    int listener_ = -1;
    std::map<int, int> idle_;  // descriptors open, and their operations in flight
    std::map<std::uint64_t, flight> flights_;
    const sockaddr_in name_ = loopback(7000);
    const std::array<__kernel_timespec, 3> times_{{{0, 1000}, {0, 1'000'000}, {3600, 0}}};
    const std::array<std::string, 4> texts_{letters(500), letters(600), letters(700), letters(800)};
    std::array<std::string, 4> buffers_{letters(500), letters(500), letters(500), letters(500)};
};

}  // namespace

TEST_CASE("simulator replay: every entry ends once and nothing is left, over 300 seeds",
          "[simulator]") {
    std::size_t cancelled = 0, late = 0, succeeded = 0;
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        INFO("seed " << seed);
        simulator_options options = seeded(seed);
        options.buffer_min = 1;
        options.buffer_max = 700;
        rambler client(options);
        client.run(400);
        cancelled += client.cancelled;
        late += client.late;
        succeeded += client.succeeded;
    }
    CHECK(cancelled > 1000);
    CHECK(late > 1000);
    CHECK(succeeded > 10000);
}

TEST_CASE("simulator replay: the same seed gives the same run, another seed another",
          "[simulator]") {
    std::set<std::uint64_t> hashes;
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        rambler first(seeded(seed));
        rambler second(seeded(seed));
        first.run(300);
        second.run(300);
        REQUIRE(first.m.sim->trace_hash() == second.m.sim->trace_hash());
        REQUIRE(first.m.sim->now() == second.m.sim->now());
        hashes.insert(first.m.sim->trace_hash());
    }
    CHECK(hashes.size() == 50);
}

TEST_CASE("simulator replay: a run does not depend on memory addresses", "[simulator]") {
    // If anything were ordered or hashed by address, a run with other allocations would differ.
    rambler first(seeded(7));
    first.run(300);
    std::vector<std::string> clutter;
    for (std::size_t at = 0; at < 1000; ++at) clutter.push_back(letters(at * 7));
    rambler second(seeded(7));
    for (std::size_t at = 0; at < clutter.size(); at += 2) clutter[at] = std::string();
    second.run(300);
    CHECK(first.m.sim->trace_hash() == second.m.sim->trace_hash());
}

TEST_CASE("simulator replay: a fault at every operation leaves nothing behind", "[simulator]") {
    rambler whole(seeded(11));
    whole.run(120);
    const std::uint64_t operations = whole.m.sim->operations();
    REQUIRE(operations > 50);
    for (const sim_fault_kind kind : {sim_fault_kind::cut, sim_fault_kind::delay}) {
        for (std::uint64_t at = 0; at < operations; ++at) {
            simulator_options options = seeded(11);
            options.fault = {at, kind};
            rambler client(options);
            client.run(120);
        }
    }
}

TEST_CASE("simulator replay: draws of callers do not change the simulator's choices",
          "[simulator]") {
    std::array<std::uint64_t, 2> hashes{};
    for (std::size_t run = 0; run < 2; ++run) {
        machine m(seeded(3));
        int client = -1, server = -1;
        m.pair(client, server);
        if (run == 1) m.sim->random();
        m.send_all(client, letters(3000));
        CHECK(m.receive(server, 3000) == letters(3000));
        hashes[run] = m.sim->trace_hash();
    }
    CHECK(hashes[0] == hashes[1]);
}
