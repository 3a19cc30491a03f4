// SPDX-License-Identifier: MIT
// The simulator tells what Linux does: the same calls on both, and what Linux answers. Each case
// was found by comparing the two. Here: files, names and addresses. See test_sim_truth_network.cpp
// for bytes.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include <rondo/rondo.hpp>

#include "kernel/simulator/tells.hpp"
#include "support/file_tools.hpp"
#include "support/net_tools.hpp"
#include "support/rondo_test.hpp"

using namespace rondo;
using namespace rondo_tests;
using namespace std::chrono_literals;

namespace {

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

RONDO_TEST("simulator truth: O_DIRECT wants aligned transfers", "[simulator][both]", seeds(1)) {
    const folder at;
    aligned_buffer block(2 * aligned_buffer::alignment);
    open_options how;
    how.create = how.direct = true;
    std::optional<file> f;
    try {
        f.emplace(co_await file::open(at / "direct", open_mode::read_write, how));
    } catch (const std::system_error& error) {
        CHECK(error.code().value() == EINVAL);  // this file system has no O_DIRECT
        co_return;
    }
    co_await f->write_all_at(block, 0);
    const auto read = [&](std::size_t skipped, std::size_t size,
                          std::uint64_t offset) -> task<std::string> {
        const auto got = co_await f->read_at(buffer_view(block.data() + skipped, size), offset);
        co_return std::to_string(got.size());
    };
    TELLS("EINVAL", co_return co_await read(1, 4096, 0););
    TELLS("EINVAL", co_return co_await read(0, 100, 0););
    TELLS("EINVAL", co_return co_await read(0, 4096, 7););
}

RONDO_TEST("simulator truth: what is not simulated is an error that names it", "[simulator]",
           seeds(1)) {
    const auto text = [](auto failing) -> task<std::string> {
        co_return co_await text_of_failure<std::system_error>(std::move(failing));
    };
    const auto now = [](auto call) -> std::string {
        try {
            call();
        } catch (const std::system_error& e) {
            return e.what();
        }
        return "nothing was thrown";
    };
    const std::string spawn = co_await text(command("/bin/true").run());
    CHECK(spawn == "spawn /bin/true: Function not implemented");
    CHECK(now([] { watch_directory("/tmp"); }) == "watch /tmp: Function not implemented");
    CHECK(now([] { signal_set set(SIGUSR2); }) == "signalfd: Function not implemented");
    CHECK(now([] { standard_input(); }) == "standard input: Bad file descriptor");
    CHECK(now([] { from_fd(1); }) == "from_fd descriptor 1: Bad file descriptor");
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
