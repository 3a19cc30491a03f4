// SPDX-License-Identifier: MIT
// Files as replies of HTTP/2: a piece is read when the client takes it, and one at a time.
#ifdef RONDO_WITH_NGHTTP2
#include "http/h2_tools.hpp"

#include <map>

#include <rondo/file_system.hpp>

#include "support/net_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace rondo_tests;
using namespace h2_talk;

constexpr std::size_t size = 200'000;

http::router file_site() {
    http::router site;
    site.get("/", [](http::request&) { return http::reply::file("/page"); });
    return site;
}
std::string hello(std::uint32_t stream_window) {
    return preface + frame(settings, 0, 0, number(4, 2) + number(stream_window));
}
std::string opened(std::uint32_t stream, std::uint32_t by) {
    return frame(window_update, 0, stream, number(by));
}

/// Bytes of each stream, and the codes of those that were reset.
struct heard {
    std::map<std::uint32_t, std::string> bodies;
    std::map<std::uint32_t, std::uint32_t> resets;
    std::size_t heads = 0;
    std::size_t bytes() const {
        std::size_t all = 0;
        for (const auto& each : bodies) all += each.second.size();
        return all;
    }
    void add(std::string_view text) {
        for (const heard_frame& each : frames_of(text)) {
            if (each.type == data) bodies[each.id] += each.payload;
            if (each.type == headers) ++heads;
            if (each.type == rst_stream) resets[each.id] = number32_at(each.payload, 0);
        }
    }
};

RONDO_TEST("http2 files: a piece is read when the client takes it", "[http2_server_files]",
           seeds(3)) {
    co_await write_file("/page", std::string(size, 'a'));
    const http::router site = file_site();
    memory_server server(site, {}, {.capacity = 1 << 20});
    co_await server.run([](raw_client& raw) -> task<> {
        heard all;
        co_await raw.say(hello(0) + get(1) + get(3) + get(5));
        all.add(co_await raw.hear(1s));
        CHECK(all.heads == 3);
        CHECK(all.bytes() == 0);
        {
            auto page = co_await file::open("/page", open_mode::read_write);
            const std::string other(size, 'b');
            co_await page.write_all(other);
        }
        co_await raw.say(opened(5, 100));
        all.add(co_await raw.hear(1s));
        CHECK(all.bodies[5] == std::string(100, 'b'));
        CHECK(all.bytes() == 100);
        // A stream that is not opened again does not keep the others.
        co_await raw.say(opened(3, size) + opened(1, size) + opened(0, 2 * size));
        all.add(co_await raw.hear(1s));
        CHECK(all.bodies[1] == std::string(size, 'b'));
        CHECK(all.bodies[3] == std::string(size, 'b'));
        co_await raw.say(opened(5, size) + opened(0, size));
        all.add(co_await raw.hear(1s));
        CHECK(all.bodies[5] == std::string(size, 'b'));
        CHECK(all.resets.empty());
    });
}

RONDO_TEST("http2 files: streams wait together for the window of the connection",
           "[http2_server_files]", seeds(3)) {
    co_await write_file("/page", pattern(size));
    const http::router site = file_site();
    memory_server server(site, {}, {.capacity = 1 << 20});
    co_await server.run([](raw_client& raw) -> task<> {
        heard all;
        std::string requests = hello(1 << 20);
        for (std::uint32_t id = 1; id < 11; id += 2) requests += get(id);
        co_await raw.say(requests);
        all.add(co_await raw.hear(1s));
        CHECK(all.heads == 5);
        CHECK(all.bytes() == 65535);
        // The one that has the piece is reset; the next one goes on.
        REQUIRE(all.bodies.size() == 1);
        const std::uint32_t first = all.bodies.begin()->first;
        co_await raw.say(frame(rst_stream, 0, first, number(8)));
        co_await raw.hear(100ms);
        co_await raw.say(opened(0, 10 * size));
        all.add(co_await raw.hear(1s));
        all.bodies.erase(first);
        REQUIRE(all.bodies.size() == 4);
        for (const auto& [id, body] : all.bodies) CHECK(body == pattern(size));
    });
}

// Not with every seed: after a short read another stream may have the turn when its window shuts.
RONDO_TEST("http2 files: a stream whose window is shut again keeps no other from its turn",
           "[http2_server_files]", seeds(2)) {
    co_await write_file("/page", pattern(size));
    const http::router site = file_site();
    memory_server server(site, {}, {.capacity = 1 << 20});
    co_await server.run([](raw_client& raw) -> task<> {
        constexpr std::uint32_t piece = 128 * 1024, all_of_it = 1 << 20;
        heard all;
        co_await raw.say(hello(all_of_it) + get(1) + get(3) + get(5));
        all.add(co_await raw.hear(1s));
        CHECK(all.bytes() == 65535);
        REQUIRE(all.bodies.size() == 1);
        // The windows of all are shut. The stream that has the turn may end its piece; of the two
        // that wait for it, the first gets no window.
        const std::uint32_t first = all.bodies.begin()->first;
        const std::uint32_t shut = first == 3 ? 1 : 3, open = 9 - first - shut;
        const std::string shuts = frame(settings, 0, 0, number(4, 2) + number(0));
        co_await raw.say(shuts + opened(first, piece) + opened(open, all_of_it) +
                         opened(0, 10 * size));
        all.add(co_await raw.hear(1s));
        CHECK(all.bodies[first].size() == piece);
        CHECK(all.bodies[open] == pattern(size));
        CHECK(all.bodies[shut].empty());
        co_await raw.say(opened(first, all_of_it) + opened(shut, all_of_it));
        all.add(co_await raw.hear(1s));
        CHECK(all.bodies[first] == pattern(size));
        CHECK(all.bodies[shut] == pattern(size));
    });
}

RONDO_TEST("http2 files: all that the client does not take end after one limit of time",
           "[http2_server_files]", seeds(2)) {
    co_await write_file("/page", pattern(size));
    const http::router site = file_site();
    http::server_options options;
    options.write = 2s;
    for (const bool is_stream : {true, false}) {
        memory_server server(site, options, {.capacity = 1 << 20});
        co_await server.run([&](raw_client& raw) -> task<> {
            heard all;
            std::string requests = hello(is_stream ? 0 : 1 << 20);
            for (std::uint32_t id = 1; id < 41; id += 2) requests += get(id);
            co_await raw.say(requests);
            const time_point began = running_loop().time();
            while (all.resets.size() < 20 && running_loop().time() - began < 1min)
                all.add(co_await raw.hear(100ms));
            CHECK(all.resets.size() == 20);
            CHECK(running_loop().time() - began < 6s);
            co_await raw.say(opened(0, size) + get(41) + opened(41, size));
            all.add(co_await raw.hear(100ms));
            CHECK(all.bodies[41] == pattern(size));
        });
    }
}

}  // namespace
#endif
