// SPDX-License-Identifier: MIT
// Operations between the awaiting frame and the kernel. The invariant: once an operation has an
// entry, only the kernel touches it, until the completion without the flag completion_more. Every
// entry has exactly one of those.
//
// Why a cancel can never hit a later operation (law 4): the kernel finds its target by the
// operation's address. Entries are submitted strictly in the order in which they were made. The
// frame that holds the operation waits for the target's own completion. So the kernel looks up the
// cancel before any later operation at the same address can exist.
#include <rondo/operation.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include "loop/descriptor_record.hpp"
#include "loop/loop_core.hpp"

// ASan does not see the kernel write into freed memory, so each completion checks its buffer.
extern "C" [[gnu::weak]] void* __asan_region_is_poisoned(void* begin, std::size_t size);

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

void check_region(const void* begin, std::size_t size) noexcept {
    if (size != 0 && __asan_region_is_poisoned(const_cast<void*>(begin), size) != nullptr)
        fail("an operation's buffer was freed before its completion came");
}

void check_parts(const iovec* parts, std::size_t count) noexcept {
    check_region(parts, count * sizeof(iovec));
    for (std::size_t i = 0; i < count; ++i) check_region(parts[i].iov_base, parts[i].iov_len);
}

void check_message(const msghdr* message) noexcept {
    check_region(message, sizeof *message);
    check_region(message->msg_name, message->msg_namelen);
    check_region(message->msg_control, message->msg_controllen);
    check_parts(message->msg_iov, message->msg_iovlen);
}

void check_buffer(const operation_state& operation) noexcept {
    if (__asan_region_is_poisoned == nullptr) return;
    const request& ask = operation.request;
    auto* const memory = reinterpret_cast<const void*>(ask.address);
    switch (ask.code) {
        case opcode::read:
        case opcode::write:
        case opcode::recv:
        case opcode::send: return check_region(memory, ask.length);
        case opcode::readv:
        case opcode::writev: return check_parts(static_cast<const iovec*>(memory), ask.length);
        case opcode::recvmsg:
        case opcode::sendmsg: return check_message(static_cast<const msghdr*>(memory));
        case opcode::statx:
            return check_region(reinterpret_cast<const void*>(ask.offset), sizeof(struct statx));
        default: return;
    }
}

/// The poll events to wait for after -EAGAIN (a descriptor with O_NONBLOCK, on older kernels); 0 if
/// the operation is not retried.
std::uint32_t awaited_readiness(opcode code) noexcept {
    switch (code) {
        case opcode::read:
        case opcode::readv:
        case opcode::recv:
        case opcode::recvmsg:
        case opcode::accept: return POLLIN;
        case opcode::write:
        case opcode::writev:
        case opcode::send:
        case opcode::sendmsg:
        case opcode::connect: return POLLOUT;
        default: return 0;
    }
}

/// True if a signal reached the kernel's worker: a cancel, or a stop of the whole process. io_uring
/// passes on numbers that the kernel normally keeps to itself (include/linux/errno.h: ERESTARTSYS
/// and the like, 512 to 516).
bool is_interrupted(const operation_state& operation) noexcept {
    constexpr std::int32_t restart_least = 512, restart_most = 516;
    if (operation.request.code == opcode::close) return false;  // the number may be closed already
    return operation.result == -EINTR ||
           (operation.result <= -restart_least && operation.result >= -restart_most);
}

/// Frequent operations, which use the descriptor's place in the kernel's table instead of its
/// number.
constexpr bool takes_place(opcode code) noexcept {
    switch (code) {
        case opcode::read:
        case opcode::readv:
        case opcode::recv:
        case opcode::recvmsg:
        case opcode::write:
        case opcode::writev:
        case opcode::send:
        case opcode::sendmsg: return true;
        default: return false;
    }
}

entry entry_of(const operation_state& operation, const kernel* of) noexcept {
    const request& ask = operation.request;
    entry e;
    e.fd = operation.on != nullptr ? operation.on->number : ask.number;
    e.user_data = address_of(&operation);
    if ((operation.state & operation_state::polling) != 0) {
        e.code = opcode::poll_add;
        e.op_flags = awaited_readiness(ask.code);
        return e;
    }
    e.code = ask.code;
    e.flags = ask.flags;
    if (takes_place(ask.code) && operation.on->place >= 0 && operation.on->os.get() == of) {
        e.fd = operation.on->place;
        e.flags |= entry_fixed_file;
    }
    e.ioprio = ask.ioprio;
    e.length = ask.length;
    e.address = ask.address;
    e.offset = ask.offset;
    e.op_flags = ask.op_flags;
    if (ask.code == opcode::splice) [[unlikely]] {
        e.ioprio = 0;
        e.file_index = ask.number;
        if (ask.ioprio == splice_takes) std::swap(e.fd, e.file_index);
    }
    return e;
}

}  // namespace

