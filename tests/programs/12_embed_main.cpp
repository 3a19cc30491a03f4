// SPDX-License-Identifier: MIT
// The parts that program 12 does not have; it is included unchanged. They are the other library's
// window, which ticks on its own timer and closes after four ticks, and an endless task to embed.
#include "12_embed.cpp"

#include <chrono>
#include <cstdint>

#include <sys/timerfd.h>
#include <unistd.h>

using namespace std::chrono_literals;

namespace {

int ticks_fd = -1;
int ticks = 0;

}  // namespace

int window::fd() { return ticks_fd; }

void window::dispatch() {
    std::uint64_t expired = 0;
    if (::read(ticks_fd, &expired, sizeof expired) != sizeof expired) return;
    ticks += static_cast<int>(expired);
    fmt::print("tick\n");
}

bool window::open() { return ticks < 4; }

rondo::task<> poll_the_weather() {
    for (int times = 1;; ++times) {
        co_await rondo::sleep(20ms);
        fmt::print("weather {}\n", times);
    }
}

int main() {
    ticks_fd = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    const itimerspec every{{0, 70'000'000}, {0, 70'000'000}};
    if (ticks_fd < 0 || ::timerfd_settime(ticks_fd, 0, &every, nullptr) != 0) return 1;
    window ui;
    gui_main(ui);
    ::close(ticks_fd);
    fmt::print("closed\n");
}
