// SPDX-License-Identifier: MIT
// The floor for the cases of `micro` with sockets, files and programs, by liburing alone and
// without coroutines or cancellation. An error ends the program.
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <utility>
#include <vector>

#include "../counts.hpp"

extern char** environ;

namespace {

using namespace bench;

std::uint64_t sink = 0;

int must(int result) {
    if (result < 0) std::abort();
    return result;
}

class ring {
public:
    ring() {
        must(io_uring_queue_init(64, &ring_,
                                 IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN));
    }
    ~ring() { io_uring_queue_exit(&ring_); }
    ring(const ring&) = delete;
    ring& operator=(const ring&) = delete;

    template <class Prepare>
    void begin(std::uint64_t name, Prepare prepare) {
        io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
        prepare(sqe);
        sqe->user_data = name;
    }
    /// Name and result of whichever ends first.
    std::pair<std::uint64_t, int> wait() {
        io_uring_cqe* cqe = nullptr;
        if (io_uring_peek_cqe(&ring_, &cqe) != 0) must(io_uring_submit_and_wait(&ring_, 1));
        must(io_uring_wait_cqe(&ring_, &cqe));
        const std::pair<std::uint64_t, int> ended(cqe->user_data, must(cqe->res));
        io_uring_cqe_seen(&ring_, cqe);
        return ended;
    }
    template <class Prepare>
    int call(Prepare prepare) {
        begin(0, prepare);
        return wait().second;
    }

private:
    io_uring ring_{};
};

sockaddr_in loopback() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/// The address that it was given.
sockaddr_in bound(int fd) {
    sockaddr_in address = loopback();
    socklen_t size = sizeof address;
    must(::bind(fd, reinterpret_cast<sockaddr*>(&address), size));
    must(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size));
    return address;
}

measurement connect_accept() {
    const int listener = must(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in where = bound(listener);
    must(::listen(listener, 128));
    ring r;
    const stopwatch watch;
    for (std::uint64_t i = 0; i < connections; ++i) {
        const int client = must(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const int on = 1;
        must(::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
        r.call([&](io_uring_sqe* s) {
            io_uring_prep_connect(s, client, reinterpret_cast<const sockaddr*>(&where),
                                  sizeof where);
        });
        const int server = r.call([&](io_uring_sqe* s) {
            io_uring_prep_accept(s, listener, nullptr, nullptr, SOCK_CLOEXEC);
        });
        const linger reset{1, 0};
        must(::setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset));
        ::close(client);
        ::close(server);
    }
    return watch.per(connections);
}

measurement udp_datagram() {
    const int here = must(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const int there = must(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    bound(here);
    sockaddr_in to = bound(there), from{};
    std::array<char, 64> out{}, in{};
    iovec out_span{out.data(), out.size()}, in_span{in.data(), in.size()};
    msghdr sent{&to, sizeof to, &out_span, 1, nullptr, 0, 0},
        got{&from, sizeof from, &in_span, 1, nullptr, 0, 0};
    ring r;
    const stopwatch watch;
    for (std::uint64_t i = 0; i < datagrams; ++i) {
        r.call([&](io_uring_sqe* s) { io_uring_prep_sendmsg(s, here, &sent, 0); });
        sink += static_cast<std::uint64_t>(
            r.call([&](io_uring_sqe* s) { io_uring_prep_recvmsg(s, there, &got, 0); }));
    }
    return watch.per(datagrams);
}

measurement spawn_wait() {
    ring r;
    const stopwatch watch;
    for (std::uint64_t i = 0; i < programs; ++i) {
        char name[] = "/bin/true";
        char* arguments[] = {name, nullptr};
        pid_t pid = 0;
        if (::posix_spawn(&pid, name, nullptr, nullptr, arguments, environ) != 0) std::abort();
        const int pidfd = must(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
        r.call([&](io_uring_sqe* s) { io_uring_prep_poll_add(s, pidfd, POLLIN); });
        siginfo_t end{};
        must(::waitid(P_PIDFD, static_cast<id_t>(pidfd), &end, WEXITED));
        ::close(pidfd);
    }
    return watch.per(programs);
}

template <unsigned Flying>
measurement file_reads() {
    const int fd = must(::open(cached_file().c_str(), O_RDONLY | O_CLOEXEC));
    std::vector<std::vector<char>> buffers(Flying, std::vector<char>(read_size));
    std::vector<random_numbers> random;
    for (unsigned i = 0; i < Flying; ++i) random.emplace_back(first_seed + i * 7919);
    ring r;
    const auto begin = [&](std::uint64_t reader) {
        const std::uint64_t offset = random[reader].next() % (file_size / read_size) * read_size;
        r.begin(reader, [&](io_uring_sqe* s) {
            io_uring_prep_read(s, fd, buffers[reader].data(), read_size, offset);
        });
    };
    const stopwatch watch;
    for (std::uint64_t i = 0; i < Flying; ++i) begin(i);
    for (std::uint64_t begun = Flying, ended = 0; ended < reads; ++ended) {
        const auto [reader, size] = r.wait();
        if (size != int{read_size}) std::abort();
        if (begun < reads) begin(reader), ++begun;
    }
    return watch.per(reads);
}

measurement file_read1m() {
    const int fd = must(::open(cached_file().c_str(), O_RDONLY | O_CLOEXEC));
    std::vector<char> block(1 << 20);
    ring r;
    const stopwatch watch;
    for (std::uint64_t at = 0; at < file_size; at += block.size()) {
        const int size =
            r.call([&](io_uring_sqe* s) { io_uring_prep_read(s, fd, block.data(), 1u << 20, at); });
        if (size != 1 << 20) std::abort();
    }
    return watch.per(file_size >> 20);
}

}  // namespace

int main(int argc, char** argv) {
    const auto by = judged::by_value;
    return bench::run(
        argc, argv,
        {{"connect_accept", "TCP connection, both sides of it", by, connect_accept},
         {"udp_datagram", "datagram of 64 bytes, sent and received", by, udp_datagram},
         {"spawn_wait", "program started and waited for", by, spawn_wait},
         {"file_read4k", "read of 4 KiB, one at a time", by, file_reads<1>},
         {"file_read4k_qd32", "read of 4 KiB, 32 at a time", by, file_reads<32>},
         {"file_read1m", "read of 1 MiB, one after the other", by, file_read1m}});
}
