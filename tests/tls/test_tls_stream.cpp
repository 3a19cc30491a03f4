// SPDX-License-Identifier: MIT
// TLS streams: what every stream can do, and what only TLS has.
#include <rondo/tls.hpp>

#include <array>
#include <string>

#include <rondo/race.hpp>
#include <rondo/serve.hpp>

#include "support/stream_checker.hpp"
#include "support/tls_tools.hpp"

using namespace rondo_tests;

namespace {

task<> echo(tls_stream peer) {
    std::array<char, 16 * 1024> buffer;
    while (auto some = co_await peer.read_some(buffer)) co_await peer.write_all(some);
}

task<> ask(std::uint16_t port) {
    auto peer = co_await connect_tls("localhost", port, trusting_context());
    co_await peer.write_all("hello\n");
    const auto line = co_await peer.read_line();
    CHECK(line.value() == "hello");
    CHECK(peer.version() == tls::version::tls_1_3);
    CHECK(tls::text(peer.version()) == "TLS 1.3");
    CHECK(peer.peer_name() == "localhost:" + std::to_string(port));
    CHECK(peer.peer_certificate().value().names().front() == "localhost");
    co_await peer.close();
    CHECK_FALSE(peer.is_open());
}

}  // namespace

RONDO_TEST("tls: a server echoes a line, and both sides end in order", "[tls][both]") {
    auto listener = tls_listener::bind({"127.0.0.1", 0}, localhost_context());
    const std::uint16_t port = listener.local().port();
    co_await race(serve(std::move(listener), echo), ask(port));
}

RONDO_TEST("tls: the stream checker, over memory", "[tls][checker]", seeds(2).limit(20s)) {
    const auto make = []() -> task<ends_of<tls_stream>> {
        auto pair = co_await tls_over_memory();
        co_return ends_of<tls_stream>(std::move(pair.client), std::move(pair.server));
    };
    co_await check_duplex(make);
}

RONDO_TEST("tls: the stream checker, over TCP", "[tls][checker][both]", seeds(2).limit(20s)) {
    const auto make = []() -> task<ends_of<tls_stream>> {
        auto pair = co_await tls_over_tcp();
        co_return ends_of<tls_stream>(std::move(pair.server), std::move(pair.client));
    };
    co_await check_duplex(make);
}
