// SPDX-License-Identifier: MIT
// The downloader's HTTP engine, byte by byte: what it sends, and what it makes of answers in pieces
// of every size. Good answers must give the same result however they are split; bad ones must be
// refused however they are split. Pieces are fed from heap blocks of exactly their size, so that
// address sanitizer sees a read beyond them and a view kept.
#include "../../examples/downloader/http1.hpp"

#include <cctype>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using namespace downloader;

namespace {

struct outcome {
    int status = 0;
    std::string body;
    bool done = false;
    bool keep_alive = false;
    std::size_t consumed = 0;
    std::string error;

    bool operator==(const outcome&) const = default;
};

// Keeps Catch out of the inner loops: an assertion is a hundred times slower than a feed.
void demand(bool holds, const char* what) {
    if (!holds) FAIL(what);
}

void give(response_parser& parser, std::string_view text, outcome& result) {
    const std::vector<char> block(text.begin(), text.end());
    std::string_view bytes(block.data(), block.size());
    while (!bytes.empty() && !parser.done()) {
        const bool had_header = parser.header_done();
        const auto [consumed, body] = parser.feed(bytes);
        demand(consumed > 0 && consumed <= bytes.size(), "feed() goes on");
        demand(body.empty() || had_header, "no body comes with the end of the head");
        demand(body.empty() || (body.data() >= bytes.data() &&
                                body.data() + body.size() == bytes.data() + consumed),
               "the body is a part of what was fed");
        result.body += body;
        result.consumed += consumed;
        bytes.remove_prefix(consumed);
    }
}

using pieces = std::vector<std::string_view>;

outcome receive(const pieces& parts, http_method asked = http_method::get) {
    response_parser parser(asked);
    outcome result;
    try {
        for (const std::string_view part : parts) give(parser, part, result);
        parser.finish();
    } catch (const http_error& error) {
        result.error = error.what();
    }
    if (parser.header_done()) result.status = parser.status();
    result.done = parser.done();
    result.keep_alive = parser.keep_alive();
    demand(parser.body_bytes() == result.body.size(), "body_bytes() counts what was handed out");
    return result;
}

pieces single_bytes(std::string_view text) {
    pieces result;
    for (std::size_t i = 0; i < text.size(); ++i) result.push_back(text.substr(i, 1));
    return result;
}

// Whole, byte by byte, split once at every place and twice at every pair of places.
outcome receive_every_way(std::string_view text, http_method asked = http_method::get) {
    const outcome whole = receive({text}, asked);
    INFO("answer: " << text);
    REQUIRE(receive(single_bytes(text), asked) == whole);
    for (std::size_t i = 0; i <= text.size(); ++i) {
        if (receive({text.substr(0, i), text.substr(i)}, asked) == whole) continue;
        FAIL("differs when split at " << i);
    }
    if (text.size() > 200) return whole;
    for (std::size_t i = 0; i <= text.size(); ++i)
        for (std::size_t j = i; j <= text.size(); ++j) {
            const pieces parts = {text.substr(0, i), text.substr(i, j - i), text.substr(j)};
            if (receive(parts, asked) != whole) FAIL("differs when split at " << i << ", " << j);
        }
    return whole;
}

std::string error_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const http_error& error) {
        return error.what();
    }
    return "";
}

bool is_one_request(std::string_view text) {
    std::size_t lines = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c == '\n') {
            ++lines;
            if (i == 0 || text[i - 1] != '\r') return false;
        } else if (c == '\r' ? i + 1 == text.size() || text[i + 1] != '\n' : c < 0x20 || c > 0x7e) {
            return false;
        }
    }
    return lines == 7 && text.find("\r\n\r\n") == text.size() - 4;
}

const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

}  // namespace

TEST_CASE("request: no byte at any place of a URL can end its line", "[http1]") {
    for (int value = 0; value < 256; ++value) {
        const std::string byte(1, static_cast<char>(value));
        for (const std::string& text :
             {"http:" + byte + "//a/", "http://a" + byte + "b/", "http://a:8" + byte + "/",
              "http://[::1" + byte + "]/", "http://a/b" + byte + "c", "http://a/?" + byte}) {
            try {
                const url parsed{std::string_view(text)};
                demand(is_one_request(request_text(parsed)), "one request comes out");
                demand(value > 0x20 && value != 0x7f, "controls and spaces are refused");
            } catch (const http_error& error) {
                for (const char c : std::string_view(error.what()))
                    demand(c >= 0x20 || c < 0, "the error can be printed");
            }
        }
    }
}

