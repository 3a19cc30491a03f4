// SPDX-License-Identifier: MIT
// The engine without input and output: two of them side by side, with the bytes between them cut at
// every point.
#include "tls/engine.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "support/tls_tools.hpp"

using namespace rondo_tests;
using rondo::detail::make_tls_engine;
using rondo::detail::tls_access;
using rondo::detail::tls_engine;
using rondo::detail::tls_engine_options;
using rondo::detail::tls_failure;
using rondo::detail::tls_step;

namespace {

/// A client's engine and a server's, which pass bytes to each other.
class two_engines {
public:
    std::unique_ptr<tls_engine> client, server;

    two_engines() {
        tls_engine_options options;
        options.host = "localhost";
        client = make_tls_engine(tls_access::state(trusting_context())->get(), options);
        server = make_tls_engine(tls_access::state(localhost_context())->get(), {});
    }
};

std::string taken_from(tls_engine& engine) {
    std::string bytes(engine.output.text());
    engine.output.drop(bytes.size());
    return bytes;
}

void give(tls_engine& engine, std::string_view bytes) {
    if (bytes.empty()) return;
    std::copy(bytes.begin(), bytes.end(), engine.input.room(bytes.size()).data());
    engine.input.filled(bytes.size());
}

/// The flights of a handshake: the client's hello, the server's answer, the client's end, tickets.
constexpr std::size_t flights = 4;

/// A handshake whose flight `which` arrives in two parts. Returns: the length of that flight.
std::size_t handshake_cut_at(two_engines& of, std::size_t which, std::size_t at) {
    std::size_t length = 0;
    tls_engine* from = of.client.get();
    tls_engine* to = of.server.get();
    REQUIRE(from->handshake() == tls_step::want_input);
    for (std::size_t flight = 0; flight < flights; ++flight) {
        const std::string bytes = taken_from(*from);
        const std::string_view all = bytes;
        if (flight == which) {
            length = all.size();
            const std::size_t first = std::min(at, all.size());
            give(*to, all.substr(0, first));
            REQUIRE(to->handshake() != tls_step::failed);
            give(*to, all.substr(first));
        } else {
            give(*to, all);
        }
        REQUIRE(to->handshake() != tls_step::failed);
        std::swap(from, to);
    }
    REQUIRE(of.client->handshake() == tls_step::done);
    REQUIRE(of.server->handshake() == tls_step::done);
    return length;
}

/// Everything that `to` can decrypt.
std::string decrypted(tls_engine& to) {
    std::string all;
    std::array<char, 100> some;
    std::size_t got = 0;
    while (to.read(some, got) == tls_step::done) all.append(some.data(), got);
    return all;
}

}  // namespace

TEST_CASE("tls engine: a handshake whose flights are cut at every point", "[tls][engine]") {
    for (std::size_t flight = 0; flight < flights; ++flight) {
        std::size_t length = 1;
        const auto stride = static_cast<std::size_t>(many(1, 7));
        for (std::size_t at = 0; at < length; at += stride) {
            two_engines both;
            // The tickets are data of the client's first read, not of its handshake.
            length = handshake_cut_at(both, flight, at);
            CHECK(both.client->version() == tls::version::tls_1_3);
        }
        CHECK(length > 50);
    }
}

TEST_CASE("tls engine: records cut at every point, and one byte at a time", "[tls][engine]") {
    two_engines both;
    handshake_cut_at(both, 0, 1);
    const std::string sent = pattern(300);
    for (std::size_t at = 0; at < 330; ++at) {
        REQUIRE(both.client->write(sent) == tls_step::done);
        const std::string record = taken_from(*both.client);
        give(*both.server, std::string_view(record).substr(0, at));
        std::string got = decrypted(*both.server);
        give(*both.server, std::string_view(record).substr(std::min(at, record.size())));
        got += decrypted(*both.server);
        REQUIRE(got == sent);
    }
    REQUIRE(both.server->write(sent) == tls_step::done);
    std::string got;
    for (const char byte : taken_from(*both.server)) {
        give(*both.client, {&byte, 1});
        got += decrypted(*both.client);
    }
    CHECK(got == sent);
}

