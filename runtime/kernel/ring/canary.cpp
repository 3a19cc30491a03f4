// SPDX-License-Identifier: MIT
// See canary.hpp. No canary waits, blocks, starts a thread of the kernel or leaves anything behind:
// it names no descriptor, or has a field that the kernel refuses before it does anything. A
// restriction of opcodes is looked at before that. A filter of Linux 7.0 is looked at after the
// checks of the fields, so the canaries pass these where they can, and fail later.
#include "kernel/ring/canary.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/time_types.h>
#include <sched.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "base/identity.hpp"
#include "kernel/ring/abi.hpp"
#include "kernel/ring/mapped_ring.hpp"
#include "kernel/ring/ring.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {
namespace {

/// birth_process::number() of the process that has checked a ring.
constinit std::atomic<std::uint32_t> checked_in{0};

constexpr int no_such_type = 15;       // of socket(2): it fails before anything is loaded
constexpr std::uint16_t no_such = 1;   // a buffer index, where the opcode has none: -EINVAL
constexpr int tries_at_enter = 10;

entry canary_of(opcode code) noexcept {
    static const msghdr empty_message{};
    static const __kernel_timespec no_time{};
    static const open_how for_writing{.flags = O_WRONLY | O_CLOEXEC, .mode = 0, .resolve = 0};
    entry canary{.code = code, .user_data = static_cast<std::uint64_t>(code)};
    switch (code) {
        case opcode::recv:  // with every flag that rondo uses and that can be refused
            canary.flags = entry_fixed_file | entry_pick_buffer | entry_skip_success;
            canary.fd = std::int32_t{0x7fffffff};
            break;
        case opcode::sendmsg:
        case opcode::recvmsg:
            canary.address = reinterpret_cast<std::uintptr_t>(&empty_message);
            break;
        case opcode::socket:
            canary.fd = AF_INET;
            canary.offset = no_such_type;
            break;
        case opcode::timeout:  // is over at once
            canary.address = reinterpret_cast<std::uintptr_t>(&no_time);
            canary.length = 1;
            break;
        case opcode::openat:  // a directory cannot be opened for writing
            canary.fd = AT_FDCWD;
            canary.address = reinterpret_cast<std::uintptr_t>("/");
            canary.op_flags = O_WRONLY | O_CLOEXEC;
            break;
        case opcode::openat2:
            canary.fd = AT_FDCWD;
            canary.address = reinterpret_cast<std::uintptr_t>("/");
            canary.offset = reinterpret_cast<std::uintptr_t>(&for_writing);
            canary.length = sizeof for_writing;
            break;
        case opcode::splice:
            canary.op_flags = ~0u;
            break;
        case opcode::fsync:
        case opcode::fallocate:
        case opcode::ftruncate:
        case opcode::statx:
        case opcode::shutdown:
        case opcode::renameat:
        case opcode::unlinkat:
        case opcode::mkdirat:
        case opcode::symlinkat:
        case opcode::linkat:
            canary.buffer_index = no_such;
            break;
        default: break;
    }
    return canary;
}

bool is_refusal(int result) noexcept { return result == -EACCES || result == -EPERM; }

bool may_succeed_later(int result) noexcept {
    return result == -EAGAIN || result == -EBUSY || result == -ENOMEM;
}

/// Submits what is in the queue and waits for as many completions. Throws: uring_unavailable.
void enter(const mapped_ring& ring, unsigned count) {
    const ring_queues& queues = ring.queues();
    const std::uint32_t wanted = *queues.completion_head + count;
    unsigned left = count;
    for (int failed = 0;;) {
        const int result = enter_ring(ring.descriptor(), left, count, enter_getevents, nullptr);
        if (may_succeed_later(result)) {
            if (++failed == tries_at_enter)
                throw uring_unavailable(ENOMEM, "the kernel has no memory for operations",
                                        "free some memory and try again");
            ::sched_yield();
        } else if (result < 0 && result != -EINTR) {
            throw why_unavailable(-result);
        }
        if (result > 0) left -= static_cast<unsigned>(result);
        const std::uint32_t tail =
            shared_word(*queues.completion_tail).load(std::memory_order_acquire);
        if (left == 0 && tail == wanted) return;
    }
}

canary_answers take_answers(const ring_queues& queues, unsigned count) {
    canary_answers answers{};
    std::uint32_t head = *queues.completion_head;
    for (; count != 0; --count, ++head) {
        const completion& answer = queues.completions[head & queues.completion_mask];
        answers[answer.user_data] = answer.result;
    }
    shared_word(*queues.completion_head).store(head, std::memory_order_release);
    return answers;
}

}  // namespace

std::string names_of(const std::bitset<256>& opcodes) {
    std::string names;
    for (const named_opcode& used : used_opcodes)
        if (opcodes[static_cast<std::size_t>(used.code)])
            names.append(names.empty() ? "" : ", ").append(used.name);
    if (opcodes[static_cast<std::size_t>(opcode::ftruncate)])
        names.append(names.empty() ? "" : ", ").append("ftruncate");
    return names;
}

bool is_checked() {
    return checked_in.load(std::memory_order_relaxed) == birth_process().number();
}

canary_answers check_ring(mapped_ring& ring) {
    const ring_queues& queues = ring.queues();
    std::uint32_t tail = *queues.submit_tail;
    unsigned count = 0;
    const auto add = [&](opcode code) {
        if (!ring.facts().opcodes[static_cast<std::size_t>(code)]) return;
        queues.slots[tail++ & queues.slot_mask] = canary_of(code);
        ++count;
    };
    for (const named_opcode& used : used_opcodes) add(used.code);
    add(opcode::ftruncate);
    shared_word(*queues.submit_tail).store(tail, std::memory_order_release);
    enter(ring, count);
    const canary_answers answers = take_answers(queues, count);
    std::bitset<256> refused;
    for (std::size_t code = 0; code < answers.size(); ++code)
        refused[code] = is_refusal(answers[code]);
    if (refused.any()) throw opcodes_refused(names_of(refused));
    checked_in.store(birth_process().number(), std::memory_order_relaxed);
    return answers;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