TEST_CASE("request: members set by hand are checked as well", "[http1]") {
    for (int value = 0; value < 256; ++value) {
        const std::string byte(1, static_cast<char>(value));
        url where{"http://a.org/x"};
        const auto is_safe = [&](request_options how) {
            try {
                return is_one_request(request_text(where, how));
            } catch (const http_error&) {
                return true;
            }
        };
        const std::string agent = "agent" + byte;
        request_options options;
        options.user_agent = agent;
        demand(is_safe(options), "user agent");
        where.host += byte;
        demand(is_safe({}), "host");
        where = url{"http://a.org/x"};
        where.target += byte;
        demand(is_safe({}), "target");
    }
    CHECK_THROWS_AS(request_text(url()), http_error);
}

TEST_CASE("request: the text", "[http1]") {
    CHECK(request_text(url{"http://a.org:81/b?c"}) ==
          "GET /b?c HTTP/1.1\r\nHost: a.org:81\r\nUser-Agent: rondo-downloader\r\nAccept: */*\r\n"
          "Accept-Encoding: identity\r\nConnection: close\r\n\r\n");
    const std::string text = request_text(url{"http://a.org"}, {http_method::head, true, "x"});
    CHECK_THAT(text, Catch::StartsWith("HEAD / HTTP/1.1\r\nHost: a.org\r\nUser-Agent: x\r\n"));
    CHECK_THAT(text, Catch::Contains("Connection: keep-alive\r\n"));
}

TEST_CASE("response: good answers are the same however they are split", "[http1]") {
    struct row {
        std::string text;
        int status;
        const char* body;
        bool keep_alive;
        http_method asked = http_method::get;
    };
    const std::vector<row> rows = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", true},
        {"HTTP/1.1 200 \r\ncontent-length:5\r\nX:\t \r\n\r\nhe\r\n\n", 200, "he\r\n\n", true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "", true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x, Close\r\n\r\nab", 200, "ab",
         false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab", 200, "ab", false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nab", 200, "ab",
         true},
        {chunked + "5\r\nhello\r\n0\r\n\r\n", 200, "hello", true},
        {chunked +
             "5;a=b;c=\"d;e\"\r\nhello\r\n00C ; x\r\n wide\r\nworld\r\n0;z\r\nA: b\r\nC: \r\n\r\n",
         200, "hello wide\r\nworld", true},
        {chunked + "0\r\n\r\n", 200, "", true},
        {chunked + "1\r\n\r\r\n2\r\n\r\n\r\n0\r\nX: y\r\n\r\n", 200, "\r\r\n", true},
        {"HTTP/1.1 200 OK\r\n\r\nuntil the end\r\n\r\n", 200, "until the end\r\n\r\n", false},
        {"HTTP/1.0 200 OK\r\n\r\n", 200, "", false},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\nContent-Length: 9\r\n\r\n"
         "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab",
         200, "ab", true},
        {"HTTP/1.1 204 No Content\r\n\r\n", 204, "", true},
        {"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", 204, "", false},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", 304, "", true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", 200, "", true, http_method::head},
        {chunked, 200, "", true, http_method::head},
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\n.", 404, ".", true},
    };
    for (const row& r : rows) {
        const outcome result = receive_every_way(r.text, r.asked);
        INFO(r.text);
        CHECK(result.error == "");
        CHECK(result.status == r.status);
        CHECK(result.body == r.body);
        CHECK(result.done);
        CHECK(result.keep_alive == r.keep_alive);
        CHECK(result.consumed == r.text.size());
    }
}

