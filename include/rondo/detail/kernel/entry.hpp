// SPDX-License-Identifier: MIT
// Submission entries (64 bytes) and completions (16 bytes), laid out like the kernel's struct
// io_uring_sqe and struct io_uring_cqe; runtime/kernel/ring/setup.cpp asserts it. The ring passes
// them to the kernel unchanged, the simulator interprets them. The layers above need neither
// <liburing.h> nor <linux/io_uring.h>.
#pragma once

#include <cstdint>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// IORING_OP_*, with the kernel's numbers.
enum class opcode : std::uint8_t {
    nop = 0,
    readv = 1,
    writev = 2,
    fsync = 3,
    poll_add = 6,
    poll_remove = 7,
    sendmsg = 9,
    recvmsg = 10,
    timeout = 11,
    timeout_remove = 12,
    accept = 13,
    async_cancel = 14,
    connect = 16,
    fallocate = 17,
    openat = 18,
    close = 19,
    statx = 21,
    read = 22,
    write = 23,
    send = 26,
    recv = 27,
    openat2 = 28,
    splice = 30,
    shutdown = 34,
    renameat = 35,
    unlinkat = 36,
    mkdirat = 37,
    symlinkat = 38,
    linkat = 39,
    socket = 45,
    ftruncate = 55,  // 6.9
};

/// IOSQE_*: `entry::flags`.
enum entry_flags : std::uint8_t {
    entry_fixed_file = 1 << 0,    ///< fd is an index into the ring's own table
    entry_async = 1 << 4,         ///< run on a kernel worker at once (large buffered file chunks)
    entry_pick_buffer = 1 << 5,   ///< a receive takes a lent buffer (kernel::lend_buffers)
    entry_skip_success = 1 << 6,  ///< no completion if it succeeds (since 5.17)
};

/// IORING_CQE_F_*: `completion::flags`.
enum completion_flags : std::uint32_t {
    completion_buffer = 1 << 0,  ///< a lent buffer was filled: see buffer_of
    completion_more = 1 << 1,    ///< further completions follow; otherwise this is the last one
};

/// Returns: the number of the lent buffer that was filled; only with completion_buffer.
constexpr std::uint16_t buffer_of(std::uint32_t completion_flags) noexcept {
    return static_cast<std::uint16_t>(completion_flags >> 16);
}

inline constexpr std::uint16_t receive_multishot = 1 << 1;  ///< ioprio of recv, recvmsg (since 6.0)
inline constexpr std::uint16_t accept_multishot = 1 << 0;   ///< ioprio of accept (since 5.19)
inline constexpr std::uint32_t timeout_absolute = 1 << 0;   ///< op_flags of timeout
inline constexpr std::uint32_t timeout_update = 1 << 1;     ///< op_flags of timeout_remove
inline constexpr std::uint32_t poll_multishot = 1 << 0;     ///< length of poll_add

/// One submission entry: struct io_uring_sqe. A caller of next_entry writes all 64 bytes of it.
struct entry {
    opcode code = opcode::nop;
    std::uint8_t flags = 0;  // entry_flags
    std::uint16_t ioprio = 0;
    std::int32_t fd = -1;
    // Also addr2 (accept: socklen_t*; connect: socklen_t by value; timeout_remove: timespec*).
    std::uint64_t offset = 0;
    // Buffer, iovec*, msghdr*, sockaddr*, path, timespec*; async_cancel: user_data of the target.
    std::uint64_t address = 0;
    std::uint32_t length = 0;
    // rw_flags, msg_flags, open_flags, poll32_events, timeout_flags, cancel_flags, ...
    std::uint32_t op_flags = 0;
    std::uint64_t user_data = 0;
    std::uint16_t buffer_index = 0;  // with entry_pick_buffer: the group
    std::uint16_t personality = 0;
    std::int32_t file_index = 0;  // of splice: the descriptor that it reads from
    std::uint64_t address3 = 0;
    std::uint64_t reserved = 0;
};
static_assert(sizeof(entry) == 64);

/// One completion: struct io_uring_cqe.
struct completion {
    std::uint64_t user_data = 0;
    std::int32_t result = 0;  // >= 0, or -errno
    std::uint32_t flags = 0;  // completion_flags
};
static_assert(sizeof(completion) == 16);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
