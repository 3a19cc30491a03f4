// SPDX-License-Identifier: MIT
// UDP: datagrams whole or not at all, empty ones, truncated ones; refusals, merging, segments,
// multicast; cancellation in all three forms.
#include <rondo/udp.hpp>

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <optional>
#include <string>

#include <rondo/gather.hpp>
#include <rondo/sleep.hpp>

#include "support/core_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

endpoint any_port() { return {"127.0.0.1", 0}; }

task<> send_text(udp_socket* from, std::string text, endpoint to) {
    co_await from->send_to(text, to);
}

/// The error of `sending`; 0 if it succeeds.
template <class Awaitable>
task<int> error_of(Awaitable waiting) {
    try {
        co_await std::move(waiting);
    } catch (const std::system_error& error) {
        co_return error.code().value();
    }
    co_return 0;
}

RONDO_TEST("udp: move assignment closes the previous socket at once", "[udp][both]") {
    auto one = udp_socket::bind({"127.0.0.1", 0});
    auto other = udp_socket::bind({"127.0.0.1", 0});
    const endpoint where = one.local();
    one = std::move(other);
    auto again = udp_socket::bind(where);  // would throw if the port were still taken
    CHECK(again.local() == where);
    co_return;
}

}  // namespace

RONDO_TEST("udp: a datagram arrives whole, with its sender", "[udp][both]") {
    auto server = udp_socket::bind(any_port());
    auto client = udp_socket::bind(any_port());
    std::array<char, 100> buffer;
    for (const std::string_view text : {"one", "", "three and more"}) {
        co_await client.send_to(text, server.local());
        const datagram got = co_await server.receive_from(buffer);
        CHECK(got.text() == text);
        CHECK(got.data);  // true even if the datagram is empty
        CHECK(got.from == client.local());
        CHECK_FALSE(got.truncated);
        CHECK(got.segment_size == 0);
        co_await server.send_to(got.data, got.from);
        const datagram back = co_await client.receive_from(buffer);
        CHECK(back.text() == text);
        CHECK(back.from == server.local());
    }
}

RONDO_TEST("udp: a datagram longer than the buffer is truncated, and flagged", "[udp][both]") {
    auto server = udp_socket::bind(any_port());
    auto client = udp_socket::open();
    co_await client.send_to("12345678", server.local());
    co_await client.send_to("1234", server.local());
    co_await client.send_to("x", server.local());
    std::array<char, 4> buffer;
    datagram got = co_await server.receive_from(buffer);
    CHECK(got.text() == "1234");
    CHECK(got.truncated);
    got = co_await server.receive_from(buffer);
    CHECK(got.text() == "1234");
    CHECK_FALSE(got.truncated);
    got = co_await server.receive_from(buffer_view());
    CHECK(got.size() == 0);
    CHECK(got.truncated);
}

RONDO_TEST("udp: connected, it receives from its peer only, and reports a missing one",
           "[udp][both]") {
    auto server = udp_socket::bind(any_port());
    auto stranger = udp_socket::bind(any_port());
    auto client = udp_socket::bind(any_port());
    co_await client.connect(server.local());
    CHECK(client.remote() == server.local());
    co_await stranger.send_to("not for you", client.local());
    co_await client.send("ping");
    std::array<char, 100> buffer;
    const datagram ping = co_await server.receive_from(buffer);
    CHECK(ping.text() == "ping");
    co_await server.send_to("pong", ping.from);
    const datagram pong = co_await client.receive_from(buffer);
    CHECK(pong.text() == "pong");
    server.close();
    co_await client.send("anybody?");
    const int refused = co_await error_of(client.receive_from(buffer));
    CHECK(refused == ECONNREFUSED);
}

