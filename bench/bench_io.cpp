// SPDX-License-Identifier: MIT
// Sockets, files and programs: moving bytes, and making connections and processes. The other side
// of a connection is a plain thread with plain system calls. So are the cases "by_hand", which
// compare.
#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <thread>
#include <vector>

#include <rondo/copy.hpp>
#include <rondo/connect.hpp>
#include <rondo/net.hpp>
#include <rondo/process.hpp>
#include <rondo/udp.hpp>
#include <rondo/unix.hpp>

#include "cases.hpp"

extern char** environ;

namespace bench {
namespace {

constexpr std::uint64_t moved_size = 100u << 20;
constexpr std::uint64_t mebibytes = moved_size >> 20;

/// A TCP connection to a thread that reads or writes all bytes.
class other_side {
public:
    explicit other_side(bool pours) {
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_.data()) != 0) std::abort();
        thread_ = std::thread([fd = ends_[1], pours] {
            std::vector<char> block(256 * 1024, 'x');
            std::uint64_t left = moved_size;
            while (left != 0) {
                const std::size_t size = std::min<std::uint64_t>(left, block.size());
                const ssize_t some = pours ? ::send(fd, block.data(), size, MSG_NOSIGNAL)
                                           : ::recv(fd, block.data(), size, 0);
                if (some <= 0) break;
                left -= static_cast<std::uint64_t>(some);
            }
            ::close(fd);
        });
    }
    ~other_side() { thread_.join(); }
    other_side(const other_side&) = delete;
    other_side& operator=(const other_side&) = delete;
    int take() noexcept { return ends_[0]; }

private:
    std::array<int, 2> ends_{};
    std::thread thread_;
};

rondo::task<> send_it(int to) {
    rondo::file from = co_await rondo::file::open(cached_file());
    rondo::unix_stream out(rondo::descriptor::adopt(to, "out"));
    for (std::uint64_t left = moved_size; left != 0;)
        left -= co_await rondo::send_file(from, out, 0, std::min<std::uint64_t>(left, file_size));
}

measurement send_file_case() {
    other_side reader(false);
    return measured(mebibytes, [&] { return send_it(reader.take()); });
}

rondo::task<> receive_it(int from) {
    rondo::file to = co_await rondo::temporary_file();
    rondo::unix_stream in(rondo::descriptor::adopt(from, "in"));
    const std::uint64_t came = co_await rondo::receive_file(in, to);
    if (came != moved_size) std::abort();
}

measurement receive_file_case() {
    other_side writer(true);
    return measured(mebibytes, [&] { return receive_it(writer.take()); });
}

template <bool Splices>
rondo::task<> pass_on(int from, int to) {
    rondo::unix_stream in(rondo::descriptor::adopt(from, "in"));
    rondo::unix_stream out(rondo::descriptor::adopt(to, "out"));
    std::uint64_t count = 0;
    if constexpr (Splices)
        count = co_await rondo::splice(in, out);
    else
        count = co_await rondo::copy(in, out);
    if (count != moved_size) std::abort();
}

template <bool Splices>
measurement proxy() {
    other_side writer(true);
    other_side reader(false);
    return measured(mebibytes, [&] { return pass_on<Splices>(writer.take(), reader.take()); });
}

// -- connections, datagrams, programs -------------------------------------------------------------

rondo::task<> connect_all() {
    auto listener = rondo::tcp_listener::bind({"127.0.0.1", 0});
    const rondo::endpoint where = listener.local();
    for (std::uint64_t i = 0; i < connections; ++i) {
        auto client = co_await rondo::connect_tcp(where);
        auto server = co_await listener.accept();
        client.abort();  // avoids TIME_WAIT, which would use up the ports
    }
}

measurement connect_accept() {
    return measured(connections, [] { return connect_all(); });
}

rondo::task<> ping_pong() {
    auto here = rondo::udp_socket::bind({"127.0.0.1", 0});
    auto there = rondo::udp_socket::bind({"127.0.0.1", 0});
    const rondo::endpoint to = there.local();
    std::array<char, 64> out{};
    std::array<char, 64> in{};
    for (std::uint64_t i = 0; i < datagrams; ++i) {
        co_await here.send_to(out, to);
        const auto got = co_await there.receive_from(in);
        sink += got.size();
    }
}

measurement udp_datagram() {
    return measured(datagrams, [] { return ping_pong(); });
}

rondo::task<> start_all() {
    for (std::uint64_t i = 0; i < programs; ++i) {
        auto child = rondo::command("/bin/true").spawn();
        const int code = co_await child.wait();
        if (code != 0) std::abort();
    }
}

measurement spawn_wait() {
    return measured(programs, [] { return start_all(); });
}

measurement spawn_wait_by_hand() {
    const stopwatch watch;
    for (std::uint64_t i = 0; i < programs; ++i) {
        char name[] = "/bin/true";
        char* arguments[] = {name, nullptr};
        pid_t pid = 0;
        if (::posix_spawn(&pid, name, nullptr, nullptr, arguments, environ) != 0) std::abort();
        if (::waitpid(pid, nullptr, 0) != pid) std::abort();
    }
    return watch.per(programs);
}

// -- large reads ----------------------------------------------------------------------------------

rondo::task<> read_mebibytes(rondo::file* from) {
    std::vector<char> block(1 << 20);
    for (std::uint64_t at = 0; at < file_size; at += block.size()) {
        const auto some = co_await from->read_at(block, at);
        if (some.size() != block.size()) std::abort();
    }
}

measurement file_read1m() {
    const std::string path = cached_file();
    rondo::loop loop;
    rondo::file from = loop.run_until_complete(rondo::file::open(path));
    const stopwatch watch;
    loop.run_until_complete(read_mebibytes(&from));
    return watch.per(file_size >> 20);
}

measurement file_read1m_by_hand() {
    const int fd = ::open(cached_file().c_str(), O_RDONLY | O_CLOEXEC);
    std::vector<char> block(1 << 20);
    const stopwatch watch;
    std::thread([&] {
        for (std::uint64_t at = 0; at < file_size; at += block.size())
            if (::pread(fd, block.data(), block.size(), static_cast<off_t>(at)) < 0) std::abort();
    }).join();
    const measurement m = watch.per(file_size >> 20);
    ::close(fd);
    return m;
}

}  // namespace

void add_io_cases(suite& cases) {
    const auto by = judged::by_value;
    cases.push_back({"send_file", "MiB from a file to a socket", by, send_file_case});
    cases.push_back({"receive_file", "MiB from a socket to a file", by, receive_file_case});
    cases.push_back({"proxy_copy", "MiB from one socket to another, copied", by, proxy<false>});
    cases.push_back({"proxy_splice", "MiB from one socket to another, spliced", by, proxy<true>});
    cases.push_back({"connect_accept", "TCP connection, both sides of it", by, connect_accept});
    cases.push_back({"udp_datagram", "datagram of 64 bytes, sent and received", by, udp_datagram});
    cases.push_back({"spawn_wait", "program started and waited for", by, spawn_wait});
    cases.push_back(
        {"spawn_wait_by_hand", "the same by posix_spawn and waitpid", by, spawn_wait_by_hand});
    cases.push_back({"file_read1m", "read of 1 MiB, one after the other", by, file_read1m});
    cases.push_back(
        {"file_read1m_by_hand", "the same by pread on a thread", by, file_read1m_by_hand});
}

}  // namespace bench
