// SPDX-License-Identifier: MIT
// Interpreting an entry: what it is, and what is done at once. See core.hpp.
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "kernel/readiness/core.hpp"
#include "kernel/readiness/file_calls.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

/// Of the kernel's struct __kernel_timespec.
struct timespec_64 {
    std::int64_t seconds;
    std::int64_t nanoseconds;
};

duration time_of(std::uint64_t address) noexcept {
    const auto& spec = *pointer_of<const timespec_64>(address);
    constexpr std::int64_t seconds_max = duration::max().count() / std::nano::den - 1;
    return duration(std::min(spec.seconds, seconds_max) * std::nano::den + spec.nanoseconds);
}

/// When a timeout is due that was asked for with `flags`.
time_point due_of(std::uint64_t address, std::uint32_t flags, time_point now) noexcept {
    const duration time = time_of(address);
    if ((flags & timeout_absolute) != 0) return time_point(time);
    return time > time_point::max() - now ? time_point::max() : now + time;
}

constexpr bool writes(opcode code) noexcept {
    return code == opcode::send || code == opcode::sendmsg || code == opcode::write ||
           code == opcode::writev || code == opcode::connect;
}

bool is_empty(const entry& what) noexcept {
    return is_transfer(what.code) && (what.flags & entry_pick_buffer) == 0 && length_of(what) == 0;
}

bool waits_never(const entry& what) noexcept {
    const bool is_message = what.code == opcode::recv || what.code == opcode::recvmsg ||
                            what.code == opcode::send || what.code == opcode::sendmsg;
    return is_message && (what.op_flags & MSG_DONTWAIT) != 0;
}

bool is_multishot(const entry& what) noexcept {
    if (what.code == opcode::accept) return (what.ioprio & accept_multishot) != 0;
    return what.code == opcode::recv && (what.ioprio & receive_multishot) != 0;
}

}  // namespace

void readiness_kernel::begin(pending& one) noexcept {
    const entry& what = one.what;
    switch (what.code) {
        case opcode::nop: return finish(one, 0);
        case opcode::timeout: return begin_timeout(one);
        case opcode::timeout_remove: return finish(one, change_timeout(what));
        case opcode::async_cancel:
        case opcode::poll_remove: return finish(one, cancel(what));
        case opcode::socket: {
            const int type = static_cast<int>(what.offset);
            return finish(one, or_errno(above_standard(
                                   ::socket(what.fd, type, static_cast<int>(what.length)))));
        }
        case opcode::close: return finish(one, close(what.fd));
        case opcode::shutdown:
            return finish(one, or_errno(::shutdown(what.fd, static_cast<int>(what.length))));
        case opcode::poll_add: return begin_poll(one);
        default: break;
    }
    if (!supports(what.code) || (what.flags & entry_fixed_file) != 0) return finish(one, -EINVAL);
    if (is_file_call(what.code)) return send_away(one);
    begin_on_descriptor(one);
}

/// Whether an attempt can only say that it is too early. Others fail at once on the wrong kind of
/// descriptor, even if operations wait there.
bool readiness_kernel::may_wait_untried(const pending& one, const watched& on) noexcept {
    const opcode code = one.what.code;
    if (code == opcode::accept || code == opcode::connect) return false;
    if (is_empty(one.what) || waits_never(one.what)) return false;
    return is_transfer(code) || on.kind == file_kind_t::unknown || on.kind == file_kind_t::socket;
}

/// Operations on a descriptor keep their order: one that finds others waiting waits after them. If
/// the latch shows that a read is too early, it waits without a call. A write is tried in any case:
/// a Unix socket takes a few bytes more when it no longer polls as writable. An operation with
/// several completions is tried in `enter`, where there is room for them.
void readiness_kernel::begin_on_descriptor(pending& one) noexcept {
    std::int32_t error = 0;
    watched* const on = find(one.what.fd, error);
    if (on == nullptr) return finish(one, error);
    one.on = on;
    one.writes = writes(one.what.code);
    const bool too_early = !one.writes && (on->interest & EPOLLIN) != 0 && !on->readable;
    if (is_multishot(one.what)) {
        if (!too_early) on->readable = true;
        wait_for(one, *on);
        if (!too_early) make_ready(*on);
    } else if (may_wait_untried(one, *on) && (!on->list_of(one).empty() || too_early)) {
        wait_for(one, *on);
    } else {
        settle(one, *on, attempt(one, *on));
    }
}

