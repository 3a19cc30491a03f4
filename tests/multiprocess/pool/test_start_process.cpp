// SPDX-License-Identifier: MIT
// start_process: arguments, descriptors as arguments, exit codes, daemons; and listeners that
// another process has made.
#include <rondo/start_process.hpp>

#include <signal.h>
#include <sys/prctl.h>

#include <string>
#include <thread>

#include <rondo/connect.hpp>
#include <rondo/gather.hpp>
#include <rondo/ipc_channel.hpp>
#include <rondo/ipc_queue.hpp>
#include <rondo/net.hpp>
#include <rondo/process.hpp>
#include <rondo/run.hpp>
#include <rondo/sleep.hpp>
#include <rondo/unix.hpp>

#include "support/process_jobs.hpp"

using namespace rondo_tests;

extern "C" bool rondo_tests_take_over(int count, char** arguments);

namespace {

using texts = ipc_queue<std::string>;

// -- functions for processes ----------------------------------------------------------------------

int length_and(const std::string& text, int more) { return static_cast<int>(text.size()) + more; }
void echo_all(texts asked, texts& answered) {
    while (auto one = asked.blocking_next()) {
        answered.blocking_put(*one + *one);
        asked.task_done();
    }
}
void answer_once(ipc_channel<int> line) { line.blocking_send(*line.blocking_receive() + 1); }
void stay(std::string pipe) { say_and_stay(std::move(pipe)); }
struct config_error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

task<> greet_one(tcp_listener from) {
    auto caller = co_await from.accept();
    co_await caller.write_all("hello\n");
}
void greet(tcp_listener from) { run(greet_one(std::move(from))); }
task<> greet_one_at_unix(unix_listener from) {
    auto caller = co_await from.accept();
    co_await caller.write_all("hello\n");
}
void greet_at_unix(unix_listener from) { run(greet_one_at_unix(std::move(from))); }

bool exists(int pid) { return ::kill(pid, 0) == 0; }

}  // namespace

// -- arguments and exit codes ---------------------------------------------------------------------

TEST_CASE("start_process: a function runs with its arguments, and its int is the exit code",
          "[start_process]") {
    const nothing_left left;
    {
        auto one = start_process(length_and, "four", 3);
        CHECK(one.join() == 7);
        CHECK(one.join() == 7);
        CHECK_FALSE(one.is_alive());
        CHECK(one.exit_code() == 7);
        CHECK(start_process([](std::vector<int> all) { return all.at(1); },
                            std::vector<int>{4, 5})
                  .join() == 5);
        CHECK(start_process([] {}).join() == 0);
        CHECK(start_process(end_with, 9).join() == 9);
        // more than a pipe or an argument of execve can hold
        CHECK(start_process([](const std::string& s) { return s.size() == 3'000'000 ? 4 : 5; },
                            std::string(3'000'000, 'x'))
                  .join() == 4);
        rondo::detail::packed_call large;
        large.bytes.resize(64 * 1024 * 1024 + 1);
        CHECK_THROWS_AS(rondo::detail::start_packed({}, large, {}), limit_error);
    }
    CHECK(left.text() == "");
}

TEST_CASE("start_process: a process has a name, here and in ps", "[start_process]") {
    const auto is_mine = [](std::string name) {
        char comm[16] = {};
        ::prctl(PR_GET_NAME, comm);
        return name == comm ? 0 : 1;
    };
    auto named = start_process({.name = "counter"}, is_mine, "counter");
    CHECK(named.name() == "counter");
    CHECK(named.join() == 0);
    auto one = start_process([] {}), two = start_process([] {});
    CHECK(one.name().starts_with("process-"));
    CHECK(one.name() != two.name());
    one.join();
    two.join();
}

TEST_CASE("start_process: an exception is written to standard error, and the exit code is 1",
          "[start_process]") {
    captured_stderr written;
    auto failing = start_process({.name = "reader"}, [](int number) {
        throw config_error("no section " + std::to_string(number));
    }, 7);
    CHECK(failing.join() == 1);
    CHECK(written.text() == "rondo: process 'reader' failed: no section 7\n");
}

