// SPDX-License-Identifier: MIT
// One try of an operation on a socket, which never blocks. See core.hpp.
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "base/poison.hpp"
#include "kernel/readiness/core.hpp"
#include "kernel/readiness/file_calls.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

using namespace std::chrono_literals;

/// Calls again while a signal interrupts. Returns: the result or -errno.
template <class Call>
std::int32_t repeat(Call call) noexcept {
    for (;;) {
        const auto result = call();
        if (result >= 0) return static_cast<std::int32_t>(result);
        if (errno != EINTR) return -errno;
    }
}

bool is_tcp(watched& on) noexcept {
    if (on.tcp == tcp_t::unknown) {
        int protocol = 0;
        socklen_t size = sizeof protocol;
        const int result = ::getsockopt(on.number, SOL_SOCKET, SO_PROTOCOL, &protocol, &size);
        on.tcp = result == 0 && protocol == IPPROTO_TCP ? tcp_t::yes : tcp_t::no;
    }
    return on.tcp == tcp_t::yes;
}

std::uint64_t length_of_message(const entry& what) noexcept {
    if (what.code == opcode::recv) return what.length;
    const auto& message = *pointer_of<const msghdr>(what.address);
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < message.msg_iovlen; ++i) sum += message.msg_iov[i].iov_len;
    return sum;
}

/// O_NONBLOCK while it lives, for connect(2), on a description that was blocking.
class briefly_nonblocking {
public:
    explicit briefly_nonblocking(int fd) noexcept : fd_(fd), flags_(::fcntl(fd, F_GETFL)) {
        if (flags_ >= 0 && (flags_ & O_NONBLOCK) == 0)
            ::fcntl(fd_, F_SETFL, flags_ | O_NONBLOCK);
        else
            flags_ = -1;
    }
    ~briefly_nonblocking() {
        const int error = errno;
        if (flags_ >= 0) ::fcntl(fd_, F_SETFL, flags_);
        errno = error;
    }
    briefly_nonblocking(const briefly_nonblocking&) = delete;
    briefly_nonblocking& operator=(const briefly_nonblocking&) = delete;

private:
    int fd_;
    int flags_;
};

}  // namespace

std::int32_t readiness_kernel::attempt(pending& one, watched& on) noexcept {
    one.tried = true;
    switch (one.what.code) {
        case opcode::accept: return attempt_accept(one, on);
        case opcode::connect: return attempt_connect(one, on);
        case opcode::read:
        case opcode::readv:
        case opcode::write:
        case opcode::writev:
            if ((one.what.flags & entry_pick_buffer) != 0) return attempt_picking(one, on);
            return attempt_transfer(one, on);
        default:
            if ((one.what.flags & entry_pick_buffer) != 0) return attempt_picking(one, on);
            return attempt_on_socket(one, on);
    }
}

namespace {

ssize_t call_on_socket(const entry& what, std::size_t moved) noexcept {
    const int flags = static_cast<int>(what.op_flags) | MSG_DONTWAIT;
    char* const memory = pointer_of<char>(what.address);
    switch (what.code) {
        case opcode::recv: return ::recv(what.fd, memory + moved, what.length - moved, flags);
        case opcode::send:
            return ::send(what.fd, memory + moved, what.length - moved, flags | MSG_NOSIGNAL);
        case opcode::recvmsg: return ::recvmsg(what.fd, pointer_of<msghdr>(what.address), flags);
        default:
            return ::sendmsg(what.fd, pointer_of<const msghdr>(what.address),
                             flags | MSG_NOSIGNAL);
    }
}

}  // namespace

/// The result of a call that said EAGAIN. A datagram socket that was shut down for reading says so
/// too, and polls as readable: a call that may block ends there with 0. The second try is for bytes
/// that came before the poll.
std::int32_t readiness_kernel::too_early(const pending& one, const watched& on) noexcept {
    if ((one.what.op_flags & MSG_DONTWAIT) != 0)
        return one.moved != 0 ? static_cast<std::int32_t>(one.moved) : -EAGAIN;
    if (one.writes || !on.hung_up) return not_ready;
    const int events = poll_one(on.number, POLLRDHUP);
    if (events < 0 || (events & POLLRDHUP) == 0) return not_ready;
    const std::int32_t result = repeat([&] { return call_on_socket(one.what, one.moved); });
    return result == -EAGAIN ? 0 : result;
}

