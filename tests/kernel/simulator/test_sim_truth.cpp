// SPDX-License-Identifier: MIT
// The simulator tells what Linux does: the same calls on both, and what Linux answers. Each case
// was found by comparing the two.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <string>
#include <system_error>

#include <rondo/rondo.hpp>

#include "support/file_tools.hpp"
#include "support/rondo_test.hpp"

using namespace rondo;
using namespace rondo_tests;
using namespace std::chrono_literals;

namespace {

/// The text that `call` gives, or the name of the errno that it throws.
template <class F>
task<std::string> told(F call) {
    std::error_code error;
    try {
        co_return co_await call();
    } catch (const std::system_error& e) {
        error = e.code();
    }
    const char* const name = ::strerrorname_np(error.value());
    co_return name != nullptr ? name : error.message();
}

/// Address without the port.
std::string host_of(const endpoint& where) {
    const std::string text = where.text();
    return text.substr(0, text.rfind(':'));
}

task<std::string> opened(std::string path, open_mode mode = open_mode::read,
                         open_options options = {}) {
    auto f = co_await file::open(path, mode, options);
    co_return "ok";
}

}  // namespace

// The answer of a coroutine with that body.
#define TELLS(text, ...)                                                     \
    do {                                                                     \
        const auto call = [&]() -> task<std::string> { __VA_ARGS__ };        \
        const std::string answer = co_await told(call);                      \
        CHECK(answer == (text));                                             \
    } while (false)

RONDO_TEST("simulator truth: paths", "[simulator][both]", seeds(1)) {
    const folder at;
    const std::string f = at / "f", a = at / "a";
    co_await write_file(f, "abc");
    co_await make_directory(a);
    open_options create, truncate;
    create.create = true;
    truncate.truncate = true;
    TELLS("ENOENT", co_return co_await opened(at / "none/x", open_mode::write, create););
    TELLS("ENOTDIR", co_return co_await opened(f + "/."););
    TELLS("ENOTDIR", co_return co_await opened(f + "/"););
    TELLS("ENOTDIR", co_return co_await opened(f + "/../f"););
    TELLS("ENOENT", co_return co_await opened(at / "none/../f"););
    TELLS("ok", co_return co_await opened(a + "/../f"););
    TELLS("ENAMETOOLONG", co_return co_await opened(a + '/' + std::string(256, 'a')););
    TELLS("ENAMETOOLONG", co_return co_await opened(a + std::string(4100, '/') + "x"););
    TELLS("EISDIR", co_return co_await opened(a, open_mode::read, truncate););
    TELLS("EISDIR", co_return co_await opened(a, open_mode::write););
    TELLS("ENOTDIR",
        const auto status = co_await status_of(f + "/");
        co_return status.kind == file_kind::regular ? "a file" : "another";
    );
    TELLS("EINVAL",
        co_await remove_directory(a + "/.");
        co_return "ok";
    );
    TELLS("EEXIST",
        co_await make_directory(f + "/");
        co_return "ok";
    );
}

TEST_CASE("simulator truth: put_file makes directories, and says what is in its way",
          "[simulator]") {
    testing::world world({.seed = 1});
    world.put_file("/srv/www/index.html", "hello");
    CHECK(world.get_file("/srv/www/index.html") == "hello");
    CHECK_THROWS_AS(world.put_file("/srv/www", "x"), std::system_error);
    CHECK_THROWS_AS(world.put_file("/srv/www/index.html/x", "x"), std::system_error);
    CHECK_THROWS_AS(world.put_file("", "x"), std::system_error);
}

