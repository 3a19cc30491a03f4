// SPDX-License-Identifier: MIT
// Starting programs on the real system: posix_spawn, which shares this process's memory until the
// new program runs, tells when it cannot be run, and needs no code of ours in between. What leads
// into the program is moved to 0, 1 and 2 there; everything else of ours is close-on-exec.
#include "system_spawn.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

extern "C" {  // glibc 2.36 forgets to say so
#include <sys/pidfd.h>
}

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

/// posix_spawn's two objects, with what every program of ours is to have: default dispositions, no
/// signal blocked.
class spawn_setup {
public:
    spawn_setup() noexcept {
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawnattr_init(&attributes);
    }
    ~spawn_setup() {
        ::posix_spawn_file_actions_destroy(&actions);
        ::posix_spawnattr_destroy(&attributes);
        for (const int number : moved_)
            if (number >= 0) ::close(number);
    }
    spawn_setup(const spawn_setup&) = delete;
    spawn_setup& operator=(const spawn_setup&) = delete;

    void set_attributes(const spawn_request& what) noexcept {
        short flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
        if (what.new_session) flags = static_cast<short>(flags | POSIX_SPAWN_SETSID);
        if (what.new_group && !what.new_session) flags = static_cast<short>(flags | POSIX_SPAWN_SETPGROUP);
        sigset_t all;
        ::sigfillset(&all);
        ::posix_spawnattr_setsigdefault(&attributes, &all);
        sigset_t none;
        ::sigemptyset(&none);
        ::posix_spawnattr_setsigmask(&attributes, &none);
        ::posix_spawnattr_setflags(&attributes, flags);
    }

    /// 0 or an errno.
    int set_streams(const spawn_request& what) noexcept {
        for (int target = 0; target < 3; ++target) {
            int from = what.streams[target];
            if (from < 0) continue;
            // One of 0, 1 and 2 might be overwritten before it is copied.
            if (from < 3 && from != target) {
                from = moved_[target] = ::fcntl(from, F_DUPFD_CLOEXEC, 3);
                if (from < 0) return errno;
            }
            if (const int error = ::posix_spawn_file_actions_adddup2(&actions, from, target))
                return error;
        }
        for (std::size_t i = 0; i < what.kept_count; ++i)  // onto itself: no longer close-on-exec there
            if (const int error = ::posix_spawn_file_actions_adddup2(&actions, what.kept[i], what.kept[i]))
                return error;
        if (what.directory == nullptr) return 0;
        return ::posix_spawn_file_actions_addchdir_np(&actions, what.directory);
    }

    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;

private:
    int moved_[3] = {-1, -1, -1};
};

}  // namespace

int spawn_program(const spawn_request& what, int* pid_descriptor) noexcept {
    spawn_setup setup;
    setup.set_attributes(what);
    if (const int error = setup.set_streams(what)) return -error;
    pid_t pid = -1;
    if (const int error = ::posix_spawnp(&pid, what.file, &setup.actions, &setup.attributes,
                                         what.arguments, what.environment))
        return -error;
    // Nobody but us may reap it, so the number is still its own.
    *pid_descriptor = ::pidfd_open(pid, 0);
    if (*pid_descriptor >= 0) return pid;
    const int error = errno;
    ::kill(pid, SIGKILL);
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return -error;
}

int reap_by(int pid_descriptor, int* code) noexcept {
    siginfo_t info{};
    const auto id = static_cast<id_t>(pid_descriptor);
    if (::waitid(P_PIDFD, id, &info, WEXITED | WNOHANG) != 0) return -errno;
    if (info.si_pid == 0) return 0;
    *code = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    return 1;
}

int signal_by(int pid_descriptor, int number) noexcept {
    return ::pidfd_send_signal(pid_descriptor, number, nullptr, 0) == 0 ? 0 : -errno;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
