// SPDX-License-Identifier: MIT
// Shows TLS on both sides: a server that echoes lines, and a client that verifies it. The server
// reads its certificate again on SIGHUP: connections that are open go on.
// Make an authority and a certificate of localhost, for a trial:
//   openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=authority -keyout ca.key -out ca.pem
//   openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout key.pem -out request
//   echo subjectAltName=DNS:localhost > names
//   openssl x509 -req -in request -CA ca.pem -CAkey ca.key -extfile names -out chain.pem
// Run: tls_echo serve chain.pem key.pem PORT      then: tls_echo ask ca.pem localhost PORT hello
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/core.h>
#include <rondo/rondo.hpp>
#include <rondo/tls.hpp>

rondo::task<> echo(rondo::tls_stream peer) {
    while (auto line = co_await peer.read_line()) co_await peer.write_all(*line, "\n");
}

// A context is shared by its copies, so the listener gets the new certificate too. If the files do
// not fit together, the old certificate stays.
rondo::task<> reload_on_hangup(rondo::tls::server_context identity) {
    rondo::signal_set hangups(SIGHUP);
    while (auto signal = co_await hangups.next()) {
        try {
            identity.reload();
            fmt::print("new certificate\n");
        } catch (const std::exception& error) {
            fmt::print(stderr, "{}\n", error.what());
        }
        std::fflush(stdout);
    }
}

rondo::task<> serve(std::string chain, std::string key, std::uint16_t port) {
    auto identity = rondo::tls::server_context(chain, key);
    auto listener = rondo::tls_listener::bind({"127.0.0.1", port}, identity);
    fmt::print("listening on {}\n", listener.local().text());
    std::fflush(stdout);
    co_await rondo::gather(rondo::serve(std::move(listener), echo), reload_on_hangup(identity));
}

rondo::task<> ask(std::string authority, std::string host, std::uint16_t port, std::string line) {
    auto trust = rondo::tls::client_context().trust_file(authority);
    auto peer = co_await rondo::connect_tls(host, port, trust);
    fmt::print("{}, {}\n", rondo::tls::text(peer.version()), peer.peer_name());
    co_await peer.write_all(line, "\n");
    fmt::print("<- {}\n", (co_await peer.read_line()).value_or(""));
    co_await peer.close();
}

int main(int argc, char** argv) {
    const std::string_view what = argc > 1 ? argv[1] : "";
    const auto port = [&] { return static_cast<std::uint16_t>(std::atoi(argv[4])); };
    try {
        if (what == "serve" && argc == 5) {
            rondo::run(serve(argv[2], argv[3], port()));
        } else if (what == "ask" && argc == 6) {
            rondo::run(ask(argv[2], argv[3], port(), argv[5]));
        } else {
            fmt::print(stderr, "usage: {0} serve CHAIN KEY PORT | {0} ask CA HOST PORT LINE\n",
                       argv[0]);
            return 2;
        }
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
    return rondo::interrupted();
}
