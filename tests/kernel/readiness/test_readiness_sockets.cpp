// SPDX-License-Identifier: MIT
// The kernel on readiness: sockets, pipes and polls, entry by entry.
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/kernel_driver.hpp"
#include "kernel/readiness/readiness.hpp"

using namespace kernel_driver;

namespace {

struct fixture : driver {
    fixture() : driver(make_readiness(256)) {}
};

bool is_nonblocking(int fd) { return (::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0; }

/// A listening socket on a free port of the loopback.
struct listening {
    explicit listening(kernel& of, int backlog = 16) : os(of) {
        fd = os.socket(AF_INET, SOCK_STREAM, 0);
        name.sin_family = AF_INET;
        name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        auto* const address = reinterpret_cast<sockaddr*>(&name);
        REQUIRE(os.bind(fd, address, sizeof name) == 0);
        REQUIRE(os.listen(fd, backlog) == 0);
        socklen_t size = sizeof name;
        REQUIRE(os.local_name(fd, address, &size) == 0);
    }
    listening(const listening&) = delete;
    ~listening() { os.close(fd); }
    entry connect(int client) const {
        return make(opcode::connect, client, &name, 0, sizeof name);
    }
    kernel& os;
    int fd;
    sockaddr_in name{};
};

}  // namespace

TEST_CASE("readiness: a receive that is too early waits and is then done", "[readiness]") {
    fixture f;
    for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
        two_numbers pair(*f.os, AF_UNIX, type);
        std::string into(10, '\0');
        const auto waiting = f.add(recv_of(pair.ends[0], into));
        CHECK(f.waits(waiting));
        CHECK(f.call(send_of(pair.ends[1], "hello")) == 5);
        CHECK(f.next(waiting).result == 5);
        CHECK(into.substr(0, 5) == "hello");
        CHECK_FALSE(is_nonblocking(pair.ends[0]));
        pair.close(pair.ends[1]);
        if (type == SOCK_STREAM) CHECK(f.call(recv_of(pair.ends[0], into)) == 0);
    }
}

TEST_CASE("readiness: a full socket takes the rest later, and writes keep their order",
          "[readiness]") {
    fixture f;
    two_numbers pair(*f.os, AF_UNIX, SOCK_STREAM);
    const std::string much(8'000'000, 'x');
    const int first = f.call(send_of(pair.ends[1], much));
    REQUIRE(first > 0);
    REQUIRE(first < int(much.size()));
    const auto second = f.add(send_of(pair.ends[1], "second"));
    const auto third = f.add(send_of(pair.ends[1], "third"));
    CHECK(f.waits(second));
    std::string into(much.size(), '\0');
    int got = 0;
    while (got < first) got += f.call(recv_of(pair.ends[0], into));
    CHECK(f.next(second).result == 6);
    CHECK(f.next(third).result == 5);
    CHECK(f.call(recv_of(pair.ends[0], into)) == 11);
    CHECK(into.substr(0, 11) == "secondthird");
}

TEST_CASE("readiness: MSG_WAITALL moves all, and what it has moved outlives a cancel",
          "[readiness]") {
    fixture f;
    two_numbers pair(*f.os, AF_UNIX, SOCK_STREAM);
    std::string into(10, '\0');
    auto waiting = f.add(recv_of(pair.ends[0], into, MSG_WAITALL));
    CHECK(f.call(send_of(pair.ends[1], "1234")) == 4);
    CHECK(f.waits(waiting));
    CHECK(f.call(send_of(pair.ends[1], "567890")) == 6);
    CHECK(f.next(waiting).result == 10);
    CHECK(into == "1234567890");
    waiting = f.add(recv_of(pair.ends[0], into, MSG_WAITALL));
    CHECK(f.call(send_of(pair.ends[1], "abc")) == 3);
    CHECK(f.waits(waiting));
    CHECK(f.cancel(waiting) == 0);
    CHECK(f.next(waiting).result == 3);
}