TEST_CASE("tls engine: a large read takes several records at once", "[tls][engine]") {
    two_engines both;
    handshake_cut_at(both, 0, 1);
    const std::string sent = pattern(100'000);
    REQUIRE(both.server->write(sent) == tls_step::done);
    give(*both.client, taken_from(*both.server));
    std::string room(sent.size() + 1, '\0');
    std::size_t got = 0;
    REQUIRE(both.client->read(room, got) == tls_step::done);
    CHECK(got == sent.size());
    CHECK(room.compare(0, got, sent) == 0);
    CHECK(both.client->read(room, got) == tls_step::want_input);
}

TEST_CASE("tls engine: the end of the peer's bytes is an end only after its close_notify",
          "[tls][engine]") {
    std::array<char, 16> room;
    std::size_t got = 0;
    {
        two_engines both;
        handshake_cut_at(both, 0, 1);
        REQUIRE(both.client->write(const_buffer("last")) == tls_step::done);
        both.client->say_goodbye();
        give(*both.server, taken_from(*both.client));
        REQUIRE(both.server->read(room, got) == tls_step::done);
        CHECK(got == 4);
        for (int i = 0; i < 2; ++i) CHECK(both.server->read(room, got) == tls_step::closed);
        CHECK(both.server->write(const_buffer("still")) == tls_step::done);
        give(*both.client, taken_from(*both.server));
        CHECK(decrypted(*both.client) == "still");
    }
    {
        two_engines both;
        handshake_cut_at(both, 0, 1);
        both.server->end_input();
        REQUIRE(both.server->read(room, got) == tls_step::failed);
        CHECK(both.server->failure.what == tls_failure::kind::truncated);
        CHECK(both.server->read(room, got) == tls_step::failed);
    }
    {
        two_engines both;
        REQUIRE(both.client->handshake() == tls_step::want_input);
        both.client->end_input();
        REQUIRE(both.client->handshake() == tls_step::failed);
        CHECK(both.client->failure.reason == "the peer ended the connection during the handshake");
    }
}

TEST_CASE("tls engine: bytes that are no TLS, and records that were changed, fail for good",
          "[tls][engine]") {
    const auto said_to_client = [](std::string_view bytes) {
        two_engines both;
        REQUIRE(both.client->handshake() == tls_step::want_input);
        give(*both.client, bytes);
        REQUIRE(both.client->handshake() == tls_step::failed);
        CHECK(both.client->handshake() == tls_step::failed);
        return both.client->failure.reason;
    };
    CHECK(said_to_client("HTTP/1.1 400 Bad Request\r\n\r\n") ==
          "the peer does not speak TLS (wrong version number)");
    CHECK(said_to_client({"\x15\x03\x03\x00\x02\x02\x28", 7}) ==
          "the peer sent the alert \"handshake failure\"");
    two_engines plain;
    give(*plain.server, "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
    REQUIRE(plain.server->handshake() == tls_step::failed);
    CHECK(plain.server->failure.reason == "the peer does not speak TLS (http request)");

    two_engines both;
    handshake_cut_at(both, 0, 1);
    REQUIRE(both.client->write(const_buffer("a secret")) == tls_step::done);
    std::string record = taken_from(*both.client);
    record.back() = static_cast<char>(record.back() ^ 1);
    give(*both.server, record);
    std::array<char, 16> room;
    std::size_t got = 0;
    REQUIRE(both.server->read(room, got) == tls_step::failed);
    CHECK(both.server->failure.reason == "decryption failed or bad record mac");
    CHECK_FALSE(both.server->output.empty());  // the alert
    CHECK(both.server->write(const_buffer("no")) == tls_step::failed);
}

TEST_CASE("tls engine: a session of one name's context does not get around another's check",
          "[tls][engine]") {
    const auto plain = context_of(test_authority().issue("a.example"));
    const auto guarded = context_of(test_authority().issue("b.example"))
                             .require_client_certificate_text(test_authority().pem());
    const auto server_context = context_of(localhost_identity())
                                    .by_name([plain, guarded](std::string_view name) {
                                        return std::optional(name == "a.example" ? plain : guarded);
                                    });
    const auto client_context = tls::client_context().trust_text(test_authority().pem());
    bool was_resumed = false;
    const auto meet = [&](const char* host) {
        tls_engine_options options;
        options.host = host;
        options.session = "one for both names";
        const auto client =
            make_tls_engine(tls_access::state(client_context)->get(), options);
        const auto server = make_tls_engine(tls_access::state(server_context)->get(), {});
        tls_step step = tls_step::want_input;
        for (int flight = 0; flight < 2 && step == tls_step::want_input; ++flight) {
            client->handshake();
            give(*server, taken_from(*client));
            step = server->handshake();
            give(*client, taken_from(*server));
        }
        decrypted(*client);  // the tickets
        was_resumed = client->resumed();
        return step == tls_step::failed ? server->failure.reason : std::string();
    };
    CHECK(meet("a.example").empty());
    CHECK(meet("a.example").empty());
    CHECK(was_resumed);
    CHECK(meet("b.example") == "peer did not return a certificate");
    CHECK_FALSE(was_resumed);
}

TEST_CASE("tls engine: errors that others left in OpenSSL's queue are not ours", "[tls][engine]") {
    ERR_put_error(ERR_LIB_SSL, 0, SSL_R_BAD_PACKET, "other", 1);
    two_engines both;
    ERR_put_error(ERR_LIB_SSL, 0, SSL_R_BAD_PACKET, "other", 1);
    handshake_cut_at(both, 1, 10);
    ERR_put_error(ERR_LIB_SSL, 0, SSL_R_BAD_PACKET, "other", 1);
    REQUIRE(both.client->write(const_buffer("text")) == tls_step::done);
    give(*both.server, taken_from(*both.client));
    ERR_put_error(ERR_LIB_SSL, 0, SSL_R_BAD_PACKET, "other", 1);
    CHECK(decrypted(*both.server) == "text");
    ERR_clear_error();
}
