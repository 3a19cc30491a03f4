// SPDX-License-Identifier: MIT
// Clients that misbehave, in a table: the status that each gets, and that the connection ends where
// the next request could not be found for sure.
#include "http/server_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace rondo_tests;
using http::reply;

http::router hostile_site() {
    http::router site;
    site.get("/", [](http::request&) { return reply::text("ok"); });
    site.post("/", [](http::request& request) -> task<reply> {
        const std::string all = co_await request.bytes();
        co_return reply::text(std::to_string(all.size()));
    });
    site.post("/stream", [](http::request& request) -> task<reply> {
        std::size_t bytes = 0;
        while (auto chunk = co_await request.read_some()) bytes += chunk.size();
        co_return reply::text(std::to_string(bytes));
    });
    return site;
}

struct misbehaviour {
    const char* name;
    std::string bytes;
    int status;    // 0: no reply
    bool goes_on;  // the connection stays
};

std::string with(std::string_view fields, std::string_view rest = "",
                 std::string_view line = "POST / HTTP/1.1") {
    return std::string(line) + "\r\nhost: x\r\n" + std::string(fields) + "\r\n" +
           std::string(rest);
}

/// A request hidden behind the one that is in doubt: it must never be answered.
const std::string smuggled = "GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n";

std::vector<misbehaviour> framing_rows() {
    const std::string chunked = "transfer-encoding: chunked\r\n";
    return {
        {"two lengths", with("content-length: 3\r\ncontent-length: 3\r\n", "abc"), 400, false},
        {"two other lengths", with("content-length: 0\r\ncontent-length: 40\r\n", smuggled), 400,
         false},
        {"a list of lengths", with("content-length: 3, 3\r\n", "abc"), 400, false},
        {"a length with a plus", with("content-length: +3\r\n", "abc"), 400, false},
        {"a negative length", with("content-length: -1\r\n", smuggled), 400, false},
        {"a length in hexadecimal", with("content-length: 0x3\r\n", "abc"), 400, false},
        {"an empty length", with("content-length: \r\n"), 400, false},
        {"a length of 2^64", with("content-length: 18446744073709551616\r\n"), 400, false},
        {"length and chunked", with("content-length: 4\r\n" + chunked, "0\r\n\r\n" + smuggled),
         400, false},
        {"chunked twice", with(chunked + chunked, "0\r\n\r\n"), 400, false},
        {"another coding", with("transfer-encoding: gzip\r\n", smuggled), 400, false},
        {"gzip, chunked", with("transfer-encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501, false},
        {"chunked, identity", with("transfer-encoding: chunked, identity\r\n", "0\r\n\r\n"), 400,
         false},
        {"xchunked", with("transfer-encoding: xchunked\r\n", smuggled), 400, false},
        {"a tab in the coding's name", with("transfer-encoding\t: chunked\r\n", "0\r\n\r\n"), 400,
         false},
        {"a space before the colon", with("content-length : 3\r\n", "abc"), 400, false},
        {"a folded field", with("x: a\r\n b\r\n"), 400, false},
        {"a folded length", with("content-length: 1\r\n 0\r\n", "0123456789"), 400, false},
        {"bare line feeds", "GET / HTTP/1.1\nhost: x\n\n", 400, false},
        {"a bare line feed in a field", with("x: a\ny: b\r\n"), 400, false},
        {"a bare carriage return", with("x: a\ry: b\r\n"), 400, false},
        {"a NUL in a field", with(std::string("x: a\0b\r\n", 8)), 400, false},
        {"a field without a colon", with("nonsense\r\n"), 400, false},
        {"a field without a name", with(": x\r\n"), 400, false},
        {"chunked in HTTP/1.0", with(chunked, "0\r\n\r\n", "POST / HTTP/1.0"), 400, false},
        {"a chunk size that is none", with(chunked, "g\r\nabc\r\n0\r\n\r\n"), 400, false},
        {"a negative chunk size", with(chunked, "-1\r\n"), 400, false},
        {"a chunk size with 0x", with(chunked, "0x3\r\nabc\r\n0\r\n\r\n"), 400, false},
        {"a chunk size of 17 digits", with(chunked, "00000000000000003\r\nabc\r\n"), 400, false},
        {"a chunk that is longer", with(chunked, "3\r\nabcd\r\n0\r\n\r\n"), 400, false},
        {"a line feed after the size", with(chunked, "3\nabc\r\n0\r\n\r\n"), 400, false},
        {"bad trailers", with(chunked, "0\r\nx\r\n\r\n"), 400, false},
        {"endless extensions",
         with(chunked, "1;" + std::string(40000, 'x') + "\r\na\r\n0\r\n\r\n"), 400, false},
        {"endless trailers", with(chunked, "0\r\nx: " + std::string(40000, 'y') + "\r\n\r\n"), 400,
         false},
    };
}

std::vector<misbehaviour> head_rows() {
    std::string many;
    for (int i = 0; i < 129; ++i) many += "x: y\r\n";
    const std::string get_x = "GET / HTTP/1.1\r\nhost: x\r\n";
    return {
        {"no host", "GET / HTTP/1.1\r\n\r\n", 400, false},
        {"two hosts", "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400, false},
        {"a host with a slash", "GET / HTTP/1.1\r\nhost: a/b\r\n\r\n", 400, false},
        {"no version", "GET /\r\n\r\n", 400, false},
        {"HTTP/2.0", "GET / HTTP/2.0\r\nhost: x\r\n\r\n", 505, false},
        {"almost the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\n", 505, false},
        {"another protocol", "GET / FTP/1.1\r\nhost: x\r\n\r\n", 400, false},
        {"two spaces", "GET  / HTTP/1.1\r\nhost: x\r\n\r\n", 400, false},
        {"a space in the target", "GET /a b HTTP/1.1\r\nhost: x\r\n\r\n", 400, false},
        {"a control character in the target", "GET /\x01 HTTP/1.1\r\nhost: x\r\n\r\n", 400, false},
        {"a target without a slash", "GET x HTTP/1.1\r\nhost: x\r\n\r\n", 400, false},
        {"an asterisk for GET", "GET * HTTP/1.1\r\nhost: x\r\n\r\n", 400, false},
        {"a method that is no token", "G(T / HTTP/1.1\r\nhost: x\r\n\r\n", 400, false},
        {"a method of 65 bytes", std::string(65, 'G') + " / HTTP/1.1\r\nhost: x\r\n\r\n", 400,
         false},
        {"TLS", "\x16\x03\x01\x02\x01", 400, false},
        {"TLS, a byte", "\x16", 400, false},
        {"SSH", "SSH-2.0-OpenSSH_9.2\r\n", 400, false},
        {"a long target", "GET /" + std::string(9000, 'x') + " HTTP/1.1\r\nhost: x\r\n\r\n", 414,
         false},
        {"an endless target", "GET /" + std::string(70000, 'x'), 414, false},
        {"129 fields", get_x + many + "\r\n", 431, false},
        {"an endless field", get_x + "x: " + std::string(70000, 'y'), 431, false},
        {"an endless name", get_x + std::string(70000, 'y'), 431, false},
        {"blank lines without end", std::string(70000, '\n'), 400, false},
        {"blank lines with CR without end",
         [] {
             std::string all;
             for (int i = 0; i < 40000; ++i) all += "\r\n";
             return all;
         }(),
         431, false},
        {"CONNECT", "CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n", 404, true},
        {"TRACE", "TRACE / HTTP/1.1\r\nhost: x\r\n\r\n", 405, true},
        {"an unknown method", "STEAL / HTTP/1.1\r\nhost: x\r\n\r\n", 405, true},
        {"a body of 1 MiB and a byte", with("content-length: 1048577\r\n"), 413, false},
        {"a body of an exabyte", with("content-length: 1152921504606846976\r\n"), 413, false},
        {"half a head", "GET / HTTP/1.1\r\nhost:", 408, false},
        {"half a body", with("content-length: 10\r\n", "abc", "POST /stream HTTP/1.1"), 408,
         false},
        {"half a chunk", with("transfer-encoding: chunked\r\n", "5\r\nab"), 408, false},
        {"nothing", "", 0, false},
        {"a blank line", "\r\n", 408, false},
        {"a body that GET ignores", with("content-length: 3\r\n", "abc", "GET / HTTP/1.1"), 200,
         true},
        {"an expectation that is none", with("expect: the moon\r\ncontent-length: 0\r\n"), 200,
         true},
    };
}

task<> check_row(const http::router& site, misbehaviour row, std::size_t chunk_max) {
    INFO(row.name << ", in pieces of " << chunk_max);
    memory_server server(site, {}, {.capacity = 1 << 20, .chunk_max = chunk_max});
    co_await server.run([&](raw_client& client) -> task<> {
        const auto said_all = co_await move_on_after(1s, client.say(row.bytes));
        static_cast<void>(said_all);
        const std::string said = co_await client.hear(50s);
        CHECK(code_of(said) == row.status);
        CHECK(said.find("smuggled") == said.npos);
        CHECK(said.rfind("content-length:") == said.find("content-length:"));  // one reply
        CHECK(said.ends_with("(closed)") == !row.goes_on);
    });
}

RONDO_TEST("http hostile client: framing in doubt is the end of the connection",
           "[http_hostile_client]", seeds(1).limit(9h)) {
    const http::router site = hostile_site();
    for (const auto& row : framing_rows())
        for (const std::size_t chunk_max : {std::size_t{1} << 20, std::size_t{1}})
            co_await check_row(site, row, chunk_max);
}

RONDO_TEST("http hostile client: heads, bodies and silence have their limits",
           "[http_hostile_client]", seeds(1).limit(9h)) {
    const http::router site = hostile_site();
    for (const auto& row : head_rows()) co_await check_row(site, row, std::size_t{1} << 20);
}

RONDO_TEST("http hostile client: a byte now and then does not keep a connection",
           "[http_hostile_client]", seeds(1).limit(9h)) {
    const http::router site = hostile_site();
    memory_server server(site);
    co_await server.run([](raw_client& client) -> task<> {
        CHECK(code_of(co_await client.ask(get("/"))) == 200);
        const time_point began = running_loop().time();
        std::string said;
        for (int i = 0; i < 100 && said.empty(); ++i) {
            const std::string head = "GET / HTTP/1.1\r\nx: " + std::string(100, 'y');
            co_await client.say(head.substr(static_cast<std::size_t>(i), 1));
            said = co_await client.hear(1s);
        }
        CHECK(code_of(said) == 408);
        CHECK(running_loop().time() - began < 17s);
    });
}

RONDO_TEST("http hostile client: one that reads nothing is given up", "[http_hostile_client]",
           seeds(1).limit(9h)) {
    http::router site;
    bool is_cancelled = false;
    const auto endless = [&](http::body_writer& out) -> task<> {
        const std::string block(65536, 'x');
        try {
            for (;;) co_await out.write_all(block);
        } catch (const cancelled&) {
            is_cancelled = true;
            throw;
        }
    };
    site.get("/endless", [&](http::request&) { return reply::stream("text/plain", endless); });
    site.get("/large", [](http::request&) { return reply::text(std::string(4 << 20, 'x')); });
    for (const char* path : {"/endless", "/large"}) {
        memory_server server(site);
        const time_point began = running_loop().time();
        co_await server.run([&](raw_client& client) -> task<> {
            co_await client.say(get(path));
            while (!server.has_ended) co_await sleep(1s);
        });
        CHECK(running_loop().time() - began < 63s);
    }
    CHECK(is_cancelled);
}

RONDO_TEST("http hostile client: one that goes at any moment leaves nothing",
           "[http_hostile_client]", seeds(3).limit(9h)) {
    const http::router site = hostile_site();
    const std::string all =
        get("/") + post("/", "0123456789") + with("transfer-encoding: chunked\r\n", "3\r\nabc\r\n");
    for (std::size_t cut = 0; cut <= all.size(); cut += 3) {
        for (const bool half : {false, true}) {
            memory_server server(site);
            co_await server.run([&](raw_client& client) -> task<> {
                co_await client.say(all.substr(0, cut));
                if (half)
                    co_await client.end();
                else
                    client.hang_up();
                co_await sleep(3s);
                CHECK(server.has_ended);
            });
        }
    }
}

RONDO_TEST("http hostile client: connections of one address are counted", "[http_hostile_client]") {
    const http::router site = hostile_site();
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const endpoint where = listener.local();
    http::server_options options;
    options.connections_per_address = 2;
    auto serving = http::serve(std::move(listener), site, options);
    auto asking = [](endpoint to) -> task<> {
        for (int round = 0; round < 2; ++round) {
            tcp_stream a = co_await connect_tcp(to), b = co_await connect_tcp(to);
            co_await a.write_all(get("/"));
            char room[1000];
            CHECK(co_await a.read_some(room));
            co_await b.write_all(get("/"));
            CHECK(co_await b.read_some(room));
            tcp_stream c = co_await connect_tcp(to);
            CHECK_FALSE(co_await c.read_some(room));  // closed
            a.close();
            b.close();
            co_await sleep(100ms);
        }
    };
    auto asked = asking(where);
    co_await race(std::move(serving), std::move(asked));
}

}  // namespace
