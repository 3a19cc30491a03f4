// SPDX-License-Identifier: MIT
// Pipes, socket pairs and duplicated descriptors on the simulated kernel, and file calls that
// neither read nor write.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>

#include "support/sim_driver.hpp"

using namespace sim_driver;

namespace {

struct ends {
    std::array<int, 2> fd{-1, -1};
    int source() const { return fd[0]; }
    int sink() const { return fd[1]; }
};

ends pipe_of(machine& m) {
    ends made;
    REQUIRE(m.sim->pipe(made.fd.data()) == 0);
    return made;
}

entry write_of(int fd, std::string_view bytes) {
    return make(opcode::write, fd, bytes.data(), bytes.size(), ~std::uint64_t(0));
}
entry read_into(int fd, std::string& buffer) {
    return make(opcode::read, fd, buffer.data(), buffer.size(), ~std::uint64_t(0));
}
entry poll_of(int fd, unsigned events) { return make(opcode::poll_add, fd, nullptr, 0, 0, events); }

/// Returns all bytes until the end.
std::string read_all(machine& m, int fd) {
    std::string all;
    for (;;) {
        std::string piece(512, '?');
        const int got = m.call(read_into(fd, piece));
        REQUIRE(got >= 0);
        if (got == 0) return all;
        all.append(piece, 0, static_cast<std::size_t>(got));
    }
}

}  // namespace

TEST_CASE("simulator pipe: bytes come out in order, then the end", "[simulator]") {
    const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 20)));
    machine m(seeded(seed));
    const ends p = pipe_of(m);
    const std::string sent = letters(100'000);
    std::string_view left = sent;
    std::uint64_t writing = m.add(write_of(p.sink(), left));
    std::string got;
    while (got.size() < sent.size()) {
        std::string piece(5000, '?');
        const int count = m.call(read_into(p.source(), piece));
        REQUIRE(count > 0);
        got.append(piece, 0, static_cast<std::size_t>(count));
        const auto done = std::find_if(m.seen.begin(), m.seen.end(),
                                       [&](const completion& c) { return c.user_data == writing; });
        if (done == m.seen.end()) continue;
        REQUIRE(done->result > 0);
        left.remove_prefix(static_cast<std::size_t>(done->result));
        m.seen.erase(done);
        if (!left.empty()) writing = m.add(write_of(p.sink(), left));
    }
    CHECK(got == sent);
    REQUIRE(m.sim->close(p.sink()) == 0);
    CHECK(read_all(m, p.source()).empty());
    REQUIRE(m.sim->close(p.source()) == 0);
    CHECK(m.sim->descriptors_open() == 0);
}

TEST_CASE("simulator pipe: a write of at most PIPE_BUF is whole", "[simulator]") {
    const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 20)));
    machine m(seeded(seed));
    const ends p = pipe_of(m);
    const std::string sent = letters(4096);
    CHECK(m.call(write_of(p.sink(), sent)) == 4096);
}

