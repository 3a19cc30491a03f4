// SPDX-License-Identifier: MIT
// The decoders of HTTP/1.1: the same events however the bytes are cut, good messages taken,
// doubtful ones refused, endless ones bounded. docs/http.md has the table of what is taken.
#include "http/h1/decoder.hpp"

#include <cctype>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/h1/encoder.hpp"
#include "http/split_ways.hpp"
#include "support/catch.hpp"

namespace h1 = rondo::http::h1;
using h1::event;
using split_ways::pieces;

namespace {

struct outcome {
    int status = 0;      // of a response; of a refused request, the answer
    std::string start;   // "reason", "GET /x"
    std::string fields;  // "a=b;c=d;"
    std::string body;
    std::string trailers;
    std::string error;
    int interim = 0;
    bool done = false;
    bool keep_alive = false;
    std::size_t consumed = 0;
    bool operator==(const outcome&) const = default;
};

void demand(bool holds, const char* what) {
    if (!holds) FAIL(what);
}

std::string text_of(const rondo::http::fields& all) {
    std::string text;
    for (const auto& [name, value] : all) ((((text += name) += '=') += value) += ';');
    return text;
}

void note_head(const h1::response_decoder& from, outcome& result) {
    result.status = from.head().status;
    result.start = from.head().reason;
    result.fields = text_of(from.head().headers);
}

void note_head(const h1::request_decoder& from, outcome& result) {
    result.start = from.head().method + ' ' + from.head().target;
    result.fields = text_of(from.head().headers);
}

/// Feeds one piece. Returns: false after `end` and `failed`.
template <class Decoder>
bool give(Decoder& decoder, std::string_view bytes, outcome& result) {
    for (;;) {
        const h1::step step = decoder.next(bytes);
        demand(step.consumed <= bytes.size(), "it consumes what is there");
        if (step.what == event::body) {
            demand(!step.body.empty() && step.body.data() >= bytes.data() &&
                       step.body.data() + step.body.size() == bytes.data() + step.consumed,
                   "a body is a part of the input");
            result.body += step.body;
        }
        result.consumed += step.consumed;
        bytes.remove_prefix(step.consumed);
        if (step.what == event::head) note_head(decoder, result);
        if (step.what == event::interim) ++result.interim;
        if (step.what == event::need_more) demand(bytes.empty(), "all was consumed");
        if (step.what == event::need_more) return true;
        if (step.what == event::end || step.what == event::failed) return false;
    }
}

template <class Decoder>
outcome receive(Decoder& decoder, const pieces& parts) {
    outcome result;
    bool goes_on = true;
    split_ways::feed(
        parts, [&](std::string_view bytes) { goes_on = goes_on && give(decoder, bytes, result); });
    const h1::step last = decoder.finish();
    result.done = last.what == event::end;
    demand(result.done == decoder.has_ended(), "finish() tells how it ended");
    result.error = decoder.why().text;
    if (last.what == event::failed && result.status == 0) result.status = decoder.why().status;
    result.keep_alive = decoder.keep_alive();
    result.trailers = text_of(decoder.trailers());
    demand(decoder.body_bytes() == result.body.size(), "body_bytes() counts the body");
    return result;
}

/// The part of an outcome that does not depend on how the bytes were cut: a refusal may come before
/// or after the end of its line, and quotes what has come by then.
outcome same_part(outcome result) {
    if (!result.done) result.consumed = 0;
    if (const auto quote = result.error.find("it says \""); quote != std::string::npos)
        result.error.resize(quote);
    return result;
}

outcome response(std::string_view text, std::string_view method = "GET", bool upgrade = false) {
    return split_ways::same_every_way(text, [&](const pieces& parts) {
        h1::response_decoder decoder;
        decoder.begin(method, upgrade);
        return same_part(receive(decoder, parts));
    });
}

outcome request(std::string_view text) {
    return split_ways::same_every_way(text, [&](const pieces& parts) {
        h1::request_decoder decoder;
        decoder.begin();
        return same_part(receive(decoder, parts));
    });
}

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

TEST_CASE("h1 request: good ones are taken however they are cut", "[http_h1]") {
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

TEST_CASE("h1 request: malformed ones are refused with their status", "[http_h1]") {
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

TEST_CASE("h1: heads and chunks that are written can be read again", "[http_h1]") {
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
