// SPDX-License-Identifier: MIT
// The engine of HTTP/2: two of them talk in memory, however the bytes are cut; and peers that break
// the rules, or only annoy.
#include <string>

#include "http/h2_talk.hpp"
#include "http/split_ways.hpp"
#include "support/catch.hpp"

#ifdef RONDO_WITH_NGHTTP2

using namespace h2_talk;
using h2::role;

namespace {

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

/// The events of a server that receives `bytes`.
std::string served(std::string_view bytes, h2::options how = {}) {
    side server(role::server, how);
    server.engine.receive(bytes);
    server.produce();
    if (server.engine.has_failed()) server.events += "failed: " + server.engine.why() + '\n';
    return server.events;
}

/// The events of a client that has asked for "/" and receives `bytes`.
std::string answered(std::string_view bytes, bool is_head = false) {
    side client(role::client);
    client.get({}, false, is_head ? "HEAD" : "GET");
    client.produce();
    client.engine.receive(bytes);
    client.produce();
    if (client.engine.has_failed()) client.events += "failed: " + client.engine.why() + '\n';
    return client.events;
}

}  // namespace

TEST_CASE("h2: a request and its response, with bodies and trailers", "[http_h2]") {
    for (const std::size_t step : {std::size_t{0}, std::size_t{1}, std::size_t{7}}) {
        side client(role::client), server(role::server);
        noted_stream& asked = client.get(fields().set("Accept", "x").set("Connection", "close"),
                                         true, "POST", "/a?b");
        client.engine.write(asked, "hello");
        client.engine.finish(asked, fields().set("Check", "5"));
        exchange(client, server, step);
        CHECK(server.events ==
              "settings\n1 head POST http test /a?b accept=x host=test\n1 end 5 check=5\n");
        REQUIRE(server.streams.size() == 1);
        noted_stream& come = server.streams.front();
        CHECK(come.body == "hello");
        CHECK(asked.has_sent_end());
        CHECK(server.engine.streams() == 1);

        server.engine.respond_interim(come, 103, fields().set("link", "y"));
        server.engine.respond(come, 404, fields().set("Server", "z"), true);
        server.engine.write(come, "not ");
        exchange(client, server, step);
        CHECK(come.unsent() == 0);
        CHECK_FALSE(come.has_sent_end());
        server.engine.write(come, "found", true);
        exchange(client, server, step);
        CHECK(client.events ==
              "settings\n1 interim 103 link=y\n1 head 404 server=z\n1 end 9\n"
              "1 closed NO_ERROR\n");
        CHECK(asked.body == "not found");
        CHECK(has(server.events, "1 closed NO_ERROR"));
        CHECK(client.engine.streams() == 0);
        CHECK(server.engine.streams() == 0);
    }
}

TEST_CASE("h2: the events do not depend on how the bytes are cut", "[http_h2]") {
    const std::string sent =
        hello_client + get(1, {{"a", "b"}, {"cookie", "c=1"}, {"cookie", "d=2"}}, 0) +
        frame(data, 0, 1, "some") + frame(data, padded, 1, std::string("\2more\0\0", 7)) +
        frame(headers, end_stream | end_headers, 1, block({{"t", "u"}})) + get(3) +
        frame(rst_stream, 0, 3, number(8)) + frame(goaway, 0, 0, number(0) + number(0) + "bye");
    const auto outcome = split_ways::same_every_way(sent, [](const split_ways::pieces& parts) {
        side server(role::server);
        std::string bodies;
        split_ways::feed(parts, [&](std::string_view bytes) { server.engine.receive(bytes); });
        for (const noted_stream& each : server.streams) bodies += each.body + '|';
        return server.events + bodies;
    });
    CHECK(outcome ==
          "settings\n1 head GET http test / a=b cookie=c=1; d=2 host=test\n1 end 8 t=u\n"
          "3 head GET http test / host=test\n3 end 0\n3 closed CANCEL by peer\n"
          "goaway 0 NO_ERROR bye\nsomemore||");

    const std::string answer = hello_server +
                               frame(headers, end_headers, 1, block({{":status", "100"}})) +
                               ok(1, {{"content-length", "4"}}) + frame(data, 0, 1, "ab") +
                               frame(data, 0, 1, "cd") + frame(data, end_stream, 1);
    CHECK(split_ways::same_every_way(answer,
                                     [](const split_ways::pieces& parts) {
                                         side client(role::client);
                                         client.get();
                                         client.produce();
                                         split_ways::feed(parts, [&](std::string_view b) {
                                             client.engine.receive(b);
                                         });
                                         return client.events + client.streams.front().body;
                                     }) ==
          "settings\n1 interim 100\n1 head 200 content-length=4\n1 end 4\n"
          "1 closed NO_ERROR\nabcd");
}

