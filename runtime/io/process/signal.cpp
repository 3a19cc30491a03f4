// SPDX-License-Identifier: MIT
// Signals, read from signalfds. The kernel gives a signal to the first reader only. So the set that
// reads a signal gives a copy to all other sets of this process that have it. Each set waits for
// two descriptors through one epoll descriptor: its signalfd, and an eventfd (`bell`) that other
// sets write to.
#include <rondo/signal.hpp>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <mutex>
#include <string>
#include <vector>

#include <rondo/detail/loop/descriptor.hpp>
#include <rondo/operation.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr auto wait_kind_of_signals = operation_kind("read signals");
constexpr int first_real_time = 32;  // SIGRTMIN, and the signals that the C library reserves

constexpr std::uint64_t bit_of(int number) noexcept { return std::uint64_t{1} << (number - 1); }

sigset_t set_of(std::uint64_t mask) noexcept {
    sigset_t set;
    ::sigemptyset(&set);
    for (int number = 1; number <= 64; ++number)
        if ((mask & bit_of(number)) != 0) ::sigaddset(&set, number);
    return set;
}

descriptor adopt_signal_part(int number, const char* call) {
    if (number < 0) throw_system_error(errno, call, "");
    return adopt_or_close(number, "signals");
}

}  // namespace

struct signal_state {
    explicit signal_state(std::uint64_t signals_of);

    const std::uint64_t mask;  // bit n - 1 is signal n
    descriptor signals;
    descriptor bell;  // readable while `kept` is not empty
    descriptor both;
    std::vector<signal_info> kept;  // read by other sets; never grows beyond its reserve
};

