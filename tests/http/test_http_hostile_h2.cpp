// SPDX-License-Identifier: MIT
// Clients of HTTP/2 that misbehave: in a table those that break a rule, with the code that each
// gets; then those that are silent, leave, or do anything at random.
#ifdef RONDO_WITH_NGHTTP2
#include "http/h2_hostile_tools.hpp"

#include <random>

#include <rondo/gather.hpp>

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using namespace rondo_tests;
using h2_talk::block;
using h2_talk::frame;
using h2_talk::literal;
using h2_talk::number;
using http::reply;

struct broken_rule {
    const char* name;
    std::string bytes;     // after the preface and the settings
    const char* expected;  // verdict()
};

/// A GET with further fields.
std::string with(const pairs& more) { return h2_talk::get(1, more); }
std::string setting(std::uint32_t id, std::uint32_t value) {
    return frame(h2_talk::settings, 0, 0, number(id, 2) + number(value));
}

std::vector<broken_rule> frame_rows() {
    using namespace h2_talk;
    const std::string half_head = frame(headers, 1, 1, literal(":method", "GET"));
    return {
        {"data on stream 0", frame(data, 0, 0, "x"), "goaway 1"},
        {"a head on stream 0", frame(headers, 5, 0, literal("a", "b")), "goaway 1"},
        {"a stream with an even number", h2_talk::get(2), "goaway 1"},
        {"a stream with a lower number", h2_talk::get(5) + h2_talk::get(3), "answer"},
        {"data on a stream that never was", frame(data, 0, 1, "x"), "goaway 1"},
        {"data after the end",
         raw_head({{":method", "GET"}, {":scheme", "http"}, {":path", "/slow"},
                   {":authority", "x"}}) + frame(data, 0, 1, "x"),
         "goaway 5"},
        {"a frame of 16 KiB and a byte", frame(ping, 0, 0, std::string(16385, 'x')), "goaway 6"},
        {"settings of 5 bytes", frame(settings, 0, 0, "12345"), "goaway 6"},
        {"settings on a stream", frame(settings, 0, 1), "goaway 1"},
        {"an acknowledgement with settings", frame(settings, ack, 0, "123456"), "goaway 6"},
        {"a window of 2^31", setting(4, 0x80000000), "goaway 3"},
        {"frames of 1 byte", setting(5, 1), "goaway 1"},
        {"push that is neither on nor off", setting(2, 2), "goaway 1"},
        {"a window that opens by 0", frame(window_update, 0, 0, number(0)), "goaway 1"},
        {"a window beyond 2^31", frame(window_update, 0, 0, number(0x7fffffff)), "goaway 3"},
        {"a stream's window that opens by 0", posted({}, "x", 0) +
         frame(window_update, 0, 1, number(0)), "goaway 1"},
        {"a stream's window beyond 2^31", posted({}, "x", 0) +
         frame(window_update, 0, 1, number(0x7fffffff)), "reset 3"},
        {"a window update of 3 bytes", frame(window_update, 0, 0, "123"), "goaway 6"},
        {"a ping of 7 bytes", frame(ping, 0, 0, "1234567"), "goaway 6"},
        {"a ping on a stream", frame(ping, 0, 1, "12345678"), "goaway 1"},
        {"a push of the client's", frame(push_promise, 4, 1, number(2)), "goaway 1"},
        {"a continuation of nothing", frame(continuation, 4, 1, literal("a", "b")), "goaway 1"},
        {"a ping inside a head", half_head + frame(ping, 0, 0, "12345678"), "goaway 1"},
        {"a continuation of another head", half_head + frame(continuation, 4, 3, ""), "goaway 1"},
        {"a reset of a stream that never was", frame(rst_stream, 0, 1, number(8)), "goaway 1"},
        {"a reset of 3 bytes", h2_talk::get(1) + frame(rst_stream, 0, 1, "123"), "goaway 6"},
        {"padding longer than the frame", frame(data, padded, 1, std::string(1, '\x09') + "x"),
         "goaway 1"},
        {"a head that depends on itself", frame(headers, 0x25, 1, number(1) + "\x10" +
         block({{":method", "GET"}})), "goaway 1"},
        {"bytes that are no HPACK", frame(headers, 5, 1, "\xff\xff\xff\xff\xff\xff"), "goaway 9"},
        {"an entry that no table has", frame(headers, 5, 1, "\xfe"), "goaway 9"},
    };
}

