// SPDX-License-Identifier: MIT
// Misbehaviours of servers: each ends with the error that says what is wrong, within its limit of
// time and of memory, and leaves the session able to go on. Plain, and over TLS.
#include <rondo/http.hpp>

#ifdef RONDO_WITH_ZLIB
#include <zlib.h>
#endif

#include "http/hostile_rows.hpp"
#include "http/hostile_server.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace rondo_tests;
using namespace std::string_literals;

// A server that keeps to the rules ends what it sends. These come without an end, or too slowly.
table silence() {
    const std::string half = ok("content-length: 10\r\n", "half");
    const auto head = "waiting for response headers: ";
    const auto body = "waiting for the response body: ";
    return {
        {"no answer", answer(""), "timeout_error", "timed out after 30s waiting for response h",
         31s},
        {"half a head", answer("HTTP/1.1 200 OK\r\na: "), "timeout_error", head, 31s},
        {"a head that drips", answer("").drip(ok("content-length: 0\r\n"), 10s), "timeout_error",
         "timed out after 30s waiting for response headers: GET", 31s},
        {"interim answers that drip",
         answer("").drip("HTTP/1.1 102 X\r\n\r\nHTTP/1.1 102 X\r\n\r\n", 2s), "timeout_error",
         head, 31s},
        {"half a body", answer(half), "timeout_error", "(4 bytes)", 31s, use::some},
        {"a body that drips", answer(ok("")).drip(std::string(100, 'x'), 1s), "timeout_error",
         body, 33s, use::some},
        {"a body that drips more slowly", answer(ok("")).drip("0123456789", 29s),
         "timeout_error", body, 60s, use::some},
        {"a body that takes more than the total",
         answer(ok("")).drip(std::string(100, 'x'), 1s), "timeout_error", body, 33s},
        {"a chunk's size that drips", answer(chunks("")).drip("000000000000001", 10s),
         "timeout_error", body, 31s, use::some},
        {"an extension that drips", answer(chunks("5;")).drip(std::string(50, 'e'), 10s),
         "timeout_error", body, 31s, use::some},
        {"trailers that drip", answer(chunks("0\r\n")).drip("abc: " + std::string(50, 'e'), 10s),
         "timeout_error", body, 31s, use::some},
        {"gzip that says nothing",
         answer(ok("content-encoding: gzip\r\n") + "\x1f\x8b\x08\x08\0\0\0\0\0\3"s)
             .drip(std::string(50, 'n'), 10s),
         "timeout_error", body, 41s, use::some},
        {"an upload that is not read", behaviour().pause(50s), "timeout_error",
         "timed out after 30s waiting for the peer to take the request", 31s, use::upload},
        {"an upload that is read slowly", behaviour().read_slowly(2'000'050).send(good_reply),
         "taken", "good", 100s, use::upload},
        {"an upload, and no answer", behaviour().read_slowly(2'000'000), "timeout_error", head,
         120s, use::upload},
    };
}

table early_ends() {
    return {
        {"closed at once", behaviour().close(), "protocol_error", ""},
        {"cut at once", behaviour().cut(), "protocol_error", ""},
        {"closed after the request", answer("").close(), "protocol_error",
         "closed the connection without a response"},
        {"cut after the request", answer("").cut(), "protocol_error",
         "the connection was lost before the response"},
        {"cut in the head", answer("HTTP/1.1 2").cut(), "protocol_error", ""},
        {"cut in a body with a length", answer(ok("content-length: 10\r\n", "half")).cut(),
         "body_error", ""},
        {"cut in a body of chunks", answer(chunks("a\r\nhalf")).cut(), "body_error", ""},
        {"cut in a body without a length", answer(ok("", "half")).cut(), "body_error", ""},
        {"closed in a body with a length", answer(ok("content-length: 10\r\n", "half")).close(),
         "body_error", "after 4 of 10 bytes"},
        {"closed in a chunk", answer(chunks("a\r\nhalf")).close(), "body_error",
         "6 bytes before the end of a chunk"},
        {"closed before the last chunk", answer(chunks("4\r\nhalf\r\n")).close(), "body_error",
         "before its last chunk was complete"},
        {"413 before the upload, then closed",
         answer("HTTP/1.1 413 X\r\ncontent-length: 5\r\n\r\nlarge").close(), "taken", "large", 2s,
         use::upload},
        {"413 before the upload, silent after it",
         answer("HTTP/1.1 413 X\r\ncontent-length: 5\r\n\r\nlarge"), "taken", "large", 2s,
         use::upload},
        {"closed in the upload", behaviour().read_head().close(), "protocol_error", "", 1s,
         use::upload},
        {"half an answer in the upload", answer("HTTP/1.1 413 X\r\n").close(), "protocol_error",
         "", 1s, use::upload},
    };
}

