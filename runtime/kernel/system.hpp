// SPDX-License-Identifier: MIT
// The descriptor calls of the real operating system (part (b) of kernel.hpp), as a base class
// template: for the real `system` and for each kernel that runs on the real system.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "kernel/kernel.hpp"
#include "kernel/paths.hpp"
#include "kernel/spawn.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// Opens placeholders on the closed ones of the numbers 0 to 2, so that no other descriptor gets
/// these numbers (standard_streams.cpp).
void reserve_standard_numbers() noexcept;

inline int or_errno(int result) noexcept { return result < 0 ? -errno : result; }

/// poll(2) without waiting. A signal interrupts that too.
/// Returns: the events that hold, of `events` and those that are always told; or -errno.
inline int poll_one(int fd, short events) noexcept {
    for (;;) {
        pollfd asked{fd, events, 0};
        const int result = or_errno(::poll(&asked, 1, 0));
        if (result != -EINTR) return result > 0 ? asked.revents : result;
    }
}

inline void throw_if_failed(int result, const char* what) {
    if (result < 0) throw std::system_error(-result, std::system_category(), what);
}

/// The kernel of a loop belongs to the process that made it.
inline constexpr const char* forked_sentence =
    "this loop was made before fork() and belongs to the parent; make a new one in the child";

/// Whether `fd` is a placeholder of reserve_standard_numbers: it counts as closed.
inline bool is_placeholder(int fd) noexcept {
    if (fd > STDERR_FILENO) return false;
    const int flags = ::fcntl(fd, F_GETFL);
    return flags >= 0 && (flags & O_PATH) != 0;
}

/// Moves a fresh descriptor above 2. A program may have been started without 0 to 2, or have closed
/// them. Code that uses these numbers as standard streams must not reach a descriptor of rondo's.
/// Returns: its number, or -1 and errno.
inline int above_standard(int fd) noexcept {
    if (fd < 0 || fd > STDERR_FILENO) return fd;
    const int moved = ::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    const int error = errno;
    ::close(fd);
    errno = error;
    return moved;
}

/// above_standard for both ends of a fresh pipe or pair. Returns: 0, or -1 and errno; then both are
/// closed.
inline int both_above_standard(int result, int* ends) noexcept {
    if (result < 0) return result;
    for (int i = 0; i < 2; ++i) {
        ends[i] = above_standard(ends[i]);
        if (ends[i] >= 0) continue;
        const int error = errno;
        ::close(ends[1 - i]);
        errno = error;
        return -1;
    }
    return 0;
}

/// close(2). If it would block (a socket with SO_LINGER and a time), it runs on a thread of its own
/// (system.cpp).
int close_number(int fd) noexcept;

/// Connects to a Unix socket and closes the connection, to see whether it listens (system.cpp).
int probe_listener(const sockaddr* address, socklen_t size) noexcept;

/// sendfile(2) of bytes that are in memory (send_uncopied.cpp). Returns: as system::send_uncopied.
std::int64_t send_from_memory(int socket, int file, std::uint64_t offset,
                              std::size_t count) noexcept;

