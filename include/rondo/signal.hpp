// SPDX-License-Identifier: MIT
// Waiting for signals, without a signal handler and its restrictions:
//
//     rondo::signal_set reload(SIGHUP, SIGUSR1);
//     while (auto signal = co_await reload.next()) read_configuration();
//
// A set blocks its signals in the thread that makes it, and reads them from the kernel (signalfd).
// Threads that are started later inherit the mask. The kernel may still deliver the signal to a
// thread that was started before and does not block it. So make the set first. rondo's own threads
// block all signals anyway.
//
// Equal signals that arrive before one is read count as one, as always. Real-time signals that were
// sent by sigqueue(3) are queued.
//
// Several sets, in one thread or in several, may have one signal. Each set gets each signal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <rondo/config.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {

/// A signal that has arrived. See: signalfd(2).
struct signal_info {
    int number = 0;      ///< SIGTERM ...
    int code = 0;        ///< SI_USER (kill), SI_QUEUE, SI_TIMER ...
    int pid = 0;         ///< process that sent it; for SIGCHLD the child
    unsigned uid = 0;    ///< real user of that process
    int status = 0;      ///< for SIGCHLD: exit code or signal
    int value = 0;       ///< value passed to sigqueue(3)
};
static_assert(std::is_trivially_destructible_v<signal_info>);

namespace detail {
struct signal_state;
}

/// A set of signals to wait for. Move-only. While it lives, these signals do not interrupt its
/// thread. When a thread's last set that has a signal is destroyed, the signal is unblocked if it
/// was not blocked before. A signal that has arrived and was not read goes to the sets of other
/// threads that have it, or is dropped.
/// Thread: made, used and destroyed on its loop's thread.
/// See:    signalfd(2), asyncio loop.add_signal_handler, trio.open_signal_receiver.
class RONDO_API signal_set {
public:
    /// Throws: std::system_error: EINVAL for a number that is no signal, and for SIGKILL and
    ///         SIGSTOP.
    template <class... Numbers>
        requires(std::is_same_v<Numbers, int> && ...)
    explicit signal_set(int first, Numbers... more) : signal_set(mask_of({first, more...})) {}

    signal_set(signal_set&& other) noexcept;
    signal_set& operator=(signal_set&& other) noexcept;
    ~signal_set();

    /// Waits for the next signal; signals that arrived since the set was made count. A set keeps up
    /// to 64 real-time signals that another set has read first, and drops further ones.
    /// Returns: the signal; empty if the set was closed.
    /// Throws:  std::system_error.
    /// Cancel:  no signal is lost: one that was read anyway is returned, and the next wait throws.
    task<std::optional<signal_info>> next();

    /// Ends the wait. The signals stay blocked until the set is destroyed.
    void close() noexcept;

private:
    struct numbers {
        const int* first;
        std::size_t count;
    };
    template <std::size_t Count>
    static std::uint64_t mask_of(const int (&list)[Count]) {
        return mask_of(numbers{list, Count});
    }
    static std::uint64_t mask_of(numbers list);
    explicit signal_set(std::uint64_t mask);

    std::shared_ptr<detail::signal_state> state_;  // shared with a `next` that is being awaited
};

namespace detail {
RONDO_API task<int> wait_signal(signal_set signals);
}

/// Waits for one of these signals, which do not interrupt the thread meanwhile.
/// Returns: the signal's number.
/// Throws:  std::system_error, as signal_set.
/// Cancel:  ends the await; a signal that was read anyway is returned, and the next wait throws.
/// See:     sigwait(3).
template <class... Numbers>
    requires(std::is_same_v<Numbers, int> && ...)
task<int> wait_signal(int first, Numbers... more) {
    return detail::wait_signal(signal_set(first, more...));
}

}  // namespace v0
}  // namespace rondo
