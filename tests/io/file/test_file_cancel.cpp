// SPDX-License-Identifier: MIT
// The three moments at which a cancellation can meet a wait on a file. Most file operations
// complete
// at once, so an operation that is cancelled in flight may be done all the same. Then its result is
// delivered, and the next wait throws (law 2). Otherwise nothing of it was done, or a beginning.
#include <rondo/file.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <string_view>

#include <rondo/copy.hpp>
#include <rondo/gather.hpp>
#include <rondo/run.hpp>
#include <rondo/unix.hpp>

#include "support/core_tools.hpp"
#include "support/file_tools.hpp"
#include "support/forked.hpp"

using namespace rondo_tests;

namespace {

task<file> new_file(std::string path, std::string_view content) {
    auto made =
        co_await file::open(path, open_mode::read_write, {.create = true, .truncate = true});
    co_await made.write_all_at(content, 0);
    co_return made;
}

task<std::string> content_of(const file* from) {
    std::string all, room(100'000, '\0');
    file again = co_await file::open(from->path());
    while (const auto came = co_await again.read_some(room)) all.append(came.data(), came.size());
    co_return all;
}

RONDO_TEST("file: reads and writes cancelled after completion are delivered", "[file][both]") {
    folder here;
    file data = co_await new_file(here / "data", "0123456789");
    std::array<char, 4> room{};
    const auto read_at = [&] { return data.read_at(room, 4); };
    co_await check_cancelled_before(read_at);
    CHECK(room[0] == '\0');
    co_await check_cancelled_after_arrival(read_at);
    CHECK(room[0] == '4');
    const auto read_some = [&] { return data.read_some(buffer_view(room.data(), 1)); };
    co_await check_cancelled_after_arrival(read_some);
    CHECK(room[0] == '0');
    co_await read_some();
    CHECK(room[0] == '1');  // the position has moved by the bytes that were delivered
    const auto write_at = [&] { return data.write_all_at("ab", 0); };
    co_await check_cancelled_before(write_at);
    CHECK(co_await content_of(&data) == "0123456789");
    co_await check_cancelled_after_arrival(write_at);
    CHECK(co_await content_of(&data) == "ab23456789");
    const auto write_on = [&] { return data.write_all("cd"); };
    co_await check_cancelled_before(write_on);
    co_await check_cancelled_after_arrival(write_on);
    CHECK(co_await content_of(&data) == "abcd456789");
}

RONDO_TEST("file: open, size, sync and close cancelled before the start and after completion",
           "[file][both]") {
    folder here;
    file data = co_await new_file(here / "data", "0123456789");
    const auto opens = [&] { return file::open(data.path()); };
    co_await check_cancelled_before(opens);
    co_await check_cancelled_after_arrival(opens);  // the harness counts descriptors
    const auto creates = [&] { return file::create(here / "new"); };
    co_await check_cancelled_before(creates);
    CHECK_THROWS_AS(co_await file::open(here / "new"), std::system_error);
    co_await check_cancelled_after_arrival(creates);
    co_await file::open(here / "new");  // the file exists
    const auto asks_size = [&] { return data.size(); };
    co_await check_cancelled_before(asks_size);
    co_await check_cancelled_after_arrival(asks_size);
    const auto syncs = [&] { return data.sync(); };
    co_await check_cancelled_before(syncs);
    co_await check_cancelled_after_arrival(syncs);
    CHECK(co_await data.size() == 10);
}

RONDO_TEST("file: an operation cancelled in flight was done or not", "[file][both]", seeds(20)) {
    folder here;
    const std::string old_text(600'000, 'o'), new_text(600'000, 'n');
    for (const std::size_t size : {std::size_t(1), old_text.size()}) {  // large: on a worker
        file data = co_await new_file(here / "data", old_text);
        std::string room(size, '\0');
        const auto reads = [&] { return data.read_at(room, 0); };
        if (co_await cancelled_in_flight(reads) == outcome_of_wait::value) CHECK(room[0] == 'o');
        const auto writes = [&] { return data.write_all_at({new_text.data(), size}, 0); };
        const bool wrote = co_await cancelled_in_flight(writes) == outcome_of_wait::value;
        const std::string now = co_await content_of(&data);
        const std::size_t changed = std::min(now.find('o'), now.size());
        CHECK(changed <= size);
        if (wrote) CHECK(changed == size);
        CHECK((now.substr(0, changed) == new_text.substr(0, changed)));
        CHECK((now.substr(changed) == old_text.substr(changed)));
        const auto syncs = [&] { return data.sync(); };
        co_await cancelled_in_flight(syncs);
        const auto asks_size = [&] { return data.size(); };
        co_await cancelled_in_flight(asks_size);
        const auto opens = [&] { return file::open(data.path()); };
        co_await cancelled_in_flight(opens);
        CHECK(co_await data.size() == old_text.size());
    }
}

RONDO_TEST("file: close cancelled before, while suspended and after is done", "[file][both]") {
    folder here;
    for (const int form : {1, 2, 3}) {
        file data = co_await new_file(here / "data", "0123456789");
        std::array<char, 4> room{};
        const auto reads = [](file* from, std::array<char, 4>* into) -> task<> {
            try {
                co_await from->read_at(*into, 0);
            } catch (const std::system_error& error) {
                CHECK(error.code().value() == ECANCELED);
            }
        };
        co_await nop();  // the loop has just polled the kernel, and does not do so again below
        auto reader = create_task(reads(&data, &room));
        co_await yield_now();
        const auto close = [&] { return data.close(); };
        if (form == 1) co_await check_cancelled_before(close);
        if (form == 2) co_await check_cancelled_while_suspended(close);  // until the read has ended
        if (form == 3) co_await check_cancelled_after_arrival(close);
        CHECK_FALSE(data.is_open());
        co_await reader;
    }
}

// -- waits of a worker of the kernel, which a signal ends -----------------------------------------

task<> create_file(std::string path) { co_await file::create(path); }
task<> connect_to_path(std::string path) { co_await connect_unix(path); }
task<> splice_all(unix_stream* from, unix_stream* to) { co_await splice(*from, *to); }

template <class Make>
task<> check_left(Make make) {
    CHECK_THROWS_AS(co_await wait_for(10ms, make()), timeout_error);
    CHECK_FALSE(co_await move_on_after(10ms, make()));
    co_await check_cancelled_while_suspended(make);
}

RONDO_TEST("operation: an open, a connect and a splice that hang can be cancelled",
           "[file][kernel]") {
    const folder here;
    REQUIRE(::mkfifo((here / "fifo").c_str(), 0600) == 0);
    co_await check_left([&] { return create_file(here / "fifo"); });
    auto listener = unix_listener::bind(here / "socket", {.backlog = 0});
    auto first = co_await connect_unix(here / "socket");  // the backlog is full now
    co_await check_left([&] { return connect_to_path(here / "socket"); });
    auto source = socket_pair();
    auto target = socket_pair();
    co_await check_left([&] { return splice_all(&source.second, &target.first); });
}

task<> say_suspended(int to) {
    co_await finish();
    REQUIRE(::write(to, "x", 1) == 1);
}

/// Stops the process and continues it.
void stop_and_continue(pid_t pid) {
    int status = 0;
    REQUIRE(::kill(pid, SIGSTOP) == 0);
    REQUIRE(::waitpid(pid, &status, WUNTRACED) == pid);
    REQUIRE(WIFSTOPPED(status));
    REQUIRE(::kill(pid, SIGCONT) == 0);
    REQUIRE(::waitpid(pid, &status, WCONTINUED) == pid);
    REQUIRE(WIFCONTINUED(status));
}

TEST_CASE("operation: waits survive a stop and a continue of the process", "[file][kernel]") {
    const folder here;
    const std::string fifo = here / "fifo", path = here / "socket";
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    const endpoint name = endpoint::unix_path(path);
    const auto* address = static_cast<const sockaddr*>(name.data());
    const auto new_socket = [] { return ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); };
    const descriptor socket = descriptor::adopt(new_socket(), "");
    REQUIRE(::bind(socket.number(), address, name.size()) == 0);
    REQUIRE(::listen(socket.number(), 0) == 0);
    const descriptor first = descriptor::adopt(new_socket(), "");
    REQUIRE(::connect(first.number(), address, name.size()) == 0);  // the backlog is full now
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const descriptor reader = descriptor::adopt(ends[0], "");
    const descriptor writer = descriptor::adopt(ends[1], "");
    forked child([&] {
        run([&]() -> task<> {
            co_await gather(create_file(fifo), connect_to_path(path), say_suspended(ends[1]));
        });
    });
    char suspended = 0;
    REQUIRE(::read(reader.number(), &suspended, 1) == 1);
    for (int i = 0; i < 20; ++i) stop_and_continue(child.pid());
    const descriptor other_end =
        descriptor::adopt(::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC), "");
    const descriptor accepted =
        descriptor::adopt(::accept4(socket.number(), nullptr, nullptr, SOCK_CLOEXEC), "");
    CHECK(child.wait() == 0);
}

}  // namespace
