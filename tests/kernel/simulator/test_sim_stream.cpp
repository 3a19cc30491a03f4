// SPDX-License-Identifier: MIT
// Bytes on simulated streams: short and whole transfers, full buffers, polls, and every kind of end
// of a stream.
#include <poll.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>

#include "support/sim_driver.hpp"

using namespace sim_driver;

namespace {

int shutdown(machine& m, int fd, int how) {
    return m.call(make(opcode::shutdown, fd, nullptr, static_cast<std::size_t>(how)));
}

entry poll_of(int fd, int events, bool multishot = false) {
    return make(opcode::poll_add, fd, nullptr, multishot ? poll_multishot : 0, 0,
                static_cast<std::uint32_t>(events));
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

// -- bytes --

TEST_CASE("simulator streams: bytes take time and arrive in order", "[simulator]") {
    pair p;
    const time_point start = p.m.sim->now();
    p.m.send_all(p.client, "hello ");
    p.m.send_all(p.client, "world");
    std::string text;
    while (text.size() < 11) text += p.m.receive(p.server, 1);
    CHECK(text == "hello world");
    CHECK(p.m.sim->now() - start >= 20us);
}

TEST_CASE("simulator streams: short transfers reassemble, over a thousand seeds", "[simulator]") {
    const std::string text = letters(900);
    int shorts = 0;
    for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
        simulator_options options = seeded(seed);
        options.buffer_min = 1;
        options.buffer_max = 600;
        pair p(options);
        std::string got;
        std::string buffer(256, '?');
        std::size_t sent = 0;
        std::uint64_t sending = 0;
        std::uint64_t receiving = 0;
        while (got.size() < text.size()) {
            if (sending == 0 && sent < text.size())
                sending = p.m.add(send_of(p.client, std::string_view(text).substr(sent)));
            if (receiving == 0) receiving = p.m.add(receive_into(p.server, buffer));
            REQUIRE_FALSE(p.m.turn(time_point::max()).stuck);
            for (const completion& one : std::exchange(p.m.seen, {})) {
                REQUIRE(one.result > 0);
                const auto moved = static_cast<std::size_t>(one.result);
                if (one.user_data == sending) {
                    sending = 0;
                    sent += moved;
                    shorts += sent < text.size();
                } else {
                    REQUIRE(one.user_data == receiving);
                    receiving = 0;
                    got.append(buffer, 0, moved);
                }
            }
            REQUIRE(text.compare(0, got.size(), got) == 0);
        }
        REQUIRE(sent == text.size());
    }
    CHECK(shorts > 1000);
}

TEST_CASE("simulator streams: a full buffer blocks the sender until it is read", "[simulator]") {
    simulator_options options = plain();
    options.buffer_min = options.buffer_max = 10;
    pair p(options);
    const std::string text = letters(25);
    CHECK(p.m.call(send_of(p.client, text)) == 10);
    const std::uint64_t sending = p.m.add(send_of(p.client, text));
    p.m.drain();
    CHECK(p.m.seen.empty());
    CHECK(p.m.call(send_of(p.client, text, MSG_DONTWAIT)) == -EAGAIN);
    CHECK(p.m.receive(p.server, 4) == text.substr(0, 4));
    CHECK(p.m.next(sending).result == 4);
}

TEST_CASE("simulator streams: MSG_WAITALL moves everything, or the bytes before the end",
          "[simulator]") {
    simulator_options options = seeded(GENERATE(1U, 2U, 3U, 4U));
    options.buffer_min = options.buffer_max = 7;
    pair p(options);
    const std::string text = letters(100);
    std::string buffer(100, '?');
    const std::uint64_t receiving = p.m.add(receive_into(p.server, buffer, MSG_WAITALL));
    CHECK(p.m.call(send_of(p.client, text, MSG_WAITALL)) == 100);
    CHECK(p.m.next(receiving).result == 100);
    CHECK(buffer == text);

    const std::uint64_t partial = p.m.add(receive_into(p.server, buffer, MSG_WAITALL));
    p.m.send_all(p.client, "abc");
    p.m.drain();
    CHECK(p.m.call(cancel_of(partial)) == 0);
    CHECK(p.m.next(partial).result == 3);  // the bytes win over the cancel
    const std::uint64_t ended = p.m.add(receive_into(p.server, buffer, MSG_WAITALL));
    p.m.send_all(p.client, "de");
    CHECK(p.m.call(make(opcode::close, p.client)) == 0);
    CHECK(p.m.next(ended).result == 2);
    CHECK(p.m.call(receive_into(p.server, buffer)) == 0);
}

TEST_CASE("simulator streams: peeking and not waiting", "[simulator]") {
    pair p;
    std::string buffer(5, '?');
    CHECK(p.m.call(receive_into(p.server, buffer, MSG_DONTWAIT)) == -EAGAIN);
    p.m.send_all(p.client, "hello");
    CHECK(p.m.call(receive_into(p.server, buffer, MSG_PEEK)) == 5);
    CHECK(buffer == "hello");
    CHECK(p.m.receive(p.server, 5) == "hello");
    CHECK(p.m.call(receive_into(p.server, buffer, MSG_DONTWAIT)) == -EAGAIN);
}

TEST_CASE("simulator streams: buffer lists, messages, read and write", "[simulator]") {
    pair p;
    std::string a = "one ", b = "two";
    std::array<iovec, 2> list{{{a.data(), 4}, {b.data(), 3}}};
    msghdr message{};
    message.msg_iov = list.data();
    message.msg_iovlen = 2;
    CHECK(p.m.call(make(opcode::sendmsg, p.client, &message, 1, 0, MSG_NOSIGNAL)) == 7);
    CHECK(p.m.call(make(opcode::writev, p.client, list.data(), 2)) == 7);
    CHECK(p.m.call(make(opcode::write, p.client, a.data(), 4)) == 4);
    p.m.drain();
    std::string x(9, '?'), y(3, '?');
    std::array<iovec, 2> into{{{y.data(), 3}, {x.data(), 4}}};
    message.msg_iov = into.data();
    message.msg_flags = -1;
    CHECK(p.m.call(make(opcode::recvmsg, p.server, &message, 1)) == 7);
    CHECK(y + x == "one two?????");
    CHECK(message.msg_flags == 0);
    CHECK(p.m.call(make(opcode::readv, p.server, into.data(), 2)) == 7);
    CHECK(p.m.call(make(opcode::read, p.server, x.data(), 9)) == 4);
    CHECK(x.substr(0, 4) == "one ");
}

TEST_CASE("simulator streams: an unconnected socket transfers nothing", "[simulator]") {
    machine m;
    const int fd = m.socket();
    std::string buffer(1, '?');
    CHECK(m.call(receive_into(fd, buffer)) == -ENOTCONN);
    CHECK(m.call(send_of(fd, "x")) == -EPIPE);
    CHECK(shutdown(m, fd, SHUT_WR) == -ENOTCONN);
    CHECK(m.call(make(opcode::fsync, fd)) == -EINVAL);
    CHECK(m.call(receive_into(m.listen(), buffer)) == -ENOTCONN);
    const int local = m.sim->socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(m.call(receive_into(local, buffer)) == -EINVAL);
    CHECK(m.call(send_of(local, "x")) == -ENOTCONN);
    CHECK(shutdown(m, local, SHUT_WR) == 0);
}

TEST_CASE("simulator streams: a cancel that races MSG_WAITALL loses no byte", "[simulator]") {
    int partial = 0;
    int whole = 0;
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        pair p(seeded(seed));
        std::string buffer(10, '?');
        const std::uint64_t receiving = p.m.add(receive_into(p.server, buffer, MSG_WAITALL));
        const int sent = p.m.call(send_of(p.client, "abcd"));
        p.m.turn(p.m.sim->now() + 1ms);
        const std::uint64_t cancelling = p.m.add(cancel_of(receiving));
        p.m.drain();
        p.m.next(cancelling);
        const int got = p.m.next(receiving).result;
        REQUIRE((got == -ECANCELED || got == sent));
        if (got == -ECANCELED)
            REQUIRE(p.m.receive(p.server, std::size_t(sent)) ==
                    std::string("abcd", std::size_t(sent)));
        std::string rest(1, '?');
        REQUIRE(p.m.call(receive_into(p.server, rest, MSG_DONTWAIT)) == -EAGAIN);
        partial += got == sent;
        whole += got == -ECANCELED;
    }
    CHECK(partial > 30);
    CHECK(whole > 30);
}

