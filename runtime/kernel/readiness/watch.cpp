// SPDX-License-Identifier: MIT
// Registering descriptors with epoll, and what happens when they become ready. See core.hpp.
#include <poll.h>

#include <algorithm>
#include <cerrno>

#include "kernel/readiness/core.hpp"
#include "kernel/readiness/file_calls.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr std::uint32_t to_read = EPOLLIN | EPOLLRDHUP | EPOLLPRI;
constexpr std::uint32_t poll_events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI;

// One descriptor's share of a turn: a peer that sends without end must not starve the others.
constexpr std::int64_t bytes_a_turn = 64 * 1024;
constexpr std::int64_t bytes_of_accept = bytes_a_turn / 16;

std::uint64_t word_of(const watched& on) noexcept {
    return std::uint64_t{on.closes} << 32 | static_cast<std::uint32_t>(on.number);
}

bool is_last(const pending& one, std::int32_t result) noexcept {
    const entry& what = one.what;
    if (result < 0) return true;
    if (what.code == opcode::accept) return (what.ioprio & accept_multishot) == 0;
    return result == 0 || what.code != opcode::recv || (what.ioprio & receive_multishot) == 0;
}

}  // namespace

/// Returns: the record of an open number, as it is now: if the number was closed since it was last
/// used, nothing is known of the new file. The same if another loop has closed the twin, to use the
/// file itself. Null, and -errno, if there is none.
watched* readiness_kernel::find(int fd, std::int32_t& error) noexcept {
    std::uint32_t closes = 0;
    error = fd < 0 ? -EBADF : numbers_.closes(fd, closes);
    if (error < 0) return nullptr;
    watched* const on = table_.find(fd);
    error = -ENOMEM;
    if (on == nullptr) return nullptr;
    const bool has_lost_twin = on->twin >= 0 && on->twin != numbers_.twin_of(fd);
    if (on->number != fd || on->closes != closes || has_lost_twin) {
        forget(*on);
        on->number = fd;
        on->closes = closes;
    } else if (on->ours && !numbers_.is_in(epoll_.get(), fd)) [[unlikely]] {
        on->ours = false;  // another loop has used it since, and watches it now
        on->interest = 0;
        on->readable = on->writable = on->hung_up = false;
    }
    return on;
}

/// Ends what is known of a number. Operations are left on it only if it was closed behind their
/// back, such as polls on a number that rondo does not own: they would never end.
void readiness_kernel::forget(watched& on) noexcept {
    for (pending_list* const list : {&on.readers, &on.writers, &on.pollers})
        while (!list->empty()) {
            pending& one = list->pop();
            finish(one, -EBADF);
        }
    if (on.in_ready) ready_.remove(on);
    if (on.ours) numbers_.unwatch(epoll_.get(), on.number);
    else if (on.interest != 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, on.number, nullptr);
    on.number = -1;
    on.interest = 0;
    on.twin = -1;
    on.kind = file_kind_t::unknown;
    on.tcp = tcp_t::unknown;
    on.ours = on.refused = on.nonblocking = on.no_cached_write = on.in_ready = on.hit = false;
    on.readable = on.writable = on.hung_up = on.urgent = false;
}

/// Registers it for these events too, until it is closed. Returns: 0, or -errno; -EPERM for a file
/// that never waits.
int readiness_kernel::watch(watched& on, std::uint32_t events) noexcept {
    if (on.refused) return -EPERM;
    if (on.ours && (on.interest & events) == events) return 0;
    const std::uint32_t all = on.interest | events;
    const int result = numbers_.watch(epoll_.get(), on.number, all | EPOLLET, word_of(on));
    on.refused = result == -EPERM;
    if (result < 0) return result;
    on.ours = true;
    on.interest = all;
    return 0;
}

/// A number that is not ours is registered while polls wait on it: if its owner closes it and opens
/// another file, that one is to be registered afresh.
int readiness_kernel::watch_for_polls(watched& on, std::uint32_t events) noexcept {
    events = (events & poll_events) | EPOLLRDHUP;
    if (on.ours) return watch(on, events);
    const std::uint32_t all = on.interest | events;
    epoll_event event{};
    event.events = all | EPOLLET;
    event.data.u64 = word_of(on);
    const int operation = on.pollers.empty() ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    int result = ::epoll_ctl(epoll_.get(), operation, on.number, &event);
    if (result != 0 && (errno == EEXIST || errno == ENOENT)) {
        const int other = errno == EEXIST ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
        result = ::epoll_ctl(epoll_.get(), other, on.number, &event);
    }
    if (result != 0) return -errno;
    on.interest = all;
    return 0;
}