bool refuse_operation(operation_state& operation) noexcept {
    operation.phase = operation_state::phase_t::refused;
    return operation.cancel_at_start();
}

void begin(operation_state& operation) noexcept { core_of(*here.turn).begin(operation); }

namespace {

void begin_refused(operation_state& operation) noexcept {
    RONDO_ASSERT(operation.phase == operation_state::phase_t::refused,
                 "an operation was begun twice");
    requeue(operation);
}

}  // namespace

void begin_background(background_operation& operation) noexcept {
    core_of(*here.turn).begin_background(operation);
}

void loop_core::begin_background(background_operation& operation) noexcept {
    background.prepend(operation);
    begin(operation);
}

void loop_core::left_background(background_operation& operation) noexcept {
    background.remove(operation);
}

void cancel_operation(leaf_wait& wait) noexcept {
    auto& operation = static_cast<operation_state&>(wait);
    core_of(*operation.home).cancel(operation);
}

void loop_core::begin(operation_state& operation) noexcept {
    using phase = operation_state::phase_t;
    if (operation.phase != phase::idle && operation.phase != phase::done) [[unlikely]]
        return begin_refused(operation);
    operation.home = this;
    operation.state &= ~std::uint32_t(operation_state::polling);
    ++operations;
    if (operation.on != nullptr && !operation.on->add(operation, *this)) {
        operation.result = -EBADF;  // closed
        operation.on->remove(operation);
        return finish(operation);
    }
    operation.phase = phase::queued;
    if (!backlog_.empty() || !make_entry(operation)) queue(operation);
}

namespace {

/// The user_data of a cancel: distinguishes most cancels that are in flight at the same time.
std::uint64_t cancel_tag(const operation_state& target) noexcept {
    constexpr std::uint64_t tags = first_address - tag_cancel;
    return tag_cancel + address_of(&target) / alignof(operation_state) % tags;
}

}  // namespace

void loop_core::queue(operation_state& operation) noexcept { backlog_.append(operation); }

bool loop_core::make_entry(operation_state& operation) noexcept {
    entry* slot = kernel->next_entry();
    if (slot == nullptr) return false;
    *slot = entry_of(operation, kernel.get());
    operation.phase = operation_state::phase_t::in_flight;
    if (here.turn != this) [[unlikely]] host_wanted();
    return true;
}

bool loop_core::make_cancel(operation_state& operation) noexcept {
    entry* slot = kernel->next_entry();
    if (slot == nullptr) return false;
    *slot = entry{};
    slot->code = opcode::async_cancel;
    slot->flags = entry_skip_success;
    slot->address = address_of(&operation);
    slot->user_data = cancel_tag(operation);
    operation.state |= operation_state::cancel_sent;
    cancelled_.append(operation);
    if (here.turn != this) [[unlikely]] host_wanted();
    return true;
}

// Also called for each operation of a descriptor that is closed.
void loop_core::cancel(operation_state& operation) noexcept {
    using phase = operation_state::phase_t;
    if (operation.phase == phase::queued) {
        backlog_.remove(operation);
        operation.result = -ECANCELED;
        if (operation.on != nullptr) operation.on->remove(operation);
        return finish(operation);
    }
    if (operation.phase != phase::in_flight) return;
    operation.phase = phase::cancelling;
    if (backlog_.empty() && make_cancel(operation)) return;
    operation.state |= operation_state::cancel_unsent;  // it is in the backlog as a cancel
    queue(operation);
}

void loop_core::make_backlog_entries() noexcept {
    while (!backlog_.empty()) {
        operation_state& operation = backlog_.pop();
        const bool is_cancel = (operation.state & operation_state::cancel_unsent) != 0;
        if (!(is_cancel ? make_cancel(operation) : make_entry(operation)))
            return backlog_.prepend(operation);
        operation.state &= ~std::uint32_t(operation_state::cancel_unsent);
    }
}

