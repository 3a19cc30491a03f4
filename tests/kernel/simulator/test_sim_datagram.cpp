// SPDX-License-Identifier: MIT
// Datagrams on the simulated kernel: their guarantees, and the faults of the network.
#include <poll.h>

#include <cerrno>
#include <cstring>
#include <set>

#include "support/sim_driver.hpp"

using namespace sim_driver;

namespace {

int open_udp(machine& m) {
    const int fd = m.sim->socket(AF_INET, SOCK_DGRAM, 0);
    REQUIRE(fd >= simulator::first_descriptor);
    return fd;
}

int udp_at(machine& m, std::uint16_t port) {
    const int fd = open_udp(m);
    const sockaddr_in name = loopback(port);
    REQUIRE(m.sim->bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
    return fd;
}

/// A msghdr with the objects that it points to.
struct message {
    std::string bytes;
    sockaddr_in name{};
    iovec part{};
    msghdr header{};

    explicit message(std::string text, std::uint16_t port = 0)
        : bytes(std::move(text)), name(loopback(port)) {}
    entry sends(int fd) {
        point();
        header.msg_namelen = name.sin_port != 0 ? sizeof name : 0;
        header.msg_name = name.sin_port != 0 ? &name : nullptr;
        return make(opcode::sendmsg, fd, &header, 1, 0, MSG_NOSIGNAL);
    }
    entry receives(int fd, int flags = 0) {
        point();
        header.msg_name = &name;
        header.msg_namelen = sizeof name;
        return make(opcode::recvmsg, fd, &header, 1, 0, static_cast<std::uint32_t>(flags));
    }

private:
    void point() {
        part = {bytes.data(), bytes.size()};
        header.msg_iov = &part;
        header.msg_iovlen = 1;
    }
};

std::string receive_text(machine& m, int fd) {
    message into(std::string(100, '?'));
    const int got = m.call(into.receives(fd));
    REQUIRE(got >= 0);
    return into.bytes.substr(0, std::size_t(got));
}

}  // namespace

TEST_CASE("simulator datagram: whole, in order, with its sender; an empty one too", "[simulator]") {
    const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 10)));
    machine m(seeded(seed));
    const int server = udp_at(m, 53);
    const int client = open_udp(m);
    for (const char* text : {"first", "", "third"}) {
        message out(text, 53);
        CHECK(m.call(out.sends(client)) == int(std::strlen(text)));
    }
    sockaddr_in own{};
    socklen_t size = sizeof own;
    CHECK(m.sim->local_name(client, reinterpret_cast<sockaddr*>(&own), &size) == 0);
    for (const char* text : {"first", "", "third"}) {
        message in(std::string(100, '?'));
        REQUIRE(m.call(in.receives(server)) == int(std::strlen(text)));
        CHECK(in.bytes.substr(0, std::strlen(text)) == text);
        CHECK(in.name.sin_port == own.sin_port);
        CHECK(in.name.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
        CHECK(in.header.msg_flags == 0);
    }
}

TEST_CASE("simulator datagram: a datagram that does not fit is cut, with MSG_TRUNC",
          "[simulator]") {
    machine m;
    const int server = udp_at(m, 53);
    const int client = open_udp(m);
    message out("0123456789", 53);
    REQUIRE(m.call(out.sends(client)) == 10);
    REQUIRE(m.call(out.sends(client)) == 10);
    message in("????");
    CHECK(m.call(in.receives(server, MSG_TRUNC | MSG_PEEK)) == 10);
    CHECK(m.call(in.receives(server)) == 4);
    CHECK(in.bytes == "0123");
    CHECK((in.header.msg_flags & MSG_TRUNC) != 0);
    CHECK(m.call(in.receives(server, MSG_TRUNC)) == 10);
    message huge(std::string(65'508, 'x'), 53);
    CHECK(m.call(huge.sends(client)) == -EMSGSIZE);
    message nowhere("x");
    CHECK(m.call(nowhere.sends(client)) == -EDESTADDRREQ);
}

TEST_CASE("simulator datagram: a connected one receives only from its peer, and ECONNREFUSED",
          "[simulator]") {
    machine m;
    const int server = udp_at(m, 53);
    const int other = udp_at(m, 54);
    const int client = udp_at(m, 55);
    sockaddr_in name = loopback(53);
    CHECK(m.call(m.connect_of(client, name)) == 0);
    message out("from 54", 55);
    REQUIRE(m.call(out.sends(other)) == 7);
    m.drain();
    message answer("from 53", 55);
    REQUIRE(m.call(answer.sends(server)) == 7);
    CHECK(receive_text(m, client) == "from 53");
    REQUIRE(m.sim->close(server) == 0);
    message lost("x");
    CHECK(m.call(lost.sends(client)) == 1);
    message in(std::string(10, '?'));
    CHECK(m.call(in.receives(client)) == -ECONNREFUSED);
    // a socket that is not connected gets no error
    message stray("x", 53);
    CHECK(m.call(stray.sends(other)) == 1);
    const std::uint64_t waits = m.add(in.receives(other));
    m.drain();
    CHECK(m.seen.empty());
    CHECK(m.call(cancel_of(waits)) == 0);
}

TEST_CASE("simulator datagram: a full receive queue drops further datagrams", "[simulator]") {
    machine m;
    const int server = udp_at(m, 53);
    const int client = open_udp(m);
    message out(std::string(20'000, 'x'), 53);
    for (int i = 0; i < 100; ++i) REQUIRE(m.call(out.sends(client)) == 20'000);
    m.drain();
    int got = 0;
    message in(std::string(20'000, '?'));
    while (m.call(in.receives(server, MSG_DONTWAIT)) == 20'000) ++got;
    CHECK(got > 0);
    CHECK(got < 20);
}

TEST_CASE("simulator datagram: lost, duplicated and reordered as the options say",
          "[simulator]") {
    simulator_options options = plain();
    options.datagrams = {20, 20, 20};
    machine m(options);
    const int server = udp_at(m, 53);
    const int client = open_udp(m);
    std::vector<int> arrived;
    for (int i = 0; i < 200; ++i) {
        message out(std::to_string(i), 53);
        REQUIRE(m.call(out.sends(client)) > 0);
        if (i % 50 != 49) continue;
        m.drain();
        message in(std::string(10, '?'));
        for (int n = 0; (n = m.call(in.receives(server, MSG_DONTWAIT))) > 0;)
            arrived.push_back(std::stoi(in.bytes.substr(0, std::size_t(n))));
    }
    const std::set<int> once(arrived.begin(), arrived.end());
    CHECK(once.size() < 190);             // lost
    CHECK(once.size() > 100);
    CHECK(arrived.size() > once.size());  // duplicated
    CHECK(!std::is_sorted(arrived.begin(), arrived.end()));
}

TEST_CASE("simulator datagram: a socket that is cut off gets none, and polls see arrivals",
          "[simulator]") {
    machine m;
    const int server = udp_at(m, 53);
    const int client = open_udp(m);
    const sockaddr_in part = loopback(53);
    const auto* name = reinterpret_cast<const sockaddr*>(&part);
    m.sim->cut_off(name, sizeof part);
    const std::uint64_t polling = m.add(make(opcode::poll_add, server, nullptr, 0, 0, POLLIN));
    message out("x", 53);
    REQUIRE(m.call(out.sends(client)) == 1);
    m.drain();
    CHECK(m.seen.empty());
    m.sim->restore(name, sizeof part);
    message again("y", 53);
    REQUIRE(m.call(again.sends(client)) == 1);
    CHECK((m.next(polling).result & POLLIN) != 0);
    CHECK(receive_text(m, server) == "y");
}