/// Acts on the result of an attempt; the operation is in no list.
void readiness_kernel::settle(pending& one, watched& on, std::int32_t result) noexcept {
    switch (result) {
        case not_ready:
            on.latch_of(one.writes) = false;
            return wait_for(one, on);
        case goes_away: return send_away(one);
        case comes_later:
            if (!one.found) index_.add(one);
            return note_due(one, one.due);
        default: return finish(one, result);
    }
}

/// For /dev/null, a directory and the like. An operation of sockets fails with the true error.
void readiness_kernel::never_waits(pending& one, watched& on) noexcept {
    if (!is_transfer(one.what.code)) {
        const std::int32_t result = attempt(one, on);
        return finish(one, result > comes_later ? result : -EOPNOTSUPP);
    }
    on.kind = file_kind_t::storage;
    settle(one, on, attempt(one, on));
}

/// Puts it into the list of its descriptor. An event comes also if the descriptor became ready
/// before it was registered.
void readiness_kernel::wait_for(pending& one, watched& on) noexcept {
    const int result = watch(on, one.writes ? to_read | EPOLLOUT : to_read);
    if (result == -EPERM) return never_waits(one, on);
    if (result < 0) return finish(one, result);
    one.place = pending::place_t::waiting;
    on.list_of(one).append(one);
    if (!one.found) index_.add(one);
}

/// Takes an entry out of the list that it waits in.
void readiness_kernel::leave(pending& one) noexcept {
    if (one.place == pending::place_t::timed) return timed_.remove(one);
    watched& on = *one.on;
    on.list_of(one).remove(one);
    if (one.what.code == opcode::poll_add) after_polls(on);
}

void readiness_kernel::see(const epoll_event& event) noexcept {
    const auto number = static_cast<int>(event.data.u64 & 0xffffffff);
    watched* const on = table_.find(number);
    if (on == nullptr || on->number != number || word_of(*on) != event.data.u64) return;  // closed
    const std::uint32_t events = event.events;
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLPRI | EPOLLHUP | EPOLLERR)) != 0)
        on->readable = true;
    if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) on->writable = true;
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) on->hung_up = true;
    if ((events & EPOLLPRI) != 0) on->urgent = true;
    on->hit = !on->pollers.empty();
    const bool anything = (on->readable && !on->readers.empty()) ||
                          (on->writable && !on->writers.empty()) || on->hit;
    if (anything) make_ready(*on);
}

void readiness_kernel::make_ready(watched& on) noexcept {
    if (on.in_ready) return;
    on.in_ready = true;
    ready_.append(on);
}

void readiness_kernel::run(watched& on) noexcept {
    if (on.hit) run_pollers(on);  // before the reads take what they are to tell of
    std::int64_t budget = bytes_a_turn;
    run_list(on, false, budget);
    budget = bytes_a_turn;
    run_list(on, true, budget);
    const bool more =
        (on.readable && !on.readers.empty()) || (on.writable && !on.writers.empty()) || on.hit;
    if (more) make_ready(on);
}

void readiness_kernel::run_list(watched& on, bool writes, std::int64_t& budget) noexcept {
    pending_list& list = writes ? on.writers : on.readers;
    bool& latch = on.latch_of(writes);
    while (!list.empty() && latch && budget > 0 && has_room()) {
        pending& one = list.front();
        const std::int32_t result = attempt(one, on);
        if (result == not_ready) {
            latch = false;
            return;
        }
        budget -= one.what.code == opcode::accept ? bytes_of_accept : std::max(result, 1);
        if (result > goes_away && result != comes_later && !is_last(one, result)) {
            emit_more(one, result, one.flags);
            one.flags = 0;
            continue;
        }
        list.remove(one);
        one.place = pending::place_t::none;
        settle(one, on, result);
    }
}

void readiness_kernel::run_pollers(watched& on) noexcept {
    on.hit = false;
    for (pending* each = on.pollers.first(); each != nullptr;) {
        pending& one = *each;
        each = pending_list::next(one);
        if (!has_room()) {
            on.hit = true;
            return;
        }
        const int events = poll_one(on.number, polled_events(one.what));
        if (events == 0) continue;
        if (events > 0 && (one.what.length & poll_multishot) != 0) {
            emit_more(one, events, 0);
            continue;
        }
        on.pollers.remove(one);
        finish(one, events > 0 && (events & POLLNVAL) != 0 ? -EBADF : events);
    }
    after_polls(on);
}

void readiness_kernel::after_polls(watched& on) noexcept {
    if (on.ours || on.interest == 0 || !on.pollers.empty()) return;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, on.number, nullptr);
    on.interest = 0;
    on.readable = on.writable = on.hung_up = false;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
