// SPDX-License-Identifier: MIT
// The decoder of requests, and the encoders: good requests taken, malformed ones refused with their
// status, and heads and chunks that are written can be read again.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/h1/decoder.hpp"
#include "http/h1/encoder.hpp"
#include "http/h1_outcome.hpp"
#include "http/split_ways.hpp"
#include "support/catch.hpp"

namespace h1 = rondo::http::h1;
using h1::event;
using h1_outcome::outcome;
using h1_outcome::receive;
using h1_outcome::request;
using h1_outcome::response;

TEST_CASE("h1 request: good ones are taken however they are cut", "[http_h1_request]") {
    struct row {
        std::string text;
        const char* start;
        const char* body;
        bool keep_alive;
    };
    const auto with = [](const std::string& rest) { return " HTTP/1.1\r\nHost: x\r\n" + rest; };
    const std::vector<row> rows = {
        {"GET /a%20b?c=d" + with("User-Agent: y\r\n\r\n"), "GET /a%20b?c=d", "", true},
        {"\r\n\r\nHEAD / HTTP/1.0\r\n\r\n", "HEAD /", "", false},
        {"GET /" + with("Connection: upgrade\r\n\r\n"), "GET /", "", true},
        {"GET /" + with("Content-Length: 0\r\n\r\n"), "GET /", "", true},
        {"GET /" + with("connection: CLOSE\r\n\r\n"), "GET /", "", false},
        {"GET /" + with("Connection: x, close ,keep-alive\r\n\r\n"), "GET /", "", false},
        {"GET /" + with("Connection: keep-alive\r\nConnection: close\r\n\r\n"), "GET /", "", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET /", "", true},
        {"POST /x" + with("Content-Length: 5\r\n\r\nhello"), "POST /x", "hello", true},
        {"PUT /x" + with("Transfer-Encoding: Chunked\r\n\r\n2\r\nab\r\n0\r\nT: r\r\n\r\n"),
         "PUT /x", "ab", true},
        {"OPTIONS *" + with("\r\n"), "OPTIONS *", "", true},
        {"CONNECT a.org:443" + with("\r\n"), "CONNECT a.org:443", "", true},
        {"CONNECT [::1]:443" + with("\r\n"), "CONNECT [::1]:443", "", true},
        {"GET http://a.org/x" + with("\r\n"), "GET http://a.org/x", "", true},
        {"get!* /" + with("\r\n"), "get!* /", "", true},
        {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET /", "", true},
    };
    for (const row& r : rows) {
        const outcome result = request(r.text);
        INFO(r.text);
        CHECK(result.error == "");
        CHECK(result.done);
        CHECK(result.start == r.start);
        CHECK(result.body == r.body);
        CHECK(result.keep_alive == r.keep_alive);
        CHECK(result.consumed == r.text.size());
        CHECK(request(r.text + "GET /next").consumed == r.text.size());  // the rest is the next one
    }
    h1::request_decoder decoder;
    for (const bool waits : {true, false}) {
        decoder.begin();
        CHECK(decoder
                  .next("POST /" + with(std::string("Expect: 100-Continue\r\n") +
                                        (waits ? "Content-Length: 1\r\n\r\n" : "\r\n")))
                  .what == event::head);
        CHECK(decoder.expects_continue() == waits);
    }
    decoder.begin();
    CHECK(decoder.is_untouched());  // a connection that ends here has ended well
}

TEST_CASE("h1 request: malformed ones are refused with their status", "[http_h1_request]") {
    const auto with = [](const std::string& fields) {
        return "GET / HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n\r\n";
    };
    const auto get = [](const std::string& target) {
        return "GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n";
    };
    const std::vector<std::pair<std::string, int>> rows = {
        {"G@T / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {" / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET /\r\n\r\n", 400},
        {"\x16\x03\x01", 400},  // TLS
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
        {"GET / HTTP/2.0\r\n\r\n", 505},
        {"GET / HTTP/0.9\r\n\r\n", 505},
        {"GET / HTTP/1.2\r\n\r\n", 505},
        {"GET / HTTP/11\r\n\r\n", 400},
        {"GET / http/1.1\r\n\r\n", 400},
        {"GET /  HTTP/1.1\r\n\r\n", 400},
        {"GET\t/ HTTP/1.1\r\n\r\n", 400},
        {get("/a b"), 400},
        {get("a"), 400},
        {get(""), 400},
        {get("*"), 400},
        {get("a.org:443"), 400},
        {get("://a"), 400},
        {get("/\x01"), 400},
        {get("/\xff"), 400},
        {"CONNECT / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"CONNECT a.org HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"CONNECT u@a:1 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET / HTTP/1.1\n\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},  // no Host
        {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400},
        {with("Host: x"), 400},
        {with("Host : y"), 400},
        {with(" folded"), 400},
        {with("A: b\r\n c"), 400},
        {with("A: b\nC: d"), 400},
        {with("A: b\rc"), 400},
        {with("no colon"), 400},
        {with("A\x01: b"), 400},
        {with("A: \x7f"), 400},
        {with("Content-Length: -0"), 400},
        {with("Content-Length: 0\r\nContent-Length: 0"), 400},
        {with("Content-Length: 0, 0"), 400},
        {with("Content-Length: 5\r\nTransfer-Encoding: chunked"), 400},
        {with("Transfer-Encoding: chunked, gzip"), 400},
        {with("Transfer-Encoding: identity"), 400},
        {with("Transfer-Encoding: gzip, chunked"), 501},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {with("Transfer-Encoding: chunked") + "x", 400},
        {with("Transfer-Encoding: chunked") + "0\r\nA: b\r\n c\r\n\r\n", 400},
        {with("A: " + std::string(66000, 'x')), 431},
        {get("/" + std::string(8192, 'x')), 414},
        {"GET /" + std::string(9000, 'x'), 414},
    };
    for (const auto& [text, status] : rows) {
        INFO(text.substr(0, 80));
        h1::request_decoder decoder;
        decoder.begin();
        const outcome result = text.size() < 1000 ? request(text) : receive(decoder, {text});
        CHECK(result.status == status);
        CHECK_THAT(result.error, Catch::Contains("refused"));
        CHECK_FALSE(result.done);
        CHECK_FALSE(result.keep_alive);
    }
    CHECK_THAT(request(with("Content-Length: 5")).error, Catch::Contains("after 0 of 5 bytes"));
    CHECK_THAT(request("GET / HTTP/1.1\r\n").error, Catch::Contains("inside the head"));
    using h1::match_http2_preface;
    CHECK(match_http2_preface("") == h1::preface::incomplete);
    CHECK(match_http2_preface("PRI * H") == h1::preface::incomplete);
    CHECK(match_http2_preface("PUT") == h1::preface::no);
    CHECK(match_http2_preface("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nx") == h1::preface::yes);
}

TEST_CASE("h1: heads and chunks that are written can be read again", "[http_h1_request]") {
    rondo::http::fields headers;
    headers.add("Accept", "*/*").add("content-length", "7").add("Host", "evil").add("a", "b");
    std::string out;
    h1::write_request_head(out, "GET", "/x?y", "a.org:81", headers, h1::body_length::none());
    CHECK(out == "GET /x?y HTTP/1.1\r\nhost: a.org:81\r\nAccept: */*\r\na: b\r\n\r\n");
    out.clear();
    h1::write_request_head(out, "PUT", "/", "x", headers, h1::body_length::exactly(7));
    out += "1234567";
    CHECK(request(out).body == "1234567");
    out.clear();
    h1::write_request_head(out, "PUT", "/", "x", headers, h1::body_length::chunked());
    for (const std::size_t size : {1U, 15U, 16U, 300U}) {
        out += h1::chunk_head(size).text();
        out += std::string(size, 'x');
        out += h1::chunk_end;
    }
    h1::write_last_chunk(out, headers);
    h1::request_decoder decoder;
    decoder.begin();
    const outcome read = receive(decoder, {out});
    CHECK(read.body == std::string(332, 'x'));
    CHECK(read.trailers == "Accept=*/*;Host=evil;a=b;");
    CHECK(h1::chunk_head(~std::size_t{0}).text() == "FFFFFFFFFFFFFFFF\r\n");

    out.clear();
    h1::write_response_head(out, 404, "", {}, h1::body_length::exactly(0));
    CHECK(out == "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    out.clear();
    h1::write_response_head(out, 299, "", {}, h1::body_length::until_close());
    CHECK(response(out + "abc").body == "abc");

    const auto refused = [](std::string_view method, std::string_view target,
                            std::string_view host) {
        std::string ignored;
        try {
            h1::write_request_head(ignored, method, target, host, {}, h1::body_length::none());
        } catch (const rondo::http::error&) {
            return true;
        }
        return false;
    };
    CHECK(refused("G ET", "/", "x"));
    CHECK(refused("", "/", "x"));
    CHECK(refused("GET", "", "x"));
    CHECK(refused("GET", "/ ", "x"));
    CHECK(refused("GET", "/\r\nX: y", "x"));
    CHECK(refused("GET", "/", "x\r\ny"));
    CHECK_FALSE(refused("GET", "/", ""));
    CHECK_THROWS_AS(h1::write_response_head(out, 99, "", {}, h1::body_length::none()),
                    rondo::http::error);
    CHECK_THROWS_AS(h1::write_response_head(out, 200, "a\nb", {}, h1::body_length::none()),
                    rondo::http::error);
}
