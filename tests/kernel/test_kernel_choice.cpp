// SPDX-License-Identifier: MIT
// Which kernel a loop gets: by name, by the environment, and where io_uring is denied.
#include <stdlib.h>
#include <sys/syscall.h>

#include <cerrno>
#include <stdexcept>
#include <string>

#include <rondo/connect.hpp>
#include <rondo/gather.hpp>
#include <rondo/net.hpp>
#include <rondo/probe.hpp>
#include <rondo/run.hpp>
#include <rondo/sleep.hpp>

#include "support/catch.hpp"
#include "support/child.hpp"

using rondo::kernel_choice;
using rondo_tests::child_end;
using rondo_tests::forbid;
using rondo_tests::run_child;

namespace {

std::string kernel_of(const rondo::loop_options& options = {}) {
    const rondo::loop one(options);
    return one.stats().kernel;
}

rondo::task<> answer(rondo::tcp_listener* listener) {
    auto peer = co_await listener->accept();
    const auto line = co_await peer.read_line();
    co_await peer.write_all(line.value() + " too\n");
}

rondo::task<> ask(rondo::endpoint where) {
    auto peer = co_await rondo::connect_tcp(where);
    co_await peer.write_all("hello\n");
    const auto line = co_await peer.read_line();
    if (line.value() != "hello too") throw std::runtime_error("a wrong answer: " + line.value());
}

rondo::task<> talk() {
    auto listener = rondo::tcp_listener::bind({"127.0.0.1", 0});
    co_await rondo::gather(answer(&listener), ask(listener.local()));
    co_await rondo::sleep(std::chrono::milliseconds(1));
}

constexpr const char* fallback_line = "rondo: io_uring is not available: ";

}  // namespace

TEST_CASE("kernel choice: a program gets the kernel that it names", "[kernel_choice]") {
    CHECK(kernel_of({.kernel = kernel_choice::ring}) == "ring");
    CHECK(kernel_of({.kernel = kernel_choice::readiness}) == "readiness");
    CHECK_THROWS_AS(kernel_of({.kernel = static_cast<kernel_choice>(7)}), std::invalid_argument);
}

TEST_CASE("kernel choice: more entries than completions are no reason to leave the ring",
          "[kernel_choice]") {
    CHECK(kernel_of({.entries = 1024, .completions = 64, .kernel = kernel_choice::ring}) == "ring");
    CHECK(kernel_of({.entries = 100'000, .kernel = kernel_choice::ring}) == "ring");
}

TEST_CASE("kernel choice: the environment chooses for loops that leave it open",
          "[kernel_choice]") {
    const child_end end = run_child([] {
        ::setenv("RONDO_KERNEL", "readiness", 1);
        if (kernel_of() != "readiness") return 1;
        if (kernel_of({.kernel = kernel_choice::ring}) != "ring") return 2;
        if (rondo::probe().kernel() != kernel_choice::readiness) return 3;
        ::setenv("RONDO_KERNEL", "ring", 1);
        if (kernel_of() != "ring") return 4;
        ::setenv("RONDO_KERNEL", "automatic", 1);
        if (kernel_of() != "ring") return 5;
        ::setenv("RONDO_KERNEL", "epol", 1);
        kernel_of();
        return 6;
    });
    INFO(end.text);
    CHECK(end.exited(99));
    CHECK(end.says("RONDO_KERNEL=epol: rondo knows ring, readiness and automatic"));
    CHECK_FALSE(end.says(fallback_line));
}

TEST_CASE("kernel choice: where io_uring is denied, programs run and one line tells",
          "[kernel_choice]") {
    for (const int error : {EPERM, ENOSYS, EACCES, ENOMEM}) {
        INFO(error);
        const child_end end = run_child([error] {
            ::unsetenv("RONDO_KERNEL");
            forbid(SYS_io_uring_setup, error);
            rondo::run(talk());
            rondo::run(talk());
            if (kernel_of() != "readiness") return 1;
            const auto report = rondo::probe();
            if (report.available() || report.kernel() != kernel_choice::readiness) return 2;
            return report.text().ends_with("a loop runs on: readiness (epoll)\n") ? 0 : 3;
        });
        INFO(end.text);
        CHECK(end.exited());
        CHECK(end.text.find(fallback_line) == 0);
        CHECK(end.text.find(fallback_line, 1) == std::string::npos);
        CHECK(end.says("; using epoll (RONDO_KERNEL_QUIET=1 hides this line)\n"));
    }
}

TEST_CASE("kernel choice: the line of a fallback can be switched off", "[kernel_choice]") {
    const auto says_nothing = [](auto program) {
        const child_end end = run_child([program] {
            ::unsetenv("RONDO_KERNEL");
            forbid(SYS_io_uring_setup, EPERM);
            program();
            return 0;
        });
        INFO(end.text);
        return end.exited() && end.text.empty();
    };
    CHECK(says_nothing([] { kernel_of({.quiet_fallback = true}); }));
    CHECK(says_nothing([] { kernel_of({.kernel = kernel_choice::readiness}); }));
    CHECK(says_nothing([] {
        ::setenv("RONDO_KERNEL_QUIET", "1", 1);
        rondo::run(talk());
    }));
}

TEST_CASE("kernel choice: a quiet loop does not silence the loops after it", "[kernel_choice]") {
    const child_end end = run_child([] {
        ::unsetenv("RONDO_KERNEL");
        forbid(SYS_io_uring_setup, EPERM);
        kernel_of({.quiet_fallback = true});
        for (int i = 0; i < 2; ++i) kernel_of();
        return 0;
    });
    INFO(end.text);
    CHECK(end.exited());
    CHECK(end.text.find(fallback_line) == 0);
    CHECK(end.text.find(fallback_line, 1) == std::string::npos);
}

TEST_CASE("kernel choice: the ring by name stays an error where it is denied", "[kernel_choice]") {
    const child_end end = run_child([] {
        forbid(SYS_io_uring_setup, EPERM);
        try {
            kernel_of({.kernel = kernel_choice::ring});
            return 1;
        } catch (const rondo::uring_unavailable& error) {
            return error.code().value() == EPERM ? 0 : 2;
        }
    });
    INFO(end.text);
    CHECK(end.exited());
    CHECK_FALSE(end.says(fallback_line));
}
