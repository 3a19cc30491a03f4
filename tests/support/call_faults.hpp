// SPDX-License-Identifier: MIT
// Makes the n-th call of a system call fail, in this process and on any of its threads. The
// functions of the C library are replaced for the whole program, so a test that includes this file
// is a program of its own (lone_tests in tests/meson.build). Without a fault they call the C
// library.
//
// `calls` has the errnos of each call that its man page names and that can happen to a program that
// passes valid arguments. EAGAIN is left out where it means "not ready": after a true one an event
// comes, after an injected one none.
#pragma once

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <string_view>

namespace call_faults {

struct call {
    std::string_view name;
    std::array<int, 18> errors;  // up to the first 0
};

inline constexpr std::array calls{
    // of the set, the wake-ups and the clock
    call{"epoll_create1", {EMFILE, ENFILE, ENOMEM}},
    call{"epoll_ctl", {ENOMEM, ENOSPC, EPERM}},
    call{"epoll_wait", {EINTR}},
    call{"epoll_pwait2", {EINTR}},
    call{"eventfd", {EMFILE, ENFILE, ENODEV, ENOMEM}},
    call{"timerfd_create", {EMFILE, ENFILE, ENODEV, ENOMEM}},
    call{"poll", {EINTR, ENOMEM}},
    call{"pthread_create", {EAGAIN}},
    // of sockets
    call{"socket", {EACCES, EAFNOSUPPORT, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPROTONOSUPPORT}},
    call{"socketpair", {EAFNOSUPPORT, EMFILE, ENFILE, ENOMEM, EOPNOTSUPP}},
    call{"bind", {EACCES, EADDRINUSE, EADDRNOTAVAIL, ENOMEM, EROFS}},
    call{"listen", {EADDRINUSE, EOPNOTSUPP}},
    call{"getsockname", {ENOBUFS}},
    call{"getpeername", {ENOBUFS, ENOTCONN}},
    call{"getsockopt", {ENOBUFS, ENOMEM, ENOPROTOOPT}},
    call{"setsockopt", {ENOBUFS, ENOMEM, ENOPROTOOPT}},
    call{"accept4", {ECONNABORTED, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM, EPROTO, ENETDOWN,
                     ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH}},
    call{"connect", {EACCES, EPERM, EADDRINUSE, EADDRNOTAVAIL, ECONNREFUSED, ENETUNREACH,
                     EHOSTUNREACH, ETIMEDOUT, ENOBUFS, ENOMEM}},
    call{"recv", {ECONNREFUSED, ECONNRESET, EHOSTUNREACH, EINTR, EIO, ENOBUFS, ENOMEM, ENOTCONN,
                  ETIMEDOUT}},
    call{"recvmsg", {ECONNREFUSED, ECONNRESET, EINTR, EIO, EMFILE, ENOBUFS, ENOMEM, ETIMEDOUT}},
    call{"send", {EACCES, ECONNREFUSED, ECONNRESET, EHOSTUNREACH, EINTR, EIO, EMSGSIZE, ENETDOWN,
                  ENETUNREACH, ENOBUFS, ENOMEM, EPIPE, ETIMEDOUT}},
    call{"sendmsg", {EACCES, ECONNREFUSED, ECONNRESET, EHOSTUNREACH, EINTR, EIO, EMSGSIZE,
                     ENETDOWN, ENETUNREACH, ENOBUFS, ENOMEM, EPIPE, ETIMEDOUT}},
    call{"shutdown", {ENOTCONN, ENOBUFS}},
    // of descriptors
    call{"close", {EIO, EINTR, ENOSPC, EDQUOT}},
    call{"fcntl64", {EACCES, EMFILE, ENOMEM, EPERM}},
    call{"fstat64", {EIO, ENOMEM, EOVERFLOW}},
    call{"pipe2", {EMFILE, ENFILE}},
    call{"ioctl", {EIO}},
    call{"lseek64", {EOVERFLOW, ESPIPE}},
    // of files
    call{"open64", {EACCES, EINTR, ELOOP, EMFILE, ENFILE, ENOMEM, ENXIO}},
    call{"openat64", {EACCES, EDQUOT, EINTR, EIO, ELOOP, EMFILE, ENFILE, ENOMEM, ENOSPC, EROFS,
                      ETXTBSY, EBUSY}},
    call{"sendfile64", {EAGAIN, EINTR, EINVAL, EIO, ENOMEM, EPIPE, ECONNRESET}},
    call{"readv", {EINTR, EIO, ENOMEM}},
    call{"preadv64", {EINTR, EIO, ENOMEM}},
    call{"preadv64v2", {EAGAIN, EINTR, EIO, ENOMEM, ENOSYS, EOPNOTSUPP}},
    call{"writev", {EDQUOT, EFBIG, EINTR, EIO, ENOSPC, EPERM, EPIPE}},
    call{"pwritev64", {EDQUOT, EFBIG, EINTR, EIO, ENOSPC, EPERM}},
    call{"pwritev64v2", {EAGAIN, EDQUOT, EFBIG, EINTR, EIO, ENOSPC, ENOSYS, EOPNOTSUPP, EPERM,
                         EPIPE}},
    call{"statx", {EACCES, EIO, ELOOP, ENOMEM}},
    call{"renameat2", {EACCES, EBUSY, EDQUOT, EIO, EMLINK, ENOMEM, ENOSPC, EROFS, EXDEV}},
    call{"unlinkat", {EACCES, EBUSY, EIO, ENOMEM, EPERM, EROFS}},
    call{"mkdirat", {EACCES, EDQUOT, EMLINK, ENOMEM, ENOSPC, EROFS}},
    call{"symlinkat", {EACCES, EDQUOT, EIO, ENOMEM, ENOSPC, EROFS}},
    call{"linkat", {EACCES, EDQUOT, EIO, EMLINK, ENOMEM, ENOSPC, EPERM, EROFS, EXDEV}},
    call{"fsync", {EDQUOT, EINTR, EIO, ENOSPC, EROFS}},
    call{"fdatasync", {EDQUOT, EINTR, EIO, ENOSPC, EROFS}},
    call{"fallocate64", {EFBIG, EINTR, EIO, ENOSPC, EOPNOTSUPP, EPERM}},
    call{"ftruncate64", {EFBIG, EINTR, EIO, EPERM, ETXTBSY}},
};

consteval std::size_t index_of(std::string_view name) {
    std::size_t at = 0;
    while (calls[at].name != name) ++at;
    return at;
}

/// The fault to inject, while `armed`.
struct plan {
    std::atomic<bool> armed{false};
    std::atomic<std::size_t> call{calls.size()};
    std::atomic<unsigned> at{0};
    std::atomic<int> error{0};
    std::atomic<bool> has_struck{false};
    std::array<std::atomic<unsigned>, calls.size()> made{};
};
inline constinit plan now;

/// Counts a call. Returns: the errno that it is to fail with, or 0.
inline int strike(std::size_t index, bool condition = true) noexcept {
    if (!now.armed.load(std::memory_order_acquire)) return 0;
    const unsigned before = now.made[index].fetch_add(1, std::memory_order_relaxed);
    if (now.call != index || now.at != before || !condition) return 0;
    now.has_struck = true;
    return now.error;
}

/// EAGAIN of a regular file means "not in the cache"; of others "not ready".
inline bool may_strike(int fd) noexcept {
    struct stat status {};
    return now.error != EAGAIN || (::fstatat(fd, "", &status, AT_EMPTY_PATH) == 0 &&
                                   S_ISREG(status.st_mode));
}

/// While it lives, calls are counted, and one fails if `error` is not 0.
class armed {
public:
    explicit armed(std::size_t call = calls.size(), unsigned at = 0, int error = 0) noexcept {
        for (auto& count : now.made) count = 0;
        now.call = error != 0 ? call : calls.size();
        now.at = at;
        now.error = error;
        now.has_struck = false;
        now.armed.store(true, std::memory_order_release);
    }
    ~armed() { disarm(); }
    armed(const armed&) = delete;
    armed& operator=(const armed&) = delete;
    static void disarm() noexcept { now.armed.store(false, std::memory_order_release); }
};

template <class F>
F* next(const char* name) noexcept {
    return reinterpret_cast<F*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace call_faults

// Declared by another name, so that the exception specification of the C library's header does not
// matter.
#define RONDO_REPLACE_IF(result, name, parameters, arguments, condition, before_error)     \
    extern "C" result replaced_##name parameters asm(#name);                             \
    extern "C" result replaced_##name parameters {                                       \
        static auto* const real = call_faults::next<result parameters>(#name);           \
        const int error = call_faults::strike(call_faults::index_of(#name), condition);   \
        if (error != 0) {                                                                \
            before_error;                                                                \
            errno = error;                                                               \
            return -1;                                                                   \
        }                                                                                \
        return real arguments;                                                           \
    }
#define RONDO_REPLACE(result, name, parameters, arguments) \
    RONDO_REPLACE_IF(result, name, parameters, arguments, true, static_cast<void>(0))

RONDO_REPLACE(int, epoll_create1, (int flags), (flags))
RONDO_REPLACE(int, epoll_ctl, (int set, int what, int fd, epoll_event* event),
              (set, what, fd, event))
RONDO_REPLACE(int, epoll_wait, (int set, epoll_event* out, int room, int ms), (set, out, room, ms))
RONDO_REPLACE(int, epoll_pwait2,
              (int set, epoll_event* out, int room, const timespec* time, const sigset_t* mask),
              (set, out, room, time, mask))
RONDO_REPLACE(int, eventfd, (unsigned count, int flags), (count, flags))
RONDO_REPLACE(int, timerfd_create, (int clock, int flags), (clock, flags))
RONDO_REPLACE(int, poll, (pollfd * all, nfds_t count, int ms), (all, count, ms))
RONDO_REPLACE(int, socket, (int family, int type, int protocol), (family, type, protocol))
RONDO_REPLACE(int, socketpair, (int family, int type, int protocol, int* ends),
              (family, type, protocol, ends))
RONDO_REPLACE(int, bind, (int fd, const sockaddr* name, socklen_t size), (fd, name, size))
RONDO_REPLACE(int, listen, (int fd, int backlog), (fd, backlog))
RONDO_REPLACE(int, getsockname, (int fd, sockaddr* name, socklen_t* size), (fd, name, size))
RONDO_REPLACE(int, getpeername, (int fd, sockaddr* name, socklen_t* size), (fd, name, size))
RONDO_REPLACE(int, getsockopt, (int fd, int level, int name, void* value, socklen_t* size),
              (fd, level, name, value, size))
RONDO_REPLACE(int, setsockopt, (int fd, int level, int name, const void* value, socklen_t size),
              (fd, level, name, value, size))
RONDO_REPLACE(int, accept4, (int fd, sockaddr* name, socklen_t* size, int flags),
              (fd, name, size, flags))
RONDO_REPLACE(int, connect, (int fd, const sockaddr* name, socklen_t size), (fd, name, size))
RONDO_REPLACE(ssize_t, recv, (int fd, void* into, std::size_t size, int flags),
              (fd, into, size, flags))
RONDO_REPLACE(ssize_t, recvmsg, (int fd, msghdr* message, int flags), (fd, message, flags))
RONDO_REPLACE(ssize_t, send, (int fd, const void* from, std::size_t size, int flags),
              (fd, from, size, flags))
RONDO_REPLACE(ssize_t, sendmsg, (int fd, const msghdr* message, int flags), (fd, message, flags))
RONDO_REPLACE(ssize_t, sendfile64, (int to, int from, off_t* at, std::size_t size),
              (to, from, at, size))
RONDO_REPLACE(int, shutdown, (int fd, int how), (fd, how))
RONDO_REPLACE_IF(int, close, (int fd), (fd), true, real(fd))
RONDO_REPLACE(int, fstat64, (int fd, struct stat* status), (fd, status))
RONDO_REPLACE(int, pipe2, (int* ends, int flags), (ends, flags))
RONDO_REPLACE(off_t, lseek64, (int fd, off_t to, int from), (fd, to, from))
RONDO_REPLACE(ssize_t, readv, (int fd, const iovec* parts, int count), (fd, parts, count))
RONDO_REPLACE(ssize_t, preadv64, (int fd, const iovec* parts, int count, off_t at),
              (fd, parts, count, at))
RONDO_REPLACE_IF(ssize_t, preadv64v2,
                 (int fd, const iovec* parts, int count, off_t at, int flags),
                 (fd, parts, count, at, flags), call_faults::may_strike(fd), static_cast<void>(0))
RONDO_REPLACE(ssize_t, writev, (int fd, const iovec* parts, int count), (fd, parts, count))
RONDO_REPLACE(ssize_t, pwritev64, (int fd, const iovec* parts, int count, off_t at),
              (fd, parts, count, at))
RONDO_REPLACE_IF(ssize_t, pwritev64v2,
                 (int fd, const iovec* parts, int count, off_t at, int flags),
                 (fd, parts, count, at, flags), call_faults::may_strike(fd), static_cast<void>(0))
RONDO_REPLACE(int, statx,
              (int folder, const char* path, int flags, unsigned mask, struct statx* out),
              (folder, path, flags, mask, out))
RONDO_REPLACE(int, renameat2,
              (int folder, const char* path, int other, const char* to, unsigned flags),
              (folder, path, other, to, flags))
RONDO_REPLACE(int, unlinkat, (int folder, const char* path, int flags), (folder, path, flags))
RONDO_REPLACE(int, mkdirat, (int folder, const char* path, mode_t mode), (folder, path, mode))
RONDO_REPLACE(int, symlinkat, (const char* to, int folder, const char* path), (to, folder, path))
RONDO_REPLACE(int, linkat,
              (int folder, const char* path, int other, const char* to, int flags),
              (folder, path, other, to, flags))
RONDO_REPLACE(int, fsync, (int fd), (fd))
RONDO_REPLACE(int, fdatasync, (int fd), (fd))
RONDO_REPLACE(int, fallocate64, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size))
RONDO_REPLACE(int, ftruncate64, (int fd, off_t size), (fd, size))

// Those with a last argument that is optional: passing one more word does no harm.
#define RONDO_REPLACE_OPTIONAL(name, parameters, arguments, last)                          \
    extern "C" int replaced_##name parameters asm(#name);                                  \
    extern "C" int replaced_##name parameters {                                            \
        static auto* const real = call_faults::next<int parameters>(#name);                \
        va_list list;                                                                      \
        va_start(list, last);                                                              \
        const long word = va_arg(list, long);                                              \
        va_end(list);                                                                      \
        if (const int error = call_faults::strike(call_faults::index_of(#name)); error) {  \
            errno = error;                                                                 \
            return -1;                                                                     \
        }                                                                                  \
        return real arguments;                                                             \
    }

RONDO_REPLACE_OPTIONAL(fcntl64, (int fd, int what, ...), (fd, what, word), what)
RONDO_REPLACE_OPTIONAL(ioctl, (int fd, unsigned long what, ...), (fd, what, word), what)
RONDO_REPLACE_OPTIONAL(open64, (const char* path, int flags, ...), (path, flags, word), flags)
RONDO_REPLACE_OPTIONAL(openat64, (int folder, const char* path, int flags, ...),
                       (folder, path, flags, word), flags)

/// That of a sanitizer inside this program, which has to know of each thread.
extern "C" __attribute__((weak)) int __interceptor_pthread_create(pthread_t* thread,
                                                                  const pthread_attr_t* options,
                                                                  void* (*run)(void*), void* word);
extern "C" int replaced_pthread_create(pthread_t* thread, const pthread_attr_t* options,
                                       void* (*run)(void*), void* word) asm("pthread_create");
extern "C" int replaced_pthread_create(pthread_t* thread, const pthread_attr_t* options,
                                       void* (*run)(void*), void* word) {
    static auto* const real =
        call_faults::next<int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*)>(
            "pthread_create");
    const int error = call_faults::strike(call_faults::index_of("pthread_create"));
    if (error != 0) return error;
    return (__interceptor_pthread_create != nullptr ? __interceptor_pthread_create : real)(
        thread, options, run, word);
}

#undef RONDO_REPLACE
#undef RONDO_REPLACE_IF
#undef RONDO_REPLACE_OPTIONAL
