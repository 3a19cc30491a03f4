// SPDX-License-Identifier: MIT
// The decoder of responses: the same events however the bytes are cut, good ones taken, doubtful
// ones refused, endless ones bounded. docs/http.md has the table of what is taken.
#include <cctype>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/h1/decoder.hpp"
#include "http/h1_outcome.hpp"
#include "http/split_ways.hpp"
#include "support/catch.hpp"

namespace h1 = rondo::http::h1;
using h1::event;
using h1_outcome::outcome;
using h1_outcome::receive;
using h1_outcome::response;
using h1_outcome::text_of;
using split_ways::pieces;

namespace {

const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

}  // namespace

TEST_CASE("h1 response: good ones are taken however they are cut", "[http_h1]") {
    struct row {
        std::string text;
        int status;
        const char* body;
        bool keep_alive;
        const char* method = "GET";
    };
    const std::vector<row> rows = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", true},
        {"HTTP/1.1 200 \r\ncontent-length:5\r\nX:\t \r\n\r\nhe\r\n\n", 200, "he\r\n\n", true},
        {"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\n.", 200, ".", true},
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
        {chunked + "5  \t\r\nhello\r\n0   \r\n\r\n", 200, "hello", true},
        {chunked + "5;\r\nhello\r\n0\r\n\r\n", 200, "hello", true},
        {chunked + "0\r\n\r\n", 200, "", true},
        {chunked + "1\r\n\r\r\n2\r\n\r\n\r\n0\r\nX: y\r\n\r\n", 200, "\r\r\n", true},
        {"HTTP/1.1 200 OK\r\n\r\nuntil the end\r\n\r\n", 200, "until the end\r\n\r\n", false},
        {"HTTP/1.0 200 OK\r\n\r\n", 200, "", false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", 200, "a",
         true},
        {"HTTP/1.1 204 No Content\r\n\r\n", 204, "", true},
        {"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 204, "", true},
        {"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", 204, "", false},
        {"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", 204, "", false},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", 304, "", true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", 200, "", true, "HEAD"},
        {chunked, 200, "", true, "HEAD"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", 200, "", false, "CONNECT"},
        {"HTTP/1.1 403 No\r\nContent-Length: 1\r\n\r\n.", 403, ".", true, "CONNECT"},
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\n.", 404, ".", true},
        {"HTTP/1.1 999 Go away\r\nContent-Length: 0\r\n\r\n", 999, "", true},
    };
    for (const row& r : rows) {
        const outcome result = response(r.text, r.method);
        INFO(r.text);
        CHECK(result.error == "");
        CHECK(result.status == r.status);
        CHECK(result.body == r.body);
        CHECK(result.done);
        CHECK(result.keep_alive == r.keep_alive);
        CHECK(result.consumed == r.text.size());
    }
}

TEST_CASE("h1 response: head, trailers and interim responses can be asked", "[http_h1]") {
    const outcome head = response(
        "HTTP/1.1 200 All right\r\nX-A:  one \r\nx-a: \xc3\xa4\r\nEmpty:\r\nFold: a\r\n  "
        "b\r\n\t\r\n"
        " c \r\nContent-Length: 0\r\n\r\n");
    CHECK(head.start == "All right");
    CHECK(head.fields == "X-A=one;x-a=\xc3\xa4;Empty=;Fold=a b c;Content-Length=0;");
    CHECK(response(chunked + "0\r\nA: b\r\n c\r\nD:\r\n\r\n").trailers == "A=b c;D=;");

    const outcome hints = response(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 E\r\nLink: x\r\nContent-Length: 9\r\n"
        "\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab");
    CHECK(hints.interim == 2);
    CHECK(hints.fields == "Content-Length=2;");
    CHECK(hints.body == "ab");

    h1::response_decoder decoder;
    decoder.begin("HEAD");
    CHECK(decoder.is_untouched());
    CHECK(decoder.content_length() == -1);
    const std::string text = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n!";
    const h1::step step = decoder.next(text);
    CHECK(step.what == event::head);
    CHECK(step.consumed == text.size() - 1);
    CHECK_FALSE(decoder.is_untouched());
    CHECK(decoder.content_length() == 5);
    CHECK(decoder.head().minor == 0);
    CHECK(decoder.body_framing() == h1::framing::none);
    CHECK_FALSE(decoder.has_ended());
    CHECK(decoder.next("!").what == event::end);
    CHECK(decoder.next("!").consumed == 0);
    CHECK(decoder.take_head().headers.get("content-length") == "5");
    decoder.begin("GET");  // and is as new
    CHECK(decoder.is_untouched());
    CHECK(decoder.next(text).what == event::head);
    CHECK(text_of(decoder.head().headers) == "Content-Length=5;");
}

