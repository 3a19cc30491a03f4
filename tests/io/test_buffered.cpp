// SPDX-License-Identifier: MIT
// Buffered reads on a stream of the kernel and on a user's stream: lines, separators, exact
// amounts,
// peek and unread. Both use one engine, so both run the same test bodies.
#include <rondo/buffered.hpp>

#include <array>
#include <optional>
#include <string>

#include <rondo/gather.hpp>
#include <rondo/memory_stream.hpp>
#include <rondo/net.hpp>
#include <rondo/split.hpp>

#include "support/net_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;
using rondo_tests::pattern;
using rondo_tests::text_of_failure;

namespace {

/// A TCP connection, and a memory stream that reads one byte at a time inside a `buffered`.
template <class Body>
task<> on_both(Body body) {
    {
        auto c = co_await rondo_tests::connect_pair();
        co_await body(c.client, c.server);
    }
    auto ends = memory_stream::pair({.chunk_max = 1});
    buffered reader(std::move(ends.second));
    co_await body(ends.first, reader);
}

/// The bytes of an incomplete_read_error, and the number of bytes it expected.
template <class Task>
task<std::pair<std::string, std::size_t>> incomplete(Task reading) {
    try {
        co_await std::move(reading);
    } catch (const incomplete_read_error& error) {
        co_return {error.bytes(), error.expected()};
    }
    co_return {"nothing was thrown", 0};
}

}  // namespace

RONDO_TEST("buffered: read_until gives everything with its separator", "[buffered][both]",
           seeds(10)) {
    auto body = [](auto& to, auto& from) -> task<> {
        co_await to.write_all("one--two-- --\n-three");
        co_await to.shutdown_write();
        for (const std::string_view expected : {"one--", "two--", " --"}) {
            const std::string got = co_await from.read_until("--");
            CHECK(got == expected);
        }
        const auto rest = co_await incomplete(from.read_until("--"));
        CHECK(rest.first == "\n-three");
        CHECK(rest.second == 0);
        const auto nothing = co_await incomplete(from.read_until("--"));
        CHECK(nothing.first.empty());
    };
    co_await on_both(body);
}

RONDO_TEST("buffered: a separator is within the limit or an error that keeps every byte",
           "[buffered][both]", seeds(10)) {
    auto body = [](auto& to, auto& from) -> task<> {
        co_await to.write_all("12345;123456;x");
        co_await to.shutdown_write();
        std::string got = co_await from.read_until(";", 6);
        CHECK(got == "12345;");
        for (int i = 0; i < 2; ++i) {
            const std::string text = co_await text_of_failure<limit_error>(from.read_until(";", 6));
            CHECK(text.find(": no separator in the first 6 bytes") != text.npos);
        }
        got = co_await from.read_until(";", 7);
        CHECK(got == "123456;");
        CHECK_THROWS_AS(co_await from.read_until(""), std::invalid_argument);
        got = co_await from.read_all();
        CHECK(got == "x");
    };
    co_await on_both(body);
}

