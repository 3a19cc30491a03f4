// SPDX-License-Identifier: MIT
// sendfile(2) that waits neither for the disk nor for the socket.
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/vfs.h>

#include <cerrno>

#include "kernel/sigpipe.hpp"
#include "kernel/system.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

/// O_NONBLOCK while it lives. sendfile has no flag of its own for a call that does not wait.
/// Operations in flight on the socket have read the flag before. Another process that shares the
/// socket may see the flag for some microseconds.
class nonblocking {
public:
    explicit nonblocking(int fd) noexcept : fd_(fd), flags_(::fcntl(fd, F_GETFL)) {
        if (changes()) ::fcntl(fd, F_SETFL, flags_ | O_NONBLOCK);
    }
    nonblocking(const nonblocking&) = delete;
    nonblocking& operator=(const nonblocking&) = delete;
    ~nonblocking() {
        const int error = errno;
        if (changes()) ::fcntl(fd_, F_SETFL, flags_);
        errno = error;
    }

private:
    bool changes() const noexcept { return flags_ >= 0 && (flags_ & O_NONBLOCK) == 0; }

    int fd_;
    int flags_;
};

/// Whether a read of the byte at `offset` waits for nothing.
/// Returns: 1; 0 at the end of the file; -EAGAIN: the byte is on the disk; or another -errno.
int is_in_memory(int file, std::uint64_t offset) noexcept {
    char byte = 0;
    const iovec part{&byte, 1};
    const ssize_t size = ::preadv2(file, &part, 1, static_cast<off_t>(offset), RWF_NOWAIT);
    if (size >= 0) return static_cast<int>(size);
    if (errno != EOPNOTSUPP) return -errno;
    struct statfs system {};
    if (::fstatfs(file, &system) == 0 && system.f_type == TMPFS_MAGIC) return 1;
    return -EOPNOTSUPP;
}

}  // namespace

std::int64_t send_from_memory(int socket, int file, std::uint64_t offset,
                              std::size_t count) noexcept {
    if (count == 0) return 0;
    // The first byte and the last: what is read ahead is without holes, nearly always.
    const int first = is_in_memory(file, offset);
    if (first == 0) return 0;
    const int last = first == 1 ? is_in_memory(file, offset + count - 1) : first;
    if (last < 0) return last == -EAGAIN ? -ENODATA : last;
    const nonblocking now(socket);
    const sigpipe_blocked no_signal;  // it knows no MSG_NOSIGNAL
    off_t at = static_cast<off_t>(offset);
    const ssize_t sent = ::sendfile(socket, file, &at, count);
    return sent >= 0 ? sent : -errno;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