TEST_CASE("h1 response: a switch of protocols only after it was asked for", "[http_h1]") {
    const std::string text = "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n";
    CHECK_THAT(response(text).error, Catch::Contains("without being asked"));
    const outcome asked = response(text + "\x81\x01", "GET", true);
    CHECK(asked.status == 101);
    CHECK(asked.done);
    CHECK(asked.consumed == text.size());  // the frame behind it is another protocol's
    CHECK_FALSE(asked.keep_alive);
    CHECK(response("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n.", "GET", true).body == ".");
}

TEST_CASE("h1 response: one that is cut off says how much came", "[http_h1]") {
    const std::vector<std::pair<std::string, const char*>> rows = {
        {"", "closed the connection without a response"},
        {"HTT", "inside the head of the response"},
        {"HTTP/1.1 200 OK\r\nA: b\r\n", "inside the head of the response"},
        {"HTTP/1.1 100 Continue\r\n\r\n", "inside the head of the response"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", "after 5 of 50 bytes"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "after 0 of 5 bytes"},
        {chunked, "after 0 bytes of a chunked body, before its last chunk"},
        {chunked + "5\r\nhel",
         "after 3 bytes of a chunked body, 2 bytes before the end of a chunk"},
        {chunked + "5\r\nhello\r\n", "after 5 bytes of a chunked body, before its last chunk"},
        {chunked + "5\r\nhello\r\n0\r\n", "before its last chunk was complete"},
        {chunked + "5\r\nhello\r\n0\r\nA: b\r\n", "before its last chunk was complete"},
        {chunked + "7fffffffffffffff\r\na", "after 1 bytes"},
    };
    for (const auto& [text, reason] : rows) {
        const outcome result = response(text);
        INFO(text);
        CHECK_THAT(result.error, Catch::Contains(reason));
        CHECK_FALSE(result.done);
        CHECK_FALSE(result.keep_alive);
    }
}

TEST_CASE("h1 response: doubtful framing is refused however it is cut", "[http_h1]") {
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
        {with("Content-Length: 5\r\n 6"), "not one plain number"},
        {with("Content-Length:"), "not one plain number"},
        {with("Content-Length: 18446744073709551621"), "larger than any file"},
        {with("Content-Length: 9223372036854775808"), "larger than any file"},
        {with("Content-Length: 5\r\nContent-Length: 5"), "several content-length"},
        {with("Content-Length: 5\r\ncontent-length: 6"), "several content-length"},
        {with("Content-Length: 5\r\nTransfer-Encoding: chunked"), "both content-length and"},
        {with("Transfer-Encoding: chunked\r\nContent-Length: 5"), "both content-length and"},
        {with("Transfer-Encoding: gzip"), "other than chunked"},
        {with("Transfer-Encoding: identity"), "other than chunked"},
        {with("Transfer-Encoding: gzip, chunked"), "other than chunked"},
        {with("Transfer-Encoding: chunked, gzip"), "other than chunked"},
        {with("Transfer-Encoding: chunked, chunked"), "other than chunked"},
        {with("Transfer-Encoding: xchunked"), "other than chunked"},
        {with("Transfer-Encoding: \"chunked\""), "other than chunked"},
        {with("Transfer-Encoding:"), "other than chunked"},
        {with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), "several transfer-"},
        {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         "HTTP/1.0 does not know"},
        {with("Content-Length : 5"), "header field is malformed"},
        {with(" A: b"), "begins with a space"},
        {with("A: b\nContent-Length: 5"), "bare line feed"},
        {with("A: b\r\n\n"), "bare line feed"},
        {"HTTP/1.1 200 OK\n\n", "bare line feed"},
        {"HTTP/1.1 200 OK\r\n\n", "bare line feed"},
        {with("A: b\rc"), "header field is malformed"},
        {with("A: b\r"), "header field is malformed"},
        {with("A: b\r\n c\rd"), "header field is malformed"},
        {with("no colon"), "header field is malformed"},
        {with(": b"), "header field is malformed"},
        {with(std::string("A: b\0c", 6)), "header field is malformed"},
        {"HTTP/1.1  200 OK\r\n\r\n", "status line is malformed"},
        {"HTTP/1.1 2x0 OK\r\n\r\n", "status line is malformed"},
        {"HTTP/1.1 +20 OK\r\n\r\n", "status line is malformed"},
        {"HTTP/1.1 20\r\n\r\n", "status line is malformed"},
        {"HTTP/1.1 2000 OK\r\n\r\n", "status line is malformed"},
        {"HTTP/1.2 200 OK\r\n\r\n", "status line is malformed"},
        {"HTTP/1.1 099 OK\r\n\r\n", "status line is malformed"},
        {"HTTP/1.1 200 O\rK\r\n\r\n", "status line is malformed"},
        {"HTTP/1.\r\n", "status line is malformed"},
        {"HTTP/2.0 200 OK\r\n\r\n", "does not speak HTTP/1"},
        {"SSH-2.0-OpenSSH\r\n", "does not speak HTTP/1"},
        {"\x1b[31m", "does not speak HTTP/1"},
        {"\r\nHTTP/1.1 200 OK\r\n\r\n", "does not speak HTTP/1"},
        {chunked + "x\r\n", "does not begin with its size"},
        {chunked + "-1\r\n", "does not begin with its size"},
        {chunked + "\r\n5\r\n", "does not begin with its size"},
        {chunked + " 5\r\n", "does not begin with its size"},
        {chunked + "10000000000000000\r\n", "does not begin with its size"},
        {chunked + "00000000000000005\r\n", "does not begin with its size"},
        {chunked + "ffffffffffffffff\r\n", "larger than any file"},
        {chunked + "1\r\na\r\n7fffffffffffffff\r\n", "larger than any file"},
        {chunked + "5\nhello\r\n", "bare line feed"},
        {chunked + "5 \nhello\r\n", "bare line feed"},
        {chunked + "5\rhello\r\n", "after a chunk's size"},
        {chunked + "5\r\nhelloX\r\n0\r\n\r\n", "longer than its size"},
        {chunked + "5\r\nhello5\r\n", "longer than its size"},
        {chunked + "5\r\nhello\n0\r\n\r\n", "longer than its size"},
        {chunked + "5\r\nhello\r0\r\n\r\n", "longer than its size"},
        {chunked + "5 x\r\n", "after a chunk's size"},
        {chunked + "0x5\r\nhello\r\n\r\n", "after a chunk's size"},
        {chunked + "5;a=\"b\nc\"\r\n", "bare line feed"},
        {chunked + "5;a=\"b\r\nc\"\r\n", "longer than its size"},
        {chunked + "5;a=\"b\x01\"\r\n", "control character follows"},
        {chunked + "0\r\nbad trailer\r\n\r\n", "header field is malformed"},
        {chunked + "0\r\n folded\r\n\r\n", "begins with a space"},
        {chunked + "0\r\nContent-Length: 3\r\n\r\n", "speak of another length"},
        {chunked + "0\r\nTransfer-Encoding: chunked\r\n\r\n", "speak of another length"},
        {chunked + "0\r\n\n", "bare line feed"},
    };
    for (const auto& [text, reason] : rows) {
        const std::string more =
            text.find("a=\"b\r\nc") != std::string::npos ? text + "xxxx" : text;
        const outcome result = response(more);
        INFO(more);
        CHECK_THAT(result.error, Catch::Contains(reason));
        CHECK_FALSE(result.done);
        CHECK_FALSE(result.keep_alive);
    }
}

