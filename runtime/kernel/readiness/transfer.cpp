// SPDX-License-Identifier: MIT
// Reads and writes: one try, which never blocks, in the way that the kind of file allows. See
// core.hpp.
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>

#include "kernel/readiness/core.hpp"
#include "kernel/readiness/file_calls.hpp"
#include "kernel/sigpipe.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

/// Whether a terminal is the master of a pair, or the system does not tell.
bool may_be_master(int fd) noexcept {
    unsigned pty = 0;
    return ::ioctl(fd, TIOCGPTN, &pty) == 0 || (errno != ENOTTY && errno != EINVAL);
}

/// Makes another description of a terminal, a pipe or a FIFO, which has O_NONBLOCK. The original
/// keeps its flags: other processes share it. Opening the master of a pseudo-terminal would make a
/// new one. Returns: the number, or -1.
int open_twin(int fd) noexcept {
    struct stat original {}, twin_status {};
    if (::fstat(fd, &original) != 0) return -1;
    const bool terminal = S_ISCHR(original.st_mode) && ::isatty(fd) == 1 && !may_be_master(fd);
    if (!terminal && !S_ISFIFO(original.st_mode)) return -1;
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0) return -1;
    std::array<char, 32> path{};
    std::snprintf(path.data(), path.size(), "/proc/self/fd/%d", fd);
    int twin = -1;
    do {
        twin = above_standard(
            ::open(path.data(), (flags & O_ACCMODE) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    } while (twin < 0 && errno == EINTR);
    if (twin < 0) return -1;
    const bool same = ::fstat(twin, &twin_status) == 0 && twin_status.st_dev == original.st_dev &&
                      twin_status.st_ino == original.st_ino &&
                      twin_status.st_rdev == original.st_rdev;
    if (same) return twin;
    ::close(twin);
    return -1;
}

/// `transfer`, and a write to a pipe without readers raises no signal. Files that have no list
/// writes, such as an eventfd, refuse all flags.
std::int32_t quiet_transfer(const pending& one, int fd, int flags) noexcept {
    if (!one.writes) return transfer(one, fd, flags);
    if (has_write_no_signal()) {
        const std::int32_t result = transfer(one, fd, flags | int{write_no_signal});
        if (result != -EOPNOTSUPP) return result;
    }
    const sigpipe_blocked guard;
    return transfer(one, fd, flags);
}

}  // namespace

void readiness_kernel::classify(watched& on) noexcept {
    struct stat status {};
    if (::fstat(on.number, &status) != 0)
        on.kind = file_kind_t::no_wait;  // the call tells the error
    else if (S_ISSOCK(status.st_mode))
        on.kind = file_kind_t::socket;
    else if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) || S_ISBLK(status.st_mode))
        on.kind = file_kind_t::storage;
    else
        on.kind = file_kind_t::no_wait;
}

std::int32_t readiness_kernel::attempt_transfer(pending& one, watched& on) noexcept {
    if (on.kind == file_kind_t::unknown) classify(on);
    one.seekable = on.kind == file_kind_t::storage;
    switch (on.kind) {
        case file_kind_t::socket: return attempt_as_message(one, on);
        case file_kind_t::storage: return attempt_cached(one, on);
        case file_kind_t::guarded: {
            const int events = poll_one(on.number, one.writes ? POLLOUT : POLLIN);
            if (events <= 0) return events == 0 ? not_ready : events;
            return goes_away;
        }
        default: return attempt_no_wait(one, on);
    }
}

/// read(2) and write(2) on a socket are recv(2) and send(2) without flags. But a read of no bytes
/// waits for nothing, and takes no datagram.
std::int32_t readiness_kernel::attempt_as_message(pending& one, watched& on) noexcept {
    const entry asked = one.what;
    if (!one.writes && length_of(asked) == 0) return 0;
    msghdr message{};
    if (asked.code == opcode::read || asked.code == opcode::write) {
        one.what.code = one.writes ? opcode::send : opcode::recv;
    } else {
        message.msg_iov = pointer_of<iovec>(asked.address);
        message.msg_iovlen = asked.length;
        one.what.code = one.writes ? opcode::sendmsg : opcode::recvmsg;
        one.what.address = reinterpret_cast<std::uintptr_t>(&message);
    }
    one.what.op_flags = 0;
    const std::int32_t result = attempt_on_socket(one, on);
    one.what = asked;
    return result;
}

/// Tries with RWF_NOWAIT first, also if the description has O_NONBLOCK: another process that shares
/// it may clear that.
std::int32_t readiness_kernel::attempt_no_wait(pending& one, watched& on) noexcept {
    if (on.kind == file_kind_t::no_wait) {
        const std::int32_t result = quiet_transfer(one, on.number, RWF_NOWAIT);
        if (result == -EAGAIN) return not_ready;
        if (result != -EOPNOTSUPP) return result;
        without_no_wait(on);
        return attempt_transfer(one, on);
    }
    const std::int32_t result = quiet_transfer(one, on.handle(), 0);
    return result == -EAGAIN ? not_ready : result;
}

/// Chooses the next best way for a file that refuses RWF_NOWAIT. It is registered again, since from
/// now on its twin is watched.
void readiness_kernel::without_no_wait(watched& on) noexcept {
    const int flags = ::fcntl(on.number, F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK) != 0) {
        on.kind = file_kind_t::nonblocking;
        return;
    }
    const int twin = open_twin(on.number);
    on.kind = twin >= 0 ? file_kind_t::twin : file_kind_t::guarded;
    if (twin < 0) return;
    numbers_.set_twin(on.number, twin);
    on.twin = twin;
    const std::uint32_t interest = on.ours ? on.interest : 0;
    on.ours = false;
    if (interest != 0) watch(on, interest);
}

/// A regular file, or another one that never waits for readiness. Cached bytes are read here; the
/// rest, and large transfers, on a thread.
std::int32_t readiness_kernel::attempt_cached(pending& one, watched& on) noexcept {
    if ((one.what.flags & entry_async) != 0) return goes_away;
    if (one.writes && on.no_cached_write) return goes_away;
    const std::int32_t result = quiet_transfer(one, on.number, RWF_NOWAIT);
    if (result == -EOPNOTSUPP && one.writes) on.no_cached_write = true;
    if (result == -EAGAIN || result == -EOPNOTSUPP) return goes_away;
    // A list of buffers can be longer than an int can tell: then the rest is left to the caller.
    const std::uint64_t wanted = length_of(one.what);
    if (result <= 0 || static_cast<std::uint64_t>(result) >= wanted || wanted > INT32_MAX)
        return result;
    one.moved = static_cast<std::uint32_t>(result);
    if (!one.writes && at_end_of_file(one)) return result;
    return goes_away;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
