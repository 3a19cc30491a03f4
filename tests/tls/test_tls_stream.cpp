// SPDX-License-Identifier: MIT
// TLS streams: what every stream can do, and what only TLS has: the close_notify, truncation, the
// handshake, answers that a reader has to send.
#include <rondo/tls.hpp>

#include <array>
#include <string>
#include <vector>

#include <rondo/copy.hpp>
#include <rondo/race.hpp>
#include <rondo/split.hpp>

#include "support/stream_checker.hpp"
#include "support/tls_tools.hpp"
#include "tls/spare.hpp"

using namespace rondo_tests;

namespace {

task<> echo(tls_stream peer) {
    std::array<char, 16 * 1024> buffer;
    while (auto some = co_await peer.read_some(buffer)) co_await peer.write_all(some);
}

task<> ask(std::uint16_t port) {
    auto peer = co_await connect_tls("localhost", port, trusting_context());
    co_await peer.write_all("hello\n");
    const auto line = co_await peer.read_line();
    CHECK(line.value() == "hello");
    CHECK(peer.version() == tls::version::tls_1_3);
    CHECK(tls::text(peer.version()) == "TLS 1.3");
    CHECK(peer.cipher().substr(0, 4) == "TLS_");
    CHECK(peer.peer_name() == "localhost:" + std::to_string(port));
    CHECK(peer.remote().port() == port);
    CHECK(peer.peer_certificate().value().names().front() == "localhost");
    co_await peer.close();
    CHECK_FALSE(peer.is_open());
}

template <class Awaitable>
task<std::string> error_of(Awaitable waiting) {
    try {
        co_await std::move(waiting);
    } catch (const std::exception& error) {
        co_return error.what();
    }
    co_return "";
}

}  // namespace

RONDO_TEST("tls: a server echoes a line, and both sides end in order", "[tls][both]") {
    auto listener = tls_listener::bind({"127.0.0.1", 0}, localhost_context());
    const std::uint16_t port = listener.local().port();
    co_await race(serve(std::move(listener), echo), ask(port));
}

// -- the checker of all streams -------------------------------------------------------------------

RONDO_TEST("tls: the stream checker, over memory", "[tls][checker]", seeds(1).limit(20s)) {
    const auto make = []() -> task<ends_of<tls_stream>> {
        auto pair = co_await tls_over_memory();
        co_return ends_of<tls_stream>(std::move(pair.client), std::move(pair.server));
    };
    co_await check_duplex(make);
}

RONDO_TEST("tls: the stream checker, over TCP", "[tls][checker][both]", seeds(1).limit(20s)) {
    const auto make = []() -> task<ends_of<tls_stream>> {
        auto pair = co_await tls_over_tcp();
        co_return ends_of<tls_stream>(std::move(pair.server), std::move(pair.client));
    };
    co_await check_duplex(make);
}

RONDO_TEST("tls: the stream checker, over Unix sockets", "[tls][checker][both]",
           seeds(1).limit(20s)) {
    const auto make = []() -> task<ends_of<tls_stream>> {
        auto ends = socket_pair();
        auto making = tls_over(std::move(ends.first), std::move(ends.second));
        auto pair = co_await std::move(making);
        co_return ends_of<tls_stream>(std::move(pair.client), std::move(pair.server));
    };
    co_await check_one_way(make);
}

RONDO_TEST("tls: over memory that gives one byte at a time, and TLS inside TLS", "[tls]",
           seeds(1)) {
    memory_stream_options narrow;
    narrow.capacity = 50;
    narrow.chunk_max = 1;
    auto pair = co_await tls_over_memory(trusting_context(), localhost_context(), narrow);
    auto making = tls_over(std::move(pair.client), std::move(pair.server));
    auto inner = co_await std::move(making);
    const std::string all = pattern(2000);
    auto both = gather(send_in_steps(&inner.client, &all, 700),
                       receive_in_steps(&inner.server, all.size(), 100));
    const auto results = co_await std::move(both);
    CHECK(std::get<1>(results) == all);
}

// -- reading and writing --------------------------------------------------------------------------