TEST_CASE("h1 response: a refused one stays refused", "[http_h1]") {
    h1::response_decoder decoder;
    decoder.begin("GET");
    CHECK(decoder.next("SSH").what == event::failed);
    CHECK(decoder.next("HTTP/1.1 200 OK\r\n\r\n").what == event::failed);
    CHECK(decoder.finish().what == event::failed);
    CHECK(decoder.why().text == "the server does not speak HTTP/1: it says \"SSH\"");
    decoder.begin("GET");
    decoder.next("\x1b[31m");
    CHECK_THAT(decoder.why().text, Catch::EndsWith("it says \"?[31m\""));
    CHECK_THROWS_AS(h1::raise(decoder.why(), "GET", "http://a/", 0), rondo::http::protocol_error);
}

TEST_CASE("h1 response: every byte value at each place of the head", "[http_h1]") {
    const std::string token_extra = "!#$%&'*+-.^_`|~";
    for (int value = 0; value < 256; ++value) {
        const std::string byte(1, static_cast<char>(value));
        const bool is_control = (value < 0x20 && value != '\t') || value == 0x7f;
        const bool is_token =
            value > 0 && value < 0x80 &&
            (std::isalnum(value) != 0 || token_extra.find(byte) != std::string::npos);
        const auto accepted = [&](const std::string& head) {
            h1::response_decoder decoder;
            decoder.begin("GET");
            const std::string text = "HTTP/1.1 200 " + head + "\r\n\r\n";
            return receive(decoder, split_ways::single_bytes(text)).done;
        };
        INFO("byte " << value);
        CHECK(accepted("O" + byte + "K\r\nA: b") == !is_control);
        CHECK(accepted("OK\r\nA: b" + byte + "c") == !is_control);
        CHECK(accepted("OK\r\nA: 0123456" + byte + "89abcdef") == !is_control);
        CHECK(accepted("OK\r\nA" + byte + "B: c") == (is_token || byte == ":"));
    }
}

