// SPDX-License-Identifier: MIT
// The file server's requests, paths and answers, without a socket. Above all it must not leave its
// root, mix the bytes of two requests, or collect an endless head.
#include "../../examples/file_server/http_request.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using namespace file_server;

namespace {

struct outcome {
    bool done = false;
    int status = 0;
    bool is_head = false;
    std::string target;
    bool keep_alive = false;
    std::size_t consumed = 0;

    bool operator==(const outcome&) const = default;
};

outcome receive(const std::vector<std::string_view>& parts) {
    request_parser parser;
    std::size_t consumed = 0;
    for (const std::string_view part : parts) {
        const std::vector<char> block(part.begin(), part.end());  // ASan sees a step beyond it
        consumed += parser.feed({block.data(), block.size()});
    }
    return {parser.done(),   parser.status(),     parser.is_head(),
            parser.target(), parser.keep_alive(), consumed};
}

// Whole, byte by byte and split once at every place: always the same.
outcome receive_every_way(std::string_view text) {
    const outcome whole = receive({text});
    std::vector<std::string_view> bytes;
    for (std::size_t i = 0; i < text.size(); ++i) bytes.push_back(text.substr(i, 1));
    INFO(text);
    if (receive(bytes) != whole) FAIL("differs byte by byte");
    for (std::size_t i = 0; i <= text.size(); ++i)
        if (receive({text.substr(0, i), text.substr(i)}) != whole) FAIL("differs, split at " << i);
    return whole;
}

int status_of(const std::string& text) {
    const outcome result = receive_every_way(text);
    return result.done ? result.status : 0;
}

}  // namespace

TEST_CASE("request: the head is read however it is split", "[http_request]") {
    const std::string get = "GET /a%20b?c=d HTTP/1.1\r\nHost: x\r\nUser-Agent: y\r\n\r\n";
    CHECK(receive_every_way(get) == outcome{true, 200, false, "/a%20b?c=d", true, get.size()});
    const std::string head = "\r\nHEAD / HTTP/1.0\r\n\r\n";
    CHECK(receive_every_way(head) == outcome{true, 200, true, "/", false, head.size()});

    const outcome first = receive({get + head});
    CHECK(first.done);
    CHECK(first.consumed == get.size());  // the rest is the next request
    CHECK_FALSE(receive({get.substr(0, get.size() - 1)}).done);

    request_parser idle;
    CHECK_FALSE(idle.started());
    idle.feed("G");
    CHECK(idle.started());
}

TEST_CASE("request: the connection stays open when both sides mean it", "[http_request]") {
    const auto stays = [](const std::string& version, const std::string& field) {
        const std::string text = "GET / HTTP/" + version + "\r\nHost: x\r\n" + field + "\r\n";
        return receive_every_way(text).keep_alive;
    };
    CHECK(stays("1.1", ""));
    CHECK(stays("1.1", "Connection: upgrade\r\n"));
    CHECK(stays("1.1", "Content-Length: 0\r\n"));
    CHECK_FALSE(stays("1.1", "connection: CLOSE\r\n"));
    CHECK_FALSE(stays("1.1", "Connection: x, close ,keep-alive\r\n"));
    CHECK_FALSE(stays("1.1", "Connection: keep-alive\r\nConnection: close\r\n"));
    CHECK_FALSE(stays("1.0", ""));
    CHECK(stays("1.0", "Connection: Keep-Alive\r\n"));
}

