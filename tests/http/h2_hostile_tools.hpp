// SPDX-License-Identifier: MIT
// For the tests of hostile clients of HTTP/2: a site, and requests byte by byte.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <rondo/sleep.hpp>

#include "http/h2_tools.hpp"

namespace rondo_tests {

inline rondo::http::router hostile_h2_site() {
    namespace http = rondo::http;
    using namespace std::chrono_literals;
    using http::reply;
    http::router site;
    site.get("/", [](http::request&) { return reply::text("ok"); });
    site.post("/", [](http::request& request) -> rondo::task<reply> {
        const std::string all = co_await request.bytes();
        co_return reply::text(std::to_string(all.size()));
    });
    site.get("/slow", [](http::request&) -> rondo::task<reply> {
        co_await rondo::sleep(1s);
        co_return reply::text("slow");
    });
    return site;
}

using pairs = h2_talk::pairs;

/// A request with these fields alone.
inline std::string raw_head(const pairs& fields, std::uint32_t id = 1, unsigned flags = 1) {
    return h2_talk::frame(h2_talk::headers, flags | 4, id, h2_talk::block(fields));
}
/// A POST with further fields and a body.
inline std::string posted(const pairs& more, std::string_view body, unsigned flags = 1) {
    pairs all{{":method", "POST"}, {":scheme", "http"}, {":path", "/"}, {":authority", "x"}};
    all.insert(all.end(), more.begin(), more.end());
    return raw_head(all, 1, 0) + h2_talk::frame(h2_talk::data, flags, 1, body);
}

}  // namespace rondo_tests
