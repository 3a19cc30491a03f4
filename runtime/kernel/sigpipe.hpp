// SPDX-License-Identifier: MIT
// Suppressing SIGPIPE. A write to a pipe without readers raises it, and it kills the process.
// Sockets have MSG_NOSIGNAL; everything else has RWF_NOSIGNAL since Linux 6.18. On older kernels
// the signal is sent to the thread inside io_uring_enter. So it is blocked around the call and
// consumed: three more system calls per enter, from the first write to something other than a
// regular file until nothing is in flight. The kernel's own workers block it anyway.
//
// Setting the disposition to SIG_IGN would be cheaper, but it belongs to the program, and children
// inherit it. A ring without DEFER_TASKRUN (before Linux 6.1) may retry a write at the end of any
// system call of the thread; there this is best effort.
#pragma once

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstdint>

#include <rondo/detail/kernel/entry.hpp>

#include "kernel/kernel.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

inline constexpr std::uint32_t write_no_signal = 0x100;  // RWF_NOSIGNAL: entry::op_flags of writes

constexpr bool is_write(opcode code) noexcept {
    return code == opcode::write || code == opcode::writev;
}

/// Whether this kernel has RWF_NOSIGNAL. Tested once, by writing one byte into a pipe.
inline bool has_write_no_signal() noexcept {
    static const bool has = [] {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) return false;
        char byte = 0;
        const iovec part{&byte, 1};
        const ssize_t wrote = ::pwritev2(ends[1], &part, 1, -1, int{write_no_signal});
        for (const int end : ends) system::real()->close(end);
        return wrote == 1;
    }();
    return has;
}

/// Whether writing to `fd` may raise SIGPIPE: it is not a regular file.
inline bool may_raise_sigpipe(int fd) noexcept {
    struct stat status {};
    return ::fstat(fd, &status) == 0 && !S_ISREG(status.st_mode);
}

/// While it lives, a new SIGPIPE for this thread is discarded. A SIGPIPE pending before it stays
/// pending.
class sigpipe_blocked {
public:
    sigpipe_blocked() noexcept {
        ::sigemptyset(&sigpipe_);
        ::sigaddset(&sigpipe_, SIGPIPE);
        ::pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
        if (::sigismember(&before_, SIGPIPE) != 1) return;
        sigset_t pending;
        ::sigpending(&pending);
        was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    }
    ~sigpipe_blocked() {
        const timespec at_once{};
        if (!was_pending_)
            while (::sigtimedwait(&sigpipe_, nullptr, &at_once) < 0 && errno == EINTR) {
            }
        ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    sigpipe_blocked(const sigpipe_blocked&) = delete;
    sigpipe_blocked& operator=(const sigpipe_blocked&) = delete;

private:
    sigset_t sigpipe_;
    sigset_t before_;
    bool was_pending_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
