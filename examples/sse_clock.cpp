// SPDX-License-Identifier: MIT
// A page with a clock that the server moves, by server-sent events. A browser that leaves cancels
// the task that writes to it.
// Run: sse_clock [PORT], then open http://127.0.0.1:8083/ or: curl -N http://127.0.0.1:8083/events
#include <cstdlib>
#include <ctime>
#include <string>

#include <fmt/core.h>
#include <rondo/http.hpp>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;
namespace http = rondo::http;

const char* const page = R"(<!doctype html><title>clock</title><h1 id="time"></h1><script>
new EventSource("/events").onmessage = e => time.textContent = e.data;
</script>
)";

http::reply show_page(http::request&) { return http::reply::html(page); }

rondo::task<> tell_time(http::body_writer& out) {
    for (rondo::interval second(1s);; co_await second.tick()) {
        const std::time_t now = std::time(nullptr);
        char text[16];
        std::tm parts{};
        localtime_r(&now, &parts);
        std::strftime(text, sizeof text, "%H:%M:%S", &parts);
        co_await out.send(text);
    }
}

rondo::task<http::reply> events(http::request&) {
    co_return http::reply::stream("text/event-stream", tell_time)
        .header("cache-control", "no-store");
}

int main(int argc, char** argv) {
    const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 8083);
    http::router site;
    site.get("/", show_page).get("/events", events);
    rondo::run(http::serve(rondo::tcp_listener::bind({"127.0.0.1", port}), site, {.grace = 1s}));
}