RONDO_TEST("simulator truth: symbolic links", "[simulator][both]", seeds(1)) {
    const folder at;
    const std::string f = at / "f", link = at / "link", loop = at / "loop";
    co_await write_file(f, "abc");
    co_await make_directory(at / "a");
    co_await write_file(at / "a/inside", "x");
    co_await make_symbolic_link("f", link);
    co_await make_symbolic_link("a", at / "to_a");
    co_await make_symbolic_link("loop", loop);
    CHECK(co_await read_file(link) == "abc");
    CHECK(co_await read_file(at / "to_a/inside") == "x");
    CHECK(co_await read_symbolic_link(link) == "f");
    const auto itself = co_await status_of(link, false);
    const auto followed = co_await status_of(link);
    CHECK(itself.kind == file_kind::symbolic_link);
    CHECK(followed.kind == file_kind::regular);
    TELLS("ELOOP", co_return co_await opened(loop););
    TELLS("ELOOP",
        open_options options;
        options.no_follow = true;
        co_return co_await opened(link, open_mode::read, options);
    );
    TELLS("EINVAL", co_return co_await read_symbolic_link(f););
    CHECK(co_await remove_tree(at / "to_a") == 1);  // the link alone
    CHECK(co_await path_exists(at / "a/inside"));
    co_await remove_file(link);
    CHECK(co_await path_exists(f));
}

RONDO_TEST("simulator truth: status and space of files", "[simulator][both]", seeds(1)) {
    const folder at;
    const std::string f = at / "f", a = at / "a";
    co_await write_file(f, "abc");
    co_await make_directory(a);
    co_await make_directory(at / "a/b");
    open_options secret;
    secret.create = true;
    secret.permissions = 0600;
    co_await opened(at / "secret", open_mode::write, secret);
    const auto one = co_await status_of(f), two = co_await status_of(at / "secret");
    const auto folder_status = co_await status_of(a);
    CHECK((one.permissions & 0600) == 0600);
    CHECK(two.permissions == 0600);
    CHECK(one.device != 0);
    CHECK(one.inode != two.inode);
    CHECK(one.modified.time_since_epoch().count() > 0);
    CHECK(folder_status.inode != 0);
    CHECK(folder_status.size != 0);
    auto read_only = co_await file::open(f);
    auto writable = co_await file::open(f, open_mode::write);
    auto directory = co_await file::open(a);
    const auto allocated = [](file& in, std::uint64_t size) -> task<std::string> {
        co_await in.allocate(0, size);
        co_return "ok";
    };
    TELLS("EINVAL", co_return co_await allocated(writable, 0););
    TELLS("EINVAL", co_return co_await allocated(read_only, 0););
    TELLS("EBADF", co_return co_await allocated(read_only, 100););
    TELLS("EBADF", co_return co_await allocated(directory, 100););
    TELLS("EINVAL",
        std::string into(10, ' ');
        const auto got = co_await read_only.read_at(into, std::uint64_t{1} << 63);
        co_return std::to_string(got.size());
    );
    co_await remove_file(f);
    const auto gone = co_await read_only.status();
    CHECK(gone.links == 0);
    auto unnamed = co_await temporary_file("/tmp");
    co_await unnamed.write_all("x");
    const auto unnamed_status = co_await unnamed.status();
    CHECK(unnamed_status.size == 1);
    CHECK(unnamed_status.links == 0);
}

RONDO_TEST("simulator truth: TCP addresses", "[simulator][both]", seeds(1)) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const endpoint where = listener.local();
    TELLS("EADDRINUSE",
        connect_options options;
        auto first = co_await connect_tcp(where);
        options.local = first.local();
        auto second = co_await connect_tcp(where, options);
        co_return "ok";
    );
    auto dual = tcp_listener::bind({"::", 0});
    TELLS("EADDRINUSE",
        auto other = tcp_listener::bind({"0.0.0.0", dual.local().port()});
        co_return "ok";
    );
    TELLS("[::ffff:127.0.0.1] 127.0.0.1",
        const auto ends = co_await gather(connect_tcp(endpoint("127.0.0.1", dual.local().port())),
                                          dual.accept());
        co_return host_of(std::get<1>(ends).remote()) + ' ' + host_of(std::get<0>(ends).local());
    );
    TELLS("ECONNREFUSED",
        listen_options options;
        options.ipv6_only = true;
        auto six = tcp_listener::bind({"::", 0}, options);
        auto client = co_await connect_tcp(endpoint("127.0.0.1", six.local().port()));
        co_return "ok";
    );
    TELLS("127.0.0.1 127.0.0.2",
        auto second = tcp_listener::bind({"127.0.0.2", 0});
        const auto ends = co_await gather(connect_tcp(second.local()), second.accept());
        co_return host_of(std::get<1>(ends).remote()) + ' ' + host_of(std::get<0>(ends).remote());
    );
}

