// SPDX-License-Identifier: MIT
// Submission entries become operations in flight. Data that the real kernel reads when it takes an
// entry (times, the target of a cancel) is read here. Buffers, names and paths are read when the
// operation completes: that is stricter than the kernel, and allowed by law 1.
#include <fcntl.h>
#include <linux/time_types.h>

#include <cerrno>
#include <cstdio>

#include "kernel/simulator/simulator.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

bool simulator::supports(opcode code) const noexcept {
    switch (code) {
        case opcode::nop:
        case opcode::readv:
        case opcode::writev:
        case opcode::fsync:
        case opcode::poll_add:
        case opcode::poll_remove:
        case opcode::sendmsg:
        case opcode::recvmsg:
        case opcode::timeout:
        case opcode::timeout_remove:
        case opcode::accept:
        case opcode::async_cancel:
        case opcode::connect:
        case opcode::fallocate:
        case opcode::openat:
        case opcode::close:
        case opcode::statx:
        case opcode::read:
        case opcode::write:
        case opcode::send:
        case opcode::recv:
        case opcode::shutdown:
        case opcode::socket:
        case opcode::ftruncate:
        case opcode::renameat:
        case opcode::unlinkat:
        case opcode::mkdirat:
        case opcode::symlinkat:
        case opcode::linkat:
            return true;
        default:
            return false;
    }
}

