// SPDX-License-Identifier: MIT
// Signals, read from a signalfd through the ring.
#include <rondo/signal.hpp>

#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>

#include <cerrno>
#include <ctime>
#include <string>

#include <rondo/detail/descriptor.hpp>

namespace rondo {
inline namespace v0 {

namespace {

constexpr auto read_kind = detail::operation_kind("read signals");

sigset_t set_of(std::uint64_t mask) noexcept {
    sigset_t set;
    ::sigemptyset(&set);
    for (int number = 1; number <= 64; ++number)
        if ((mask >> (number - 1) & 1) != 0) ::sigaddset(&set, number);
    return set;
}

/// What came of these and was not read: gone, since the dispositions are somebody else's.
void drop_pending(const sigset_t& set) noexcept {
    const timespec at_once{};
    while (::sigtimedwait(&set, nullptr, &at_once) >= 0 || errno == EINTR) {
    }
}

}  // namespace

std::uint64_t signal_set::mask_of(numbers list) {
    std::uint64_t mask = 0;
    for (std::size_t i = 0; i < list.count; ++i) {
        const int number = list.first[i];
        if (number < 1 || number > 64 || number == SIGKILL || number == SIGSTOP)
            detail::throw_system_error(EINVAL, "signal_set", std::to_string(number));
        mask |= std::uint64_t{1} << (number - 1);
    }
    return mask;
}

signal_set::signal_set(std::uint64_t mask) : mask_(mask) {
    const sigset_t set = set_of(mask);
    const int number = detail::new_signal_descriptor(set);
    if (number < 0) detail::throw_system_error(-number, "signalfd", "");
    fd_ = detail::adopt_or_close(number, "signals");
    sigset_t before;
    ::pthread_sigmask(SIG_BLOCK, &set, &before);
    for (int each = 1; each <= 64; ++each) {
        const std::uint64_t bit = std::uint64_t{1} << (each - 1);
        if ((mask & bit) != 0 && ::sigismember(&before, each) == 0) blocked_ |= bit;
    }
}

signal_set::~signal_set() {
    if (blocked_ == 0) return;
    const sigset_t set = set_of(blocked_);
    drop_pending(set);
    ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

task<std::optional<signal_info>> signal_set::next() {
    signalfd_siginfo info{};
    detail::request ask;
    ask.code = detail::opcode::read;
    ask.address = detail::address_of(&info);
    ask.length = sizeof info;
    ask.offset = ~std::uint64_t{0};
    operation<void> reading(read_kind, fd_.record(), ask, [](detail::operation_state&) {});
    const result<void> done = co_await as_result(std::move(reading));
    if (!done) {
        const int error = done.error().value();
        if (error == ECANCELED || error == EBADF) co_return std::nullopt;  // closed
        detail::throw_system_error(error, read_kind.what, "");
    }
    signal_info got;
    got.number = static_cast<int>(info.ssi_signo);
    got.code = info.ssi_code;
    got.pid = static_cast<int>(info.ssi_pid);
    got.uid = info.ssi_uid;
    got.status = info.ssi_status;
    got.value = info.ssi_int;
    co_return got;
}

namespace detail {

task<int> wait_signal(signal_set signals) {
    const std::optional<signal_info> got = co_await signals.next();
    co_return got->number;  // nobody else can close it
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
