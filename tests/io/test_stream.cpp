// SPDX-License-Identifier: MIT
// Streams over TCP: every byte arrives once and in order, whatever is cancelled, closed or refused
// meanwhile.
#include <rondo/stream.hpp>

#include <sys/socket.h>

#include <array>
#include <optional>
#include <vector>

#include <rondo/gather.hpp>
#include <rondo/memory_stream.hpp>
#include <rondo/unix.hpp>

#include "support/net_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

using rondo_tests::connect_pair;
using rondo_tests::connection;
using rondo_tests::pattern;
using rondo_tests::read_to_end;
using rondo_tests::text_of_failure;

task<> send_and_end(tcp_stream& stream, const std::string& all, std::size_t step) {
    for (std::size_t at = 0; at < all.size(); at += step)
        co_await stream.write_all(std::string_view(all).substr(at, step));
    co_await stream.shutdown_write();
}

task<> echo(tcp_stream& peer) {
    std::array<char, 1000> buffer;
    while (auto chunk = co_await peer.read_some(buffer)) co_await peer.write_all(chunk);
    co_await peer.shutdown_write();
}

task<> read_for_ever(tcp_stream& stream) {
    std::array<char, 16> buffer;
    for (;;) co_await stream.read_some(buffer);
}

// The other side does not read, so the writer has to wait at some point.
task<> write_for_ever(tcp_stream& stream) {
    const std::string much(256 * 1024, 'x');
    for (;;) co_await stream.write_all(much);
}

// -- bytes ----------------------------------------------------------------------------------------

