// SPDX-License-Identifier: MIT
// Rings that can be set up but not used as rondo uses them: their opcodes are restricted by
// IORING_REGISTER_RESTRICTIONS, as a policy would do it, or a filter denies the calls after
// io_uring_setup. Each is made in a forked child, and there a program of everyday things must run
// to its end.
#include <stdlib.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <initializer_list>
#include <string>
#include <thread>

#include <rondo/probe.hpp>
#include <rondo/run.hpp>

#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/everyday.hpp"
#include "support/kernel_driver.hpp"
#include "kernel/ring/canary.hpp"
#include "kernel/ring/mapped_ring.hpp"
#include "kernel/ring/ring.hpp"

using namespace rondo::detail;
using rondo::kernel_choice;
using rondo_tests::child_end;
using rondo_tests::everyday_program;
using rondo_tests::forbid;
using rondo_tests::run_child;

namespace {

void refuse(std::initializer_list<opcode> codes, bool calls = false) {
    ring_limits limits;
    for (const opcode code : codes) limits.refused.set(static_cast<std::size_t>(code));
    limits.refused_calls = calls;
    limit_ring(limits);
    ::unsetenv("RONDO_KERNEL");
}

std::string kernel_of(const rondo::loop_options& options = {}) {
    const rondo::loop one(options);
    return one.stats().kernel;
}

/// The program runs, with one line of the fallback.
bool runs_on_readiness(const child_end& end, const std::string& cause) {
    const std::string line = "rondo: io_uring is not available: " + cause;
    return end.exited() && end.text.find(line) == 0 && end.text.find(line, 1) == std::string::npos;
}

int run_everyday() {
    rondo::run(everyday_program());
    rondo::run(everyday_program());
    return kernel_of() == "readiness" ? 0 : 1;
}

}  // namespace

TEST_CASE("restricted: whichever opcode a ring refuses, programs run on readiness",
          "[restricted]") {
    for (const named_opcode& used : used_opcodes) {
        INFO(used.name);
        const child_end end = run_child([&used] {
            refuse({used.code});
            return kernel_of() == "readiness" ? 0 : 1;
        });
        INFO(end.text);
        CHECK(runs_on_readiness(end, std::string("rings of this process are restricted, and "
                                                 "refuse ") + used.name + "; using epoll"));
    }
}

TEST_CASE("restricted: a program of everything runs on readiness, and the opcodes are named",
          "[restricted]") {
    const child_end end = run_child([] {
        refuse({opcode::socket, opcode::openat, opcode::ftruncate});
        return run_everyday();
    });
    INFO(end.text);
    CHECK(runs_on_readiness(end, "rings of this process are restricted, and refuse openat, "
                                 "socket"));
}

TEST_CASE("restricted: the ring by name is an error that names the opcodes", "[restricted]") {
    const child_end end = run_child([] {
        refuse({opcode::connect, opcode::accept});
        const auto report = rondo::probe();
        if (report.available() || report.kernel() != kernel_choice::readiness) return 1;
        if (report.error().find("refuse accept, connect; allow") == std::string::npos) return 2;
        ::setenv("RONDO_KERNEL", "ring", 1);
        if (rondo::probe().kernel() != kernel_choice::ring) return 3;
        try {
            kernel_of();
            return 4;
        } catch (const rondo::uring_unavailable& error) {
            if (error.code().value() != EACCES) return 5;
            return error.what() == report.error() ? 0 : 6;
        }
    });
    INFO(end.text);
    CHECK(end.exited());
    CHECK(end.text.empty());
}

TEST_CASE("restricted: a ring that refuses only opcodes that rondo never uses is used",
          "[restricted]") {
    for (const bool calls : {false, true}) {
        INFO(calls);
        const child_end end = run_child([calls] {
            refuse({opcode{43}, opcode{46}}, calls);  // setxattr, uring_cmd
            rondo::run(everyday_program());
            return kernel_of() == "ring" ? 0 : 1;
        });
        INFO(end.text);
        CHECK(end.exited());
        CHECK(end.text.empty());
    }
}

TEST_CASE("restricted: filters that allow the set-up and deny the rest", "[restricted]") {
    for (const long number : {SYS_io_uring_enter, SYS_io_uring_register})
        for (const int error : {EPERM, EACCES, ENOSYS}) {
            INFO(number << " " << error);
            const child_end end = run_child([number, error] {
                ::unsetenv("RONDO_KERNEL");
                forbid(static_cast<std::uint32_t>(number), error);
                return run_everyday();
            });
            INFO(end.text);
            CHECK(runs_on_readiness(end, ""));
        }
}

TEST_CASE("restricted: a filter that comes after the first loop or probe is seen", "[restricted]") {
    for (const long number : {SYS_io_uring_enter, SYS_io_uring_register})
        for (const bool probes : {false, true}) {
            INFO(number << " " << probes);
            const child_end end = run_child([number, probes] {
                ::unsetenv("RONDO_KERNEL");
                if (probes ? !rondo::probe().available() : kernel_of() != "ring") return 2;
                forbid(static_cast<std::uint32_t>(number), EPERM);
                return run_everyday();
            });
            INFO(end.text);
            CHECK(runs_on_readiness(end, "a seccomp filter forbids it"));
        }
}

