// SPDX-License-Identifier: MIT
// Unix sockets: paths and abstract names, the identity of the peer, descriptors in messages, and
// files of listeners.
#include <rondo/unix.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include <rondo/gather.hpp>
#include <rondo/pipe.hpp>
#include <rondo/serve.hpp>
#include <rondo/sleep.hpp>

#include "support/child.hpp"
#include "support/core_tools.hpp"
#include "support/net_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;
using rondo_tests::text_of_failure;

namespace {

/// A directory that is removed at the end of the test.
class folder {
public:
    folder()
        : path_(std::filesystem::temp_directory_path() /
                ("rondo-unix-" + std::to_string(::getpid()))) {
        std::filesystem::create_directories(path_);
    }
    ~folder() { std::filesystem::remove_all(path_); }
    folder(const folder&) = delete;
    folder& operator=(const folder&) = delete;
    std::string operator/(const char* name) const { return (path_ / name).string(); }

private:
    std::filesystem::path path_;
};

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

endpoint own_name() {
    return endpoint::unix_abstract("rondo-test-" + std::to_string(::getpid()));
}

task<> echo(unix_stream peer) {
    std::array<char, 1000> buffer;
    while (auto chunk = co_await peer.read_some(buffer)) co_await peer.write_all(chunk);
}

class pair_of_streams {
public:
    unix_stream client, server;
    pair_of_streams(unix_stream c, unix_stream s) : client(std::move(c)), server(std::move(s)) {}
};

task<> discard(task<received_descriptors> receiving) { co_await std::move(receiving); }

task<pair_of_streams> connected() {
    auto listener = unix_listener::bind(own_name());
    unix_stream client = co_await connect_unix(own_name());
    unix_stream server = co_await listener.accept();
    co_return pair_of_streams(std::move(client), std::move(server));
}

}  // namespace

TEST_CASE("unix: a listener whose bind fails leaves no file", "[unix]") {
    const folder here;
    const std::string path = here / "socket";
    for (const std::uint32_t call : {std::uint32_t{SYS_chmod}, std::uint32_t{SYS_listen}}) {
        const auto end = rondo_tests::run_child([&] {
            loop home;
            rondo_tests::forbid(call, EPERM);
            try {
                auto listener =
                    unix_listener::bind(path, {.remove_at_close = false, .permissions = 0600});
            } catch (const std::system_error& error) {
                std::printf("%s\n", error.what());
                return error.code() == std::errc::operation_not_permitted ? 0 : 1;
            }
            return 2;
        });
        INFO(end.text);
        CHECK(end.exited());
        CHECK(end.says(call == SYS_chmod ? "chmod" : "listen"));
        CHECK_FALSE(exists(path));
    }
}

RONDO_TEST("unix: a server at an abstract name, and one at a path", "[unix][kernel]") {
    const folder here;
    const std::string path = here / "socket";
    for (const endpoint& where : {own_name(), endpoint::unix_path(path)}) {
        auto listener = unix_listener::bind(where, {.permissions = 0600});
        CHECK(listener.local() == where);
        auto serving = create_task(serve(std::move(listener), echo));
        auto client = co_await connect_unix(where);
        CHECK(client.remote() == where);
        const credentials peer = client.peer_credentials();
        CHECK(peer.pid == ::getpid());
        CHECK(peer.uid == ::getuid());
        co_await client.write_all("a line\n");
        const auto line = co_await client.read_line();
        CHECK(line.value() == "a line");
        co_await client.shutdown_write();
        const std::string rest = co_await client.read_all();
        CHECK(rest.empty());
        if (where.path() == path) {
            struct stat status {};
            REQUIRE(::stat(path.c_str(), &status) == 0);
            CHECK((status.st_mode & 0777) == 0600);
        }
        serving.cancel();
        CHECK_THROWS_AS(co_await serving, future_cancelled);
        CHECK_FALSE(exists(path));  // it was removed with its listener
    }
}

