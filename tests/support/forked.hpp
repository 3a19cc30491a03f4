// SPDX-License-Identifier: MIT
// A forked child for tests of shared memory and the types in it. It runs one function, without
// threads and without a loop, and exits or is killed.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <exception>
#include <utility>

namespace rondo_tests {

class forked {
public:
    template <class Body>
    explicit forked(Body body) {
        std::fflush(nullptr);
        pid_ = ::fork();
        if (pid_ != 0) return;
        int code = 99;
        try {
            body();
            code = 0;
        } catch (const std::exception& error) {
            std::fprintf(stderr, "forked child: %s\n", error.what());
        }
        ::_exit(code);
    }
    forked(const forked&) = delete;
    forked& operator=(const forked&) = delete;
    ~forked() {
        if (pid_ > 0) kill();
    }

    pid_t pid() const { return pid_; }
    void kill() {
        ::kill(pid_, SIGKILL);
        wait();
    }
    /// Its exit code; -1 if a signal ended it.
    int wait() {
        int status = 0;
        const pid_t child = std::exchange(pid_, 0);
        while (::waitpid(child, &status, 0) < 0)
            if (errno != EINTR) return -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

private:
    pid_t pid_;
};

}  // namespace rondo_tests
