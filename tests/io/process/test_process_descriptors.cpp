// SPDX-License-Identifier: MIT
// Other programs get no descriptor that was not meant for them.
#include <rondo/process.hpp>

#include <fcntl.h>
#include <sys/syscall.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <rondo/pipe.hpp>
#include <rondo/run.hpp>

#include "support/child.hpp"
#include "support/core_tools.hpp"

using namespace rondo;

TEST_CASE("process: no descriptor leaks into a child that another thread starts meanwhile",
          "[process]") {
    const auto list = []() -> task<std::string> {
        const auto seen = co_await command("ls", "/proc/self/fd").in(devnull).run();
        co_return seen.output;
    };
    const std::string before = rondo::run(list());  // with those that this program inherited
    std::atomic<int> wrong = 0;
    const auto lister = [&]() -> task<> {
        for (int i = 0; i < rondo_tests::many(50, 10); ++i) {
            auto pipes = make_pipe();
            const std::string seen = co_await list();
            wrong += seen != before;
        }
    };
    if (rondo_tests::with_tsan()) return;  // does not support vfork with several threads
    std::vector<std::thread> threads;
    std::atomic<int> failed = 0;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            try {
                rondo::run(lister());
            } catch (...) {
                ++failed;
            }
        });
    for (std::thread& each : threads) each.join();
    CHECK(failed == 0);
    CHECK(wrong == 0);
}

TEST_CASE("process: without close_range programs get no foreign descriptor either", "[process]") {
    const auto child = rondo_tests::run_child([] {
        const int foreign = ::open("/dev/null", O_RDONLY);
        rondo_tests::forbid(SYS_close_range, ENOSYS);
        const auto body = []() -> task<int> {
            const auto seen = co_await command("ls", "/proc/self/fd").in(devnull).run();
            co_return seen.output == "0\n1\n2\n3\n" ? 0 : 1;
        };
        return foreign < 0 ? 2 : rondo::run(body());
    });
    INFO(child.text);
    CHECK(child.exited());
}
