// SPDX-License-Identifier: MIT
// The fault sweep over TLS: a fault at every operation and call of handshakes, reads, writes and
// ends. See sweep/fault_sweep.hpp.
#include <cstdio>

#include <rondo/tls.hpp>

#include "support/tls_tools.hpp"
#include "sweep/impatient.hpp"
#include "sweep/streams.hpp"

namespace {

using namespace fault_sweep;
using rondo_tests::localhost_context;
using rondo_tests::trusting_context;

task<tls_stream> begin_client(tcp_stream end) {
    return start_tls(std::move(end), trusting_context(), "localhost");
}

/// TLS over a TCP connection: the client writes.
struct over_tls {
    using both = ends<tls_stream, tls_stream>;
    static task<both> make() {
        auto plain = co_await over_tcp::make();
        auto making = gather(begin_client(std::move(plain.writer)),
                             start_tls(std::move(plain.reader), localhost_context()));
        auto [client, server] = co_await std::move(making);
        co_return both(std::move(client), std::move(server));
    }
};

task<> served_over_tls(verdict& v) {
    auto listener = tls_listener::bind({"127.0.0.1", 0}, localhost_context());
    const std::uint16_t port = listener.local().port();
    const auto handler = [](tls_stream peer) -> task<> {
        const auto line = co_await peer.read_line();
        co_await peer.write_all("you said ", line.value_or(""));
    };
    const auto client = [](std::uint16_t to, verdict* claims) -> task<> {
        auto peer = co_await connect_tls("127.0.0.1", to, trusting_context());
        co_await peer.write_all("hello\n");
        const std::string all = co_await peer.read_all();
        claims->expect(all == "you said hello", "a clean end is the whole answer");
        co_await peer.close();
    };
    auto both = race(serve(std::move(listener), handler), client(port, &v));
    co_await std::move(both);
}

task<> closed_in_order(verdict&) {
    auto both = co_await over_tls::make();
    const auto close = [](tls_stream* which) -> task<> {
        auto closing = which->close();
        co_await std::move(closing);
    };
    auto closings = gather(close(&both.writer), close(&both.reader));
    co_await std::move(closings);
}

task<> dropped_unread(verdict&) {
    auto both = co_await over_tls::make();
    co_await both.writer.write_all("no task reads this");
}

// Not `hears`: an error in sending tickets or a goodbye is not reported.
const scenario table[] = {
    {"transfer over TLS", transfer<over_tls>},
    {"gathered write over TLS", gathered_write<over_tls>},
    {"lines over TLS", lines<over_tls>},
    {"echo over TLS", echo<over_tls>},
    {"half close over TLS", half_close<over_tls>},
    {"impatient reads over TLS", impatient_reads<over_tls>},
    {"closed under a read over TLS", closed_under_a_read<over_tls>},
    {"serve over TLS", served_over_tls, reports},
    {"closed in order over TLS", closed_in_order},
    {"dropped unread over TLS", dropped_unread},
};

}  // namespace

TEST_CASE("tls sweep: a fault at every operation and call is an error at worst", "[tls][sweep]") {
    tally sum;
    const auto step = static_cast<std::size_t>(rondo_tests::many(1, 3));
    for (std::size_t i = 0; i < std::size(table); i += step) {
        INFO("scenario " << table[i].name);
        sweep(table[i], 1, sum);
        if (sum.defects.size() >= enough) break;
    }
    for (const std::string& defect : sum.defects) FAIL_CHECK(defect);
    std::printf("tls sweep: %llu injected runs, %llu operations, %llu ended with an error\n",
                static_cast<unsigned long long>(sum.injected),
                static_cast<unsigned long long>(sum.operations),
                static_cast<unsigned long long>(sum.failed_runs));
    CHECK(sum.scenarios == (std::size(table) + step - 1) / step);
    CHECK(sum.failed_runs > sum.injected / 4);
}
