// SPDX-License-Identifier: MIT
// Signals as things that one waits for: no handler, and so nothing that a handler may not do.
//
//     rondo::signal_set reload(SIGHUP, SIGUSR1);
//     while (auto signal = co_await reload.next()) read_configuration();
//
// A set blocks its signals in the thread that makes it, and reads them from the kernel (signalfd).
// Threads that are started later inherit that; a thread that was started before, and does not block
// them, may be chosen by the kernel to be interrupted instead: so make the set first. Threads of
// rondo's own block all signals anyway.
//
// Equal signals that come before one was read are one, as everywhere; those of sigqueue(3) with a
// real-time number are not.
//
// Several sets may have one signal, in one thread or in several: each of them gets each signal.
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

/// A signal that came.
struct signal_info {
    int number = 0;      ///< SIGTERM ...
    int code = 0;        ///< SI_USER (kill), SI_QUEUE, SI_TIMER ...
    int pid = 0;         ///< who sent it; of SIGCHLD, the child
    unsigned uid = 0;    ///< whose process that is
    int status = 0;      ///< of SIGCHLD: exit code or signal
    int value = 0;       ///< what sigqueue(3) gave along
};
static_assert(std::is_trivially_destructible_v<signal_info>);

namespace detail {
struct signal_state;
}

/// Signals that are waited for. Move-only. As long as it lives they interrupt nobody. When the last
/// set of a thread that has a signal goes, the signal is let through again if it was not blocked
/// before; one that came and was not read goes to the sets of other threads that have it, or is
/// dropped.
/// Thread: made, used and destroyed on its loop's.
/// See:    signalfd(2), asyncio loop.add_signal_handler, trio.open_signal_receiver.
class RONDO_API signal_set {
public:
    /// Throws: std::system_error: EINVAL for what is no signal, or SIGKILL or SIGSTOP.
    template <class... Numbers>
        requires(std::is_same_v<Numbers, int> && ...)
    explicit signal_set(int first, Numbers... more) : signal_set(mask_of({first, more...})) {}

    signal_set(signal_set&& other) noexcept;
    signal_set& operator=(signal_set&& other) noexcept;
    ~signal_set();

    /// The next one that comes, or that has come since the set was made. A set keeps up to 64
    /// real-time signals that another set has read first, and drops further ones.
    /// Returns: empty if the set was closed.
    /// Throws:  std::system_error.
    /// Cancel:  nothing lost: one that was read anyway is returned, and the next wait throws.
    task<std::optional<signal_info>> next();

    /// Ends the wait. The signals stay blocked until the set goes.
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

    std::shared_ptr<detail::signal_state> state_;  // a `next` that is being awaited has it too
};

namespace detail {
RONDO_API task<int> wait_signal(signal_set signals);
}

/// Waits for one of these, which interrupts nobody meanwhile.
/// Returns: its number.
/// Throws:  std::system_error, as signal_set.
/// Cancel:  leaves; one that was read anyway is returned, and the next wait throws.
/// See:     sigwait(3).
template <class... Numbers>
    requires(std::is_same_v<Numbers, int> && ...)
task<int> wait_signal(int first, Numbers... more) {
    return detail::wait_signal(signal_set(first, more...));
}

}  // namespace v0
}  // namespace rondo
