// SPDX-License-Identifier: MIT
// Starting programs on the real system: clone(2) with CLONE_VM, CLONE_VFORK and CLONE_PIDFD, which
// shares this process's memory until the new program runs.
//
// posix_spawn(3) is not used: it gives only a process id, for pidfd_open(2). Before that call,
// waitpid(-1) in other code, or SIGCHLD being ignored, may free the id for another process.
// CLONE_PIDFD makes the descriptor together with the child, so it always refers to this child.
// clone3(2) is not used either: it has no wrapper, and the seccomp profiles of containers refuse
// it.
//
// Until its execve the child has no exit signal, so other waiters never see a program that cannot
// be run. From then on it is a child like any other, and another waiter may take its status. Since
// Linux 6.15 its pidfd gives the status even then.
#include "kernel/spawn.hpp"

#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/child.hpp"

extern "C" {  // missing in the header of glibc 2.36
#include <sys/pidfd.h>
}

// ThreadSanitizer intercepts clone and aborts in a child that shares its parent's memory. __clone
// is the C library's.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
extern "C" int __clone(int (*run)(void*), void* stack, int flags, void* argument, ...);
#define RONDO_CLONE ::__clone
#endif
#endif
#ifndef RONDO_CLONE
#define RONDO_CLONE ::clone
#endif

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

/// Returns: the paths at which `file` may be, by the PATH of this process.
std::vector<std::string> places_of(std::string_view file) {
    if (file.empty() || file.find('/') != file.npos) return {std::string(file)};
    const char* const path = std::getenv("PATH");
    std::string_view rest = path != nullptr ? path : "/bin:/usr/bin";
    std::vector<std::string> places;
    for (;;) {
        const std::string_view folder = rest.substr(0, rest.find(':'));
        places.push_back(std::string(folder).append(folder.empty() ? "" : "/").append(file));
        if (folder.size() == rest.size()) return places;
        rest.remove_prefix(folder.size() + 1);
    }
}

/// Blocks all signals of this thread: no handler may run in a child that shares our memory.
class signals_blocked {
public:
    signals_blocked() noexcept {
        constexpr std::uint64_t all = ~std::uint64_t{0};
        ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before_, sizeof all);
    }
    ~signals_blocked() {
        ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before_, nullptr, sizeof before_);
    }
    signals_blocked(const signals_blocked&) = delete;
    signals_blocked& operator=(const signals_blocked&) = delete;

private:
    std::uint64_t before_ = 0;
};

/// Returns 0 or -errno.
int run_plan(spawn_plan& plan, started_program& started) noexcept {
    alignas(16) char stack[16 * 1024];
    {
        const signals_blocked guard;
        const int flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD;
        char* const top = stack + sizeof stack;
        started.pid = RONDO_CLONE(spawn_child, top, flags, &plan, &started.pid_descriptor);
        if (started.pid < 0) return -errno;
    }
    if (plan.error == 0) return 0;
    end_program(started.pid_descriptor);
    started.bad_directory = plan.bad_directory;
    return -plan.error;
}

int spawn_or_throw(const spawn_request& request, started_program& started) {
    const std::vector<std::string> places = places_of(request.file);
    std::vector<const char*> files;
    for (const std::string& place : places) files.push_back(place.c_str());
    files.push_back(nullptr);
    std::vector<int> kept(request.kept, request.kept + request.kept_count);
    std::sort(kept.begin(), kept.end());
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    spawn_plan plan{};
    plan.request = &request;
    plan.files = files.data();
    plan.kept = kept.data();
    plan.kept_count = kept.size();
    plan.descriptors_max = static_cast<long>(limit.rlim_cur);
    plan.parent = ::getpid();
    std::copy(request.streams, request.streams + 3, plan.streams);
    return run_plan(plan, started);
}

/// struct pidfd_info of <linux/pidfd.h>, which is newer than the headers that rondo is built with.
struct pidfd_info {
    std::uint64_t mask;
    std::uint64_t cgroup;
    std::uint32_t ids[11];
    std::int32_t exit_status;  // as waitpid(2) gives it
};
static_assert(sizeof(pidfd_info) == 64);
constexpr std::uint64_t pidfd_info_exit = 1 << 3;
constexpr unsigned long pidfd_get_info = _IOWR(0xFF, 11, pidfd_info);

/// reap_by_pidfd for a program that another waiter has reaped, or is reaping.
int status_of_reaped(int pid_descriptor, int* code) noexcept {
    pidfd_info info{};
    info.mask = pidfd_info_exit;
    int failed = ::ioctl(pid_descriptor, pidfd_get_info, &info);
    // Linux looks for the status, then for the program. Between the two it may have been reaped.
    if (failed != 0 && errno == ESRCH) {
        info.mask = pidfd_info_exit;
        failed = ::ioctl(pid_descriptor, pidfd_get_info, &info);
    }
    if (failed != 0) return -ECHILD;
    if ((info.mask & pidfd_info_exit) == 0) return 0;
    const int status = info.exit_status;
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    return 1;
}

}  // namespace

int spawn_program(const spawn_request& request, started_program& started) noexcept {
    try {
        return spawn_or_throw(request, started);
    } catch (const std::bad_alloc&) {
        return -ENOMEM;
    }
}

int reap_by_pidfd(int pid_descriptor, int* code) noexcept {
    siginfo_t info{};
    const auto id = static_cast<id_t>(pid_descriptor);
    if (::waitid(P_PIDFD, id, &info, WEXITED | WNOHANG | __WALL) != 0)
        return errno == ECHILD ? status_of_reaped(pid_descriptor, code) : -errno;
    if (info.si_pid == 0) return 0;
    *code = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    return 1;
}

void end_program(int pid_descriptor) noexcept {
    signal_by_pidfd(pid_descriptor, SIGKILL);
    siginfo_t info{};
    const auto id = static_cast<id_t>(pid_descriptor);
    while (::waitid(P_PIDFD, id, &info, WEXITED | __WALL) != 0 && errno == EINTR) {
    }
    ::close(pid_descriptor);
}

namespace {

std::mutex abandoned_mutex;
std::vector<int> abandoned;  // pidfds

bool reap_and_close(int program) noexcept {
    int code = 0;
    if (reap_by_pidfd(program, &code) == 0) return false;
    ::close(program);
    return true;
}

}  // namespace

void abandon_program(int pid_descriptor) noexcept {
    const int own = ::fcntl(pid_descriptor, F_DUPFD_CLOEXEC, 3);
    if (own < 0) return;  // no free descriptor, or no memory: a zombie until this process ends
    try {
        const std::lock_guard lock(abandoned_mutex);
        abandoned.push_back(own);
    } catch (...) {
        ::close(own);
    }
}

void reap_abandoned_programs() noexcept {
    const std::lock_guard lock(abandoned_mutex);
    std::erase_if(abandoned, reap_and_close);
}

int signal_by_pidfd(int pid_descriptor, int number) noexcept {
    return ::pidfd_send_signal(pid_descriptor, number, nullptr, 0) == 0 ? 0 : -errno;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
