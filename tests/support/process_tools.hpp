// SPDX-License-Identifier: MIT
// Shared tools of process_pool's tests: messages to and from a job, and a check for leaks at the
// end.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>

#include <rondo/process_pool.hpp>

#include "support/core_tools.hpp"

namespace rondo_tests {

/// A pipe that a job opens by its path, /proc/PID/fd/NUMBER, since workers inherit no descriptor.
class job_pipe {
public:
    job_pipe() {
        if (::pipe2(ends_.data(), O_CLOEXEC) != 0) std::abort();
    }
    ~job_pipe() {
        ::close(ends_[0]);
        ::close(ends_[1]);
    }
    job_pipe(const job_pipe&) = delete;
    job_pipe& operator=(const job_pipe&) = delete;

    std::string name(int end = 1) const {
        return "/proc/" + std::to_string(::getpid()) + "/fd/" +
               std::to_string(ends_[static_cast<std::size_t>(end)]);
    }
    /// Waits for the next number from a job.
    int next() const {
        int value = 0;
        if (::read(ends_[0], &value, sizeof value) != sizeof value) std::abort();
        return value;
    }
    /// Releases a job that waits in wait_for_word.
    void give() const {
        const int value = 0;
        if (::write(ends_[1], &value, sizeof value) != sizeof value) std::abort();
    }

private:
    std::array<int, 2> ends_{};
};

/// For jobs: writes a number to the pipe of this path.
inline void tell(const std::string& name, int value) {
    const int pipe = ::open(name.c_str(), O_WRONLY | O_CLOEXEC);
    if (::write(pipe, &value, sizeof value) != sizeof value) std::abort();
    ::close(pipe);
}

/// For jobs: waits until the test calls give(), or ends.
inline void wait_for_word(const std::string& name) {
    const int pipe = ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
    int value = 0;
    if (::read(pipe, &value, sizeof value) < 0) std::abort();
    ::close(pipe);
}

[[noreturn]] inline void wait_for_ever() {
    for (;;) ::pause();
}

/// Ends the process by a signal, without a sanitizer's handler, which would write a report.
[[noreturn]] inline void die_of(int signal) {
    ::signal(signal, SIG_DFL);
    ::raise(signal);
    std::abort();
}

/// Describes everything that the test has left behind.
class nothing_left {
public:
    nothing_left() {
        std::thread([] {}).join();  // with the first thread the thread sanitizer starts its own
        probe_.emplace();
    }
    std::string text() const {
        std::string left = probe_->leaks();
        if (::waitpid(-1, nullptr, WNOHANG) != -1 || errno != ECHILD) left += "a process\n";
        return left;
    }

private:
    std::optional<testing::leak_probe> probe_;
};

template <class T>
std::string failure_of(const rondo::thread_future<T>& future) {
    try {
        future.get();
    } catch (const std::exception& error) {
        return error.what();
    }
    return "no exception";
}

}  // namespace rondo_tests
