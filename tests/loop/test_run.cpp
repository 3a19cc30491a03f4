// SPDX-License-Identifier: MIT
// run: main's value and errors, and SIGINT. The cases with signals run in child processes.
#include <rondo/run.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "support/child.hpp"
#include "support/core_tools.hpp"

using namespace rondo_tests;

extern "C" bool rondo_tests_take_over(int count, char** arguments);

namespace {

task<int> give(int n) {
    co_await yield_now();
    co_return n;
}
task<> interrupt_later() {
    co_await sleep(1ms);
    ::kill(::getpid(), SIGINT);
}

TEST_CASE("run: returns main's value, throws main's error", "[run]") {
    CHECK(run(give(3)) == 3);
    CHECK(*run([]() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(4); }()) == 4);
    int object = 0;
    const auto refer = [](int* o) -> task<int&> { co_return *o; };
    CHECK(&run(refer(&object)) == &object);
    const auto fails = []() -> task<> {
        co_await yield_now();
        throw std::out_of_range("x");
    };
    CHECK_THROWS_AS(run(fails()), std::out_of_range);
    CHECK_FALSE(interrupted());
}

TEST_CASE("run: takes a callable and its arguments and keeps them", "[run]") {
    auto owned = std::make_shared<int>(6);
    const auto body = [owned](std::shared_ptr<int> argument, int more) -> task<int> {
        co_await finish();
        co_return *owned + *argument + more;
    };
    CHECK(run(body, owned, 1) == 13);
    CHECK(owned.use_count() == 2);
}

TEST_CASE("run: tasks left when main has ended are cancelled and awaited", "[run]") {
    bool cleaned_up = false;
    const auto left = [](bool* flag) -> task<> {
        try {
            co_await sleep(1h);
        } catch (const cancelled&) {
        }
        co_await shield(finish());
        *flag = true;
    };
    const auto main = [&]() -> task<int> {
        create_task(left(&cleaned_up));
        co_await finish();
        co_return 1;
    };
    CHECK(run(main()) == 1);
    CHECK(cleaned_up);
}

TEST_CASE("run: inside run it is an error", "[run]") {
    const auto main = []() -> task<> {
        CHECK_THROWS_AS(run(give(1)), invalid_state_error);
        co_await yield_now();
    };
    run(main());
    CHECK(run(give(2)) == 2);
}

TEST_CASE("run: works on a thread that is not the main one, and on two at once", "[run]") {
    int results[2] = {};
    std::thread a([&] { results[0] = run(give(1)); }), b([&] { results[1] = run(give(2)); });
    a.join();
    b.join();
    CHECK(results[0] == 1);
    CHECK(results[1] == 2);
}

TEST_CASE("run: a main cancelled without a signal throws future_cancelled", "[run]") {
    const auto main = []() -> task<> {
        current_task().cancel();
        co_await yield_now();
    };
    CHECK_THROWS_AS(run(main()), future_cancelled);
    CHECK_FALSE(interrupted());
}

TEST_CASE("run: the first SIGINT cancels main, which may clean up", "[run]") {
    const child_end end = run_child([] {
        ::signal(SIGINT, SIG_DFL);
        bool cleaned_up = false;
        const auto main = [&]() -> task<> {
            create_task(interrupt_later());
            try {
                co_await sleep(1h);
            } catch (const cancelled&) {
            }
            co_await shield(finish());
            cleaned_up = true;
            co_await yield_now();
        };
        run(main());
        if (!cleaned_up || !interrupted()) return 1;
        struct sigaction now {};
        ::sigaction(SIGINT, nullptr, &now);
        return now.sa_handler == SIG_DFL ? 42 : 2;
    });
    INFO(end.text);
    CHECK(end.exited(42));
}

TEST_CASE("run: SIGINT ends a main that has a value to return with `interrupted`", "[run]") {
    const child_end end = run_child([] {
        ::signal(SIGINT, SIG_DFL);
        const auto main = []() -> task<int> {
            create_task(interrupt_later());
            co_await sleep(1h);
            co_return 1;
        };
        try {
            run(main());
        } catch (const rondo::interrupted&) {
            return interrupted() ? 43 : 1;
        }
        return 2;
    });
    INFO(end.text);
    CHECK(end.exited(43));
    const child_end value = run_child([] {
        ::signal(SIGINT, SIG_DFL);
        const auto main = []() -> task<int> {
            create_task(interrupt_later());
            try {
                co_await sleep(1h);
            } catch (const cancelled&) {
            }
            co_return 44;
        };
        return run(main());  // main returned a value, which wins
    });
    CHECK(value.exited(44));
}

