// SPDX-License-Identifier: MIT
// The library without OpenSSL: what is used says what is missing. Built only then.
#include <string>

#include <rondo/memory_stream.hpp>
#include <rondo/tls.hpp>

#include "support/core_tools.hpp"

using namespace rondo_tests;

RONDO_TEST("tls: without OpenSSL the first use names the package", "[tls]") {
    const std::string sentence =
        "rondo was built without TLS: install libssl-dev and build it again, without "
        "-Dopenssl=disabled";
    auto ends = memory_stream::pair();
    std::string said;
    try {
        co_await start_tls(std::move(ends.first), tls::client_context(), "localhost");
    } catch (const tls_error& error) {
        said = error.what();
    }
    CHECK(said == sentence);
    CHECK_THROWS_AS(tls::server_context::from_text("", ""), tls_error);
    CHECK_THROWS_AS(tls::client_context().trust_text(""), tls_error);
    CHECK_THROWS_AS(tls::certificate::from_text(""), tls_error);
}