RONDO_TEST("simulator truth: options of sockets", "[simulator][both]", seeds(1)) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    auto client = co_await connect_tcp(listener.local());
    auto server = co_await listener.accept();
    const auto set = [&](int level, int name, int value) -> task<std::string> {
        client.set_option(level, name, value);
        co_return std::to_string(client.get_option(level, name));
    };
    TELLS("ENOPROTOOPT", co_return co_await set(SOL_SOCKET, 9999, 1););
    TELLS("ENOPROTOOPT", co_return co_await set(77, 1, 1););
    TELLS("ENOPROTOOPT", co_return co_await set(SOL_SOCKET, SO_TYPE, 1););
    TELLS("20000", co_return co_await set(SOL_SOCKET, SO_RCVBUF, 10'000););
    TELLS("1", co_return co_await set(SOL_SOCKET, SO_KEEPALIVE, 5););
    TELLS("EINVAL", co_return co_await set(IPPROTO_TCP, TCP_KEEPIDLE, -5););
    TELLS("EINVAL", co_return co_await set(IPPROTO_TCP, TCP_KEEPCNT, 128););
    TELLS("10", co_return co_await set(IPPROTO_TCP, TCP_KEEPIDLE, 10););
    CHECK(server.get_option(IPPROTO_TCP, TCP_NODELAY) == 1);  // from the listener
    CHECK(server.get_option(SOL_SOCKET, SO_RCVBUF) > 1000);
    CHECK(server.get_option(IPPROTO_TCP, TCP_KEEPIDLE) == 7200);
}

RONDO_TEST("simulator truth: names of Unix sockets", "[simulator][both]", seeds(1)) {
    const folder at;
    const std::string f = at / "f", name = at / "socket", left = at / "left";
    co_await write_file(f, "abc");
    const auto connected = [](std::string path) -> task<std::string> {
        auto client = co_await connect_unix(path);
        co_return "ok";
    };
    TELLS("ENOENT", co_return co_await connected(name););
    TELLS("ECONNREFUSED", co_return co_await connected(f););
    TELLS("ENOENT",
        auto listener = unix_listener::bind(at / "none/socket");
        co_return "ok";
    );
    TELLS("EADDRINUSE",
        auto listener = unix_listener::bind(f);
        co_return "ok";
    );
    unix_listen_options options;
    options.permissions = 0600;
    {
        auto listener = unix_listener::bind(name, options);
        const auto status = co_await status_of(name);
        CHECK(status.kind == file_kind::socket);
        CHECK(status.permissions == 0600);
        TELLS("ok", co_return co_await connected(name););
        TELLS("EADDRINUSE",
            auto second = unix_listener::bind(name);
            co_return "ok";
        );
        co_await listener.close();
    }
    CHECK_FALSE(co_await path_exists(name));
    options.remove_at_close = false;
    {
        auto listener = unix_listener::bind(left, options);
        co_await listener.close();
    }
    TELLS("ECONNREFUSED", co_return co_await connected(left););
    TELLS("EADDRINUSE",
        auto listener = unix_listener::bind(left);
        co_return "ok";
    );
    options.replace_stale = true;
    auto again = unix_listener::bind(left, options);
    TELLS("ok", co_return co_await connected(left););
}

RONDO_TEST("simulator truth: datagrams", "[simulator][both]", seeds(1)) {
    auto sender = udp_socket::bind({"127.0.0.1", 0});
    const endpoint all("255.255.255.255", 9999);
    TELLS("EACCES",
        co_await sender.send_to("x", all);
        co_return "ok";
    );
    udp_options reuse;
    reuse.reuse_address = true;
    auto one = udp_socket::bind({"127.0.0.1", 0}, reuse);
    TELLS("ok",
        auto two = udp_socket::bind(one.local(), reuse);
        co_return "ok";
    );
    TELLS("EADDRINUSE",
        auto two = udp_socket::bind(sender.local());
        co_return "ok";
    );
    udp_options small;
    small.receive_buffer = 2304;
    auto receiver = udp_socket::bind({"127.0.0.1", 0}, small);
    for (int i = 0; i < 20; ++i) co_await sender.send_to("0123456789", receiver.local());
    co_await sleep(5ms);
    int count = 0;
    const auto receive = [&]() -> task<> {
        for (std::string into(100, ' ');; ++count) co_await receiver.receive_from(into);
    };
    co_await move_on_after(10ms, receive());
    CHECK(count > 0);
    CHECK(count < 20);  // the others did not fit
}

/// The bytes that come, and how the stream ends after them.
task<std::string> read_to_end(byte_stream& from) {
    std::string all, buffer(100'000, ' ');
    try {
        while (auto some = co_await from.read_some(buffer)) all += some.text();
        all += " end";
    } catch (const std::system_error& e) {
        all += std::string(" ") + ::strerrorname_np(e.code().value());
    }
    co_return all;
}

RONDO_TEST("simulator truth: a Unix peer that closes with unread bytes", "[simulator][both]",
           seeds(3)) {
    auto pair = socket_pair();
    auto &left = pair.first, &right = pair.second;
    co_await left.write_all("unread");
    co_await right.write_all("answer");
    co_await right.shutdown_write();
    co_await right.close();
    co_await sleep(1ms);
    CHECK(co_await read_to_end(left) == "answer ECONNRESET");
    CHECK(co_await read_to_end(left) == " ECONNRESET");  // a stream remembers its error
    TELLS("EPIPE",
        co_await left.write_all("x");
        co_return "ok";
    );

    auto [one, other] = socket_pair();
    co_await other.write_all("answer");
    co_await other.close();
    co_await sleep(1ms);
    CHECK(co_await read_to_end(one) == "answer end");
}

RONDO_TEST("simulator truth: a write that waits while its Unix peer closes", "[simulator][both]",
           seeds(3)) {
    auto pair = socket_pair();
    auto &left = pair.first, &right = pair.second;
    std::string told_error;
    const auto write = [&]() -> task<> {
        const std::string much(1'000'000, 'x');
        try {
            co_await left.write_all(much);
        } catch (const std::system_error& e) {
            told_error = ::strerrorname_np(e.code().value());
        }
    };
    const auto close_late = [&]() -> task<> {
        co_await sleep(5ms);
        co_await right.close();
    };
    co_await gather(write(), close_late());
    CHECK(told_error == "EPIPE");
}

RONDO_TEST("simulator truth: the address of a connection that was reset before its accept",
           "[simulator][both]", seeds(3)) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    auto client = co_await connect_tcp(listener.local());
    const endpoint expected = client.local();
    client.abort();
    co_await sleep(5ms);
    auto accepted = co_await listener.accept();
    const endpoint told = accepted.remote();
    CHECK(told == expected);
}

RONDO_TEST("simulator truth: a port whose connections linger", "[simulator][both]", seeds(1)) {
    listen_options strict;
    strict.reuse_address = false;
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const endpoint where = listener.local();
    auto client = co_await connect_tcp(where);
    auto server = co_await listener.accept();
    co_await listener.close();
    const auto bound = [&](listen_options options) -> task<std::string> {
        auto again = tcp_listener::bind(where, options);
        co_return "ok";
    };
    TELLS("EADDRINUSE", co_return co_await bound(strict););
    TELLS("ok", co_return co_await bound({}););
    co_await server.close();  // first: its port lingers
    const auto rest = co_await client.read_all();
    CHECK(rest.empty());
    co_await client.close();
    co_await sleep(5ms);
    TELLS("EADDRINUSE", co_return co_await bound(strict););
    TELLS("ok", co_return co_await bound({}););

    // The client closes first: then the port of the server is free.
    auto second = tcp_listener::bind({"127.0.0.1", 0});
    const endpoint free = second.local();
    auto first_to_close = co_await connect_tcp(free);
    auto other = co_await second.accept();
    co_await first_to_close.close();
    const auto nothing = co_await other.read_all();
    CHECK(nothing.empty());
    co_await other.close();
    co_await second.close();
    co_await sleep(5ms);
    TELLS("ok",
        auto again = tcp_listener::bind(free, strict);
        co_return "ok";
    );
}

RONDO_TEST("simulator truth: few small messages fill a Unix socket", "[simulator][both]",
           seeds(3)) {
    auto pair = socket_pair();
    auto &left = pair.first, &right = pair.second;
    int count = 0;
    const auto write = [&]() -> task<> {
        for (; count < 1000; ++count) co_await left.write_all("x");
    };
    co_await move_on_after(500ms, write());
    CHECK(count > 100);
    CHECK(count < 300);  // far fewer bytes than the socket's buffer has
    std::string got;
    std::string buffer(1000, ' ');
    while (got.size() < std::size_t(count)) {
        const auto some = co_await right.read_some(buffer);
        got += some.text();
    }
    co_await left.write_all("more");
    CHECK(co_await right.read_exactly(4) == "more");
}

/// Reads of receive_descriptors until nothing comes: the bytes, and how many descriptors.
task<std::string> received_parts(unix_stream& from) {
    std::string text, buffer(100, ' ');
    const auto read = [&]() -> task<> {
        for (;;) {
            const auto got = co_await from.receive_descriptors(buffer);
            text += std::string(got.data.text()) + std::string(got.descriptors.size(), '+') + ' ';
        }
    };
    co_await move_on_after(100ms, read());
    co_return text;
}

RONDO_TEST("simulator truth: bytes before and after a descriptor", "[simulator][both]",
           seeds(20)) {
    auto pair = socket_pair();
    auto ends = make_pipe();
    const int number = ends.writer.number();
    co_await pair.first.write_all("plain");
    co_await pair.first.send_descriptors("DESC", std::span(&number, 1));
    co_await pair.first.write_all("after");
    co_await sleep(1ms);
    std::string got = co_await received_parts(pair.second);
    if (!testing::simulated()) CHECK(got == "plainDESC+ after ");
    // On the simulator reads are short now and then. No read has bytes of both sides.
    CHECK(got.find("DESC+after") == got.npos);
    CHECK(std::count(got.begin(), got.end(), '+') == 1);
    std::erase_if(got, [](char c) { return c == ' ' || c == '+'; });
    CHECK(got == "plainDESCafter");
}

RONDO_TEST("simulator truth: bytes without a reader", "[simulator][both]", seeds(3)) {
    auto listener = tcp_listener::bind({"127.0.0.1", 0});
    const std::string much(10'000'000, 'x');
    {  // an abort drops what is not sent yet
        auto client = co_await connect_tcp(listener.local());
        auto server = co_await listener.accept();
        const auto none = co_await move_on_after(20ms, client.write_all(much));
        CHECK_FALSE(none);
        client.abort();
        co_await sleep(5ms);
        const std::string got = co_await read_to_end(server);
        CHECK(got.size() < much.size());
        CHECK(got.ends_with(" ECONNRESET"));
    }
    {  // a peer that has closed
        auto client = co_await connect_tcp(listener.local());
        auto server = co_await listener.accept();
        co_await server.close();
        std::string error = "none";
        try {
            for (int i = 0; i < 100; ++i) {
                co_await client.write_all(much);
                co_await sleep(100us);
            }
        } catch (const std::system_error& e) {
            error = ::strerrorname_np(e.code().value());
        }
        CHECK((error == "EPIPE" || error == "ECONNRESET"));
    }
}

RONDO_TEST("simulator truth: a Unix socket whose peer has gone", "[simulator][both]", seeds(1)) {
    auto pair = socket_pair();
    auto &left = pair.first, &right = pair.second;
    CHECK(left.is_quiet());
    co_await right.close();
    co_await sleep(1ms);
    CHECK_FALSE(left.is_quiet());  // the end is something to read
    TELLS("EPIPE",
        co_await left.write_all("x");
        co_return "ok";
    );
    CHECK(co_await read_to_end(left) == " end");
}

#undef TELLS