TEST_CASE("h2: a body waits for the peer's windows, and they open as it is consumed", "[http_h2]") {
    h2::options small;
    small.stream_window = small.stream_window_max = 100'000;
    small.connection_window = 150'000;
    side client(role::client), server(role::server, small);
    server.consumes = false;
    exchange(client, server);
    const std::string bulk(400'000, 'x');
    noted_stream& first = client.get({}, true, "POST");
    client.engine.write(first, bulk, true);
    exchange(client, server);
    noted_stream& come = server.streams.front();
    CHECK(come.unconsumed() == 100'000);  // of the stream
    CHECK(first.unsent() == 300'000);
    noted_stream& second = client.get({}, true, "POST");
    client.engine.write(second, bulk, true);
    exchange(client, server);
    CHECK(server.streams.back().unconsumed() == 50'000);  // of the connection
    server.engine.consume(come, 80'000);
    exchange(client, server);
    CHECK(come.received() + server.streams.back().received() == 230'000);
    // A stream that ends gives its bytes back to the connection.
    client.engine.reset(first, h2::code::cancel);
    exchange(client, server);
    CHECK(come.is_closed);
    server.streams.pop_front();
    exchange(client, server);
    CHECK(server.streams.back().unconsumed() == 100'000);
    server.consumes = true;
    exchange(client, server);
    server.engine.consume(server.streams.back(), 100'000);
    exchange(client, server);
    CHECK(server.streams.back().body.size() == 400'000);
    CHECK(second.has_sent_end());
}

TEST_CASE("h2: the window of a stream that is read fast grows, of another it does not",
          "[http_h2]") {
    h2::options how;
    how.stream_window_max = 4 << 20;
    side client(role::client, how), server(role::server);
    exchange(client, server);
    const std::string bulk(20 << 20, 'x');
    const auto most_at_once = [&](bool is_fast) {
        client.get();
        exchange(client, server);
        noted_stream& reply = server.streams.back();
        noted_stream& asked = client.streams.back();
        server.engine.respond(reply, 200, {}, true);
        server.engine.write(reply, bulk, true);
        std::size_t most = 0;
        while (!asked.is_closed) {
            client.engine.receive(server.produce());
            most = std::max(most, asked.unconsumed());
            // A slow reader takes a hundredth in each round trip.
            client.engine.consume(asked, is_fast ? asked.unconsumed() : bulk.size() / 100);
            if (!is_fast && asked.received() > bulk.size() / 2)
                client.engine.reset(asked, h2::code::cancel), asked.is_closed = true;
            server.engine.receive(client.produce());
        }
        return most;
    };
    CHECK(most_at_once(true) == 4 << 20);
    CHECK(most_at_once(false) == 1 << 20);
}

TEST_CASE("h2: a stream that is reset or destroyed touches no other", "[http_h2]") {
    side client(role::client), server(role::server);
    noted_stream& first = client.get();
    client.get();
    client.get();
    exchange(client, server);
    client.engine.reset(first, h2::code::cancel);
    CHECK_FALSE(first.is_open());
    client.streams.erase(std::next(client.streams.begin()));
    exchange(client, server);
    CHECK(has(server.events, "1 closed CANCEL by peer\n3 closed CANCEL by peer\n"));
    server.engine.respond(server.streams.back(), 200, {}, true);
    server.engine.write(server.streams.back(), "fine", true);
    exchange(client, server);
    CHECK(client.streams.back().body == "fine");
    // Before the request has left: it is not sent at all.
    noted_stream& never = client.get();
    client.engine.reset(never, h2::code::cancel);
    exchange(client, server);
    CHECK_FALSE(has(server.events, "7 "));
    CHECK(client.engine.can_request());
}

TEST_CASE("h2: GOAWAY refuses the streams above its last, and those that have not left",
          "[http_h2]") {
    side client(role::client), server(role::server);
    client.get();
    exchange(client, server);
    client.get();  // on its way
    const std::string late = client.produce();
    server.engine.end();
    client.get();  // not sent yet
    client.engine.receive(server.produce());
    CHECK_FALSE(client.engine.can_request());
    const std::string rest = client.produce();
    CHECK(client.events ==
          "settings\ngoaway 1 NO_ERROR \n3 closed REFUSED_STREAM by peer\n"
          "5 closed REFUSED_STREAM by peer\n");
    server.engine.receive(late + rest);
    CHECK(server.streams.size() == 1);
    server.engine.respond(server.streams.front(), 204, {}, false);
    exchange(client, server);
    CHECK(has(client.events, "1 head 204\n1 end 0\n1 closed NO_ERROR\n"));
    CHECK(client.engine.is_over());
    CHECK(server.engine.is_over());

    side other(role::client), graceful(role::server);
    exchange(other, graceful);
    graceful.engine.announce_end();
    graceful.engine.ping();
    other.get();  // on its way when the announcement comes
    exchange(other, graceful);
    CHECK(has(graceful.events, "ping\n"));
    CHECK(graceful.streams.size() == 1);
    CHECK(has(other.events, "goaway 2147483647 NO_ERROR"));
    CHECK_FALSE(has(other.events, "closed"));
    CHECK_FALSE(graceful.engine.has_failed());
}

TEST_CASE("h2: what a client may have open, and a server that refuses", "[http_h2]") {
    h2::options two;
    two.streams = 2;
    side client(role::client), server(role::server, two);
    CHECK(client.engine.can_request());
    exchange(client, server);
    CHECK(client.engine.peer_streams() == 2);
    client.get();
    client.get();
    CHECK_FALSE(client.engine.can_request());
    exchange(client, server);
    client.engine.reset(client.streams.front(), h2::code::cancel);
    CHECK(client.engine.can_request());
    exchange(client, server);
    server.refuses = true;
    client.get();
    exchange(client, server);
    CHECK(has(client.events, "5 closed REFUSED_STREAM by peer"));
    client.engine.abandon({h2::code::internal_error, false, "the connection was lost"});
    CHECK(has(client.events, "3 closed INTERNAL_ERROR: the connection was lost"));
}

TEST_CASE("h2: clients that break the rules", "[http_h2]") {
    const std::string begun = hello_client + get(1, {}, 0);
    const auto request = [](const pairs& all) {
        return served(hello_client + frame(headers, end_stream | end_headers, 1, block(all)));
    };
    const pairs line = {
        {":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "test"}};
    const auto with = [&](const std::string& name, const std::string& value) {
        pairs all = line;
        all.emplace_back(name, value);
        return request(all);
    };
    const std::string malformed = "settings\n1 closed PROTOCOL_ERROR: ";
    CHECK(has(with("Upper", "x"), malformed + "a header field is malformed"));
    CHECK(has(with("connection", "close"), malformed + "a header field is malformed"));
    CHECK(has(with("transfer-encoding", "chunked"), malformed));
    CHECK(has(with("te", "gzip"), malformed));
    CHECK(has(with("a", "x\r\ny"), malformed));
    CHECK(has(with("a b", "x"), malformed));
    CHECK(has(with("", "x"), malformed));
    CHECK(has(with(":path", "/b"), malformed));
    CHECK(has(with(":other", "b"), malformed));
    CHECK(has(with("host", "elsewhere"), malformed + "host differs from :authority"));
    CHECK(has(with("content-length", "5"), malformed));
    CHECK(has(with("content-length", "+0"), malformed));
    CHECK(has(request({{":method", "GET"}}), malformed));
    CHECK(
        has(served(hello_client + get(1, {{"content-length", "3"}}, 0) + frame(data, 0, 1, "four")),
            "1 closed PROTOCOL_ERROR: the message is malformed"));
    CHECK(has(served(begun + frame(headers, end_stream | end_headers, 1, block({{":path", "/"}}))),
              "1 closed PROTOCOL_ERROR"));
    CHECK(has(served(begun + frame(window_update, 0, 1, number(0))), "1 closed PROTOCOL_ERROR"));
    CHECK(has(served(begun + frame(window_update, 0, 1, number(0x7fffffff))),
              "1 closed FLOW_CONTROL_ERROR"));
    // Of the connection: it fails, and every stream is closed.
    const auto fails = [&](const std::string& bytes, std::string_view code) {
        const std::string events = served(begun + bytes);
        INFO(events);
        return has(events, "failed: ") && has(events, code) && has(events, "1 closed ");
    };
    CHECK(fails(frame(data, 0, 0, "x"), "PROTOCOL_ERROR"));
    CHECK(fails(frame(data, 0, 3, "x"), "PROTOCOL_ERROR"));
    CHECK(fails(frame(headers, end_headers, 2, block(line)), "PROTOCOL_ERROR"));
    CHECK(fails(frame(headers, end_headers, 3, "\xff\xff\xff\xff\xff\xff"), "COMPRESSION_ERROR"));
    CHECK(
        fails(frame(headers, 0, 3, block(line)) + frame(ping, 0, 0, "12345678"), "PROTOCOL_ERROR"));
    CHECK(fails(frame(ping, 0, 0, "1234567"), "FRAME_SIZE_ERROR"));
    CHECK(fails(number(16'385, 3) + std::string(1, data) + '\0' + number(1), "FRAME_SIZE_ERROR"));
    CHECK(fails(frame(settings, 0, 0, number(4, 2) + number(0x80000000)), "FLOW_CONTROL_ERROR"));
    CHECK(fails(frame(settings, ack, 0, "123456"), "FRAME_SIZE_ERROR"));
    CHECK(fails(frame(window_update, 0, 0, number(0x7fffffff)), "FLOW_CONTROL_ERROR"));
    CHECK(fails(frame(push_promise, end_headers, 1, number(2) + block(line)), "PROTOCOL_ERROR"));
    CHECK(has(served("GET / HTTP/1.1\r\nhost: a\r\n\r\n"), "failed: the first bytes are not"));
    CHECK(has(served(preface + get(1)), "failed: "));  // no settings
    // A body beyond the window.
    h2::options small;
    small.stream_window = small.stream_window_max = 65'535;
    small.connection_window = 65'535;
    std::string flood = begun;
    for (int i = 0; i < 5; ++i) flood += frame(data, 0, 1, std::string(16'384, 'x'));
    CHECK(has(served(flood, small), "FLOW_CONTROL_ERROR"));
}

TEST_CASE("h2: servers that break the rules", "[http_h2]") {
    CHECK(has(answered(hello_server + ok(1, {{"content-length", "2"}}, end_stream)),
              "1 closed PROTOCOL_ERROR"));
    CHECK(has(answered(hello_server + ok(1, {{"content-length", "2"}}, end_stream), true),
              "1 end 0\n1 closed NO_ERROR"));  // of HEAD
    CHECK(has(
        answered(hello_server + ok(1, {{"content-length", "2"}}) + frame(data, end_stream, 1, "x")),
        "1 closed PROTOCOL_ERROR: the message is malformed"));
    CHECK(has(answered(hello_server + frame(data, 0, 1, "x")), "closed PROTOCOL_ERROR"));
    CHECK(has(answered(hello_server + frame(headers, end_headers, 1, block({{"a", "b"}}))),
              "1 closed PROTOCOL_ERROR"));
    for (const char* status : {"99999", "101"})
        CHECK(has(
            answered(hello_server + frame(headers, end_headers, 1, block({{":status", status}}))),
            "1 closed PROTOCOL_ERROR"));
    CHECK(has(answered(hello_server + ok(1, {{"A", "b"}})), "1 closed PROTOCOL_ERROR"));
    CHECK(has(answered(hello_server + ok(2)), "failed: "));
    CHECK(has(answered(hello_server + ok(1, {}, end_stream) + frame(data, 0, 1, "more")),
              "1 end 0\n1 closed NO_ERROR\n"));
    // A push: refused, and after the server has confirmed the settings an error.
    const std::string push = frame(
        push_promise, end_headers, 1,
        number(2) +
            block(
                {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "test"}}));
    CHECK(answered(hello_server + push + ok(2, {}, end_stream) + ok(1, {}, end_stream)) ==
          "settings\n1 head 200\n1 end 0\n1 closed NO_ERROR\n");
    CHECK(has(answered(hello_server + frame(settings, ack, 0) + push), "failed: "));
    CHECK(has(answered("HTTP/1.1 400 Bad Request\r\n\r\n"), "failed: "));
    std::string interim = hello_server;
    for (int i = 0; i < 11; ++i)
        interim += frame(headers, end_headers, 1, block({{":status", "102"}}));
    CHECK(has(answered(interim), "1 closed ENHANCE_YOUR_CALM: too many interim responses came"));
    const std::string trailers = hello_server + ok(1);
    pairs many;
    for (int i = 0; i < 200; ++i) many.emplace_back("t" + std::to_string(i), "x");
    CHECK(has(answered(trailers + frame(headers, end_stream | end_headers, 1, block(many))),
              "1 closed ENHANCE_YOUR_CALM: its trailers are too large"));
}

TEST_CASE("h2: floods are bounded", "[http_h2]") {
    const auto repeat = [](const std::string& bytes, int count) {
        std::string all;
        for (int i = 0; i < count; ++i) all += bytes;
        return all;
    };
    const std::string calm = "(ENHANCE_YOUR_CALM)";
    const std::string begun = hello_client + get(1, {}, 0);
    CHECK(has(served(begun + repeat(frame(ping, 0, 0, "12345678"), 10'001)), calm));
    CHECK(has(served(begun + repeat(frame(settings, 0, 0), 10'001)), calm));
    CHECK(has(served(begun + repeat(frame(priority, 0, 1, number(0) + '\1'), 10'001)), calm));
    CHECK(has(served(begun + repeat(frame(data, 0, 1), 10'001)), calm));
    CHECK(has(served(begun + frame(settings, 0, 0, repeat(number(77, 2) + number(1), 40))), calm));
    // A head that never ends (CONTINUATION flood).
    CHECK(has(served(begun + frame(headers, 0, 3, block({{":method", "GET"}})) +
                     repeat(frame(continuation, 0, 3, literal("a", "b")), 1000)),
              "failed: "));
    // Rapid reset: streams that are begun and reset at once, and those that we must reset.
    std::string resets = hello_client, faults = hello_client;
    for (std::uint32_t id = 1; id < 500; id += 2) {
        resets += get(id) + frame(rst_stream, 0, id, number(8));
        faults += get(id, {}, 0) + frame(window_update, 0, id, number(0x7fffffff));
    }
    CHECK(has(served(resets), "failed: too many streams were reset " + calm));
    // The owner reads a piece, and produces, in turn.
    side server(role::server);
    for (std::size_t at = 0; at < faults.size(); at += 100) {
        server.engine.receive(faults.substr(at, 100));
        server.produce();
    }
    CHECK(server.engine.why() == "too many streams were reset " + calm);
    // With a refill it goes on.
    side patient(role::server);
    for (std::size_t at = 0; at < resets.size(); at += 100) {
        patient.engine.receive(resets.substr(at, 100));
        patient.engine.refill();
        patient.produce();
    }
    CHECK_FALSE(patient.engine.has_failed());
    CHECK(patient.engine.streams() == 0);
}

TEST_CASE("h2: a head that is too large is told, and bounded", "[http_h2]") {
    pairs many;
    for (int i = 0; i < 130; ++i) many.emplace_back("f" + std::to_string(i), "x");
    CHECK(has(served(hello_client + get(1, many)), "f127=x host=test too large\n1 end 0"));
    CHECK(has(served(hello_client + get(1, {{"a", std::string(8'000, 'x')}})), "host=test\n"));
    // A bomb: one entry of the table, named again and again by one byte each.
    std::string bomb =
        block({{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "test"}});
    bomb += '\x40' + literal("a", std::string(3'000, 'x')).substr(1);
    bomb += std::string(12'000, '\xbe');
    const std::string events =
        served(hello_client + frame(headers, end_stream | end_headers, 1, bomb));
    CHECK(has(events, "too large"));
    CHECK(events.size() < 66'000);
}

TEST_CASE("h2: what an event throws comes out, and the engine can be destroyed", "[http_h2]") {
    struct thrower final : h2::observer {
        h2::stream* on_stream() override { throw std::runtime_error("no stream"); }
        void on_goaway(std::uint32_t, h2::code, std::string_view) override {}
    };
    thrower watcher;
    h2::engine server(role::server, {}, watcher);
    CHECK_THROWS_WITH(server.receive(hello_client + get(1)), "no stream");
    std::string out;
    server.produce(out, 1000);
    CHECK(server.has_failed());
    side client(role::client);
    fields large;
    for (int i = 0; i < 70; ++i) large.add("a", std::string(2'000, 'x'));
    CHECK_THROWS_WITH(client.get(large), Catch::Contains("larger than 131072 bytes"));
    CHECK(text(h2::code(77)) == "error 77");
}

#endif