// The first request is answered. The second one meets a connection that is not what it seems.
table kept_connections() {
    const behaviour first = answer(good_reply);
    const auto second = [&](std::string text) { return first.read_head().send(text); };
    return {
        {"closed while idle", first.close().once(), "taken", "good", 2s, use::twice},
        {"cut while idle", first.cut().once(), "taken", "good", 2s, use::twice},
        {"408 while idle", first.send("HTTP/1.1 408 X\r\n\r\n").close().once(), "taken", "good",
         2s, use::twice},
        {"noise while idle", first.send("\r\n").once(), "taken", "good", 2s, use::twice},
        {"closed when the request comes", second("").close().once(), "taken", "good", 2s,
         use::twice},
        {"cut when the request comes", second("").cut().once(), "taken", "good", 2s, use::twice},
        {"closed again and again", second("").close(), "taken", "good", 2s, use::twice},
        {"cut in the second head", second("H").cut().once(), "protocol_error", "", 2s,
         use::twice},
        {"closed in the second head", second("H").close().once(), "protocol_error",
         "inside the head", 2s, use::twice},
        {"cut in the second body", second(ok("content-length: 9\r\n", "half")).cut().once(),
         "body_error", "", 2s, use::twice},
        {"silent when the request comes", second("").once(), "timeout_error",
         "waiting for response headers", 32s, use::twice},
        {"closed when a POST comes", second("").close().once(), "protocol_error",
         "without a response", 2s, use::then_post},
        {"cut when a POST comes", second("").cut().once(), "protocol_error", "", 2s,
         use::then_post},
        {"closed before a POST", first.close().once(), "taken", "good", 2s, use::then_post},
        {"kept for an hour, it says, and closes",
         answer(ok("keep-alive: timeout=4294967295\r\ncontent-length: 1\r\n", "x")).close().once(),
         "taken", "good", 2s, use::twice},
    };
}