TEST_CASE("readiness: a cancel ends what waits, and finds nothing else", "[readiness]") {
    fixture f;
    two_numbers pair(*f.os, AF_UNIX, SOCK_STREAM);
    std::string into(10, '\0');
    const auto waiting = f.add(recv_of(pair.ends[0], into));
    CHECK(f.cancel(waiting) == 0);  // in the same batch
    CHECK(f.next(waiting).result == -ECANCELED);
    CHECK(f.cancel(waiting) == -ENOENT);
    CHECK(f.call(send_of(pair.ends[1], "x")) == 1);
    const auto done = f.add(recv_of(pair.ends[0], into));
    CHECK(f.cancel(done) == -EALREADY);  // it was not tried before
    CHECK(f.next(done).result == 1);
}

TEST_CASE("readiness: a number that is used again is watched anew", "[readiness]") {
    fixture f;
    std::string into(10, '\0');
    for (int round = 0; round < 3; ++round) {
        two_numbers pair(*f.os, AF_UNIX, SOCK_STREAM);
        const auto waiting = f.add(recv_of(pair.ends[0], into));
        CHECK(f.waits(waiting));
        CHECK(f.call(send_of(pair.ends[1], "x")) == 1);
        CHECK(f.next(waiting).result == 1);
        const int before = pair.ends[0];
        // closed by another system object: an object made outside of any loop
        rondo::detail::system::real()->close(pair.ends[0]);
        pair.ends[0] = -1;
        two_numbers again(*f.os, AF_UNIX, SOCK_STREAM);
        CHECK(again.ends[0] == before);
        const auto later = f.add(recv_of(again.ends[0], into));
        CHECK(f.waits(later));
        CHECK(f.call(send_of(again.ends[1], "y")) == 1);
        CHECK(f.next(later).result == 1);
    }
}

TEST_CASE("readiness: after close, events of a duplicate do not wake the loop", "[readiness]") {
    fixture f;
    two_numbers pair(*f.os, AF_UNIX, SOCK_STREAM);
    std::string into(10, '\0');
    const auto waiting = f.add(recv_of(pair.ends[0], into));
    CHECK(f.waits(waiting));
    const int copy = ::dup(pair.ends[0]);
    CHECK(f.cancel(waiting) == 0);
    CHECK(f.next(waiting).result == -ECANCELED);
    pair.close(pair.ends[0]);
    f.turn();
    const int host = f.os->event_fd();
    f.os->drain_event();
    REQUIRE(::write(pair.ends[1], "x", 1) == 1);
    pollfd asked{host, POLLIN, 0};
    CHECK(::poll(&asked, 1, 0) == 0);  // nothing has come to the set
    ::close(copy);
}

TEST_CASE("readiness: a storm of duplicates and closes loses no wake", "[readiness]") {
    fixture f;
    std::vector<std::array<int, 2>> pairs(20);
    for (auto& ends : pairs) REQUIRE(f.os->socket_pair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0);
    std::string into(4, '\0');
    for (int i = 0; i < 2000; ++i) {
        auto& ends = pairs[std::size_t(i * 7) % pairs.size()];
        const auto waiting = f.add(recv_of(ends[0], into));
        if (i % 3 == 0) CHECK(f.waits(waiting));
        CHECK(f.call(send_of(ends[1], "x")) == 1);
        CHECK(f.next(waiting).result == 1);
        if (i % 5 != 0) continue;
        const int copy = f.os->duplicate(ends[0]);  // the same file goes on under another number
        f.os->close(ends[0]);
        ends[0] = copy;
    }
    for (auto& ends : pairs)
        for (const int end : ends) f.os->close(end);
}

