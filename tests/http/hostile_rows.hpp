// SPDX-License-Identifier: MIT
// Tables of answers of hostile servers: status lines, header fields, framing, chunks. The checks
// and the other tables are in test_http_hostile.cpp.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "http/hostile_server.hpp"

namespace rondo_tests {

using namespace std::chrono_literals;
using namespace std::string_literals;

struct misbehaviour {
    const char* name;
    behaviour server;
    const char* type;  // of the error, or "taken"
    const char* text;  // a part of it, or the body
    rondo::duration within = std::chrono::seconds(1);
    use how = use::text;
};
using table = std::vector<misbehaviour>;

/// A head, and what comes after it.
inline std::string ok(std::string_view fields, std::string_view rest = "") {
    return "HTTP/1.1 200 OK\r\n" + std::string(fields) + "\r\n" + std::string(rest);
}
inline std::string chunks(std::string_view rest) {
    return ok("transfer-encoding: chunked\r\n", rest);
}
inline std::string coded(std::string_view codings, std::string_view bytes) {
    return ok("content-encoding: " + std::string(codings) +
                  "\r\ncontent-length: " + std::to_string(bytes.size()) + "\r\n",
              bytes);
}
inline std::string moved(std::string_view where) {
    return "HTTP/1.1 302 Found\r\ncontent-length: 0\r\nlocation: " + std::string(where) +
           "\r\n\r\n";
}

inline std::string times(int count, std::string_view text) {
    std::string all;
    for (int i = 0; i < count; ++i) all += text;
    return all;
}

inline constexpr std::size_t most_heap = std::size_t{4} << 20;  // buffers of both sides included
inline const std::string megabyte(std::size_t{1} << 20, 'x');

inline table status_lines() {
    const char* const malformed = "its status line is malformed";
    const char* const foreign = "the server does not speak HTTP/1: it says \"";
    return {
        {"SSH", answer("SSH-2.0-OpenSSH_9.2\r\n"), "protocol_error", foreign},
        {"ICY", answer("ICY 200 OK\r\n\r\n"), "protocol_error", foreign},
        {"lower case", answer("http/1.1 200 OK\r\n\r\n"), "protocol_error", foreign},
        {"HTTP/2", answer("HTTP/2 200\r\n\r\n"), "protocol_error", foreign},
        {"HTTP/3.0", answer("HTTP/3.0 200 OK\r\n\r\n"), "protocol_error", foreign},
        {"HTTP/1.2", answer("HTTP/1.2 200 OK\r\n\r\n"), "protocol_error", malformed},
        {"frames of HTTP/2", answer("\0\0\x12\x04\0\0\0\0\0"s), "protocol_error", foreign},
        {"a TLS alert", answer("\x15\x03\x01\0\x02\x02\x46"s), "protocol_error", foreign},
        {"HTTP/0.9", answer("<html>hello</html>").close(), "protocol_error", foreign},
        {"an empty line first", answer("\r\nHTTP/1.1 200 OK\r\n\r\n"), "protocol_error", foreign},
        {"a byte order mark", answer("\xef\xbb\xbfHTTP/1.1 200 OK\r\n\r\n"), "protocol_error",
         foreign},
        {"escape codes are not printed", answer("\x1b[31mred"), "protocol_error", "\"?[31mred\""},
        {"two digits", answer("HTTP/1.1 20 OK\r\n\r\n"), "protocol_error", malformed},
        {"four digits", answer("HTTP/1.1 2000 OK\r\n\r\n"), "protocol_error", malformed},
        {"099", answer("HTTP/1.1 099 X\r\n\r\n"), "protocol_error", malformed},
        {"a sign", answer("HTTP/1.1 +20 X\r\n\r\n"), "protocol_error", malformed},
        {"letters", answer("HTTP/1.1 2OO OK\r\n\r\n"), "protocol_error", malformed},
        {"two spaces", answer("HTTP/1.1  200 OK\r\n\r\n"), "protocol_error", malformed},
        {"no space", answer("HTTP/1.1200 OK\r\n\r\n"), "protocol_error", malformed},
        {"NUL in the reason", answer("HTTP/1.1 200 O\0K\r\n\r\n"s), "protocol_error", malformed},
        {"CR in the reason", answer("HTTP/1.1 200 O\rK\r\n\r\n"), "protocol_error", malformed},
        {"a bare line feed", answer("HTTP/1.1 200 OK\ncontent-length: 0\n\n"), "protocol_error",
         "bare line feed"},
        {"an endless line", answer("HTTP/1.1 200 ").repeat(times(1000, "Okay")), "limit_error",
         "its head is longer than 65536 bytes"},
        {"an endless line of no HTTP", answer("").repeat(megabyte), "protocol_error", foreign},
        {"101 that was not asked for", answer("HTTP/1.1 101 Hi\r\nupgrade: x\r\n\r\n"),
         "protocol_error", "switches the protocol without being asked to"},
        {"no reason, no space", answer("HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nhi"), "taken",
         "hi"},
        {"999", answer("HTTP/1.1 999 X\r\ncontent-length: 2\r\n\r\nhi"), "taken", "hi"},
        {"interim answers for ever", answer("").repeat("HTTP/1.1 100 Continue\r\n\r\n"),
         "limit_error", "too many interim responses"},
        {"large interim answers",
         answer("").repeat("HTTP/1.1 103 Hints\r\nlink: " + std::string(60'000, 'a') + "\r\n\r\n"),
         "limit_error", "too many interim responses", 3s},
        {"99 interim answers",
         answer("").repeat("HTTP/1.1 102 Wait\r\n\r\n", 99).send(good_reply), "taken", "good"},
        {"an interim answer, then the end", answer("HTTP/1.1 100 Continue\r\n\r\n").close(),
         "protocol_error", "inside the head"},
    };
}

inline table header_fields() {
    const char* const malformed = "a header field is malformed";
    return {
        {"no colon", answer(ok("server\r\n")), "protocol_error", malformed},
        {"no name", answer(ok(": x\r\n")), "protocol_error", malformed},
        {"a space before the colon", answer(ok("content-length : 5\r\n")), "protocol_error",
         malformed},
        {"a space in the name", answer(ok("content length: 5\r\n")), "protocol_error", malformed},
        {"NUL in the name", answer(ok("a\0b: c\r\n"s)), "protocol_error", malformed},
        {"Latin-1 in the name", answer(ok("gr\xfc\xdf: c\r\n")), "protocol_error", malformed},
        {"NUL in the value", answer(ok("a: b\0c\r\n"s)), "protocol_error", malformed},
        {"CR in the value", answer(ok("a: b\rset-cookie: c=d\r\n")), "protocol_error", malformed},
        {"DEL in the value", answer(ok("a: b\x7f\r\n")), "protocol_error", malformed},
        {"a bare line feed", answer(ok("a: b\nset-cookie: c=d\r\n")), "protocol_error",
         "bare line feed"},
        {"a folded first line", answer(ok(" a: b\r\n")), "protocol_error",
         "begins with a space"},
        {"a folded field", answer(ok("a: b\r\n  c\r\ncontent-length: 2\r\n", "hi")), "taken",
         "hi"},
        {"bytes above 127 in the value", answer(ok("a: \xff\x80\r\ncontent-length: 2\r\n", "hi")),
         "taken", "hi"},
        {"129 fields", answer("HTTP/1.1 200 OK\r\n").repeat("a: b\r\n", 129), "limit_error",
         "too many header fields"},
        {"fields for ever", answer("HTTP/1.1 200 OK\r\n").repeat(times(100, "a: b\r\n")),
         "limit_error", "too many header fields"},
        {"a name for ever", answer("HTTP/1.1 200 OK\r\n").repeat(times(1000, "abcdefgh")),
         "limit_error", "its head is longer"},
        {"folded lines for ever",
         answer("HTTP/1.1 200 OK\r\na: b\r\n").repeat(times(1000, " c\r\n")), "limit_error",
         "its head is longer"},
        {"one line of a megabyte", answer("HTTP/1.1 200 OK\r\na: " + megabyte), "limit_error",
         "its head is longer"},
        {"folded content-length",
         answer(ok("content-length: 1\r\n 0\r\n", "0123456789")), "protocol_error",
         "not one plain number"},
    };
}

inline table framing() {
    const char* const number = "its content-length is not one plain number";
    const char* const coding = "a transfer coding other than chunked";
    const std::string chunked = "transfer-encoding: chunked\r\n";
    const auto length = [](std::string_view value) {
        return answer(ok("content-length: " + std::string(value) + "\r\n", "0123456789"));
    };
    return {
        {"both", answer(ok("content-length: 5\r\n" + chunked, "0\r\n\r\n")), "protocol_error",
         "both content-length and transfer-encoding"},
        {"two lengths", answer(ok("content-length: 5\r\ncontent-length: 6\r\n")),
         "protocol_error", "several content-length"},
        {"two equal lengths", answer(ok("content-length: 5\r\ncontent-length: 5\r\n")),
         "protocol_error", "several content-length"},
        {"a list of lengths", length("5, 5"), "protocol_error", number},
        {"plus", length("+5"), "protocol_error", number},
        {"minus", length("-5"), "protocol_error", number},
        {"hexadecimal", length("0x5"), "protocol_error", number},
        {"a fraction", length("5.0"), "protocol_error", number},
        {"two numbers", length("5 5"), "protocol_error", number},
        {"empty", length(""), "protocol_error", number},
        {"2^63", length("9223372036854775808"), "protocol_error", "larger than any file"},
        {"thirty digits", length("100000000000000000000000000000"), "protocol_error",
         "larger than any file"},
        {"zeros in front", answer(ok("content-length: 0002\r\n", "hi")), "taken", "hi"},
        {"gzip, chunked", answer(ok("transfer-encoding: gzip, chunked\r\n")), "protocol_error",
         coding},
        {"chunked twice", answer(ok("transfer-encoding: chunked, chunked\r\n")),
         "protocol_error", coding},
        {"identity", answer(ok("transfer-encoding: identity\r\n")), "protocol_error", coding},
        {"xchunked", answer(ok("transfer-encoding: xchunked\r\n")), "protocol_error", coding},
        {"two transfer-encodings", answer(ok(chunked + chunked)), "protocol_error",
         "several transfer-encoding"},
        {"chunked in HTTP/1.0", answer("HTTP/1.0 200 OK\r\n" + chunked + "\r\n0\r\n\r\n"),
         "protocol_error", "HTTP/1.0 does not know"},
        {"a body after HEAD", answer(ok("content-length: 4\r\n", "body")), "taken", "", 1s,
         use::head},
        {"a body after 204", answer("HTTP/1.1 204 X\r\ncontent-length: 4\r\n\r\nbody"), "taken",
         ""},
        {"a body after 304", answer("HTTP/1.1 304 X\r\ncontent-length: 4\r\n\r\nbody"), "taken",
         ""},
        {"bytes after the answer", answer(good_reply + "HTTP/1.1 200 OK\r\n\r\nevil").once(),
         "taken", "good", 2s, use::twice},
        {"the answer before the request", behaviour().send(good_reply).read_head(), "taken",
         "good"},
        {"two answers, for one request", answer(good_reply + good_reply).once(), "taken", "good",
         2s, use::twice},
        {"the end of the connection ends the body", answer(ok("", "all")).close(), "taken",
         "all"},
    };
}

inline table chunked_bodies() {
    const char* const size = "a chunk does not begin with its size";
    const char* const after = "after a chunk's size is something malformed";
    const char* const longer = "a chunk is longer than its size says";
    return {
        {"no size", answer(chunks("\r\nhello\r\n")), "protocol_error", size},
        {"not hexadecimal", answer(chunks("g\r\nhello\r\n")), "protocol_error", size},
        {"a minus", answer(chunks("-5\r\nhello\r\n")), "protocol_error", size},
        {"a space in front", answer(chunks(" 5\r\nhello\r\n")), "protocol_error", size},
        {"0x", answer(chunks("0x5\r\nhello\r\n")), "protocol_error", after},
        {"17 digits", answer(chunks("00000000000000005\r\nhello\r\n")), "protocol_error", size},
        {"2^63", answer(chunks("8000000000000000\r\nhello")), "protocol_error",
         "larger than any file"},
        {"2^64 - 1", answer(chunks("ffffffffffffffff\r\nhello")), "protocol_error",
         "larger than any file"},
        {"a line feed alone", answer(chunks("5\nhello\r\n")), "protocol_error", "bare line feed"},
        {"a CR alone", answer(chunks("5\rhello\r\n")), "protocol_error", after},
        {"longer than it says", answer(chunks("5\r\nhello world")), "protocol_error", longer},
        {"no end of line after it", answer(chunks("5\r\nhello5\r\n")), "protocol_error", longer},
        {"a line feed alone after it", answer(chunks("5\r\nhello\n")), "protocol_error", longer},
        {"extensions for ever", answer(chunks("5;")).repeat(std::string(1000, 'e')),
         "limit_error", "chunk extensions are too long"},
        {"an extension at each byte",
         answer(chunks("")).repeat("1;" + std::string(2000, 'e') + "\r\nx\r\n"), "limit_error",
         "chunk extensions are too long"},
        {"a line feed in an extension", answer(chunks("5;a\nb\r\nhello\r\n")), "protocol_error",
         "bare line feed"},
        {"NUL in an extension", answer(chunks("5;\0\r\nhello\r\n"s)), "protocol_error",
         "control character"},
        {"spaces after the size, an extension", answer(chunks("2  \r\nhi\r\n0;a=b\r\n\r\n")),
         "taken", "hi"},
        {"trailers for ever", answer(chunks("0\r\n")).repeat(times(100, "a: b\r\n")),
         "limit_error", "too many trailer fields"},
        {"a trailer for ever", answer(chunks("0\r\na: ")).repeat(std::string(1000, 'b')),
         "limit_error", "its trailers are too long"},
        {"a trailer without a colon", answer(chunks("0\r\nab\r\n\r\n")), "protocol_error",
         "a header field is malformed"},
        {"a length in the trailers", answer(chunks("0\r\ncontent-length: 5\r\n\r\n")),
         "protocol_error", "its trailers speak of another length"},
        {"chunks for ever, 64 KiB wanted",
         answer(chunks("")).repeat(times(1000, "1\r\nx\r\n")), "limit_error",
         "the body is longer than 65536 bytes", 1s, use::kilobytes},
        {"a body for ever, 64 KiB wanted", answer(ok("")).repeat(megabyte), "limit_error",
         "the body is longer than 65536 bytes", 1s, use::kilobytes},
        {"a line of a body for ever", answer(ok("")).repeat(megabyte, 3).close(), "limit_error",
         "the body is longer than", 1s, use::kilobytes},
    };
}

}  // namespace rondo_tests
