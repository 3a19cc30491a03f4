// SPDX-License-Identifier: MIT
// Thousands of connections at once in one process: each is answered three times, nothing leaks, and
// the memory of an idle connection is bounded.
#include <sys/resource.h>

#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include <rondo/connect.hpp>
#include <rondo/run.hpp>
#include <rondo/serve.hpp>

#include "support/core_tools.hpp"
#include "support/count_allocations.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

double resident_bytes() {
    long pages = 0;
    if (std::FILE* statm = std::fopen("/proc/self/statm", "re")) {
        if (std::fscanf(statm, "%*d %ld", &pages) != 1) pages = 0;
        std::fclose(statm);
    }
    return static_cast<double>(pages) * 4096;
}

/// Number of pairs: 9,000, or as many as the hard limit of descriptors allows.
std::size_t pairs_possible() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    const std::size_t wanted = static_cast<std::size_t>(rondo_tests::many(9000, 1000));
    const std::size_t possible = limit.rlim_cur > 300 ? (limit.rlim_cur - 200) / 2 : 50;
    if (possible < wanted)
        std::printf("the limit of descriptors allows only %zu pairs\n", possible);
    return std::min(wanted, possible);
}

task<> echo_into_frame(tcp_stream peer) {
    std::array<char, 16 * 1024> buffer;
    while (auto chunk = co_await peer.read_some(buffer)) co_await peer.write_all(chunk);
}

task<> echo_views(tcp_stream peer) {
    while (const auto view = co_await peer.read_view()) co_await peer.write_all(view);
}

struct figures {
    double resident[3] = {0, 0, 0};  // in each round, with all connections open
    std::size_t blocks[3] = {0, 0, 0};  // of the heap, after each round, with none open
    double before = 0;
};

template <class Handler>
task<> rounds(std::size_t pairs, Handler handler, figures* out) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const endpoint where = listener.local();
    auto server = create_task(serve(std::move(listener), handler));
    std::vector<tcp_stream> clients(pairs);
    out->before = resident_bytes();
    co_await yield_now();  // the server accepts
    const std::size_t idle = running_loop().stats().operations;
    for (int round = 0; round < 3; ++round) {
        for (tcp_stream& each : clients) each = co_await connect_tcp(where);
        std::array<char, 64> buffer;
        std::size_t right = 0;
        for (std::size_t i = 0; i < pairs; ++i) {
            const std::string word = "hello " + std::to_string(i);
            co_await clients[i].write_all(word);
            std::string back;
            while (back.size() < word.size()) {
                const chunk some = co_await clients[i].read_some(buffer);
                if (!some) break;
                back.append(some.data(), some.size());
            }
            right += back == word;
        }
        CHECK(right == pairs);
        out->resident[round] = resident_bytes();
        for (tcp_stream& each : clients) each.abort();  // without TIME_WAIT, which holds ports
        const auto now = [] { return running_loop().stats(); };
        while (now().tasks > 2 || now().operations > idle) co_await yield_now();
        out->blocks[round] = rondo_tests::live_blocks();
    }
    server.cancel();
    CHECK_THROWS_AS(co_await server, future_cancelled);
}

template <class Handler>
void check(const char* name, Handler handler, double bytes_most) {
    const std::size_t pairs = pairs_possible();
    testing::leak_probe probe;
    figures seen;
    {
        loop home;
        home.set_exception_handler([](const exception_context&) {});  // resets are expected
        home.run_until_complete(rounds(pairs, handler, &seen));
    }
    CHECK(probe.leaks().empty());
    // Both ends are in this process; the client's end is a bare stream.
    const double each = (seen.resident[0] - seen.before) / static_cast<double>(pairs);
    std::printf("%zu pairs, %s: %.0f bytes of memory a pair; resident in three rounds %.1f, %.1f, "
                "%.1f MB; blocks of the heap after them %zu, %zu, %zu\n",
                pairs, name, each, seen.resident[0] / 1e6, seen.resident[1] / 1e6,
                seen.resident[2] / 1e6, seen.blocks[0], seen.blocks[1], seen.blocks[2]);
    if (rondo_tests::with_asan() || rondo_tests::with_tsan()) return;
    CHECK(seen.blocks[0] > 0);
    CHECK(seen.blocks[2] == seen.blocks[1]);
    CHECK(each <= bytes_most);
}

}  // namespace

TEST_CASE("connections: thousands at once, by views, for at most 4 KiB each", "[connections]") {
    check("views", echo_views, 4096);
}

TEST_CASE("connections: thousands at once, into buffers in their frames", "[connections]") {
    check("a buffer of 16 KiB each", echo_into_frame, 24'000);
}
