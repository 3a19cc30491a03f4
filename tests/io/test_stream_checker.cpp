// SPDX-License-Identifier: MIT
// Runs the stream checker on every kind of stream.
#include "support/stream_checker.hpp"

#include <unistd.h>

#include <algorithm>
#include <limits>
#include <string>

#include <rondo/buffered.hpp>
#include <rondo/copy.hpp>
#include <rondo/file_system.hpp>
#include <rondo/memory_stream.hpp>
#include <rondo/pipe.hpp>
#include <rondo/sleep.hpp>
#include <rondo/split.hpp>
#include <rondo/unix.hpp>

#include "support/file_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;
using rondo_tests::check_duplex;
using rondo_tests::check_one_way;
using rondo_tests::ends_of;

namespace {

/// Reads by views and returns copies.
class reads_views : public tcp_stream {
public:
    explicit reads_views(tcp_stream stream) : tcp_stream(std::move(stream)) {}
    task<chunk> read_some(buffer_view into) {
        if (into.empty()) co_return chunk(into);
        const auto view = co_await read_view();
        if (!view) co_return chunk();
        const std::size_t count = std::min(view.size(), into.size());
        std::copy_n(view.data(), count, into.data());
        unread(const_buffer(view.data() + count, view.size() - count));
        co_return chunk(into.first(count));
    }
};

/// The two halves of a split stream as one stream, for the checker.
class two_halves {
public:
    explicit two_halves(tcp_stream stream) : halves_(split(std::move(stream))) {}
    auto read_some(buffer_view into) { return halves_.first.read_some(into); }
    auto write_all(const_buffer data) { return halves_.second.write_all(data); }
    auto shutdown_write() { return halves_.second.shutdown_write(); }
    auto close() { return halves_.first.stream().close(); }

private:
    std::pair<read_half<tcp_stream>, write_half<tcp_stream>> halves_;
};

}  // namespace

RONDO_TEST("stream checker: TCP", "[checker][both]", limit(20s)) {
    const auto make = []() -> task<ends_of<tcp_stream>> {
        auto c = co_await rondo_tests::connect_pair();
        co_return ends_of<tcp_stream>(std::move(c.client), std::move(c.server));
    };
    co_await check_duplex(make);
}

RONDO_TEST("stream checker: TCP read by views", "[checker][both]", limit(20s)) {
    const auto make = []() -> task<ends_of<reads_views>> {
        auto c = co_await rondo_tests::connect_pair();
        co_return ends_of<reads_views>(reads_views(std::move(c.client)),
                                       reads_views(std::move(c.server)));
    };
    co_await check_duplex(make);
}

RONDO_TEST("stream checker: the halves of a split stream", "[checker][both]", limit(20s)) {
    const auto make = []() -> task<ends_of<two_halves>> {
        auto c = co_await rondo_tests::connect_pair();
        co_return ends_of<two_halves>(two_halves(std::move(c.client)),
                                      two_halves(std::move(c.server)));
    };
    co_await check_duplex(make);
}

RONDO_TEST("stream checker: a pair of Unix sockets", "[checker][both]", limit(20s)) {
    const auto make = []() -> task<ends_of<unix_stream>> {
        auto ends = socket_pair();
        co_return ends_of<unix_stream>(std::move(ends.first), std::move(ends.second));
    };
    co_await check_duplex(make);
}

RONDO_TEST("stream checker: a pipe", "[checker][both]", limit(20s)) {
    const auto make = []() -> task<ends_of<fd_stream>> {
        auto ends = make_pipe();
        co_return ends_of<fd_stream>(std::move(ends.writer), std::move(ends.reader));
    };
    co_await check_one_way(make);
}

RONDO_TEST("stream checker: memory, and memory behind `buffered`", "[checker][both]", limit(20s)) {
    const auto plain = []() -> task<ends_of<memory_stream>> {
        auto ends = memory_stream::pair();
        co_return ends_of<memory_stream>(std::move(ends.first), std::move(ends.second));
    };
    co_await check_duplex(plain);
    const auto behind = []() -> task<ends_of<buffered<memory_stream>>> {
        auto ends = memory_stream::pair({.capacity = 1000, .chunk_max = 11});
        co_return ends_of<buffered<memory_stream>>(buffered(std::move(ends.first)),
                                                   buffered(std::move(ends.second)));
    };
    co_await check_duplex(behind);
}

