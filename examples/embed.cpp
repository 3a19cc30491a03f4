// SPDX-License-Identifier: MIT
// Shows rondo inside another event loop: poll(2) over a timer, the host's socket, and loop.fd().
// Run: embed
//
//     answer 1: 1 ticks
//     answer 2: 3 ticks
//     answer 3: 4 ticks
//     ...
#include <chrono>
#include <cstdint>

#include <poll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

// The task connects to the host's socket, on the same thread: both loops must run for an answer.
rondo::task<> ask(rondo::endpoint host) {
    for (int question = 1; question <= 3; ++question) {
        co_await rondo::sleep(30ms);
        auto peer = co_await rondo::connect_tcp(host);
        const auto line = co_await peer.read_line();
        fmt::print("answer {}: {}\n", question, line.value_or("none"));
    }
}

int main() {
    const int timer = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    const itimerspec every{{0, 20'000'000}, {0, 20'000'000}};
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const rondo::endpoint anywhere("127.0.0.1", 0);
    if (::timerfd_settime(timer, 0, &every, nullptr) != 0 ||
        ::bind(listener, static_cast<const sockaddr*>(anywhere.data()), anywhere.size()) != 0 ||
        ::listen(listener, 8) != 0)
        return 1;
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&bound), &size);

    rondo::loop loop;
    auto asking = loop.create_task(ask(rondo::endpoint::from_system(&bound, size)));
    std::uint64_t ticks = 0;
    while (!asking.done() || ticks < 5) {
        pollfd ready[] = {{timer, POLLIN, 0}, {listener, POLLIN, 0}, {loop.fd(), POLLIN, 0}};
        ::poll(ready, 3, -1);  // no timeout: loop.fd() becomes readable for rondo's timers too

        std::uint64_t expired = 0;
        if (ready[0].revents && ::read(timer, &expired, sizeof expired) > 0) ticks += expired;
        if (ready[1].revents) {
            const int peer = ::accept(listener, nullptr, nullptr);
            const auto text = fmt::format("{} ticks\n", ticks);
            if (::write(peer, text.data(), text.size()) < 0) fmt::print("the task has gone\n");
            ::close(peer);
        }
        if (ready[2].revents) loop.poll();  // runs the ready tasks, never blocks
    }
    fmt::print("{}\n", asking.describe());
    ::close(listener);
    ::close(timer);
}