TEST_CASE("request: what is not a plain GET or HEAD is refused", "[http_request]") {
    const auto with = [](const std::string& fields) {
        return "GET / HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n\r\n";
    };
    const std::vector<std::pair<std::string, int>> rows = {
        {"POST / HTTP/1.1\r\nHost: x\r\n\r\n", 405},
        {"get / HTTP/1.1\r\nHost: x\r\n\r\n", 405},
        {"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n", 405},
        {"G@T / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {" / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET /\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\n\r\n", 505},
        {"GET / HTTP/0.9\r\n\r\n", 505},
        {"GET / HTTP/11\r\n\r\n", 400},
        {"GET / http/1.1\r\n\r\n", 400},
        {"GET /  HTTP/1.1\r\n\r\n", 400},
        {"GET /a b HTTP/1.1\r\n\r\n", 400},
        {"GET a HTTP/1.1\r\n\r\n", 400},
        {"GET http://x/ HTTP/1.1\r\n\r\n", 400},
        {"GET /\x01 HTTP/1.1\r\n\r\n", 400},
        {"GET /\xff HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\n\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},  // no Host
        {with("Host: y"), 400},
        {with("Host : y"), 400},
        {with(" folded"), 400},
        {with("A: b\r\n c"), 400},
        {with("A: b\nC: d"), 400},
        {with("A: b\rc"), 400},
        {with("no colon"), 400},
        {with("A\x01: b"), 400},
        {with("A: \x7f"), 400},
        {with("Content-Length: 5"), 400},
        {with("Content-Length: -0"), 400},
        {with("Content-Length: 0\r\nContent-Length: 0"), 400},
        {with("Content-Length: 0, 0"), 400},
        {with("Transfer-Encoding: chunked"), 400},
        {with("A: " + std::string(17000, 'x')), 431},
    };
    for (const auto& [text, status] : rows) {
        INFO(text.substr(0, 60));
        const outcome result = text.size() < 1000 ? receive_every_way(text) : receive({text});
        CHECK(result.done);
        CHECK(result.status == status);
        CHECK_FALSE(result.keep_alive);
    }
}

TEST_CASE("request: an endless head ends at 16 KiB or 128 fields", "[http_request]") {
    for (const std::string& again :
         {std::string("\r\n"), std::string("x"), "A: " + std::string(500, 'x') + "\r\n",
          std::string("A:\r\n")}) {
        const bool is_request = again.size() > 2;
        std::string text = is_request ? "GET / HTTP/1.1\r\nHost: x\r\n" : "";
        while (text.size() < 20000) text += again;
        for (const std::size_t piece : {1U, 100U, 20000U}) {
            request_parser parser;
            std::size_t consumed = 0;
            for (std::size_t i = 0; i < text.size() && !parser.done(); i += piece)
                consumed += parser.feed(std::string_view(text).substr(i, piece));
            CHECK(parser.status() == 431);
            CHECK(consumed <= request_parser::head_bytes_max);
        }
    }
}

TEST_CASE("request: every byte value at each place", "[http_request]") {
    const std::string token_extra = "!#$%&'*+-.^_`|~";
    for (int value = 1; value < 256; ++value) {
        const char c = static_cast<char>(value);
        const std::string byte(1, c);
        const bool is_alphanumeric = (value >= '0' && value <= '9') ||
                                     (value >= 'a' && value <= 'z') ||
                                     (value >= 'A' && value <= 'Z');
        const bool is_token = is_alphanumeric || token_extra.find(c) != std::string::npos;
        const bool is_control = (value < 0x20 && c != '\t') || value == 0x7f;
        INFO("byte " << value);
        CHECK((status_of("GET /a" + byte + " HTTP/1.1\r\nHost: x\r\n\r\n") == 200) ==
              (value > 0x20 && value < 0x7f));
        CHECK((status_of("GET / HTTP/1.1\r\nHost: x\r\nA" + byte + "B: c\r\n\r\n") == 200) ==
              (is_token || c == ':'));
        CHECK((status_of("GET / HTTP/1.1\r\nHost: x\r\nA: b" + byte + "c\r\n\r\n") == 200) ==
              !is_control);
        CHECK((status_of("GET" + byte + " / HTTP/1.1\r\nHost: x\r\n\r\n") == 405) == is_token);
    }
    const std::string nul(1, '\0');
    CHECK(status_of("GET /" + nul + " HTTP/1.1\r\nHost: x\r\n\r\n") == 400);
    CHECK(status_of("GET / HTTP/1.1\r\nHost: " + nul + "\r\n\r\n") == 400);
}

TEST_CASE("path: a target stays below the root", "[http_request]") {
    const std::vector<std::pair<std::string_view, std::string_view>> good = {
        {"/", "index.html"},       {"/?x=/../y", "index.html"},       {"/a/", "a/index.html"},
        {"/a/b.txt?c", "a/b.txt"}, {"/a%20b/%C3%A4", "a b/\xc3\xa4"}, {"//a///b", "a/b"},
        {"///", "index.html"},     {"/a..b/c.", "a..b/c."},           {"/a\\b", "a\\b"},
        {"/%252e%252e", "%2e%2e"},
    };
    for (const auto& [target, path] : good) {
        INFO(target);
        CHECK(path_below_root(target) == std::string(path));
    }
    for (const std::string_view target : {"",
                                          "a",
                                          "..",
                                          "/..",
                                          "/../",
                                          "/a/../b",
                                          "/%2e%2e/x",
                                          "/%2E./x",
                                          "/.%2e",
                                          "/.",
                                          "/./a",
                                          "/.git/config",
                                          "/a/.htpasswd",
                                          "/a%2fb",
                                          "/%2fetc/passwd",
                                          "/..%2f..%2fetc",
                                          "/a%00.txt",
                                          "/%0a",
                                          "/%7f",
                                          "/%",
                                          "/%4",
                                          "/%zz",
                                          "/a%"}) {
        INFO(target);
        CHECK_FALSE(path_below_root(target));
    }
}

TEST_CASE("path: no escape of any byte leaves the root", "[http_request]") {
    constexpr std::string_view digits = "0123456789ABCDEF";
    for (unsigned value = 0; value < 256; ++value) {
        const std::string escaped = {'%', digits[value / 16], digits[value % 16]};
        const std::string raw(1, static_cast<char>(value));
        for (const std::string& byte : {raw, escaped})
            for (const std::string& target :
                 {"/" + byte, "/" + byte + byte, "/." + byte, "/" + byte + ".", "/a/" + byte + byte,
                  "/a/" + byte + byte + "/b", "/a" + byte + "/../b", byte + "/x"}) {
                const auto path = path_below_root(target);
                if (!path) continue;
                INFO(target << " became " << *path);
                const bool is_below =
                    !path->empty() && path->front() != '/' && path->front() != '.' &&
                    path->find("/.") == std::string::npos &&
                    path->find("//") == std::string::npos && path->find('\0') == std::string::npos;
                if (!is_below) FAIL("outside");
            }
    }
}

TEST_CASE("answer: heads, errors, types and dates", "[http_request]") {
    response_head head;
    head.content_length = 12345678901;
    head.content_type = content_type("a/b.HTML");
    head.keep_alive = true;
    CHECK(head_text(head) ==
          "HTTP/1.1 200 OK\r\nServer: rondo-file-server\r\nContent-Length: 12345678901\r\n"
          "Content-Type: text/html; charset=utf-8\r\nConnection: keep-alive\r\n\r\n");

    const std::string missing = error_text(404, false, true, http_date(784111777));
    CHECK_THAT(missing, Catch::StartsWith("HTTP/1.1 404 Not Found\r\n"));
    CHECK_THAT(missing, Catch::Contains("\r\nContent-Length: 14\r\n"));
    CHECK_THAT(missing, Catch::Contains("\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
    CHECK_THAT(missing, Catch::EndsWith("\r\n\r\n404 Not Found\n"));
    const std::string refused = error_text(405, true, false);
    CHECK_THAT(refused, Catch::Contains("\r\nAllow: GET, HEAD\r\n"));
    CHECK_THAT(refused, Catch::Contains("\r\nConnection: close\r\n"));
    CHECK_THAT(refused, Catch::EndsWith("\r\n\r\n"));
    for (const int status : {400, 431, 500, 505})
        CHECK_THAT(error_text(status, false, false), Catch::Contains(std::to_string(status) + " "));

    CHECK(content_type("x.tar.gz") == "application/gzip");
    CHECK(content_type("x") == "application/octet-stream");
    CHECK(content_type("a.txt/x") == "application/octet-stream");
    CHECK(content_type("") == "application/octet-stream");
    CHECK(content_type("x.") == "application/octet-stream");
    CHECK(http_date(0) == "Thu, 01 Jan 1970 00:00:00 GMT");
}
