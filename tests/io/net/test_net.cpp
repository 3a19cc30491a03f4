// SPDX-License-Identifier: MIT
// Endpoints and listeners. No connection may be lost between the kernel's queue, the listener's
// queue, and a waiter that is cancelled.
#include <rondo/net.hpp>

#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include <rondo/gather.hpp>
#include <rondo/udp.hpp>
#include <rondo/unix.hpp>

#include "support/net_tools.hpp"
#include "kernel/simulator/simulator.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using rondo_tests::text_of_failure;

TEST_CASE("endpoint: literal addresses are parsed and printed", "[net]") {
    const endpoint v4{"127.0.0.1", 7007};
    REQUIRE(v4.text() == "127.0.0.1:7007");
    REQUIRE(v4.family() == address_family::ipv4);
    REQUIRE(v4.port() == 7007);
    REQUIRE(v4.address() == "127.0.0.1");
    for (const char* text : {"::1", "[::1]"}) {
        const endpoint v6{text, 80};
        REQUIRE(v6.text() == "[::1]:80");
        REQUIRE(v6.family() == address_family::ipv6);
        REQUIRE(v6.address() == "::1");
    }
    REQUIRE(endpoint{"fe80::1%1", 80}.text() == "[fe80::1%lo]:80");
    REQUIRE(endpoint{"fe80::1%lo", 80} == endpoint{"fe80::1%1", 80});
    REQUIRE_FALSE(v4 == endpoint{"127.0.0.1", 7008});
    REQUIRE_FALSE(v4 == endpoint{"127.0.0.2", 7007});
    REQUIRE(endpoint::from_system(v4.data(), v4.size()) == v4);
    REQUIRE(endpoint().text() == "nowhere");
    REQUIRE(endpoint().family() == address_family::none);
}

TEST_CASE("endpoint: texts that are no literal address are refused", "[net]") {
    for (const std::string_view text :
         {"", "localhost", "127.0.0", "127.0.0.1.1", "256.0.0.1", "[127.0.0.1]", "[::1", "::1]",
          "[]", "::g", "fe80::1%", "fe80::1%nowhere", "1%lo", " 127.0.0.1"}) {
        INFO(text);
        REQUIRE_FALSE(endpoint::parse(text, 1).has_value());
    }
    REQUIRE_FALSE(endpoint::parse(std::string_view("127.0.0.1\0", 10), 1).has_value());
    REQUIRE_THROWS_WITH(endpoint("localhost", 1),
                        "\"localhost\" is no IP address; names are looked up by resolve()");
}

// -- listeners ------------------------------------------------------------------------------------

RONDO_TEST("tcp_listener: with port 0 the kernel chooses a port, which is then taken",
           "[net][both]") {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    REQUIRE(listener.local().port() != 0);
    const std::string name = listener.local().text();
    REQUIRE_THROWS_WITH(tcp_listener::bind(listener.local()),
                        "bind " + name + ": Address already in use");
    listener.close();
    auto again = tcp_listener::bind({"127.0.0.1", 0}, {.reuse_port = true});
    auto beside = tcp_listener::bind(again.local(), {.reuse_port = true});
    REQUIRE(again.local() == beside.local());
    co_return;
}

RONDO_TEST("tcp_listener: accepts over IPv6", "[net][both]") {
    std::optional<tcp_listener> listener;
    try {
        listener = tcp_listener::bind({"::1", 0});
    } catch (const std::system_error& error) {
        WARN("no IPv6 here: " << error.what());
        co_return;
    }
    auto client = co_await connect_tcp(listener->local());
    auto server = co_await listener->accept();
    REQUIRE(server.remote() == client.local());
    REQUIRE(client.remote() == server.local());
    REQUIRE(client.remote().text().find("[::1]:") == 0);
}

