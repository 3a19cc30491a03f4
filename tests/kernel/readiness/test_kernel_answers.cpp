// SPDX-License-Identifier: MIT
// Results that are easily guessed wrong, of the same entries on the ring, on readiness and on the
// simulator. Linux decides what is right.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <rondo/probe.hpp>

#include "support/catch.hpp"
#include "support/kernel_driver.hpp"
#include "kernel/readiness/readiness.hpp"
#include "kernel/ring/ring.hpp"
#include "kernel/simulator/simulator.hpp"

using namespace kernel_driver;

namespace {

std::shared_ptr<kernel> make_simulator() {
    simulator_options plain;
    plain.short_percent = 0;
    plain.late_percent = 0;
    return std::make_shared<simulator>(plain);
}

/// A number, or the name of an errno.
std::string told(int result) {
    if (result >= 0) return std::to_string(result);
    const char* const name = ::strerrorname_np(-result);
    return name != nullptr ? name : std::to_string(result);
}

/// A driver whose results are texts. Its descriptors are closed at the end.
class answers : public driver {
public:
    explicit answers(std::shared_ptr<kernel> on) : driver(std::move(on)) {}
    answers(const answers&) = delete;
    ~answers() {
        for (const int fd : open_) os->close(fd);
    }

    int keep(int fd) {
        REQUIRE(fd >= 0);
        open_.push_back(fd);
        return fd;
    }
    void close(int fd) {
        std::erase(open_, fd);
        REQUIRE(os->close(fd) == 0);
        settle();
    }
    int socket(int family, int type) { return keep(os->socket(family, type, 0)); }

    /// The simulator answers in time; a busy machine may take ten seconds.
    bool simulated() const { return std::string_view(os->name()) == "simulator"; }
    /// The result of the entry; "waits" if it has none in time.
    std::string tell(const entry& what) { return result_within(simulated() ? 20ms : 10s, what); }
    /// Whether the entry has no result soon. It is cancelled.
    bool has_none(const entry& what) { return result_within(20ms, what) == "waits"; }
    /// Finds `wanted`: at the first look on the simulator, else within ten seconds.
    template <class Look>
    void expect(std::string_view wanted, Look look) {
        const time_point until = os->now() + 10s;
        std::string found = look();
        for (; found != wanted && !simulated() && os->now() < until; found = look()) settle();
        CHECK(found == wanted);
    }
    std::string send(int fd, std::string_view bytes) { return tell(send_of(fd, bytes)); }
    std::string write(int fd, std::string_view bytes) { return tell(write_of(fd, bytes)); }
    std::string receive(int fd, std::size_t most, int flags = 0) {
        std::string into(most, '\0');
        return tell(recv_of(fd, into, flags));
    }
    std::string read(int fd, std::size_t most) {
        std::string into(most, '\0');
        return tell(read_of(fd, into));
    }
    std::string shut(int fd, int how) {
        return tell(make(opcode::shutdown, fd, nullptr, static_cast<std::size_t>(how)));
    }
    void expect_peek(int fd, std::string_view wanted) {
        expect(wanted, [&] { return receive(fd, 10, MSG_PEEK); });
    }
    void expect_poll(int fd, std::string_view wanted) {
        expect(wanted, [&] { return poll(fd); });
    }
    std::string poll(int fd) {
        constexpr std::uint32_t all = POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP;
        const int events = call(make(opcode::poll_add, fd, nullptr, 0, 0, all));
        std::string text;
        const auto note = [&](int event, const char* name) {
            if ((events & event) != 0) text += (text.empty() ? "" : " ") + std::string(name);
        };
        note(POLLIN, "in");
        note(POLLOUT, "out");
        note(POLLERR, "err");
        note(POLLHUP, "hup");
        note(POLLRDHUP, "rdhup");
        return text;
    }
    /// Until segments have arrived.
    void settle() {
        const time_point until = os->now() + 3ms;
        while (os->now() < until) turn(until);
    }