// -- ends --

TEST_CASE("simulator streams: shutting down writing ends the other's reading", "[simulator]") {
    pair p;
    p.m.send_all(p.client, "bye");
    CHECK(shutdown(p.m, p.client, SHUT_WR) == 0);
    CHECK(p.m.call(send_of(p.client, "x")) == -EPIPE);
    CHECK(p.m.receive(p.server, 100) == "bye");
    p.m.send_all(p.server, "answer");  // the other direction still works
    CHECK(p.m.receive(p.client, 6) == "answer");
    CHECK(shutdown(p.m, p.client, 9) == -EINVAL);
}

TEST_CASE("simulator streams: shutting down reading ends one's own pending receive",
          "[simulator]") {
    pair p;
    std::string buffer(1, '?');
    const std::uint64_t receiving = p.m.add(receive_into(p.server, buffer));
    p.m.turn(p.m.sim->now() + 1ms);
    CHECK(shutdown(p.m, p.server, SHUT_RD) == 0);
    CHECK(p.m.next(receiving).result == 0);
}

TEST_CASE("simulator streams: shutting down writing fails one's own pending send", "[simulator]") {
    simulator_options options = plain();
    options.buffer_min = options.buffer_max = 4;
    pair p(options);
    p.m.send_all(p.client, "full");
    const std::uint64_t sending = p.m.add(send_of(p.client, "more"));
    p.m.drain();
    CHECK(shutdown(p.m, p.client, SHUT_WR) == 0);
    CHECK(p.m.next(sending).result == -EPIPE);
    CHECK(p.m.sim->sigpipes() == 0);
    CHECK(p.m.call(make(opcode::write, p.client, "x", 1)) == -EPIPE);
    CHECK(p.m.sim->sigpipes() == 1);
}