RONDO_TEST("tcp_listener: several waiters are served in their order", "[net][both]") {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    std::vector<int> order;
    auto accept = [&](int number) -> task<> {
        auto stream = co_await listener.accept();
        order.push_back(number);
    };
    std::vector<future<>> waiting;
    for (int i = 0; i < 5; ++i) waiting.push_back(create_task(accept(i)));
    co_await yield_now();
    waiting[1].cancel();
    for (int i = 0; i < 4; ++i) co_await connect_tcp(listener.local());
    for (const int i : {0, 2, 3, 4}) co_await waiting[static_cast<std::size_t>(i)];
    REQUIRE(order == std::vector<int>{0, 2, 3, 4});
}

// The harness counts descriptors: each connection was accepted, or closed with the listener.
RONDO_TEST("tcp_listener: an accept cancelled while a client connects loses no connection", "[net]",
           seeds(100)) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    int accepted = 0;
    auto accept = [&]() -> task<> {
        auto stream = co_await listener.accept();
        co_await stream.write_all("hello");
        ++accepted;
    };
    std::vector<tcp_stream> clients;
    int given_up = 0;
    for (int i = 0; i < 30; ++i) {
        auto connecting = create_task(connect_tcp(listener.local()));
        const bool ended = co_await rondo_tests::cancel_in_form(rondo_tests::form::racing, accept,
                                                                std::chrono::microseconds(i * 150));
        given_up += ended ? 1 : 0;
        clients.push_back(co_await std::move(connecting));
    }
    REQUIRE(given_up > 0);
    while (accepted < 30) co_await accept();  // hangs, and so fails, if one was lost
    REQUIRE(accepted == 30);
}

RONDO_TEST(
    "tcp_listener: of two waiters, the second gets the connection that was granted to the first, "
    "which was cancelled",
    "[net]", seeds(50)) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    auto accept = [&]() -> task<> { co_await listener.accept(); };
    for (int i = 0; i < 20; ++i) {
        auto first = create_task(accept());
        auto second = create_task(accept());
        auto client = co_await connect_tcp(listener.local());
        co_await sleep(std::chrono::microseconds(i * 120));
        first.cancel();
        bool taken = true;
        try {
            co_await first;
        } catch (const future_cancelled&) {
            taken = false;
        }
        if (taken) second.cancel();
        try {
            co_await second;
        } catch (const future_cancelled&) {
            REQUIRE(taken);
        }
    }
}

// After a waiter was chosen, the rest of the turn runs first: a task that is before the waiter in
// the
// ready queue can still cancel it.
RONDO_TEST(
    "tcp_listener: a chosen waiter that is cancelled before it runs passes the connection on",
    "[net][both]") {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    auto accept = [&]() -> task<> { co_await listener.accept(); };
    auto first = create_task(accept());
    auto second = create_task(accept());
    auto third = create_task(accept());
    auto connecting = create_task(connect_tcp(listener.local()));
    co_await yield_now();
    while (first.state() == task_state::waiting) co_await yield_now();
    REQUIRE(first.state() == task_state::ready);
    first.cancel();
    co_await second;
    REQUIRE(first.cancelled());
    third.cancel();
    co_await connecting;
}

TEST_CASE("tcp_listener: an error goes to one waiter, and the others go on waiting", "[net]") {
    auto test = []() -> task<> {
        auto listener = tcp_listener::bind({"127.0.0.1", 0});
        auto first = create_task(text_of_failure<std::system_error>(listener.accept()));
        auto second = create_task(listener.accept());
        auto text = co_await first;
        REQUIRE(text == "accept " + listener.local().text() + ": Input/output error");
        auto client = co_await connect_tcp(listener.local());
        auto server = co_await std::move(second);
        REQUIRE(server.remote() == client.local());
    };
    testing::simulate(test, {.what = testing::fault::error, .at_operation = 0});
}