TEST_CASE("simulator pipe: without a reader a write fails, with a signal", "[simulator]") {
    machine m;
    const ends p = pipe_of(m);
    REQUIRE(m.sim->close(p.source()) == 0);
    CHECK(m.call(write_of(p.sink(), "x")) == -EPIPE);
    CHECK(m.sim->sigpipes() == 1);
    // a write that waits for room fails too
    const ends q = pipe_of(m);
    const std::string much = letters(200'000);
    std::uint64_t writing = 0;
    for (int result = 1; result > 0;) {
        writing = m.add(write_of(q.sink(), much));
        m.drain();
        if (m.seen.empty()) break;
        result = m.next(writing).result;
    }
    REQUIRE(m.sim->close(q.source()) == 0);
    CHECK(m.next(writing).result == -EPIPE);
}

TEST_CASE("simulator pipe: polls give the events of pipe_poll()", "[simulator]") {
    machine m(plain());
    const ends p = pipe_of(m);
    CHECK((m.call(poll_of(p.sink(), POLLOUT)) & (POLLOUT | POLLERR)) == POLLOUT);
    const std::uint64_t reading = m.add(poll_of(p.source(), POLLIN));
    m.drain();
    CHECK(m.seen.empty());
    CHECK(m.call(write_of(p.sink(), "ab")) == 2);
    CHECK((m.next(reading).result & (POLLIN | POLLHUP)) == POLLIN);
    REQUIRE(m.sim->close(p.sink()) == 0);
    m.drain();
    CHECK((m.call(poll_of(p.source(), POLLIN)) & (POLLIN | POLLHUP)) == (POLLIN | POLLHUP));
    CHECK(read_all(m, p.source()) == "ab");
    CHECK((m.call(poll_of(p.source(), POLLIN)) & (POLLIN | POLLHUP)) == POLLHUP);
    const ends q = pipe_of(m);
    const std::uint64_t broken = m.add(poll_of(q.sink(), 0));
    m.drain();
    CHECK(m.seen.empty());
    REQUIRE(m.sim->close(q.source()) == 0);
    CHECK((m.next(broken).result & POLLERR) != 0);
}

TEST_CASE("simulator pipe: it is not a socket, and each end has one direction", "[simulator]") {
    machine m;
    const ends p = pipe_of(m);
    std::string buffer(4, '?');
    CHECK(m.call(read_into(p.sink(), buffer)) == -EBADF);
    CHECK(m.call(write_of(p.source(), "x")) == -EBADF);
    CHECK(m.call(receive_into(p.source(), buffer)) == -ENOTSOCK);
    CHECK(m.call(send_of(p.sink(), "x")) == -ENOTSOCK);
    CHECK(m.sim->listen(p.source(), 1) == -ENOTSOCK);
    unsigned mode = 0;
    CHECK(m.sim->file_status(p.source(), &mode) == 0);
    CHECK(S_ISFIFO(mode));
}

TEST_CASE("simulator: a file that two descriptors share is closed with the second", "[simulator]") {
    machine m;
    const ends p = pipe_of(m);
    const int again = m.sim->duplicate(p.sink());
    REQUIRE(again > p.sink());
    REQUIRE(m.sim->close(p.sink()) == 0);
    CHECK(m.call(write_of(again, "one")) == 3);
    REQUIRE(m.sim->close(again) == 0);
    CHECK(read_all(m, p.source()) == "one");

    m.sim->put_file("f", "abcdef");
    const int file = m.call(make(opcode::openat, AT_FDCWD, "f", 0, 0, O_RDWR));
    const int other = m.sim->duplicate(file);
    std::string two(2, '?');
    // both share a position
    int first = m.call(read_into(file, two));
    REQUIRE(first > 0);
    REQUIRE(m.sim->close(file) == 0);
    std::string rest = read_all(m, other);
    CHECK(two.substr(0, std::size_t(first)) + rest == "abcdef");
    CHECK(m.sim->duplicate(file) == -EBADF);
}

TEST_CASE("simulator: a socket pair is connected and unnamed", "[simulator]") {
    machine m(plain());
    std::array<int, 2> pair{};
    REQUIRE(m.sim->socket_pair(AF_UNIX, SOCK_STREAM, 0, pair.data()) == 0);
    m.send_all(pair[0], "ping");
    CHECK(m.receive(pair[1], 4) == "ping");
    m.send_all(pair[1], "pong");
    REQUIRE(m.sim->close(pair[1]) == 0);
    CHECK(m.receive(pair[0], 100) == "pong");
    CHECK(m.call(send_of(pair[0], "x")) == -EPIPE);
    CHECK(m.sim->socket_pair(AF_INET, SOCK_STREAM, 0, pair.data()) == -EOPNOTSUPP);
}

TEST_CASE("simulator file: truncated, grown and with holes", "[simulator]") {
    machine m(plain());
    m.sim->put_file("f", "abcdef");
    const int file = m.call(make(opcode::openat, AT_FDCWD, "f", 0, 0, O_RDWR));
    CHECK(m.call(make(opcode::ftruncate, file, nullptr, 0, 3)) == 0);
    CHECK(m.sim->get_file("f") == "abc");
    CHECK(m.sim->truncate(file, 5) == 0);
    CHECK(m.sim->get_file("f") == std::string("abc\0\0", 5));
    entry grow = make(opcode::fallocate, file, nullptr, 0, 4);
    grow.address = 4;  // its length
    CHECK(m.call(grow) == 0);
    CHECK(m.sim->get_file("f")->size() == 8);
    entry hole = make(opcode::fallocate, file, nullptr, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
    hole.address = 2;
    CHECK(m.call(hole) == 0);
    CHECK(m.sim->get_file("f")->substr(0, 3) == std::string("\0\0c", 3));
    const int reader = m.call(make(opcode::openat, AT_FDCWD, "f", 0, 0, O_RDONLY));
    CHECK(m.sim->truncate(reader, 0) == -EINVAL);
    grow.fd = reader;
    CHECK(m.call(grow) == -EBADF);
}

TEST_CASE("simulator: only the call that a fault names fails", "[simulator]") {
    simulator_options options;
    options.call_fault = {1, ENOMEM};
    machine m(options);
    CHECK(m.sim->socket(AF_INET, SOCK_STREAM, 0) > 0);
    CHECK(m.sim->socket(AF_INET, SOCK_STREAM, 0) == -ENOMEM);
    CHECK(m.sim->descriptors_open() == 1);
    CHECK(m.sim->socket(AF_INET, SOCK_STREAM, 0) > 0);
    CHECK(m.sim->calls() == 3);
}
