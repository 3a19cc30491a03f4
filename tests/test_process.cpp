// SPDX-License-Identifier: MIT
// Other programs: what they read and say, how they end, and that nothing of them stays: no zombie,
// no descriptor, here or in a sibling.
#include <rondo/process.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <rondo/gather.hpp>
#include <rondo/run.hpp>
#include <rondo/sleep.hpp>

#include "core_tools.hpp"
#include "net_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;
using rondo_tests::text_of_failure;

namespace {

bool lives(int pid) { return ::kill(pid, 0) == 0; }

std::string spawn_failure(const command& what) {
    try {
        auto none = what.spawn();
    } catch (const std::system_error& error) {
        return error.what();
    }
    return "it was started";
}

}  // namespace

RONDO_TEST("process: run captures what is said, on both ways, and how it ended",
           "[process][kernel]") {
    const auto result = co_await command::shell("echo out; echo err >&2; exit 3").run();
    CHECK(result.output == "out\n");
    CHECK(result.error_output == "err\n");
    CHECK(result.exit_code == 3);
    CHECK_FALSE(result.ok());
    const auto killed = co_await command::shell("kill -9 $$").run();
    CHECK(killed.exit_code == -SIGKILL);
    const auto merged_result =
        co_await command::shell("echo a; echo b >&2; echo c").err(same_as_out).run();
    CHECK(merged_result.output == "a\nb\nc\n");
    CHECK(merged_result.error_output.empty());
}

RONDO_TEST("process: arguments arrive as they are, environment and folder as they were said",
           "[process][kernel]") {
    const auto arguments =
        co_await command("printf", "%s|", "a b", "", "*", "$HOME", "'\"\\").run();
    CHECK(arguments.output == "a b||*|$HOME|'\"\\|");
    const auto environment = co_await command("env")
                                 .clear_env()
                                 .env("ONE", "1")
                                 .env("TWO", "2")
                                 .env("ONE", "first")
                                 .unset_env("TWO")
                                 .run();
    CHECK(environment.output == "ONE=first\n");
    const auto folder = co_await command("pwd").directory("/").run();
    CHECK(folder.output == "/\n");
    CHECK_THROWS_AS(command("x").arg(std::string_view("a\0b", 3)), std::system_error);
}

RONDO_TEST("process: much goes in and out at the same time", "[process][kernel]", limit(20s)) {
    const std::string all = rondo_tests::pattern(3'000'000);
    const auto result = co_await command("cat").input(all).run();
    CHECK(result.output == all);
    CHECK(result.ok());
    // One that does not want its input is no error.
    const auto uninterested = co_await command("true").input(all).run();
    CHECK(uninterested.ok());
}

