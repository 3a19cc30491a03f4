// SPDX-License-Identifier: MIT
// A check whether the system lets a ring do what rondo needs. The set-up of a ring can succeed
// where its use is denied:
//   - restrictions of a ring or of a task answer EACCES to the opcodes that they do not name
//     (IORING_REGISTER_RESTRICTIONS, and the filters of Linux 7.0);
//   - a seccomp filter can allow io_uring_setup and deny io_uring_enter.
// The second is tried with each ring, by an enter of 1 us that does nothing (setup.cpp). For the
// first, a small ring submits one entry of each opcode that rondo uses, made so that it fails at
// once or does nothing. That takes half as long as the set-up of a loop's ring, so it is done once
// in a process, and again after a fork. Tasks inherit their restrictions.
//
// Not found: a filter of Linux 7.0 that the process installs after its first loop or probe; and one
// that denies opcodes of `unseen_by_filters` only. Their operations fail with EACCES.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
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

/// Those whose entries the kernel refuses before a filter of Linux 7.0 sees them. Otherwise each
/// would start a thread of the kernel. Restrictions of a ring are seen for these too.
inline constexpr std::array<opcode, 11> unseen_by_filters{
    opcode::fsync,    opcode::fallocate, opcode::statx,     opcode::splice,
    opcode::shutdown, opcode::renameat,  opcode::unlinkat,  opcode::mkdirat,
    opcode::symlinkat, opcode::linkat,   opcode::ftruncate,
};

/// Entries that a ring must have room for to be checked.
inline constexpr unsigned canary_count = 32;
static_assert(used_opcodes.size() + 1 <= canary_count);

/// Whether a ring of this process was checked.
bool is_checked();

using canary_answers = std::array<std::int32_t, 256>;  // by opcode; 0: it was not asked

/// Checks a ring that is enabled and has nothing in its queues; leaves them empty.
/// Throws: uring_unavailable if the ring refuses an opcode, or to be entered; with ENOMEM if the
///         kernel has no memory for entries.
canary_answers check_ring(mapped_ring& ring);

/// Returns: the names of the opcodes that the ring refused, as in "socket, openat".
std::string names_of(const std::bitset<256>& opcodes);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
