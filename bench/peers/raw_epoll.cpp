// SPDX-License-Identifier: MIT
// The floor for `echo` on readiness: the same server on epoll, written by hand. One read of 16 KiB
// at a time, sent back at once; what does not fit waits for room. Edge-triggered, and registered
// once: reading stops at a short read, as epoll(7) allows.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

constexpr std::size_t buffer_size = 16 * 1024;

struct connection {
    std::vector<char> unsent;  // reading pauses while there is any
    bool waits_for_room = false;  // registered for writing too
};

int set = -1;
int listener = -1;
std::vector<connection> connections;

[[noreturn]] void give_up(const char* what) {
    std::perror(what);
    std::exit(1);
}

void watch(int operation, int fd, std::uint32_t events) {
    epoll_event event{};
    event.events = events | EPOLLET;
    event.data.fd = fd;
    if (::epoll_ctl(set, operation, fd, &event) != 0) give_up("epoll_ctl");
}

void end(int fd) {
    connections[static_cast<std::size_t>(fd)] = connection();
    ::close(fd);
}

/// Returns: false if the connection has ended.
bool send_unsent(int fd, connection& one) {
    while (!one.unsent.empty()) {
        const ssize_t sent = ::send(fd, one.unsent.data(), one.unsent.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) return true;
        if (sent < 0) return end(fd), false;
        one.unsent.erase(one.unsent.begin(), one.unsent.begin() + sent);
    }
    return true;
}

void keep_rest(int fd, connection& one, const char* bytes, std::size_t size) {
    one.unsent.assign(bytes, bytes + size);
    if (one.waits_for_room) return;
    one.waits_for_room = true;
    watch(EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
}

void serve(int fd, bool hung_up) {
    static std::array<char, buffer_size> buffer;
    connection& one = connections[static_cast<std::size_t>(fd)];
    if (!send_unsent(fd, one)) return;
    while (one.unsent.empty()) {
        const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) return end(fd);
        const ssize_t sent =
            ::send(fd, buffer.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) return end(fd);
        const auto done = static_cast<std::size_t>(sent < 0 ? 0 : sent);
        if (done < static_cast<std::size_t>(got))
            return keep_rest(fd, one, buffer.data() + done, static_cast<std::size_t>(got) - done);
        // Nothing is left after a short read, except an end that was told already.
        if (static_cast<std::size_t>(got) < buffer.size() && !hung_up) return;
    }
}

void accept_all() {
    for (;;) {
        const int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        const int on = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (connections.size() <= static_cast<std::size_t>(fd))
            connections.resize(static_cast<std::size_t>(fd) * 2 + 1);
        watch(EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLRDHUP);
    }
}

void listen_on(std::uint16_t port) {
    listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(port);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(listener, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0)
        give_up("bind");
    if (::listen(listener, 4096) != 0) give_up("listen");
    set = ::epoll_create1(EPOLL_CLOEXEC);
    if (set < 0) give_up("epoll_create1");
    watch(EPOLL_CTL_ADD, listener, EPOLLIN);
}

}  // namespace

int main(int argc, char** argv) {
    const long port = argc == 2 ? std::strtol(argv[1], nullptr, 10) : 0;
    if (port <= 0 || port > 65535) {
        std::fprintf(stderr, "usage: %s PORT\n", argv[0]);
        return 2;
    }
    listen_on(static_cast<std::uint16_t>(port));
    std::array<epoll_event, 128> events;
    for (;;) {
        const int count = ::epoll_wait(set, events.data(), static_cast<int>(events.size()), -1);
        if (count < 0 && errno != EINTR) give_up("epoll_wait");
        for (int i = 0; i < count; ++i) {
            const epoll_event& event = events[static_cast<std::size_t>(i)];
            if (event.data.fd == listener)
                accept_all();
            else
                serve(event.data.fd, (event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
        }
    }
}
