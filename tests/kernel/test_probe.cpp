// SPDX-License-Identifier: MIT
// If io_uring is denied, one sentence names the cause and a remedy. Each denial is real, made in a
// forked child: a seccomp filter, a resource limit. The sysctl cannot be set for one process, so
// its sentences are tested directly.
#include <rondo/probe.hpp>

#include <fcntl.h>
#include <grp.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <type_traits>
#include <utility>

#include "support/catch.hpp"
#include "support/child.hpp"
#include "kernel/ring/ring.hpp"

namespace {

using namespace rondo::detail;
using rondo_tests::child_end;
using rondo_tests::forbid;
using rondo_tests::run_child;

struct limited {
    explicit limited(const ring_limits& limits) { limit_ring(limits); }
    limited(const limited&) = delete;
    ~limited() { limit_ring({}); }
};

/// Runs in a child: prints the exception of a loop, then the report of probe.
int show_denial() {
    try {
        make_ring();
        return 1;
    } catch (const rondo::uring_unavailable& error) {
        std::printf("code %d\n%s\n", error.code().value(), error.what());
        const std::string what = error.what();
        if (what.find(error.cause()) == std::string::npos) return 2;
        if (what.find(error.hint()) == std::string::npos) return 3;
        if (!rondo::probe().text().starts_with(what + "\n")) return 4;
    }
    return 0;
}

/// Drops privileges, so that the limit applies.
void limit_locked_memory(rlim_t bytes) {
    const rlimit limit{bytes, bytes};
    ::setrlimit(RLIMIT_MEMLOCK, &limit);
    if (::setgroups(0, nullptr) != 0 || ::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(97);
}

std::string code_line(int error) { return "code " + std::to_string(error) + "\n"; }

}  // namespace

TEST_CASE("probe: the report names the set-up of a loop", "[probe]") {
    const rondo::probe_report report = rondo::probe();
    INFO(report.text());
    REQUIRE(report.available());
    CHECK(report);
    CHECK(report.error().empty());
    CHECK(report.entries() >= 32);
    CHECK(report.completions() >= report.entries());
    CHECK(report.supports(static_cast<std::uint8_t>(opcode::recv)));
    CHECK_FALSE(report.supports(255));
    CHECK(report.text().find(report.setup_mode()) != std::string::npos);
    CHECK(report.setup_mode().find("CLAMP") != std::string::npos);
}

TEST_CASE("probe: features that the test hook hides are missing", "[probe]") {
    {
        const limited as_if(ring_limits::linux_6_1());
        const rondo::probe_report report = rondo::probe();
        CHECK(report.defer_taskrun());
        CHECK(report.multishot_accept());
        CHECK_FALSE(report.no_iowait());
        CHECK_FALSE(report.supports(49));
    }
    const limited as_if(ring_limits::linux_5_19());
    const rondo::probe_report report = rondo::probe();
    INFO(report.text());
    CHECK_FALSE(report.defer_taskrun());
    CHECK(report.setup_mode().find("COOP_TASKRUN") != std::string::npos);
    CHECK(report.multishot_accept());
    CHECK_FALSE(report.supports(47));
}

TEST_CASE("probe: opcodes that rondo uses and the kernel lacks are named", "[probe]") {
    ring_limits limits;
    limits.opcodes.set(static_cast<std::size_t>(opcode::statx));
    const limited as_if(limits);
    const std::string text = rondo::probe().text();
    INFO(text);
    CHECK(text.find("opcodes missing: statx\n") != std::string::npos);
}

TEST_CASE("probe: EPERM by a seccomp filter names seccomp and the system calls", "[probe]") {
    const child_end end = run_child([] {
        forbid(SYS_io_uring_setup, EPERM);
        return show_denial();
    });
    INFO(end.text);
    CHECK(end.exited());
    CHECK(end.says(code_line(EPERM).c_str()));
    CHECK(end.says("seccomp"));
    CHECK(end.says("io_uring_setup, io_uring_enter and io_uring_register"));
    CHECK(end.says("Operation not permitted"));
}

TEST_CASE("probe: ENOSYS names the kernel, and that a filter may hide it", "[probe]") {
    const child_end end = run_child([] {
        forbid(SYS_io_uring_setup, ENOSYS);
        return show_denial();
    });
    INFO(end.text);
    CHECK(end.exited());
    CHECK(end.says(code_line(ENOSYS).c_str()));
    CHECK(end.says("CONFIG_IO_URING"));
    CHECK(end.says("seccomp"));
}

TEST_CASE("probe: ENOMEM names RLIMIT_MEMLOCK and its value", "[probe]") {
    if (::geteuid() != 0) SKIP("needs root, to become a user who locks no memory yet");
    const child_end end = run_child([] {
        limit_locked_memory(0);
        return show_denial();
    });
    INFO(end.text);
    CHECK(end.exited());
    CHECK(end.says(code_line(ENOMEM).c_str()));
    CHECK(end.says("RLIMIT_MEMLOCK is 0 KiB"));
    CHECK(end.says("ulimit -l 8192"));
}

TEST_CASE("probe: with little memory to lock the ring is smaller and works", "[probe]") {
    if (::geteuid() != 0) SKIP("needs root, to become a user who locks no memory yet");
    const child_end end = run_child([] {
        limit_locked_memory(64 * 1024);
        const ring_facts facts = examine_ring();
        std::printf("%u entries, %u completions\n", facts.entries, facts.completions);
        const auto kernel = make_ring();
        kernel->attach();
        *kernel->next_entry() = entry{.user_data = first_address};
        completion out;
        while (kernel->enter(rondo::time_point::max(), &out, 1).completions == 0) {
        }
        return facts.entries < 256 && facts.completions < 4096 && out.result == 0 ? 0 : 1;
    });
    INFO(end.text);
    CHECK(end.exited());
}

TEST_CASE("probe: EMFILE names the limit of descriptors", "[probe]") {
    const child_end end = run_child([] {
        (void)why_unavailable(EMFILE);  // UBSan needs a descriptor when it first meets a type
        rlimit limit{};
        ::getrlimit(RLIMIT_NOFILE, &limit);
        const rlimit before = std::exchange(limit, {40, limit.rlim_max});
        ::setrlimit(RLIMIT_NOFILE, &limit);
        while (::open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0) {
        }
        try {
            examine_ring();
        } catch (const rondo::uring_unavailable& error) {
            ::setrlimit(RLIMIT_NOFILE, &before);
            std::printf("code %d\n%s\n", error.code().value(), error.what());
            return 0;
        }
        return 1;
    });
    INFO(end.text);
    CHECK(end.exited());
    CHECK(end.says(code_line(EMFILE).c_str()));
    CHECK(end.says("its 40 descriptors (RLIMIT_NOFILE)"));
}

TEST_CASE("probe: kernel.io_uring_disabled is quoted with its value", "[probe]") {
    CHECK(std::string(why_forbidden(2, false).what()).find("io_uring_disabled is 2") !=
          std::string::npos);
    CHECK(std::string(why_forbidden(1, true).what()).find("io_uring_group") != std::string::npos);
    CHECK(std::string(why_forbidden(0, true).cause()).find("seccomp filter forbids") !=
          std::string::npos);
    CHECK(std::string(why_forbidden(-1, false).what()).find("security module") !=
          std::string::npos);
    CHECK(why_forbidden(2, false).code() == std::errc::operation_not_permitted);
}

TEST_CASE("probe: a missing feature is named, with the kernel that has it", "[probe]") {
    ring_limits limits;
    limits.features = 1u << 8;
    const limited as_if(limits);
    const rondo::probe_report report = rondo::probe();
    INFO(report.text());
    CHECK_FALSE(report.available());
    CHECK(report.error().find("lacks IORING_FEAT_EXT_ARG, which came with Linux 5.11") !=
          std::string::npos);
    CHECK_THROWS_AS(make_ring(), rondo::uring_unavailable);
}

TEST_CASE("probe: a kernel that refuses every set-up is too old", "[probe]") {
    ring_limits limits;
    limits.setup_flags = 1u << 4;  // CLAMP, which even the last mode needs
    const limited as_if(limits);
    CHECK(rondo::probe().error().find("use Linux 6.1 or newer") != std::string::npos);
}

TEST_CASE("probe: the error can be copied without throwing", "[probe]") {
    STATIC_REQUIRE(std::is_nothrow_copy_constructible_v<rondo::uring_unavailable>);
    const rondo::uring_unavailable first = why_forbidden(2, false);
    const rondo::uring_unavailable second = first;
    CHECK(second.cause() == first.cause());
    CHECK(second.hint() == first.hint());
}
