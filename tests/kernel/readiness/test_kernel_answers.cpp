// SPDX-License-Identifier: MIT
// Entries and calls whose results are easily guessed wrong, on the ring, on readiness and on the
// simulator: Linux decides what is right.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
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

/// Runs `test` on each kernel.
template <class Test>
void on_each_kernel(Test test) {
    if (rondo::probe().available()) test(make_ring());
    test(make_readiness(256));
    test(make_simulator());
}

/// A number, or the name of an errno.
std::string told(int result) {
    if (result >= 0) return std::to_string(result);
    const char* const name = ::strerrorname_np(-result);
    return name != nullptr ? name : std::to_string(result);
}

/// A driver that tells results, and sockets that are closed at the end.
class answers : public driver {
public:
    explicit answers(std::shared_ptr<kernel> on) : driver(std::move(on)) {}
    ~answers() {
        for (const int fd : open_) os->close(fd);
    }
    answers(const answers&) = delete;

    int keep(int fd) {
        REQUIRE(fd >= 0);
        open_.push_back(fd);
        return fd;
    }
    void close(int fd) {
        std::erase(open_, fd);
        REQUIRE(os->close(fd) == 0);
    }
    int socket(int family, int type) { return keep(os->socket(family, type, 0)); }

    /// The result of the entry, or "waits" after which it is cancelled.
    std::string tell(const entry& what) {
        const auto user_data = add(what);
        const time_point until = os->now() + 20ms;
        do {
            if (const auto found = taken(user_data)) return told(found->result);
            turn(until);
        } while (os->now() < until);
        cancel(user_data);
        next(user_data);
        return "waits";
    }
    /// The events that a poll finds at once.
    std::string poll(int fd) {
        const int events = call(make(opcode::poll_add, fd, nullptr, 0, 0, 0xffff & ~POLLNVAL));
        std::string text;
        const auto add_name = [&](int event, const char* name) {
            if ((events & event) != 0) text += name;
        };
        add_name(POLLIN, "in ");
        add_name(POLLOUT, "out ");
        add_name(POLLERR, "err ");
        add_name(POLLHUP, "hup ");
        add_name(POLLRDHUP, "rdhup ");
        return text;
    }
    void settle() {
        const time_point until = os->now() + 5ms;
        while (os->now() < until) turn(until);
    }

    /// Both ends of a stream of the family.
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
    sockaddr_in bind(int fd) {
        sockaddr_in name{};
        name.sin_family = AF_INET;
        name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(os->bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
        socklen_t size = sizeof name;
        REQUIRE(os->local_name(fd, reinterpret_cast<sockaddr*>(&name), &size) == 0);
        return name;
    }
    std::string shut(int fd, int how) {
        return tell(make(opcode::shutdown, fd, nullptr, std::size_t(how)));
    }

private:
    std::vector<int> open_;
};

#define PROBE(x) do { const std::string t = x; std::printf("%-11s %s: %s\n", a.os->name(), #x, t.c_str()); } while(0)
}  // namespace

