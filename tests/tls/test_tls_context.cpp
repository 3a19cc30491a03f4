// SPDX-License-Identifier: MIT
// Contexts: what they trust, names and protocols that are negotiated, sessions, reloading.
#include <rondo/tls.hpp>

#include <fstream>
#include <sstream>
#include <string>

#include "support/tls_tools.hpp"

using namespace rondo_tests;

namespace {

template <class Call>
std::string error_of(Call call) {
    try {
        call();
    } catch (const std::exception& error) {
        return error.what();
    }
    return {};
}

std::string content(const std::string& path) {
    std::ostringstream all;
    all << std::ifstream(path).rdbuf();
    return all.str();
}

}  // namespace

TEST_CASE("tls context: an error of a file names the file", "[tls]") {
    const real_folder in;
    const identity own = localhost_identity();
    const identity other = localhost_identity();
    const std::string chain = in.put("chain.pem", own.chain), key = in.put("key.pem", own.key);
    const std::string wrong = in.put("wrong.pem", other.key), text = in.put("text", "hello\n");
    const auto server = [](std::string one, std::string two) {
        return error_of([&] { tls::server_context(one, two); });
    };
    CHECK(server(chain, key).empty());
    CHECK(server("/nowhere", key) == "certificate /nowhere: No such file or directory");
    CHECK(server(chain, "/nowhere") == "key /nowhere: No such file or directory");
    CHECK(server(text, key) == "certificate " + text + ": there is no certificate in it");
    CHECK(server(chain, text) == "key " + text + ": there is no private key in it");
    CHECK(server(chain, wrong) ==
          "key " + wrong + ": it does not belong to the first certificate of " + chain);
    tls::client_context client;
    CHECK(error_of([&] { client.trust_file("/nowhere"); }) ==
          "trust /nowhere: No such file or directory");
    CHECK(error_of([&] { client.trust_file(text); }) ==
          "trust " + text + ": there is no certificate in it");
    CHECK(error_of([&] { client.trust_folder("/nowhere"); }) ==
          "trust /nowhere: No such file or directory");
    CHECK(error_of([&] { client.crl_file(text); }) ==
          "revocations " + text + ": there is no list in it");
    CHECK(error_of([&] { client.key_log_file("/nowhere/log"); }) ==
          "key log /nowhere/log: No such file or directory");
    CHECK(error_of([&] { client.minimum_version(tls::version::none); }) ==
          "minimum_version: tls_1_2 or tls_1_3");
    CHECK(error_of([&] { client.alpn(""); }) ==
          "alpn: the name of a protocol has 1 to 255 bytes");
    std::string broken = own.chain;
    broken.replace(100, 4, "!!!!");
    CHECK(error_of([&] { client.trust_text(broken); }).substr(0, 35) ==
          "certificate text: it cannot be read");
}

RONDO_TEST("tls context: trust by file, folder and text, instead of the system's and beside it",
           "[tls]", seeds(1)) {
    const real_folder in;
    const authority other("another authority");
    const std::string ours = in.put("ours.pem", test_authority().pem());
    in.put("other.crt", other.pem());
    in.put("key.txt", "no certificate, passed over\n");
    const auto server = context_of(localhost_identity());
    const auto works = [&server](tls::client_context client) -> task<bool> {
        const said_by_both said = co_await try_handshake(client, server);
        co_return said.client.empty();
    };
    bool ok = co_await works(tls::client_context().trust_file(ours));
    CHECK(ok);
    ok = co_await works(tls::client_context().trust_folder(in.path()));
    CHECK(ok);
    ok = co_await works(tls::client_context().add_trust_text(test_authority().pem()));
    CHECK(ok);
    ok = co_await works(tls::client_context());
    CHECK_FALSE(ok);
    ok = co_await works(tls::client_context().trust_text(other.pem()));
    CHECK_FALSE(ok);
    // A copy that is changed is a context of its own.
    auto first = tls::client_context().trust_text(other.pem());
    auto second = first;
    CHECK(first == second);
    second.trust_file(ours);
    CHECK_FALSE(first == second);
    ok = co_await works(second);
    CHECK(ok);
    ok = co_await works(first);
    CHECK_FALSE(ok);
}

