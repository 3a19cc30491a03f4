// SPDX-License-Identifier: MIT
// Runs a function in a forked child and returns its output (standard output and error) and its exit
// status: for limits, filters and crashes that must not affect the test program itself. Also has
// the seccomp filter that most of these tests use.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <iterator>
#include <string>
#include <utility>

namespace rondo_tests {

struct child_end {
    std::string text;
    int status = 0;  // of waitpid(2)

    bool exited(int code = 0) const { return WIFEXITED(status) && WEXITSTATUS(status) == code; }
    bool aborted() const { return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT; }
    bool says(const char* words) const { return text.find(words) != std::string::npos; }
};

/// `body` returns the child's exit code; an exception is printed and gives 99.
template <class Body>
child_end run_child(Body body) {
    int ends[2];
    if (::pipe(ends) != 0) return {"pipe failed", -1};
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child < 0) return {"fork failed", -1};
    if (child == 0) {
        ::signal(SIGABRT, SIG_DFL);  // Catch2 has a handler that reports the parent's test
        const rlimit no_core{0, 0};
        ::setrlimit(RLIMIT_CORE, &no_core);
        ::dup2(ends[1], STDOUT_FILENO);
        ::dup2(ends[1], STDERR_FILENO);
        int code = 99;
        try {
            code = body();
        } catch (const std::exception& error) {
            std::printf("exception: %s\n", error.what());
        }
        std::fflush(nullptr);
        ::_exit(code);
    }
    ::close(ends[1]);
    child_end end;
    char piece[4096];
    for (ssize_t size; (size = ::read(ends[0], piece, sizeof piece)) > 0;)
        end.text.append(piece, static_cast<std::size_t>(size));
    ::close(ends[0]);
    ::waitpid(child, &end.status, 0);
    return end;
}

/// Makes system call `number` of this process fail with `error`: always, or only if its second
/// argument is `second`.
inline void forbid(std::uint32_t number, int error, long second = -1) {
    const std::uint32_t answer = SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error);
    const auto wanted = static_cast<std::uint32_t>(second);
    const std::uint8_t if_any = second < 0 ? 1 : 0;
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 4),
        BPF_JUMP(BPF_JMP | BPF_JA, if_any != 0 ? 2u : 0u, 0, 0),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, wanted, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, answer),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program{static_cast<unsigned short>(std::size(code)), code};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        std::printf("seccomp is not available here\n");
        ::_exit(98);
    }
}

}  // namespace rondo_tests