TEST_CASE("run: the second SIGINT kills as usual", "[run]") {
    const child_end end = run_child([] {
        ::signal(SIGINT, SIG_DFL);
        const auto main = []() -> task<> {
            create_task(interrupt_later());
            try {
                co_await sleep(1h);
            } catch (const cancelled&) {
            }
            ::kill(::getpid(), SIGINT);
            co_await shield([]() -> task<> { co_await sleep(1h); }());
        };
        run(main());
        return 1;
    });
    CHECK(WIFSIGNALED(end.status));
    CHECK(WTERMSIG(end.status) == SIGINT);
}

TEST_CASE("run: a SIGINT that is ignored or handled stays so", "[run]") {
    const child_end ignored = run_child([] {
        ::signal(SIGINT, SIG_IGN);
        const auto main = []() -> task<int> {
            ::kill(::getpid(), SIGINT);
            co_await sleep(2ms);
            co_return 45;
        };
        return run(main());
    });
    CHECK(ignored.exited(45));
    const child_end unwanted = run_child([] {
        ::signal(SIGINT, SIG_DFL);
        const auto main = []() -> task<> {
            ::kill(::getpid(), SIGINT);
            co_await sleep(1h);
        };
        run(main(), {.handle_sigint = false});
        return 1;
    });
    CHECK(WIFSIGNALED(unwanted.status));
}

TEST_CASE("run: SIGINT wakes a loop that sleeps and a program that only computes", "[run]") {
    if (with_tsan()) return;  // it supports no thread in a forked child
    // Sent by another process while main waits in the kernel.
    const child_end end = run_child([] {
        ::signal(SIGINT, SIG_DFL);
        std::thread sender;
        const auto main = [&sender]() -> task<> {
            sender = std::thread([] {
                std::this_thread::sleep_for(5ms);
                ::kill(::getpid(), SIGINT);
            });
            co_await sleep(1h);
        };
        run(main());
        sender.join();
        const auto busy = []() -> task<> {
            ::kill(::getpid(), SIGINT);
            for (;;) co_await yield_now();
        };
        if (!interrupted()) return 1;
        run(busy());
        return interrupted() ? 46 : 2;
    });
    INFO(end.text);
    CHECK(end.exited(46));
}

}  // namespace

TEST_CASE("run: works in a child that a task has forked", "[run]") {
    const child_end end = run_child([] {
        ::signal(SIGINT, SIG_DFL);
        const auto in_fork = []() -> task<int> {
            co_await sleep(1ms);
            co_await yield_now();
            ::kill(::getpid(), SIGINT);
            co_await sleep(1h);
            co_return 1;
        };
        const auto main = [&]() -> task<int> {
            const pid_t child = ::fork();
            if (child == 0) {
                int code = 99;
                try {
                    code = rondo::run(in_fork());
                } catch (const rondo::interrupted& how) {
                    code = how;
                }
                ::_exit(code);
            }
            int status = 0;
            ::waitpid(child, &status, 0);
            co_await sleep(1ms);  // the parent's loop goes on
            co_return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
        };
        return rondo::run(main());
    });
    INFO(end.text);
    CHECK(end.exited(130));
}

namespace {

/// Opens three files, as 0, 1 and 2 if these numbers are free, and leaves an error unretrieved.
void run_without_streams(const char* path) {
    for (int i = 0; i < 3; ++i)
        [[maybe_unused]] const int stays =
            ::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    const auto fails = []() -> task<> {
        co_await yield_now();
        throw std::out_of_range("to nobody");
    };
    const auto main = [&]() -> task<> {
        create_task(fails());
        co_await sleep(1ms);
    };
    run(main());
}

}  // namespace

TEST_CASE("run: started with 0 to 2 closed, it writes no message into files with these numbers",
          "[run]") {
    const std::string path = "/tmp/rondo-run-" + std::to_string(::getpid());
    const pid_t child = ::fork();
    if (child == 0) {
        ::setenv("RONDO_TEST_FIRST_FILE", path.c_str(), 1);
        for (int number = 0; number < 3; ++number) ::close(number);
        ::execl("/proc/self/exe", "test_run", nullptr);
        ::_exit(127);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    CHECK(status == 0);
    struct stat file {};
    REQUIRE(::stat(path.c_str(), &file) == 0);
    CHECK(file.st_size == 0);
    ::unlink(path.c_str());
}

bool rondo_tests_take_over(int, char**) {
    const char* const path = std::getenv("RONDO_TEST_FIRST_FILE");
    if (path == nullptr) return false;
    run_without_streams(path);
    return true;
}
