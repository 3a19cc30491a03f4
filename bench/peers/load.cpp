// SPDX-License-Identifier: MIT
// Load for an echo server on 127.0.0.1: `load PORT CONNECTIONS BYTES SECONDS`. Each connection
// sends a message, waits until all of it has come back, compares it, and sends the next one. Prints
// one JSON object; the exit status is 0 only if every byte was right.
//
// It is a closed loop: a slow server gets fewer requests. So judge requests per second and waiting
// times together.
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "../harness.hpp"

namespace {

constexpr std::uint64_t warm_up = 200'000'000;  // ns

struct connection {
    int fd = -1;
    std::uint64_t sent_at = 0;
    std::vector<char> answer;
};

struct load {
    io_uring ring{};
    std::vector<char> message;
    std::vector<connection> connections;
    std::vector<double> waited;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    unsigned in_flight = 0;
};

[[noreturn]] void give_up(const char* what) {
    std::perror(what);
    std::exit(1);
}

int connect_to(unsigned short port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(port);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0) give_up("connect");
    return fd;
}

// A successful send gives no completion; the receive shows that it worked.
void ask(load& l, std::size_t i) {
    connection& c = l.connections[i];
    io_uring_sqe* send = io_uring_get_sqe(&l.ring);
    io_uring_prep_send(send, c.fd, l.message.data(), l.message.size(), MSG_WAITALL | MSG_NOSIGNAL);
    send->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(send, ~std::uint64_t{0});
    io_uring_sqe* receive = io_uring_get_sqe(&l.ring);
    io_uring_prep_recv(receive, c.fd, c.answer.data(), c.answer.size(), MSG_WAITALL);
    io_uring_sqe_set_data64(receive, i);
    c.sent_at = bench::wall();
    ++l.in_flight;
}

void answered(load& l, const io_uring_cqe& cqe) {
    connection& c = l.connections[cqe.user_data];
    --l.in_flight;
    if (cqe.res != static_cast<int>(l.message.size()) || c.answer != l.message) {
        std::fprintf(stderr, "a wrong answer (%d)\n", cqe.res);
        std::exit(1);
    }
    const std::uint64_t now = bench::wall();
    if (c.sent_at >= l.begin && now <= l.end)
        l.waited.push_back(static_cast<double>(now - c.sent_at));
    if (now < l.end) ask(l, cqe.user_data);
}

void turn(load& l) {
    io_uring_submit_and_wait(&l.ring, 1);
    unsigned head = 0, seen = 0;
    io_uring_cqe* cqe = nullptr;
    io_uring_for_each_cqe(&l.ring, head, cqe) {
        ++seen;
        if (cqe->user_data == ~std::uint64_t{0}) {
            std::fprintf(stderr, "send: %s\n", std::strerror(-cqe->res));
            std::exit(1);
        }
        answered(l, *cqe);
    }
    io_uring_cq_advance(&l.ring, seen);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 5) return 2;
    load l;
    l.connections.resize(std::strtoul(argv[2], nullptr, 10));
    l.message.assign(std::strtoul(argv[3], nullptr, 10), 'm');
    const double seconds = std::strtod(argv[4], nullptr);
    if (io_uring_queue_init(4096, &l.ring,
                            IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN) < 0)
        give_up("io_uring");
    for (connection& c : l.connections) {
        c.fd = connect_to(static_cast<unsigned short>(std::atoi(argv[1])));
        c.answer.resize(l.message.size());
    }
    l.begin = bench::wall() + warm_up;
    l.end = l.begin + static_cast<std::uint64_t>(seconds * 1e9);
    for (std::size_t i = 0; i < l.connections.size(); ++i) ask(l, i);
    while (l.in_flight != 0) turn(l);
    std::printf(
        "{\"rps\": %.1f, \"requests\": %zu, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": "
        "%.1f}\n",
        static_cast<double>(l.waited.size()) / seconds, l.waited.size(),
        bench::quantile(l.waited, 0.5) / 1e3, bench::quantile(l.waited, 0.99) / 1e3,
        bench::quantile(l.waited, 0.999) / 1e3);
    return l.waited.empty() ? 1 : 0;
}