/// Handles a cancel that failed. With -ENOENT the kernel did not find the target. Either it has
/// ended, or it was moving between a poll and a worker, where io_uring does not look: then it is
/// cancelled again.
void loop_core::cancel_failed(const completion& c) noexcept {
    if (c.result != -ENOENT) return;
    for (operation_state* each = cancelled_.first(); each != nullptr;) {
        operation_state& operation = *std::exchange(each, operation_fifo::next(*each));
        if (cancel_tag(operation) != c.user_data) continue;
        no_longer_cancelled(operation);
        operation.state |= operation_state::cancel_unsent;
        queue(operation);
    }
}

/// Removes an operation that has ended from the list of cancelled ones, or its cancel from the
/// backlog.
void loop_core::no_longer_cancelled(operation_state& operation) noexcept {
    if ((operation.state & operation_state::cancel_sent) != 0)
        cancelled_.remove(operation);
    else
        backlog_.remove(operation);
    operation.state &= ~(operation_state::cancel_sent | operation_state::cancel_unsent);
}

void loop_core::complete(const completion& c) noexcept {
    if (c.user_data < first_address) [[unlikely]]
        return c.user_data < tag_cancel ? host_completion(c) : cancel_failed(c);
    auto& operation = *reinterpret_cast<operation_state*>(c.user_data);
    RONDO_ASSERT(operation.in_kernel(), "a completion came for an operation that is not in flight");
    check_buffer(operation);
    operation.result = c.result;
    operation.flags = c.flags;
    if ((c.flags & completion_more) != 0) return operation.on_completion(operation);

    constexpr std::uint32_t cancels = operation_state::cancel_unsent | operation_state::cancel_sent;
    if ((operation.state & cancels) != 0) [[unlikely]] no_longer_cancelled(operation);
    const bool polled = (operation.state & operation_state::polling) != 0;
    if (polled || c.result < 0) [[unlikely]]
        if (begin_again(operation)) return;
    if (operation.on != nullptr) operation.on->remove(operation);
    finish(operation);
}

/// The only function that knows which results mean that nothing was done and that the operation is
/// retried: it was interrupted, it was not ready, or the poll before it reports that it is ready.
/// If a cancel was requested, the operation ends with -ECANCELED instead.
bool loop_core::begin_again(operation_state& operation) noexcept {
    const bool polled = (operation.state & operation_state::polling) != 0;
    const bool turns = polled ? operation.result >= 0
                              : operation.result == -EAGAIN &&
                                    awaited_readiness(operation.request.code) != 0;
    if (!turns && !is_interrupted(operation)) return false;
    if (operation.phase != operation_state::phase_t::in_flight) {
        operation.result = -ECANCELED;
        return false;
    }
    if (turns) operation.state ^= operation_state::polling;
    operation.phase = operation_state::phase_t::queued;
    if (!backlog_.empty() || !make_entry(operation)) queue(operation);
    return true;
}

/// Ends the operation: from now on only its frame uses it.
void loop_core::finish(operation_state& operation) noexcept {
    --operations;
    operation.phase = operation_state::phase_t::done;
    if (operation.task == nullptr) left_background(static_cast<background_operation&>(operation));
    if (operation.on_completion != nullptr)
        operation.on_completion(operation);
    else
        wake(operation);
}

/// Waits for the last completions on closed descriptors, and so for the end of their numbers (law
/// 4). The kernel cancels most operations at once; for others, the loop blocks for 20 ms at most.
/// Returns: true if there was something to wait for.
bool loop_core::finish_closings() noexcept {
    if (closings == 0) return false;
    std::array<completion, 64> came;
    const time_point until = saturating_add(kernel->now(), std::chrono::milliseconds(20));
    while (closings != 0 && kernel->now() < until) {
        make_backlog_entries();
        const entered e = kernel->enter(until, came.data(), came.size());
        for (std::size_t i = 0; i < e.completions; ++i) complete(came[i]);
    }
    return true;
}

void let_go_of_record(operation_state& operation) noexcept { operation.on->release(); }

const char* operation_object(const leaf_wait& wait) {
    const auto& operation = static_cast<const operation_state&>(wait);
    return operation.on != nullptr ? operation.on->name.c_str() : "";
}

void throw_failed(const operation_state& operation) {
    if (operation.result == -ECANCELED && here.current != nullptr && is_cancelled())
        throw cancelled();
    const char* object = operation.kind->object != nullptr ? operation.kind->object(operation) : "";
    throw_system_error(-operation.result, operation.kind->what, object);
}

void close_unclaimed(int number) noexcept {
    if (here.turn != nullptr)
        core_of(*here.turn).kernel->close(number);
    else
        system::real()->close(number);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
