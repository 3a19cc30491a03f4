// SPDX-License-Identifier: MIT
// process_pool: the ends of workers and pools: workers that exit, are killed at every stage of a
// job, or send wrong bytes; cancellation, timeouts, and the end of the pool.
#include <rondo/process_pool.hpp>

#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <rondo/process.hpp>
#include <rondo/run.hpp>
#include <rondo/sleep.hpp>
#include <rondo/thread_pool.hpp>

#include "support/child.hpp"
#include "support/process_jobs.hpp"

using namespace rondo_tests;

extern "C" bool rondo_tests_take_over(int count, char** arguments);

TEST_CASE("process_pool: if a worker dies, only its job fails", "[process_pool]") {
    const nothing_left left;
    {
        process_pool pool(1);
        const auto segfault = pool.submit([] { die_of(SIGSEGV); });
        const auto status = pool.submit(end_with, 3);
        const auto killed = pool.submit([] { ::raise(SIGKILL); });
        const auto behind = pool.submit(add, 1, 2);
        CHECK_THROWS_AS(segfault.get(), broken_process_pool_error);
        CHECK(failure_of(segfault) ==
              "process_pool: the job's worker died: it was ended by signal 11 "
              "(Segmentation fault)");
        CHECK(failure_of(status) ==
              "process_pool: the job's worker died: it ended with exit status 3");
        CHECK(failure_of(killed).find("signal 9 (Killed)") != std::string::npos);
        CHECK(behind.get() == 3);
        CHECK(pool.stats().restarted == 3);
        CHECK(pool.stats().completed == 1);
    }
    CHECK(left.text() == "");
}