TEST_CASE("kernel answers: probing", "[kernel_answers]") {
    on_each_kernel([](std::shared_ptr<kernel> on) {
        answers a(std::move(on));
        std::string none, ten(10, ' ');
        for (int family : {AF_INET, AF_UNIX}) {
            std::printf("--- family %d\n", family);
            {
            auto [one, other] = a.pair(family);
            PROBE(a.tell(recv_of(one, none)));
            PROBE(a.tell(read_of(one, none)));
            PROBE(a.tell(send_of(one, "")));
            PROBE(a.tell(write_of(one, "")));
            PROBE(a.tell(send_of(other, "abc")));
            a.settle();
            PROBE(a.tell(recv_of(one, none)));
            PROBE(a.tell(read_of(one, none)));
            PROBE(a.tell(recv_of(one, none, MSG_PEEK)));
            PROBE(a.tell(recv_of(one, ten)));
            PROBE(a.shut(other, SHUT_WR));
            a.settle();
            PROBE(a.tell(recv_of(one, none)));
            PROBE(a.tell(read_of(one, none)));
            PROBE(a.tell(send_of(other, "")));
            PROBE(a.tell(write_of(other, "")));
            a.close(other);
            a.settle();
            PROBE(a.tell(send_of(one, "")));
            PROBE(a.tell(write_of(one, "")));
            PROBE(a.tell(recv_of(one, none)));
            }
            {  // SHUT_RD
            auto [one, other] = a.pair(family);
            PROBE(a.poll(one));
            PROBE(a.tell(send_of(other, "abc")));
            a.settle();
            PROBE(a.shut(one, SHUT_RD));
            PROBE(a.shut(one, SHUT_RD));
            PROBE(a.poll(one));
            PROBE(a.poll(other));
            PROBE(a.tell(recv_of(one, ten)));
            PROBE(a.tell(recv_of(one, ten)));
            PROBE(a.tell(send_of(other, "def")));
            a.settle();
            PROBE(a.poll(one));
            PROBE(a.tell(recv_of(one, ten)));
            PROBE(a.tell(recv_of(one, ten)));
            PROBE(a.tell(send_of(one, "back")));
            a.settle();
            PROBE(a.tell(recv_of(other, ten)));
            PROBE(a.shut(one, SHUT_WR));
            a.settle();
            PROBE(a.poll(one));
            PROBE(a.poll(other));
            PROBE(a.shut(one, SHUT_RDWR));
            PROBE(a.shut(one, 7));
            }
            {  // closed
            auto [one, other] = a.pair(family);
            a.close(other);
            a.settle();
            PROBE(a.poll(one));
            PROBE(a.shut(one, SHUT_RDWR));
            PROBE(a.poll(one));
            }
            {  // both shut, closed with unread
            auto [one, other] = a.pair(family);
            PROBE(a.tell(send_of(one, "abc")));
            a.settle();
            PROBE(a.shut(one, SHUT_WR));
            a.settle();
            PROBE(a.shut(other, SHUT_WR));
            a.settle();
            PROBE(a.poll(one));
            PROBE(a.poll(other));
            a.close(other);
            a.settle();
            PROBE(a.poll(one));
            PROBE(a.tell(recv_of(one, ten)));
            PROBE(a.tell(send_of(one, "x")));
            }
            {  // shut, closed with unread, a write waits
            auto [one, other] = a.pair(family);
            const std::string much(5'000'000, 'x');
            const auto waiting = a.add(send_of(one, much, MSG_WAITALL));
            a.settle();
            const auto second = a.add(send_of(one, much));
            a.settle();
            PROBE(a.shut(other, SHUT_WR));
            a.close(other);
            PROBE(told(a.next(waiting).result));
            PROBE(told(a.next(second).result));
            PROBE(a.tell(send_of(one, "x")));
            PROBE(a.tell(recv_of(one, ten)));
            PROBE(a.poll(one));
            }
            if (family == AF_INET) {  // connect again
            auto [one, other] = a.pair(family);
            sockaddr_in name{};
            socklen_t size = sizeof name;
            PROBE(told(a.os->remote_name(one, reinterpret_cast<sockaddr*>(&name), &size)));
            PROBE(a.tell(make(opcode::connect, one, &name, 0, sizeof name)));
            name.sin_family = AF_UNSPEC;
            PROBE(a.tell(make(opcode::connect, one, &name, 0, sizeof name)));
            }
        }
        {
            std::printf("--- udp\n");
            const int one = a.socket(AF_INET, SOCK_DGRAM), other = a.socket(AF_INET, SOCK_DGRAM);
            const sockaddr_in name = a.bind(one);
            PROBE(a.shut(one, SHUT_RD));
            PROBE(a.shut(one, SHUT_WR));
            PROBE(a.poll(one));
            PROBE(a.tell(recv_of(one, ten, MSG_DONTWAIT)));
            PROBE(a.tell(make(opcode::connect, other, &name, 0, sizeof name)));
            PROBE(a.tell(send_of(other, "abc")));
            PROBE(a.tell(send_of(other, "")));
            a.settle();
            PROBE(a.tell(recv_of(one, none)));
            PROBE(a.tell(recv_of(one, ten)));
            PROBE(a.tell(send_of(other, "abc")));
            a.settle();
            PROBE(a.tell(read_of(one, none)));
            PROBE(a.tell(recv_of(one, ten)));
            PROBE(a.tell(send_of(other, "abc")));
            PROBE(a.shut(other, SHUT_RD));
            PROBE(a.tell(recv_of(other, ten)));
            PROBE(a.poll(other));
            PROBE(a.tell(send_of(other, "abc")));
            PROBE(a.shut(other, SHUT_WR));
            PROBE(a.tell(send_of(other, "abc")));
            PROBE(a.tell(write_of(other, "")));
            PROBE(a.poll(other));
            PROBE(a.shut(other, SHUT_RDWR));
            PROBE(a.shut(other, 7));
        }
        {
            std::printf("--- pipe\n");
            int ends[2];
            REQUIRE(a.os->pipe(ends) == 0);
            a.keep(ends[0]), a.keep(ends[1]);
            PROBE(a.tell(read_of(ends[0], none)));
            PROBE(a.tell(write_of(ends[1], "")));
            a.close(ends[0]);
            PROBE(a.tell(write_of(ends[1], "")));
        }
        {
            std::printf("--- connect unix\n");
            sockaddr_un name{};
            name.sun_family = AF_UNIX;
            std::snprintf(name.sun_path + 1, 40, "rondo-answers-%d", int(::getpid()));
            const auto size = socklen_t(offsetof(sockaddr_un, sun_path) + 1 + std::strlen(name.sun_path + 1));
            const int listener = a.socket(AF_UNIX, SOCK_STREAM);
            REQUIRE(a.os->bind(listener, reinterpret_cast<const sockaddr*>(&name), size) == 0);
            const int one = a.socket(AF_UNIX, SOCK_STREAM), two = a.socket(AF_UNIX, SOCK_STREAM);
            PROBE(a.tell(make(opcode::connect, one, &name, 0, size)));
            REQUIRE(a.os->listen(listener, 0) == 0);
            PROBE(a.tell(make(opcode::connect, one, &name, 0, size)));
            PROBE(a.tell(make(opcode::connect, one, &name, 0, size)));
            sockaddr_un wrong = name;
            wrong.sun_path[1] = '_';
            PROBE(a.tell(make(opcode::connect, one, &wrong, 0, size)));
            PROBE(a.tell(make(opcode::connect, listener, &name, 0, size)));
            const auto waiting = a.add(make(opcode::connect, two, &name, 0, size));
            a.settle();
            PROBE(std::to_string(a.waits(waiting)));
            PROBE(told(a.cancel(waiting)));
            PROBE(told(a.next(waiting).result));
            PROBE(a.tell(make(opcode::connect, two, &name, 0, size)));
            PROBE(a.poll(two));
            const int got = a.keep(a.call(make(opcode::accept, listener)));
            PROBE(a.tell(make(opcode::connect, got, &name, 0, size)));
            PROBE(a.tell(make(opcode::connect, two, &name, 0, size)));
        }
    });
}
