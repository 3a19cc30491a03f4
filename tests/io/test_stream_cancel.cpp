// SPDX-License-Identifier: MIT
// The three moments at which a cancellation can meet a wait on a stream: before it begins, while it
// is suspended, and when the kernel has completed it but its task has not run since. A completed
// operation is delivered, and no byte is lost or sent twice.
#include <rondo/stream.hpp>

#include <array>
#include <string>
#include <string_view>

#include <rondo/connect.hpp>
#include <rondo/net.hpp>

#include "support/core_tools.hpp"

using namespace rondo_tests;

namespace {

struct stream_pair {
    tcp_stream here, there;
    stream_pair(tcp_stream h, tcp_stream t) : here(std::move(h)), there(std::move(t)) {}
};

task<stream_pair> streams() {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    tcp_stream here = co_await connect_tcp(listener.local());
    tcp_stream there = co_await listener.accept();
    co_return stream_pair(std::move(here), std::move(there));
}

task<> send_text(tcp_stream* to, std::string_view text) { co_await to->write_all(text); }

/// Reads exactly `size` bytes.
task<std::string> take(tcp_stream* from, std::size_t size) {
    std::string got(size, '\0');
    for (std::size_t have = 0; have < size;) {
        const auto came = co_await from->read_some(buffer_view(got.data() + have, size - have));
        REQUIRE(came);
        have += came.size();
    }
    co_return got;
}

/// A task that reads and expects that the stream is closed meanwhile.
task<> reads_until_closed(tcp_stream* from) {
    std::array<char, 8> room;
    try {
        co_await from->read_some(room);
        FAIL("nobody sends anything");
    } catch (const std::system_error& error) {
        CHECK(error.code().value() == ECANCELED);
    }
}

RONDO_TEST("stream: reads cancelled after their bytes have come return them", "[stream][both]") {
    stream_pair p = co_await streams();
    std::array<char, 8> room{};
    for (int round = 0; round < 3; ++round) {
        const auto send_x = [&] { create_task(send_text(&p.here, "x")); };
        const auto some = [&] { return p.there.read_some(room); };
        room[0] = 0;
        co_await check_cancelled_after_arrival(some, send_x);
        CHECK(room[0] == 'x');

        const auto as_value = [&] { return as_result(p.there.read_some(room)); };
        room[0] = 0;
        co_await check_cancelled_after_arrival(as_value, send_x);
        CHECK(room[0] == 'x');

        const auto send_line = [&] { create_task(send_text(&p.here, "\n")); };
        const auto line = [&] { return p.there.read_line(); };
        co_await check_cancelled_after_arrival(line, send_line);
    }
    co_await p.here.write_all("!");
    CHECK(co_await take(&p.there, 1) == "!");  // no byte was delivered twice
}

RONDO_TEST("stream: read_line cancelled after half a line loses no byte", "[stream][both]") {
    stream_pair p = co_await streams();
    std::string got;
    const auto body = [](tcp_stream* from, std::string* out) -> task<> {
        *out = (co_await from->read_line()).value();
    };
    for (const bool on_arrival : {false, true}) {
        auto reading = create_task(body(&p.there, &got));
        co_await yield_now();
        co_await p.here.write_all("ha");
        if (on_arrival) {
            cancel_on_completion canceller(reading);
            while (!canceller.over()) co_await yield_now();
        } else {
            reading.cancel();
        }
        try {
            co_await reading;
        } catch (const future_cancelled&) {
        }
        CHECK(reading.cancelled());
        CHECK(got.empty());
    }
    co_await p.here.write_all("lf\n");
    CHECK((co_await p.there.read_line()).value() == "hahalf");
}

RONDO_TEST("stream: a write cancelled after all was sent has sent it once", "[stream][both]") {
    stream_pair p = co_await streams();
    for (int round = 0; round < 3; ++round) {
        const auto one = [&] { return p.here.write_all("one"); };
        co_await check_cancelled_before(one);
        co_await check_cancelled_after_arrival(one);
        CHECK(co_await take(&p.there, 3) == "one");
        const auto several = [&] { return p.here.write_all("s", "ever", "al"); };
        co_await check_cancelled_before(several);
        co_await check_cancelled_after_arrival(several);
        CHECK(co_await take(&p.there, 7) == "several");
    }
    const auto nothing = [&] { return p.here.write_all(""); };
    co_await check_cancelled_before(nothing);
}

RONDO_TEST("stream: a write cancelled while it waits throws, and its stream is torn",
           "[stream][both]") {
    const std::string much(32u << 20, 'x');  // more than the buffers of both ends
    for (const bool several : {false, true}) {
        stream_pair p = co_await streams();
        const auto one = [&] { return p.here.write_all(much); };
        const auto two = [&] { return p.here.write_all("head", much); };
        if (several)
            co_await check_cancelled_while_suspended(two);
        else
            co_await check_cancelled_while_suspended(one);
        // The bytes that were sent before arrive; on the ring there are some.
        if (!testing::simulated()) {
            const std::string got = co_await take(&p.there, 4);
            CHECK(got == (several ? "head" : "xxxx"));
            CHECK_THROWS_AS(co_await p.here.write_all("y"), invalid_state_error);
        }
    }
}

RONDO_TEST("stream: shutdown_write cancelled before, while suspended and after", "[stream][both]") {
    std::array<char, 8> room;
    {
        stream_pair p = co_await streams();
        const auto shut = [&] { return p.here.shutdown_write(); };
        co_await check_cancelled_before(shut);
        co_await p.here.write_all("x");  // the shutdown was not done
        CHECK(co_await take(&p.there, 1) == "x");
        co_await check_cancelled_after_arrival(shut);
        CHECK_FALSE(co_await p.there.read_some(room));  // the shutdown was done
    }
    for (int round = 0; round < 5; ++round) {
        stream_pair p = co_await streams();
        const auto shut = [&] { return p.here.shutdown_write(); };
        if (co_await cancelled_in_flight(shut) == outcome_of_wait::cancelled) {
            co_await p.here.write_all("x");
            CHECK(co_await take(&p.there, 1) == "x");
        } else {
            CHECK_FALSE(co_await p.there.read_some(room));
        }
    }
}

RONDO_TEST("stream: close cancelled before, while suspended and after is done", "[stream][both]") {
    for (const int form : {1, 2, 3}) {
        stream_pair p = co_await streams();
        auto reader = create_task(reads_until_closed(&p.here));
        co_await nop();  // the loop has just polled the kernel, and does not do so again below
        co_await finish();
        const auto close = [&] { return p.here.close(); };
        if (form == 1) co_await check_cancelled_before(close);
        if (form == 2) co_await check_cancelled_while_suspended(close);  // until the read has ended
        if (form == 3) co_await check_cancelled_after_arrival(close);
        CHECK_FALSE(p.here.is_open());
        co_await reader;
        std::array<char, 8> room;
        CHECK_FALSE(co_await p.there.read_some(room));
    }
}

}  // namespace
