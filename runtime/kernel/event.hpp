// SPDX-License-Identifier: MIT
// An eventfd. One wakes a sleeping ring, another one tells a host loop that there is work.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>

#include <rondo/config.hpp>

#include "kernel/system.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

class event_descriptor {
public:
    event_descriptor() noexcept = default;
    event_descriptor(const event_descriptor&) = delete;
    event_descriptor& operator=(const event_descriptor&) = delete;
    ~event_descriptor() {
        if (number() >= 0) ::close(number());
    }

    /// Returns: 0 or -errno.
    int open() noexcept {
        const int fd = above_standard(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        fd_.store(fd, std::memory_order_relaxed);
        return fd < 0 ? -errno : 0;
    }
    int number() const noexcept { return fd_.load(std::memory_order_relaxed); }

    /// Async-signal-safe.
    void write() noexcept {
        const int saved = errno;
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto written = ::write(number(), &one, sizeof one);
        errno = saved;
    }
    /// Returns: whether it was written since the last read.
    bool read() noexcept {
        std::uint64_t count = 0;
        return ::read(number(), &count, sizeof count) == static_cast<ssize_t>(sizeof count);
    }

private:
    std::atomic<int> fd_ = -1;  // the host's eventfd is opened while other threads may call `wake`
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