RONDO_TEST("tls context: ALPN agrees on the server's first choice, or on none", "[tls]",
           seeds(1)) {
    const auto server = context_of(localhost_identity()).alpn("h2", "http/1.1");
    auto client = trusting_context();
    client.alpn("http/1.1", "h2");
    auto pair = co_await tls_over_memory(client, server);
    CHECK(pair.client.alpn() == "h2");
    CHECK(pair.server.alpn() == "h2");
    pair = co_await tls_over_memory(trusting_context(), server);
    CHECK(pair.client.alpn().empty());
    pair = co_await tls_over_memory(client, localhost_context());
    CHECK(pair.server.alpn().empty());
    client.alpn("gopher");
    const said_by_both said = co_await try_handshake(client, server);
    CHECK(said.server == "handshake: no application protocol");
    CHECK(said.client ==
          "handshake localhost: the peer sent the alert \"no application protocol\"");

    auto ends = memory_stream::pair();
    auto both = gather(
        start_tls(std::move(ends.first), client, "localhost", {.alpn = "spdy/1,http/1.1"}),
        start_tls(std::move(ends.second), server));
    const auto made = co_await std::move(both);
    CHECK(std::get<0>(made).alpn() == "http/1.1");
}

RONDO_TEST("tls context: old versions are refused", "[tls]", seeds(1)) {
    auto modern = trusting_context();
    modern.minimum_version(tls::version::tls_1_3);
    const identity own = localhost_identity();
    const raw_context ctx = lax_server(own);
    const auto meet = [&ctx](tls::client_context client, int most) -> task<std::string> {
        SSL_CTX_set_max_proto_version(ctx.get(), most);
        auto ends = memory_stream::pair();
        raw_peer server(std::move(ends.second), ctx.get(), true);
        std::string said;
        const auto connect = [&]() -> task<> {
            try {
                auto stream = co_await start_tls(std::move(ends.first), client, "localhost");
                said = tls::text(stream.version());
            } catch (const tls_error& error) {
                said = error.what();
            }
        };
        auto both = gather(connect(), server.handshake());
        co_await std::move(both);
        co_return said;
    };
    std::string said = co_await meet(trusting_context(), TLS1_2_VERSION);
    CHECK(said == "TLS 1.2");
    said = co_await meet(modern, TLS1_2_VERSION);
    CHECK(said == "handshake localhost: the peer sent the alert \"protocol version\"");
    said = co_await meet(trusting_context(), TLS1_1_VERSION);
    CHECK(said == "handshake localhost: the peer sent the alert \"protocol version\"");
}

RONDO_TEST("tls context: a server chooses its context by the name that the client asks for",
           "[tls]", seeds(1)) {
    const auto plain = context_of(test_authority().issue("a.example"));
    const auto guarded = context_of(test_authority().issue("b.example"))
                             .require_client_certificate_text(test_authority().pem())
                             .alpn("special");
    const auto server = context_of(localhost_identity())
                            .by_name([plain, guarded](std::string_view name)
                                         -> std::optional<tls::server_context> {
                                if (name == "a.example") return plain;
                                if (name == "b.example") return guarded;
                                if (name == "c.example") throw std::runtime_error("not here");
                                return std::nullopt;
                            });
    said_by_both said = co_await try_handshake(trusting_context(), server, "a.example");
    CHECK(said.client.empty());
    said = co_await try_handshake(trusting_context(), server, "localhost");
    CHECK(said.client.empty());
    said = co_await try_handshake(trusting_context(), server, "127.0.0.1");  // no name is sent
    CHECK(said.client.empty());
    said = co_await try_handshake(trusting_context(), server, "c.example");
    CHECK(said.client == "handshake c.example: the peer sent the alert \"unrecognized name\"");
    // Not even with a session of the other name: it must show a certificate.
    said = co_await try_handshake(trusting_context(), server, "b.example");
    CHECK(said.server == "handshake: peer did not return a certificate");
    auto ends = memory_stream::pair();
    auto client = trusting_context();
    client.server_name("a.example");  // wins over the host that is connected to
    auto both = gather(start_tls(std::move(ends.first), client, "elsewhere"),
                       start_tls(std::move(ends.second), server));
    const auto made = co_await std::move(both);
    CHECK(std::get<1>(made).server_name() == "a.example");
}