TEST_CASE("simulator streams: a close is an end for a reader and a reset for a writer",
          "[simulator]") {
    pair p;
    p.m.send_all(p.client, "last words");
    CHECK(p.m.call(make(opcode::close, p.client)) == 0);
    CHECK(p.m.receive(p.server, 100) == "last words");
    CHECK(p.m.call(send_of(p.server, "anyone?")) == 7);  // accepted; the reset comes later
    p.m.drain();
    CHECK(p.m.call(send_of(p.server, "anyone?")) == -EPIPE);
    CHECK(p.m.call(send_of(p.server, "anyone?")) == -EPIPE);
    std::string buffer(1, '?');
    CHECK(p.m.call(receive_into(p.server, buffer)) == 0);
}

TEST_CASE("simulator streams: a close with unread bytes resets; arrived bytes are readable first",
          "[simulator]") {
    pair p;
    p.m.send_all(p.server, "answer");
    p.m.send_all(p.client, "unread");
    p.m.drain();
    CHECK(p.m.sim->close(p.server) == 0);
    p.m.drain();
    CHECK(p.m.receive(p.client, 6) == "answer");
    int error = 0;
    socklen_t size = sizeof(error);
    std::string buffer(1, '?');
    switch (GENERATE(0, 1, 2)) {
        case 0:
            CHECK(p.m.call(receive_into(p.client, buffer)) == -ECONNRESET);
            break;
        case 1:
            CHECK(p.m.call(send_of(p.client, "x")) == -ECONNRESET);
            break;
        default:
            CHECK(p.m.sim->get_option(p.client, SOL_SOCKET, SO_ERROR, &error, &size) == 0);
            CHECK(error == ECONNRESET);
    }
    CHECK(p.m.call(receive_into(p.client, buffer)) == 0);  // the error is reported once
    CHECK(p.m.call(send_of(p.client, "x")) == -EPIPE);
    CHECK(shutdown(p.m, p.client, SHUT_WR) == -ENOTCONN);
}