// -- copying --------------------------------------------------------------------------------------

RONDO_TEST("copy: all bytes, or up to a limit, between any two streams", "[copy][both]", seeds(5)) {
    auto from = memory_stream::pair();
    auto to = co_await rondo_tests::connect_pair();
    const std::string all = rondo_tests::pattern(200'000);
    const auto send = [](memory_stream* into, const std::string* bytes) -> task<> {
        co_await into->write_all(*bytes);
        co_await into->shutdown_write();
    };
    const auto pass_on = [](memory_stream* source, tcp_stream* target) -> task<> {
        copy_options some;
        some.limit = 1000;
        std::uint64_t count = co_await copy(*source, *target, some);
        CHECK(count == 1000);
        some.limit = std::numeric_limits<std::uint64_t>::max();
        some.buffer_size = 777;
        count = co_await copy(*source, *target, some);
        CHECK(count == 199'000);
        co_await target->shutdown_write();
    };
    auto done = gather(send(&from.first, &all), pass_on(&from.second, &to.client),
                       rondo_tests::receive_in_steps(&to.server, all.size() + 1, 5000));
    const auto results = co_await std::move(done);
    CHECK(std::get<2>(results) == all);
}

/// `from` holds "abcdef".
template <class From>
task<> check_copy_gives_back(From& from) {
    auto to = memory_stream::pair({.capacity = 4});
    co_await to.first.write_all("full");
    const auto copied = co_await move_on_after(5ms, copy(from, to.first));
    CHECK_FALSE(copied);
    std::string buffer(10, '?');
    std::string back;
    while (back.size() < 6) {
        const chunk piece = co_await from.read_some(buffer);
        REQUIRE(piece);
        back += piece.text();
    }
    CHECK(back == "abcdef");
    const chunk before = co_await to.second.read_some(buffer);
    CHECK(before.text() == "full");
    co_await to.first.write_all("more");  // no byte had been sent, so the stream is not torn
}

RONDO_TEST("copy: when it is cancelled, bytes that were not written go back", "[copy][both]",
           seeds(5)) {
    auto from_pipe = make_pipe();
    co_await from_pipe.writer.write_all("abcdef");
    co_await check_copy_gives_back(from_pipe.reader);
    auto from_memory = memory_stream::pair();
    co_await from_memory.first.write_all("abcdef");
    co_await check_copy_gives_back(from_memory.second);
    auto from_half = memory_stream::pair();
    co_await from_half.first.write_all("abcdef");
    auto halves = split(std::move(from_half.second));
    co_await check_copy_gives_back(halves.first);
}

RONDO_TEST("receive_file: when it is cancelled, bytes that have come are in the file",
           "[copy][both]", seeds(20)) {
    const rondo_tests::folder in;
    auto from = make_pipe();
    auto to = co_await file::create(in / "f");
    co_await from.writer.write_all("abcdef");
    co_await from.reader.peek(6);  // so the read is ready at once, and only the write can be hit
    auto receiving = create_task(receive_file(from.reader, to));
    co_await yield_now();
    receiving.cancel();
    bool cancelled_it = false;
    try {
        co_await receiving;
    } catch (const future_cancelled&) {
        cancelled_it = true;
    }
    CHECK(cancelled_it);
    const std::string got = co_await read_file(in / "f");
    CHECK(got == "abcdef");
}

RONDO_TEST("splice: bytes pass from one socket to the other, also those received ahead",
           "[copy][kernel]", limit(20s)) {
    auto in = co_await rondo_tests::connect_pair();
    auto out = co_await rondo_tests::connect_pair();
    const std::string all = rondo_tests::pattern(5'000'000);
    const auto send = [](tcp_stream* into, const std::string* bytes) -> task<> {
        co_await into->write_all("a line\n", *bytes);
        co_await into->shutdown_write();
    };
    const auto pass_on = [](tcp_stream* source, tcp_stream* target) -> task<> {
        const auto line = co_await source->read_line();
        CHECK(line.value() == "a line");
        std::uint64_t count = co_await splice(*source, *target, 5000);
        CHECK(count == 5000);
        count = co_await splice(*source, *target);
        CHECK(count == 4'995'000);
        co_await target->shutdown_write();
    };
    auto done = gather(send(&in.client, &all), pass_on(&in.server, &out.client),
                       rondo_tests::receive_in_steps(&out.server, all.size() + 1, 65536));
    const auto results = co_await std::move(done);
    CHECK(std::get<2>(results) == all);
}

RONDO_TEST("splice: it can be cancelled, and bytes under way arrive", "[copy][kernel]") {
    auto in = co_await rondo_tests::connect_pair();
    auto out = co_await rondo_tests::connect_pair();
    const auto pass_on = [](tcp_stream* source, tcp_stream* target) -> task<> {
        co_await splice(*source, *target);
    };
    auto passing = create_task(pass_on(&in.server, &out.client));
    co_await in.client.write_all("first");
    std::string got = co_await out.server.read_exactly(std::size_t(5));
    CHECK(got == "first");
    CHECK_THROWS_AS(co_await splice(in.server, out.client), invalid_state_error);
    passing.cancel();
    CHECK_THROWS_AS(co_await passing, future_cancelled);
    co_await in.client.write_all("second");
    got = co_await in.server.read_exactly(std::size_t(6));
    CHECK(got == "second");  // it was not taken
    out.server.close();
    co_await in.client.write_all("third");
    bool failed = false;
    try {
        for (int i = 0; i < 100; ++i) {
            co_await in.client.write_all("more");
            co_await splice(in.server, out.client, 4);
        }
    } catch (const std::system_error&) {
        failed = true;
    }
    CHECK(failed);  // and no signal was raised
}

RONDO_TEST("splice: when it is cancelled, bytes received ahead are not lost", "[copy][kernel]") {
    auto in = co_await rondo_tests::connect_pair();
    auto out = make_pipe();
    const std::string full(65536, 'x');
    co_await out.writer.write_all(full);
    co_await in.client.write_all("a line\nahead");
    const auto line = co_await in.server.read_line();
    CHECK(line.value() == "a line");
    const auto pass_on = [](tcp_stream* source, fd_stream* target) -> task<> {
        co_await splice(*source, *target);
    };
    auto passing = create_task(pass_on(&in.server, &out.writer));
    for (int i = 0; i < 10; ++i) co_await yield_now();
    passing.cancel();
    for (int i = 0; i < 10; ++i) co_await yield_now();
    CHECK(!passing.done());
    std::string got = co_await out.reader.read_exactly(full.size());
    CHECK(got == full);
    got = co_await out.reader.read_exactly(std::size_t(5));
    CHECK(got == "ahead");
    CHECK_THROWS_AS(co_await passing, future_cancelled);
}

RONDO_TEST("send_file and receive_file: a part of a file through a socket", "[copy][both]",
           seeds(3)) {
    auto c = co_await rondo_tests::connect_pair();
    const std::string all = rondo_tests::pattern(700'000);
    const bool simulated = testing::simulated();
    const std::string name = simulated ? "out" : "/tmp/rondo-copy-" + std::to_string(::getpid());
    open_options fresh;
    fresh.create = fresh.truncate = true;
    auto f = co_await file::open(name, open_mode::read_write, fresh);
    co_await f.write_all(all);
    const auto send = [](file* from, tcp_stream* to) -> task<> {
        std::uint64_t count = co_await send_file(*from, *to, 100'000, 500'000);
        CHECK(count == 500'000);
        count = co_await send_file(*from, *to, 600'000, 100'000);
        CHECK(count == 100'000);
        co_await to->shutdown_write();
    };
    const auto receive = [](tcp_stream* from, file* to) -> task<> {
        std::uint64_t count = co_await receive_file(*from, *to, 700'000, 1000);
        CHECK(count == 1000);
        count = co_await receive_file(*from, *to, 701'000);
        CHECK(count == 599'000);
    };
    auto both = gather(send(&f, &c.client), receive(&c.server, &f));
    co_await std::move(both);
    std::string back(600'000, '\0');
    co_await f.read_exactly_at(back, 700'000);
    CHECK(back == all.substr(100'000));
    if (!simulated) ::unlink(name.c_str());
}
