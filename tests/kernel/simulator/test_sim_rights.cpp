// SPDX-License-Identifier: MIT
// Unix sockets on the simulated kernel: descriptors in messages, and credentials of the peer. Also
// the close of a TCP socket that sends a reset.
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "support/sim_driver.hpp"

using namespace sim_driver;

namespace {

constexpr std::size_t rights_max = 4;

/// A msghdr with room for descriptors.
struct carrier {
    std::string bytes;
    iovec part{};
    msghdr header{};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(rights_max * sizeof(int))> control{};

    explicit carrier(std::string text) : bytes(std::move(text)) {}
    entry sends(int fd, const std::vector<int>& numbers) {
        point(CMSG_SPACE(numbers.size() * sizeof(int)));
        cmsghdr* at = CMSG_FIRSTHDR(&header);
        at->cmsg_level = SOL_SOCKET;
        at->cmsg_type = SCM_RIGHTS;
        at->cmsg_len = CMSG_LEN(numbers.size() * sizeof(int));
        std::memcpy(CMSG_DATA(at), numbers.data(), numbers.size() * sizeof(int));
        return make(opcode::sendmsg, fd, &header, 1, 0, MSG_NOSIGNAL);
    }
    entry receives(int fd, std::size_t room = rights_max) {
        point(room == 0 ? 0 : CMSG_SPACE(room * sizeof(int)));
        if (room == 1) header.msg_controllen = CMSG_LEN(sizeof(int));
        return make(opcode::recvmsg, fd, &header, 1);
    }
    std::vector<int> numbers() {
        cmsghdr* at = CMSG_FIRSTHDR(&header);
        if (at == nullptr) return {};
        std::vector<int> all((at->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        std::memcpy(all.data(), CMSG_DATA(at), all.size() * sizeof(int));
        return all;
    }

private:
    void point(std::size_t room) {
        part = {bytes.data(), bytes.size()};
        header = {};
        header.msg_iov = &part;
        header.msg_iovlen = 1;
        header.msg_control = control.data();
        header.msg_controllen = room;
    }
};

struct fixture {
    machine m;
    std::array<int, 2> pair{};
    std::array<int, 2> pipe{};
    explicit fixture(std::uint64_t seed = 1) : m(plain(seed)) {
        REQUIRE(m.sim->socket_pair(AF_UNIX, SOCK_STREAM, 0, pair.data()) == 0);
        REQUIRE(m.sim->pipe(pipe.data()) == 0);
    }
    void close_all() {
        for (const int fd : pair) m.sim->close(fd);
        for (const int fd : pipe) m.sim->close(fd);
    }
};

}  // namespace

TEST_CASE("simulator rights: a received descriptor works under its new number", "[simulator]") {
    fixture f(static_cast<std::uint64_t>(GENERATE(range(1, 10))));
    carrier in("??");
    const std::uint64_t receiving = f.m.add(in.receives(f.pair[1]));
    f.m.drain();  // it waits before anything was sent
    carrier out("ab");
    REQUIRE(f.m.call(out.sends(f.pair[0], {f.pipe[1]})) == 2);
    REQUIRE(f.m.sim->close(f.pipe[1]) == 0);
    REQUIRE(f.m.next(receiving).result == 2);
    CHECK(in.header.msg_flags == 0);
    REQUIRE(in.numbers().size() == 1);
    const int sink = in.numbers()[0];
    CHECK(f.m.call(make(opcode::write, sink, "hello", 5, ~std::uint64_t(0))) == 5);
    std::string text(5, '?');
    CHECK(f.m.call(make(opcode::read, f.pipe[0], text.data(), 5, ~std::uint64_t(0))) == 5);
    CHECK(text == "hello");
    f.m.sim->close(sink);
    f.close_all();
    CHECK(f.m.sim->descriptors_open() == 0);
}

TEST_CASE("simulator rights: descriptors that are not received are closed", "[simulator]") {
    fixture f;
    const auto how = GENERATE(0, 1, 2);
    carrier out("ab");
    REQUIRE(f.m.call(out.sends(f.pair[0], {f.pipe[1]})) == 2);
    REQUIRE(f.m.sim->close(f.pipe[1]) == 0);
    f.m.drain();
    if (how == 0) {  // the receiver closes
        f.m.sim->close(f.pair[1]);
    } else if (how == 1) {  // it receives bytes only
        CHECK(f.m.receive(f.pair[1], 2) == "ab");
    } else {  // it has no room
        carrier in("??");
        CHECK(f.m.call(in.receives(f.pair[1], 0)) == 2);
        CHECK((in.header.msg_flags & MSG_CTRUNC) != 0);
    }
    // the pipe has lost its last writer
    std::string text(5, '?');
    CHECK(f.m.call(make(opcode::read, f.pipe[0], text.data(), 5, ~std::uint64_t(0))) == 0);
}

TEST_CASE("simulator rights: a message with too little room is cut, with MSG_CTRUNC",
          "[simulator]") {
    fixture f;
    carrier out("ab");
    REQUIRE(f.m.call(out.sends(f.pair[0], {f.pipe[0], f.pipe[1]})) == 2);
    carrier in("??");
    CHECK(f.m.call(in.receives(f.pair[1], 1)) == 2);
    CHECK((in.header.msg_flags & MSG_CTRUNC) != 0);
    REQUIRE(in.numbers().size() == 1);
    f.m.sim->close(in.numbers()[0]);
    f.close_all();
    CHECK(f.m.sim->descriptors_open() == 0);
}

TEST_CASE("simulator rights: one receive takes the descriptors of one message", "[simulator]") {
    fixture f;
    carrier one("aa");
    carrier two("bb");
    REQUIRE(f.m.call(send_of(f.pair[0], "..")) == 2);
    REQUIRE(f.m.call(one.sends(f.pair[0], {f.pipe[0]})) == 2);
    REQUIRE(f.m.call(two.sends(f.pair[0], {f.pipe[1]})) == 2);
    f.m.drain();
    for (const std::string expected : {"..aa", "bb"}) {  // with the bytes before it
        carrier in(std::string(10, '?'));
        REQUIRE(f.m.call(in.receives(f.pair[1])) == static_cast<int>(expected.size()));
        CHECK(in.bytes.substr(0, expected.size()) == expected);
        CHECK(in.numbers().size() == 1);
        for (const int fd : in.numbers()) f.m.sim->close(fd);
    }
    carrier bad("x");
    CHECK(f.m.call(bad.sends(f.pair[0], {12345})) == -EBADF);
    f.close_all();
    CHECK(f.m.sim->descriptors_open() == 0);
}

TEST_CASE("simulator: the other end of a Unix socket is this process", "[simulator]") {
    fixture f;
    ucred who{};
    socklen_t size = sizeof who;
    REQUIRE(f.m.sim->get_option(f.pair[0], SOL_SOCKET, SO_PEERCRED, &who, &size) == 0);
    CHECK(size == sizeof who);
    CHECK(who.pid == ::getpid());
    CHECK(who.uid == ::getuid());
}

TEST_CASE("simulator: a close with a linger time of 0 resets", "[simulator]") {
    machine m(plain());
    int client = -1;
    int server = -1;
    m.pair(client, server);
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    REQUIRE(m.sim->set_option(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    REQUIRE(m.sim->close(client) == 0);
    std::string byte(1, '?');
    CHECK(m.call(receive_into(server, byte)) == -ECONNRESET);
}
