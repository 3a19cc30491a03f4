// SPDX-License-Identifier: MIT
// The child's side of starting a program: code that runs between clone(2) and execve(2), in the
// memory of this process and on the stack of the waiting thread. It only makes system calls. It
// does not allocate, takes no lock, and calls no function that a sanitizer instruments or
// intercepts (the sanitizer's state belongs to the parent). Signals are blocked until all
// dispositions are the default ones.
#pragma once

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include <rondo/detail/kernel/spawn.hpp>

#ifdef __clang__
#define RONDO_BARE __attribute__((disable_sanitizer_instrumentation))
#else
#define RONDO_BARE __attribute__((no_sanitize("address"), no_sanitize("undefined")))
#endif

namespace rondo {
inline namespace v0 {
namespace detail {

/// The steps for the child, filled in by the parent; and the error, filled in by the child.
struct spawn_plan {
    const spawn_request* request;
    const char* const* files;  // tried in this order; null at the end
    const int* kept;           // ascending
    std::size_t kept_count;
    long descriptors_max;  // used if the kernel has no close_range(2)
    int streams[3];        // a copy that the child changes
    int parent;            // the id of this process
    volatile int error;    // an errno; 0: the program runs
    volatile bool bad_directory;
};

RONDO_BARE inline void reset_signals() noexcept {
    constexpr long default_action[8] = {};  // larger than the kernel's struct on every architecture
    for (int number = 1; number <= 64; ++number)  // SIGKILL and SIGSTOP are refused
        ::syscall(SYS_rt_sigaction, number, default_action, nullptr, sizeof(std::uint64_t));
    constexpr std::uint64_t none = 0;
    ::syscall(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, &none, nullptr, sizeof none);
}

/// Makes descriptors 0, 1 and 2 the requested ones, and the kept ones inheritable. Returns 0 or an
/// errno.
RONDO_BARE inline int redirect_streams(spawn_plan& plan) noexcept {
    // Sources below 3 are moved first: a later copy might overwrite them.
    for (int target = 0; target < 3; ++target) {
        int& from = plan.streams[target];
        if (from < 0 || from >= 3 || from == target) continue;
        from = static_cast<int>(::syscall(SYS_fcntl, from, F_DUPFD_CLOEXEC, 3));
        if (from < 0) return errno;
    }
    for (int target = 0; target < 3; ++target) {
        const int from = plan.streams[target];
        if (from < 0) continue;
        const long result = from == target ? ::syscall(SYS_fcntl, from, F_SETFD, 0)
                                           : ::syscall(SYS_dup3, from, target, 0);
        if (result < 0) return errno;
    }
    for (std::size_t i = 0; i < plan.kept_count; ++i)
        if (::syscall(SYS_fcntl, plan.kept[i], F_SETFD, 0) < 0) return errno;
    return 0;
}

/// close_range(2). If the kernel has none, closes one by one the numbers below `end`.
RONDO_BARE inline void close_range_of(unsigned first, unsigned last, long end) noexcept {
    if (first > last || ::syscall(SYS_close_range, first, last, 0) == 0) return;
    for (long number = first; number <= static_cast<long>(last) && number < end; ++number)
        ::syscall(SYS_close, number);
}

/// Closes all descriptors except the standard streams and the kept ones.
RONDO_BARE inline void close_others(const spawn_plan& plan) noexcept {
    unsigned first = 3;
    for (std::size_t i = 0; i < plan.kept_count; ++i) {
        const auto kept = static_cast<unsigned>(plan.kept[i]);
        if (kept < first) continue;
        if (kept > first) close_range_of(first, kept - 1, plan.descriptors_max);
        first = kept + 1;
    }
    close_range_of(first, ~0u, plan.descriptors_max);
}

/// Runs the first file that can be run. Returns an errno, like execvp(3): EACCES if a file was not
/// executable, else ENOENT; any other error ends the search.
RONDO_BARE inline int execute(const spawn_plan& plan) noexcept {
    int error = ENOENT;
    for (const char* const* file = plan.files; *file != nullptr; ++file) {
        ::syscall(SYS_execve, *file, plan.request->arguments, plan.request->environment);
        const int now = errno;
        if (now == EACCES)
            error = now;
        else if (now != ENOENT && now != ENOTDIR && now != ESTALE && now != ENODEV &&
                 now != ETIMEDOUT)
            return now;
    }
    return error;
}

/// Asks for SIGKILL at the end of the parent's thread. That thread cannot end before the execve,
/// which it waits for, except if its whole process is killed: the parent is another one then.
RONDO_BARE inline int die_with_parent(int parent) noexcept {
    constexpr int sigkill = 9;
    if (::syscall(SYS_prctl, PR_SET_PDEATHSIG, sigkill, 0, 0, 0) < 0) return errno;
    return ::syscall(SYS_getppid) == parent ? 0 : ESRCH;
}

/// Runs the program. Returns only on failure, with an errno.
RONDO_BARE inline int become_program(spawn_plan& plan) noexcept {
    const spawn_request& request = *plan.request;
    if (request.die_with_parent)
        if (const int error = die_with_parent(plan.parent)) return error;
    if (request.new_session && ::syscall(SYS_setsid) < 0) return errno;
    if (request.new_group && !request.new_session && ::syscall(SYS_setpgid, 0, 0) < 0) return errno;
    if (request.directory != nullptr && ::syscall(SYS_chdir, request.directory) < 0) {
        plan.bad_directory = true;
        return errno;
    }
    if (const int error = redirect_streams(plan)) return error;
    close_others(plan);
    reset_signals();
    return execute(plan);
}

/// The child's function for clone(2). `argument` is the spawn_plan.
RONDO_BARE inline int spawn_child(void* argument) noexcept {
    auto& plan = *static_cast<spawn_plan*>(argument);
    plan.error = become_program(plan);
    for (;;) ::syscall(SYS_exit_group, 127);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