TEST_CASE("readiness: a poll on a number that another library closes and uses again",
          "[readiness]") {
    fixture f;
    int number = -1;
    for (int round = 0; round < 3; ++round) {
        const int fd = ::eventfd(0, EFD_CLOEXEC);
        if (number >= 0) CHECK(fd == number);
        number = fd;
        const auto waiting = f.add(make(opcode::poll_add, fd, nullptr, 0, 0, POLLIN));
        CHECK(f.waits(waiting));
        REQUIRE(::eventfd_write(fd, 1) == 0);
        CHECK(f.next(waiting).result == POLLIN);
        CHECK(f.call(make(opcode::poll_add, fd, nullptr, 0, 0, POLLIN)) == POLLIN);  // level
        ::close(fd);  // not by rondo
    }
    CHECK(f.call(make(opcode::poll_add, number, nullptr, 0, 0, POLLIN)) == -EBADF);
}

TEST_CASE("readiness: a multishot poll tells each time, until it is removed", "[readiness]") {
    fixture f;
    const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    const auto watching =
        f.add(make(opcode::poll_add, fd, nullptr, poll_multishot, 0, POLLIN));
    for (int i = 0; i < 3; ++i) {
        CHECK(f.waits(watching));
        REQUIRE(::eventfd_write(fd, 1) == 0);
        const completion told = f.next(watching);
        CHECK(told.result == POLLIN);
        CHECK((told.flags & completion_more) != 0);
        std::uint64_t count = 0;
        REQUIRE(::eventfd_read(fd, &count) == 0);
    }
    entry remove = make(opcode::poll_remove);
    remove.address = watching;
    CHECK(f.call(remove) == 0);
    CHECK(f.next(watching).result == -ECANCELED);
    ::close(fd);
}

TEST_CASE("readiness: a connection, refused and accepted", "[readiness]") {
    fixture f;
    listening server(*f.os);
    const int client = f.os->socket(AF_INET, SOCK_STREAM, 0);
    CHECK(f.call(server.connect(client)) == 0);
    CHECK_FALSE(is_nonblocking(client));
    CHECK(f.call(server.connect(client)) == -EISCONN);
    sockaddr_in from{};
    socklen_t size = sizeof from;
    const int accepted = f.call(make(opcode::accept, server.fd, &from, 0, address_in_entry(&size),
                                     SOCK_CLOEXEC));
    REQUIRE(accepted >= 0);
    CHECK(size == sizeof from);
    CHECK(f.call(send_of(accepted, "hi")) == 2);
    std::string into(4, '\0');
    CHECK(f.call(recv_of(client, into)) == 2);
    for (const int fd : {client, accepted}) f.os->close(fd);

    listening gone(*f.os);
    f.os->close(gone.fd);
    const int alone = f.os->socket(AF_INET, SOCK_STREAM, 0);
    CHECK(f.call(gone.connect(alone)) == -ECONNREFUSED);
    f.os->close(alone);
    gone.fd = f.os->socket(AF_INET, SOCK_STREAM, 0);
}

TEST_CASE("readiness: one entry accepts many connections, in shares of a turn", "[readiness]") {
    fixture f;
    listening server(*f.os, 64);
    entry all = make(opcode::accept, server.fd, nullptr, 0, 0, SOCK_CLOEXEC);
    all.ioprio = accept_multishot;
    const auto accepting = f.add(all);
    std::vector<int> open;
    for (int i = 0; i < 40; ++i) {
        open.push_back(f.os->socket(AF_INET, SOCK_STREAM, 0));
        const auto connecting = f.add(server.connect(open.back()));
        while (!f.taken(connecting)) f.os->enter(f.os->now() + 1s, nullptr, 0), f.turn();
    }
    for (int i = 0; i < 40; ++i) {
        const completion one = f.next(accepting);
        REQUIRE(one.result >= 0);
        CHECK((one.flags & completion_more) != 0);
        open.push_back(one.result);
    }
    CHECK(f.cancel(accepting) == 0);
    const completion last = f.next(accepting);
    CHECK(last.result == -ECANCELED);
    CHECK((last.flags & completion_more) == 0);
    for (const int fd : open) f.os->close(fd);
}

