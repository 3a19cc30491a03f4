// SPDX-License-Identifier: MIT
// Shows rondo inside an epoll loop: loop.fd() is one more descriptor in the set.
// Run: host_epoll
//
//     rondo: 1
//     rondo: 2
//     rondo: 3
//     the host goes on alone
#include <sys/epoll.h>
#include <unistd.h>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<> count() {
    for (int i = 1; i <= 3; ++i) {
        co_await rondo::sleep(20ms);
        fmt::print("rondo: {}\n", i);
    }
}

int main() {
    rondo::loop loop;
    auto counting = loop.create_task(count());

    const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
    epoll_event watch{};
    watch.events = EPOLLIN;
    watch.data.fd = loop.fd();
    if (::epoll_ctl(epoll, EPOLL_CTL_ADD, loop.fd(), &watch) != 0) return 1;

    while (!counting.done()) {
        epoll_event ready[16];
        const int count = ::epoll_wait(epoll, ready, 16, -1);  // no timeout: fd() shows timers too
        for (int i = 0; i < count; ++i)
            if (ready[i].data.fd == loop.fd()) loop.poll();
    }
    fmt::print("the host goes on alone\n");
    ::close(epoll);
}
