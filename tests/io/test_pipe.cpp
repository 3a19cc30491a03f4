// SPDX-License-Identifier: MIT
// Pipes, and streams on descriptors from elsewhere: terminals, sockets, files, and descriptors with
// O_NONBLOCK.
#include <rondo/pipe.hpp>

#include <fcntl.h>
#include <pty.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>

#include <rondo/file.hpp>
#include <rondo/gather.hpp>
#include <rondo/process.hpp>
#include <rondo/run.hpp>
#include <rondo/sleep.hpp>
#include <rondo/unix.hpp>

#include "support/child.hpp"
#include "support/core_tools.hpp"
#include "support/net_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

task<> write_text(fd_stream* to, std::string text) { co_await to->write_all(text); }

/// Result of the next read; "(end)" at the end of the stream.
task<std::string> some(fd_stream* from) {
    std::array<char, 1000> room;
    const auto got = co_await from->read_some(room);
    co_return got ? std::string(got.text().data(), got.size()) : "(end)";
}

template <class Awaitable>
task<int> error_of(Awaitable waiting) {
    try {
        co_await std::move(waiting);
    } catch (const std::system_error& error) {
        co_return error.code().value();
    }
    co_return 0;
}

}  // namespace

RONDO_TEST("pipe: bytes are read as written, then the end", "[pipe][both]") {
    auto ends = make_pipe();
    const std::string all = rondo_tests::pattern(1'000'000);
    const auto write = [](fd_stream* to, const std::string* bytes) -> task<> {
        co_await to->write_all(*bytes);
        co_await to->shutdown_write();
    };
    const auto read = [](fd_stream* from) -> task<std::string> {
        co_return co_await from->read_all();
    };
    auto both = gather(write(&ends.writer, &all), read(&ends.reader));
    const auto results = co_await std::move(both);
    CHECK(std::get<1>(results) == all);
    CHECK_FALSE(ends.writer.is_open());
}

RONDO_TEST("pipe: lines and views are read as from any stream", "[pipe][both]") {
    auto ends = make_pipe();
    co_await ends.writer.write_all("one\ntwo\n", "rest");
    const auto one = co_await ends.reader.read_line();
    CHECK(one.value() == "one");
    const auto two = co_await ends.reader.read_line();
    CHECK(two.value() == "two");
    for (const std::string_view expected : {"rest", "more"}) {
        std::string got;
        while (got.size() < expected.size()) {
            const auto view = co_await ends.reader.read_view();
            got += view.text();
        }
        CHECK(got == expected);
        if (expected == "rest") co_await ends.writer.write_all("more");
    }
    ends.writer.close();
    const auto end = co_await ends.reader.read_view();
    CHECK_FALSE(end);
}

RONDO_TEST("pipe: writing without a reader is an error, and no signal", "[pipe][both]") {
    auto ends = make_pipe();
    ends.reader.close();
    const int error = co_await error_of(ends.writer.write_all("x"));
    CHECK(error == EPIPE);
}

RONDO_TEST("pipe: reads and writes end in all three forms, and no byte is lost",
           "[pipe][both]") {
    auto ends = make_pipe();
    std::array<char, 8> room{};
    const auto read = [&] { return ends.reader.read_some(room); };
    co_await rondo_tests::check_cancelled_before(read);
    co_await rondo_tests::check_cancelled_while_suspended(read);
    const auto begin = [&] { create_task(write_text(&ends.writer, "x")); };
    co_await rondo_tests::check_cancelled_after_arrival(read, begin);
    CHECK(room[0] == 'x');
    const auto write = [&] { return ends.writer.write_all("y"); };
    co_await rondo_tests::check_cancelled_before(write);
    co_await rondo_tests::check_cancelled_after_arrival(write);
    const std::string y = co_await some(&ends.reader);
    CHECK(y == "y");
    const std::string much(1 << 20, 'z');
    const auto clogged = [&] { return ends.writer.write_all(much); };
    co_await rondo_tests::check_cancelled_while_suspended(clogged);
    // A part was written; on the simulator perhaps none.
    if (!testing::simulated())
        CHECK_THROWS_AS(co_await ends.writer.write_all("more"), invalid_state_error);
}

RONDO_TEST("pipe: closing ends a wait on either end", "[pipe][both]") {
    auto ends = make_pipe();
    auto reading = create_task(some(&ends.reader));
    co_await rondo_tests::finish();
    ends.reader.close();
    const int error = co_await error_of(std::move(reading));
    CHECK(error == ECANCELED);
}

RONDO_TEST("from_fd: a number that is not open is an error with its name", "[pipe][kernel]") {
    const int number = ::dup(0);
    ::close(number);
    try {
        auto none = from_fd(number);
        FAIL("it was open");
    } catch (const std::system_error& error) {
        CHECK(error.code().value() == EBADF);
        CHECK(std::string(error.what()).find("descriptor " + std::to_string(number)) !=
              std::string::npos);
    }
    co_return;
}

RONDO_TEST("from_fd: with O_NONBLOCK it still waits, and the flag is not changed",
           "[pipe][kernel]") {
    for (const int flag : {0, O_NONBLOCK}) {
        int numbers[2];
        REQUIRE(::pipe2(numbers, O_CLOEXEC | flag) == 0);
        auto reader = from_fd(numbers[0]);
        auto writer = from_fd(numbers[1], "the way in");
        auto reading = create_task(some(&reader));
        co_await rondo_tests::finish();
        co_await writer.write_all("late");
        const std::string got = co_await reading;
        CHECK(got == "late");
        CHECK((::fcntl(reader.number(), F_GETFL) & O_NONBLOCK) == flag);
        CHECK((::fcntl(writer.number(), F_GETFL) & O_NONBLOCK) == flag);
    }
}