std::vector<broken_rule> message_rows() {
    const pairs line{{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "x"}};
    const auto without = [&line](std::size_t which) {
        pairs left = line;
        left.erase(left.begin() + static_cast<std::ptrdiff_t>(which));
        return raw_head(left);
    };
    const auto changed = [&line](std::size_t which, std::string value) {
        pairs other = line;
        other[which].second = std::move(value);
        return raw_head(other);
    };
    return {
        {"no method", without(0), "reset 1"},
        {"no scheme", without(1), "reset 1"},
        {"no path", without(2), "reset 1"},
        {"no authority and no host", without(3), "reset 1"},
        {"an empty path", changed(2, ""), "reset 1"},
        {"a path without a slash", changed(2, "x"), "reset 1"},
        {"an asterisk for GET", changed(2, "*"), "reset 1"},
        {"a path with a space", changed(2, "/a b"), "reset 1"},
        {"a method that is no token", changed(0, "G T"), "reset 1"},
        {"a method twice", with({{":method", "GET"}}), "reset 1"},
        {"a path twice", raw_head({line[0], line[1], line[2], line[2], line[3]}), "reset 1"},
        {"a pseudo field at the end", raw_head({line[0], line[1], line[2], {"a", "b"}, line[3]}),
         "reset 1"},
        {"a pseudo field of responses", raw_head({{":status", "200"}, line[0], line[1], line[2]}),
         "reset 1"},
        {"a pseudo field that is none", raw_head({line[0], line[1], line[2], {":x", "y"}}),
         "reset 1"},
        {":protocol without permission",
         raw_head({{":method", "CONNECT"}, line[1], line[2], line[3], {":protocol", "websocket"}}),
         "reset 1"},
        {"CONNECT with a path", changed(0, "CONNECT"), "reset 1"},
        {"CONNECT", raw_head({{":method", "CONNECT"}, line[3]}), "answer"},
        {"an upper-case name", with({{"Accept", "x"}}), "reset 1"},
        {"an empty name", with({{"", "x"}}), "reset 1"},
        {"a name with a space", with({{"a b", "x"}}), "reset 1"},
        {"a value with a line end", with({{"a", "x\r\ny: z"}}), "reset 1"},
        {"a value with a NUL", with({{"a", std::string("x\0y", 3)}}), "reset 1"},
        {"connection", with({{"connection", "close"}}), "reset 1"},
        {"keep-alive", with({{"keep-alive", "5"}}), "reset 1"},
        {"proxy-connection", with({{"proxy-connection", "close"}}), "reset 1"},
        {"transfer-encoding", with({{"transfer-encoding", "chunked"}}), "reset 1"},
        {"upgrade", with({{"upgrade", "websocket"}}), "reset 1"},
        {"te with more than trailers", with({{"te", "gzip"}}), "reset 1"},
        {"te: trailers", with({{"te", "trailers"}}), "answer"},
        {"another host", with({{"host", "y"}}), "reset 1"},
        {"a length and no body", with({{"content-length", "3"}}), "reset 1"},
        {"a body that is shorter", posted({{"content-length", "3"}}, "ab"), "reset 1"},
        {"a body that is longer", posted({{"content-length", "3"}}, "abcd"), "reset 1"},
        {"two lengths", posted({{"content-length", "3"}, {"content-length", "3"}}, "abc"),
         "reset 1"},
        {"a length with a plus", posted({{"content-length", "+3"}}, "abc"), "reset 1"},
        {"trailers with a pseudo field", posted({}, "abc", 0) + raw_head({{":path", "/x"}}),
         "reset 1"},
        {"trailers without an end", posted({}, "abc", 0) + raw_head({{"a", "b"}}, 1, 0),
         "reset 1"},
    };
}