TEST_CASE("readiness: a connect to a full backlog waits for room", "[readiness]") {
    fixture f;
    const int server = f.os->socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    const std::string abstract = "rondo-test-backlog-" + std::to_string(::getpid());
    abstract.copy(name.sun_path + 1, abstract.size());
    const auto size = socklen_t(offsetof(sockaddr_un, sun_path) + 1 + abstract.size());
    REQUIRE(f.os->bind(server, reinterpret_cast<sockaddr*>(&name), size) == 0);
    REQUIRE(f.os->listen(server, 0) == 0);
    std::vector<int> clients;
    std::vector<std::uint64_t> connecting;
    for (int i = 0; i < 3; ++i) {
        clients.push_back(f.os->socket(AF_UNIX, SOCK_STREAM, 0));
        connecting.push_back(f.add(make(opcode::connect, clients.back(), &name, 0, size)));
    }
    CHECK(f.next(connecting[0]).result == 0);
    CHECK(f.waits(connecting[1]));
    CHECK(f.cancel(connecting[2]) == 0);
    CHECK(f.next(connecting[2]).result == -ECANCELED);
    const int first = f.call(make(opcode::accept, server, nullptr, 0, 0, SOCK_CLOEXEC));
    CHECK(first >= 0);
    CHECK(f.next(connecting[1]).result == 0);
    for (const int fd : clients) f.os->close(fd);
    f.os->close(first);
    f.os->close(server);
}

TEST_CASE("readiness: receives pick lent buffers until none is left", "[readiness]") {
    fixture f;
    std::vector<char> memory(4 * 16);
    REQUIRE(f.os->lend_buffers(memory.data(), 4, 16, 16) == 0);
    two_numbers pair(*f.os, AF_UNIX, SOCK_STREAM);
    entry picking = make(opcode::recv, pair.ends[0]);
    picking.flags = entry_pick_buffer;
    picking.ioprio = receive_multishot;
    auto receiving = f.add(picking);
    CHECK(f.waits(receiving));
    CHECK(f.call(send_of(pair.ends[1], std::string(70, 'z'))) == 70);
    std::vector<std::uint16_t> taken;
    for (int i = 0; i < 4; ++i) {
        const completion one = f.next(receiving);
        CHECK(one.result == 16);
        CHECK((one.flags & completion_more) != 0);
        REQUIRE((one.flags & completion_buffer) != 0);
        taken.push_back(buffer_of(one.flags));
        CHECK(memory[std::size_t{taken.back()} * 16] == 'z');
    }
    completion last = f.next(receiving);
    CHECK(last.result == -ENOBUFS);
    CHECK((last.flags & completion_more) == 0);
    f.os->return_buffer(taken[2]);
    receiving = f.add(picking);
    const completion rest = f.next(receiving);
    CHECK(rest.result == 6);
    CHECK(buffer_of(rest.flags) == taken[2]);
    pair.close(pair.ends[1]);
    last = f.next(receiving);
    CHECK((last.result == 0 || last.result == -ENOBUFS));
}

TEST_CASE("readiness: pipes stay blocking for those who share them", "[readiness]") {
    fixture f;
    two_numbers pipe(*f.os, 0, 0);
    std::string into(10, '\0');
    const auto waiting = f.add(read_of(pipe.ends[0], into));
    CHECK(f.waits(waiting));
    CHECK(f.call(write_of(pipe.ends[1], "hello")) == 5);
    CHECK(f.next(waiting).result == 5);
    const std::string much(1'000'000, 'x');
    CHECK(f.call(write_of(pipe.ends[1], much)) == 65536);
    const auto full = f.add(write_of(pipe.ends[1], "more"));
    CHECK(f.waits(full));
    std::string all(65536, '\0');
    CHECK(f.call(read_of(pipe.ends[0], all)) == 65536);
    CHECK(f.next(full).result == 4);
    CHECK_FALSE(is_nonblocking(pipe.ends[0]));
    CHECK_FALSE(is_nonblocking(pipe.ends[1]));
    pipe.close(pipe.ends[0]);
    CHECK(f.call(write_of(pipe.ends[1], "x")) == -EPIPE);  // and no SIGPIPE
}

