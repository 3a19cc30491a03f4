// SPDX-License-Identifier: MIT
// The simulated network, by entries: names, connecting, and the ends of connections.
#include <sys/un.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>

#include "support/sim_driver.hpp"

using namespace sim_driver;

namespace {

int shutdown(machine& m, int fd, int how) {
    return m.call(make(opcode::shutdown, fd, nullptr, static_cast<std::size_t>(how)));
}

int bind_to(machine& m, int fd, const sockaddr_in& name) {
    return m.sim->bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof(name));
}

sockaddr_in local_name(machine& m, int fd) {
    sockaddr_in name{};
    socklen_t size = sizeof(name);
    REQUIRE(m.sim->local_name(fd, reinterpret_cast<sockaddr*>(&name), &size) == 0);
    REQUIRE(size == sizeof(name));
    return name;
}

struct pair {
    explicit pair(const simulator_options& options = plain()) : m(options) {
        m.pair(client, server);
    }
    machine m;
    int client = -1;
    int server = -1;
};

}  // namespace

// -- descriptors and names --

TEST_CASE("simulator sockets: unknown descriptors and kinds", "[simulator]") {
    machine m;
    CHECK(m.sim->socket(AF_PACKET, SOCK_STREAM, 0) == -EAFNOSUPPORT);
    CHECK(m.sim->socket(AF_INET, SOCK_RAW, 0) == -ESOCKTNOSUPPORT);
    CHECK(m.sim->socket(AF_INET, SOCK_STREAM, 17) == -EPROTONOSUPPORT);
    CHECK(m.call(make(opcode::socket, AF_INET6, nullptr, 0, SOCK_STREAM | SOCK_CLOEXEC)) ==
          simulator::first_descriptor);
    for (const int fd : {-1, 0, simulator::first_descriptor - 1, simulator::first_descriptor + 1}) {
        CHECK(m.sim->listen(fd, 1) == -EBADF);
        CHECK(m.sim->close(fd) == -EBADF);
        CHECK(m.call(make(opcode::close, fd)) == -EBADF);
        CHECK(m.call(send_of(fd, "x")) == -EBADF);
    }
}

TEST_CASE("simulator sockets: the lowest free number comes first", "[simulator]") {
    machine m;
    const int first = m.socket();
    CHECK(m.socket() == first + 1);
    CHECK(m.socket() == first + 2);
    CHECK(m.sim->close(first + 1) == 0);
    CHECK(m.call(make(opcode::close, first)) == 0);
    CHECK(m.socket() == first);
    CHECK(m.socket() == first + 1);
    CHECK(m.socket() == first + 3);
}

TEST_CASE("simulator sockets: an entry submitted after a close fails with EBADF", "[simulator]") {
    machine m;
    const int fd = m.socket();
    const std::uint64_t closing = m.add(make(opcode::close, fd));
    const std::uint64_t sending = m.add(send_of(fd, "x"));
    const std::uint64_t again = m.add(make(opcode::close, fd));
    CHECK(m.next(sending).result == -EBADF);
    CHECK(m.next(again).result == -EBADF);
    CHECK(m.next(closing).result == 0);
}

TEST_CASE("simulator sockets: bind finds ports and refuses taken ones", "[simulator]") {
    machine m;
    const int a = m.socket();
    CHECK(bind_to(m, a, loopback(0)) == 0);
    const sockaddr_in name = local_name(m, a);
    CHECK(ntohs(name.sin_port) >= 32768);
    const int b = m.socket();
    CHECK(bind_to(m, b, name) == -EADDRINUSE);
    sockaddr_in any = name;
    any.sin_addr.s_addr = htonl(INADDR_ANY);
    CHECK(bind_to(m, b, any) == -EADDRINUSE);
    CHECK(bind_to(m, b, loopback(0)) == 0);
    CHECK(local_name(m, b).sin_port != name.sin_port);
    CHECK(bind_to(m, b, loopback(0)) == -EINVAL);  // already has a name
    CHECK(m.sim->bind(m.socket(), reinterpret_cast<const sockaddr*>(&name), 3) == -EINVAL);
    const int six = m.sim->socket(AF_INET6, SOCK_STREAM, 0);
    CHECK(bind_to(m, six, loopback(1)) == -EINVAL);  // too small for an IPv6 address
    const sockaddr_un path{AF_UNIX, "p"};
    CHECK(m.sim->bind(b, reinterpret_cast<const sockaddr*>(&path), sizeof(path)) == -EAFNOSUPPORT);
    CHECK(m.sim->close(a) == 0);
    CHECK(bind_to(m, m.socket(), name) == 0);
}