RONDO_TEST("tls: lines, separators, exact amounts, peek and unread mix", "[tls]", seeds(1)) {
    auto pair = co_await tls_over_memory();
    co_await pair.client.write_all("one\r\ntwo;", "12345", std::string("rest"));
    co_await pair.client.shutdown_write();
    tls_stream& from = pair.server;
    const auto line = co_await from.read_line();
    CHECK(line.value() == "one");
    std::string text = co_await from.read_until(";");
    CHECK(text == "two;");
    const std::string_view next = co_await from.peek(2);
    CHECK(next.substr(0, 2) == "12");
    std::array<char, 2> two;
    co_await from.read_exactly(two);
    CHECK(std::string_view(two.data(), 2) == "12");
    from.unread("ab");
    text = co_await from.read_exactly(std::size_t(5));
    CHECK(text == "ab345");
    CHECK_THROWS_AS(co_await from.read_line(2), limit_error);
    text = co_await from.read_all();
    CHECK(text == "rest");
    CHECK_THROWS_AS(co_await from.read_exactly(std::size_t(1)), incomplete_read_error);
    const auto end = co_await from.read_line();
    CHECK_FALSE(end);
}

RONDO_TEST("tls: many parts of all sizes are one text", "[tls]", seeds(1)) {
    auto pair = co_await tls_over_memory();
    const std::string small = "small", empty, medium = pattern(16 * 1024 - 1);
    const std::string large = pattern(200'000);
    const std::string whole = small + empty + large + small + medium + small + large;
    const auto send = [&]() -> task<> {
        co_await pair.client.write_all(small, empty, large, small, medium, small, large);
        co_await pair.client.shutdown_write();
    };
    auto both = gather(send(), pair.server.read_all());
    const auto results = co_await std::move(both);
    CHECK(std::get<1>(results) == whole);
    CHECK_THROWS_AS(co_await pair.client.write_all("after the end"), write_error);
}

RONDO_TEST("tls: split and copy work as on other streams", "[tls]", seeds(1)) {
    auto pair = co_await tls_over_memory();
    auto halves = split(std::move(pair.client));
    const std::string all = pattern(100'000);
    const auto send = [&]() -> task<> {
        co_await halves.second.write_all(all);
        co_await halves.second.shutdown_write();
    };
    const auto back = [&]() -> task<> {
        co_await copy(pair.server, pair.server);
        co_await pair.server.shutdown_write();
    };
    auto three = gather(send(), back(), halves.first.read_all());
    const auto results = co_await std::move(three);
    CHECK(std::get<2>(results) == all);
}

RONDO_TEST("tls: large buffers are handed on, not freed for each read and write", "[tls]",
           seeds(1)) {
    constexpr std::size_t large = 64 * 1024;
    const auto take_all = [&] {
        std::vector<std::size_t> sizes;
        for (;;) {
            detail::read_buffer each;
            detail::take_spare(each);
            sizes.push_back(each.room(0).size());
            if (sizes.back() == 0) return sizes;
        }
    };
    take_all();  // that other tests have left
    auto pair = co_await tls_over_memory();
    const std::string all = pattern(3'000'000);
    const auto send = [&]() -> task<> {
        co_await pair.client.write_all(all);
        co_await pair.client.shutdown_write();
    };
    auto both = gather(send(), pair.server.read_all());
    const auto results = co_await std::move(both);
    CHECK(std::get<1>(results) == all);
    detail::read_buffer taken;
    detail::take_spare(taken);  // neither side needs it now
    REQUIRE(taken.room(0).size() >= large);
    const char* const where = taken.room(0).data();
    detail::give_spare(taken);
    CHECK(taken.room(0).size() == 0);
    detail::take_spare(taken);
    CHECK(taken.room(0).data() == where);
    take_all();
    detail::take_spare(taken);  // it has its own
    CHECK(taken.room(0).data() == where);
    detail::read_buffer small;
    small.room(large / 2);
    detail::give_spare(small);
    CHECK(small.room(0).size() == 0);
    CHECK(take_all().size() == 1);  // none
    for (int i = 0; i < 40; ++i) {
        detail::read_buffer another;
        another.room(large);
        detail::give_spare(another);
    }
    CHECK(take_all().size() == 17);
}

// -- the end --------------------------------------------------------------------------------------

RONDO_TEST("tls: an end without close_notify is an error, and stays one", "[tls][both]") {
    auto pair = co_await tls_over_tcp();
    co_await pair.server.write_all("all of it?");
    pair.server.abort();
    std::string text = co_await pair.client.read_exactly(std::size_t(10));
    CHECK(text == "all of it?");
    for (int i = 0; i < 2; ++i) {
        const std::string said = co_await error_of(pair.client.read_all());
        CHECK(said.find("the connection ended without a close_notify: bytes may be missing") !=
              said.npos);
        CHECK_THROWS_AS(co_await pair.client.read_line(), tls_truncated_error);
    }
}

RONDO_TEST("tls: a stream that is destroyed, or closed without awaiting, says goodbye",
           "[tls][both]") {
    for (const bool by_close : {false, true}) {
        auto pair = co_await tls_over_tcp();
        {
            tls_stream gone = std::move(pair.client);
            co_await gone.write_all("all of it");
            if (by_close) static_cast<void>(gone.close());
        }
        const std::string text = co_await pair.server.read_all();
        CHECK(text == "all of it");
    }
    // After an error there is no goodbye: the peer must not take it for the end.
    auto pair = co_await tls_over_tcp();
    const auto fails = [](tls_stream gone) -> task<> {
        tls_stream local = std::move(gone);
        co_await local.write_all("a part");
        throw std::runtime_error("no more");
    };
    auto failing = fails(std::move(pair.server));
    CHECK_THROWS_AS(co_await std::move(failing), std::runtime_error);
    CHECK_THROWS_AS(co_await pair.client.read_all(), tls_truncated_error);
}

RONDO_TEST("tls: close waits for the peer's close_notify, at most a second", "[tls]") {
    auto pair = co_await tls_over_memory();
    const time_point start = running_loop().time();
    co_await pair.client.close();
    CHECK(running_loop().time() - start == 1s);
    const std::string rest = co_await pair.server.read_all();
    CHECK(rest.empty());
    CHECK_THROWS_AS(co_await pair.client.write_all("x"), closed_error);
    CHECK_THROWS_AS(co_await pair.client.read_line(), closed_error);
    co_await pair.client.close();  // again: nothing

    auto other = co_await tls_over_memory();
    const time_point second = running_loop().time();
    auto both = gather(other.client.close(), other.server.close());
    co_await std::move(both);
    CHECK(running_loop().time() == second);
}

RONDO_TEST("tls: serve says goodbye after a handler that returns, and cuts one that throws",
           "[tls][both]", seeds(30)) {
    int reports = 0;
    running_loop().set_exception_handler([&](const exception_context& context) {
        ++reports;
        CHECK(context.message.find("connection from 127.0.0.1:") == 0);
    });
    auto listener = tls_listener::bind({"127.0.0.1", 0}, localhost_context());
    const endpoint where = listener.local();
    const auto handler = [](tls_stream peer) -> task<> {
        const auto line = co_await peer.read_line();
        co_await peer.write_all("you said ", *line);
        if (*line == "fail") throw std::runtime_error("a handler's error");
    };
    const auto talk = [where](std::string line) -> task<std::string> {
        auto peer = co_await connect_tls("localhost", where.port(), trusting_context());
        co_await peer.write_all(line, "\n");
        co_return co_await peer.read_all();
    };
    const auto clients = [&]() -> task<> {
        const std::string good = co_await talk("hello");
        CHECK(good == "you said hello");
        CHECK(reports == 0);
        CHECK_THROWS_AS(co_await talk("fail"), tls_truncated_error);
        CHECK(reports == 1);
        // A peer that only tries the port is not worth a report, nor is one that leaves during the
        // handshake; one that is no TLS is.
        static_cast<void>(co_await connect_tcp(where));
        auto half = co_await connect_tcp(where);
        co_await half.write_all(std::string_view("\x16\x03\x01\x00\xff\x01", 6));
        co_await half.close();
        auto plain = co_await connect_tcp(where);
        co_await plain.write_all("GET / HTTP/1.1\r\n\r\n");
        const std::string end = co_await plain.read_all();  // no reset
        CHECK(end.empty());
        co_await finish(10);
        CHECK(reports == 2);
    };
    co_await race(serve(std::move(listener), handler), clients());
    running_loop().set_exception_handler({});
}

RONDO_TEST("tls: 100 silent clients, and the next one is served at once", "[tls][both]",
           seeds(2)) {
    auto listener = tls_listener::bind({"127.0.0.1", 0}, localhost_context());
    const endpoint where = listener.local();
    const auto clients = [&]() -> task<> {
        std::vector<tcp_stream> silent;
        for (int i = 0; i < 100; ++i) silent.push_back(co_await connect_tcp(where));
        const time_point start = running_loop().time();
        co_await ask(where.port());
        CHECK(running_loop().time() - start < 5s);  // less than half of the silent ones' limit
        // They are sent away when the limit of their handshakes has passed.
        if (!testing::simulated()) co_return;
        int reports = 0;
        running_loop().set_exception_handler([&](const exception_context&) { ++reports; });
        std::array<char, 1> room;
        const chunk end = co_await silent.back().read_some(room);
        CHECK_FALSE(end);
        CHECK(running_loop().time() - start > 9s);
        co_await sleep(1s);
        CHECK(reports == 100);
        running_loop().set_exception_handler({});
    };
    co_await race(serve(std::move(listener), echo), clients());
}

// -- both directions at once ----------------------------------------------------------------------

RONDO_TEST("tls: a key update is answered by a reader, also while the peer reads nothing", "[tls]",
           seeds(1)) {
    const raw_context ctx = lax_server(localhost_identity());
    auto ends = memory_stream::pair({.capacity = 2000});
    raw_peer peer(std::move(ends.second), ctx.get(), true);
    auto connecting =
        gather(start_tls(std::move(ends.first), trusting_context(), "localhost"), peer.handshake());
    auto made = co_await std::move(connecting);
    tls_stream here = std::move(std::get<0>(made));
    // Both of our directions are full of our own bytes, and the peer asks for new keys.
    const std::string much(100'000, 'x');
    auto writing = create_task([](tls_stream* to, const std::string* all) -> task<> {
        co_await to->write_all(*all);
    }(&here, &much));
    for (int round = 0; round < 5; ++round) {
        SSL_key_update(peer.ssl(), SSL_KEY_UPDATE_REQUESTED);
        co_await peer.write("after new keys\n");
        const auto line = co_await here.read_line();
        CHECK(line.value() == "after new keys");
    }
    CHECK_FALSE(writing.done());
    std::string got;
    while (got.size() < much.size()) got += co_await peer.read(much.size() - got.size());
    CHECK(got == much);
    co_await writing;
    // With nothing to write the reader's answer goes by itself.
    SSL_key_update(peer.ssl(), SSL_KEY_UPDATE_REQUESTED);
    co_await peer.write("x");
    const std::string one = co_await here.read_exactly(std::size_t(1));
    CHECK(one == "x");
    auto back = gather(here.write_all("y"), peer.read(1));
    const auto answer = co_await std::move(back);
    CHECK(std::get<1>(answer) == "y");
}

RONDO_TEST("tls: the first read and the first write of an accepted stream share its handshake",
           "[tls][both]", seeds(3)) {
    auto listener = tls_listener::bind({"127.0.0.1", 0}, localhost_context());
    const auto serve_one = [&]() -> task<> {
        tls_stream peer = co_await listener.accept();
        CHECK(peer.version() == tls::version::none);
        auto both = gather(peer.read_line(), peer.write_all("from the server\n"));
        const auto results = co_await std::move(both);
        CHECK(std::get<0>(results).value() == "from the client");
    };
    const auto connect = [&]() -> task<> {
        auto peer = co_await connect_tls("127.0.0.1", listener.local().port(), trusting_context());
        auto both = gather(peer.read_line(), peer.write_all("from the client\n"));
        const auto results = co_await std::move(both);
        CHECK(std::get<0>(results).value() == "from the server");
    };
    co_await gather(serve_one(), connect());
}

// -- beginning on a live stream -------------------------------------------------------------------

RONDO_TEST("tls: start_tls on a stream that has spoken before, but not on bytes read ahead",
           "[tls][both]") {
    auto ends = co_await connect_pair();
    co_await ends.client.write_all("STARTTLS\n");
    const auto line = co_await ends.server.read_line();
    CHECK(line.value() == "STARTTLS");
    auto making = tls_over(std::move(ends.client), std::move(ends.server));
    auto pair = co_await std::move(making);
    co_await pair.client.write_all("secret\n");
    const auto secret = co_await pair.server.read_line();
    CHECK(secret.value() == "secret");

    ends = co_await connect_pair();
    co_await ends.client.write_all("STARTTLS\nand more");
    co_await ends.server.read_line();
    CHECK_THROWS_WITH(start_tls(std::move(ends.server), localhost_context()),
                      "start_tls: the stream holds 8 bytes that were received before TLS began");
}

RONDO_TEST("tls: over a Unix socket that listens", "[tls][kernel]") {
    const real_folder in;
    const endpoint where = endpoint::unix_path(in.path() + "/socket");
    auto listener = tls_listener::bind(where, localhost_context());
    const auto client = [&]() -> task<> {
        auto plain = co_await connect_unix(where);
        auto starting = start_tls(std::move(plain), trusting_context(), "localhost");
        auto peer = co_await std::move(starting);
        co_await peer.write_all("hello\n");
        const auto line = co_await peer.read_line();
        CHECK(line.value() == "hello");
        co_await peer.close();
    };
    co_await race(serve(std::move(listener), echo), client());
}
