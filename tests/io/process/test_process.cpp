// SPDX-License-Identifier: MIT
// Other programs: their input, output and end, and that nothing of them is left: no zombie, and no
// descriptor, neither here nor in another program.
#include <rondo/process.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <rondo/gather.hpp>
#include <rondo/run.hpp>
#include <rondo/sleep.hpp>

#include "support/child.hpp"
#include "support/core_tools.hpp"
#include "support/disturbed.hpp"
#include "support/net_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;
using rondo_tests::text_of_failure;

extern "C" bool rondo_tests_take_over(int count, char** arguments);

namespace {

constexpr long pidfd_get_info = static_cast<long>(_IOWR(0xFF, 11, char[64]));

/// True if this kernel tells the status of a child that another waiter has reaped.
bool tells_taken_status() {
    const auto child = rondo_tests::run_child([] {
        ::signal(SIGCHLD, SIG_IGN);
        const auto body = []() -> task<int> {
            const auto result = co_await command("true").run();
            co_return result.exit_code == 0 ? 0 : 1;
        };
        return rondo::run(body());
    });
    return child.exited();
}

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

RONDO_TEST("process: run captures output, error output and exit code",
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

RONDO_TEST("process: arguments, environment and directory arrive unchanged",
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

RONDO_TEST("process: much input and output at the same time", "[process][kernel]", limit(20s)) {
    const std::string all = rondo_tests::pattern(3'000'000);
    const auto result = co_await command("cat").input(all).run();
    CHECK(result.output == all);
    CHECK(result.ok());
    // A program that does not read its input is no error.
    const auto uninterested = co_await command("true").input(all).run();
    CHECK(uninterested.ok());
}

RONDO_TEST("process: a program that cannot be run is an error with its name",
           "[process][kernel]") {
    CHECK(spawn_failure(command("no-such-program-at-all")) ==
          "spawn no-such-program-at-all: No such file or directory");
    CHECK(spawn_failure(command("/etc/passwd")) == "spawn /etc/passwd: Permission denied");
    CHECK(spawn_failure(command("true").directory("/no/such/folder")) ==
          "spawn true: directory /no/such/folder: No such file or directory");
    CHECK(spawn_failure(command("true").in_file("/no/such/file")) ==
          "open /no/such/file: No such file or directory");
    command endless("true");
    const std::string large(100'000, 'x');
    for (int i = 0; i < 100; ++i) endless.arg(large);
    CHECK(spawn_failure(endless) == "spawn true: Argument list too long");
    co_return;
}

RONDO_TEST("process: a dialogue through pipes", "[process][kernel]") {
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
    sort.kill();  // it has ended: does nothing
}

RONDO_TEST("process: files and descriptors as its streams", "[process][kernel]") {
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

RONDO_TEST("process: it is ended by signals, by stop, and by SIGKILL after the grace time",
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

RONDO_TEST("process: a run that takes too long is ended, and its error has the output",
           "[process][kernel][alone]") {
    try {
        co_await command::shell("echo so far; exec sleep 1000").timeout(50ms).run();
        FAIL("it ended by itself");
    } catch (const process_timeout_error& error) {
        CHECK(error.result().output == "so far\n");
        CHECK(error.result().exit_code == -SIGTERM);
        CHECK(std::string(error.what()) ==
              "run /bin/sh -c 'echo so far; exec sleep 1000': timed out after 50ms");
    }
    // A grandchild that has the pipe and ignores all signals.
    try {
        co_await command::shell("(trap '' TERM; sleep 1000) & exit 0")
            .new_group().timeout(500ms).grace(10ms).run();
        FAIL("it ended by itself");
    } catch (const process_timeout_error& error) {
        CHECK(error.result().exit_code == 0);
    }
}

RONDO_TEST("process: stop after wait signals no process; a session, a group, both; refusals",
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

/// False if the process has ended, whether or not its status was taken.
bool is_running(int pid) {
    std::ifstream status("/proc/" + std::to_string(pid) + "/stat");
    std::string number, name, state;
    return status >> number >> name >> state && state != "Z" && state != "X";
}

RONDO_TEST("process: members of a group are asked to end too, and get the grace time",
           "[process][kernel]") {
    auto leader = command::shell("(trap 'echo asked; exit 0' TERM; echo ready; "
                                 "while :; do sleep 0.01; done) & read line; exit 0")
                      .new_group().in(rondo::pipe).out(rondo::pipe).spawn();
    const auto ready = co_await leader.out().read_line();
    CHECK(ready.value() == "ready");
    leader.in().close();  // ends the first process of the group
    while (is_running(leader.pid())) co_await sleep(1ms);
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

RONDO_TEST("process: a wait ends in all three forms, and does not end the program",
           "[process][kernel]") {
    auto child = command("cat").in(rondo::pipe).out(devnull).spawn();
    const auto wait = [&] { return child.wait(); };
    co_await rondo_tests::check_cancelled_before(wait);
    co_await rondo_tests::check_cancelled_while_suspended(wait);
    CHECK(lives(child.pid()));
    co_await rondo_tests::check_cancelled_after_arrival(wait, [&] { child.in().close(); });
    const int code = co_await child.wait();
    CHECK(code == 0);
}

RONDO_TEST("process: when a cancelled run returns its program has ended", "[process][kernel]") {
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

RONDO_TEST("process: a dropped process goes on, and is reaped when it ends",
           "[process][kernel]") {
    auto ends = make_pipe();
    int pid = 0;
    {
        auto child = command("cat").in(redirect(ends.reader.number())).out(devnull).spawn();
        pid = child.pid();
    }
    ends.reader.close();
    CHECK(lives(pid));
    ends.writer.close();  // ends the program's input
    while (lives(pid)) co_await sleep(1ms);
}

TEST_CASE("process: a program that outlives its loop is reaped with the next start", "[process]") {
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

TEST_CASE("process: one that is dropped with a callback at its loop's end is reaped", "[process]") {
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
           "[process][kernel][alone]", limit(60s)) {
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

RONDO_TEST("process: descriptors opened elsewhere are closed in a program, except those kept",
           "[process][kernel]") {
    // "ls" has 0 to 2, and one for the directory that it lists.
    auto plain = command("ls", "-v", "/proc/self/fd").in(devnull);
    const auto before = co_await plain.run();
    CHECK(before.output == "0\n1\n2\n3\n");
    std::vector<int> foreign;
    for (int i = 0; i < 50; ++i) foreign.push_back(::open("/dev/null", O_RDONLY));
    const auto without = co_await plain.run();
    CHECK(without.output == before.output);
    auto keeping = command(plain).keep(foreign[20]);
    const auto with_one = co_await keeping.run();
    const std::string kept = std::to_string(foreign[20]) + "\n";
    CHECK(with_one.output == "0\n1\n2\n3\n" + kept);
    for (const int each : foreign) ::close(each);
}

RONDO_TEST("process: with until_exit a run does not wait for a grandchild that holds the pipes",
           "[process][kernel]") {
    auto script = command::shell("sleep 1000 & echo $!; echo said >&2; exit 3").until_exit();
    const auto result = co_await script.run();
    const int grandchild = std::stoi(result.output);
    CHECK(lives(grandchild));
    ::kill(grandchild, SIGKILL);
    CHECK(result.error_output == "said\n");
    CHECK(result.exit_code == 3);
    const std::string all = rondo_tests::pattern(300'000);
    auto whole = command("cat").input(all).until_exit();
    const auto echoed = co_await whole.run();
    CHECK(echoed.output == all);
    const std::string too_much = co_await text_of_failure<limit_error>(
        command("yes").output_limit(10'000).until_exit().run());
    CHECK(too_much == "run yes: more than 10000 bytes of output");
}

RONDO_TEST("process: move assignment drops the previous process at once", "[process][kernel]") {
    auto first = command("cat").in(rondo::pipe).spawn();
    const int pid = first.pid();
    auto second = command("true").spawn();
    first = std::move(second);
    while (lives(pid)) co_await sleep(1ms);  // it ends because its input has ended
    co_await first.wait();
}

namespace {

/// Runs 60 programs that exit with 3. Counts those with exit code 3, and those that count as
/// success.
task<> end_with_three(int* known, int* good) {
    for (int i = 0; i < 60; ++i) {
        const char* const script = i % 2 == 0 ? "exit 3" : "echo some; exit 3";
        const auto result = co_await command::shell(script).run();
        *known += result.exit_code == 3 ? 1 : 0;
        *good += result.ok() ? 1 : 0;
    }
}

}  // namespace

TEST_CASE("process: an exit status taken by another waiter is never success", "[process]") {
    const auto child = rondo_tests::run_child([] {
        ::signal(SIGCHLD, SIG_IGN);
        rondo_tests::forbid(SYS_ioctl, ENOTTY, pidfd_get_info);  // as before Linux 6.15
        const auto body = []() -> task<int> {
            int known = 0, good = 0;
            co_await end_with_three(&known, &good);
            if (good != 0) co_return 1;
            const auto one = co_await command("true").run();
            if (one.exit_code != unknown_exit_code || one.ok()) co_return 2;
            auto checked = command("true").check();
            const std::string text = co_await text_of_failure<process_error>(checked.run());
            const std::string_view expected =
                "run true: ended with an unknown exit status (SIGCHLD is ignored";
            co_return text.starts_with(expected) ? 0 : 3;
        };
        return rondo::run(body());
    });
    INFO(child.text);
    CHECK(child.exited());
}

TEST_CASE("process: with SIGCHLD ignored its exit status is known, if the kernel keeps it",
          "[process]") {
    if (!tells_taken_status()) return;
    const auto child = rondo_tests::run_child([] {
        ::signal(SIGCHLD, SIG_IGN);
        int known = 0, good = 0;
        rondo::run(end_with_three(&known, &good));
        return known == 60 && good == 0 ? 0 : 1;
    });
    INFO(child.text);
    CHECK(child.exited());
}

TEST_CASE("process: all tests again while other code interferes", "[process]") {
    const bool told = tells_taken_status();
    std::vector<std::unique_ptr<rondo_tests::disturbed_run>> runs;
    for (const auto what : rondo_tests::all_disturbances) {
        const bool needs_status = what <= rondo_tests::disturbance::another_waiter;
        if (needs_status && !told) continue;
        const char* const tests = "[process][kernel]~[alone]";
        runs.push_back(std::make_unique<rondo_tests::disturbed_run>(what, tests));
    }
    for (auto run = runs.rbegin(); run != runs.rend(); ++run) {  // the last was stopped first
        const bool passed = (*run)->passed();
        INFO((*run)->text());
        CHECK(passed);
    }
}

bool rondo_tests_take_over(int, char**) {
    rondo_tests::disturb_if_requested();
    return false;
}
