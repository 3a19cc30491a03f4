// SPDX-License-Identifier: MIT
// Sending files without a copy.
#include "io/send_uncopied.hpp"

#include <cerrno>
#include <string>

#include <rondo/detail/loop/descriptor.hpp>
#include <rondo/readiness.hpp>

#include "io/stream_turn.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

struct file_access {
    static const descriptor& of(const file& which) noexcept { return which.fd_; }
};

namespace {

constexpr const char* verb = "send a file to";

/// Whether an error is about the file, or about the call itself. A read will tell which.
bool has_to_be_copied(int error) noexcept {
    switch (error) {
        case ENODATA:
        case EINVAL:
        case EIO:
        case ENOMEM:
        case ENOSYS:
        case EOPNOTSUPP:
        case EOVERFLOW:
        case EISDIR:
        case EBADF: return true;
        default: return false;
    }
}

}  // namespace

task<std::optional<std::size_t>> send_uncopied(const file& from, byte_stream& to,
                                               std::uint64_t offset, std::size_t count) {
    const held<> target = stream_access::state(to);
    const descriptor& source = file_access::of(from);
    if (target->writes != opcode::send) co_return std::nullopt;
    while (source.is_open()) {
        const auto turn = stream_turn::to_write(*target, verb);
        const std::int64_t sent = send_from_memory(target->fd, source, offset, count);
        if (sent >= 0) co_return static_cast<std::size_t>(sent);
        const int error = static_cast<int>(-sent);
        if (error == EAGAIN) {
            // A stream that was closed is found above.
            [[maybe_unused]] const auto ready = co_await as_result(wait_writable(target->fd));
            continue;
        }
        if (error == EINTR) continue;
        if (has_to_be_copied(error)) co_return std::nullopt;
        target->failed(error);
        throw write_error(std::error_code(error, std::system_category()),
                          std::string(verb) + " " + target->name(), 0, count);
    }
    co_return std::nullopt;  // the read says why
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