RONDO_TEST("from_fd: a socket is half closed, and its broken pipe is an error", "[pipe][kernel]") {
    int numbers[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, numbers) == 0);
    auto here = from_fd(numbers[0]);
    auto there = from_fd(numbers[1]);
    co_await here.write_all("last");
    co_await here.shutdown_write();
    std::string got = co_await some(&there);
    CHECK(got == "last");
    got = co_await some(&there);
    CHECK(got == "(end)");
    co_await there.write_all("still open");
    got = co_await some(&here);
    CHECK(got == "still open");
    there.close();
    const int error = co_await error_of(here.write_all("x"));
    CHECK(error == EPIPE);
}

RONDO_TEST("from_fd: a terminal is read line by line, and a cancelled read takes no line",
           "[pipe][kernel]") {
    int outside = -1;
    int inside = -1;
    REQUIRE(::openpty(&outside, &inside, nullptr, nullptr, nullptr) == 0);
    ::fcntl(outside, F_SETFD, FD_CLOEXEC);
    ::fcntl(inside, F_SETFD, FD_CLOEXEC);
    auto keyboard = from_fd(outside);
    auto terminal = from_fd(inside, "terminal");
    const auto read = [&] { return some(&terminal); };
    co_await rondo_tests::check_cancelled_before(read);
    co_await rondo_tests::check_cancelled_while_suspended(read);
    co_await keyboard.write_all("first line\nsecond ");
    std::string line = co_await some(&terminal);
    CHECK(line == "first line\n");
    auto reading = create_task(some(&terminal));
    co_await sleep(20ms);  // the loop does not block meanwhile
    CHECK_FALSE(reading.done());
    co_await keyboard.write_all("line\n");
    line = co_await reading;
    CHECK(line == "second line\n");
    co_await keyboard.write_all("\4");  // Ctrl-D
    line = co_await some(&terminal);
    CHECK(line == "(end)");
}

RONDO_TEST("from_fd: a full terminal blocks only its writer", "[pipe][kernel]") {
    int outside = -1;
    int inside = -1;
    std::array<char, 64> name{};
    REQUIRE(::openpty(&outside, &inside, name.data(), nullptr, nullptr) == 0);
    ::fcntl(outside, F_SETFD, FD_CLOEXEC);
    ::fcntl(inside, F_SETFD, FD_CLOEXEC);
    auto keyboard = from_fd(outside);
    auto terminal = from_fd(inside, "terminal");
    const std::string big(200'000, 'x');
    const auto first = co_await move_on_after(5ms, terminal.write_all(big));
    CHECK_FALSE(first);
    auto device = co_await file::open(name.data(), open_mode::write);
    const auto second = co_await move_on_after(5ms, device.write_all(big));
    CHECK_FALSE(second);
    auto third = create_task([](file& to, const std::string& all) -> task<> {
        co_await to.write_all(all);
    }(device, big));
    std::size_t seen = 0;
    std::string room(4096, '?');
    while (seen < big.size()) {  // bytes written before are counted too
        const chunk some = co_await keyboard.read_some(room);
        seen += some.size();
    }
    third.cancel();
    while (!third.done()) co_await sleep(1ms);  // it borrows `big`
}

RONDO_TEST("from_fd: the standard streams have numbers of their own", "[pipe][kernel]") {
    {
        auto in = standard_input();
        auto out = standard_output();
        auto error = standard_error();
        for (const fd_stream* each : {&in, &out, &error}) {
            CHECK(each->number() > 2);
            CHECK((::fcntl(each->number(), F_GETFD) & FD_CLOEXEC) != 0);
        }
    }
    for (const int number : {0, 1, 2}) CHECK(::fcntl(number, F_GETFD) >= 0);
    co_return;
}

TEST_CASE("pipe: functions of unistd.h can be called beside rondo's names", "[pipe]") {
    int ends[2];
    REQUIRE(pipe(ends) == 0);  // with `using namespace rondo`
    for (const int each : ends) close(each);
    CHECK(redirect(pipe).what() == redirect::kind::pipe);
}

bool is_refused(fd_stream (*standard)()) {
    try {
        standard();
        return false;
    } catch (const std::system_error& error) {
        return error.code().value() == EBADF;
    }
}

/// Runs `body` with a descriptor from each kind of source, in a process without standard streams.
task<bool> keeps_off_standard_numbers() {
    auto ends = make_pipe();
    auto [one, other] = socket_pair();
    auto listener =
        unix_listener::bind(endpoint::unix_abstract("rondo-" + std::to_string(::getpid())));
    auto client = co_await connect_unix(listener.local());
    auto server = co_await listener.accept();
    const auto opened = co_await file::open("/dev/null");
    co_return is_refused(standard_input) && is_refused(standard_output) &&
        is_refused(standard_error);
}

TEST_CASE("pipe: in a program without standard streams rondo does not use their numbers",
          "[pipe]") {
    const auto end = rondo_tests::run_child([] {
        for (const int number : {0, 1, 2}) ::close(number);
        return rondo::run(keeps_off_standard_numbers()) ? 0 : 1;
    });
    INFO(end.text);
    CHECK(end.exited());
}
