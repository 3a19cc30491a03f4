// SPDX-License-Identifier: MIT
// loop_pool: its end, by stop and by SIGINT, and failures of its constructor and of run.
#include <rondo/loop_pool.hpp>

#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/child.hpp"
#include "support/core_tools.hpp"
#include "support/loop_pool_tools.hpp"

#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZED
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZED
#endif
#if __has_feature(undefined_behavior_sanitizer)
#define UNDEFINED_SANITIZED
#endif
#endif

using namespace rondo_tests;

namespace {

// -- stop -----------------------------------------------------------------------------------------

TEST_CASE("loop_pool: after stop, run returns at once", "[loop_pool]") {
    const testing::leak_probe probe;
    {
        loop_pool cores(2);
        cores.stop();
        cores.stop();
        std::atomic<int> called{0};
        const auto main = [&]() -> task<> {
            ++called;
            co_return;
        };
        cores.run(main);
        CHECK_THROWS_AS(cores.run(index_here), future_cancelled);
        const auto calls = [&]() -> task<> { co_await on(cores[1], index_here); };
        CHECK_THROWS_AS(run(calls()), closed_error);
        CHECK(called == 0);
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("loop_pool: stop from inside cancels every main; run returns", "[loop_pool]") {
    const testing::leak_probe probe;
    for (const bool gives_value : {false, true}) {
        loop_pool cores(3);
        std::atomic<int> asked{0};
        std::atomic<std::size_t> begun{0};
        const auto main = [&]() -> task<> {
            co_await all_have_begun(begun, 3);
            if (loop_pool::current_index() == 1) cores.stop();
            try {
                co_await sleep(1h);
            } catch (const cancelled&) {
                ++asked;
                throw;
            }
        };
        const auto with_value = [&]() -> task<int> {
            co_await main();
            co_return 1;
        };
        if (gives_value)
            CHECK_THROWS_AS(cores.run(with_value), future_cancelled);
        else
            cores.run(main);
        CHECK(asked == 3);
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("loop_pool: stop from another thread, at any moment", "[loop_pool]") {
    const testing::leak_probe probe;
    for (int round = 0; round < many(100, 20); ++round) {
        loop_pool cores(2);
        std::thread stopper([&] {
            std::this_thread::sleep_for(std::chrono::microseconds(20 * (round % 25)));
            cores.stop();
        });
        cores.run(sleep_for_ever);
        stopper.join();
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("loop_pool: values that mains return in spite of stop are returned", "[loop_pool]") {
    const testing::leak_probe probe;
    {
        loop_pool cores(2);
        std::atomic<std::size_t> begun{0};
        const auto stubborn = [&]() -> task<int> {
            co_await all_have_begun(begun, 2);
            try {
                if (loop_pool::current_index() == 0) cores.stop();
                co_await sleep(1h);
            } catch (const cancelled&) {
            }
            co_return 7;
        };
        CHECK(cores.run(stubborn) == std::vector<int>{7, 7});
        cores.stop();  // after the end
    }
    CHECK(probe.leaks() == "");
}

TEST_CASE("loop_pool: a pool without a run can be made and destroyed", "[loop_pool]") {
    const testing::leak_probe probe;
    for (int i = 0; i < 20; ++i) loop_pool cores(2);
    CHECK(probe.leaks() == "");
}

// Each main calls the other's loop, which ends before it or after it.
TEST_CASE("loop_pool: stop is no error for mains that call each other", "[loop_pool]") {
    const testing::leak_probe probe;
    for (int round = 0; round < many(200, 40); ++round) {
        loop_pool cores(2);
        std::atomic<std::size_t> begun{0};
        const auto main = [&]() -> task<> {
            co_await all_have_begun(begun, 2);
            const std::size_t mine = loop_pool::current_index();
            for (int i = 0;; ++i) {
                if (mine == 0 && i == round % 20) cores.stop();
                co_await on(cores[1 - mine], index_here);
            }
        };
        cores.run(main);
    }
    CHECK(probe.leaks() == "");
}

#ifndef THREAD_SANITIZED  // it starts no threads in a forked child

// -- failures at the start ------------------------------------------------------------------------

TEST_CASE("loop_pool: a thread that cannot be started is an error of the constructor",
          "[loop_pool]") {
    const auto end = run_child([] {
        forbid(SYS_clone3, EAGAIN);
        forbid(SYS_clone, EAGAIN);
        const testing::leak_probe probe;
        try {
            loop_pool cores(2);
        } catch (const std::system_error& error) {
            std::printf("%s %s\n", error.what(), probe.leaks().c_str());
            return error.code() == std::errc::resource_unavailable_try_again ? 0 : 1;
        }
        return 2;
    });
    INFO(end.text);
    CHECK(end.exited());
    CHECK(end.says("start a thread for loop 0: Resource temporarily unavailable \n"));
}

TEST_CASE("loop_pool: a thread that cannot be pinned is an error of the constructor",
          "[loop_pool]") {
    const auto end = run_child([] {
        forbid(SYS_sched_setaffinity, EPERM);
        const testing::leak_probe probe;
        try {
            loop_pool cores(loop_pool_options{.loops = 3, .pin = true});
        } catch (const std::system_error& error) {
            std::printf("%s %s\n", error.what(), probe.leaks().c_str());
            return 0;
        }
        return 1;
    });
    INFO(end.text);
    CHECK(end.exited());
    CHECK(end.says("pin rondo-loop-0: Operation not permitted \n"));
}

#ifndef UNDEFINED_SANITIZED  // it needs descriptors for its checks
TEST_CASE("loop_pool: a ring that cannot be made is an error of the constructor; the others end",
          "[loop_pool]") {
    const auto end = run_child([] {
        loop_pool(1);  // descriptors that the process keeps are open by now
        const testing::leak_probe probe;
        rlimit files{};
        ::getrlimit(RLIMIT_NOFILE, &files);
        const int next = ::dup(0);
        ::close(next);
        files.rlim_cur = static_cast<rlim_t>(next) + 3;
        ::setrlimit(RLIMIT_NOFILE, &files);
        try {
            loop_pool cores(8);
        } catch (const std::exception& error) {
            std::printf("%s; %s\n", error.what(), probe.leaks().c_str());
            return probe.leaks().empty() ? 0 : 1;
        }
        return 2;
    });
    INFO(end.text);
    CHECK(end.exited());
}

#endif

TEST_CASE("loop_pool: if io_uring is denied, the error says so", "[loop_pool]") {
    const auto end = run_child([] {
        ::setenv("RONDO_KERNEL", "ring", 1);  // else the loops are on readiness
        forbid(SYS_io_uring_setup, EPERM);
        try {
            loop_pool cores(2);
        } catch (const uring_unavailable&) {
            return 0;
        }
        return 1;
    });
    INFO(end.text);
    CHECK(end.exited());
}

TEST_CASE("loop_pool: a run whose own ring cannot be made is an error, and the loops go on",
          "[loop_pool]") {
    const auto end = run_child([] {
        ::setenv("RONDO_KERNEL", "ring", 1);
        loop_pool cores(2);
        const auto denied_here = [] { forbid(SYS_io_uring_setup, EPERM); };
        std::thread caller([&] {
            denied_here();  // a seccomp filter applies to its thread only
            try {
                cores.run(index_here);
            } catch (const uring_unavailable&) {
                std::printf("refused\n");
            }
        });
        caller.join();
        return cores.run(index_here).size() == 2 ? 0 : 1;
    });
    INFO(end.text);
    CHECK(end.exited());
    CHECK(end.says("refused"));
}

// -- SIGINT ---------------------------------------------------------------------------------------

task<> interrupt_from(std::size_t index) {
    if (loop_pool::current_index() == index) ::kill(::getpid(), SIGINT);
    co_await sleep(1h);
}

TEST_CASE("loop_pool: the first SIGINT cancels every main, and run returns", "[loop_pool]") {
    const auto end = run_child([] {
        ::signal(SIGINT, SIG_DFL);
        loop_pool cores(2);
        std::atomic<int> cleaned_up{0};
        std::atomic<std::size_t> begun{0};
        const auto main = [&]() -> task<> {
            co_await all_have_begun(begun, 2);
            try {
                co_await interrupt_from(1);
            } catch (const cancelled&) {
            }
            co_await shield(sleep_a_little(1ms));
            ++cleaned_up;
        };
        cores.run(main);
        return cleaned_up == 2 && interrupted() ? 0 : 1;
    });
    INFO(end.text);
    CHECK(end.exited());
}

TEST_CASE("loop_pool: after SIGINT there are no values to return", "[loop_pool]") {
    const auto end = run_child([] {
        ::signal(SIGINT, SIG_DFL);
        loop_pool cores(2);
        const auto main = []() -> task<int> {
            co_await interrupt_from(0);
            co_return 1;
        };
        try {
            cores.run(main);
        } catch (const interrupted&) {
            return cores.run(index_here).size() == 2 ? 130 : 1;  // it can be used again
        }
        return 2;
    });
    INFO(end.text);
    CHECK(end.exited(130));
}

TEST_CASE("loop_pool: the second SIGINT kills", "[loop_pool]") {
    const auto end = run_child([] {
        ::signal(SIGINT, SIG_DFL);
        loop_pool cores(2);
        std::atomic<std::size_t> begun{0};
        const auto main = [&]() -> task<> {
            co_await all_have_begun(begun, 2);
            try {
                co_await interrupt_from(0);
            } catch (const cancelled&) {
                ::kill(::getpid(), SIGINT);
            }
            co_await shield(sleep_for_ever());
        };
        cores.run(main);
        return 0;
    });
    INFO(end.text);
    CHECK(WIFSIGNALED(end.status));
    CHECK(WTERMSIG(end.status) == SIGINT);
}

TEST_CASE("loop_pool: handle_sigint = false leaves SIGINT alone", "[loop_pool]") {
    const auto end = run_child([] {
        ::signal(SIGINT, SIG_DFL);
        loop_pool cores(loop_pool_options{.loops = 2, .handle_sigint = false});
        cores.run(interrupt_from, 0u);
        return 0;
    });
    INFO(end.text);
    CHECK(WIFSIGNALED(end.status));
}
#endif

}  // namespace
