// SPDX-License-Identifier: MIT
// See file_calls.hpp. Entries have the fields that io_uring_enter(2) describes.
#include "kernel/readiness/file_calls.hpp"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "kernel/system.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr std::uint64_t at_position = ~std::uint64_t{0};
constexpr unsigned sync_data_only = 1;  // IORING_FSYNC_DATASYNC

bool is_transfer_read(opcode code) noexcept {
    return code == opcode::read || code == opcode::readv;
}

/// The buffers of a transfer without the bytes that it has moved. A list that is longer than the
/// array is cut: the rest is a short transfer.
class parts_left {
public:
    explicit parts_left(const pending& one) noexcept {
        const entry& what = one.what;
        if (what.code == opcode::read || what.code == opcode::write) {
            single_ = {pointer_of<char>(what.address) + one.moved, what.length - one.moved};
            first_ = &single_;
            count_ = 1;
            return;
        }
        first_ = pointer_of<const iovec>(what.address);
        count_ = what.length;
        if (one.moved != 0) skip(one.moved);
    }
    const iovec* first() const noexcept { return first_; }
    int count() const noexcept { return static_cast<int>(count_); }

private:
    void skip(std::size_t moved) noexcept {
        while (count_ > 0 && moved >= first_->iov_len) {
            moved -= first_->iov_len;
            ++first_;
            --count_;
        }
        count_ = std::min(count_, copy_.size());
        std::copy_n(first_, count_, copy_.begin());
        if (count_ > 0) {
            copy_[0].iov_base = static_cast<char*>(copy_[0].iov_base) + moved;
            copy_[0].iov_len -= moved;
        }
        first_ = copy_.data();
    }

    const iovec* first_;
    std::size_t count_;
    iovec single_{};
    std::array<iovec, 64> copy_;
};

std::int32_t result_of(ssize_t result) noexcept {
    return result < 0 ? -errno : static_cast<std::int32_t>(result);
}

// Without flags by the older calls, which every filter of system calls knows. `at` is -1 for the
// position of the file.
ssize_t read_parts(int fd, const parts_left& parts, off_t at, int flags) noexcept {
    if (flags != 0) return ::preadv2(fd, parts.first(), parts.count(), at, flags);
    return at < 0 ? ::readv(fd, parts.first(), parts.count())
                  : ::preadv(fd, parts.first(), parts.count(), at);
}
ssize_t write_parts(int fd, const parts_left& parts, off_t at, int flags) noexcept {
    if (flags != 0) return ::pwritev2(fd, parts.first(), parts.count(), at, flags);
    return at < 0 ? ::writev(fd, parts.first(), parts.count())
                  : ::pwritev(fd, parts.first(), parts.count(), at);
}

std::int32_t rest_of_transfer(const pending& one) noexcept {
    const std::int32_t result = transfer(one, one.what.fd, 0);
    if (one.moved == 0) return result;
    const auto moved = static_cast<std::int32_t>(one.moved);
    return result < 0 ? moved : moved + result;
}

std::int32_t call_on_paths(const entry& what) noexcept {
    const auto* const path = pointer_of<const char>(what.address);
    const auto* const other = pointer_of<const char>(what.offset);
    const int folder = static_cast<int>(what.length);
    const int flags = static_cast<int>(what.op_flags);
    switch (what.code) {
        case opcode::openat: return or_errno(::openat(what.fd, path, flags, mode_t(what.length)));
        case opcode::openat2:
            return or_errno(static_cast<int>(
                ::syscall(SYS_openat2, what.fd, path, pointer_of<void>(what.offset), what.length)));
        case opcode::statx:
            return or_errno(::statx(what.fd, path, flags, what.length,
                                    pointer_of<struct statx>(what.offset)));
        case opcode::renameat:
            return or_errno(::renameat2(what.fd, path, folder, other, what.op_flags));
        case opcode::unlinkat: return or_errno(::unlinkat(what.fd, path, flags));
        case opcode::mkdirat: return or_errno(::mkdirat(what.fd, path, mode_t(what.length)));
        case opcode::symlinkat: return or_errno(::symlinkat(path, what.fd, other));
        case opcode::linkat: return or_errno(::linkat(what.fd, path, folder, other, flags));
        default: return -EINVAL;
    }
}

}  // namespace

bool is_file_call(opcode code) noexcept {
    switch (code) {
        case opcode::openat:
        case opcode::openat2:
        case opcode::statx:
        case opcode::renameat:
        case opcode::unlinkat:
        case opcode::mkdirat:
        case opcode::symlinkat:
        case opcode::linkat:
        case opcode::fsync:
        case opcode::fallocate:
        case opcode::ftruncate: return true;
        default: return false;
    }
}

std::uint64_t length_of(const entry& what) noexcept {
    if (what.code == opcode::read || what.code == opcode::write) return what.length;
    std::uint64_t sum = 0;
    const auto* const parts = pointer_of<const iovec>(what.address);
    for (std::uint32_t i = 0; i < what.length; ++i) sum += parts[i].iov_len;
    return sum;
}

std::int32_t transfer(const pending& one, int fd, int flags) noexcept {
    const parts_left parts(one);
    const bool here = !one.seekable || one.what.offset == at_position;
    const off_t at = here ? -1 : static_cast<off_t>(one.what.offset + one.moved);
    for (;;) {
        const ssize_t result = is_transfer_read(one.what.code) ? read_parts(fd, parts, at, flags)
                                                               : write_parts(fd, parts, at, flags);
        if (result < 0 && errno == ENOSYS && flags != 0) return -EOPNOTSUPP;
        if (result >= 0 || errno != EINTR) return result_of(result);
    }
}

bool at_end_of_file(const pending& one) noexcept {
    struct stat status {};
    if (::fstat(one.what.fd, &status) != 0 || !S_ISREG(status.st_mode)) return false;
    const bool here = one.what.offset == at_position;
    const off_t at = here ? ::lseek(one.what.fd, 0, SEEK_CUR)
                          : static_cast<off_t>(one.what.offset + one.moved);
    return at >= status.st_size;
}

std::int32_t call_elsewhere(const pending& one) noexcept {
    const entry& what = one.what;
    for (;;) {
        std::int32_t result = 0;
        switch (what.code) {
            case opcode::read:
            case opcode::readv:
            case opcode::write:
            case opcode::writev: return rest_of_transfer(one);
            case opcode::fsync:
                result = or_errno((what.op_flags & sync_data_only) != 0 ? ::fdatasync(what.fd)
                                                                        : ::fsync(what.fd));
                break;
            case opcode::fallocate:
                result = or_errno(::fallocate(what.fd, static_cast<int>(what.length),
                                              static_cast<off_t>(what.offset),
                                              static_cast<off_t>(what.address)));
                break;
            case opcode::ftruncate:
                result = or_errno(::ftruncate(what.fd, static_cast<off_t>(what.offset)));
                break;
            default: result = call_on_paths(what);
        }
        if (result != -EINTR) return result;
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