RONDO_TEST("tls context: sessions are resumed, once each, by the same context and host only",
           "[tls]", seeds(1)) {
    const auto server = context_of(localhost_identity());
    const auto client = tls::client_context().trust_text(test_authority().pem());
    const auto resumed = [&server](tls::client_context with, std::string host) -> task<bool> {
        auto ends = memory_stream::pair();
        auto both = gather(start_tls(std::move(ends.first), with, host),
                           start_tls(std::move(ends.second), server));
        auto made = co_await std::move(both);
        tls_stream& here = std::get<0>(made);
        co_await std::get<1>(made).write_all("x");
        std::string one = co_await here.read_exactly(std::size_t(1));  // the tickets come before it
        const bool same = here.resumed() == std::get<1>(made).resumed();
        CHECK(same);
        co_return here.resumed();
    };
    bool again = co_await resumed(client, "localhost");
    CHECK_FALSE(again);
    for (int i = 0; i < 5; ++i) {
        again = co_await resumed(client, "localhost");
        CHECK(again);
    }
    again = co_await resumed(client, "127.0.0.1");
    CHECK_FALSE(again);
    auto other = client;
    other.resumption(true);  // a change makes it another context
    again = co_await resumed(other, "localhost");
    CHECK_FALSE(again);
    other.resumption(false);
    for (int i = 0; i < 2; ++i) {
        again = co_await resumed(other, "localhost");
        CHECK_FALSE(again);
    }
}

RONDO_TEST("tls context: reload changes the certificate of new connections on every copy",
           "[tls]", seeds(1)) {
    const real_folder in;
    const identity before = localhost_identity(), after = localhost_identity();
    const std::string chain = in.put("chain.pem", before.chain);
    tls::server_context server(chain, in.put("key.pem", before.key));
    const tls::server_context copy = server;
    const auto shown = [&copy]() -> task<std::string> {
        auto pair = co_await tls_over_memory(trusting_context(), copy);
        co_return pair.client.peer_certificate().value().pem();
    };
    std::string pem = co_await shown();
    CHECK(pem == before.chain);
    auto old = co_await tls_over_memory(trusting_context(), copy);
    in.put("chain.pem", after.chain);
    CHECK_THROWS_AS(server.reload(), tls_error);  // the key is still the old one
    pem = co_await shown();
    CHECK(pem == before.chain);
    in.put("key.pem", after.key);
    server.reload();
    pem = co_await shown();
    CHECK(pem == after.chain);
    co_await old.client.write_all("goes on\n");
    const auto line = co_await old.server.read_line();
    CHECK(line.value() == "goes on");
    CHECK_THROWS_AS(context_of(before).reload(), invalid_state_error);
}

RONDO_TEST("tls context: secrets go to a file on request only", "[tls]", seeds(1)) {
    const real_folder in;
    const std::string log = in.path() + "/keys", from_environment = in.path() + "/more";
    auto client = trusting_context();
    client.key_log_file(log);
    co_await tls_over_memory(client, localhost_context());
    CHECK(content(log).find("CLIENT_TRAFFIC_SECRET_0 ") != std::string::npos);
    ::setenv("SSLKEYLOGFILE", from_environment.c_str(), 1);
    auto asked = tls::client_context().trust_text(test_authority().pem());
    co_await tls_over_memory(asked, localhost_context());
    CHECK(content(from_environment).empty());
    asked.key_log_from_environment();
    ::unsetenv("SSLKEYLOGFILE");
    co_await tls_over_memory(asked, localhost_context());
    CHECK(content(from_environment).find("CLIENT_TRAFFIC_SECRET_0 ") != std::string::npos);
}