RONDO_TEST("buffered: read_exactly fills all, or throws with the bytes so far", "[buffered][both]",
           seeds(10)) {
    auto body = [](auto& to, auto& from) -> task<> {
        const std::string all = pattern(20'000);
        auto sending = [](auto* out, std::string bytes) -> task<> {
            co_await out->write_all(bytes);
            co_await out->shutdown_write();
        };
        auto sent = create_task(sending(&to, "line\n" + all + "abcdefgh"));
        const auto line = co_await from.read_line();
        CHECK(line.value() == "line");
        std::string room(all.size() - 1000, '\0');
        co_await from.read_exactly(room);
        CHECK(room == all.substr(0, room.size()));
        const std::string more = co_await from.read_exactly(1000);
        CHECK(more == all.substr(room.size()));
        const std::string none = co_await from.read_exactly(std::size_t(0));
        CHECK(none.empty());
        std::array<char, 6> six;
        co_await from.read_exactly(six);
        std::array<char, 4> four;
        const auto short_one = co_await incomplete(from.read_exactly(four));
        CHECK(short_one.first == "gh");
        CHECK(short_one.second == 4);
        const auto huge = co_await incomplete(from.read_exactly(std::size_t(1) << 50));
        CHECK(huge.first.empty());
        CHECK(huge.second == std::size_t(1) << 50);
        co_await sent;
    };
    co_await on_both(body);
}

RONDO_TEST("buffered: peek leaves bytes, unread puts bytes in front", "[buffered][both]",
           seeds(10)) {
    auto body = [](auto& to, auto& from) -> task<> {
        co_await to.write_all("abcdef");
        co_await to.shutdown_write();
        const auto three = co_await from.peek(3);
        CHECK(three.substr(0, 3) == "abc");
        std::array<char, 2> two;
        co_await from.read_exactly(two);
        from.unread("XYZ");
        from.unread("W");
        from.unread("");
        std::string got = co_await from.read_exactly(std::size_t(6));
        CHECK(got == "WXYZcd");
        const auto all = co_await from.peek(100);
        CHECK(all == "ef");
        const auto line = co_await from.read_line();
        CHECK(line.value() == "ef");
        const auto none = co_await from.peek();
        CHECK(none.empty());
    };
    co_await on_both(body);
}

RONDO_TEST("buffered: bytes returned by peek may be put back", "[buffered][both]") {
    auto body = [](auto& to, auto& from) -> task<> {
        const std::string sent = rondo_tests::pattern(4096);
        co_await to.write_all(sent);
        co_await to.shutdown_write();
        const auto all = co_await from.peek(sent.size());
        from.unread(all);
        const auto again = co_await from.peek();
        from.unread(again.substr(0, 2));
        const std::string got = co_await from.read_all();
        CHECK(got == sent.substr(0, 2) + sent + sent);
    };
    co_await on_both(body);
}

RONDO_TEST("buffered: read_all stops at its limit and keeps the bytes", "[buffered][both]") {
    auto body = [](auto& to, auto& from) -> task<> {
        co_await to.write_all("1234567");
        co_await to.shutdown_write();
        const std::string text = co_await text_of_failure<limit_error>(from.read_all(6));
        CHECK(text.find(": a stream of more than 6 bytes") != text.npos);
        const std::string all = co_await from.read_all(7);
        CHECK(all == "1234567");
    };
    co_await on_both(body);
}

RONDO_TEST("buffered: a read that is cancelled half way loses nothing", "[buffered][both]",
           seeds(10)) {
    auto body = [](auto& to, auto& from) -> task<> {
        std::array<char, 8> room;
        using from_type = std::remove_reference_t<decltype(from)>;
        auto exactly = [](from_type* f, buffer_view into) -> task<> {
            co_await f->read_exactly(into);
        };
        auto sized = [](from_type* f) -> task<> { co_await f->read_exactly(std::size_t(8)); };
        auto until = [](from_type* f) -> task<> { co_await f->read_until("!"); };
        auto whole = [](from_type* f) -> task<> { co_await f->read_all(); };
        auto look = [](from_type* f) -> task<> { co_await f->peek(100); };
        std::string expected;
        for (int which = 0; which < 5; ++which) {
            rondo::future<> reading = which == 0   ? create_task(exactly(&from, room))
                                      : which == 1 ? create_task(sized(&from))
                                      : which == 2 ? create_task(until(&from))
                                      : which == 3 ? create_task(whole(&from))
                                                   : create_task(look(&from));
            const std::string part(1, static_cast<char>('a' + which));
            co_await to.write_all(part);
            expected += part;
            co_await sleep(10ms);
            reading.cancel();
            CHECK_THROWS_AS(co_await reading, future_cancelled);
        }
        co_await to.write_all("!");
        const std::string got = co_await from.read_until("!");
        CHECK(got == expected + "!");
    };
    co_await on_both(body);
}

RONDO_TEST("buffered: a read is refused in a cancelled scope, and beside another reader",
           "[buffered][both]") {
    auto body = [](auto& to, auto& from) -> task<> {
        using from_type = std::remove_reference_t<decltype(from)>;
        co_await to.write_all("all\nthe\nbytes\nare\nhere\n");
        auto look = [](from_type* f) -> task<> { co_await f->peek(1); };
        co_await look(&from);
        auto line = [](from_type* f) -> task<> { co_await f->read_line(); };
        auto until = [](from_type* f) -> task<> { co_await f->read_until("\n"); };
        auto exactly = [](from_type* f) -> task<> { co_await f->read_exactly(std::size_t(2)); };
        const auto refuses = [](auto make, from_type* f) -> task<> {
            auto reading = [&]() -> task<> { co_await make(f); };
            constexpr auto form = rondo_tests::form::before;
            const bool before = co_await rondo_tests::cancel_in_form(form, reading, {});
            CHECK(before);
        };
        co_await refuses(look, &from);
        co_await refuses(line, &from);
        co_await refuses(until, &from);
        co_await refuses(exactly, &from);
        const auto search = [](from_type* f) -> task<> { co_await f->read_until("nowhere"); };
        auto waiting = create_task(search(&from));
        co_await sleep(1ms);
        CHECK_THROWS_AS(co_await from.read_line(), invalid_state_error);
        CHECK_THROWS_AS(co_await from.peek(), invalid_state_error);
        CHECK_THROWS_AS(co_await from.read_exactly(std::size_t(1)), invalid_state_error);
        waiting.cancel();
        CHECK_THROWS_AS(co_await waiting, future_cancelled);
        const auto got = co_await from.read_line();
        CHECK(got.value() == "all");
    };
    co_await on_both(body);
}

// -- split ----------------------------------------------------------------------------------------

RONDO_TEST("split: each of two tasks has a direction, the last one closes the stream",
           "[split][both]", seeds(10)) {
    auto c = co_await rondo_tests::connect_pair();
    auto halves = split(std::move(c.client));
    auto sending = [](write_half<tcp_stream> out) -> task<> {
        for (int i = 0; i < 100; ++i) co_await out.write_all("ping", "\n");
        co_await out.shutdown_write();
    };
    auto counting = [](read_half<tcp_stream> in, int* lines) -> task<> {
        while (auto line = co_await in.read_line()) *lines += *line == "ping";
    };
    auto echo = [](tcp_stream* peer) -> task<> {
        std::array<char, 64> buffer;
        while (auto chunk = co_await peer->read_some(buffer)) co_await peer->write_all(chunk);
        co_await peer->shutdown_write();
    };
    int lines = 0;
    auto all = gather(sending(std::move(halves.second)), counting(std::move(halves.first), &lines),
                      echo(&c.server));
    co_await std::move(all);
    CHECK(lines == 100);
    std::array<char, 8> room;
    const auto end = co_await c.server.read_some(room);
    CHECK_FALSE(end);
}
