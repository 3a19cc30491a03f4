// SPDX-License-Identifier: MIT
// A check whether the system lets a ring do what rondo needs. The set-up of a ring can succeed
// where its use is denied:
//   - restrictions of a ring or of a task answer EACCES to the opcodes that they do not name
//     (IORING_REGISTER_RESTRICTIONS, and the filters of Linux 7.0);
//   - a seccomp filter can allow io_uring_setup and deny io_uring_enter.
// So the first ring of a process submits one entry of each opcode that rondo uses, made so that it
// fails at once or does nothing. That is one system call of about 10 us, once in a process. Tasks
// inherit their restrictions, so later rings are not asked.
#pragma once

#include <array>
#include <bitset>
#include <string>

#include <rondo/detail/kernel/entry.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

class mapped_ring;

struct named_opcode {
    opcode code;
    const char* name;
};

/// The opcodes that rondo uses, except those that Linux 6.1 lacks.
inline constexpr std::array<named_opcode, 30> used_opcodes{{
    {opcode::nop, "nop"},
    {opcode::readv, "readv"},
    {opcode::writev, "writev"},
    {opcode::fsync, "fsync"},
    {opcode::poll_add, "poll_add"},
    {opcode::poll_remove, "poll_remove"},
    {opcode::sendmsg, "sendmsg"},
    {opcode::recvmsg, "recvmsg"},
    {opcode::timeout, "timeout"},
    {opcode::timeout_remove, "timeout_remove"},
    {opcode::accept, "accept"},
    {opcode::async_cancel, "async_cancel"},
    {opcode::connect, "connect"},
    {opcode::fallocate, "fallocate"},
    {opcode::openat, "openat"},
    {opcode::close, "close"},
    {opcode::statx, "statx"},
    {opcode::read, "read"},
    {opcode::write, "write"},
    {opcode::send, "send"},
    {opcode::recv, "recv"},
    {opcode::openat2, "openat2"},
    {opcode::splice, "splice"},
    {opcode::shutdown, "shutdown"},
    {opcode::renameat, "renameat"},
    {opcode::unlinkat, "unlinkat"},
    {opcode::mkdirat, "mkdirat"},
    {opcode::symlinkat, "symlinkat"},
    {opcode::linkat, "linkat"},
    {opcode::socket, "socket"},
}};

/// Whether a ring of this process is still to be checked.
bool must_check_rings() noexcept;

/// Checks a ring that is enabled and has nothing in its queues; leaves them empty.
/// Throws: uring_unavailable if the ring refuses an opcode, or to be entered.
void check_ring(mapped_ring& ring);

/// Returns: the names of the opcodes that the ring refused, as in "socket, openat".
std::string names_of(const std::bitset<256>& opcodes);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