TEST_CASE("simulator streams: a waiting sender fails at a reset", "[simulator]") {
    simulator_options options = plain();
    options.buffer_min = options.buffer_max = 4;
    pair p(options);
    p.m.send_all(p.client, "full");
    const std::uint64_t sending = p.m.add(send_of(p.client, "more"));
    p.m.drain();
    CHECK(p.m.sim->close(p.server) == 0);
    CHECK(p.m.next(sending).result == -ECONNRESET);
}

// -- polls --

TEST_CASE("simulator streams: poll reports readiness", "[simulator]") {
    pair p;
    CHECK(p.m.call(poll_of(p.client, POLLOUT)) == POLLOUT);
    const std::uint64_t reading = p.m.add(poll_of(p.server, POLLIN));
    p.m.drain();
    CHECK(p.m.seen.empty());
    p.m.send_all(p.client, "x");
    CHECK(p.m.next(reading).result == POLLIN);
    CHECK(p.m.receive(p.server, 1) == "x");
    const std::uint64_t hanging = p.m.add(poll_of(p.server, 0));  // reports the end all the same
    CHECK(p.m.call(make(opcode::close, p.client)) == 0);
    CHECK(p.m.next(hanging).result == POLLRDHUP);
    CHECK(shutdown(p.m, p.server, SHUT_WR) == 0);
    CHECK(p.m.call(poll_of(p.server, POLLIN)) == (POLLIN | POLLHUP | POLLRDHUP));
    CHECK(shutdown(p.m, p.server, SHUT_RD) == -ENOTCONN);  // the connection is gone
    CHECK(p.m.call(poll_of(p.m.socket(), POLLIN)) == POLLHUP);
}

TEST_CASE("simulator streams: a multishot poll reports each change until it is removed",
          "[simulator]") {
    pair p;
    const std::uint64_t polling = p.m.add(poll_of(p.server, POLLIN, true));
    for (int round = 0; round < 3; ++round) {
        p.m.send_all(p.client, "x");
        const completion one = p.m.next(polling);
        CHECK(one.result == POLLIN);
        CHECK(one.flags == completion_more);
        p.m.drain();
        CHECK(p.m.seen.empty());  // edges are reported, not levels
    }
    entry remove = make(opcode::poll_remove);
    remove.address = polling;
    CHECK(p.m.call(remove) == 0);
    const completion last = p.m.next(polling);
    CHECK(last.result == -ECANCELED);
    CHECK(last.flags == 0);
    CHECK(p.m.call(remove) == -ENOENT);
}

TEST_CASE("simulator streams: a listener polls readable while a connection waits", "[simulator]") {
    machine m(plain());
    const int listener = m.listen(7000);
    const std::uint64_t polling = m.add(poll_of(listener, POLLIN));
    m.drain();
    CHECK(m.seen.empty());
    const sockaddr_in name = loopback(7000);
    CHECK(m.call(m.connect_of(m.socket(), name)) == 0);
    CHECK(m.next(polling).result == POLLIN);
    CHECK(m.call(make(opcode::accept, listener)) >= 0);
    m.add(poll_of(listener, POLLIN));
    CHECK(m.turn(time_point::max()).stuck);
}
