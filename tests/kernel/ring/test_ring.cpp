// SPDX-License-Identifier: MIT
// The ring on the running kernel: entries, completions, deadlines and errors, as kernel.hpp
// specifies them, in each set-up mode. Older modes are tested by hiding features. The last mode,
// with almost no flags, is the one below Linux 5.19.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/ring_tools.hpp"

using namespace rondo_tests;

// -- entries and completions ----------------------------------------------------------------------

TEST_CASE("ring: a nop comes back with its user_data", "[ring]") {
    for (const kernel_kind& kind : kinds()) {
        INFO(kind.name);
        const limited as_if(kind.limits);
        const auto kernel = attached();
        for (int i = 0; i < 100; ++i) REQUIRE(round_trip(*kernel));
        CHECK(kernel->count().entries == 100);
        CHECK(kernel->count().completions == 100);
        CHECK(kernel->count().overflows == 0);
    }
}

TEST_CASE("ring: a batch longer than the queue completes, in the order made", "[ring]") {
    for (const kernel_kind& kind : kinds()) {
        INFO(kind.name);
        const limited as_if(kind.limits);
        const auto kernel = attached();
        push_nops(*kernel, 10'000);
        CHECK(in_order(collect(*kernel, 10'000)));
        CHECK(kernel->count().entries == 10'000);
    }
}

TEST_CASE("ring: completions that do not fit into the queue are kept, in order", "[ring]") {
    for (const kernel_kind& kind : kinds()) {
        INFO(kind.name);
        const limited as_if(kind.limits);
        const auto kernel = attached({.entries = 8, .completions = 8});
        push_nops(*kernel, 1000);
        CHECK(in_order(collect(*kernel, 1000, 64)));
        CHECK(kernel->count().overflows > 0);
        push_nops(*kernel, 1000);
        CHECK(in_order(collect(*kernel, 1000, 3)));
        CHECK(round_trip(*kernel));
    }
}

TEST_CASE("ring: a full room leaves the rest for the next enter", "[ring]") {
    const auto kernel = attached();
    push_nops(*kernel, 10);
    std::array<completion, 4> out;
    CHECK(kernel->enter(time_point::max(), out.data(), out.size()).completions == 4);
    CHECK(kernel->enter(time_point::min(), out.data(), out.size()).completions == 4);
    CHECK(kernel->enter(time_point::min(), out.data(), out.size()).completions == 2);
    CHECK(out[1].user_data == base + 9);
    CHECK(kernel->enter(time_point::min(), out.data(), out.size()).completions == 0);
}

TEST_CASE("ring: a refused entry does not stall those after it", "[ring]") {
    for (const kernel_kind& kind : kinds()) {
        INFO(kind.name);
        const limited as_if(kind.limits);
        const auto kernel = attached();
        push(*kernel, {.user_data = base});
        push(*kernel, {.code = static_cast<opcode>(200), .user_data = base + 1});
        push(*kernel, {.code = opcode::close, .ioprio = 77, .user_data = base + 2});
        push(*kernel, {.user_data = base + 3});
        std::array<completion, 4> all;
        CHECK(kernel->enter(time_point::max(), all.data(), all.size()).completions == 4);
        CHECK(all[1].result == -EINVAL);
        CHECK(all[2].result == -EINVAL);
        CHECK(all[3].user_data == base + 3);
        CHECK(all[3].result == 0);
    }
}

TEST_CASE("ring: no system call if there is nothing to do", "[ring]") {
    for (const kernel_kind& kind : kinds()) {
        INFO(kind.name);
        const limited as_if(kind.limits);
        const auto kernel = attached();
        completion out;
        kernel->enter(time_point::min(), &out, 1);
        const auto before = kernel->count().enters;
        for (int i = 0; i < 100; ++i) kernel->enter(time_point::min(), &out, 1);
        kernel->enter(kernel->now() - 1s, &out, 1);
        CHECK(kernel->count().enters <= before + 1);  // the past deadline may cost one
        push_nops(*kernel, 2);
        kernel->enter(time_point::max(), &out, 1);
        const auto submitted = kernel->count().enters;
        CHECK(kernel->enter(time_point::max(), &out, 1).completions == 1);  // already in the queue
        CHECK(kernel->count().enters == submitted);
    }
}

// -- deadlines and signals ------------------------------------------------------------------------

TEST_CASE("ring: a deadline is never early", "[ring]") {
    for (const kernel_kind& kind : kinds()) {
        INFO(kind.name);
        const limited as_if(kind.limits);
        const auto kernel = attached();
        completion out;
        for (const auto period : {0us, 1us, 10us, 50us, 100us, 999us, 1001us, 3000us}) {
            const time_point deadline = kernel->now() + period;
            CHECK(kernel->enter(deadline, &out, 1).completions == 0);
            CHECK(kernel->now() >= deadline);
        }
    }
}

TEST_CASE("ring: an enter that submits waits for its deadline as well", "[ring]") {
    const auto kernel = attached();
    socket_pair pair;
    push(*kernel, pair.recv());
    completion out;
    const time_point deadline = kernel->now() + 2ms;
    CHECK(kernel->enter(deadline, &out, 1).completions == 0);
    CHECK(kernel->now() >= deadline);
    pair.send();
    CHECK(collect(*kernel, 1)[0].result == 1);
}

TEST_CASE("ring: a storm of signals loses nothing and ends nothing early", "[ring]") {
    const int restart = GENERATE(0, SA_RESTART);
    INFO("sa_flags " << restart);
    struct sigaction action {};
    struct sigaction before {};
    action.sa_handler = [](int) {};
    action.sa_flags = restart;
    REQUIRE(::sigaction(SIGALRM, &action, &before) == 0);
    const itimerval every_millisecond{{0, 1000}, {0, 1000}};
    const itimerval never{};
    ::setitimer(ITIMER_REAL, &every_millisecond, nullptr);
    {
        const auto kernel = attached();
        completion out;
        int interrupted = 0;
        for (int i = 0; i < 50; ++i) {
            const time_point deadline = kernel->now() + 3ms;
            do {
                CHECK(kernel->enter(deadline, &out, 1).completions == 0);
                interrupted += kernel->now() < deadline ? 1 : 0;
            } while (kernel->now() < deadline);
            push_nops(*kernel, 300);
            CHECK(in_order(collect(*kernel, 300)));
        }
        CHECK(interrupted > 0);
        CHECK(kernel->count().completions == 50 * 300);
    }
    ::setitimer(ITIMER_REAL, &never, nullptr);
    ::sigaction(SIGALRM, &before, nullptr);
}

// -- limits ---------------------------------------------------------------------------------------

TEST_CASE("ring: limits choose the set-up mode of such a kernel", "[ring]") {
    const auto kind = kinds();
    const auto flags_as_if = [](const kernel_kind& which) {
        const limited as_if(which.limits);
        return examine_ring().setup_flags;
    };
    CHECK((flags_as_if(kind[1]) & setup_defer_taskrun) != 0);
    CHECK((flags_as_if(kind[2]) & setup_defer_taskrun) == 0);
    CHECK((flags_as_if(kind[2]) & setup_coop_taskrun) != 0);
    CHECK(flags_as_if(kind[3]) == (setup_clamp | setup_cqsize));
}

TEST_CASE("ring: a hidden opcode fails as on a kernel without it", "[ring]") {
    ring_limits limits;
    limits.opcodes.set(static_cast<std::size_t>(opcode::nop));
    limits.multishot_accept = true;
    const limited as_if(limits);
    const auto kernel = attached();
    CHECK_FALSE(kernel->supports(opcode::nop));
    CHECK(kernel->supports(opcode::recv));
    CHECK_FALSE(kernel->multishot_accept());
    push(*kernel, {.user_data = base});
    CHECK(collect(*kernel, 1)[0].result == -EINVAL);
    push(*kernel, {.code = opcode::accept, .ioprio = accept_multishot, .user_data = base});
    CHECK(collect(*kernel, 1)[0].result == -EINVAL);
}

// -- enter's errors -------------------------------------------------------------------------------

TEST_CASE("ring: entries that an enter did not take are submitted again", "[ring]") {
    const int error = GENERATE(EAGAIN, EBUSY, ENOMEM);
    const child_end end = run_child([error] {
        const auto kernel = attached();
        rondo_tests::forbid(SYS_io_uring_enter, error, 7);  // only submissions of exactly seven
        const auto nop = [&](std::uint64_t data) { *kernel->next_entry() = {.user_data = data}; };
        std::array<completion, 16> out;
        for (std::uint64_t i = 0; i < 7; ++i) nop(base + i);
        if (kernel->enter(time_point::max(), out.data(), 16).completions != 0) return 1;
        if (kernel->enter(time_point::min(), out.data(), 16).completions != 0) return 2;
        nop(base + 7);
        if (kernel->enter(time_point::max(), out.data(), 16).completions != 8) return 3;
        return in_order({out.begin(), out.begin() + 8}) ? 0 : 4;
    });
    INFO(end.text);
    CHECK(end.exited());
}

TEST_CASE("ring: next_entry is null while a full queue cannot be emptied", "[ring]") {
    const child_end end = run_child([] {
        const auto kernel = attached({.entries = 8, .completions = 16});
        rondo_tests::forbid(SYS_io_uring_enter, EBUSY, 8);
        for (std::uint64_t i = 0; i < 8; ++i) *kernel->next_entry() = {.user_data = base + i};
        return kernel->next_entry() == nullptr && kernel->next_entry() == nullptr ? 0 : 1;
    });
    INFO(end.text);
    CHECK(end.exited());
}

TEST_CASE("ring: an error that cannot be handled aborts with errno's name", "[ring]") {
    const child_end end = run_child([] {
        const auto kernel = attached();
        rondo_tests::forbid(SYS_io_uring_enter, EBADR, 1);
        return round_trip(*kernel) ? 0 : 1;
    });
    CHECK(end.aborted());
    CHECK(end.says("rondo: io_uring_enter failed"));
    CHECK(end.says("EBADR"));
}

TEST_CASE("ring: an entry with entry_skip_success must not carry an address", "[ring]") {
    const child_end end = run_child([] {
        const auto kernel = attached();
        *kernel->next_entry() = {.flags = entry_skip_success, .user_data = base};
        completion out;
        return static_cast<int>(kernel->enter(time_point::min(), &out, 1).completions);
    });
    CHECK(end.aborted());
    CHECK(end.says("must carry a tag"));
}

// -- cancelling and accepting ---------------------------------------------------------------------

TEST_CASE("ring: a cancelled recv ends with ECANCELED", "[ring]") {
    for (const kernel_kind& kind : kinds()) {
        INFO(kind.name);
        const limited as_if(kind.limits);
        const auto kernel = attached();
        socket_pair pair;
        push(*kernel, pair.recv());
        push(*kernel, cancel(base));  // in the same batch
        auto ends = collect(*kernel, 2);
        CHECK(ends[0].user_data == first_tag);
        CHECK(ends[0].result == 0);
        CHECK(ends[1].user_data == base);
        CHECK(ends[1].result == -ECANCELED);

        push(*kernel, pair.recv());
        entry silent = cancel(base);
        silent.flags = entry_skip_success;
        push(*kernel, silent);
        ends = collect(*kernel, 1);
        CHECK(ends[0].user_data == base);
        CHECK(ends[0].result == -ECANCELED);

        push(*kernel, silent);  // nothing to cancel is an error
        ends = collect(*kernel, 1);
        CHECK(ends[0].user_data == first_tag);
        CHECK(ends[0].result == -ENOENT);
        pair.send();
        push(*kernel, pair.recv());
        CHECK(collect(*kernel, 1)[0].result == 1);
    }
}

TEST_CASE("ring: one entry accepts many connections", "[ring]") {
    for (const kernel_kind& kind : kinds()) {
        INFO(kind.name);
        const limited as_if(kind.limits);
        const auto kernel = attached();
        REQUIRE(kernel->multishot_accept());
        const int listener = kernel->socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        auto* generic = reinterpret_cast<sockaddr*>(&address);
        socklen_t size = sizeof address;
        REQUIRE(kernel->bind(listener, generic, size) == 0);
        REQUIRE(kernel->listen(listener, 16) == 0);
        REQUIRE(kernel->local_name(listener, generic, &size) == 0);
        push(*kernel, {.code = opcode::accept,
                       .ioprio = accept_multishot,
                       .fd = listener,
                       .op_flags = SOCK_CLOEXEC,
                       .user_data = base});
        for (int i = 0; i < 5; ++i) {
            const int client = kernel->socket(AF_INET, SOCK_STREAM, 0);
            REQUIRE(::connect(client, generic, size) == 0);
            const completion accepted = collect(*kernel, 1)[0];
            CHECK(accepted.result >= 0);
            CHECK((accepted.flags & completion_more) != 0);
            CHECK(kernel->close(accepted.result) == 0);
            CHECK(kernel->close(client) == 0);
        }
        push(*kernel, cancel(base));
        const completion last = collect(*kernel, 2)[1];
        CHECK(last.result == -ECANCELED);
        CHECK((last.flags & completion_more) == 0);
        CHECK(kernel->close(listener) == 0);
    }
}

// -- the rest of the seam -------------------------------------------------------------------------

TEST_CASE("ring: errors of descriptor calls are negative errnos", "[ring]") {
    const auto real = rondo::detail::system::real();
    CHECK(real->close(-1) == -EBADF);
    CHECK(real->listen(-1, 1) == -EBADF);
    CHECK(real->socket(-1, SOCK_STREAM, 0) == -EAFNOSUPPORT);
    const int fd = real->socket(AF_INET, SOCK_STREAM, 0);
    REQUIRE(fd >= 0);
    CHECK(::fcntl(fd, F_GETFD) == FD_CLOEXEC);
    int value = 1;
    socklen_t size = sizeof value;
    CHECK(real->set_option(fd, SOL_SOCKET, SO_REUSEADDR, &value, size) == 0);
    value = 0;
    CHECK(real->get_option(fd, SOL_SOCKET, SO_REUSEADDR, &value, &size) == 0);
    CHECK(value == 1);
    CHECK(real->remote_name(fd, nullptr, nullptr) == -ENOTCONN);
    CHECK(real->close(fd) == 0);
    CHECK(system::real() == real);
}

TEST_CASE("ring: random numbers differ, jobs must run on the caller's threads", "[ring]") {
    const auto kernel = make_ring();
    std::vector<std::uint64_t> drawn;
    for (int i = 0; i < 100; ++i) drawn.push_back(kernel->random());
    std::sort(drawn.begin(), drawn.end());
    CHECK(std::adjacent_find(drawn.begin(), drawn.end()) == drawn.end());
    CHECK_FALSE(kernel->run_elsewhere([](void*) {}, nullptr));
}
