// SPDX-License-Identifier: MIT
// send_file: from the kernel's memory of the file where that is possible, and copied elsewhere.
#include <rondo/copy.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include <rondo/create_task.hpp>
#include <rondo/file_system.hpp>
#include <rondo/gather.hpp>
#include <rondo/pipe.hpp>
#include <rondo/sleep.hpp>
#include <rondo/unix.hpp>

#include "support/core_tools.hpp"
#include "support/file_tools.hpp"
#include "support/net_tools.hpp"
#include "support/rondo_test.hpp"

using namespace rondo;
using rondo_tests::folder;
using rondo_tests::form;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t large = 8'000'000;  // more than a connection holds

task<file> file_of(std::string path, std::size_t size) {
    const std::string all = rondo_tests::pattern(size);
    co_await write_file(path, all);
    co_return co_await file::open(path);
}

task<std::uint64_t> send_and_end(file& from, tcp_stream& to, std::uint64_t offset,
                                 std::uint64_t count) {
    const std::uint64_t sent = co_await send_file(from, to, offset, count);
    co_await to.shutdown_write();
    co_return sent;
}

RONDO_TEST("send_file: each part of a file, also beyond its end", "[send_file][both]", seeds(3)) {
    folder here;
    constexpr std::size_t size = 600'000;
    const std::string all = rondo_tests::pattern(size);
    auto from = co_await file_of(here / "data", size);
    for (const auto& [offset, count] :
         {std::pair<std::uint64_t, std::uint64_t>{0, size}, {1, 300'000}, {0, 2 * size},
          {size - 1, 5}, {size, 5}, {size + 100'000, 5}, {4095, 0}, {262'143, 262'146}}) {
        INFO(offset << " " << count);
        auto ends = co_await rondo_tests::connect_pair();
        auto [sent, got] = co_await gather(send_and_end(from, ends.client, offset, count),
                                           ends.server.read_all());
        const auto first = static_cast<std::size_t>(std::min<std::uint64_t>(offset, size));
        const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(count, size));
        const std::string part = all.substr(first, most);
        REQUIRE(sent == part.size());
        REQUIRE(got == part);
    }
}

task<std::uint64_t> send_to(file& from, byte_stream& to) {
    const std::uint64_t sent = co_await send_file(from, to);
    co_await to.close();
    co_return sent;
}

RONDO_TEST("send_file: to a Unix socket and a pipe", "[send_file][both]") {
    folder here;
    const std::string all = rondo_tests::pattern(700'000);
    auto from = co_await file_of(here / "data", all.size());
    auto sockets = socket_pair();
    auto pipe = make_pipe();
    const std::pair<byte_stream*, byte_stream*> ends[]{{&sockets.first, &sockets.second},
                                                       {&pipe.writer, &pipe.reader}};
    for (const auto& [to, at] : ends) {
        auto [sent, got] = co_await gather(send_to(from, *to), at->read_all());
        REQUIRE(sent == all.size());
        REQUIRE(got == all);
    }
}

int flags_of(const byte_stream& stream) {
    return ::fcntl(detail::stream_access::state(stream)->fd.number(), F_GETFL);
}

RONDO_TEST("send_file: the socket is as it was before", "[send_file][kernel]") {
    folder here;
    auto from = co_await file_of(here / "data", large);
    auto ends = co_await rondo_tests::connect_pair();
    const int before = flags_of(ends.client);
    auto sending = create_task(send_file(from, ends.client));
    for (int i = 0; i < 20; ++i) co_await yield_now();
    CHECK_FALSE(sending.done());
    CHECK(flags_of(ends.client) == before);
    std::string got(large, '\0');
    co_await ends.server.read_exactly(got);
    CHECK(co_await sending == large);
    CHECK(got == rondo_tests::pattern(large));
    CHECK(flags_of(ends.client) == before);
}

RONDO_TEST("send_file: what is not in memory is read first", "[send_file][kernel]") {
    folder here;
    const std::string path = here / "data";
    auto from = co_await file_of(path, large);
    co_await from.close();
    auto fresh = co_await file::open(path, open_mode::read_write);
    co_await fresh.sync();
    {
        const int number = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        ::posix_fadvise(number, 0, 0, POSIX_FADV_DONTNEED);
        ::close(number);
    }
    auto ends = co_await rondo_tests::connect_pair();
    auto [sent, got] = co_await gather(send_and_end(fresh, ends.client, 0, large),
                                       ends.server.read_all());
    CHECK(sent == large);
    CHECK(got == rondo_tests::pattern(large));
}

RONDO_TEST("send_file: a peer that has gone, and a stream that is closed, are errors",
           "[send_file][both]") {
    folder here;
    auto from = co_await file_of(here / "data", large);
    auto ends = co_await rondo_tests::connect_pair();
    auto sending = create_task(send_file(from, ends.client));
    for (int i = 0; i < 10; ++i) co_await yield_now();
    CHECK_FALSE(sending.done());
    co_await ends.server.close();
    CHECK_THROWS_AS(co_await sending, write_error);
    bool is_refused = false;
    try {
        co_await send_file(from, ends.client);
    } catch (const std::system_error&) {  // the socket's error
        is_refused = true;
    } catch (const invalid_state_error&) {  // the first one ended in the middle of a piece
        is_refused = true;
    }
    CHECK(is_refused);

    auto others = co_await rondo_tests::connect_pair();
    auto again = create_task(send_file(from, others.client));
    co_await sleep(100ms);  // until it waits for room
    CHECK_THROWS_AS(co_await others.client.write_all("between"), invalid_state_error);
    others.client.close();
    std::string text;
    try {
        co_await again;
    } catch (const closed_error&) {  // between two pieces
        text = "closed";
    } catch (const write_error& error) {
        text = error.code() == std::errc::operation_canceled ? "closed" : error.what();
    }
    CHECK(text == "closed");
}

RONDO_TEST("send_file: a file that becomes shorter ends sooner", "[send_file][both]") {
    folder here;
    const std::string path = here / "data";
    auto from = co_await file_of(path, large);
    auto ends = co_await rondo_tests::connect_pair();
    auto sending = create_task(send_and_end(from, ends.client, 0, large));
    for (int i = 0; i < 10; ++i) co_await yield_now();
    REQUIRE_FALSE(sending.done());
    auto writer = co_await file::open(path, open_mode::read_write);
    co_await writer.truncate(large - 100);
    const std::string got = co_await ends.server.read_all();
    CHECK(co_await sending == got.size());
    CHECK(got == rondo_tests::pattern(large).substr(0, large - 100));
}

/// The bytes after a cancelled send_file are in their place: nothing between was lost.
task<> check_cancelled(file& from, form how) {
    auto ends = co_await rondo_tests::connect_pair();
    auto sends = [&]() -> task<> { co_await send_file(from, ends.client); };
    const bool ended = co_await rondo_tests::cancel_in_form(how, sends, 1ms);
    CHECK(ended);
    auto rest = [&]() -> task<> {
        try {
            co_await ends.client.write_all("after");
        } catch (const invalid_state_error&) {  // a write in its middle was cancelled
        }
        co_await ends.client.shutdown_write();
    };
    auto resting = create_task(rest());
    std::string got = co_await ends.server.read_all();
    co_await resting;
    if (got.ends_with("after")) got.resize(got.size() - 5);
    CHECK(got.size() < large);
    CHECK(rondo_tests::pattern(large).compare(0, got.size(), got) == 0);
}

RONDO_TEST("send_file: is cancelled before it starts, while it waits, and after",
           "[send_file][both]", seeds(5)) {
    folder here;
    auto from = co_await file_of(here / "data", large);
    co_await check_cancelled(from, form::before);
    co_await check_cancelled(from, form::waiting);
    for (int i = 0; i < 3; ++i) co_await check_cancelled(from, form::racing);
}

}  // namespace