TEST_CASE("start_process: join with a limit, signals, and their exit codes", "[start_process]") {
    const nothing_left left;
    {
        const job_pipe told;
        auto one = start_process(stay, told.name());
        CHECK(told.next() == one.pid());
        CHECK(one.is_alive());
        CHECK_FALSE(one.exit_code());
        CHECK_FALSE(one.join_for(1ms));
        CHECK_FALSE(one.join_for(-1s));
        one.kill();
        CHECK(one.join_for(duration::max()));
        CHECK(one.exit_code() == -SIGKILL);
        one.terminate();  // has ended: does nothing
        auto other = start_process(stay, told.name());
        told.next();
        other.terminate();
        CHECK(other.join() == -SIGTERM);
    }
    CHECK(left.text() == "");
}

RONDO_TEST("start_process: tasks wait for it, and a cancelled wait leaves it running",
           "[start_process][cancel][kernel]") {
    const job_pipe told;
    auto one = start_process(stay, told.name());
    told.next();
    co_await check_cancelled_before([&] { return one.wait(); });
    co_await check_cancelled_while_suspended([&] { return one.wait(); });
    CHECK(one.is_alive());
    co_await check_cancelled_after_arrival([&] { return one.wait(); }, [&] { one.kill(); });
    const int code = co_await one.wait();
    CHECK(code == -SIGKILL);
}

// -- daemons --------------------------------------------------------------------------------------

TEST_CASE("start_process: a daemon is asked to end when its handle goes, and run waits for that",
          "[start_process]") {
    const nothing_left left;
    {
        const job_pipe told;
        const auto until_asked = [](std::string pipe) {
            ::signal(SIGTERM, [](int) { ::_exit(0); });
            say_and_stay(std::move(pipe));
        };
        int pid = 0;
        const auto use = [&]() -> task<> {
            auto daemon = start_process({.daemon = true}, until_asked, told.name());
            pid = told.next();
            co_await sleep(0s);
        };
        run(use());
        CHECK_FALSE(exists(pid));
    }
    CHECK(left.text() == "");
}