RONDO_TEST("stream: bytes arrive as written, in pieces of any size", "[stream][both]", seeds(5)) {
    for (const std::size_t step :
         {std::size_t(1), std::size_t(7), std::size_t(4096), std::size_t(70000)}) {
        connection c = co_await connect_pair();
        const std::string all = pattern(step == 1 ? 300 : 200'000);
        auto done =
            gather(send_and_end(c.client, all, step), echo(c.server), read_to_end(c.client, step));
        const auto results = co_await std::move(done);
        REQUIRE(std::get<2>(results) == all);
    }
}

RONDO_TEST("stream: after a half close the other direction goes on", "[stream][both]") {
    connection c = co_await connect_pair();
    std::array<char, 64> buffer;
    co_await c.client.shutdown_write();
    for (int i = 0; i < 3; ++i) {
        auto chunk = co_await c.server.read_some(buffer);
        REQUIRE_FALSE(chunk);  // a second read gives the end again
    }
    co_await c.server.write_all("still here");
    auto chunk = co_await c.client.read_some(buffer);
    REQUIRE(chunk.size() > 0);
}

RONDO_TEST("stream: is_quiet until a byte, the end or an error has come", "[stream][both]") {
    connection c = co_await connect_pair();
    CHECK(c.client.is_quiet());
    co_await c.server.write_all("ab");
    std::array<char, 1> one;
    while (c.client.is_quiet()) co_await sleep(1ms);
    co_await c.client.read_some(one);
    CHECK_FALSE(c.client.is_quiet());  // "b" is still there
    co_await c.client.peek();
    CHECK_FALSE(c.client.is_quiet());  // in the stream's buffer
    co_await c.client.read_exactly(one);
    CHECK(c.client.is_quiet());
    co_await c.server.shutdown_write();
    while (c.client.is_quiet()) co_await sleep(1ms);
    c.client.abort();
    CHECK_FALSE(c.client.is_quiet());  // closed
    while (c.server.is_quiet()) co_await sleep(1ms);
}

RONDO_TEST("stream: several buffers are sent in order, empty ones too", "[stream][both]",
           seeds(20)) {
    connection c = co_await connect_pair();
    const std::string large = pattern(150'000);
    const std::vector<std::byte> bytes(3, std::byte{'b'});
    char array[4] = {'a', 'r', 'r', 0};
    auto writing = [&]() -> task<> {
        co_await c.client.write_all("", "head", large, "", bytes, array, std::string("tail"));
        co_await c.client.write_all("", "");
        co_await c.client.write_all("");
        co_await c.client.shutdown_write();
    };
    auto done = gather(writing(), read_to_end(c.server));
    const auto results = co_await std::move(done);
    const std::string expected = "head" + large + "bbb" + std::string(array, 4) + "tail";
    REQUIRE(std::get<1>(results) == expected);
}

RONDO_TEST("stream: a read into an empty buffer gives no byte and is not the end",
           "[stream][both]") {
    connection c = co_await connect_pair();
    auto chunk = co_await c.server.read_some(buffer_view());
    REQUIRE(chunk);
    REQUIRE(chunk.empty());
}

// -- lines ----------------------------------------------------------------------------------------

RONDO_TEST("stream: read_line strips both kinds of line ends, and the last line may lack one",
           "[stream][both]") {
    connection c = co_await connect_pair();
    co_await c.client.write_all("one\ntwo\r\n\n\r\nthree\rfour\nlast\r");
    c.client.close();
    for (const std::string_view expected : {"one", "two", "", "", "three\rfour", "last\r"}) {
        auto line = co_await c.server.read_line();
        REQUIRE(line.has_value());
        REQUIRE(*line == expected);
    }
    auto line = co_await c.server.read_line();
    REQUIRE_FALSE(line.has_value());
}

RONDO_TEST("stream: read_some first gives the bytes that read_line has read ahead",
           "[stream][both]") {
    connection c = co_await connect_pair();
    co_await c.client.write_all("line\nrest of it");
    co_await c.client.shutdown_write();
    auto line = co_await c.server.read_line();
    REQUIRE(line.value() == "line");
    std::string rest = co_await read_to_end(c.server, 3);
    REQUIRE(rest == "rest of it");
}

RONDO_TEST("stream: a line of exactly the limit passes, one byte more is refused and kept",
           "[stream][both]", seeds(20)) {
    for (const std::string_view end : {"\n", "\r\n"}) {
        connection c = co_await connect_pair();
        co_await c.client.write_all("12345", end, "123456", end);
        co_await c.client.shutdown_write();
        auto line = co_await c.server.read_line(5);
        REQUIRE(line.value() == "12345");
        for (int i = 0; i < 2; ++i) {
            std::string text = co_await text_of_failure<limit_error>(c.server.read_line(5));
            REQUIRE(text ==
                    "read_line " + c.server.remote().text() + ": a line of more than 5 bytes");
        }
        line = co_await c.server.read_line(6);
        REQUIRE(line.value() == "123456");
    }
}

RONDO_TEST("stream: a last line above the limit is refused too", "[stream][both]") {
    connection c = co_await connect_pair();
    co_await c.client.write_all("12345\r");
    c.client.close();
    std::string text = co_await text_of_failure<limit_error>(c.server.read_line(5));
    REQUIRE(text.find("more than 5 bytes") != text.npos);
}

RONDO_TEST("stream: a line that never ends is refused before it fills the memory",
           "[stream][both]") {
    connection c = co_await connect_pair();
    auto writer = create_task(write_for_ever(c.client));
    std::string text = co_await text_of_failure<limit_error>(c.server.read_line(100'000));
    REQUIRE(text.find("more than 100000 bytes") != text.npos);
    writer.cancel();
    try {
        co_await writer;
    } catch (const future_cancelled&) {
    }
}

RONDO_TEST("stream: many lines through one buffer, with a reader that is cancelled repeatedly",
           "[stream]", seeds(50)) {
    connection c = co_await connect_pair();
    auto write_lines = [&]() -> task<> {
        for (int i = 0; i < 200; ++i) {
            const std::string line =
                std::to_string(i) + std::string(static_cast<std::size_t>(i * 7 % 300), 'x');
            co_await c.client.write_all(line, i % 2 == 0 ? "\n" : "\r\n");
            if (i % 10 == 0) co_await sleep(100us);
        }
        c.client.close();
    };
    auto writer = create_task(write_lines());
    for (int i = 0; i < 200;) {
        auto line = co_await move_on_after(30us, c.server.read_line());
        if (!line) continue;  // the read was cancelled; no byte is lost
        REQUIRE(line->has_value());
        REQUIRE(**line ==
                std::to_string(i) + std::string(static_cast<std::size_t>(i * 7 % 300), 'x'));
        ++i;
    }
    auto line = co_await c.server.read_line();
    REQUIRE_FALSE(line.has_value());
    co_await writer;
}

// -- cancelling -----------------------------------------------------------------------------------

RONDO_TEST("stream: a read that is cancelled loses no byte", "[stream]", seeds(50)) {
    connection c = co_await connect_pair();
    const std::string all = pattern(20'000);
    auto writer = create_task(send_and_end(c.client, all, 97));
    std::string got;
    std::array<char, 50> buffer;
    for (int round = 0;; ++round) {
        auto chunk = co_await move_on_after(std::chrono::microseconds(round % 60),
                                            c.server.read_some(buffer));
        if (!chunk) continue;
        if (!*chunk) break;
        got.append(chunk->data(), chunk->size());
    }
    REQUIRE(got == all);
    co_await writer;
}

RONDO_TEST("stream: every wait can be cancelled, before and while it is suspended",
           "[stream][both]") {
    connection c = co_await connect_pair();
    std::array<char, 16> buffer;
    auto reading = [&]() -> task<> { co_await c.client.read_some(buffer); };
    co_await rondo_tests::must_be_cancellable(reading);
    auto lines = [&]() -> task<> { co_await c.client.read_line(); };
    co_await rondo_tests::must_be_cancellable(lines);

    connection d = co_await connect_pair();
    auto writing = [&]() -> task<> { co_await write_for_ever(d.client); };
    co_await rondo_tests::must_be_cancellable(writing);
    connection e = co_await connect_pair();
    const std::string much = pattern(100'000);
    auto gathering = [&]() -> task<> {
        for (;;) co_await e.client.write_all(much, much);
    };
    co_await rondo_tests::must_be_cancellable(gathering);
}

RONDO_TEST("stream: even a wait that is ready throws in a cancelled scope",
           "[stream][both]") {
    connection c = co_await connect_pair();
    co_await c.server.write_all("a\nb\nc\n");
    co_await c.client.read_line();
    std::array<char, 16> buffer;
    auto some = [&]() -> task<> { co_await c.client.read_some(buffer); };
    auto line = [&]() -> task<> { co_await c.client.read_line(); };
    auto none = [&]() -> task<> { co_await c.client.write_all(""); };
    auto shut = [&]() -> task<> { co_await c.client.shutdown_write(); };
    auto closing = [&]() -> task<> { co_await c.client.close(); };
    using rondo_tests::form;
    bool ended = co_await rondo_tests::cancel_in_form(form::before, some, {});
    REQUIRE(ended);
    ended = co_await rondo_tests::cancel_in_form(form::before, line, {});
    REQUIRE(ended);
    ended = co_await rondo_tests::cancel_in_form(form::before, none, {});
    REQUIRE(ended);
    ended = co_await rondo_tests::cancel_in_form(form::before, shut, {});
    REQUIRE(ended);
    auto next = co_await c.client.read_line();
    REQUIRE(next.value() == "b");
    ended = co_await rondo_tests::cancel_in_form(form::before, closing, {});
    REQUIRE(ended);
    REQUIRE_FALSE(c.client.is_open());
}

RONDO_TEST(
    "stream: a write cancelled in its middle tears the stream, one that had not begun does not",
    "[stream][both]") {
    connection c = co_await connect_pair();
    auto none_went = [&]() -> task<> { co_await c.client.write_all("x"); };
    co_await rondo_tests::cancel_in_form(rondo_tests::form::before, none_went, {});
    co_await c.client.write_all("fine");

    const std::string much = pattern(32 * 1024 * 1024);
    auto stuck = [&]() -> task<> { co_await c.client.write_all(much); };
    bool ended = co_await rondo_tests::cancel_in_form(rondo_tests::form::waiting, stuck, {});
    REQUIRE(ended);
    auto next = [&]() -> task<> { co_await c.client.write_all("x"); };
    std::string text = co_await text_of_failure<invalid_state_error>(next());
    REQUIRE(text.find("an earlier write ended in its middle") != text.npos);
    REQUIRE(text.find(c.client.remote().text()) != text.npos);
}

// -- refusing -------------------------------------------------------------------------------------

RONDO_TEST("stream: a second reader is refused, and the first one goes on", "[stream][both]") {
    connection c = co_await connect_pair();
    std::array<char, 16> buffer;
    auto first = create_task(c.client.read_line());
    co_await yield_now();
    auto second = [&]() -> task<> { co_await c.client.read_some(buffer); };
    std::string text = co_await text_of_failure<invalid_state_error>(second());
    REQUIRE(text ==
            "recv " + c.client.remote().text() + ": another task is reading from this stream");
    text = co_await text_of_failure<invalid_state_error>(c.client.read_line());
    REQUIRE(text.find("another task is reading") != text.npos);
    co_await c.server.write_all("for the first\n");
    auto line = co_await first;
    REQUIRE(line.value() == "for the first");
}

RONDO_TEST("stream: a second writer is refused, and the first one goes on", "[stream][both]") {
    connection c = co_await connect_pair();
    const std::string much = pattern(16 * 1024 * 1024);
    auto write = [&]() -> task<> {
        co_await c.client.write_all(much);
        co_await c.client.shutdown_write();
    };
    auto first = create_task(write());
    co_await yield_now();
    auto second = [&]() -> task<> { co_await c.client.write_all("me too"); };
    std::string text = co_await text_of_failure<invalid_state_error>(second());
    REQUIRE(text ==
            "send " + c.client.remote().text() + ": another task is writing to this stream");
    const std::string got = co_await read_to_end(c.server, 1 << 20);
    REQUIRE((got == much));
    co_await first;
}

// -- failing --------------------------------------------------------------------------------------

RONDO_TEST("stream: a peer that resets is named, although the kernel has forgotten it",
           "[stream][kernel]") {
    connection c = co_await connect_pair();
    const std::string name = c.client.local().text();
    co_await c.server.write_all("unread");
    co_await sleep(1ms);
    co_await c.client.close();  // resets, because there are unread bytes
    auto read = [&]() -> task<> {
        std::array<char, 16> buffer;
        co_await c.server.read_some(buffer);
    };
    std::string text = co_await text_of_failure<std::system_error>(read());
    REQUIRE(text == "recv " + name + ": Connection reset by peer");
}

task<> read_into(byte_stream* from) {
    std::array<char, 16> room;
    co_await from->read_some(room);
}

RONDO_TEST("stream: after a reset each read throws, and never gives the end", "[stream][both]") {
    connection c = co_await connect_pair();
    c.client.abort();
    for (int i = 0; i < 3; ++i) {
        std::string text = co_await text_of_failure<std::system_error>(read_into(&c.server));
        REQUIRE(text.find("Connection reset by peer") != text.npos);
    }
    std::string buffer(16, '?');
    auto read = co_await as_result(c.server.read_some(buffer));
    REQUIRE(read.error() == std::errc::connection_reset);
    CHECK_THROWS_AS(co_await c.server.read_line(), std::system_error);
}

RONDO_TEST("stream: a reset reported to a write is not the end for a reader", "[stream][both]") {
    connection c = co_await connect_pair();
    co_await c.client.write_all("before");
    co_await sleep(5ms);
    c.client.abort();
    co_await sleep(5ms);
    CHECK_THROWS_AS(co_await c.server.write_all("x"), write_error);
    try {
        const std::string got = co_await rondo_tests::read_to_end(c.server);
        FAIL("it ended, after " + got);
    } catch (const std::system_error& error) {
        CHECK(error.code() == std::errc::connection_reset);
    }
}

RONDO_TEST("stream: operations on a closed stream throw closed_error with its name",
           "[stream][both]") {
    connection c = co_await connect_pair();
    const std::string name = c.client.remote().text();
    c.client.close();
    const std::string text = co_await text_of_failure<closed_error>(read_into(&c.client));
    REQUIRE(text == "recv " + name + ": this stream was closed");
    CHECK_THROWS_AS(co_await c.client.write_all("x"), closed_error);
    CHECK_THROWS_AS(co_await c.client.shutdown_write(), closed_error);
    CHECK_THROWS_AS(co_await c.client.read_line(), closed_error);
    auto [one, other] = memory_stream::pair();
    one.close();
    CHECK_THROWS_AS(co_await one.write_all("x"), closed_error);
}

RONDO_TEST("stream: as_result gives a failed read as a value", "[stream][both]") {
    connection c = co_await connect_pair();
    co_await c.server.write_all("unread");
    co_await sleep(5ms);
    co_await c.client.close();
    std::array<char, 16> buffer;
    auto read = co_await as_result(c.server.read_some(buffer));
    REQUIRE_FALSE(read.has_value());
    REQUIRE(read.error() == std::errc::connection_reset);
}

RONDO_TEST("stream: a failed write says how many bytes were sent", "[stream][both]") {
    connection c = co_await connect_pair();
    const std::string name = c.server.remote().text();
    co_await c.client.close();
    const std::string much = pattern(64 * 1024);
    std::string text;
    std::size_t written = 1;
    while (text.empty()) {
        try {
            co_await c.server.write_all(much, much);
            co_await sleep(1ms);
        } catch (const write_error& error) {
            text = error.what();
            written = error.bytes_written();
            const bool broken = error.code() == std::errc::broken_pipe;
            REQUIRE((broken || error.code() == std::errc::connection_reset));
        }
    }
    REQUIRE(text.find("send " + name + ": ") == 0);
    REQUIRE(text.find("(after " + std::to_string(written) + " of 131072 bytes)") != text.npos);
}

RONDO_TEST("stream: closing ends the waits of other tasks with a clear error", "[stream][both]") {
    connection c = co_await connect_pair();
    const std::string name =
        c.client.local().text();  // the server's end does not know it yet
    auto reading = create_task(text_of_failure<std::system_error>(read_for_ever(c.server)));
    auto writing = create_task(text_of_failure<std::system_error>(write_for_ever(c.server)));
    co_await sleep(30ms);  // until the writer has filled every buffer, also under a sanitizer
    co_await c.server.close();
    REQUIRE_FALSE(c.server.is_open());
    auto text = co_await reading;
    REQUIRE(text == "recv " + name + ": Operation canceled");
    text = co_await writing;
    REQUIRE(text.find("send " + name + ": Operation canceled (after ") == 0);
    text = co_await text_of_failure<closed_error>(read_for_ever(c.server));
    REQUIRE(text == "recv " + name + ": this stream was closed");
    co_await c.server.close();  // once more is no error
}

RONDO_TEST("stream: it may be moved and destroyed while a task waits on it", "[stream][both]") {
    connection c = co_await connect_pair();
    std::optional<tcp_stream> stream(std::move(c.server));
    std::array<char, 16> buffer;
    auto read = [&]() -> task<> { co_await stream->read_some(buffer); };
    auto reading = create_task(text_of_failure<std::system_error>(read()));
    auto line = [&]() -> task<> { co_await c.client.read_line(); };
    auto reading_line = create_task(line());
    co_await sleep(1ms);
    tcp_stream moved = std::move(*stream);
    stream.reset();
    tcp_stream moved_client = std::move(c.client);
    co_await sleep(1ms);
    REQUIRE_FALSE(reading.done());
    { const tcp_stream last = std::move(moved); }
    auto text = co_await reading;
    REQUIRE(text.find("Operation canceled") != text.npos);
    co_await reading_line;  // the end of the stream
}

RONDO_TEST("stream: move assignment closes the previous stream at once", "[stream][both]") {
    auto first = socket_pair();
    auto second = socket_pair();
    std::array<char, 8> room{};
    first.first = std::move(second.first);
    CHECK_FALSE(co_await first.second.read_some(room));  // the end: only this stream was closed
    co_await first.first.write_all("x");
    CHECK(co_await second.second.read_some(room));
}

}  // namespace