RONDO_TEST("udp: a datagram that cannot be sent is an error that names its target",
           "[udp][kernel]") {
    auto socket = udp_socket::bind(any_port());
    const std::string much(70'000, 'x');
    const int too_long = co_await error_of(socket.send_to(much, socket.local()));
    CHECK(too_long == EMSGSIZE);
    const int nowhere = co_await error_of(socket.send("to whom?"));
    CHECK(nowhere == EDESTADDRREQ);
    const int forbidden = co_await error_of(socket.send_to("x", {"255.255.255.255", 9}));
    CHECK(forbidden == EACCES);  // without udp_options::broadcast
    try {
        co_await socket.send_to("x", {"255.255.255.255", 9});
        FAIL("it was sent");
    } catch (const std::system_error& error) {
        CHECK(std::string(error.what()) == "sendto 255.255.255.255:9: Permission denied");
    }
    try {
        auto second = udp_socket::bind(socket.local());
        FAIL("the port was free");
    } catch (const std::system_error& error) {
        CHECK(std::string(error.what()) ==
              "bind " + socket.local().text() + ": Address already in use");
    }
    CHECK_THROWS_AS(socket.remote(), std::system_error);
}

RONDO_TEST("udp: a wait ends in all three forms, and no datagram is lost", "[udp][both]") {
    auto server = udp_socket::bind(any_port());
    auto client = udp_socket::bind(any_port());
    std::array<char, 8> buffer{};
    const auto receive = [&] { return server.receive_from(buffer); };
    co_await rondo_tests::check_cancelled_before(receive);
    co_await rondo_tests::check_cancelled_while_suspended(receive);
    const auto send = [&] { create_task(send_text(&client, "x", server.local())); };
    co_await rondo_tests::check_cancelled_after_arrival(receive, send);
    CHECK(buffer[0] == 'x');
    const auto transmit = [&] { return client.send_to("y", server.local()); };
    co_await rondo_tests::check_cancelled_before(transmit);
    co_await rondo_tests::check_cancelled_after_arrival(transmit);
    const auto join = [&] { return client.connect(server.local()); };
    co_await rondo_tests::check_cancelled_before(join);
    co_await rondo_tests::check_cancelled_after_arrival(join);
    const datagram got = co_await server.receive_from(buffer);
    CHECK(got.text() == "y");
    co_await client.send("z");
    const datagram next = co_await server.receive_from(buffer);
    CHECK(next.text() == "z");  // y was sent once
}

RONDO_TEST("udp: a second receiver is refused, senders are not; closing ends the wait",
           "[udp][both]") {
    auto server = udp_socket::bind(any_port());
    auto client = udp_socket::open();
    const auto receive = [](udp_socket* from) -> task<> {
        std::array<char, 8> buffer;
        co_await from->receive_from(buffer);
    };
    auto first = create_task(receive(&server));
    co_await rondo_tests::finish();
    std::array<char, 8> buffer;
    CHECK_THROWS_AS(co_await server.receive_from(buffer), invalid_state_error);
    auto sends = gather(send_text(&client, "a", server.local()),
                        send_text(&client, "b", server.local()),
                        send_text(&client, "c", server.local()));
    co_await std::move(sends);
    co_await first;
    for (int i = 0; i < 2; ++i) {
        const datagram got = co_await server.receive_from(buffer);
        CHECK(got.size() == 1);
    }
    auto waiting = create_task(receive(&server));
    co_await rondo_tests::finish();
    server.close();
    const int ended = co_await error_of(std::move(waiting));
    CHECK(ended == ECANCELED);
    const int closed = co_await error_of(server.receive_from(buffer));
    CHECK(closed == EBADF);
    CHECK_FALSE(server.is_open());
}

RONDO_TEST("udp: one large buffer is sent as many datagrams, received singly or merged",
           "[udp][both]") {
    const std::string all = [] {
        std::string text;
        for (char c = 'a'; c < 'k'; ++c) text.append(100, c);
        return text + "end";
    }();
    auto client = udp_socket::open();
    auto plain = udp_socket::bind(any_port());
    std::array<char, 4096> buffer;
    co_await client.send_segments(all, 100, plain.local());
    std::string got;
    for (int i = 0; i < 11; ++i) {
        const datagram one = co_await plain.receive_from(buffer);
        CHECK(one.size() == (i < 10 ? 100 : 3));
        got += one.text();
    }
    CHECK(got == all);
    auto merging = udp_socket::bind(any_port(), {.receive_merged = true});
    co_await client.send_segments(all, 100, merging.local());
    got.clear();
    while (got.size() < all.size()) {
        const datagram some = co_await merging.receive_from(buffer);
        if (some.size() > 100) CHECK(some.segment_size == 100);
        got += some.text();
    }
    CHECK(got == all);
    const int too_large = co_await error_of(client.send_segments(all, 70'000, plain.local()));
    CHECK(too_large == EMSGSIZE);
}

RONDO_TEST("udp: a datagram to a group reaches a socket from its join to its leave",
           "[udp][kernel]") {
    const endpoint group("239.255.7.7", 0);
    auto member = udp_socket::bind({"0.0.0.0", 0}, {.reuse_address = true});
    auto sender = udp_socket::open();
    const endpoint to("239.255.7.7", member.local().port());
    member.join(group, "lo");
    sender.set_multicast_interface("lo");
    sender.set_multicast_loop(true);
    sender.set_multicast_hops(0);  // it does not leave this machine
    CHECK(sender.get_option(IPPROTO_IP, IP_MULTICAST_TTL) == 0);
    co_await sender.send_to("hear, hear", to);
    std::array<char, 100> buffer;
    const datagram got = co_await member.receive_from(buffer);
    CHECK(got.text() == "hear, hear");
    member.leave(group, "lo");
    CHECK_THROWS_AS(member.leave(group, "lo"), std::system_error);
    CHECK_THROWS_AS(member.join(group, "no-such-interface"), std::system_error);
    CHECK_THROWS_AS(member.join({"127.0.0.1", 0}), std::system_error);
    CHECK_THROWS_AS(member.join(endpoint::unix_abstract("x")), std::system_error);
}

RONDO_TEST("udp: IPv6, with IPv4 or alone", "[udp][kernel]") {
    std::optional<udp_socket> both;
    try {
        both.emplace(udp_socket::bind({"::", 0}));
    } catch (const std::system_error&) {
        WARN("no IPv6 here: not tried");
        co_return;
    }
    auto client = udp_socket::open();
    std::array<char, 100> buffer;
    const endpoint by_four("127.0.0.1", both->local().port());
    co_await client.send_to("four", by_four);
    const datagram got = co_await both->receive_from(buffer);
    CHECK(got.text() == "four");
    CHECK(got.from.address().starts_with("::ffff:127.0.0.1"));
    auto alone = udp_socket::bind({"::1", 0}, {.ipv6_only = true});
    CHECK(alone.get_option(IPPROTO_IPV6, IPV6_V6ONLY) == 1);
    const endpoint by_six("::1", both->local().port());
    co_await alone.send_to("six", by_six);
    const datagram six = co_await both->receive_from(buffer);
    CHECK(six.from == alone.local());
}

RONDO_TEST("udp: the size of a socket's buffers, and several on one port", "[udp][both]") {
    auto first = udp_socket::bind(any_port(), {.reuse_port = true, .receive_buffer = 20'000});
    CHECK(first.get_option(SOL_SOCKET, SO_RCVBUF) >= 20'000);
    auto second = udp_socket::bind(first.local(), {.reuse_port = true});
    CHECK(second.local() == first.local());
    co_return;
}