TEST_CASE("h1 response: endless heads, interim responses and trailers end at a bound",
          "[http_h1]") {
    struct row {
        std::string start;
        std::string again;
        std::size_t bytes_max;
        const char* reason;
    };
    const std::vector<row> rows = {
        {"HTTP/1.1 200 OK\r\n", "A: b\r\n", 2000, "too many header fields"},
        {"HTTP/1.1 200 OK\r\n", "A: " + std::string(900, 'x') + "\r\n", 65536, "65536 bytes"},
        {"HTTP/1.1 200 OK\r\nA: ", "xxxxxxxxxxxxxxxx", 65536, "65536 bytes"},
        {"HTTP/1.1 200 OK\r\nA: b\r\n", " folded\r\n", 65536, "65536 bytes"},
        {"HTTP/1.1 200 ", "O", 65536, "65536 bytes"},
        {"", "HTTP/1.1 100 Continue\r\n\r\n", 2600, "too many interim"},
        {chunked + "0\r\n", "A: " + std::string(900, 'x') + "\r\n", 34000, "trailers are too long"},
        {chunked + "5;a=", "x", 17000, "extensions are too long"},
        {chunked + "5", " ", 17000, "extensions are too long"},
        {chunked, "1;a=" + std::string(100, 'x') + "\r\na\r\n", 23000, "extensions are too long"},
        {chunked + "0;a=", "x", 17000, "extensions are too long"},
        {chunked, "0", 100, "does not begin with its size"},
    };
    for (const row& r : rows) {
        std::string text = r.start;
        while (text.size() < r.bytes_max + 10000) text += r.again;
        for (const std::size_t piece_max : {1U, 7U, 100000U}) {
            pieces parts;
            for (std::size_t i = 0; i < text.size(); i += piece_max)
                parts.push_back(std::string_view(text).substr(i, piece_max));
            h1::response_decoder decoder;
            decoder.begin("GET");
            const outcome result = receive(decoder, parts);
            INFO(r.start << r.again.substr(0, 40) << " in pieces of " << piece_max);
            CHECK_THAT(result.error, Catch::Contains(r.reason));
            CHECK(result.consumed <= r.bytes_max);
        }
    }
    std::string fields, honest;
    for (int i = 0; i < 128; ++i) fields += "A: b\r\n";
    for (int i = 0; i < 3000; ++i) honest += "1;abc=defghijkl\r\na\r\n";
    const auto error_of = [](const std::string& text) {
        h1::response_decoder decoder;
        decoder.begin("GET");
        return receive(decoder, {text}).error;
    };
    CHECK(error_of("HTTP/1.1 200 OK\r\n" + fields + "\r\n") == "");
    CHECK(error_of(chunked + "0\r\n" + fields + "\r\n") == "");
    CHECK_THAT(error_of(chunked + "0\r\nC: d\r\n" + fields + "\r\n"),
               Catch::Contains("too many trailer fields"));
    CHECK(error_of(chunked + honest + "0\r\n\r\n") == "");
    std::string interim;
    for (int i = 0; i < 100; ++i) interim += "HTTP/1.1 102 Processing\r\n\r\n";
    CHECK(error_of(interim + "HTTP/1.1 204 X\r\n\r\n") == "");
}