TEST_CASE("readiness: the end of a pipe ends a read that waits", "[readiness]") {
    fixture f;
    two_numbers pipe(*f.os, 0, 0);
    std::string into(10, '\0');
    const auto waiting = f.add(read_of(pipe.ends[0], into));
    CHECK(f.waits(waiting));
    pipe.close(pipe.ends[1]);
    CHECK(f.next(waiting).result == 0);
}

TEST_CASE("readiness: a terminal is read without changing its flags", "[readiness]") {
    fixture f;
    const int master = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0 || ::grantpt(master) != 0 || ::unlockpt(master) != 0)
        SKIP("there are no pseudo-terminals here");
    const int terminal = ::open(::ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    REQUIRE(terminal >= 0);
    for (int round = 0; round < 2; ++round) {
        std::string line(20, '\0');
        const auto waiting = f.add(read_of(terminal, line));
        CHECK(f.waits(waiting));
        REQUIRE(::write(master, "hello\n", 6) == 6);
        CHECK(f.next(waiting).result == 6);
        CHECK(f.call(write_of(terminal, "answer")) == 6);
        CHECK_FALSE(is_nonblocking(terminal));
    }
    // The master cannot be opened again: its reads wait for readiness and then run on a thread.
    // The bytes arrive in parts: the echo of two lines, and two answers.
    std::string echo(64, '\0');
    for (int left = 2 * (7 + 6); left > 0;) {
        const int got = f.call(read_of(master, echo));
        REQUIRE(got > 0);
        left -= got;
    }
    const auto waiting = f.add(read_of(master, echo));
    CHECK(f.waits(waiting));
    REQUIRE(::write(terminal, "x", 1) == 1);
    CHECK(f.next(waiting).result == 1);
    f.os->close(terminal);
    f.os->close(master);
}

TEST_CASE("readiness: eventfds, also blocking ones, are read and written", "[readiness]") {
    fixture f;
    for (const int flags : {0, int{EFD_NONBLOCK}}) {
        const int fd = ::eventfd(0, EFD_CLOEXEC | flags);
        std::string count(8, '\0'), one(8, '\0');
        one[0] = 1;
        const auto waiting = f.add(read_of(fd, count));
        CHECK(f.waits(waiting));
        CHECK(f.call(write_of(fd, one)) == 8);
        CHECK(f.next(waiting).result == 8);
        CHECK(count == one);
        f.os->close(fd);
    }
}

TEST_CASE("readiness: operations on the wrong kind of descriptor fail as on Linux",
          "[readiness]") {
    fixture f;
    std::string into(4, '\0');
    two_numbers pipe(*f.os, 0, 0);
    CHECK(f.call(recv_of(pipe.ends[0], into)) == -ENOTSOCK);
    CHECK(f.call(make(opcode::accept, pipe.ends[0])) == -ENOTSOCK);
    CHECK(f.call(make(opcode::shutdown, pipe.ends[0])) == -ENOTSOCK);
    CHECK(f.call(recv_of(-1, into)) == -EBADF);
    CHECK(f.call(recv_of(1000, into)) == -EBADF);
    CHECK(f.call(write_of(pipe.ends[0], "x")) == -EBADF);
    CHECK(f.call(make(opcode::splice, pipe.ends[0])) == -EINVAL);
    CHECK_FALSE(f.os->supports(opcode::splice));
    entry picking = make(opcode::recv, ::open("/dev/null", O_RDONLY | O_CLOEXEC));
    picking.flags = entry_pick_buffer;
    picking.ioprio = receive_multishot;
    std::vector<char> memory(64);
    REQUIRE(f.os->lend_buffers(memory.data(), 4, 16, 16) == 0);
    CHECK(f.call(picking) == -ENOTSOCK);
    CHECK(f.call(make(opcode::close, picking.fd)) == 0);
    CHECK(f.call(make(opcode::close, picking.fd)) == -EBADF);
}