namespace {

bool is_removal(opcode code) noexcept {
    return code == opcode::async_cancel || code == opcode::poll_remove ||
           code == opcode::timeout_remove;
}

bool needs_socket(opcode code) noexcept {
    switch (code) {
        case opcode::accept:
        case opcode::connect:
        case opcode::send:
        case opcode::recv:
        case opcode::sendmsg:
        case opcode::recvmsg:
        case opcode::shutdown:
            return true;
        default:
            return false;
    }
}

/// Returns: false if the time is invalid.
bool read_time(std::uint64_t address, bool absolute, time_point now, time_point& due) noexcept {
    const __kernel_timespec time = *sim_pointer<const __kernel_timespec>(address);
    if (time.tv_sec < 0 || time.tv_nsec < 0)
        return false;  // a tv_nsec of more than a second is valid
    duration::rep span = 0;
    if (__builtin_mul_overflow(time.tv_sec, 1'000'000'000, &span)) span = duration::max().count();
    due = saturating_add(absolute ? time_point() : now, duration(span));
    due = saturating_add(due, duration(time.tv_nsec));
    return true;
}

}  // namespace

/// Whether the simulator interprets the entry. If not, it writes a line: the entry ends with
/// -EINVAL, which says too little.
bool simulator::is_simulated(const entry& what) noexcept {
    constexpr std::uint32_t known = entry_async | entry_skip_success | entry_pick_buffer;
    const char* const name = sim_opcode_name(what.code);
    if (!supports(what.code))
        std::fprintf(stderr, "rondo: opcode %d (%s) is not simulated: EINVAL\n", int(what.code),
                     name);
    else if ((what.flags & ~known) != 0)
        std::fprintf(stderr, "rondo: flags 0x%x of a %s entry are not simulated: EINVAL\n",
                     unsigned(what.flags), name);
    else if (what.code == opcode::timeout && what.offset != 0)
        std::fputs("rondo: a timeout that counts completions is not simulated: EINVAL\n", stderr);
    else if (what.code == opcode::async_cancel && what.op_flags != 0)
        std::fprintf(stderr, "rondo: async_cancel with flags 0x%x is not simulated: EINVAL\n",
                     what.op_flags);
    else
        return true;
    return false;
}

void simulator::begin_entry(const entry& what) {
    sim_operation& operation = core_.operations.take();
    const std::uint32_t index = operation.index;
    const std::uint32_t ticket = operation.ticket;
    operation = sim_operation();
    operation.index = index;
    operation.ticket = ticket;
    operation.sequence = ++submitted_;
    operation.what = what;
    core_.note(static_cast<std::uint64_t>(what.code) | std::uint64_t(what.flags) << 8U |
               std::uint64_t(what.ioprio) << 16U | std::uint64_t(what.op_flags) << 32U);
    core_.note(static_cast<std::uint32_t>(what.fd) | std::uint64_t(what.length) << 32U);

    if (is_removal(what.code)) {
        operation.target = by_user_data_.find(what.address);
        if (operation.target != nullptr) operation.target_sequence = operation.target->sequence;
    } else {
        by_user_data_.insert(operation);
    }
    if (!is_simulated(what)) return core_.decide(operation, -EINVAL);
    if (!bind_descriptor(operation)) return core_.decide(operation, -EBADF);
    if (!apply_fault(operation)) begin(operation);
}

/// Applies the fault if it is for this operation. Returns: true if the operation must not begin
/// now.
bool simulator::apply_fault(sim_operation& operation) {
    const opcode code = operation.what.code;
    if (is_removal(code) || code == opcode::timeout) return false;
    const sim_fault& fault = core_.options.fault;
    if (operations_++ != fault.operation || fault.kind == sim_fault_kind::none) return false;
    if (fault.kind == sim_fault_kind::cut) {
        operation.max_bytes = fault.length;
        return false;
    }
    if (fault.kind == sim_fault_kind::delay) {
        operation.delayed = true;
        core_.schedule_at(operation, saturating_add(core_.now, core_.options.fault_delay));
        return true;
    }
    if (fault.kind == sim_fault_kind::hook) {
        core_.options.on_fault(core_.options.on_fault_argument);
        return false;
    }
    const std::int32_t error = fault.kind == sim_fault_kind::cancel ? -ECANCELED : -fault.error;
    if (code == opcode::close) {
        operation.verdict = error;  // it closes all the same, unless the fault is a cancellation
        if (fault.kind != sim_fault_kind::cancel) return false;
        descriptor_of(operation.what.fd).closing = false;
    }
    operation.failed = fault.kind == sim_fault_kind::error;
    core_.decide(operation, error);
    return true;
}

void simulator::begin(sim_operation& operation) {
    switch (operation.what.code) {
        case opcode::nop:
        case opcode::socket:
        case opcode::close:
        case opcode::async_cancel:
        case opcode::poll_remove:
            return core_.schedule(operation, core_.options.local);
        case opcode::timeout:
        case opcode::timeout_remove:
            return begin_timeout(operation);
        case opcode::openat:
        case opcode::statx:
        case opcode::renameat:
        case opcode::unlinkat:
        case opcode::mkdirat:
        case opcode::symlinkat:
        case opcode::linkat:
            return core_.schedule(operation, core_.options.file);
        default:
            return begin_on_descriptor(operation);
    }
}

/// Finds the descriptor and counts the operation on it. A close makes the number invalid for later
/// entries at once. Returns: false if there is no such descriptor.
bool simulator::bind_descriptor(sim_operation& operation) {
    const entry& what = operation.what;
    switch (what.code) {
        case opcode::nop:
        case opcode::socket:
        case opcode::timeout:
        case opcode::timeout_remove:
        case opcode::async_cancel:
        case opcode::poll_remove:
            return true;
        case opcode::renameat:
        case opcode::unlinkat:
        case opcode::mkdirat:
        case opcode::symlinkat:
        case opcode::linkat:
            return what.fd == AT_FDCWD;  // the only directory that rondo names
        case opcode::openat:
        case opcode::statx:
            if (what.fd == AT_FDCWD || *sim_pointer<const char>(what.address) == '/') return true;
            break;
        default:
            break;
    }
    descriptor* const found = find(what.fd);
    if (found == nullptr) return false;
    if (what.code == opcode::close) {
        check_idle(what.fd);
        found->closing = true;
        return true;
    }
    operation.socket = found->socket;
    operation.file = found->file;
    operation.is_counted = true;
    ++found->in_flight;
    return true;
}

void simulator::begin_timeout(sim_operation& operation) {
    const entry& what = operation.what;
    const bool update = what.code == opcode::timeout_remove;
    if (update && (what.op_flags & timeout_update) == 0) {
        if (what.op_flags != 0) return core_.decide(operation, -EINVAL);
        return core_.schedule(operation, core_.options.local);
    }
    const std::uint32_t known = timeout_absolute | (update ? timeout_update : 0U);
    time_point due;
    const bool absolute = (what.op_flags & timeout_absolute) != 0;
    if ((what.op_flags & ~known) != 0 ||
        !read_time(update ? what.offset : what.address, absolute, core_.now, due))
        return core_.decide(operation, -EINVAL);
    if (!update) return core_.schedule_at(operation, due);
    core_.schedule(operation, core_.options.local);
    operation.new_time = due;
}

void simulator::begin_on_descriptor(sim_operation& operation) {
    const opcode code = operation.what.code;
    if (operation.socket == nullptr) {
        if (needs_socket(code)) return core_.decide(operation, -ENOTSOCK);
        return core_.schedule(operation, core_.options.file);
    }
    if (is_pipe(*operation.socket) && needs_socket(code)) return core_.decide(operation, -ENOTSOCK);
    if (code == opcode::fallocate)
        return core_.decide(operation, is_pipe(*operation.socket) ? -ESPIPE : -ENODEV);
    if (code == opcode::fsync || code == opcode::ftruncate)
        return core_.decide(operation, -EINVAL);
    if (code == opcode::shutdown) return core_.schedule(operation, core_.options.local);
    network_.begin(operation);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