task<> check_rule(const http::router& site, broken_rule row, std::size_t chunk_max) {
    INFO(row.name << ", in pieces of " << chunk_max);
    memory_server server(site, {}, {.capacity = 1 << 20, .chunk_max = chunk_max});
    co_await server.run([&](raw_client& client) -> task<> {
        const std::string said = co_await client.ask(h2_talk::hello_client + row.bytes);
        CHECK(verdict(said) == row.expected);
        const bool is_end = std::string_view(row.expected).starts_with("goaway");
        if (is_end) {
            const std::string last = said + co_await client.hear(1500ms);
            CHECK(last.ends_with("(closed)"));
            co_return;
        }
        // The connection goes on.
        const std::string more = co_await client.ask(h2_talk::get(7));
        CHECK(verdict(more) == "answer");
    });
}

RONDO_TEST("http hostile h2: frames against the rules end the connection", "[http_hostile_h2]",
           seeds(1).limit(9h)) {
    const http::router site = hostile_h2_site();
    for (const auto& row : frame_rows())
        for (const std::size_t chunk_max : {std::size_t{1} << 20, std::size_t{1}})
            co_await check_rule(site, row, chunk_max);
}

RONDO_TEST("http hostile h2: malformed messages end their streams", "[http_hostile_h2]",
           seeds(1).limit(9h)) {
    const http::router site = hostile_h2_site();
    for (const auto& row : message_rows())
        for (const std::size_t chunk_max : {std::size_t{1} << 20, std::size_t{1}})
            co_await check_rule(site, row, chunk_max);
}