template <class Base>
class plain_calls : public Base {
public:
    int socket(int family, int type, int protocol) override {
        return or_errno(above_standard(::socket(family, type | SOCK_CLOEXEC, protocol)));
    }
    int bind(int fd, const sockaddr* address, socklen_t size) override {
        return or_errno(::bind(fd, address, size));
    }
    int listen(int fd, int backlog) override { return or_errno(::listen(fd, backlog)); }
    int local_name(int fd, sockaddr* address, socklen_t* size) override {
        return or_errno(::getsockname(fd, address, size));
    }
    int remote_name(int fd, sockaddr* address, socklen_t* size) override {
        return or_errno(::getpeername(fd, address, size));
    }
    int set_option(int fd, int level, int name, const void* value, socklen_t size) override {
        return or_errno(::setsockopt(fd, level, name, value, size));
    }
    int get_option(int fd, int level, int name, void* value, socklen_t* size) override {
        return or_errno(::getsockopt(fd, level, name, value, size));
    }
    int poll_now(int fd) override { return poll_one(fd, POLLIN | POLLRDHUP); }
    int socket_pair(int family, int type, int protocol, int* ends) override {
        const int result = ::socketpair(family, type | SOCK_CLOEXEC, protocol, ends);
        return or_errno(both_above_standard(result, ends));
    }
    int pipe(int* ends) override {
        return or_errno(both_above_standard(::pipe2(ends, O_CLOEXEC), ends));
    }
    int pipe_size(int fd, std::uint32_t size) override {
        return or_errno(::fcntl(fd, F_SETPIPE_SZ, static_cast<int>(size)));
    }
    int duplicate(int fd) override {
        if (is_placeholder(fd)) return -EBADF;
        return or_errno(::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    }
    std::int64_t send_uncopied(int socket, int file, std::uint64_t offset,
                               std::size_t count) override {
        return send_from_memory(socket, file, offset, count);
    }
    int truncate(int fd, std::uint64_t size) override {
        return or_errno(::ftruncate(fd, static_cast<off_t>(size)));
    }
    int file_status(int fd, unsigned* mode) override {
        if (is_placeholder(fd)) return -EBADF;
        struct stat status {};
        const int result = or_errno(::fstat(fd, &status));
        *mode = status.st_mode;
        return result;
    }
    int settle_open(int fd, int flags, unsigned* mode) override {
        const bool waits = (flags & O_NONBLOCK) == 0;
        if (!waits && ::fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0) return -errno;
        return file_status(fd, mode);
    }
    std::int64_t position(int fd) override {
        const off_t at = ::lseek(fd, 0, SEEK_CUR);
        return at < 0 ? -errno : at;
    }
    void set_position(int fd, std::int64_t to) override { ::lseek(fd, to, SEEK_SET); }
    int peer_of_fifo(int fd) override { return writer_of_fifo(fd); }
    int list_directory(const char* path, void (*each)(void*, const char*, unsigned),
                       void* word) override {
        return list_names(path, each, word);
    }
    int read_link(const char* path, std::string* target) override {
        return link_target(path, target);
    }
    int make_directories(const char* path) override { return make_path(path); }
    int remove_tree(const char* path, std::uint64_t* count) override {
        return remove_path(path, count);
    }
    int name_status(const char* path, name_facts* facts) override {
        struct stat status {};
        const int result = or_errno(::lstat(path, &status));
        *facts = {status.st_mode, status.st_dev, status.st_ino};
        return result;
    }
    int remove_name(const char* path) override { return or_errno(::unlink(path)); }
    int set_mode(const char* path, unsigned mode) override {
        return or_errno(::chmod(path, mode));
    }
    int find_listener(const sockaddr* address, socklen_t size) override {
        return probe_listener(address, size);
    }
    int spawn(const spawn_request& request, started_program& started) override {
        return spawn_program(request, started);
    }
    int reap_program(int pid_descriptor, int* code) override {
        return reap_by_pidfd(pid_descriptor, code);
    }
    int signal_program(int pid_descriptor, int number) override {
        return signal_by_pidfd(pid_descriptor, number);
    }
    int watch_descriptor() override {
        return or_errno(above_standard(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)));
    }
    int add_watch(int fd, const char* path, std::uint32_t events) override {
        return or_errno(::inotify_add_watch(fd, path, events));
    }
    int signal_descriptor(const sigset_t& signals) override {
        return or_errno(above_standard(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK)));
    }
    int close(int fd) override {
        // Linux frees the number before a signal can interrupt the call. A second close could hit a
        // descriptor that another thread has opened meanwhile.
        const int result = close_number(fd);
        return result == -EINTR ? 0 : result;
    }
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