RONDO_TEST("process: what cannot be run is an error that names it", "[process][kernel]") {
    CHECK(spawn_failure(command("no-such-program-at-all")) ==
          "spawn no-such-program-at-all: No such file or directory");
    CHECK(spawn_failure(command("/etc/passwd")) == "spawn /etc/passwd: Permission denied");
    CHECK(spawn_failure(command("true").directory("/no/such/folder")) ==
          "spawn true: No such file or directory");
    CHECK(spawn_failure(command("true").in_file("/no/such/file")) ==
          "open /no/such/file: No such file or directory");
    command endless("true");
    const std::string large(100'000, 'x');
    for (int i = 0; i < 100; ++i) endless.arg(large);
    CHECK(spawn_failure(endless) == "spawn true: Argument list too long");
    co_return;
}

RONDO_TEST("process: one to talk with", "[process][kernel]") {
    auto sort = command("sort").in(rondo::pipe).out(rondo::pipe).spawn();
    CHECK(sort.pid() > 0);
    CHECK_FALSE(sort.exit_code());
    co_await sort.in().write_all("pear\napple\nfig\n");
    sort.in().close();
    for (const std::string_view fruit : {"apple", "fig", "pear"}) {
        const auto line = co_await sort.out().read_line();
        CHECK(line.value() == fruit);
    }
    const auto end = co_await sort.out().read_line();
    CHECK_FALSE(end);
    auto both = gather(sort.wait(), sort.wait());
    const auto codes = co_await std::move(both);
    CHECK(std::get<0>(codes) == 0);
    CHECK(std::get<1>(codes) == 0);
    CHECK(sort.exit_code() == 0);
    sort.kill();  // it has ended: nothing
}

RONDO_TEST("process: files and numbers as its streams", "[process][kernel]") {
    const auto folder = std::filesystem::temp_directory_path() /
                        ("rondo-process-" + std::to_string(::getpid()));
    std::filesystem::create_directory(folder);
    const std::string file = (folder / "out").string();
    co_await command("echo", "one").out_file(file).run();
    co_await command("echo", "two").append_file(file).run();
    const auto back = co_await command("cat").in_file(file).run();
    CHECK(back.output == "one\ntwo\n");
    auto ends = make_pipe();
    auto child = command("echo", "by number").out(redirect(ends.writer.number())).spawn();
    ends.writer.close();
    const std::string said = co_await ends.reader.read_all();
    CHECK(said == "by number\n");
    co_await child.wait();
    const auto silent = co_await command::shell("cat; echo x; echo y >&2")
                            .in(devnull).out(devnull).err(devnull).run();
    CHECK(silent.ok());
    CHECK(silent.output.empty());
    std::filesystem::remove_all(folder);
}

RONDO_TEST("process: it is ended by signals, by stop, and if need be by force",
           "[process][kernel]") {
    auto sleeper = command("sleep", "1000").spawn();
    sleeper.send_signal(SIGUSR1);
    int code = co_await sleeper.wait();
    CHECK(code == -SIGUSR1);
    auto polite = command("sleep", "1000").spawn();
    code = co_await polite.stop();
    CHECK(code == -SIGTERM);
    auto stubborn = command::shell("trap '' TERM; echo ready; while :; do sleep 1000; done")
                        .out(rondo::pipe).new_group().spawn();
    co_await stubborn.out().read_line();
    code = co_await stubborn.stop(10ms);
    CHECK(code == -SIGKILL);
    auto stopped = command("sleep", "1000").spawn();
    stopped.send_signal(SIGSTOP);
    code = co_await stopped.stop(10ms);
    CHECK((code == -SIGKILL || code == -SIGTERM));
}

RONDO_TEST("process: a run that takes too long is ended, and what it said is in the error",
           "[process][kernel]") {
    try {
        co_await command::shell("echo so far; exec sleep 1000").timeout(50ms).run();
        FAIL("it ended by itself");
    } catch (const process_timeout_error& error) {
        CHECK(error.result().output == "so far\n");
        CHECK(error.result().exit_code == -SIGTERM);
        CHECK(std::string(error.what()) ==
              "run /bin/sh -c 'echo so far; exec sleep 1000': timed out after 50ms");
    }
    // A grandchild that has its pipe, and ignores everything.
    try {
        co_await command::shell("(trap '' TERM; sleep 1000) & exit 0")
            .new_group().timeout(50ms).grace(10ms).run();
        FAIL("it ended by itself");
    } catch (const process_timeout_error& error) {
        CHECK(error.result().exit_code == 0);
    }
}

RONDO_TEST("process: stop after wait signals nobody; a session, a group, both; what is refused",
           "[process][kernel]") {
    auto ended = command("true").new_group().spawn();
    co_await ended.wait();
    const int code = co_await ended.stop(0ms);
    CHECK(code == 0);
    for (const int which : {1, 2, 3}) {
        command what("true");
        if ((which & 1) != 0) what.new_group();
        if ((which & 2) != 0) what.new_session();
        const auto result = co_await what.run();
        CHECK(result.ok());
    }
    CHECK(spawn_failure(command("true").out(redirect(-1))) == "spawn true: Bad file descriptor");
    CHECK_THROWS_AS(command(std::string("ls\0x", 4)), std::system_error);
    CHECK_THROWS_AS(command("env").env("A=B", "c"), std::system_error);
    CHECK_THROWS_AS(command("env").env("", "c"), std::system_error);
    CHECK(command("echo", "it's", "a b").text() == "echo 'it'\\''s' 'a b'");
}

RONDO_TEST("process: members of a group are asked to end too, and have their grace",
           "[process][kernel]") {
    auto leader = command::shell("(trap 'echo asked; exit 0' TERM; echo ready; while :; do sleep 0.01; "
                                 "done) & read line; exit 0")
                      .new_group().in(rondo::pipe).out(rondo::pipe).spawn();
    const auto ready = co_await leader.out().read_line();
    CHECK(ready.value() == "ready");
    leader.in().close();  // the first of the group ends
    co_await sleep(20ms);
    auto stopping = create_task(leader.stop(10s));
    const auto asked = co_await leader.out().read_line();
    CHECK(asked.value() == "asked");
    const int code = co_await stopping;
    CHECK(code == 0);
}

RONDO_TEST("process: output beyond the limit, and an exit code that is checked",
           "[process][kernel]") {
    const std::string too_much =
        co_await text_of_failure<limit_error>(command("yes").output_limit(10'000).run());
    CHECK(too_much == "run yes: more than 10000 bytes of output");
    const std::string checked = co_await text_of_failure<process_error>(
        command::shell("exit 4").check().run());
    CHECK(checked == "run /bin/sh -c 'exit 4': exit code 4");
    const std::string by_signal = co_await text_of_failure<process_error>(
        command::shell("kill $$").check().run());
    CHECK(by_signal == "run /bin/sh -c 'kill $$': ended by signal Terminated");
    const auto fine = co_await command("true").check().run();
    CHECK(fine.ok());
}

RONDO_TEST("process: a wait ends in all three forms, and leaves the program alone",
           "[process][kernel]") {
    auto child = command("cat").in(rondo::pipe).spawn();
    const auto wait = [&] { return child.wait(); };
    co_await rondo_tests::check_cancelled_before(wait);
    co_await rondo_tests::check_cancelled_while_suspended(wait);
    CHECK(lives(child.pid()));
    co_await rondo_tests::check_cancelled_after_arrival(wait, [&] { child.in().close(); });
    const int code = co_await child.wait();
    CHECK(code == 0);
}

RONDO_TEST("process: a run that is cancelled has ended its program", "[process][kernel]") {
    int pid = 0;
    const auto body = [](int* out) -> task<> {
        auto child = command::shell("echo $$; exec sleep 1000").out(rondo::pipe).spawn();
        *out = child.pid();
        co_await child.out().read_line();
        co_await child.stop();
    };
    co_await body(&pid);
    CHECK_FALSE(lives(pid));
    const auto run_it = [] { return command("sleep", "1000").run(); };
    co_await rondo_tests::check_cancelled_before(run_it);
    co_await rondo_tests::check_cancelled_while_suspended(run_it);
}

RONDO_TEST("process: one that is dropped goes on, and is reaped when it ends",
           "[process][kernel]") {
    auto ends = make_pipe();
    int pid = 0;
    {
        auto child = command("cat").in(redirect(ends.reader.number())).out(devnull).spawn();
        pid = child.pid();
    }
    ends.reader.close();
    CHECK(lives(pid));
    ends.writer.close();  // its input ends
    while (lives(pid)) co_await sleep(1ms);
}

TEST_CASE("process: one that outlives its loop is reaped with the next", "[process]") {
    testing::leak_probe probe;
    int pid = 0;
    rondo::run([](int* out) -> task<> {
        auto child = command("sleep", "1000").spawn();
        *out = child.pid();
        co_return;
    }, &pid);
    REQUIRE(lives(pid));
    ::kill(pid, SIGKILL);
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT);
    rondo::run([]() -> task<> {
        const auto next = co_await command("true").run();
        CHECK(next.ok());
    });
    CHECK_FALSE(lives(pid));
    CHECK(probe.leaks().empty());
}

TEST_CASE("process: one that goes with a callback at its loop's end is waited for", "[process]") {
    loop l;
    int pid = 0;
    const auto start = [&]() -> task<> {
        auto held = std::make_shared<process>(command("sleep", "1000").spawn());
        pid = held->pid();
        l.call_later(1h, [held] {});
        co_return;
    };
    l.run_until_complete(start());
    l.close();  // drops the callback, and with it the process
    CHECK(l.stats().operations == 0);
    ::kill(pid, SIGKILL);
    while (lives(pid)) rondo::run([]() -> task<> { co_await command("true").run(); });
}

RONDO_TEST("process: a thousand, one after the other and 64 at a time, leave nothing",
           "[process][kernel]", limit(60s)) {
    const int count = rondo_tests::many(1000, 200);
    std::vector<int> numbers(static_cast<std::size_t>(count));
    int good = 0;
    const auto one = [](int*, int* sum) -> task<> {
        const auto result = co_await command("true").run();
        *sum += result.ok() ? 1 : 0;
    };
    for (int i = 0; i < count / 10; ++i) co_await one(nullptr, &good);
    CHECK(good == count / 10);
    good = 0;
    const auto each = [&](int& number) { return one(&number, &good); };
    co_await map_concurrent(64, numbers, each);
    CHECK(good == count);
}

TEST_CASE("process: nothing of ours leads into a child, whoever starts one at the same time",
          "[process]") {
    const auto list = []() -> task<std::string> {
        const auto seen = co_await command("ls", "/proc/self/fd").in(devnull).run();
        co_return seen.output;
    };
    const std::string before = rondo::run(list());  // what this program was started with, too
    std::atomic<int> wrong = 0;
    const auto lister = [&]() -> task<> {
        for (int i = 0; i < rondo_tests::many(50, 10); ++i) {
            auto pipes = make_pipe();
            const std::string seen = co_await list();
            wrong += seen != before;
        }
    };
    if (rondo_tests::with_tsan()) return;  // vfork and several threads: the sanitizer says no
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
