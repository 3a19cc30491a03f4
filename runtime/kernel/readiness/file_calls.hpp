// SPDX-License-Identifier: MIT
// Transfers that are on no socket, and calls on files: as system calls.
#pragma once

#include <cstdint>

#include "kernel/readiness/pending.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// Converts an address in an entry back to a pointer.
template <class T>
T* pointer_of(std::uint64_t address) noexcept {
    return reinterpret_cast<T*>(static_cast<std::uintptr_t>(address));
}

/// The events of a poll_add, for poll(2). io_uring tells of a half-closed peer in any case.
constexpr short polled_events(const entry& what) noexcept {
    constexpr std::uint32_t half_closed = 0x2000;  // POLLRDHUP
    return static_cast<short>(what.op_flags | half_closed);
}

constexpr bool is_transfer(opcode code) noexcept {
    return code == opcode::read || code == opcode::readv || code == opcode::write ||
           code == opcode::writev;
}

/// Whether an entry is a call on files that may block, and never waits for readiness.
bool is_file_call(opcode code) noexcept;

/// Makes the call of an entry, and blocks as long as that takes. A transfer goes on after the bytes
/// that it has moved already. Returns: its result or -errno.
/// Thread: any; one with all signals blocked.
std::int32_t call_elsewhere(const pending& one) noexcept;

/// The transfer of a read or a write (also readv and writev) on `fd`, without the bytes that it has
/// moved already; `flags` are RWF_*. Returns: its result or -errno.
std::int32_t transfer(const pending& one, int fd, int flags) noexcept;

/// Returns: how many bytes a read or write asks for.
std::uint64_t length_of(const entry& what) noexcept;

/// Whether a read of a regular file, of which `one.moved` bytes have come, has reached the end.
bool at_end_of_file(const pending& one) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