TEST_CASE("tcp_listener: errors of a single connection are not reported to waiters", "[net]") {
    auto test = []() -> task<> {
        auto listener = tcp_listener::bind({"127.0.0.1", 0});
        auto accepting = create_task(listener.accept());
        co_await yield_now();
        auto client = co_await connect_tcp(listener.local());
        auto server = co_await std::move(accepting);
        REQUIRE(server.remote() == client.local());
    };
    testing::simulate(test, {.what = testing::fault::cancel, .at_operation = 0});
    for (const int error : {EINTR, ENOBUFS})
        testing::simulate(
            test, {.what = testing::fault::error, .at_operation = 0, .error_number = error});
}

RONDO_TEST("tcp_listener: accept can be cancelled, before and while suspended", "[net][both]") {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    auto accept = [&]() -> task<> { co_await listener.accept(); };
    co_await rondo_tests::must_be_cancellable(accept);
    auto client = co_await connect_tcp(listener.local());
    co_await sleep(5ms);
    const bool ended = co_await rondo_tests::cancel_in_form(rondo_tests::form::before, accept, {});
    REQUIRE(ended);  // although there is a connection to accept
    co_await accept();
}

RONDO_TEST("tcp_listener: closing ends its waits and closes connections that were not accepted",
           "[net][both]") {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const std::string name = listener.local().text();
    auto waiting = create_task(text_of_failure<std::system_error>(listener.accept()));
    co_await yield_now();
    co_await listener.close();
    auto text = co_await waiting;
    REQUIRE(text == "accept " + name + ": Operation canceled");
    text = co_await text_of_failure<std::system_error>(listener.accept());
    REQUIRE(text == "accept " + name + ": Bad file descriptor");

    auto other = tcp_listener::bind({"127.0.0.1", 0});
    auto first = create_task(other.accept());
    std::vector<tcp_stream> clients;
    for (int i = 0; i < 5; ++i) clients.push_back(co_await connect_tcp(other.local()));
    co_await first;
    co_await sleep(5ms);
    { const tcp_listener gone = std::move(other); }
    std::array<char, 4> buffer;
    for (std::size_t i = 1; i < clients.size(); ++i) {
        auto read = co_await as_result(clients[i].read_some(buffer));
        const bool over = read ? !*read : read.error() == std::errc::connection_reset;
        REQUIRE(over);
    }
}

RONDO_TEST("tcp_listener: more connections than are accepted stay in the kernel, and come later",
           "[net][both]", seeds(3)) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    constexpr std::size_t count = 300;
    std::vector<tcp_stream> clients, servers;
    auto first = create_task(listener.accept());
    for (std::size_t i = 0; i < count; ++i)
        clients.push_back(co_await connect_tcp(listener.local()));
    servers.push_back(co_await std::move(first));
    while (servers.size() < count) servers.push_back(co_await listener.accept());
    for (std::size_t i = 0; i < count; ++i) REQUIRE(servers[i].remote() == clients[i].local());
}

TEST_CASE("tcp_listener: connections that are not accepted are kept up to a bound", "[net]") {
    auto kernel = std::make_shared<detail::simulator>();
    loop simulated(kernel, {.timer_slack = duration(0)});
    auto test = [&]() -> task<> {
        auto listener = tcp_listener::bind({"127.0.0.1", 0});
        auto first = create_task(listener.accept());
        std::vector<tcp_stream> clients;
        for (int i = 0; i < 300; ++i) clients.push_back(co_await connect_tcp(listener.local()));
        auto server = co_await std::move(first);
        co_await sleep(1s);
        const std::size_t untaken = kernel->descriptors_open() - clients.size() - 2;
        REQUIRE(untaken >= 64);
        REQUIRE(untaken < 80);  // some arrive while the accept is being cancelled
    };
    simulated.run_until_complete(test());
}