RONDO_TEST("unix: a path in use is an error, a stale one may be replaced",
           "[unix][kernel]") {
    const folder here;
    const std::string path = here / "socket";
    {
        auto listener = unix_listener::bind(path, {.remove_at_close = false});
        try {
            auto second = unix_listener::bind(path, {.replace_stale = true});
            FAIL("somebody listens there");
        } catch (const std::system_error& error) {
            CHECK(std::string(error.what()) == "bind unix:" + path + ": Address already in use");
        }
    }
    CHECK(exists(path));
    CHECK_THROWS_AS(unix_listener::bind(path), std::system_error);
    const std::string refused = co_await text_of_failure<std::system_error>(connect_unix(path));
    CHECK(refused == "connect unix:" + path + ": Connection refused");
    auto listener = unix_listener::bind(path, {.replace_stale = true});
    auto client = co_await connect_unix(path, {.timeout = 1s});
    auto server = co_await listener.accept();
    // A file that another program has put there is left alone.
    std::filesystem::rename(path, here / "moved");
    auto other = unix_listener::bind(path);
    listener.close();
    CHECK(exists(path));
    other.close();
    CHECK_FALSE(exists(path));
    const std::string nothing =
        co_await text_of_failure<std::system_error>(connect_unix(here / "nothing"));
    CHECK(nothing == "connect unix:" + (here / "nothing") + ": No such file or directory");
    // A file that is no socket is never replaced.
    {
        const int number = ::open(path.c_str(), O_CREAT | O_CLOEXEC, 0600);
        const descriptor file = descriptor::adopt(number, path);
    }
    CHECK_THROWS_AS(unix_listener::bind(path, {.replace_stale = true}), std::system_error);
    CHECK(exists(path));
}

RONDO_TEST("unix: the two ends of an unnamed pair", "[unix][both]") {
    auto ends = socket_pair();
    co_await ends.first.write_all("ping");
    const std::string got = co_await ends.second.read_exactly(std::size_t(4));
    CHECK(got == "ping");
    ends.first.close();
    const std::string rest = co_await ends.second.read_all();
    CHECK(rest.empty());
}

RONDO_TEST("unix: open descriptors are received with the bytes", "[unix][kernel]") {
    auto c = co_await connected();
    auto ends = make_pipe();
    const int number = ends.writer.number();
    co_await c.client.send_descriptors("here it is", std::span(&number, 1));
    ends.writer.close();
    std::array<char, 100> buffer;
    received_descriptors got = co_await c.server.receive_descriptors(buffer);
    CHECK(got.data.text() == "here it is");
    REQUIRE(got.descriptors.size() == 1);
    CHECK((::fcntl(got.descriptors[0].number(), F_GETFD) & FD_CLOEXEC) != 0);
    {
        fd_stream writer(std::move(got.descriptors[0]));
        co_await writer.write_all("through the other one");
    }
    const std::string said = co_await ends.reader.read_all();
    CHECK(said == "through the other one");
    co_await c.client.write_all("none");
    got = co_await c.server.receive_descriptors(buffer);
    CHECK(got.data.text() == "none");
    CHECK(got.descriptors.empty());
    c.client.close();
    got = co_await c.server.receive_descriptors(buffer);
    CHECK_FALSE(got);
}

RONDO_TEST("unix: many descriptors, too many, none", "[unix][both]") {
    auto c = co_await connected();
    auto ends = make_pipe();
    const std::vector<int> many(253, ends.writer.number());
    co_await c.client.send_descriptors("x", many);
    std::array<char, 100> buffer;
    {
        const received_descriptors got = co_await c.server.receive_descriptors(buffer);
        CHECK(got.descriptors.size() == 253);
    }
    co_await c.client.send_descriptors("yz", std::span(many).first(3));
    const std::string text =
        co_await text_of_failure<limit_error>(c.server.receive_descriptors(buffer, 2));
    CHECK(text.find("more than 2 descriptors") != text.npos);
    const std::string kept = co_await c.server.read_exactly(std::size_t(2));
    CHECK(kept == "yz");  // the bytes are not lost
    const std::vector<int> too_many(254, 0);
    CHECK_THROWS_AS(co_await c.client.send_descriptors("x", too_many), std::invalid_argument);
    CHECK_THROWS_AS(co_await c.client.send_descriptors("x", {}), std::invalid_argument);
    CHECK_THROWS_AS(co_await c.client.send_descriptors("", many), std::invalid_argument);
    const int closed = 9999;
    CHECK_THROWS_AS(co_await c.client.send_descriptors("x", std::span(&closed, 1)),
                    std::system_error);
}

RONDO_TEST("unix: descriptors that are not received are closed", "[unix][both]") {
    auto c = co_await connected();
    auto ends = make_pipe();
    const int number = ends.writer.number();
    co_await c.client.send_descriptors("x", std::span(&number, 1));
    std::array<char, 100> buffer;
    const auto plain = co_await c.server.read_some(buffer);  // drops the descriptor
    CHECK(plain.text() == "x");
    co_await c.client.send_descriptors("y", std::span(&number, 1));
    ends.writer.close();
    c.server.close();  // with a descriptor in its queue
    c.client.close();
    const std::string end = co_await ends.reader.read_all();
    CHECK(end.empty());
}

