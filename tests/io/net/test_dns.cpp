// SPDX-License-Identifier: MIT
// Names and connecting. Only names that every machine knows are looked up, or that no machine can
// know: these tests send nothing to a name server.
#include <rondo/connect.hpp>
#include <rondo/dns.hpp>

#include <netdb.h>

#include <algorithm>
#include <array>
#include <optional>

#include "support/net_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using rondo_tests::text_of_failure;

RONDO_TEST("resolve: a literal address is returned without a lookup", "[dns][both]") {
    const auto before = running_loop().stats();
    auto found = co_await resolve("127.0.0.1", 80);
    REQUIRE(found.size() == 1);
    REQUIRE(found.front() == endpoint{"127.0.0.1", 80});
    found = co_await resolve("[::1]", 81);
    REQUIRE(found.front() == endpoint{"::1", 81});
    REQUIRE(running_loop().stats().turns == before.turns);
}

RONDO_TEST("resolve: localhost is this machine, each address once", "[dns][both]", seeds(2)) {
    auto found = co_await resolve("localhost", 7007);
    REQUIRE_FALSE(found.empty());
    for (const endpoint& each : found) {
        REQUIRE(each.port() == 7007);
        REQUIRE((each.address() == "127.0.0.1" || each.address() == "::1"));
        REQUIRE(std::count(found.begin(), found.end(), each) == 1);
    }
}

RONDO_TEST("resolve: a text that cannot be a name is refused without a lookup", "[dns][both]") {
    const auto before = running_loop().stats().turns;
    std::string text = co_await text_of_failure<std::system_error>(resolve("", 1));
    REQUIRE(text == "resolve an empty name: Name or service not known");
    text = co_await text_of_failure<std::system_error>(resolve(std::string("local\0host", 10), 1));
    REQUIRE(text == "resolve a name with a NUL in it: Name or service not known");
    text = co_await text_of_failure<std::system_error>(resolve(std::string(300, 'x'), 1));
    REQUIRE(text == "resolve a name of 300 characters: Name or service not known");
    for (const char* const old : {"127.1", "0x7f.1", "2130706433", "0177.0.0.1"}) {
        text = co_await text_of_failure<std::system_error>(resolve(old, 1));
        REQUIRE(text == "resolve " + std::string(old) + ": Name or service not known");
    }
    try {
        co_await resolve(std::string(254, 'x'), 1);
        FAIL("a name of 254 characters was looked up");
    } catch (const std::system_error& error) {
        REQUIRE(error.code() == std::error_code(EAI_NONAME, resolver_category()));
    }
    REQUIRE(running_loop().stats().turns == before);
}

RONDO_TEST("resolve: a cancellation ends it at once, the lookup ends with the loop", "[dns][both]",
           seeds(20)) {
    auto look = []() -> task<> { co_await resolve("localhost", 1); };
    for (int i = 0; i < 5; ++i)
        co_await rondo_tests::cancel_in_form(rondo_tests::form::racing, look,
                                             std::chrono::microseconds(i * 200));
    const bool ended = co_await rondo_tests::cancel_in_form(rondo_tests::form::before, look, {});
    REQUIRE(ended);
}

// -- connecting -----------------------------------------------------------------------------------

RONDO_TEST("connect_tcp: by name, to the address that answers", "[dns][both]") {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    auto client = co_await connect_tcp("localhost", listener.local().port(), {.timeout = 1min});
    auto server = co_await listener.accept();
    REQUIRE(client.remote() == listener.local());
    REQUIRE(server.remote() == client.local());
    REQUIRE(server.local() == listener.local());
}

std::uint16_t unused_port() { return tcp_listener::bind({"127.0.0.1", 0}).local().port(); }

RONDO_TEST("connect_tcp: errors name the target", "[dns][both]") {
    const std::uint16_t port = unused_port();
    const std::string number = std::to_string(port);
    std::string text =
        co_await text_of_failure<std::system_error>(connect_tcp({"127.0.0.1", port}));
    REQUIRE(text == "connect 127.0.0.1:" + number + ": Connection refused");
    text = co_await text_of_failure<std::system_error>(connect_tcp("localhost", port));
    REQUIRE(text.find("connect localhost:" + number + ": ") == 0);
    REQUIRE(text.find("Connection refused") != text.npos);
    text = co_await text_of_failure<std::system_error>(connect_tcp(std::string(300, 'x'), port));
    REQUIRE(text == "connect a name of 300 characters:" + number + ": Name or service not known");
}

RONDO_TEST("connect_tcp: cancelled before, or at any moment, it leaves no socket",
           "[dns]", seeds(30)) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    int connected = 0;
    auto connect = [&]() -> task<> {
        auto client = co_await connect_tcp(listener.local());
        ++connected;
    };
    const bool before =
        co_await rondo_tests::cancel_in_form(rondo_tests::form::before, connect, {});
    REQUIRE(before);
    int given_up = 0;
    for (int i = 0; i < 40; ++i) {
        const bool ended = co_await rondo_tests::cancel_in_form(rondo_tests::form::racing, connect,
                                                                std::chrono::microseconds(60 * i));
        given_up += ended ? 1 : 0;
    }
    REQUIRE(given_up > 0);
    REQUIRE(connected + given_up >= 40);
}

// The first operation of the run is the connect, and it begins an hour late.
TEST_CASE("connect_tcp: the timeout names the target and leaves no socket", "[dns]") {
    auto by_address = []() -> task<> {
        std::string text =
            co_await text_of_failure<timeout_error>(connect_tcp({"127.0.0.1", 9}, {.timeout = 3s}));
        REQUIRE(text == "connect 127.0.0.1:9: timed out after 3s");
    };
    auto by_name = []() -> task<> {
        auto connecting = connect_tcp("localhost", 9, {.timeout = 1500ms});
        std::string text = co_await text_of_failure<timeout_error>(std::move(connecting));
        REQUIRE(text == "connect localhost:9: timed out after 1.5s");
    };
    testing::simulate(by_address, {.what = testing::fault::delay});
    testing::simulate(by_name, {.what = testing::fault::delay});
}

}  // namespace