RONDO_TEST("tcp_listener: a thousand connections at once, all of them answered", "[net][both]",
           seeds(2).limit(20s)) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    constexpr int count = 1000;
    auto serve_all = [&]() -> task<> {
        auto echo = [](tcp_stream stream) -> task<> {
            std::array<char, 64> buffer;
            while (auto chunk = co_await stream.read_some(buffer)) co_await stream.write_all(chunk);
        };
        std::vector<future<>> connections;
        for (int i = 0; i < count; ++i) {
            auto stream = co_await listener.accept();
            connections.push_back(create_task(echo(std::move(stream))));
        }
        for (auto& each : connections) co_await each;
    };
    std::vector<tcp_stream> clients;
    auto serving = create_task(serve_all());
    for (int i = 0; i < count; ++i) clients.push_back(co_await connect_tcp(listener.local()));
    int echoed = 0;
    for (int i = 0; i < count; ++i) {
        auto& client = clients[static_cast<std::size_t>(i)];
        const std::string sent = std::to_string(i) + "\n";
        co_await client.write_all(sent);
    }
    for (int i = 0; i < count; ++i) {
        auto& client = clients[static_cast<std::size_t>(i)];
        auto line = co_await client.read_line();
        echoed += line == std::to_string(i) ? 1 : 0;
        client.close();
    }
    REQUIRE(echoed == count);
    co_await serving;
}

// -- addresses ------------------------------------------------------------------------------------

RONDO_TEST("tcp_listener: when it is destroyed its port is free at once", "[net][both]") {
    endpoint where;
    std::optional<tcp_stream> client;
    {
        auto listener = tcp_listener::bind({"127.0.0.1", 0});
        where = listener.local();
        client.emplace(co_await connect_tcp(where));
        co_await listener.accept();  // and another accept is in flight
    }
    auto again = tcp_listener::bind(where);
    CHECK(again.local() == where);
}

RONDO_TEST("tcp_listener: when it is closed its port is free at once, for every socket",
           "[net][both]") {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    auto accepting = create_task(listener.accept());
    co_await yield_now();
    listener.close();
    const auto again = tcp_listener::bind(listener.local(), {.reuse_address = false});
    CHECK(again.is_open());
    CHECK_THROWS_AS(co_await accepting, std::system_error);
}

RONDO_TEST("tcp_listener: an address of another family is refused", "[net][both]") {
    const auto unix_name = endpoint::unix_abstract("rondo");
    CHECK_THROWS_AS(tcp_listener::bind(unix_name), std::system_error);
    CHECK_THROWS_AS(udp_socket::bind(unix_name), std::system_error);
    CHECK_THROWS_AS(co_await connect_tcp(unix_name), std::system_error);
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    CHECK_THROWS_AS(unix_listener::bind(listener.local()), std::system_error);
    const auto wrong = [&]() -> task<> { co_await connect_unix(listener.local()); };
    const std::string text = co_await text_of_failure<std::system_error>(wrong());
    CHECK(text == "connect " + listener.local().text() +
                      ": Address family not supported by protocol");
}

/// Would never end if close(2) waited for the peer.
RONDO_TEST("tcp_stream: with SO_LINGER its close does not block", "[net][kernel]") {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const endpoint where = listener.local();
    const int number = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const linger patient{.l_onoff = 1, .l_linger = 3600};
    REQUIRE(::setsockopt(number, SOL_SOCKET, SO_LINGER, &patient, sizeof patient) == 0);
    REQUIRE(::connect(number, static_cast<const sockaddr*>(where.data()), where.size()) == 0);
    tcp_stream client(descriptor::adopt(number, "client"), where);
    auto server = co_await listener.accept();
    const std::string much(4 << 20, 'x');
    while (co_await move_on_after(10ms, client.write_all(much))) {  // until all buffers are full
    }
    co_await client.close();
    server.abort();
    // A thread closes the number: the leak probe counts it until then.
    while (::fcntl(number, F_GETFD) >= 0) co_await sleep(1ms);
}

// -- without descriptors --------------------------------------------------------------------------

