// SPDX-License-Identifier: MIT
// Pairs of TLS streams for tests, over memory and over TCP, with an authority and a certificate of
// localhost that are made once.
#pragma once

#include <string>
#include <utility>

#include <rondo/gather.hpp>
#include <rondo/memory_stream.hpp>
#include <rondo/tls.hpp>

#include "support/certificates.hpp"
#include "support/core_tools.hpp"
#include "support/net_tools.hpp"

namespace rondo_tests {

/// The authority that tests trust.
inline const authority& test_authority() {
    static const authority one("rondo's test authority");
    return one;
}
inline identity localhost_identity() {
    certificate_wish wish;
    wish.common_name = "localhost";
    wish.names = "DNS:localhost,IP:127.0.0.1,IP:::1";
    return test_authority().issue(wish);
}
/// Contexts that all tests share, as programs do.
inline const tls::server_context& localhost_context() {
    static const tls::server_context one = [] {
        const identity own = localhost_identity();
        return tls::server_context::from_text(own.chain, own.key);
    }();
    return one;
}
inline const tls::client_context& trusting_context() {
    static const tls::client_context one =
        tls::client_context().trust_text(test_authority().pem());
    return one;
}

class tls_pair {
public:
    tls_stream client, server;
    tls_pair(tls_stream c, tls_stream s) : client(std::move(c)), server(std::move(s)) {}
};

/// Makes both handshakes over a pair of connected streams.
template <class S>
task<tls_pair> tls_over(S client_end, S server_end,
                        tls::client_context client = trusting_context(),
                        tls::server_context server = localhost_context()) {
    auto both = gather(start_tls(std::move(client_end), client, "localhost"),
                       start_tls(std::move(server_end), server));
    auto ends = co_await std::move(both);
    co_return tls_pair(std::move(std::get<0>(ends)), std::move(std::get<1>(ends)));
}

inline task<tls_pair> tls_over_memory(tls::client_context client = trusting_context(),
                                      tls::server_context server = localhost_context(),
                                      memory_stream_options options = {}) {
    auto ends = memory_stream::pair(options);
    return tls_over(std::move(ends.first), std::move(ends.second), std::move(client),
                    std::move(server));
}

inline task<tls_pair> tls_over_tcp(tls::client_context client = trusting_context(),
                                   tls::server_context server = localhost_context()) {
    auto ends = co_await connect_pair();
    auto made = tls_over(std::move(ends.client), std::move(ends.server), client, server);
    co_return co_await std::move(made);
}

}  // namespace rondo_tests