RONDO_TEST("http hostile h2: a host as over HTTP/1.1; a refused HEAD has no body",
           "[http_hostile_h2]", seeds(1)) {
    const http::router site = hostile_h2_site();
    const pairs line{
        {":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "user@x"}};
    memory_server first(site);
    co_await first.run([&](raw_client& client) -> task<> {
        bool is_refused = false;
        const auto heard = co_await client.ask(h2_talk::hello_client + raw_head(line));
        for (const heard_frame& each : frames_of(heard))
            if (each.type == h2_talk::headers) is_refused = each.payload.front() == '\x8c';  // 400
        CHECK(is_refused);
    });
    memory_server server(site);
    co_await server.run([](raw_client& raw) -> task<> {
        h2_client client(raw);
        const h2_exchange* said = co_await client.ask("HEAD", '/' + std::string(9000, 'x'));
        CHECK(said->status == 414);
        CHECK(said->body.empty());
        CHECK(said->has_ended);
    });
}

RONDO_TEST("http hostile h2: heads that are too large are answered", "[http_hostile_h2]",
           seeds(1)) {
    const http::router site = hostile_h2_site();
    memory_server server(site, {}, {.capacity = 1 << 20});
    co_await server.run([](raw_client& raw) -> task<> {
        h2_client client(raw);
        http::fields many, long_one;
        for (int i = 0; i < 129; ++i) many.add("x", "y");
        long_one.add("x", std::string(70000, 'y'));
        CHECK((co_await client.ask("GET", "/", many))->status == 431);
        CHECK((co_await client.ask("GET", "/", long_one))->status == 431);
        CHECK((co_await client.ask("GET", '/' + std::string(9000, 'x')))->status == 414);
        CHECK((co_await client.ask("GET", '/' + std::string(70000, 'x')))->status == 431);
        CHECK((co_await client.ask("POST", "/", {}, std::string((1 << 20) + 1, 'x')))->status ==
              413);
        CHECK((co_await client.ask("GET", "/"))->body == "ok");
    });
}

RONDO_TEST("http hostile h2: streams beyond the limit are refused", "[http_hostile_h2]",
           seeds(1)) {
    const http::router site = hostile_h2_site();
    http::server_options options;
    options.streams = 3;
    memory_server server(site, options);
    co_await server.run([](raw_client& client) -> task<> {
        std::string all = h2_talk::hello_client;
        const pairs slow{{":method", "GET"}, {":scheme", "http"}, {":path", "/slow"},
                         {":authority", "x"}};
        for (std::uint32_t id = 1; id < 10; id += 2) all += raw_head(slow, id);
        const std::string at_once = co_await client.ask(all);
        std::string refused;
        for (const auto& each : frames_of(at_once))
            if (each.type == h2_talk::rst_stream)
                refused += std::to_string(each.id) + ':' +
                           std::to_string(number32_at(each.payload, 0)) + ' ';
        CHECK(refused == "7:7 9:7 ");
        std::string answered;
        for (const auto& each : frames_of(co_await client.hear(2s)))
            if (each.type == h2_talk::headers) answered += std::to_string(each.id) + ' ';
        CHECK(answered == "1 3 5 ");
    });
}

// -- silence -------------------------------------------------------------------------------------

/// Time until the server has closed the connection after these bytes.
task<duration> time_until_closed(const http::router& site, std::string bytes, std::string& heard) {
    memory_server server(site);
    const time_point began = running_loop().time();
    duration passed{};
    co_await server.run([&](raw_client& client) -> task<> {
        co_await client.say(std::move(bytes));
        heard = co_await client.hear(200s);
        passed = running_loop().time() - began;
    });
    co_return passed;
}

RONDO_TEST("http hostile h2: silence has its limits", "[http_hostile_h2]", seeds(1).limit(9h)) {
    const http::router site = hostile_h2_site();
    const std::string& hello = h2_talk::hello_client;
    std::string heard;
    const auto near_to = [](duration passed, duration expected) {
        return passed >= expected && passed < expected + 2s;
    };
    // A part of the preface, the preface alone, and no request.
    CHECK(near_to(co_await time_until_closed(site, hello.substr(0, 10), heard), 15s));
    CHECK(near_to(co_await time_until_closed(site, hello.substr(0, 24), heard), 15s));
    CHECK(near_to(co_await time_until_closed(site, hello, heard), 15s));
    // A part of a head, after a request too.
    const std::string half = frame(h2_talk::headers, 1, 3, literal(":method", "GET"));
    CHECK(near_to(co_await time_until_closed(site, hello + half, heard), 15s));
    CHECK(verdict(heard) == "goaway 11");
    CHECK(near_to(co_await time_until_closed(site, hello + h2_talk::get(1) + half, heard), 15s));
    // Nothing after a request; a part of a body.
    CHECK(near_to(co_await time_until_closed(site, hello + h2_talk::get(1), heard), 75s));
    CHECK(verdict(heard) == "answer");
    CHECK(near_to(co_await time_until_closed(site, hello + posted({}, "x", 0), heard), 105s));
    CHECK(verdict(heard) == "answer");  // 408 after 30 s
}

RONDO_TEST("http hostile h2: a window that stays shut ends the stream", "[http_hostile_h2]",
           seeds(1).limit(9h)) {
    http::router site = hostile_h2_site();
    bool is_cancelled = false;
    const auto endless = [&](http::body_writer& out) -> task<> {
        const std::string data(1000, 'x');
        try {
            for (;;) co_await out.write_all(data);
        } catch (const cancelled&) {
            is_cancelled = true;
            throw;
        }
    };
    site.get("/endless", [&](http::request&) { return reply::stream("text/plain", endless); });
    for (const char* path : {"/", "/endless"}) {
        memory_server server(site);
        co_await server.run([&](raw_client& client) -> task<> {
            const pairs line{{":method", "GET"}, {":scheme", "http"}, {":path", path},
                             {":authority", "x"}};
            const std::string bytes =
                h2_talk::preface + setting(4, 0) + raw_head(line);  // a window of 0
            CHECK(verdict(co_await client.ask(bytes)) == "answer");
            CHECK(co_await client.hear(59s) == "");
            CHECK(verdict(co_await client.hear(2s)) == "reset 8");
            CHECK(verdict(co_await client.ask(frame(h2_talk::ping, 0, 0, "12345678"))) ==
                  "silence");
        });
    }
    CHECK(is_cancelled);
}

RONDO_TEST("http hostile h2: a reset while the handler writes cancels it", "[http_hostile_h2]",
           seeds(1)) {
    http::router site = hostile_h2_site();
    int cancelled_handlers = 0;
    const auto endless = [&](http::body_writer& out) -> task<> {
        const std::string data(30000, 'x');
        try {
            for (;;) co_await out.write_all(data);
        } catch (const cancelled&) {
            ++cancelled_handlers;
            throw;
        }
    };
    site.get("/endless", [&](http::request&) { return reply::stream("text/plain", endless); });
    memory_server server(site, {}, {.capacity = 1 << 20});
    co_await server.run([&](raw_client& raw) -> task<> {
        h2_client client(raw);
        for (int i = 0; i < 5; ++i) {
            h2_exchange& one = client.begin("GET", "/endless");
            one.consumes = i % 2 == 0;
            co_await client.talk(10ms, 4);
            CHECK(one.status == 200);
            client.engine().reset(one, h2::code::cancel);
            co_await client.talk();
            CHECK(cancelled_handlers == i + 1);
        }
        CHECK((co_await client.ask("GET", "/"))->body == "ok");
    });
}

/// Requests, uploads and resets in any order, with windows that may stay shut.
task<> act_at_random(raw_client& raw, unsigned seed) {
    std::mt19937 random(seed);
    const auto one_of = [&random](unsigned count) { return random() % count; };
    h2::options how;
    how.stream_window = one_of(2) == 0 ? 65535 : 100;
    h2_client client(raw, how);
    std::vector<h2_exchange*> open;
    const char* const paths[] = {"/", "/slow", "/large", "/endless", "/none"};
    for (int step = 0; step < 60 && !client.is_closed; ++step) {
        h2_exchange* const some = open.empty() ? nullptr : open[one_of(unsigned(open.size()))];
        switch (one_of(6)) {
            case 0: open.push_back(&client.begin("GET", paths[one_of(5)])); break;
            case 1: open.push_back(&client.open("POST", "/")); break;
            case 2:
                if (some != nullptr && some->unsent() == 0 && some->to_send.empty()) {
                    some->to_send.assign(one_of(3000) + 1, 'x');
                    client.engine().write(*some, some->to_send, one_of(2) == 0);
                }
                break;
            case 3:
                if (some != nullptr) client.engine().reset(*some, h2::code::cancel);
                break;
            case 4:
                if (some != nullptr) some->consumes = !some->consumes;
                break;
            default: co_await sleep(std::chrono::milliseconds(one_of(500)));
        }
        if (one_of(2) == 0) co_await client.talk(1ms, 5);
    }
    if (one_of(2) == 0) co_await raw.end();
}

RONDO_TEST("http hostile h2: one that does anything at random leaves nothing",
           "[http_hostile_h2]", seeds(1).limit(9h)) {
    http::router site = hostile_h2_site();
    int at_work = 0;
    const auto endless = [&](http::body_writer& out) -> task<> {
        const std::string data(5000, 'x');
        ++at_work;
        try {
            for (;;) {
                co_await out.write_all(data);
                co_await sleep(1ms);
            }
        } catch (const cancelled&) {
            --at_work;
            throw;
        }
    };
    site.get("/endless", [&](http::request&) { return reply::stream("text/plain", endless); });
    site.get("/large", [](http::request&) { return reply::text(std::string(200000, 'x')); });
    for (unsigned seed = 0; seed < 50; ++seed) {
        INFO("client " << seed);
        memory_server server(site, {}, {.capacity = 20000});
        co_await server.run([&](raw_client& raw) -> task<> {
            const bool has_ended = co_await move_on_after(100s, act_at_random(raw, seed));
            CHECK(has_ended);
            raw.hang_up();
            co_await sleep(3s);
            CHECK(server.has_ended);
        });
        CHECK(at_work == 0);
    }
}

RONDO_TEST("http hostile h2: one that goes at any moment leaves nothing", "[http_hostile_h2]",
           seeds(2).limit(9h)) {
    const http::router site = hostile_h2_site();
    const std::string all = h2_talk::hello_client + h2_talk::get(1) +
                            frame(h2_talk::headers, 4, 3,
                                  block({{":method", "POST"}, {":scheme", "http"},
                                         {":path", "/"}, {":authority", "x"}})) +
                            frame(h2_talk::data, 0, 3, "abc") + frame(h2_talk::data, 1, 3, "def");
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

}  // namespace
#endif
