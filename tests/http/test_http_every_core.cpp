// SPDX-License-Identifier: MIT
// A server on each loop of a loop_pool: one router, a listener for each, and the kernel spreads the
// connections.
#include <rondo/http.hpp>
#include <rondo/loop_pool.hpp>
#include <rondo/run.hpp>

#include <set>
#include <string>

#include "support/core_tools.hpp"

using namespace rondo;

namespace {

task<> serve_here(tcp_listener listener, const http::router* site) {
    co_await http::serve(std::move(listener), *site);
}

/// The answers to `count` requests, each over a connection of its own.
task<std::set<std::string>> ask_often(std::string url, int count) {
    std::set<std::string> heard;
    for (int i = 0; i < count; ++i) {
        http::session client;
        auto response = co_await client.get(url);
        heard.insert(co_await response.text());
        co_await client.close();
    }
    co_return heard;
}

}  // namespace

TEST_CASE("http server: one router serves on every core", "[http_every_core][kernel]") {
    const testing::leak_probe probe;
    {
        http::router site;
        site.get("/core/{any}", [](http::request& request) {
            return http::reply::text(std::string(request.parameter("any")) +
                                     std::to_string(loop_pool::current_index()));
        });
        loop_pool cores(2);
        auto first = tcp_listener::bind({"127.0.0.1", 0}, {.reuse_port = true});
        auto second = tcp_listener::bind(first.local(), {.reuse_port = true});
        const std::string url = "http://" + first.local().text() + "/core/number-";
        cores.submit(0, serve_here, std::move(first), &site);
        cores.submit(1, serve_here, std::move(second), &site);
        CHECK(run(ask_often(url, 64)) == std::set<std::string>{"number-0", "number-1"});
    }
    CHECK(probe.leaks() == "");
}