/// Whether the number is open is found out here: an event would never come.
void readiness_kernel::begin_poll(pending& one) noexcept {
    std::int32_t error = 0;
    watched* const on = find(one.what.fd, error);
    if (on == nullptr) return finish(one, error);
    const int events = poll_one(on->number, polled_events(one.what));
    if (events < 0) return finish(one, events);
    if ((events & POLLNVAL) != 0) return finish(one, -EBADF);
    const bool multishot = (one.what.length & poll_multishot) != 0;
    if (events != 0 && !multishot) return finish(one, events);
    one.on = on;
    const int result = watch_for_polls(*on, one.what.op_flags);
    const bool never_waits = result == -EPERM && events != 0;
    if (result < 0 && !never_waits) return finish(one, result);
    one.place = pending::place_t::waiting;
    on->pollers.append(one);
    index_.add(one);
    if (events == 0) return;
    on->hit = true;
    make_ready(*on);
}

void readiness_kernel::begin_timeout(pending& one) noexcept {
    one.place = pending::place_t::timed;
    index_.add(one);
    note_due(one, due_of(one.what.address, one.what.op_flags, now()));
}

void readiness_kernel::note_due(pending& one, time_point due) noexcept {
    one.place = pending::place_t::timed;
    one.due = due;
    timed_.append(one);
    next_due_ = std::min(next_due_, due);
}

std::int32_t readiness_kernel::change_timeout(const entry& what) noexcept {
    pending* const target = index_.find(what.address);
    if (target == nullptr || target->what.code != opcode::timeout) return -ENOENT;
    if ((what.op_flags & timeout_update) == 0) {
        leave(*target);
        finish(*target, -ECANCELED);
        return 0;
    }
    target->due = due_of(what.offset, what.op_flags, now());
    next_due_ = std::min(next_due_, target->due);
    return 0;
}

/// Passes an entry to a thread. If there is none, the loop's thread has to block.
void readiness_kernel::send_away(pending& one) noexcept {
    one.place = pending::place_t::away;
    if (!one.found) index_.add(one);
    try {
        if (!workers_) workers_ = std::make_unique<workers>(wake_);
        if (workers_->add(one)) return;
    } catch (...) {
        workers_.reset();
    }
    finish(one, call_elsewhere(one));
}

/// An operation waits without a try if the latch of its descriptor says that it is too early. But
/// its event may be waiting in epoll, and the cancel comes first: as a read with a timeout of zero.
std::int32_t readiness_kernel::last_try(pending& one) noexcept {
    const bool untried = one.place == pending::place_t::waiting && !one.tried &&
                         one.what.code != opcode::poll_add && !is_multishot(one.what);
    return untried ? attempt(one, *one.on) : not_ready;
}

std::int32_t readiness_kernel::cancel(const entry& what) noexcept {
    if (what.code == opcode::async_cancel && what.op_flags != 0) return -EINVAL;
    pending* const target = index_.find(what.address);
    if (target == nullptr) return -ENOENT;
    if (what.code == opcode::poll_remove && target->what.code != opcode::poll_add) return -ENOENT;
    if (target->place == pending::place_t::away) {
        if (!workers_->remove(*target)) return -EALREADY;
        finish(*target, target->moved != 0 ? static_cast<std::int32_t>(target->moved)
                                           : -ECANCELED);
        return 0;
    }
    if (const std::int32_t result = last_try(*target); result != not_ready) {
        leave(*target);
        settle(*target, *target->on, result);
        return -EALREADY;
    }
    leave(*target);
    const bool moved = target->moved != 0 && target->what.code != opcode::connect;
    finish(*target, moved ? static_cast<std::int32_t>(target->moved) : -ECANCELED);
    return 0;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
