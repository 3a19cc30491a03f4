// SPDX-License-Identifier: MIT
// Endpoints: each has one text that can be parsed again, and all other texts are refused. More
// about
// literal addresses is in test_net.cpp.
#include <rondo/endpoint.hpp>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <random>
#include <string>

#include <rondo/error.hpp>

#include "support/catch.hpp"

using namespace rondo;
using namespace std::string_literals;

namespace {

endpoint of_name(const sockaddr_un& name, std::size_t path_size) {
    return endpoint::from_system(&name, offsetof(sockaddr_un, sun_path) + path_size);
}

TEST_CASE("endpoint: each has one text, which parses to it again", "[endpoint]") {
    for (const std::string text : {
             "127.0.0.1:80",
             "0.0.0.0:0",
             "255.255.255.255:65535",
             "10.1.2.3:1",
             "[::1]:80",
             "[::]:0",
             "[2001:db8::8:800:200c:417a]:443",
             "[::ffff:1.2.3.4]:65535",
             "[fe80::1%lo]:80",
             "[fe80::1%4000000000]:80",
             "unix:/run/app.sock",
             "unix:relative",
             "unix:/with spaces and: colons]:80",
             "unix:@abstract",
             "unix:@/looks/like/a/path",
             "unix:@@twice",
             "unix:\\x40no-abstract-name",
             "unix:/tmp/@here",
             "unix:/\\x01\\x0a\\x7f\\x5c",
             "unix:/gr\xc3\xbc\xc3\x9f\xff",
             "unix:@a\\x00b",
             "unix:127.0.0.1:80",
         }) {
        INFO(text);
        const auto parsed = endpoint::parse(text);
        REQUIRE(parsed.has_value());
        REQUIRE(parsed->text() == text);
        REQUIRE(endpoint(text) == *parsed);
        REQUIRE(endpoint::from_system(parsed->data(), parsed->size()) == *parsed);
    }
}

TEST_CASE("endpoint: other spellings are accepted and print as the one text", "[endpoint]") {
    REQUIRE(endpoint("[0:0::0:1]:80").text() == "[::1]:80");
    REQUIRE(endpoint("[FE80::A%1]:80").text() == "[fe80::a%lo]:80");
    REQUIRE(endpoint("unix:/\\x41\\x5C").text() == "unix:/A\\x5c");
    REQUIRE(endpoint("127.0.0.1:80") == endpoint("127.0.0.1", 80));
    REQUIRE(endpoint("[::1]:80") == endpoint("::1", 80));
}

TEST_CASE("endpoint: other texts are refused", "[endpoint]") {
    for (const std::string& text : {
             ""s,
             ":"s,
             "80"s,
             ":80"s,
             "127.0.0.1"s,
             "127.0.0.1:"s,
             "127.0.0.1:65536"s,
             "127.0.0.1:4294967376"s,
             "127.0.0.1:-1"s,
             "127.0.0.1:+80"s,
             "127.0.0.1: 80"s,
             "127.0.0.1:80 "s,
             " 127.0.0.1:80"s,
             "127.0.0.1:080"s,
             "127.0.0.1:00"s,
             "127.0.0.1:8x"s,
             "127.0.0.1:0x50"s,
             "127.0.0.1:80:80"s,
             "127.0.0.1:80\0"s,
             "127.0.0.01:80"s,
             "127.0.0:80"s,
             "127.1:80"s,
             "256.0.0.1:80"s,
             "localhost:80"s,
             "[127.0.0.1]:80"s,
             "[127.0.0.1%lo]:80"s,
             "127.0.0.1%lo:80"s,
             "::1:80"s,
             "::1"s,
             "[::1]"s,
             "[::1]80"s,
             "[::1]x:80"s,
             "[::1:80"s,
             "::1]:80"s,
             "[[::1]]:80"s,
             "[]:80"s,
             "[::1]:65536"s,
             "[::1]:"s,
             "[::1%]:80"s,
             "[::1%nowhere]:80"s,
             "[::1%0]:80"s,
             "[::1%01]:80"s,
             "[::1%4294967296]:80"s,
             "[fe80::1%lo\0x]:80"s,
             "[::1\0]:80"s,
             "[1:2:3:4:5:6:7:8:9]:80"s,
             "unix:"s,
             "unix:@"s,
             "unix:a\0b"s,
             "unix:a\\x00b"s,
             "unix:\\"s,
             "unix:\\n"s,
             "unix:\\x4"s,
             "unix:\\xg0"s,
             "unix:\\x+4"s,
             "UNIX:/a"s,
             "unix:" + std::string(108, 'a'),
             "unix:@" + std::string(108, 'a'),
             "unix:" + std::string(100'000, 'a'),
             std::string(100'000, '1') + ":80",
             "[" + std::string(100'000, ':') + "]:80",
             "[::1%" + std::string(100'000, 'e') + "]:80",
             "nowhere"s,
             "an unnamed socket"s,
         }) {
        INFO(text.substr(0, 200));
        REQUIRE_FALSE(endpoint::parse(text).has_value());
        REQUIRE_THROWS_AS(endpoint(text), error);
    }
    REQUIRE_FALSE(endpoint::parse("fe80::1%lo\0x"s, 80).has_value());
}

TEST_CASE("endpoint: the error says what is wrong", "[endpoint]") {
    REQUIRE_THROWS_WITH(endpoint("1.2.3.4:99999"),
                        "endpoint \"1.2.3.4:99999\" has no port from 0 to 65535");
    REQUIRE_THROWS_WITH(endpoint("1.2.3.4"), "endpoint \"1.2.3.4\" has no port");
    REQUIRE_THROWS_WITH(endpoint("::1:80"),
                        "endpoint \"::1:80\" has an IPv6 address without brackets");
    REQUIRE_THROWS_WITH(endpoint("a:80"),
                        "endpoint \"a:80\" is no IP address; names are looked up by resolve()");
    REQUIRE_THROWS_WITH(endpoint("[fe80::1%x]:80"),
                        "endpoint \"[fe80::1%x]:80\" names no network interface");
    REQUIRE_THROWS_WITH(endpoint::unix_path(""), "socket path \"\" is empty");
    REQUIRE_THROWS_WITH(endpoint::unix_path("a\0b"s), "socket path \"a\\x00b\" has a NUL in it");
    const std::string long_name(108, 'n');
    REQUIRE_THROWS_WITH(endpoint::unix_path(long_name),
                        "socket path \"" + long_name + "\" is longer than 107 bytes");
    REQUIRE_THROWS_WITH(endpoint::unix_abstract(""), "abstract socket name \"\" is empty");
    REQUIRE_THROWS_WITH(endpoint::unix_abstract("\0a"s),
                        "abstract socket name \"\\x00a\" has a NUL in it");
    REQUIRE_THROWS_WITH(endpoint::unix_abstract(long_name),
                        "abstract socket name \"" + long_name + "\" is longer than 107 bytes");
}

TEST_CASE("endpoint: names of Unix sockets", "[endpoint]") {
    const auto file = endpoint::unix_path("/run/app.sock");
    REQUIRE(file.family() == address_family::unix_socket);
    REQUIRE(file.text() == "unix:/run/app.sock");
    REQUIRE(file.address() == "/run/app.sock");
    REQUIRE(file.path() == "/run/app.sock");
    REQUIRE(file.abstract_name().empty());
    REQUIRE(file.port() == 0);
    const auto abstract = endpoint::unix_abstract("app");
    REQUIRE(abstract.family() == address_family::unix_socket);
    REQUIRE(abstract.text() == "unix:@app");
    REQUIRE(abstract.address() == "@app");
    REQUIRE(abstract.path().empty());
    REQUIRE(abstract.abstract_name() == "app");
    REQUIRE_FALSE(abstract == endpoint::unix_path("app"));
    REQUIRE_FALSE(abstract == endpoint::unix_path("@app"));
    REQUIRE(endpoint::unix_path("@app").path() == "@app");
    REQUIRE_FALSE(abstract == endpoint::unix_abstract("ap"));
    REQUIRE_FALSE(abstract == endpoint::unix_abstract("app2"));
    for (const std::size_t size : {1U, 106U, 107U}) {
        const std::string name(size, 'n');
        REQUIRE(endpoint::unix_path(name).path() == name);
        REQUIRE(endpoint(endpoint::unix_path(name).text()).path() == name);
        REQUIRE(endpoint::unix_abstract(name).abstract_name() == name);
    }
    REQUIRE(endpoint("127.0.0.1:80").path().empty());
}

TEST_CASE("endpoint: names of Unix sockets as systems report them", "[endpoint]") {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    const endpoint unnamed = of_name(name, 0);
    REQUIRE(unnamed.family() == address_family::unix_socket);
    REQUIRE(unnamed.text() == "an unnamed socket");
    REQUIRE(unnamed.path().empty());
    REQUIRE(unnamed.abstract_name().empty());
    REQUIRE_FALSE(unnamed == endpoint());
    std::strcpy(name.sun_path, "/a");
    REQUIRE(of_name(name, 2) == endpoint::unix_path("/a"));  // with and without its NUL
    REQUIRE(of_name(name, 3) == endpoint::unix_path("/a"));
    REQUIRE(of_name(name, sizeof name.sun_path) == endpoint::unix_path("/a"));
    std::memset(name.sun_path, 'p', sizeof name.sun_path);
    REQUIRE(of_name(name, 108).path() == std::string(108, 'p'));  // Linux allows one without a NUL
    REQUIRE(of_name(name, 109).path() == std::string(108, 'p'));  // and counts the missing NUL
    name.sun_path[0] = 0;
    REQUIRE(of_name(name, 4).text() == "unix:@ppp");
    REQUIRE(of_name(name, 108).abstract_name() == std::string(107, 'p'));
    REQUIRE(endpoint::from_system(&name, 1) == endpoint());
    name.sun_family = AF_MAX;
    REQUIRE(of_name(name, 4) == endpoint());

    // On the real kernel, once: the answer of getsockname after bind.
    const int number = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(number >= 0);
    const auto wanted =
        endpoint::unix_abstract("rondo-test-endpoint-" + std::to_string(::getpid()));
    sockaddr_un answer{};
    socklen_t size = sizeof answer;
    auto* generic = reinterpret_cast<sockaddr*>(&answer);
    CHECK(::getsockname(number, generic, &size) == 0);
    CHECK(endpoint::from_system(&answer, size) == unnamed);
    CHECK(::bind(number, static_cast<const sockaddr*>(wanted.data()), wanted.size()) == 0);
    size = sizeof answer;
    CHECK(::getsockname(number, generic, &size) == 0);
    CHECK(endpoint::from_system(&answer, size) == wanted);
    ::close(number);
}

// An endpoint that was parsed, or that came from the system, is printed as a text that parses to
// the
// same endpoint.
TEST_CASE("endpoint: the flow label of an IPv6 address is ignored", "[endpoint]") {
    sockaddr_in6 name{};
    name.sin6_family = AF_INET6;
    name.sin6_addr = in6addr_loopback;
    name.sin6_port = htons(80);
    name.sin6_flowinfo = htonl(0x12345);
    const endpoint from = endpoint::from_system(&name, sizeof name);
    CHECK(from == endpoint("::1", 80));
    CHECK(endpoint::parse(from.text()) == from);
}

TEST_CASE("endpoint: any name can be printed and parsed, and no text does harm", "[endpoint]") {
    std::mt19937 random(1);
    const std::string pieces = "[]:%@\\x0149afu.\0/ \n\xff"s;
    const auto piece = [&] { return pieces[random() % pieces.size()]; };
    int read = 0;
    for (int i = 0; i < 20'000; ++i) {
        std::string text(i % 3 == 0 ? "unix:" : i % 3 == 1 ? "[" : "");
        for (std::size_t n = random() % 24; n-- > 0;) text += piece();
        const auto parsed = endpoint::parse(text);
        if (!parsed) continue;
        ++read;
        INFO(text);
        REQUIRE(endpoint::parse(parsed->text()) == parsed);
    }
    REQUIRE(read > 100);
    for (int i = 0; i < 5'000; ++i) {
        sockaddr_un name{};
        name.sun_family = AF_UNIX;
        const std::size_t size = 2 + random() % 100;
        for (std::size_t n = 0; n < size; ++n) name.sun_path[n] = piece();
        const endpoint made = of_name(name, size);
        INFO(made.text());
        REQUIRE(endpoint::parse(made.text()) == made);
    }
}

}  // namespace