TEST_CASE("start_process: without a loop a daemon is killed when its handle goes",
          "[start_process]") {
    const job_pipe told;
    int pid = 0;
    {
        const auto daemon = start_process({.daemon = true}, stay, told.name());
        pid = told.next();
    }
    auto next = start_process([] {});  // starting one reaps those that were left
    next.join();
    for (int i = 0; i < 10'000 && exists(pid); ++i) {
        ::usleep(1'000);
        start_process([] {}).join();
    }
    CHECK_FALSE(exists(pid));
}

TEST_CASE("start_process: a daemon ends with the thread that started it", "[start_process]") {
    const job_pipe told;
    std::optional<process> daemon;
    std::thread([&] { daemon = start_process({.daemon = true}, stay, told.name()); }).join();
    CHECK(daemon->join() == -SIGKILL);
}

TEST_CASE("start_process: if this process is killed its daemon is, too; another process goes on",
          "[start_process]") {
    const nothing_left left;
    for (const char* option : {"--daemon", "--no-daemon"}) {
        const job_pipe told;
        command parent("/proc/self/exe", "--parent-that-dies", option, told.name());
        // The child keeps the pipe of its output open: run ends when both have ended.
        auto running = parent.out(pipe).spawn();
        const int pid = told.next();
        CHECK(running.join() == -SIGKILL);
        const bool is_daemon = std::string_view(option) == "--daemon";
        if (!is_daemon) CHECK(::kill(pid, SIGTERM) == 0);
        CHECK(run([](process& of) -> task<std::string> {
                  co_return co_await of.out().read_all();
              }, std::ref(running)) == "");
    }
    CHECK(left.text() == "");
}

TEST_CASE("start_process: a process that is no daemon goes on without its handle",
          "[start_process]") {
    const job_pipe told, word;
    int pid = 0;
    {
        const auto one = start_process([](std::string first, std::string then) {
            say_and_wait(first, std::move(then));
            tell(first, 5);
        }, told.name(), word.name(0));
        pid = told.next();
        CHECK(pid == one.pid());
    }
    word.give();
    CHECK(told.next() == 5);
}

// -- descriptors ----------------------------------------------------------------------------------

TEST_CASE("start_process: queues and channels are arguments; one that is moved in is closed here",
          "[start_process]") {
    const nothing_left left;
    {
        texts asked(1000), answered(1000);
        auto worker = start_process(echo_all, asked, answered);
        asked.blocking_put("ab");
        CHECK(*answered.blocking_next() == "abab");
        answered.task_done();
        asked.blocking_join();
        asked.close();
        CHECK(worker.join() == 0);

        auto [ours, theirs] = ipc_channel<int>::pair();
        auto other = start_process(answer_once, std::move(theirs));
        CHECK_FALSE(theirs.is_open());
        ours.blocking_send(4);
        CHECK(*ours.blocking_receive() == 5);
        CHECK_FALSE(ours.blocking_receive());  // no other end is open
        CHECK(other.join() == 0);
        CHECK_THROWS_AS(start_process(answer_once, std::move(theirs)), std::system_error);
    }
    CHECK(left.text() == "");
}

RONDO_TEST("start_process: processes accept from listeners that this one has made",
           "[start_process][kernel]") {
    auto listener = tcp_listener::bind(endpoint("127.0.0.1", 0));
    const std::string path = "/tmp/rondo-start-process-" + std::to_string(::getpid());
    auto at_path = unix_listener::bind(path, {.replace_stale = true});
    auto one = start_process(greet, listener), two = start_process(greet, listener);
    auto three = start_process(greet_at_unix, at_path);
    for (int i = 0; i < 2; ++i) {
        auto stream = co_await connect_tcp(listener.local());
        const auto line = co_await stream.read_line();
        CHECK(*line == "hello");
    }
    {
        auto stream = co_await connect_unix(path);
        const auto line = co_await stream.read_line();
        CHECK(*line == "hello");
    }
    const auto [first, second, third] = co_await gather(one.wait(), two.wait(), three.wait());
    CHECK(first + second + third == 0);
    CHECK(::access(path.c_str(), F_OK) == 0);  // still ours
}

RONDO_TEST("start_process: a listener is adopted by its number, and nothing else is",
           "[start_process][both]") {
    auto listener = tcp_listener::bind(endpoint("127.0.0.1", 0));
    CHECK(listener.number() >= 0);
    auto same = tcp_listener::adopt(rondo::detail::duplicate(listener.number()));
    CHECK(same.local() == listener.local());
    listener.close();
    CHECK(listener.number() == -1);
    auto [near, far] = co_await gather(connect_tcp(same.local()), same.accept());
    co_await near.write_all("a\n");
    const auto line = co_await far.read_line();
    CHECK(*line == "a");
    co_await check_cancelled_before([&] { return same.accept(); });
    co_await check_cancelled_while_suspended([&] { return same.accept(); });
    CHECK_THROWS_AS(unix_listener::adopt(rondo::detail::duplicate(same.number())), error);
    const int unconnected = rondo::detail::new_socket(AF_INET, SOCK_STREAM, 0);
    CHECK_THROWS_AS(tcp_listener::adopt(unconnected), error);
    CHECK_THROWS_AS(tcp_listener::adopt(12'345), std::system_error);
}

RONDO_TEST("start_process: a listener that others have too takes a connection only for a task",
           "[start_process][both]") {
    auto listener = tcp_listener::bind(endpoint("127.0.0.1", 0));
    auto same = tcp_listener::adopt(rondo::detail::duplicate(listener.number()));
    const auto both_ends = co_await gather(connect_tcp(same.local()), same.accept());
    // Connections that come while `same` has no waiter stay for others, after a cancelled wait too.
    co_await check_cancelled_while_suspended([&] { return same.accept(); });
    for (int i = 0; i < 3; ++i) {
        auto caller = co_await connect_tcp(same.local());
        co_await sleep(1ms);
        auto accepted = co_await wait_for(1s, listener.accept());
        CHECK(accepted.is_open());
    }
    // One whose number is asked for while it accepts many at a time gives that up.
    auto third = tcp_listener::bind(endpoint("127.0.0.1", 0));
    auto waiting = create_task(third.accept());
    co_await sleep(1ms);
    auto fourth = tcp_listener::adopt(rondo::detail::duplicate(third.number()));
    co_await sleep(1ms);
    auto caller = co_await connect_tcp(third.local());
    co_await waiting;
    auto second_caller = co_await connect_tcp(third.local());
    co_await sleep(1ms);
    auto accepted = co_await wait_for(1s, fourth.accept());
    CHECK(accepted.is_open());
}

bool rondo_tests_take_over(int count, char** arguments) {
    if (rondo::process_worker(count, arguments)) return true;
    if (count != 4 || std::string_view(arguments[1]) != "--parent-that-dies") return false;
    const job_pipe told;
    const auto stays = [](std::string first, std::string second) {
        tell(first, ::getpid());
        say_and_stay(std::move(second));
    };
    const bool is_daemon = std::string_view(arguments[2]) == "--daemon";
    auto one = start_process({.daemon = is_daemon}, stays, arguments[3], told.name());
    told.next();
    ::raise(SIGKILL);
    return true;
}