TEST_CASE("simulator sockets: SO_REUSEPORT shares a port, and the seed chooses", "[simulator]") {
    machine m;
    const int on = 1;
    std::array<int, 2> listeners{};
    for (int& fd : listeners) {
        fd = m.socket();
        CHECK(m.sim->set_option(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0);
        CHECK(bind_to(m, fd, loopback(80)) == 0);
        CHECK(m.sim->listen(fd, 100) == 0);
        entry accept = make(opcode::accept, fd);
        accept.ioprio = accept_multishot;
        accept.user_data = 1'000'000U + static_cast<std::uint64_t>(fd);
        m.add_as(accept);
    }
    const sockaddr_in name = loopback(80);
    for (int at = 0; at < 40; ++at) CHECK(m.call(m.connect_of(m.socket(), name)) == 0);
    m.drain();
    const auto first = std::count_if(m.seen.begin(), m.seen.end(), [&](const completion& one) {
        return one.user_data == 1'000'000U + static_cast<std::uint64_t>(listeners[0]);
    });
    CHECK(m.seen.size() == 40);
    CHECK(first > 5);
    CHECK(first < 35);
}

TEST_CASE("simulator sockets: options are remembered", "[simulator]") {
    pair p;
    int value = 7;
    socklen_t size = sizeof(value);
    CHECK(p.m.sim->get_option(p.client, IPPROTO_TCP, 99, &value, &size) == -ENOPROTOOPT);
    CHECK(p.m.sim->get_option(p.client, IPPROTO_TCP, 4, &value, &size) == 0);  // TCP_KEEPIDLE
    CHECK(value == 7200);
    value = 5;
    CHECK(p.m.sim->set_option(p.client, IPPROTO_TCP, 99, &value, sizeof(value)) == -ENOPROTOOPT);
    CHECK(p.m.sim->set_option(p.client, IPPROTO_TCP, 4, &value, sizeof(value)) == 0);
    value = 6;
    CHECK(p.m.sim->set_option(p.client, IPPROTO_TCP, 4, &value, sizeof(value)) == 0);
    value = 0;
    CHECK(p.m.sim->get_option(p.client, IPPROTO_TCP, 4, &value, &size) == 0);
    CHECK(value == 6);
    CHECK(p.m.sim->get_option(p.client, SOL_SOCKET, SO_TYPE, &value, &size) == 0);
    CHECK(value == SOCK_STREAM);
    CHECK(p.m.sim->get_option(p.client, SOL_SOCKET, SO_DOMAIN, &value, &size) == 0);
    CHECK(value == AF_INET);
}

TEST_CASE("simulator sockets: descriptor calls come from any thread", "[simulator]") {
    machine m;
    std::atomic<int> wrong{0};
    std::thread other([&] {
        for (int round = 0; round < 2000; ++round) {
            const int fd = m.socket();
            const sockaddr_in name = loopback(0);
            if (m.sim->bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof(name)) != 0)
                ++wrong;
            if (m.sim->listen(fd, 1) != 0 || m.sim->close(fd) != 0) ++wrong;
        }
        m.sim->wake();
    });
    for (int round = 0; round < 300; ++round) {
        int client = -1, server = -1;
        m.pair(client, server);
        CHECK(m.sim->close(client) == 0);
        CHECK(m.call(make(opcode::close, server)) == 0);
    }
    other.join();
    m.drain();
    CHECK(wrong == 0);
    CHECK(m.sim->descriptors_open() == 0);
}