/// With MSG_WAITALL it goes on until all bytes have moved, or until nothing more will: then the
/// bytes so far are the result.
std::int32_t readiness_kernel::attempt_on_socket(pending& one, watched& on) noexcept {
    const entry& what = one.what;
    const bool single = what.code == opcode::recv || what.code == opcode::send;
    const bool all = single && (what.op_flags & MSG_WAITALL) != 0;
    const auto moved = [&one] { return static_cast<std::int32_t>(one.moved); };
    for (;;) {
        const std::int32_t result = repeat([&] { return call_on_socket(what, one.moved); });
        if (result == -EAGAIN) return too_early(one, on);
        if (!all) {
            const bool reads = what.code == opcode::recv || what.code == opcode::recvmsg;
            if (reads && result > 0 && on.readable && !on.hung_up && !on.urgent &&
                (what.op_flags & (MSG_PEEK | MSG_TRUNC | MSG_OOB)) == 0 &&
                static_cast<std::uint32_t>(result) < length_of_message(what) && is_tcp(on))
                on.readable = false;
            return result;
        }
        if (result <= 0) return one.moved != 0 ? moved() : result;
        one.moved += static_cast<std::uint32_t>(result);
        if (one.moved >= what.length) return moved();
    }
}

/// accept4(2) has no flag for "do not wait", and another process may take the connection that an
/// event told of. So a listening socket gets O_NONBLOCK, also one that was adopted.
std::int32_t readiness_kernel::attempt_accept(const pending& one, watched& on) noexcept {
    const entry& what = one.what;
    int listens = 0;
    socklen_t size = sizeof listens;
    if (!on.nonblocking &&
        ::getsockopt(what.fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0) {
        const int flags = ::fcntl(what.fd, F_GETFL);
        if (flags < 0) return -errno;
        if ((flags & O_NONBLOCK) == 0 && ::fcntl(what.fd, F_SETFL, flags | O_NONBLOCK) < 0)
            return -errno;
        on.nonblocking = true;
    }
    const std::int32_t result = repeat([&] {
        return above_standard(::accept4(what.fd, pointer_of<sockaddr>(what.address),
                                        pointer_of<socklen_t>(what.offset),
                                        static_cast<int>(what.op_flags)));
    });
    return result == -EAGAIN ? not_ready : result;
}

/// Begins a connection, or ends one that was begun (`moved` is 1): a second connect(2) tells how it
/// went, and does not block once poll(2) says that the socket is writable. A full backlog of a Unix
/// socket answers EAGAIN, and such a socket polls as ready at once: it is tried again, after 1 ms
/// and then after growing pauses.
std::int32_t readiness_kernel::attempt_connect(pending& one, watched& on) noexcept {
    const entry& what = one.what;
    const auto* const name = pointer_of<const sockaddr>(what.address);
    const auto size = static_cast<socklen_t>(what.offset);
    if (one.moved != 0) {
        const int events = poll_one(on.number, POLLOUT);
        if (events <= 0) return events == 0 ? not_ready : events;
        if (::connect(what.fd, name, size) == 0 || errno == EISCONN) return 0;
        return errno == EALREADY ? not_ready : -errno;
    }
    {
        const briefly_nonblocking guard(what.fd);
        if (::connect(what.fd, name, size) == 0) return 0;
    }
    if (errno == EINPROGRESS || errno == EINTR) {
        one.moved = 1;
        return not_ready;
    }
    const bool is_full = errno == EAGAIN && size >= sizeof name->sa_family &&
                         name->sa_family == AF_UNIX;
    if (!is_full) return -errno;
    one.result = std::clamp(one.result * 2, 1, 50);  // milliseconds
    one.due = now() + std::chrono::milliseconds(one.result);
    return comes_later;
}

/// Receives into a lent buffer. One is used up only if bytes came. A read that goes to a thread
/// takes its buffer along; `finish` gives it back if nothing came.
std::int32_t readiness_kernel::attempt_picking(pending& one, watched& on) noexcept {
    one.flags = 0;
    if (lent_free_.empty()) {
        const int events = poll_one(on.number, POLLIN);
        if (events <= 0) return events == 0 ? not_ready : events;
        return -ENOBUFS;
    }
    const std::uint16_t number = lent_free_.back();
    char* const buffer = lent_ + std::size_t{number} * lent_stride_;
    const entry asked = one.what;
    const std::uint32_t wanted = asked.length == 0 ? lent_size_ : asked.length;
    one.what.flags = 0;
    one.what.address = reinterpret_cast<std::uintptr_t>(buffer);
    one.what.length = std::min(wanted, lent_size_);
    allow(buffer, lent_size_);
    const std::int32_t result = attempt(one, on);
    if (result > 0 || result == goes_away) {
        lent_free_.pop_back();
        one.flags = completion_buffer | std::uint32_t{number} << 16;
    } else {
        forbid(buffer, lent_size_);
    }
    if (result != goes_away) one.what = asked;
    return result;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