TEST_CASE("process_pool: with `rerun`, a job whose worker died is run again", "[process_pool]") {
    const nothing_left left;
    {
        const job_pipe told;
        const auto dies = [](std::string pipe, std::string word) {
            tell(pipe, 1);
            const int more = ::open(word.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
            int value = 0;
            if (::read(more, &value, sizeof value) == sizeof value) ::raise(SIGKILL);
            return ::getpid();
        };
        process_pool pool({.workers = 2, .rerun = 2});
        const job_pipe twice_only, three_times;
        for (int i = 0; i < 2; ++i) twice_only.give();
        for (int i = 0; i < 3; ++i) three_times.give();
        CHECK(pool.submit(dies, told.name(), twice_only.name(0)).get() != 0);
        CHECK_THROWS_AS(pool.submit(dies, told.name(), three_times.name(0)).get(),
                        broken_process_pool_error);
        for (int i = 0; i < 6; ++i) CHECK(told.next() == 1);
    }
    CHECK(left.text() == "");
}

TEST_CASE(
    "process_pool: a worker that closes its socket is killed; a child that keeps it does not hide "
    "the end",
    "[process_pool]") {
    const nothing_left left;
    {
        const job_pipe word;
        process_pool pool(2);
        const auto silent = pool.submit([] {
            for (int number = 3; number < 64; ++number) ::close(number);
            wait_for_ever();
        });
        const auto forked = pool.submit(
            [](std::string pipe) {
                const int until = ::open(pipe.c_str(), O_RDONLY | O_CLOEXEC);
                if (::fork() != 0) ::_exit(5);
                int value = 0;
                if (::read(until, &value, sizeof value) < 0) ::_exit(1);
                ::_exit(0);
            },
            word.name(0));
        CHECK(failure_of(forked).find("exit status 5") != std::string::npos);
        CHECK(failure_of(silent).find("signal 9") != std::string::npos);
        word.give();
        CHECK(pool.submit(add, 1, 1).get() == 2);
    }
    CHECK(left.text() == "");
}

TEST_CASE("process_pool: a worker that sends anything but an answer is killed", "[process_pool]") {
    const nothing_left left;
    {
        process_pool pool(1);
        const auto garbage = [](std::string bytes) {
            for (int number = 3; number < 64; ++number)
                if (::send(number, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) continue;
            return 0;
        };
        for (const std::string& bytes :
             {std::string("x"), std::string(31, '\0'), std::string(32, 'y'),
              std::string("dnor\3\0\0\0", 8) + std::string(24, '\377')}) {
            const auto job = pool.submit(garbage, bytes);
            CHECK_THROWS_AS(job.get(), broken_process_pool_error);
            CHECK(pool.submit(add, 1, 1).get() == 2);
        }
    }
    CHECK(left.text() == "");
}

namespace {

/// Starts a thread that kills the worker while, or after, its job returns.
void die_soon() {
    std::thread([] { ::raise(SIGKILL); }).detach();
}

/// Runs a job whose worker dies at the stage of this number. The future ends in any case.
void lose_worker(process_pool& pool, int stage, const job_pipe& told, const std::string& large) {
    const auto kill_one = [&] {
        const auto pids = pool.worker_pids();
        if (!pids.empty()) ::kill(pids.front(), SIGKILL);
    };
    switch (stage) {
        case 0:  // idle: the next job does not get this worker
            kill_one();
            CHECK(pool.submit(add, stage, 1).get() == 1);
            break;
        case 1:
            CHECK_THROWS_AS(pool.submit([] { die_of(SIGABRT); }).get(), broken_process_pool_error);
            break;
        case 2:
            CHECK_THROWS_AS(pool.submit(end_with, 1).get(), broken_process_pool_error);
            break;
        case 3:
            CHECK_THROWS_AS(pool.submit([] { ::raise(SIGKILL); }).get(), broken_process_pool_error);
            break;
        case 4:
            CHECK_THROWS_AS(pool.submit_for(2ms, stop_here).get(), timeout_error);
            break;
        case 5: {
            const auto job = pool.submit(say_and_stay, told.name());
            ::kill(told.next(), SIGKILL);
            CHECK_THROWS_AS(job.get(), broken_process_pool_error);
            break;
        }
        case 6: {
            const auto job = pool.submit(say_and_stay, told.name());
            told.next();
            CHECK(job.cancel());
            CHECK_THROWS_AS(job.get(), future_cancelled);
            break;
        }
        case 7:  // about the time of its answer
            pool.submit(die_soon).exception();
            break;
        case 8:  // in the middle of an answer
            pool.submit([](const std::string& bytes) { return die_soon(), bytes; }, large)
                .exception();
            break;
        default: {  // in the middle of a call's frame
            const auto job = pool.submit(twice, large);
            kill_one();
            job.exception();
            break;
        }
    }
}

}  // namespace

TEST_CASE("process_pool: workers die at every stage of a job, a thousand times, without a leak",
          "[process_pool]") {
    const nothing_left left;
    {
        const job_pipe told;
        process_pool pool(2);
        const std::string large(1 << 20, 'x');
        for (int i = 0; i < many(1000, 60); ++i) {
            INFO("stage " << i % 10);
            lose_worker(pool, i % 10, told, large);
        }
        CHECK(pool.submit(add, 1, 1).get() == 2);
        CHECK(pool.stats().queued == 0);
        CHECK(pool.stats().busy == 0);
    }
    CHECK(left.text() == "");
}

// -- cancelling and timeouts ----------------------------------------------------------------------

TEST_CASE("process_pool: cancel removes a queued job, or kills the job's worker",
          "[process_pool]") {
    const nothing_left left;
    {
        const job_pipe told;
        process_pool pool(1);
        const auto running = pool.submit(say_and_stay, told.name());
        const auto queued = pool.submit(say_and_stay, told.name());
        const auto behind = pool.submit(add, 1, 2);
        const int pid = told.next();
        CHECK(queued.cancel());
        CHECK(queued.cancelled());
        CHECK(running.running());
        CHECK(running.cancel());
        CHECK_THROWS_AS(running.get(), future_cancelled);
        CHECK(::kill(pid, 0) == -1);
        CHECK(behind.get() == 3);
        CHECK_FALSE(behind.cancel());
    }
    CHECK(left.text() == "");
}

TEST_CASE("process_pool: a job that takes too long is ended, also in the queue", "[process_pool]") {
    const nothing_left left;
    {
        process_pool pool(1);
        const auto running = pool.submit_for(20ms, wait_for_ever);
        const auto queued = pool.submit_for(1ms, add, 1, 2);
        const auto behind = pool.submit_for(1h, add, 1, 2);
        CHECK_THROWS_AS(queued.get(), timeout_error);
        CHECK(failure_of(running) == "process_pool: timed out after 20ms");
        CHECK(behind.get() == 3);
        const auto stopped = pool.submit_for(5ms, stop_here);
        CHECK_THROWS_AS(stopped.get(), timeout_error);
    }
    CHECK(left.text() == "");
}

// -- the end --------------------------------------------------------------------------------------

TEST_CASE("process_pool: after shutdown no job is accepted; present jobs are done",
          "[process_pool]") {
    const nothing_left left;
    {
        const job_pipe told, word;
        process_pool pool(1);
        const auto running = pool.submit(say_and_wait, told.name(), word.name(0));
        const auto queued = pool.submit(add, 1, 2);
        told.next();
        pool.shutdown(false);
        CHECK_THROWS_AS(pool.submit(add, 1, 2), closed_error);
        word.give();
        pool.shutdown();
        CHECK(running.done());
        CHECK(queued.get() == 3);
        CHECK(pool.stats().workers == 0);
        pool.shutdown();
    }
    CHECK(left.text() == "");
}

TEST_CASE("process_pool: shutdown(cancel_queued) and the destructor cancel queued jobs",
          "[process_pool]") {
    const nothing_left left;
    {
        const job_pipe told, word;
        thread_future<int> running, queued;
        {
            process_pool pool(1);
            running = pool.submit(say_and_wait, told.name(), word.name(0));
            queued = pool.submit(add, 1, 2);
            told.next();
            word.give();
        }
        CHECK(running.get() != 0);
        CHECK(queued.done());
        process_pool pool(1);
        running = pool.submit(say_and_wait, told.name(), word.name(0));
        queued = pool.submit(add, 1, 2);
        told.next();
        pool.shutdown(false, true);
        CHECK_THROWS_AS(queued.get(), future_cancelled);
        CHECK_FALSE(queued.cancel());
        word.give();
        CHECK(running.get() != 0);
        process_pool never_used(3);
        never_used.shutdown();
    }
    CHECK(left.text() == "");
}

TEST_CASE("process_pool: workers can be terminated and killed; every job fails", "[process_pool]") {
    const nothing_left left;
    for (const bool kill : {false, true}) {
        const job_pipe told;
        process_pool pool(2);
        const auto one = pool.submit(say_and_stay, told.name());
        const auto other = pool.submit([](std::string pipe) {
            ::signal(SIGTERM, SIG_DFL);
            say_and_stay(std::move(pipe));
        }, told.name());
        const auto queued = pool.submit(add, 1, 2);
        told.next();
        told.next();
        if (kill)
            pool.kill_workers();
        else
            pool.terminate_workers();
        CHECK_THROWS_AS(queued.get(), broken_process_pool_error);
        CHECK(failure_of(one) ==
              std::string("process_pool: its workers were ") + (kill ? "killed" : "terminated"));
        CHECK_THROWS_AS(other.get(), broken_process_pool_error);
        CHECK_THROWS_AS(pool.submit(add, 1, 2), broken_process_pool_error);
    }
    CHECK(left.text() == "");
}

TEST_CASE("process_pool: when its parent is killed, so are the workers", "[process_pool]") {
    const nothing_left left;
    // The worker keeps the pipe of its output open, so run ends only when the worker has ended too.
    const auto end = run(command("/proc/self/exe", "--parent-that-dies").timeout(60s).run());
    CHECK(end.exit_code == -SIGKILL);
    CHECK(end.output == "the worker works\n");
    CHECK(left.text() == "");
}

namespace {

/// An initializer that is killed while the file has less than six bytes; it adds one each time.
void be_killed_five_times(std::string file) {
    const int number = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (::write(number, "x", 1) != 1) std::abort();
    ::close(number);
    if (std::filesystem::file_size(file) <= 5) ::raise(SIGKILL);
}

}  // namespace

TEST_CASE("process_pool: workers killed before their first job do not break the pool",
          "[process_pool]") {
    const nothing_left left;
    const std::string file = "/tmp/rondo-pool-" + std::to_string(::getpid());
    {
        process_pool pool({.workers = 2}, be_killed_five_times, file);
        CHECK(pool.submit(add, 1, 2).get() == 3);
    }
    CHECK(std::filesystem::file_size(file) > 5);
    std::filesystem::remove(file);
    CHECK(left.text() == "");
}

TEST_CASE("process_pool: a worker whose status another waiter took counts as failed",
          "[process_pool]") {
    if (rondo_tests::with_tsan()) return;  // it supports no threads in a forked child
    const auto child = rondo_tests::run_child([] {
        ::signal(SIGCHLD, SIG_IGN);
        rondo_tests::forbid(SYS_ioctl, ENOTTY, static_cast<long>(_IOWR(0xFF, 11, char[64])));
        process_pool pool(1);
        const std::string how = failure_of(pool.submit(die_of, SIGKILL));
        std::puts(how.c_str());
        return how.find("unknown exit status") != std::string::npos ? 0 : 1;
    });
    INFO(child.text);
    CHECK(child.exited());
}

TEST_CASE("process_pool: exit in a task ends the program even if pools are static",
          "[process_pool]") {
    if (rondo_tests::with_tsan()) return;  // it supports no threads in a forked child
    const auto child = rondo_tests::run_child([] {
        static std::optional<process_pool> processes(1);
        static std::optional<rondo::thread_pool> threads(2);
        const auto main = []() -> rondo::task<> {
            const int sum = co_await processes->submit(add, 1, 2);
            rondo::create_task(rondo::sleep(1h));
            co_await rondo::yield_now();
            std::exit(sum);
        };
        rondo::run(main());
        return 99;
    });
    INFO(child.text);
    CHECK(child.exited(3));
}

bool rondo_tests_take_over(int count, char** arguments) {
    if (rondo::process_worker(count, arguments)) return true;
    if (count != 2 || std::string_view(arguments[1]) != "--parent-that-dies") return false;
    const job_pipe told;
    process_pool pool(1);
    const auto job = pool.submit([](std::string pipe) {
        if (::write(STDOUT_FILENO, "the worker works\n", 17) != 17) std::abort();
        say_and_stay(std::move(pipe));
    }, told.name());
    told.next();
    ::raise(SIGKILL);
    return true;
}
