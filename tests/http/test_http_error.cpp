// SPDX-License-Identifier: MIT
// Texts and types of the errors of HTTP.
#include <rondo/http/error.hpp>

#include "support/catch.hpp"

using namespace rondo;
using namespace std::chrono_literals;

TEST_CASE("http error: the text names the failure, the method and the URL", "[http_error]") {
    const http::connect_error refused("connection refused", "GET", "http://a/b");
    CHECK(std::string(refused.what()) == "connection refused: GET http://a/b");
    CHECK(refused.method() == "GET");
    CHECK(refused.url() == "http://a/b");
    const http::error plain("no such file");
    CHECK(std::string(plain.what()) == "no such file");
    CHECK(plain.method().empty());
    CHECK(plain.url().empty());
}

TEST_CASE("http error: a status with or without a reason", "[http_error]") {
    const http::status_error missing(404, "Not Found", "GET", "https://a/");
    CHECK(std::string(missing.what()) == "404 Not Found: GET https://a/");
    CHECK(missing.status() == 404);
    CHECK(std::string(http::status_error(599, "", "PUT", "http://a/").what()) ==
          "599: PUT http://a/");
}

TEST_CASE("http error: a body that ended early says how much had come", "[http_error]") {
    const http::body_error cut("the connection was closed", "GET", "http://a/", 17);
    CHECK(cut.bytes_received() == 17);
    CHECK(std::string(cut.what()) == "the connection was closed (after 17 bytes): GET http://a/");
}

TEST_CASE("http error: a timeout names limit, phase and bytes, and is a rondo::timeout_error",
          "[http_error]") {
    const http::timeout_error late(http::phase::headers, 30s, "GET", "https://a/", 0);
    const rondo::timeout_error& as_timeout = late;
    CHECK(std::string(as_timeout.what()) ==
          "timed out after 30s waiting for response headers: GET https://a/ (0 bytes)");
    CHECK(late.phase() == http::phase::headers);
    CHECK(late.code() == std::errc::timed_out);
}
