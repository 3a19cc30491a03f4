// SPDX-License-Identifier: MIT
// Shows map_concurrent: scans the ports of this machine, hundreds of connects at a time, each with
// a time limit. Refused and silent ports count as closed. Scanning other people's machines needs
// their permission, so this scans only loopback addresses.
// Run: port_scanner [FIRST LAST [ADDRESS]] (1 1024 127.0.0.1)
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

constexpr std::size_t attempts_max = 200;  // at a time: each holds a descriptor

rondo::task<bool> is_open(rondo::endpoint where) {
    try {
        co_await rondo::connect_tcp(where, {.timeout = 1s});
        co_return true;
    } catch (const std::system_error&) {  // refused, or timeout_error, which derives from it
        co_return false;
    }
}

rondo::task<> scan(rondo::endpoint host, std::uint16_t first, std::uint16_t last) {
    std::vector<rondo::endpoint> all;
    for (unsigned port = first; port <= last; ++port)
        all.push_back(host.with_port(static_cast<std::uint16_t>(port)));
    const auto open = co_await rondo::map_concurrent(attempts_max, all, is_open);
    for (std::size_t i = 0; i < all.size(); ++i)
        if (open[i]) fmt::print("{} is open\n", all[i].text());
    fmt::print("{} of {} ports are open\n", std::count(open.begin(), open.end(), true), all.size());
}

std::optional<std::uint16_t> port_of(std::string_view text) {
    std::uint16_t port = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), port);
    if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
    return port;
}

bool is_loopback(const rondo::endpoint& host) {
    const std::string address = host.address();
    return address == "::1" || address.starts_with("127.");
}

int main(int argc, char** argv) {
    const auto first = port_of(argc > 2 ? argv[1] : "1");
    const auto last = port_of(argc > 2 ? argv[2] : "1024");
    const auto host = rondo::endpoint::parse(argc > 3 ? argv[3] : "127.0.0.1", 0);
    if (argc == 2 || argc > 4 || !first || !last || *first > *last) {
        fmt::print(stderr, "usage: {} [FIRST LAST [ADDRESS]]\n", argv[0]);
        return 2;
    }
    if (!host || !is_loopback(*host)) {
        fmt::print(stderr, "{}: only addresses of loopback are scanned\n", argv[0]);
        return 2;
    }
    rondo::run(scan(*host, *first, *last));
}