#ifdef RONDO_WITH_ZLIB
std::string gzipped(std::string_view plain) {
    z_stream stream{};
    deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    std::string out(deflateBound(&stream, plain.size()), '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
    stream.avail_in = static_cast<uInt>(plain.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    deflate(&stream, Z_FINISH);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}
std::string gzipped_zeros() { return gzipped(std::string(std::size_t{8} << 20, '\0')); }
#endif

table codings() {
    const auto gzip_head = "\x1f\x8b\x08\0\0\0\0\0\0\3"s;
    table rows = {
        {"unknown", answer(coded("secret", "x")), "body_error", "\"secret\" is unknown"},
        {"five of them", answer(coded("gzip,gzip,gzip,gzip,gzip", "x")), "limit_error",
         "too many content codings"},
        {"no body", answer(coded("gzip", "")), "taken", ""},
        {"HEAD", answer(ok("content-encoding: gzip\r\ncontent-length: 9\r\n")), "taken", "", 1s,
         use::head},
        {"identity", answer(coded("identity", "plain")), "taken", "plain"},
    };
#ifdef RONDO_WITH_ZLIB
    const table zlib = {
        {"plain text as gzip", answer(coded("gzip", "hello, hello")), "body_error",
         "not what content-encoding says: gzip"},
        {"half of gzip", answer(coded("gzip", gzip_head + "\xcb\x48")), "body_error",
         "the coded body is cut off: gzip"},
        {"more than gzip",
         answer(coded("gzip", gzip_head + "\3\0\0\0\0\0\0\0\0\0"s + "more")), "body_error",
         "not what content-encoding says"},
        {"a wrong checksum", answer(coded("gzip", gzip_head + "\3\0\1\0\0\0\0\0\0\0"s)),
         "body_error", "not what content-encoding says"},
        {"plain text as deflate", answer(coded("deflate", "\x07hello")), "body_error",
         "not what content-encoding says: deflate"},
        {"a bomb of gzip", answer(coded("gzip", gzipped_zeros())), "limit_error",
         "the body is longer than 65536 bytes", 1s, use::kilobytes},
        {"a bomb of gzip in gzip", answer(coded("gzip, gzip", gzipped(gzipped_zeros()))),
         "limit_error", "the body is longer than 65536 bytes", 1s, use::kilobytes},
    };
    rows.insert(rows.end(), zlib.begin(), zlib.end());
#endif
#ifdef RONDO_WITH_BROTLI
    const table brotli = {
        {"plain text as br", answer(coded("br", "\xff\xff\xff\xff")), "body_error",
         "not what content-encoding says: br"},
        {"a bomb of br",  // 4 MiB of zeros
         answer(coded("br", "\x9b\xff\xff\x3f\xf8\x27\0\xe2\xb1\x40\x20\xf7\xfe\x07"s)),
         "limit_error", "the body is longer than 65536 bytes", 1s, use::kilobytes},
    };
    rows.insert(rows.end(), brotli.begin(), brotli.end());
#endif
#ifdef RONDO_WITH_ZSTD
    // Frames with blocks that repeat one byte 128 KiB times, of four bytes each.
    const std::string frame("\x28\xb5\x2f\xfd\x00\x58", 6);
    const std::string block("\x02\x00\x10\x78", 4);
    std::string blocks;
    for (int i = 0; i < 256; ++i) blocks += block;
    const table zstd = {
        {"plain text as zstd", answer(coded("zstd", "hello, hello")), "body_error",
         "not what content-encoding says: zstd"},
        {"zstd with a large window",
         answer(coded("zstd", "\x28\xb5\x2f\xfd\x00\x80\x01\x00\x00"s)), "body_error",
         "not what content-encoding says: zstd"},
        {"a bomb of zstd, 64 KiB wanted",
         answer(ok("content-encoding: zstd\r\n") + frame).repeat(blocks), "limit_error",
         "the body is longer than 65536 bytes", 1s, use::kilobytes},
        {"a bomb of zstd, in pieces",
         answer(ok("content-encoding: zstd\r\n") + frame).repeat(blocks), "limit_error",
         "expands to more than 250 times its size: zstd", 1s, use::some},
    };
    rows.insert(rows.end(), zstd.begin(), zstd.end());
#endif
    return rows;
}

table redirects() {
    const std::string endless_body = "HTTP/1.1 302 X\r\nlocation: /\r\n\r\n";
    return {
        {"to itself", answer("").send(moved("/")).read_head().send(moved("/")).close(),
         "redirect_error", "more than 10 redirects"},
        {"to nothing", answer(moved("")).close(), "redirect_error", "more than 10 redirects"},
        {"with bodies for ever", answer(endless_body).repeat(megabyte), "redirect_error",
         "more than 10 redirects", 3s},
        {"to a file", answer(moved("file:///etc/passwd")), "redirect_error", "is not followed"},
        {"to a Unix socket", answer(moved("unix:/run/docker.sock:/x")), "redirect_error",
         "is not followed"},
        {"to JavaScript", answer(moved("javascript:alert(1)")), "redirect_error",
         "is not followed"},
        {"to another port number", answer(moved("http://127.0.0.1:99999/")), "url_error", "port"},
        {"to an address in disguise", answer(moved("http://2130706433/")), "url_error", ""},
        {"to two users", answer(moved("http://a@b@c/")), "url_error", ""},
        {"to a host with a space", answer(moved("http://a b/")), "url_error", ""},
        {"without a location", answer("HTTP/1.1 302 X\r\ncontent-length: 2\r\n\r\nhi"), "taken",
         "hi"},
        {"300, with a location",
         answer("HTTP/1.1 300 X\r\nlocation: /x\r\ncontent-length: 2\r\n\r\nhi"), "taken", "hi"},
        {"a location of 60 KB", answer(moved('/' + std::string(60'000, 'a'))).close().once(),
         "taken", "good"},
    };
}

// Servers that are asked for TLS and speak something else.
table handshakes() {
    const std::string record = "\x16\x03\x03\x40\0"s + std::string(0x4000, '\1');
    return {
        {"plain HTTP", behaviour().send("HTTP/1.1 400 Bad Request\r\n\r\n"), "tls_error",
         "does not speak TLS"},
        {"an alert", behaviour().send("\x15\x03\x03\0\x02\x02\x28"s), "tls_error", ""},
        {"closed at once", behaviour().close(), "tls_error", ""},
        {"cut at once", behaviour().cut(), "connect_error", ""},
        {"no handshake", behaviour(), "timeout_error",
         "timed out after 10s waiting for the TLS handshake", 11s},
        {"a handshake that drips", behaviour().drip(record.substr(0, 50), 1s), "timeout_error",
         "timed out after 10s waiting for the TLS handshake", 11s},
        {"noise for ever", behaviour().repeat(record), "tls_error", ""},
        {"a message of 16 MB", behaviour().send("\x16\x03\x03\x40\0\x02\xff\xff\xff"s)
             .repeat(record), "tls_error", ""},
    };
}

task<> check_handshake(const misbehaviour& row) {
    hostile_server server(row.server, false);
    auto client = [&]() -> task<> {
        http::session session;
        const std::size_t heap = heap_bytes();
        const time_point before = running_loop().time();
        const std::string url = "https" + server.url().substr(4);
        const client_end found = co_await ending_of(session, url, use::text);
        INFO(found.text);
        CHECK(found.type == row.type);
        CHECK(found.text.find(row.text) != std::string::npos);
        CHECK(running_loop().time() - before <= row.within);
        CHECK(std::max(server.heap_most, heap) - heap < most_heap);
        CHECK(session.connections() == 0);
        for (int i = 0; i < 60 && server.open > 0; ++i) co_await sleep(1s);
        CHECK(server.open == 0);
    };
    co_await server.run(client);
}

/// Runs one row, and looks at the session afterwards.
task<> check(const misbehaviour& row, bool secure) {
    hostile_server server(row.server, secure);
    auto client = [&]() -> task<> {
        http::session session;
        session.tls(trusting_context());
        const std::size_t heap = heap_bytes();
        const time_point before = running_loop().time();
        const client_end found = co_await ending_of(session, server.url(), row.how);
        INFO(found.text);
        CHECK(found.type == row.type);
        if (found.type == "taken")
            CHECK(found.text == row.text);
        else
            CHECK(found.text.find(row.text) != std::string::npos);
        CHECK(running_loop().time() - before <= row.within);
        CHECK(std::max(server.heap_most, heap) - heap < most_heap);
        // The session goes on, and no connection or seat is missing.
        server.behave();
        co_await sleep(500ms);
        CHECK(session.connections() == session.idle_connections());
        const client_end next = co_await ending_of(session, server.url(), use::text);
        CHECK(next.text == "good");
        co_await session.close();
        for (int i = 0; i < 60 && server.open > 0; ++i) co_await sleep(1s);
        CHECK(session.connections() == 0);
        CHECK(server.open == 0);
    };
    co_await server.run(client);
}

task<> check_all(const table& rows) {
    for (const misbehaviour& row : rows) {
        for (const bool secure : {false, true}) {
            INFO(row.name << (secure ? ", over TLS" : ", plain"));
            co_await check(row, secure);
        }
    }
}

const how long_run = seeds(1).limit(20s);

RONDO_TEST("http hostile: status lines", "[http_hostile]", long_run) {
    co_await check_all(status_lines());
}
RONDO_TEST("http hostile: header fields", "[http_hostile]", long_run) {
    co_await check_all(header_fields());
}
RONDO_TEST("http hostile: framing", "[http_hostile]", long_run) { co_await check_all(framing()); }
RONDO_TEST("http hostile: chunked bodies", "[http_hostile]", long_run) {
    co_await check_all(chunked_bodies());
}
RONDO_TEST("http hostile: silence and drips", "[http_hostile]", long_run) {
    co_await check_all(silence());
}
RONDO_TEST("http hostile: early ends", "[http_hostile]", long_run) {
    co_await check_all(early_ends());
}
RONDO_TEST("http hostile: kept connections", "[http_hostile]", long_run) {
    co_await check_all(kept_connections());
}
RONDO_TEST("http hostile: codings", "[http_hostile]", long_run) { co_await check_all(codings()); }
RONDO_TEST("http hostile: redirects", "[http_hostile]", long_run) {
    co_await check_all(redirects());
}
RONDO_TEST("http hostile: no TLS where it is asked for", "[http_hostile]", long_run) {
    for (const misbehaviour& row : handshakes()) {
        INFO(row.name);
        co_await check_handshake(row);
    }
}

RONDO_TEST("http hostile: an answer that ends too early, at each place", "[http_hostile]",
           long_run) {
    const std::string bodies[] = {ok("content-length: 6\r\n", "hello\n"),
                                  chunks("2\r\nhe\r\n4;x=y\r\nllo\n\r\n0\r\na: b\r\n\r\n")};
    for (const std::string& whole : bodies) {
        const std::size_t head = whole.find("\r\n\r\n") + 4;
        for (std::size_t size = 0; size < whole.size(); ++size) {
            const behaviour partly = answer(whole.substr(0, size));
            const char* const type = size < head ? "protocol_error" : "body_error";
            const bool by_reset = size % 2 != 0;
            const misbehaviour row = {"", by_reset ? partly.cut() : partly.close(), type, ""};
            for (const bool secure : {false, true}) {
                INFO(size << " bytes of: " << whole << (secure ? " over TLS" : " plain"));
                co_await check(row, secure);
            }
        }
    }
}

}  // namespace
