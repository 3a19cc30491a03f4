// SPDX-License-Identifier: MIT
// The result of an operation at its event: a number, -errno, or sim_wait. See simulator.hpp.
#include <fcntl.h>

#include <cerrno>
#include <cstring>

#include "base/poison.hpp"
#include "kernel/simulator/simulator.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

std::int32_t simulator::attempt(sim_operation& operation) {
    const entry& what = operation.what;
    switch (what.code) {
        case opcode::nop:
            return 0;
        case opcode::timeout:
            return -ETIME;
        case opcode::timeout_remove:
            return (what.op_flags & timeout_update) != 0 ? update_timeout(operation)
                                                         : cancel(operation);
        case opcode::async_cancel:
        case opcode::poll_remove:
            return cancel(operation);
        case opcode::socket:
            return attempt_socket(what);
        case opcode::close:
            return attempt_close(operation);
        case opcode::openat:
            return attempt_open(operation);
        case opcode::statx:
            return attempt_status(operation);
        case opcode::renameat:
        case opcode::unlinkat:
        case opcode::mkdirat:
        case opcode::symlinkat:
        case opcode::linkat:
            return attempt_name(what);
        case opcode::shutdown:
            return network_.shutdown(*operation.socket, static_cast<int>(what.length));
        case opcode::accept:
            return attempt_accept(operation);
        case opcode::connect:
            return attempt_connect(operation);
        default:
            if ((what.flags & entry_pick_buffer) != 0) return attempt_picking(operation);
            return operation.socket != nullptr ? attempt_message(operation)
                                               : files_.attempt(operation);
    }
}

// -- descriptors --

/// If no descriptor is free, accept fails and the connection stays in the queue.
std::int32_t simulator::attempt_accept(sim_operation& operation) {
    if (operation.socket->waiting > 0 && descriptors_full()) return -EMFILE;
    std::int32_t result = 0;
    sim_socket* const accepted = network_.accept(*operation.socket, result);
    if (accepted == nullptr) return result;
    const entry& what = operation.what;
    if ((what.ioprio & accept_multishot) == 0)
        accepted->remote.copy_to(sim_pointer<sockaddr>(what.address),
                                 sim_pointer<socklen_t>(what.offset));
    return open_descriptor(accepted, nullptr);
}

std::int32_t simulator::attempt_connect(sim_operation& operation) {
    const entry& what = operation.what;
    const auto* const address = sim_pointer<const sockaddr>(what.address);
    const std::string path = is_unix(*operation.socket)
                                 ? sim_name::path_in(address, static_cast<socklen_t>(what.offset))
                                 : std::string();
    if (const int error = path.empty() ? 0 : files_.find_socket(path); error < 0) return error;
    return attempt_message(operation);
}

/// Receives into a lent buffer. A buffer is used up only if bytes were received.
std::int32_t simulator::attempt_picking(sim_operation& operation) {
    const entry asked = operation.what;
    std::byte one{};
    if (lent_free_.empty()) {
        operation.what.code = opcode::recv;
        operation.what.op_flags = MSG_PEEK;
        operation.what.address = reinterpret_cast<std::uintptr_t>(&one);
        operation.what.length = 1;
    } else {
        char* const buffer = lent_ + std::size_t{lent_free_.front()} * lent_stride_;
        operation.what.address = reinterpret_cast<std::uintptr_t>(buffer);
        operation.what.length = lent_size_;
        allow(sim_pointer<char>(operation.what.address), lent_size_);
    }
    std::int32_t result = attempt_message(operation);  // closes descriptors that come along
    operation.what = asked;
    operation.moved = 0;
    if (result <= 0) return result;
    if (lent_free_.empty()) return -ENOBUFS;
    operation.picked = lent_free_.front();
    lent_free_.pop_front();
    return result;
}

std::int32_t simulator::attempt_open(sim_operation& operation) {
    if (descriptors_full()) return -EMFILE;
    if (operation.socket != nullptr) return -ENOTDIR;
    const entry& what = operation.what;
    sim_file* file = nullptr;
    const int error = files_.open(operation.file, sim_pointer<const char>(what.address),
                                  static_cast<int>(what.op_flags), what.length, file);
    return error < 0 ? error : open_descriptor(nullptr, file);
}

std::int32_t simulator::attempt_status(sim_operation& operation) {
    if (operation.socket != nullptr) return -ENOTDIR;
    const entry& what = operation.what;
    return files_.status(operation.file, sim_pointer<const char>(what.address),
                         static_cast<int>(what.op_flags), sim_pointer<struct statx>(what.offset));
}

std::int32_t simulator::attempt_name(const entry& what) {
    const char* const path = sim_pointer<const char>(what.address);
    const char* const other = sim_pointer<const char>(what.offset);
    switch (what.code) {
        case opcode::mkdirat:
            return files_.make_directory(path, what.length);
        case opcode::unlinkat:
            return files_.remove(path, (what.op_flags & AT_REMOVEDIR) != 0);
        case opcode::renameat:
            return files_.rename(path, other, what.op_flags);
        case opcode::linkat:
            return files_.link(path, other);
        default:
            return files_.make_link(path, other);
    }
}

std::int32_t simulator::attempt_socket(const entry& what) {
    return open_socket(what.fd, static_cast<int>(what.offset), static_cast<int>(what.length));
}

std::int32_t simulator::attempt_close(sim_operation& operation) {
    free_descriptor(operation.what.fd);
    return operation.verdict;  // 0, or the error of a fault, although the descriptor is closed
}

// -- cancelling --

namespace {

sim_operation* target_of(const sim_operation& operation) noexcept {
    sim_operation* const target = operation.target;
    if (target == nullptr || target->sequence != operation.target_sequence) return nullptr;
    const opcode code = operation.what.code;
    if (code == opcode::timeout_remove && target->what.code != opcode::timeout) return nullptr;
    if (code == opcode::poll_remove && target->what.code != opcode::poll_add) return nullptr;
    return target;
}

/// Whether it is the connect of a Unix socket to a listener with a full backlog.
bool waits_for_backlog(const sim_operation& operation) noexcept {
    return operation.what.code == opcode::connect && operation.queue != nullptr &&
           is_unix(*operation.socket);
}

/// Whether its result is decided, or about to be: then a cancel may come too late.
bool is_completing(const sim_operation& operation, time_point now) noexcept {
    if (!operation.scheduled || operation.delayed) return false;
    return operation.what.code != opcode::timeout || operation.due <= now;
}

}  // namespace

std::int32_t simulator::cancel(sim_operation& operation) {
    sim_operation* const target = target_of(operation);
    if (target == nullptr) return -ENOENT;
    if (target->cancel_asked || target->what.code == opcode::close) return -EALREADY;
    target->cancel_asked = true;
    if (target->failed) return -EALREADY;  // otherwise the requested fault would not occur
    if (waits_for_backlog(*target)) {  // a thread of io_uring waits in connect(2): a signal ends it
        core_.decide(*target, -EINTR);
        return -EALREADY;
    }
    if (is_completing(*target, core_.now) && core_.dice.percent(core_.options.late_percent))
        return core_.dice.percent(50) ? 0 : -EALREADY;
    core_.decide_cancelled(*target);
    if (target->socket != nullptr) network_.advance(*target->socket);
    return 0;
}

std::int32_t simulator::update_timeout(sim_operation& operation) {
    sim_operation* const target = target_of(operation);
    if (target == nullptr) return -ENOENT;
    if (target->cancel_asked || target->decided) return -EALREADY;
    core_.schedule_at(*target, operation.new_time);
    return 0;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