TEST_CASE("response: the head can be asked", "[http1]") {
    response_parser parser;
    CHECK_FALSE(parser.header_done());
    CHECK_FALSE(parser.content_length());
    const std::string text =
        "HTTP/1.1 200 All right\r\nContent-Length: 5\r\nX-A:  one \r\nx-a: two\r\n\r\nhello!";
    const auto head = parser.feed(text);
    REQUIRE(parser.header_done());
    CHECK(head.body.empty());
    CHECK(head.consumed == text.size() - 6);
    CHECK(parser.reason() == "All right");
    CHECK(parser.content_length() == 5U);
    CHECK(parser.header("X-a") == "one");
    CHECK_FALSE(parser.header("X-").has_value());
    CHECK_FALSE(parser.keep_alive());  // not before the body has come

    response_parser moved = std::move(parser);
    const auto body = moved.feed(std::string_view(text).substr(head.consumed));
    CHECK(body.body == "hello");
    CHECK(body.consumed == 5);  // the '!' belongs to no answer
    CHECK(moved.done());
    CHECK(moved.keep_alive());
    CHECK(moved.feed("more").consumed == 0);
}

TEST_CASE("response: what is cut off is an error that says how much came", "[http1]") {
    const std::vector<std::pair<std::string, const char*>> rows = {
        {"", "closed the connection without an answer"},
        {"HTT", "inside the answer's header"},
        {"HTTP/1.1 200 OK\r\nA: b\r\n", "inside the answer's header"},
        {"HTTP/1.1 100 Continue\r\n\r\n", "inside the answer's header"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", "after 5 of 50 bytes"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "after 0 of 5 bytes"},
        {chunked, "after 0 bytes of a chunked body, before its last chunk"},
        {chunked + "5\r\nhel",
         "after 3 bytes of a chunked body, 2 bytes before the end of a chunk"},
        {chunked + "5\r\nhello\r\n", "after 5 bytes of a chunked body, before its last chunk"},
        {chunked + "5\r\nhello\r\n0\r\n", "before its last chunk was complete"},
        {chunked + "5\r\nhello\r\n0\r\nA: b\r\n", "before its last chunk was complete"},
    };
    for (const auto& [text, reason] : rows) {
        const outcome result = receive_every_way(text);
        INFO(text);
        CHECK_THAT(result.error, Catch::Contains(reason));
        CHECK_FALSE(result.done);
        CHECK_FALSE(result.keep_alive);
    }
}

TEST_CASE("response: doubtful framing is refused, however it is split", "[http1]") {
    const auto with = [](const std::string& fields) {
        return "HTTP/1.1 200 OK\r\n" + fields + "\r\n\r\nhello";
    };
    const std::vector<std::pair<std::string, const char*>> rows = {
        {with("Content-Length: +5"), "not one plain number"},
        {with("Content-Length: -5"), "not one plain number"},
        {with("Content-Length: 0x5"), "not one plain number"},
        {with("Content-Length: 5 5"), "not one plain number"},
        {with("Content-Length: 5, 5"), "not one plain number"},
        {with("Content-Length: 5,6"), "not one plain number"},
        {with("Content-Length:"), "not one plain number"},
        {with("Content-Length: 18446744073709551621"), "not one plain number"},
        {with("Content-Length: 9223372036854775808"), "larger than any file"},
        {with("Content-Length: 5\r\nContent-Length: 5"), "several Content-Length"},
        {with("Content-Length: 5\r\nContent-Length: 6"), "is contradicted"},
        {with("Content-Length: 5\r\nTransfer-Encoding: chunked"), "contradicts"},
        {with("Transfer-Encoding: chunked\r\nContent-Length: 5"), "contradicted"},
        {with("Transfer-Encoding: gzip\r\nContent-Length: 5"), "other than chunked"},
        {with("Content-Length: 5\r\nTransfer-Encoding: identity"), "contradicts"},
        {with("Transfer-Encoding: gzip, chunked"), "other than chunked"},
        {with("Transfer-Encoding: chunked, gzip"), "other than chunked"},
        {with("Transfer-Encoding: chunked, chunked"), "other than chunked"},
        {with("Transfer-Encoding: xchunked"), "other than chunked"},
        {with("Transfer-Encoding:"), "other than chunked"},
        {with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), "contradicts"},
        {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         "HTTP/1.0 does not know"},
        {with("Content-Length : 5"), "header field is malformed"},
        {with("A: b\r\n Content-Length: 5"), "line starts with a space"},
        {with(" A: b"), "line starts with a space"},
        {with("A: b\r\n\t"), "line starts with a space"},
        {with("A: b\nContent-Length: 5"), "bare line feed"},
        {"HTTP/1.1 200 OK\n\n", "bare line feed"},
        {with("A: b\rc"), "header field is malformed"},
        {with("A: b\r"), "header field is malformed"},
        {with("no colon"), "header field is malformed"},
        {with(": b"), "header field is malformed"},
        {"HTTP/1.1 200\r\n\r\n", "status line is malformed"},
        {"HTTP/1.1  200 OK\r\n\r\n", "status line is malformed"},
        {"HTTP/1.1 2x0 OK\r\n\r\n", "status line is malformed"},
        {"HTTP/1.1 +20 OK\r\n\r\n", "status line is malformed"},
        {"HTTP/1.1 2000 OK\r\n\r\n", "status line is malformed"},
        {"HTTP/1.2 200 OK\r\n\r\n", "status line is malformed"},
        {"HTTP/1.1 099 OK\r\n\r\n", "not one of HTTP's"},
        {"HTTP/1.1 600 OK\r\n\r\n", "not one of HTTP's"},
        {"HTTP/1.1 101 Switching\r\n\r\n", "without being asked"},
        {"HTTP/2.0 200 OK\r\n\r\n", "does not speak HTTP/1: it says \"HTTP/2"},
        {"SSH-2.0-OpenSSH\r\n", "does not speak HTTP/1: it says \"S"},
        {"\x1b[31m", "it says \"?"},
        {"\r\nHTTP/1.1 200 OK\r\n\r\n", "does not speak HTTP/1"},
        {chunked + "x\r\n", "does not start with its size"},
        {chunked + "-1\r\n", "does not start with its size"},
        {chunked + "\r\n5\r\n", "does not start with its size"},
        {chunked + "10000000000000000\r\n", "does not start with its size"},
        {chunked + "ffffffffffffffff\r\n", "larger than any file"},
        {chunked + "7fffffffffffffff\r\n" + "a", "closed the connection after 1 bytes"},
        {chunked + "1\r\na\r\n7fffffffffffffff\r\n", "larger than any file"},
        {chunked + "5\nhello\r\n", "bare line feed"},
        {chunked + "5\r\nhelloX\r\n0\r\n\r\n", "longer than its size"},
        {chunked + "5\r\nhello5\r\n", "longer than its size"},
        {chunked + " 5\r\n", "starts with a space"},
        {chunked + "5 x\r\n", "follows a chunk's size"},
        {chunked + "5;\r\n", "follows a chunk's size"},
        {chunked + "5;a=\"b\nc\"\r\n", "bare line feed"},
        {chunked + "5;a=\"b\r\nc\"\r\n", "follows a chunk's size"},
        {chunked + "5;a=\"b\x01\"\r\n", "control character follows"},
        {chunked + "0x5\r\nhello\r\n\r\n", "follows a chunk's size"},
        {chunked + "0\r\nbad trailer\r\n\r\n", "header field is malformed"},
        {chunked + "0\r\nContent-Length: 3\r\n\r\n", "not one plain number, or is contradicted"},
        {chunked + "0\r\nTransfer-Encoding: chunked\r\n\r\n", "contradicts"},
        {chunked + "0\r\nA: b\r\n c\r\n\r\n", "line starts with a space"},
        {chunked + "0\r\n\n", "bare line feed"},
    };
    for (const auto& [text, reason] : rows) {
        INFO(text);
        for (const outcome& result : {receive({text}), receive(single_bytes(text))}) {
            CHECK_THAT(result.error, Catch::Contains(reason));
            CHECK_FALSE(result.done);
        }
        for (std::size_t i = 0; i <= text.size(); ++i)
            demand(!receive({text.substr(0, i), text.substr(i)}).done, "never done");
    }
}