// Tries are far apart: if it retried without a pause, the watchdog or the operation count would
// tell.
task<> short_of_descriptors(std::vector<tcp_stream>& clients, tcp_listener& listener,
                            std::size_t wanted) {
    std::vector<tcp_stream> servers;
    auto accept = [&]() -> task<> { servers.push_back(co_await listener.accept()); };
    auto first = create_task(accept());
    auto second = create_task(accept());
    const auto before = running_loop().stats().entries;
    co_await sleep(20ms);
    REQUIRE(servers.empty());
    REQUIRE(running_loop().stats().entries - before < 20);
    first.cancel();  // it sleeps for both: the other waiter takes over
    co_await sleep(10ms);
    for (std::size_t i = 0; i < wanted; ++i) clients.pop_back();
    co_await second;
    REQUIRE(servers.size() == 1);
}

TEST_CASE("tcp_listener: without a free descriptor it waits and tries again (simulated)", "[net]") {
    detail::simulator_options how;
    how.descriptors_max = 3;
    loop simulated(std::make_shared<detail::simulator>(how), {.timer_slack = duration(0)});
    auto test = []() -> task<> {
        auto listener = tcp_listener::bind({"127.0.0.1", 0});
        std::vector<tcp_stream> clients;
        for (int i = 0; i < 2; ++i) clients.push_back(co_await connect_tcp(listener.local()));
        co_await short_of_descriptors(clients, listener, 1);
    };
    simulated.run_until_complete(test());
}

class descriptor_limit {
public:
    explicit descriptor_limit(rlim_t most) {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        rlimit now = before_;
        now.rlim_cur = most;
        ::setrlimit(RLIMIT_NOFILE, &now);
    }
    ~descriptor_limit() { ::setrlimit(RLIMIT_NOFILE, &before_); }
    descriptor_limit(const descriptor_limit&) = delete;
    descriptor_limit& operator=(const descriptor_limit&) = delete;

private:
    rlimit before_{};
};

RONDO_TEST("tcp_listener: without a free descriptor it waits and tries again", "[net][kernel]") {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    std::vector<tcp_stream> clients;
    try {
        const descriptor_limit limit(64);
        for (;;) clients.push_back(co_await connect_tcp(listener.local()));
    } catch (const std::system_error&
                 error) {  // UBSan checks it through a pipe, after the limit was lifted
        REQUIRE(error.code() == std::errc::too_many_files_open);
    }
    const descriptor_limit limit(64);
    co_await short_of_descriptors(clients, listener, 2);
}

// -- loops ----------------------------------------------------------------------------------------

TEST_CASE("tcp_listener: made outside of any loop, it serves one loop after another", "[net]") {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    auto exchange = [](tcp_listener& l) -> task<> {
        auto client = co_await connect_tcp(l.local());
        auto server = co_await l.accept();
        co_await client.write_all("x");
        std::array<char, 4> buffer;
        auto chunk = co_await server.read_some(buffer);
        REQUIRE(chunk.size() == 1);
    };
    for (int round = 0; round < 2; ++round) {
        loop own;
        own.run_until_complete(exchange(listener));
        own.run_until_complete(exchange(listener));
    }
}

TEST_CASE(
    "tcp_listener: a loop ends while one is armed, waited for, and full of connections",
    "[net]") {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    auto leave_things = [](tcp_listener& l) -> task<> {
        auto accept_for_ever = [](tcp_listener& at) -> task<> {
            for (;;) co_await at.accept();
        };
        create_task(accept_for_ever(l));
        co_await yield_now();
        auto own = tcp_listener::bind({"127.0.0.1", 0});
        auto first = create_task(own.accept());
        std::vector<tcp_stream> clients;
        for (int i = 0; i < 3; ++i) clients.push_back(co_await connect_tcp(own.local()));
        co_await first;
    };
    loop own;
    own.run_until_complete(leave_things(listener));
}

}  // namespace
