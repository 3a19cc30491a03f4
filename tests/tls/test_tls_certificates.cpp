// SPDX-License-Identifier: MIT
// Which certificates are accepted, and what is said of those that are not. Every one is made here.
// docs/tls.md has the table.
#include <rondo/tls.hpp>

#include <ctime>
#include <string>
#include <vector>

#include "support/tls_tools.hpp"

using namespace rondo_tests;

namespace {

constexpr long day = 24 * 3600;

certificate_wish of_localhost() {
    certificate_wish wish;
    wish.common_name = "localhost";
    wish.names = "DNS:localhost";
    return wish;
}

/// The error of a client that trusts the test authority; empty if there is none.
task<std::string> refusal(identity own, std::string host = "localhost") {
    const said_by_both said = co_await try_handshake(trusting_context(), context_of(own), host);
    CHECK(said.client.empty() == said.server.empty());
    co_return said.client;
}

task<std::string> refusal(certificate_wish wish, std::string host = "localhost") {
    return refusal(test_authority().issue(wish), std::move(host));
}

std::string date_in(long seconds) {
    const std::time_t when = std::time(nullptr) + seconds;
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%d", std::gmtime(&when));
    return text;
}

}  // namespace

RONDO_TEST("tls certificates: good ones are accepted, also by wildcard and by address", "[tls]",
           seeds(1)) {
    std::string said = co_await refusal(of_localhost());
    CHECK(said.empty());
    certificate_wish wild = of_localhost();
    wild.names = "DNS:*.example.org,IP:192.0.2.7,IP:2001:db8::1";
    const identity own = test_authority().issue(wild);
    for (const char* host : {"www.example.org", "WWW.Example.org.", "192.0.2.7", "2001:db8::1",
                             "[2001:db8::1]"}) {
        said = co_await refusal(own, host);
        CHECK(said.empty());
    }
    said = co_await refusal(own, "a.b.example.org");
    CHECK(said ==
          "handshake a.b.example.org: host name mismatch: wanted a.b.example.org, certificate is "
          "for *.example.org, 192.0.2.7, 2001:db8::1");
    said = co_await refusal(own, "192.0.2.8");
    CHECK(said ==
          "handshake 192.0.2.8: host name mismatch: wanted 192.0.2.8, certificate is for "
          "*.example.org, 192.0.2.7, 2001:db8::1");
}

RONDO_TEST("tls certificates: dates, names and issuers that are refused", "[tls]", seeds(1)) {
    certificate_wish wish = of_localhost();
    wish.from = -30 * day;
    wish.until = -2 * day;
    std::string said = co_await refusal(wish);
    CHECK(said ==
          "handshake localhost: certificate of localhost has expired (" + date_in(-2 * day) + ")");

    wish = of_localhost();
    wish.from = 3 * day;
    said = co_await refusal(wish);
    CHECK(said == "handshake localhost: certificate of localhost is not valid yet (from " +
                      date_in(3 * day) + ")");

    said = co_await refusal(authority::self_signed(of_localhost()));
    CHECK(said ==
          "handshake localhost: certificate of localhost is self-signed and not trusted");

    said = co_await refusal(of_localhost(), "example.org");
    CHECK(said ==
          "handshake example.org: host name mismatch: wanted example.org, certificate is for "
          "localhost");

    wish = of_localhost();
    wish.names.clear();
    said = co_await refusal(wish);
    CHECK(said ==
          "handshake localhost: host name mismatch: wanted localhost, certificate names no host "
          "(its common name \"localhost\" does not count)");

    const authority stranger("a stranger");
    said = co_await refusal(stranger.issue(of_localhost()));
    CHECK(said ==
          "handshake localhost: certificate of localhost is not trusted: its issuer a stranger is "
          "unknown (not trusted, or missing in the chain that the peer sent)");

    wish = of_localhost();
    wish.use = "clientAuth";
    said = co_await refusal(wish);
    CHECK(said == "handshake localhost: certificate of localhost was not issued for this use");
}

RONDO_TEST("tls certificates: a chain needs its intermediate", "[tls]", seeds(1)) {
    const authority middle("an intermediate", &test_authority());
    identity own = middle.issue(of_localhost());
    std::string said = co_await refusal(own);
    CHECK(said ==
          "handshake localhost: certificate of localhost is not trusted: its issuer an "
          "intermediate is unknown (not trusted, or missing in the chain that the peer sent)");
    own.chain += middle.pem();
    said = co_await refusal(own);
    CHECK(said.empty());
    // A trusted intermediate is enough, and so is the server's own certificate.
    const identity alone = middle.issue(of_localhost());
    for (const std::string& trusted : {middle.pem(), alone.chain}) {
        const auto trust = tls::client_context().trust_text(trusted);
        const said_by_both both = co_await try_handshake(trust, context_of(alone));
        CHECK(both.client.empty());
    }
    const authority stranger("a stranger");
    own = stranger.issue(of_localhost());
    own.chain += stranger.pem();
    said = co_await refusal(own);
    CHECK(said ==
          "handshake localhost: certificate of the authority a stranger is not trusted");
}

