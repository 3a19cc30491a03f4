// SPDX-License-Identifier: MIT
// The floor for `echo`: the same server on liburing, without coroutines and without cancellation;
// an error closes the connection. The difference between the two is the cost of rondo.
//
// It uses one multishot accept, and one multishot receive for each connection. Bytes are received
// into buffers that the kernel chooses, sent back from there, and the buffer is returned.
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <vector>

namespace {

constexpr unsigned buffer_count = 256;
constexpr unsigned buffer_size = 16 * 1024;
constexpr unsigned files_max = 16 * 1024;

enum class step : std::uint64_t { accept, receive, send, close };

struct part {
    unsigned buffer;
    unsigned begin;
    unsigned end;
};
struct connection {
    std::deque<part> to_send;  // the first one is being sent
    bool receiving = false;
    bool ended = false;  // by the peer, or by an error
    bool closing = false;
};

io_uring ring;
io_uring_buf_ring* free_buffers;
std::vector<char> buffers(std::size_t{buffer_count} * buffer_size);
std::vector<connection> connections(files_max);
std::vector<unsigned> starved;  // found no buffer

[[noreturn]] void give_up(const char* what) {
    std::perror(what);
    std::exit(1);
}

io_uring_sqe* slot() {
    io_uring_sqe* s = io_uring_get_sqe(&ring);
    while (s == nullptr) {
        io_uring_submit(&ring);
        s = io_uring_get_sqe(&ring);
    }
    return s;
}
char* bytes(unsigned buffer) { return buffers.data() + std::size_t{buffer} * buffer_size; }

// liburing's prep functions clear user_data, so the slot is marked after them.
void mark(io_uring_sqe* s, step what, unsigned number) {
    io_uring_sqe_set_data64(s, static_cast<std::uint64_t>(what) << 32 | number);
}

void accept_all(int listener) {
    io_uring_sqe* s = slot();
    io_uring_prep_multishot_accept_direct(s, listener, nullptr, nullptr, 0);
    mark(s, step::accept, static_cast<unsigned>(listener));
}
void receive(unsigned n) {
    io_uring_sqe* s = slot();
    io_uring_prep_recv_multishot(s, static_cast<int>(n), nullptr, 0, 0);
    s->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
    mark(s, step::receive, n);
    connections[n].receiving = true;
}
void send_first(unsigned n) {
    const part& p = connections[n].to_send.front();
    io_uring_sqe* s = slot();
    io_uring_prep_send(s, static_cast<int>(n), bytes(p.buffer) + p.begin, p.end - p.begin,
                       MSG_NOSIGNAL | MSG_WAITALL);
    s->flags |= IOSQE_FIXED_FILE;
    mark(s, step::send, n);
}
void close_if_over(unsigned n) {
    connection& c = connections[n];
    if (!c.ended || c.receiving || c.closing || !c.to_send.empty()) return;
    c.closing = true;
    io_uring_sqe* s = slot();
    io_uring_prep_close_direct(s, n);
    mark(s, step::close, n);
}
void give_back(unsigned buffer) {
    io_uring_buf_ring_add(free_buffers, bytes(buffer), buffer_size,
                          static_cast<unsigned short>(buffer), io_uring_buf_ring_mask(buffer_count),
                          0);
    io_uring_buf_ring_advance(free_buffers, 1);
    if (starved.empty()) return;
    const unsigned n = starved.back();
    starved.pop_back();
    receive(n);
}

void received(unsigned n, const io_uring_cqe& c) {
    connection& conn = connections[n];
    if ((c.flags & IORING_CQE_F_MORE) == 0) conn.receiving = false;
    if (c.res > 0) {
        const unsigned buffer = c.flags >> IORING_CQE_BUFFER_SHIFT;
        conn.to_send.push_back({buffer, 0, static_cast<unsigned>(c.res)});
        if (conn.to_send.size() == 1) send_first(n);
        if (!conn.receiving) receive(n);
    } else if (c.res == -ENOBUFS) {
        starved.push_back(n);
        conn.receiving = true;  // when there is a buffer again
    } else {
        conn.ended = true;
        close_if_over(n);
    }
}
void sent(unsigned n, int result) {
    connection& conn = connections[n];
    part& p = conn.to_send.front();
    p.begin += result > 0 ? static_cast<unsigned>(result) : p.end - p.begin;
    if (p.begin == p.end) {
        give_back(p.buffer);
        conn.to_send.pop_front();
    }
    if (!conn.to_send.empty()) send_first(n);
    close_if_over(n);
}
void completed(const io_uring_cqe& c) {
    const auto what = static_cast<step>(c.user_data >> 32);
    const auto number = static_cast<unsigned>(c.user_data);
    if (what == step::receive) return received(number, c);
    if (what == step::send) return sent(number, c.res);
    if (what != step::accept) return;
    if (c.res >= 0) {
        connections[static_cast<unsigned>(c.res)] = connection();
        receive(static_cast<unsigned>(c.res));
    }
    if ((c.flags & IORING_CQE_F_MORE) == 0) accept_all(static_cast<int>(number));
}

int listen_on(unsigned short port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(port);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0 || listen(fd, 4096) != 0)
        give_up("listen");
    return fd;
}

void set_up() {
    io_uring_params asked{};
    asked.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE;
    asked.cq_entries = 8192;
    if (io_uring_queue_init_params(1024, &ring, &asked) < 0 ||
        io_uring_register_ring_fd(&ring) < 0 ||
        io_uring_register_files_sparse(&ring, files_max) < 0)
        give_up("io_uring");
    io_uring_buf_reg which{};
    const std::size_t size = buffer_count * sizeof(io_uring_buf);
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    free_buffers = static_cast<io_uring_buf_ring*>(memory);
    which.ring_addr = reinterpret_cast<std::uint64_t>(memory);
    which.ring_entries = buffer_count;
    if (io_uring_register_buf_ring(&ring, &which, 0) < 0) give_up("io_uring buffers");
    io_uring_buf_ring_init(free_buffers);
    for (unsigned i = 0; i < buffer_count; ++i) give_back(i);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    const int listener = listen_on(static_cast<unsigned short>(std::atoi(argv[1])));
    set_up();
    accept_all(listener);
    for (;;) {
        const int result = io_uring_submit_and_wait(&ring, 1);
        if (result < 0 && result != -EINTR && result != -EBUSY && result != -EAGAIN)
            give_up("io_uring_enter");
        unsigned head = 0, seen = 0;
        io_uring_cqe* c = nullptr;
        io_uring_for_each_cqe(&ring, head, c) {
            ++seen;
            completed(*c);
        }
        io_uring_cq_advance(&ring, seen);
    }
}
