// SPDX-License-Identifier: MIT
// Follows server-sent events, as those of sse_clock, and goes on after a connection is lost. Ctrl-C
// ends it, and so does a server that answers 204.
// Run: sse_client URL
#include <cstdio>
#include <exception>
#include <string>

#include <fmt/core.h>
#include <rondo/http.hpp>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> follow(std::string url) {
    rondo::http::session http;
    auto response = co_await http.get(url).header("accept", "text/event-stream");
    auto events = response.events({.attempts = 10, .silence = 5min});
    while (auto event = co_await events.next()) {
        fmt::print("{} {}: {}\n", event->id.empty() ? "-" : event->id, event->type, event->data);
        std::fflush(stdout);
    }
}

int main(int argc, char** argv) {
    if (argc != 2) {
        fmt::print(stderr, "usage: {} URL\n", argv[0]);
        return 2;
    }
    try {
        rondo::run(follow(argv[1]));
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
    return rondo::interrupted();
}
