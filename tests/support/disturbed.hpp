// SPDX-License-Identifier: MIT
// Runs test cases of this test program again in a new process with a disturbance that affects child
// processes. A test program that uses this calls `disturb_if_requested` in its
// rondo_tests_take_over.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace rondo_tests {

enum class disturbance {
    sigchld_ignored,
    another_waiter,
    streams_closed,
    foreign_descriptors,
    stopped
};
inline constexpr disturbance all_disturbances[] = {
    disturbance::sigchld_ignored, disturbance::another_waiter, disturbance::streams_closed,
    disturbance::foreign_descriptors, disturbance::stopped};
inline constexpr const char* names_of_disturbances[] = {
    "SIGCHLD is ignored", "a thread calls waitpid(-1)", "0 to 2 are closed",
    "50 foreign descriptors are open", "SIGSTOP and SIGCONT every 10 ms"};

/// Starts a thread that takes the status of every child, if this process is to have one.
inline void disturb_if_requested() {
    if (std::getenv("RONDO_TEST_WAITER") == nullptr) return;
    std::thread([] {
        sigset_t all;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
        for (;;)
            if (::waitpid(-1, nullptr, 0) < 0) ::usleep(200);  // no child exists now
    }).detach();
}

class disturbed_run {
public:
    disturbed_run(disturbance what, std::string filter) : what_(what) {
        report_ = "/tmp/rondo-disturbed-" + std::to_string(::getpid()) + "-" +
                  std::to_string(static_cast<int>(what));
        pid_ = ::fork();
        if (pid_ == 0) become(filter);
    }
    ~disturbed_run() { ::unlink(report_.c_str()); }
    disturbed_run(const disturbed_run&) = delete;
    disturbed_run& operator=(const disturbed_run&) = delete;

    /// Waits for the process. True if its exit status is 0.
    bool passed() {
        int status = 0;
        if (what_ != disturbance::stopped)
            return ::waitpid(pid_, &status, 0) == pid_ && status == 0;
        for (;;) {
            ::usleep(10'000);
            ::kill(pid_, SIGSTOP);
            ::usleep(1'000);
            ::kill(pid_, SIGCONT);
            if (::waitpid(pid_, &status, WNOHANG) == pid_) return status == 0;
        }
    }
    std::string text() const {
        std::ostringstream all;
        all << names_of_disturbances[static_cast<int>(what_)] << ":\n"
            << std::ifstream(report_).rdbuf();
        return all.str();
    }

private:
    [[noreturn]] void become(std::string& filter) {
        ::unsetenv("RONDO_TALLY");
        if (what_ == disturbance::sigchld_ignored) ::signal(SIGCHLD, SIG_IGN);
        if (what_ == disturbance::another_waiter) ::setenv("RONDO_TEST_WAITER", "1", 1);
        if (what_ == disturbance::foreign_descriptors)
            for (int i = 0; i < 50; ++i)
                [[maybe_unused]] const int stays = ::open("/dev/null", O_RDONLY);
        if (what_ == disturbance::streams_closed)
            for (int number = 0; number < 3; ++number) ::close(number);
        std::string name = "test", option = "-o";
        char* arguments[] = {name.data(), filter.data(), option.data(), report_.data(), nullptr};
        ::execv("/proc/self/exe", arguments);
        ::_exit(127);
    }

    disturbance what_;
    std::string report_;
    pid_t pid_ = -1;
};

}  // namespace rondo_tests
