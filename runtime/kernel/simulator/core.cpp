// SPDX-License-Identifier: MIT
// The agenda and the index of the simulator. See core.hpp.
#include "kernel/simulator/core.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include <rondo/detail/base/assert.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

// -- the agenda --

namespace {

/// The order of the heap: its front is the earliest event.
bool is_later(const sim_event& a, const sim_event& b) noexcept {
    if (a.time != b.time) return a.time > b.time;
    if (a.tie != b.tie) return a.tie > b.tie;
    return a.sequence > b.sequence;
}

}  // namespace

sim_core::sim_core(const simulator_options& chosen)
    : options(chosen), dice(chosen.seed), now(chosen.start), trace(sim_dice::mix(chosen.seed)) {
    agenda_.reserve(64);
}

void sim_core::post(sim_event event) {
    event.sequence = ++made_;
    event.tie = options.shuffle ? static_cast<std::uint32_t>(dice.draw()) : 0;
    agenda_.push_back(event);
    std::push_heap(agenda_.begin(), agenda_.end(), is_later);
}

bool sim_core::is_void(const sim_event& event) noexcept {
    return event.kind == sim_event_kind::operation &&
           operations[event.index].ticket != event.ticket;
}

const sim_event* sim_core::upcoming() noexcept {
    while (!agenda_.empty() && is_void(agenda_.front())) {
        std::pop_heap(agenda_.begin(), agenda_.end(), is_later);
        agenda_.pop_back();
        if (voided_ > 0) --voided_;
    }
    return agenda_.empty() ? nullptr : &agenda_.front();
}

sim_event sim_core::take_upcoming() noexcept {
    std::pop_heap(agenda_.begin(), agenda_.end(), is_later);
    const sim_event event = agenda_.back();
    agenda_.pop_back();
    return event;
}

/// Removes void events. Otherwise timers that are set and cancelled in a loop would fill the heap
/// until their time comes.
void sim_core::sweep() {
    agenda_.erase(std::remove_if(agenda_.begin(), agenda_.end(),
                                 [this](const sim_event& event) { return is_void(event); }),
                  agenda_.end());
    std::make_heap(agenda_.begin(), agenda_.end(), is_later);
    voided_ = 0;
}

void sim_core::schedule(sim_operation& operation, sim_latency after) {
    schedule_at(operation, now + dice.between(after));
}

void sim_core::schedule_at(sim_operation& operation, time_point due) {
    unschedule(operation);
    operation.scheduled = true;
    operation.due = due;
    if (due == time_point::max()) return;
    sim_event event;
    event.time = due;
    event.index = operation.index;
    event.ticket = ++operation.ticket;
    post(event);
}

void sim_core::unschedule(sim_operation& operation) noexcept {
    if (!operation.scheduled) return;
    operation.scheduled = false;
    ++operation.ticket;
    if (++voided_ > 64 && voided_ > agenda_.size() / 2) sweep();
}

void sim_core::decide(sim_operation& operation, std::int32_t verdict) {
    if (operation.queue != nullptr) operation.queue->remove(operation);
    operation.decided = true;
    operation.delayed = false;
    operation.verdict = verdict;
    schedule(operation, options.local);
}

void sim_core::decide_cancelled(sim_operation& operation) {
    decide(operation,
           operation.moved > 0 ? static_cast<std::int32_t>(operation.moved) : -ECANCELED);
}

std::uint32_t sim_core::shorten(const sim_operation& operation, std::uint32_t wanted) noexcept {
    if (wanted <= 1) return wanted;
    if (operation.max_bytes != 0) return std::min(wanted, operation.max_bytes);
    return dice.percent(options.short_percent) ? 1 + dice.below(wanted - 1) : wanted;
}

// -- the index --

void sim_index::insert(sim_operation& operation) {
    if (++size_ > buckets_.size()) grow();
    sim_operation*& head = bucket(operation.what.user_data);
    operation.bucket_next = head;
    head = &operation;
}

void sim_index::remove(sim_operation& operation) noexcept {
    sim_operation** link = &bucket(operation.what.user_data);
    while (*link != nullptr && *link != &operation) link = &(*link)->bucket_next;
    if (*link == nullptr) return;  // cancels and removals are never inserted
    *link = operation.bucket_next;
    operation.bucket_next = nullptr;
    --size_;
}

sim_operation* sim_index::find(std::uint64_t user_data) noexcept {
    sim_operation* found = nullptr;
    for (sim_operation* at = bucket(user_data); at != nullptr; at = at->bucket_next)
        if (at->what.user_data == user_data && (found == nullptr || at->sequence < found->sequence))
            found = at;
    return found;
}

void sim_index::grow() {
    std::vector<sim_operation*> old(buckets_.size() * 2);
    old.swap(buckets_);
    for (sim_operation* at : old)
        while (at != nullptr) {
            sim_operation* const next = at->bucket_next;
            sim_operation*& head = bucket(at->what.user_data);
            at->bucket_next = head;
            head = at;
            at = next;
        }
}

// -- texts --

const char* sim_opcode_name(opcode code) noexcept {
    // clang-format off
    static constexpr std::array names{
        "nop", "readv", "writev", "fsync", "read_fixed", "write_fixed", "poll_add", "poll_remove",
        "sync_file_range", "sendmsg", "recvmsg", "timeout", "timeout_remove", "accept",
        "async_cancel", "link_timeout", "connect", "fallocate", "openat", "close", "files_update",
        "statx", "read", "write", "fadvise", "madvise", "send", "recv", "openat2", "epoll_ctl",
        "splice", "provide_buffers", "remove_buffers", "tee", "shutdown", "renameat", "unlinkat",
        "mkdirat", "symlinkat", "linkat", "msg_ring", "fsetxattr", "setxattr", "fgetxattr",
        "getxattr", "socket", "uring_cmd", "send_zc", "sendmsg_zc", "read_multishot", "waitid",
        "futex_wait", "futex_wake", "futex_waitv", "fixed_fd_install", "ftruncate", "bind",
        "listen", "recv_zc", "epoll_wait", "readv_fixed", "writev_fixed", "pipe"};
    // clang-format on
    static_assert(names.size() == 63);
    const auto number = static_cast<std::size_t>(code);
    return number < names.size() ? names[number] : "unknown";
}

void sim_fatal(const char* format, ...) noexcept {
    std::array<char, 512> text{"simulator: "};
    const std::size_t prefix = std::strlen(text.data());
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text.data() + prefix, text.size() - prefix, format, arguments);
    va_end(arguments);
    fail(text.data());
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