signal_state::signal_state(std::uint64_t signals_of) : mask(signals_of) {
    const int number = new_signal_descriptor(set_of(mask));
    if (number < 0) throw_system_error(-number, "signalfd", "");
    signals = adopt_or_close(number, "signals");
    bell = adopt_signal_part(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
    both = adopt_signal_part(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    for (const int part : {signals.number(), bell.number()}) {
        epoll_event readable{};
        readable.events = EPOLLIN;
        if (::epoll_ctl(both.number(), EPOLL_CTL_ADD, part, &readable) != 0)
            throw_system_error(errno, "epoll_ctl", "signals");
    }
    kept.reserve(first_real_time + 64);
}

namespace {

// -- all sets of the process ------------------------------------------------------------------

struct all_sets {
    std::mutex mutex;
    std::vector<signal_state*> sets;
};

/// Never destroyed, since sets may be static objects.
all_sets& all() {
    static all_sets& instance = *new all_sets;
    return instance;
}

void keep(signal_state& set, const signal_info& info) noexcept {
    const auto same = [&](const signal_info& other) { return other.number == info.number; };
    const bool known = std::any_of(set.kept.begin(), set.kept.end(), same);
    if (known && info.number < first_real_time) return;
    if (set.kept.size() == set.kept.capacity()) return;
    set.kept.push_back(info);
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto rung = ::write(set.bell.number(), &one, sizeof one);
}

/// Gives a copy to each set that has the signal, except to `reader`.
void tell_others(const signal_info& info, const signal_state* reader) noexcept {
    const std::lock_guard lock(all().mutex);
    for (signal_state* set : all().sets)
        if (set != reader && (set->mask & bit_of(info.number)) != 0) keep(*set, info);
}

std::optional<signal_info> take_kept(signal_state& set) noexcept {
    const std::lock_guard lock(all().mutex);
    if (set.kept.empty()) return std::nullopt;
    const signal_info first = set.kept.front();
    set.kept.erase(set.kept.begin());
    std::uint64_t rung = 0;
    if (set.kept.empty()) [[maybe_unused]]
        const auto silenced = ::read(set.bell.number(), &rung, sizeof rung);
    return first;
}

std::optional<signal_info> read_signal(signal_state& set) noexcept {
    signalfd_siginfo info{};
    if (::read(set.signals.number(), &info, sizeof info) != sizeof info) return std::nullopt;
    signal_info got;
    got.number = static_cast<int>(info.ssi_signo);
    got.code = info.ssi_code;
    got.pid = static_cast<int>(info.ssi_pid);
    got.uid = info.ssi_uid;
    got.status = info.ssi_status;
    got.value = info.ssi_int;
    tell_others(got, &set);
    return got;
}

// -- the signal mask of a thread --------------------------------------------------------------

/// Number of this thread's sets per signal, and the signals that it did not block before.
struct thread_blocks {
    std::array<unsigned, 65> sets{};
    std::uint64_t was_open = 0;
};
constinit thread_local thread_blocks blocks;

void block(std::uint64_t mask) noexcept {
    const sigset_t set = set_of(mask);
    sigset_t before;
    ::pthread_sigmask(SIG_BLOCK, &set, &before);
    for (int number = 1; number <= 64; ++number) {
        if ((mask & bit_of(number)) == 0) continue;
        const bool is_first = blocks.sets[static_cast<std::size_t>(number)]++ == 0;
        if (is_first && ::sigismember(&before, number) == 0) blocks.was_open |= bit_of(number);
    }
}

/// A signal that has arrived and was not read goes to the remaining sets. It is not let through,
/// because its disposition may belong to another part of the program.
void unblock(std::uint64_t mask) noexcept {
    std::uint64_t opened = 0;
    for (int number = 1; number <= 64; ++number)
        if ((mask & bit_of(number)) != 0 && --blocks.sets[static_cast<std::size_t>(number)] == 0)
            opened |= bit_of(number);
    opened &= blocks.was_open;
    blocks.was_open &= ~opened;
    if (opened == 0) return;
    const sigset_t set = set_of(opened);
    const timespec at_once{};
    siginfo_t raw{};
    while (::sigtimedwait(&set, &raw, &at_once) >= 0 || errno == EINTR) {
        signal_info left;
        left.number = raw.si_signo;
        left.code = raw.si_code;
        left.pid = raw.si_pid;
        left.uid = raw.si_uid;
        left.status = raw.si_signo == SIGCHLD ? raw.si_status : 0;
        left.value = raw.si_value.sival_int;
        tell_others(left, nullptr);
    }
    ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void end_set(const std::shared_ptr<signal_state>& set) noexcept {
    if (set == nullptr) return;
    {
        const std::lock_guard lock(all().mutex);
        std::erase(all().sets, set.get());
    }
    unblock(set->mask);
    set->both.close();
}

task<std::optional<signal_info>> next_of(std::shared_ptr<signal_state> set) {
    if (cancel_requested()) throw cancelled();
    while (set->both.is_open()) {
        if (has_lost_race()) throw cancelled();
        if (const auto got = take_kept(*set)) co_return got;
        if (const auto got = read_signal(*set)) co_return got;
        request ask;
        ask.code = opcode::poll_add;
        ask.op_flags = POLLIN;
        operation<void> waiting(wait_kind_of_signals, set->both.record(), ask,
                                [](operation_state&) {});
        const result<void> done = co_await as_result(std::move(waiting));
        if (done) continue;
        const int error = done.error().value();
        if (error != ECANCELED && error != EBADF) throw_system_error(error, "read signals", "");
    }
    co_return std::nullopt;
}

}  // namespace
}  // namespace detail

std::uint64_t signal_set::mask_of(numbers list) {
    std::uint64_t mask = 0;
    for (std::size_t i = 0; i < list.count; ++i) {
        const int number = list.first[i];
        if (number < 1 || number > 64 || number == SIGKILL || number == SIGSTOP)
            detail::throw_system_error(EINVAL, "signal_set", std::to_string(number));
        mask |= detail::bit_of(number);
    }
    return mask;
}

signal_set::signal_set(std::uint64_t mask) : state_(std::make_shared<detail::signal_state>(mask)) {
    {
        const std::lock_guard lock(detail::all().mutex);
        detail::all().sets.push_back(state_.get());
    }
    detail::block(mask);
}

signal_set::signal_set(signal_set&&) noexcept = default;
signal_set& signal_set::operator=(signal_set&& other) noexcept {
    const signal_set before(std::move(*this));
    state_ = std::move(other.state_);
    return *this;
}
signal_set::~signal_set() { detail::end_set(state_); }

task<std::optional<signal_info>> signal_set::next() {
    RONDO_ASSERT(state_ != nullptr, "this signal_set was moved from");
    return detail::next_of(state_);
}

void signal_set::close() noexcept {
    if (state_ != nullptr) state_->both.close();
}

namespace detail {

task<int> wait_signal(signal_set signals) {
    const std::optional<signal_info> got = co_await signals.next();
    co_return got->number;  // not empty: no other owner can close this set
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
