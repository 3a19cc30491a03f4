// SPDX-License-Identifier: MIT
// Errors on the simulated kernel: requested faults, and errors of the caller, which end the
// process.
#include <linux/time_types.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "support/sim_driver.hpp"

using namespace sim_driver;

namespace {

/// Runs `body` in a child. Returns its output on stderr if it aborted; otherwise "".
template <class Body>
std::string abort_text(Body body) {
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        const rlimit none{0, 0};
        ::setrlimit(RLIMIT_CORE, &none);
        std::signal(SIGABRT, SIG_DFL);
        ::dup2(ends[1], 2);
        body();
        ::_exit(0);
    }
    ::close(ends[1]);
    std::string text;
    std::array<char, 512> piece{};
    for (ssize_t got = 0; (got = ::read(ends[0], piece.data(), piece.size())) > 0;)
        text.append(piece.data(), static_cast<std::size_t>(got));
    ::close(ends[0]);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? text : "";
}

bool contains(const std::string& text, std::string_view part) {
    INFO(text);
    return text.find(part) != std::string::npos;
}

}  // namespace

// -- faults --

namespace {

struct faulty {
    sim_fault_kind kind;
    int error;
};

machine with_fault(std::uint64_t operation, sim_fault_kind kind, int error = EIO) {
    simulator_options options = plain();
    options.fault = {operation, kind, error};
    return machine(options);
}

}  // namespace

TEST_CASE("simulator: a fault affects the operation that it names, and no other", "[simulator]") {
    const auto fault = GENERATE(
        faulty{sim_fault_kind::cancel, ECANCELED}, faulty{sim_fault_kind::error, EIO},
        faulty{sim_fault_kind::error, ECONNRESET}, faulty{sim_fault_kind::error, EPERM});
    machine m = with_fault(3, fault.kind, fault.error);  // 0 accept, 1 connect, 2 send
    int client = -1;
    int server = -1;
    m.pair(client, server);
    m.send_all(client, "hello");
    std::string buffer(5, '?');
    CHECK(m.call(receive_into(server, buffer)) == -fault.error);
    CHECK(buffer == "?????");
    CHECK(m.receive(server, 5) == "hello");  // the faulty operation did nothing, so nothing is lost
    CHECK(m.sim->operations() == 5);
}

TEST_CASE("simulator: a fault ends a multishot accept, and no connection is lost", "[simulator]") {
    machine m = with_fault(0, sim_fault_kind::error, ENOBUFS);
    const int listener = m.listen();
    entry accept = make(opcode::accept, listener);
    accept.ioprio = accept_multishot;
    const completion ended = m.next(m.add(accept));
    CHECK(ended.result == -ENOBUFS);
    CHECK(ended.flags == 0);
    const sockaddr_in name = loopback(7000);
    CHECK(m.call(m.connect_of(m.socket(), name)) == 0);
    CHECK(m.call(make(opcode::accept, listener)) >= simulator::first_descriptor);
}

TEST_CASE("simulator: a close that fails has closed, one that was cancelled has not",
          "[simulator]") {
    const bool cancelled = GENERATE(false, true);
    machine m = with_fault(0, cancelled ? sim_fault_kind::cancel : sim_fault_kind::error);
    const int fd = m.socket();
    CHECK(m.call(make(opcode::close, fd)) == (cancelled ? -ECANCELED : -EIO));
    CHECK(m.sim->descriptors_open() == (cancelled ? 1 : 0));
    CHECK(m.sim->close(fd) == (cancelled ? 0 : -EBADF));
}

TEST_CASE("simulator: a short fault moves one byte, even if all are requested", "[simulator]") {
    machine m = with_fault(3, sim_fault_kind::cut);
    int client = -1;
    int server = -1;
    m.pair(client, server);
    m.send_all(client, "hello");
    std::string buffer(5, '?');
    CHECK(m.call(receive_into(server, buffer, MSG_WAITALL)) == 1);
    CHECK(buffer == "h????");
    CHECK(m.receive(server, 4) == "ello");
}

TEST_CASE("simulator: a delay fault moves the operation after everything else, still cancellable",
          "[simulator]") {
    const bool cancelled = GENERATE(false, true);
    machine m = with_fault(0, sim_fault_kind::delay);
    const time_point start = m.sim->now();
    const std::uint64_t late = m.add(make(opcode::nop));
    const __kernel_timespec minute{60, 0};
    CHECK(m.call(make(opcode::timeout, -1, &minute, 1)) == -ETIME);
    CHECK(m.seen.empty());
    if (cancelled) CHECK(m.call(cancel_of(late)) == 0);
    CHECK(m.next(late).result == (cancelled ? -ECANCELED : 0));
    CHECK((m.sim->now() >= start + 1h) == !cancelled);
}

TEST_CASE("simulator: a cancel does not prevent a requested error", "[simulator]") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        simulator_options options;
        options.seed = seed;
        options.fault.kind = sim_fault_kind::error;
        machine m(options);
        const std::uint64_t failing = m.add(make(opcode::nop));
        const std::uint64_t cancel = m.add(cancel_of(failing));
        CHECK(m.next(failing).result == -EIO);
        CHECK(m.next(cancel).result < 0);
    }
}

// -- errors of the caller --

TEST_CASE("simulator: an entry that is not simulated ends with EINVAL, and a line names it",
          "[simulator]") {
    const auto told = [](const entry& what) {  // aborts, so that its text comes here
        return abort_text([&] {
            machine m;
            const int result = m.call(what);
            sim_fatal("the result is %d", result);
        });
    };
    const std::string einval = "the result is -" + std::to_string(EINVAL);
    const std::string unknown = told(make(static_cast<opcode>(47)));
    CHECK(contains(unknown, "opcode 47 (send_zc) is not simulated"));
    CHECK(contains(unknown, einval));
    entry linked = make(opcode::nop);
    linked.flags = 1 << 2;
    const std::string flagged = told(linked);
    CHECK(contains(flagged, "flags 0x4 of a nop entry are not simulated"));
    CHECK(contains(flagged, einval));
    entry all = cancel_of(1);
    all.op_flags = 1;
    const std::string cancel = told(all);
    CHECK(contains(cancel, "async_cancel with flags 0x1 is not simulated"));
    CHECK(contains(cancel, einval));
}

TEST_CASE("simulator: closing during an operation aborts with its name", "[simulator]") {
    std::string buffer(1, '?');
    CHECK(contains(abort_text([&] {
                       machine m;
                       int client = -1, server = -1;
                       m.pair(client, server);
                       m.add(receive_into(server, buffer));
                       m.turn(time_point::min());
                       m.sim->close(server);
                   }),
                   "while its recv is in flight"));
    CHECK(contains(abort_text([&] {
                       machine m;
                       int client = -1, server = -1;
                       m.pair(client, server);
                       m.add(receive_into(server, buffer));
                       m.call(make(opcode::close, server));
                   }),
                   "while its recv is in flight"));
    CHECK(contains(abort_text([&] {
                       machine m;
                       int client = -1, server = -1;
                       m.pair(client, server);
                       m.add(receive_into(server, buffer));
                       m.sim->close(server);
                   }),
                   "while its recv is not submitted yet"));
}