RONDO_TEST("tls certificates: one that we have revoked", "[tls]", seeds(1)) {
    const real_folder in;
    const identity bad = test_authority().issue(of_localhost());
    const identity good = test_authority().issue(of_localhost());
    auto trust = tls::client_context().trust_text(test_authority().pem());
    trust.crl_file(in.put("revoked.pem", test_authority().revoke(bad.chain)));
    said_by_both said = co_await try_handshake(trust, context_of(bad));
    CHECK(said.client == "handshake localhost: certificate of localhost was revoked");
    CHECK(said.server == "handshake: the peer sent the alert \"certificate revoked\"");
    said = co_await try_handshake(trust, context_of(good));
    CHECK(said.client.empty());
    const authority other("an authority without a list");
    trust.add_trust_text(other.pem());
    said = co_await try_handshake(trust, context_of(other.issue(of_localhost())));
    CHECK(said.client ==
          "handshake localhost: certificate of localhost cannot be checked: there is no list of "
          "revocations of an authority without a list");
}

RONDO_TEST("tls certificates: a key that is too weak", "[tls]", seeds(1)) {
    certificate_wish wish = of_localhost();
    wish.rsa_bits = 1024;
    const identity weak = test_authority().issue(wish);
    std::string said;
    try {
        context_of(weak);
    } catch (const tls_error& error) {
        said = error.what();
    }
    CHECK(said == "certificate text: ee key too small");
    const raw_context ctx = lax_server(weak);
    auto ends = memory_stream::pair();
    raw_peer server(std::move(ends.second), ctx.get(), true);
    said.clear();
    auto both = gather(
        shake_and_note(start_tls(std::move(ends.first), trusting_context(), "localhost"), &said),
        server.handshake());
    co_await std::move(both);
    CHECK(said ==
          "handshake localhost: certificate of localhost has a key that is too weak (RSA of 1024 "
          "bits)");
}

RONDO_TEST("tls certificates: a client without one, or with one that is not accepted", "[tls]",
           seeds(1)) {
    const auto wanted =
        context_of(localhost_identity()).require_client_certificate_text(test_authority().pem());
    const auto asked =
        context_of(localhost_identity()).ask_client_certificate_text(test_authority().pem());
    said_by_both said = co_await try_handshake(trusting_context(), wanted);
    CHECK(said.server == "handshake: peer did not return a certificate");
    CHECK(said.client == "recv localhost: the peer sent the alert \"certificate required\"");
    said = co_await try_handshake(trusting_context(), asked);
    CHECK(said.server.empty());

    certificate_wish wish;
    wish.common_name = "ada";
    const identity ada = test_authority().issue(wish);
    auto client = trusting_context();
    client.certificate_text(ada.chain, ada.key);
    said = co_await try_handshake(client, wanted);
    CHECK(said.server.empty());
    auto pair = co_await tls_over_memory(client, wanted);
    CHECK(pair.server.peer_certificate().value().subject() == "CN = ada");

    wish.until = -1 * day / 2;
    const identity late = test_authority().issue(wish);
    client.certificate_text(late.chain, late.key);
    for (const auto& server : {wanted, asked}) {
        said = co_await try_handshake(client, server);
        CHECK(said.server == "handshake: certificate of the client ada has expired (" +
                                 date_in(-1 * day / 2) + ")");
        CHECK(said.client == "recv localhost: the peer sent the alert \"certificate expired\"");
    }
}

RONDO_TEST("tls certificates: verification that is switched off accepts everything", "[tls]",
           seeds(1)) {
    const auto blind = tls::client_context().insecure_skip_verification();
    const identity own = authority::self_signed(of_localhost());
    said_by_both said = co_await try_handshake(blind, context_of(own), "example.org");
    CHECK(said.client.empty());
    auto ends = memory_stream::pair();
    CHECK_THROWS_WITH(start_tls(std::move(ends.first), trusting_context()),
                      "start_tls: the certificate must be of some host, so pass its name: "
                      "start_tls(stream, context, \"example.org\")");
}

TEST_CASE("tls certificates: the parts of one", "[tls]") {
    certificate_wish wish = of_localhost();
    wish.names = "DNS:a.example,DNS:b.example,IP:127.0.0.1,email:x@example.org";
    const identity own = test_authority().issue(wish);
    const auto one = tls::certificate::from_text(own.chain);
    CHECK(one.subject() == "CN = localhost");
    CHECK(one.issuer() == "CN = rondo's test authority");
    CHECK(one.names() == std::vector<std::string>{"a.example", "b.example", "127.0.0.1"});
    const auto now = std::chrono::system_clock::now();
    CHECK(one.not_before() < now);
    CHECK(one.not_after() > now + std::chrono::hours(24 * 364));
    CHECK(one.fingerprint().size() == 64);
    CHECK_FALSE(one.serial().empty());
    CHECK(one.pem() == own.chain);
    CHECK_THROWS_WITH(tls::certificate::from_text("no certificate"),
                      "certificate text: there is no certificate in it");
}