    sockaddr_in bind(int fd) {
        sockaddr_in name{};
        name.sin_family = AF_INET;
        name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(os->bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
        socklen_t size = sizeof name;
        REQUIRE(os->local_name(fd, reinterpret_cast<sockaddr*>(&name), &size) == 0);
        return name;
    }
    /// Both ends of a stream.
    std::pair<int, int> pair(int family) {
        if (family == AF_UNIX) {
            int ends[2];
            REQUIRE(os->socket_pair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
            return {keep(ends[0]), keep(ends[1])};
        }
        const int listener = socket(AF_INET, SOCK_STREAM), client = socket(AF_INET, SOCK_STREAM);
        const sockaddr_in name = bind(listener);
        REQUIRE(os->listen(listener, 4) == 0);
        const auto accepting = add(make(opcode::accept, listener));
        REQUIRE(call(make(opcode::connect, client, &name, 0, sizeof name)) == 0);
        return {client, keep(next(accepting).result)};
    }

private:
    std::string result_within(duration most, const entry& what) {
        const auto user_data = add(what);
        const time_point until = os->now() + most;
        do {
            if (const auto found = taken(user_data)) {
                settle();
                return told(found->result);
            }
            turn(until);
        } while (os->now() < until);
        cancel(user_data);
        const int result = next(user_data).result;  // it may have come at this moment
        return result == -ECANCELED || result == -EINTR ? "waits" : told(result);
    }

    std::vector<int> open_;
};

/// Runs `test` on each kernel.
template <class Test>
void on_each_kernel(Test test) {
    std::vector<std::shared_ptr<kernel>> all{make_readiness(256), make_simulator()};
    if (rondo::probe().available()) all.push_back(make_ring());
    for (auto& one : all) {
        INFO("on " << one->name());
        answers a(std::move(one));
        test(a);
    }
}

}  // namespace

TEST_CASE("kernel answers: transfers of no bytes", "[kernel_answers]") {
    on_each_kernel([](answers& a) {
        for (const int family : {AF_INET, AF_UNIX}) {
            INFO("family " << family);
            const auto [one, other] = a.pair(family);
            std::string nothing;
            CHECK(a.has_none(recv_of(one, nothing)));  // like a receive of more
            CHECK(a.read(one, 0) == "0");              // looks at nothing
            CHECK(a.send(one, "") == "0");
            CHECK(a.write(one, "") == "0");
            CHECK(a.send(other, "abc") == "3");
            CHECK(a.receive(one, 0) == "0");
            CHECK(a.receive(one, 0, MSG_PEEK) == "0");
            CHECK(a.receive(one, 10) == "3");
            CHECK(a.shut(other, SHUT_WR) == "0");
            CHECK(a.receive(one, 0) == "0");
            CHECK(a.send(other, "") == "EPIPE");
            CHECK(a.write(other, "") == "EPIPE");
            a.close(other);
            CHECK(a.send(one, "") == (family == AF_UNIX ? "EPIPE" : "0"));
            CHECK(a.read(one, 0) == "0");
        }
        int ends[2];
        REQUIRE(a.os->pipe(ends) == 0);
        a.keep(ends[1]);
        CHECK(a.read(ends[0], 0) == "0");
        CHECK(a.write(ends[1], "") == "0");
        a.keep(ends[0]);
        a.close(ends[0]);
        CHECK(a.write(ends[1], "") == "0");
        CHECK(a.tell(make(opcode::write, ends[1], "x", 1, at_position)) == "EPIPE");
    });
}

TEST_CASE("kernel answers: a stream that is shut down for reading", "[kernel_answers]") {
    on_each_kernel([](answers& a) {
        for (const int family : {AF_INET, AF_UNIX}) {
            INFO("family " << family);
            const bool local = family == AF_UNIX;
            const auto [one, other] = a.pair(family);
            a.expect_poll(one, "out");
            CHECK(a.send(other, "abc") == "3");
            a.expect_peek(one, "3");
            CHECK(a.shut(one, SHUT_RD) == "0");
            CHECK(a.shut(one, SHUT_RD) == "0");
            a.expect_poll(one, "in out rdhup");
            a.expect_poll(other, "out");
            CHECK(a.receive(one, 10) == "3");  // they had arrived
            CHECK(a.receive(one, 10) == "0");
            CHECK(a.send(other, "def") == (local ? "EPIPE" : "3"));
            a.expect_peek(one, local ? "0" : "3");
            CHECK(a.receive(one, 10) == (local ? "0" : "3"));
            CHECK(a.receive(one, 10) == "0");
            CHECK(a.send(one, "back") == "4");
            CHECK(a.receive(other, 10) == "4");
            CHECK(a.shut(one, SHUT_WR) == "0");
            a.expect_poll(one, "in out hup rdhup");
            a.expect_poll(other, local ? "in out hup rdhup" : "in out rdhup");
            CHECK(a.shut(one, SHUT_RDWR) == "0");
            CHECK(a.shut(one, 7) == "EINVAL");
        }
    });
}

TEST_CASE("kernel answers: a stream whose peer has closed", "[kernel_answers]") {
    on_each_kernel([](answers& a) {
        for (const int family : {AF_INET, AF_UNIX}) {
            INFO("family " << family);
            const bool local = family == AF_UNIX;
            {
                const auto [one, other] = a.pair(family);
                a.close(other);
                a.expect_poll(one, local ? "in out hup rdhup" : "in out rdhup");
                CHECK(a.shut(one, SHUT_RDWR) == "0");
                a.expect_poll(one, "in out hup rdhup");
            }
            // Both have ended, and then one closes with unread bytes.
            const auto [one, other] = a.pair(family);
            CHECK(a.send(one, "abc") == "3");
            CHECK(a.shut(one, SHUT_WR) == "0");
            CHECK(a.shut(other, SHUT_WR) == "0");
            a.expect_poll(one, "in out hup rdhup");
            a.expect_poll(other, "in out hup rdhup");
            a.close(other);
            a.expect_poll(one, local ? "in out err hup rdhup" : "in out hup rdhup");
            CHECK(a.receive(one, 10) == (local ? "ECONNRESET" : "0"));
            CHECK(a.send(one, "x") == "EPIPE");
        }
    });
}

TEST_CASE("kernel answers: a peer that closes while a write waits for it", "[kernel_answers]") {
    on_each_kernel([](answers& a) {
        const std::string much(5'000'000, 'x');
        for (const int family : {AF_INET, AF_UNIX}) {
            INFO("family " << family);
            const auto [one, other] = a.pair(family);
            const auto first = a.add(send_of(one, much, MSG_WAITALL));
            a.settle();
            CHECK(a.shut(other, SHUT_WR) == "0");
            a.close(other);
            const int moved = a.next(first).result;
            CHECK(moved > 0);
            CHECK(moved < int(much.size()));
            CHECK(a.send(one, "x") == "EPIPE");
            // On the ring the end of the write takes the error of a Unix socket.
            const std::string end = a.receive(one, 10);
            const bool is_taken = end == "0" && std::string(a.os->name()) == "ring";
            CHECK((is_taken || end == (family == AF_UNIX ? "ECONNRESET" : "0")));
            a.expect_poll(one, "in out hup rdhup");
        }
    });
}

TEST_CASE("kernel answers: UDP sockets that are shut down", "[kernel_answers]") {
    on_each_kernel([](answers& a) {
        const int one = a.socket(AF_INET, SOCK_DGRAM), other = a.socket(AF_INET, SOCK_DGRAM);
        const sockaddr_in name = a.bind(one);
        CHECK(a.shut(one, SHUT_RD) == "ENOTCONN");  // and yet it is
        CHECK(a.shut(one, SHUT_WR) == "ENOTCONN");
        a.expect_poll(one, "in out hup rdhup");
        CHECK(a.receive(one, 10, MSG_DONTWAIT) == "EAGAIN");
        CHECK(a.receive(one, 10) == "0");
        CHECK(a.tell(make(opcode::connect, other, &name, 0, sizeof name)) == "0");
        CHECK(a.send(other, "abc") == "3");
        a.expect_peek(one, "3");
        CHECK(a.send(other, "") == "0");
        CHECK(a.read(one, 0) == "0");     // takes no datagram
        CHECK(a.receive(one, 0) == "0");  // takes one
        CHECK(a.receive(one, 10) == "0");
        a.expect("EAGAIN", [&] { return a.receive(one, 10, MSG_DONTWAIT); });
        CHECK(a.shut(other, SHUT_RD) == "0");
        CHECK(a.receive(other, 10) == "0");
        a.expect_poll(other, "in out rdhup");
        CHECK(a.send(other, "abc") == "3");
        CHECK(a.shut(other, SHUT_WR) == "0");
        CHECK(a.send(other, "abc") == "EPIPE");
        CHECK(a.write(other, "") == "EPIPE");
        a.expect_poll(other, "in out hup rdhup");
        CHECK(a.shut(other, 7) == "EINVAL");
    });
}

TEST_CASE("kernel answers: a receive that waits when its UDP socket is shut down",
          "[kernel_answers]") {
    on_each_kernel([](answers& a) {
        const int one = a.socket(AF_INET, SOCK_DGRAM);
        const sockaddr_in name = a.bind(one);
        CHECK(a.tell(make(opcode::connect, one, &name, 0, sizeof name)) == "0");
        std::string into(10, '\0');
        const auto waiting = a.add(recv_of(one, into));
        a.settle();
        CHECK(a.waits(waiting));
        CHECK(a.shut(one, SHUT_RD) == "0");
        CHECK(told(a.next(waiting).result) == "0");
    });
}

TEST_CASE("kernel answers: connecting Unix sockets", "[kernel_answers]") {
    on_each_kernel([](answers& a) {
        sockaddr_un name{};
        name.sun_family = AF_UNIX;
        const int length = ::snprintf(name.sun_path + 1, 40, "rondo-answers-%d", int(::getpid()));
        const auto size =
            static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + std::size_t(length));
        const int listener = a.socket(AF_UNIX, SOCK_STREAM), one = a.socket(AF_UNIX, SOCK_STREAM),
                  two = a.socket(AF_UNIX, SOCK_STREAM);
        const auto connect = [&](int fd) { return make(opcode::connect, fd, &name, 0, size); };
        REQUIRE(a.os->bind(listener, reinterpret_cast<const sockaddr*>(&name), size) == 0);
        CHECK(a.tell(connect(one)) == "ECONNREFUSED");
        REQUIRE(a.os->listen(listener, 0) == 0);
        CHECK(a.tell(connect(one)) == "0");

        // The backlog is full. That comes before the state of the socket that connects.
        CHECK(a.has_none(connect(one)));
        const auto waiting = a.add(connect(two));
        a.settle();
        CHECK(a.waits(waiting));
        // A thread of the ring waits in connect(2), if it has begun, and a signal ends that.
        const std::string cancelled = told(a.cancel(waiting));
        const std::string ended = told(a.next(waiting).result);
        const bool by_signal = cancelled == "EALREADY" && ended == "EINTR";
        const bool at_once = cancelled == "0" && ended == "ECANCELED";
        const std::string name_of_kernel = a.os->name();
        CHECK((by_signal || at_once));
        if (name_of_kernel == "simulator") CHECK(by_signal);
        if (name_of_kernel == "readiness") CHECK(at_once);
        a.expect_poll(two, "out hup");

        const int accepted = a.keep(a.call(make(opcode::accept, listener)));
        CHECK(a.tell(connect(one)) == "EISCONN");
        CHECK(a.tell(connect(accepted)) == "EISCONN");
        CHECK(a.tell(connect(listener)) == "EINVAL");
        CHECK(a.tell(connect(two)) == "0");
    });
}

TEST_CASE("kernel answers: segments of one datagram", "[kernel_answers]") {
    on_each_kernel([](answers& a) {
        const int to = a.socket(AF_INET, SOCK_DGRAM), from = a.socket(AF_INET, SOCK_DGRAM);
        sockaddr_in name = a.bind(to);
        const auto send = [&](std::size_t count) {
            std::string bytes(count * 100, 'x');
            iovec part{bytes.data(), bytes.size()};
            alignas(cmsghdr) char control[CMSG_SPACE(sizeof(std::uint16_t))] = {};
            msghdr message{};
            message.msg_name = &name;
            message.msg_namelen = sizeof name;
            message.msg_iov = &part;
            message.msg_iovlen = 1;
            message.msg_control = control;
            message.msg_controllen = sizeof control;
            cmsghdr* const header = CMSG_FIRSTHDR(&message);
            header->cmsg_level = SOL_UDP;
            header->cmsg_type = UDP_SEGMENT;
            header->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
            const std::uint16_t segment = 100;
            std::memcpy(CMSG_DATA(header), &segment, sizeof segment);
            return a.tell(make(opcode::sendmsg, from, &message, 1));
        };
        CHECK(send(64) == "6400");
        const std::string more = send(65);  // Linux 6.10
        const bool is_older = std::string(a.os->name()) != "simulator" && more == "EINVAL";
        CHECK((is_older || more == "6500"));
        CHECK(send(129) == "EINVAL");
    });
}