TEST_CASE("restricted: a filter of a forked process is seen", "[restricted]") {
    REQUIRE(rondo::probe().available());
    for (const long number : {SYS_io_uring_enter, SYS_io_uring_register}) {
        INFO(number);
        const child_end end = run_child([number] {
            ::unsetenv("RONDO_KERNEL");
            forbid(static_cast<std::uint32_t>(number), EPERM);
            return run_everyday();
        });
        INFO(end.text);
        CHECK(runs_on_readiness(end, "a seccomp filter forbids it"));
    }
}

TEST_CASE("restricted: a ring that cannot be bound to its thread is not taken", "[restricted]") {
    constexpr long enable_rings = 12;  // IORING_REGISTER_ENABLE_RINGS
    for (const int error : {EPERM, EACCES, EINVAL}) {
        INFO(error);
        const child_end end = run_child([error] {
            ::unsetenv("RONDO_KERNEL");
            forbid(SYS_io_uring_register, error, enable_rings);
            return run_everyday();
        });
        INFO(end.text);
        CHECK(runs_on_readiness(end, ""));
    }
}

TEST_CASE("restricted: if the kernel has no memory for the check, the next loop asks again",
          "[restricted]") {
    const child_end end = run_child([] {
        ::unsetenv("RONDO_KERNEL");
        forbid(SYS_io_uring_enter, EAGAIN);
        try {
            make_ring();
            return 1;
        } catch (const rondo::uring_unavailable& why) {
            if (why.code().value() != ENOMEM) return 2;
        }
        return run_everyday();
    });
    INFO(end.text);
    CHECK(runs_on_readiness(end, "the kernel has no memory for operations"));
}

TEST_CASE("restricted: the first ring of a process is set up once, on whichever thread it runs",
          "[restricted]") {
    for (const bool old : {false, true}) {
        INFO(old);
        const child_end end = run_child([old] {
            if (old) limit_ring(ring_limits::linux_5_19());
            const auto os = make_ring();
            forbid(SYS_io_uring_setup, EPERM);
            std::thread([&os] {
                kernel_driver::driver d(os);
                d.add(kernel_driver::make(opcode::nop));
                while (d.seen.empty()) d.turn(rondo::time_point::max(), 10);
            }).join();
            return os->count().completions == 1 ? 0 : 1;
        });
        INFO(end.text);
        CHECK(end.exited());
    }
}

TEST_CASE("restricted: the entries of the check pass those of the kernel, except listed opcodes",
          "[restricted]") {
    mapped_ring asked({.entries = canary_count, .completions = 2 * canary_count});
    REQUIRE(asked.enable() == 0);
    const canary_answers answers = check_ring(asked);
    const auto answer_of = [&](opcode code) { return answers[static_cast<std::size_t>(code)]; };
    CHECK(answer_of(opcode::timeout) == -ETIME);
    CHECK(answer_of(opcode::openat) == -EISDIR);
    CHECK(answer_of(opcode::openat2) == -EISDIR);
    for (const named_opcode& used : used_opcodes) {
        INFO(used.name << " " << answer_of(used.code));
        const bool unseen = std::find(unseen_by_filters.begin(), unseen_by_filters.end(),
                                      used.code) != unseen_by_filters.end();
        if (used.code == opcode::socket) continue;  // its type is refused later, with EINVAL too
        CHECK((answer_of(used.code) == -EINVAL) == unseen);
    }
}

TEST_CASE("restricted: programs of everything run to the end where io_uring is denied",
          "[restricted]") {
    for (const int error : {EPERM, ENOSYS, EACCES, ENOMEM}) {
        INFO(error);
        const child_end end = run_child([error] {
            ::unsetenv("RONDO_KERNEL");
            forbid(SYS_io_uring_setup, error);
            return run_everyday();
        });
        INFO(end.text);
        CHECK(runs_on_readiness(end, ""));
    }
}

TEST_CASE("restricted: rings that are restricted but suffice move between threads",
          "[restricted]") {
    const child_end end = run_child([] {
        refuse({opcode{43}});
        for (const unsigned entries : {1u, 2u, 32u, 256u}) {
            auto os = make_ring({.entries = entries, .completions = 64});
            const auto use = [&os] {
                kernel_driver::driver d(os);
                for (int i = 0; i < 100; ++i) d.add(kernel_driver::make(opcode::nop));
                while (d.seen.size() < 100) d.turn(rondo::time_point::max(), 10);
            };
            if (os->count().entries != 0 || os->count().completions != 0) return 1;
            std::thread(use).join();  // another one than the thread that made it
            use();
            if (os->count().completions != 200) return 2;
        }
        return 0;
    });
    INFO(end.text);
    CHECK(end.exited());
}