// -- connecting --

TEST_CASE("simulator sockets: connecting takes time, and both ends know each other",
          "[simulator]") {
    machine m;
    const int listener = m.listen(7000);
    const sockaddr_in name = loopback(7000);
    sockaddr_in from{};
    socklen_t size = sizeof(from);
    const std::uint64_t accepting =
        m.add(make(opcode::accept, listener, &from, 0, address_of(&size), SOCK_CLOEXEC));
    const time_point start = m.sim->now();
    const int client = m.socket();
    CHECK(m.call(m.connect_of(client, name)) == 0);
    CHECK(m.sim->now() - start >= 20us);
    CHECK(m.sim->now() - start <= 3ms);
    const int server = m.next(accepting).result;
    REQUIRE(server >= simulator::first_descriptor);
    CHECK(size == sizeof(from));
    CHECK(from.sin_port == local_name(m, client).sin_port);
    CHECK(from.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    CHECK(local_name(m, server).sin_port == htons(7000));
    sockaddr_in remote{};
    CHECK(m.sim->remote_name(client, reinterpret_cast<sockaddr*>(&remote), &size) == 0);
    CHECK(remote.sin_port == htons(7000));
    CHECK(m.sim->remote_name(listener, reinterpret_cast<sockaddr*>(&remote), &size) == -ENOTCONN);
    CHECK(m.call(m.connect_of(client, name)) == -EISCONN);
    CHECK(m.call(m.connect_of(listener, name)) == -EISCONN);
}

TEST_CASE("simulator sockets: connect fails without a listener, and can be repeated",
          "[simulator]") {
    machine m;
    const sockaddr_in name = loopback(7000);
    const int client = m.socket();
    CHECK(m.call(m.connect_of(client, name)) == -ECONNREFUSED);
    m.listen(7000);
    const std::uint64_t first = m.add(m.connect_of(client, name));
    CHECK(m.call(m.connect_of(client, name)) == -EALREADY);
    CHECK(m.next(first).result == 0);
    CHECK(m.call(make(opcode::accept, client)) == -EINVAL);
}

TEST_CASE("simulator sockets: connects wait for a full backlog", "[simulator]") {
    machine m(plain());
    const int listener = m.listen(7000, 0);
    const sockaddr_in name = loopback(7000);
    CHECK(m.call(m.connect_of(m.socket(), name)) == 0);
    const std::uint64_t second = m.add(m.connect_of(m.socket(), name));
    const std::uint64_t third = m.add(m.connect_of(m.socket(), name));
    const std::uint64_t fourth = m.add(m.connect_of(m.socket(), name));
    m.drain();
    CHECK(m.seen.empty());
    CHECK(m.sim->in_flight() == 3);
    CHECK(m.call(cancel_of(third)) == 0);
    CHECK(m.next(third).result == -ECANCELED);
    CHECK(m.call(make(opcode::accept, listener)) >= 0);
    m.drain();
    REQUIRE(m.seen.size() == 1);
    const std::uint64_t lucky = m.seen[0].user_data;
    CHECK(m.next(lucky).result == 0);
    CHECK(m.sim->close(listener) == 0);  // the last connect finds no listener
    CHECK(m.next(lucky == second ? fourth : second).result == -ECONNREFUSED);
}

TEST_CASE("simulator sockets: a multishot accept continues until it is cancelled", "[simulator]") {
    machine m(plain());
    const int listener = m.listen(7000);
    const sockaddr_in name = loopback(7000);
    entry accept = make(opcode::accept, listener);
    accept.ioprio = accept_multishot;
    const std::uint64_t accepting = m.add(accept);
    for (int at = 0; at < 5; ++at) {
        m.add(m.connect_of(m.socket(), name));
        const completion one = m.next(accepting);
        CHECK(one.result >= simulator::first_descriptor);
        CHECK(one.flags == completion_more);
    }
    CHECK(m.call(cancel_of(accepting)) == 0);
    const completion last = m.next(accepting);
    CHECK(last.result == -ECANCELED);
    CHECK(last.flags == 0);
    m.drain();
    CHECK(m.sim->in_flight() == 0);
}

TEST_CASE("simulator sockets: accept without a free descriptor loses no connection",
          "[simulator]") {
    simulator_options options = plain();
    options.descriptors_max = 2;
    machine m(options);
    const int listener = m.listen(7000);
    const sockaddr_in name = loopback(7000);
    const int client = m.socket();
    CHECK(m.call(m.connect_of(client, name)) == 0);
    entry accept = make(opcode::accept, listener);
    accept.ioprio = accept_multishot;
    const completion failed = m.next(m.add(accept));
    CHECK(failed.result == -EMFILE);
    CHECK(failed.flags == 0);
    CHECK(m.sim->close(client) == 0);
    CHECK(m.call(make(opcode::accept, listener)) == client);
}

TEST_CASE("simulator sockets: shutting a listener down ends its accepts and resets its queue",
          "[simulator]") {
    machine m(plain());
    const int listener = m.listen(7000);
    const sockaddr_in name = loopback(7000);
    const int client = m.socket();
    CHECK(m.call(m.connect_of(client, name)) == 0);
    std::string buffer(1, '?');
    const std::uint64_t receiving = m.add(receive_into(client, buffer));
    CHECK(shutdown(m, listener, SHUT_RDWR) == 0);
    CHECK(m.next(receiving).result == -ECONNRESET);
    CHECK(m.call(make(opcode::accept, listener)) == -EINVAL);
}

TEST_CASE("simulator sockets: Unix and IPv6 names", "[simulator]") {
    machine m(plain());
    sockaddr_un path{};
    path.sun_family = AF_UNIX;
    std::strcpy(path.sun_path, "/tmp/x");
    sockaddr_in6 six{};
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(9);
    const std::array<std::pair<const void*, socklen_t>, 2> names{
        {{&path, sizeof(path)}, {&six, sizeof(six)}}};
    for (const auto& name : names) {
        const auto* address = static_cast<const sockaddr*>(name.first);
        const int listener = m.sim->socket(address->sa_family, SOCK_STREAM, 0);
        CHECK(m.sim->bind(listener, address, name.second) == 0);
        CHECK(m.sim->listen(listener, 1) == 0);
        const int client = m.sim->socket(address->sa_family, SOCK_STREAM, 0);
        CHECK(m.call(make(opcode::connect, client, address, 0, name.second)) == 0);
        const int server = m.call(make(opcode::accept, listener));
        m.send_all(server, "hi");
        CHECK(m.receive(client, 2) == "hi");
        m.drain();
        CHECK(m.sim->close(client) == 0);
        // A Unix socket sees at once that the peer is closed, TCP when its bytes are answered.
        CHECK(m.call(send_of(server, "x")) == (address->sa_family == AF_UNIX ? -EPIPE : 1));
        sockaddr_storage local{};
        socklen_t size = sizeof(local);
        CHECK(m.sim->local_name(server, reinterpret_cast<sockaddr*>(&local), &size) == 0);
        if (address->sa_family == AF_INET6) {
            const auto& bound = reinterpret_cast<const sockaddr_in6&>(local);
            CHECK(IN6_IS_ADDR_LOOPBACK(&bound.sin6_addr));  // connecting to any host is to this one
        } else {
            CHECK(size == offsetof(sockaddr_un, sun_path) + sizeof("/tmp/x"));
        }
    }
}