RONDO_TEST("unix: waits with descriptors end in all three forms, and none is lost",
           "[unix][both]") {
    auto c = co_await connected();
    auto ends = make_pipe();
    const int number = ends.writer.number();
    std::array<char, 100> buffer{};
    const auto receive = [&] { return c.server.receive_descriptors(buffer); };
    co_await rondo_tests::check_cancelled_before(receive);
    co_await rondo_tests::check_cancelled_while_suspended(receive);
    const auto send = [](unix_stream* to, int what) -> task<> {
        co_await to->send_descriptors("x", std::span(&what, 1));
    };
    co_await rondo_tests::check_cancelled_after_arrival(
        receive, [&] { create_task(send(&c.client, number)); });
    CHECK(buffer[0] == 'x');
    const auto transmit = [&] { return c.client.send_descriptors("y", std::span(&number, 1)); };
    co_await rondo_tests::check_cancelled_before(transmit);
    co_await rondo_tests::check_cancelled_after_arrival(transmit);
    const received_descriptors got = co_await c.server.receive_descriptors(buffer);
    CHECK(got.data.text() == "y");
    CHECK(got.descriptors.size() == 1);
    auto reading = create_task([](unix_stream* from) -> task<> {
        std::array<char, 10> room;
        co_await from->receive_descriptors(room);
    }(&c.server));
    co_await rondo_tests::finish();
    CHECK_THROWS_AS(co_await c.server.receive_descriptors(buffer), invalid_state_error);
    CHECK_THROWS_AS(co_await c.server.read_some(buffer), invalid_state_error);
    reading.cancel();
    CHECK_THROWS_AS(co_await reading, future_cancelled);
}

// -- descriptors and other reads ------------------------------------------------------------------

RONDO_TEST("unix: descriptors that come with a view are closed", "[unix][both]") {
    auto [to, from] = socket_pair();
    auto [other_to, other_from] = socket_pair();
    auto ends = make_pipe();
    const int number = ends.writer.number();
    co_await to.send_descriptors("with one", std::span(&number, 1));
    std::string all;
    while (all.size() < 8) {
        const auto view = co_await from.read_view();
        all += view.text();
    }
    CHECK(all == "with one");
    co_await other_to.write_all("without");
    std::array<char, 100> room;
    auto got = co_await other_from.receive_descriptors(room);
    CHECK(got);
    CHECK(got.descriptors.empty());
    const std::string refused = co_await text_of_failure<invalid_state_error>(
        discard(from.receive_descriptors(room)));
    CHECK(refused.find("impossible after read_view, which drops descriptors") !=
          refused.npos);
}

RONDO_TEST("unix: without a free number all descriptors are closed, with an error",
           "[unix][kernel]") {
    auto [to, from] = socket_pair();
    const int number = ::dup(0);
    const int both[] = {number, number};
    co_await to.send_descriptors("two of them", both);
    ::close(number);
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    const rlimit now{static_cast<rlim_t>(number) + 1, before.rlim_max};  // one number is free
    ::setrlimit(RLIMIT_NOFILE, &now);
    std::array<char, 100> room;
    const std::string text =
        co_await text_of_failure<std::system_error>(discard(from.receive_descriptors(room)));
    ::setrlimit(RLIMIT_NOFILE, &before);
    CHECK(text.find("recvmsg") == 0);
    CHECK(text.find("Too many open files") != text.npos);
    const auto rest = co_await from.read_some(room);
    CHECK(rest.text() == "two of them");
}

RONDO_TEST("unix: a relative path is removed even after the directory has changed",
           "[unix][kernel]") {
    const folder here;
    const auto before = std::filesystem::current_path();
    std::filesystem::current_path(here / "");
    auto listener = unix_listener::bind("socket");
    std::filesystem::current_path(before);
    CHECK(exists(here / "socket"));
    listener.close();
    CHECK_FALSE(exists(here / "socket"));
    co_return;
}

RONDO_TEST("unix: when a listener is destroyed its name is free at once", "[unix][both]") {
    {
        auto listener = unix_listener::bind(own_name());
        const auto client = co_await connect_unix(own_name());
        co_await listener.accept();
    }
    auto again = unix_listener::bind(own_name());
    CHECK(again.is_open());
}