TEST_CASE("response: a refused answer stays refused", "[http1]") {
    response_parser parser;
    CHECK_THROWS_AS(parser.feed("SSH"), http_error);
    CHECK_THROWS_AS(parser.feed("HTTP/1.1 200 OK\r\n\r\n"), http_error);
    CHECK_FALSE(parser.done());
}

TEST_CASE("response: every byte value at each place of the head", "[http1]") {
    const std::string token_extra = "!#$%&'*+-.^_`|~";
    for (int value = 0; value < 256; ++value) {
        const std::string byte(1, static_cast<char>(value));
        const bool is_control = (value < 0x20 && value != '\t') || value == 0x7f;
        const bool is_token = value < 0x80 && (std::isalnum(value) != 0 ||
                                               (value > 0 && token_extra.find(byte) < 16));
        const auto accepted = [&](const std::string& head) {
            return receive(single_bytes("HTTP/1.1 200 " + head + "\r\n\r\n")).done;
        };
        INFO("byte " << value);
        CHECK(accepted("O" + byte + "K\r\nA: b") == !is_control);
        CHECK(accepted("OK\r\nA: b" + byte + "c") == !is_control);
        CHECK(accepted("OK\r\nA" + byte + "B: c") == (is_token || byte == ":"));
    }
}

TEST_CASE("response: endless heads, interim answers and trailers end at a bound", "[http1]") {
    struct row {
        std::string start;
        std::string again;
        std::size_t bytes_max;
        const char* reason;
    };
    const std::vector<row> rows = {
        {"HTTP/1.1 200 OK\r\n", "A: b\r\n", 2000, ""},  // complete only at the blank line
        {"HTTP/1.1 200 OK\r\n", std::string("A: ") + std::string(900, 'x') + "\r\n", 65536,
         "longer than 64 KiB"},
        {"HTTP/1.1 200 OK\r\nA: ", "xxxxxxxxxxxxxxxx", 65536, "longer than 64 KiB"},
        {"HTTP/1.1 200 ", "O", 65536, "longer than 64 KiB"},
        {"", "HTTP/1.1 100 Continue\r\n\r\n", 1000, "interim answers"},
        {"", "HTTP/1.1 103 E\r\nA: " + std::string(9000, 'x') + "\r\n\r\n", 65536, "64 KiB"},
        {chunked + "0\r\n", "A: " + std::string(900, 'x') + "\r\n", 34000, "longer than 32 KiB"},
        {chunked + "5;a=", "x", 34000, "longer than 32 KiB"},
        {chunked + "0;a=", "x", 34000, "longer than 32 KiB"},
        {chunked, "0", 34000, "longer than 32 KiB"},
    };
    for (const row& r : rows) {
        for (const std::size_t piece_max : {1U, 7U, 100000U}) {
            std::string text = r.start;
            while (text.size() < r.bytes_max + 10000) text += r.again;
            pieces parts;
            for (std::size_t i = 0; i < text.size(); i += piece_max)
                parts.push_back(std::string_view(text).substr(i, piece_max));
            const outcome result = receive(parts);
            INFO(r.start << r.again.substr(0, 40) << " in pieces of " << piece_max);
            CHECK_THAT(result.error, Catch::Contains(r.reason));
            CHECK_FALSE(result.error.empty());
            CHECK(result.consumed <= r.bytes_max + (*r.reason == '\0' ? 70000 : 0));
        }
    }
    std::string fields;
    for (int i = 0; i < 128; ++i) fields += "A: b\r\n";
    CHECK(receive({"HTTP/1.1 200 OK\r\n" + fields + "\r\n"}).done);
    CHECK_THAT(receive({"HTTP/1.1 200 OK\r\nC: d\r\n" + fields + "\r\n"}).error,
               Catch::Contains("too many header fields"));
    CHECK(receive({chunked + "0\r\n" + fields + "\r\n"}).done);
    CHECK_THAT(receive({chunked + "0\r\nC: d\r\n" + fields + "\r\n"}).error,
               Catch::Contains("too many trailer fields"));
}

TEST_CASE("response: a status that brings no file says so", "[http1]") {
    const auto problem = [](const std::string& head) {
        response_parser parser;
        parser.feed("HTTP/1.1 " + head + "\r\n\r\n");
        return error_of([&] { parser.raise_for_status(); });
    };
    CHECK(problem("200 OK") == "");
    CHECK(problem("203 Changed") == "");
    CHECK(problem("404 Not Found") == "404 Not Found");
    CHECK(problem("404 \xff\x9b") == "404 ??");
    CHECK_THAT(problem("206 Partial Content"), Catch::Contains("all of it was requested"));
    CHECK(problem("302 Found\r\nLocation: http://b/\xc2\x9b") ==
          "302 Found: redirects are not followed yet, the file is at http://b/?");
}
