// SPDX-License-Identifier: MIT
// process_pool: the documented behaviour of Python's ProcessPoolExecutor that it shares.
// test_process_pool_end.cpp tests how workers and pools end.
#include <rondo/process_pool.hpp>

#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <numeric>
#include <set>
#include <thread>
#include <vector>

#include <rondo/process.hpp>
#include <rondo/run.hpp>
#include <rondo/sleep.hpp>
#include <rondo/thread_pool.hpp>
#include <rondo/wait.hpp>

#include "support/disturbed.hpp"
#include "support/process_jobs.hpp"

using namespace rondo_tests;

extern "C" bool rondo_tests_take_over(int count, char** arguments);

namespace {

// -- jobs -----------------------------------------------------------------------------------------

int pid_of_worker() { return ::getpid(); }
long sum_of(std::vector<int> numbers) {
    return std::accumulate(numbers.begin(), numbers.end(), 0L);
}
int length_of(std::string_view text) noexcept { return static_cast<int>(text.size()); }

std::vector<std::string> what_is_open() {
    std::vector<std::string> all;
    for (const auto& each : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code closed;  // the folder itself
        all.push_back(std::filesystem::read_symlink(each.path(), closed).string());
    }
    return all;
}

struct config_error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

void throw_by_number(int which) {
    switch (which) {
        case 0: throw std::out_of_range("out of it");
        case 1: throw std::system_error(ENOENT, std::generic_category(), "open /there");
        case 2: throw rondo::limit_error("too long");
        case 3: throw config_error("no such section");
        case 4: throw std::bad_alloc();
        case 5: throw 42;
        case 6: throw std::system_error(std::make_error_code(std::errc::io_error));
        case 7: throw rondo::timeout_error("the far end", 2s);
        default: throw std::invalid_argument("");
    }
}

}  // namespace

// -- calls ----------------------------------------------------------------------------------------

TEST_CASE("process_pool: functions and lambdas run in workers, and their results come back",
          "[process_pool]") {
    const nothing_left left;
    {
        process_pool pool(2);
        CHECK(pool.stats().workers == 0);
        const auto sum = pool.submit(add, 2, 3);
        CHECK(sum.get() == 5);
        CHECK(pool.submit(pid_of_worker).get() != ::getpid());
        CHECK(pool.submit(twice, "ab").get() == "abab");
        CHECK(pool.submit(&length_of, "four").get() == 4);
        CHECK(pool.submit(sum_of, std::vector<int>{1, 2, 3}).get() == 6);
        CHECK(pool.submit([](int a) { return a * 0.5; }, 3).get() == 1.5);
        CHECK(pool.submit([](auto a, auto b) { return a < b; }, 3, 4L).get());
        CHECK(pool.submit(std::plus<>(), std::string("a"), std::string("b")).get() == "ab");
        const auto nothing = pool.submit([](std::string&&) {}, "moved");
        nothing.get();
        CHECK(nothing.done());
        // converted in this process to the parameter types
        CHECK(pool.submit(add, short{2}, 3.0).get() == 5);
    }
    CHECK(left.text() == "");
}

TEST_CASE("process_pool: exceptions keep their type and text", "[process_pool]") {
    const nothing_left left;
    {
        process_pool pool(1);
        const auto thrown = [&](int which) { return pool.submit(throw_by_number, which); };
        CHECK_THROWS_AS(thrown(0).get(), std::out_of_range);
        CHECK(failure_of(thrown(0)) == "out of it");
        CHECK(failure_of(thrown(1)) == "open /there: No such file or directory");
        CHECK_THROWS_AS(thrown(2).get(), limit_error);
        CHECK_THROWS_AS(thrown(4).get(), std::bad_alloc);
        CHECK(failure_of(thrown(6)) == "Input/output error");
        CHECK_THROWS_AS(thrown(7).get(), timeout_error);
        CHECK(failure_of(thrown(7)) == "the far end: timed out after 2s");
        CHECK_THROWS_AS(thrown(8).get(), std::invalid_argument);
        try {
            thrown(1).get();
        } catch (const std::system_error& error) {
            CHECK(error.code() == std::errc::no_such_file_or_directory);
        }
        try {
            thrown(3).get();
            FAIL("no exception");
        } catch (const remote_error& error) {
            CHECK(error.type().find("config_error") != std::string::npos);
            CHECK(error.message() == "no such section");
        }
        CHECK(failure_of(thrown(5)) == "int: not a std::exception");
        CHECK(pool.stats().restarted == 0);
    }
    CHECK(left.text() == "");
}

TEST_CASE("process_pool: large arguments and results, and errors for too large ones",
          "[process_pool]") {
    const nothing_left left;
    {
        process_pool pool({.workers = 2, .frame_max = 3 << 20});
        const std::string mebibyte(1 << 20, 'x');
        CHECK(pool.submit(twice, mebibyte).get() == mebibyte + mebibyte);
        CHECK_THROWS_AS(pool.submit(twice, mebibyte + mebibyte + mebibyte), limit_error);
        const auto result = pool.submit(twice, mebibyte + mebibyte);
        CHECK_THROWS_AS(result.get(), limit_error);
        CHECK(pool.submit(twice, "a").get() == "aa");
        CHECK(pool.stats().restarted == 0);
    }
    CHECK(left.text() == "");
}

// -- map ------------------------------------------------------------------------------------------

namespace {

int one_more(int a) { return a + 1; }
bool is_odd(int a) { return a % 2 != 0; }
int odd_only(int a) { return a % 2 != 0 ? a : throw std::out_of_range("even"); }

task<> map_in_task(process_pool& pool) {
    const std::vector<int> numbers{1, 2, 3, 4, 5};
    const auto all = co_await pool.map(one_more, numbers);
    if (all != std::vector<int>{2, 3, 4, 5, 6}) throw error("map gives something else");
    auto some = pool.map(add, numbers, std::vector<long>{10, 20});
    const auto first = co_await some.next();
    const auto second = co_await some.next();
    const auto third = co_await some.next();
    if (first != 11 || second != 22 || third) throw error("next gives something else");
}

}  // namespace

TEST_CASE("process_pool: map keeps the order, zips ranges, sends chunks", "[process_pool]") {
    const nothing_left left;
    {
        process_pool pool(2);
        run(map_in_task(pool));
        std::vector<int> numbers(100);
        std::iota(numbers.begin(), numbers.end(), 0);
        const auto more = pool.map(one_more, numbers).chunk(7).get();
        CHECK(more.size() == 100);
        CHECK(more.back() == 100);
        CHECK(std::is_sorted(more.begin(), more.end()));
        CHECK(pool.map([](auto a) { return is_odd(a); }, numbers).get()[3]);
        CHECK(pool.map(length_of, std::vector<std::string>{"a", "bcd"}).get() ==
              std::vector<int>{1, 3});
        pool.map([](int) {}, numbers).chunk(50).get();
        auto unordered = pool.map_unordered(one_more, numbers);
        std::set<int> seen;
        while (const auto one = unordered.blocking_next()) seen.insert(*one);
        CHECK(seen == std::set<int>(more.begin(), more.end()));
        CHECK(pool.map(one_more, std::vector<int>{}).get().empty());
    }
    CHECK(left.text() == "");
}

TEST_CASE("process_pool: map is lazy and bounded; an error comes in order and ends it",
          "[process_pool]") {
    const nothing_left left;
    {
        process_pool pool(2);
        const std::vector<int> numbers{1, 3, 4, 5, 7};
        auto odd = pool.map(odd_only, numbers);
        CHECK(pool.stats().workers == 0);
        CHECK(odd.blocking_next() == 1);
        CHECK(odd.blocking_next() == 3);
        CHECK_THROWS_AS(odd.blocking_next(), std::out_of_range);
        CHECK_FALSE(odd.blocking_next());
        CHECK_THROWS_AS(pool.map([](int) { die_of(SIGABRT); }, numbers).buffer(1).get(),
                        broken_process_pool_error);
        CHECK(pool.submit(add, 1, 1).get() == 2);
    }
    CHECK(left.text() == "");
}

// -- workers --------------------------------------------------------------------------------------

TEST_CASE("process_pool: a worker inherits only standard output and error", "[process_pool]") {
    const nothing_left left;
    {
        const job_pipe told, word;
        process_pool pool(2);
        const auto other = pool.submit(say_and_wait, told.name(), word.name(0));
        told.next();
        const auto open_files = pool.submit(what_is_open);
        auto files = open_files.get();
        CHECK(files.front() == "/dev/null");  // its standard input
        const auto is_socket = [](const std::string& each) { return each.starts_with("socket:"); };
        CHECK(std::count_if(files.begin(), files.end(), is_socket) == 1);
        const auto pipe = std::filesystem::read_symlink(told.name()).string();
        CHECK(std::count(files.begin(), files.end(), pipe) == 0);
        word.give();
        const auto blocked = pool.submit([] {
            sigset_t mask;
            ::sigprocmask(SIG_BLOCK, nullptr, &mask);
            int count = 0;
            for (int signal = 1; signal < 65; ++signal) count += ::sigismember(&mask, signal) == 1;
            return count;
        });
        CHECK(blocked.get() == 0);
        const auto of_sigint = pool.submit([] {
            struct sigaction now {};
            ::sigaction(SIGINT, nullptr, &now);
            return now.sa_handler == SIG_IGN;
        });
        CHECK(of_sigint.get());
    }
    CHECK(left.text() == "");
}

TEST_CASE("process_pool: workers are started when they are needed, up to the limit",
          "[process_pool]") {
    const nothing_left left;
    {
        const job_pipe told, word;
        process_pool pool(2);
        std::vector<thread_future<int>> jobs;
        for (int i = 0; i < 3; ++i)
            jobs.push_back(pool.submit(say_and_wait, told.name(), word.name(0)));
        std::set<int> pids{told.next(), told.next()};
        CHECK(pids.size() == 2);
        CHECK(pool.stats().workers == 2);
        CHECK(pool.stats().busy == 2);
        CHECK(pool.stats().queued == 1);
        auto all = pool.worker_pids();
        CHECK(std::set<int>(all.begin(), all.end()) == pids);
        CHECK_FALSE(jobs[2].running());
        for (int i = 0; i < 3; ++i) word.give();
        for (const auto& job : jobs) pids.insert(job.get());
        CHECK(pids.size() == 2);
        CHECK(pool.stats().completed == 3);
        CHECK(pool.stats().queued == 0);
    }
    CHECK(left.text() == "");
}

TEST_CASE("process_pool: a worker is replaced after max_tasks_per_child jobs", "[process_pool]") {
    const nothing_left left;
    {
        process_pool pool({.workers = 1, .max_tasks_per_child = 2});
        std::vector<int> pids;
        for (int i = 0; i < 6; ++i) pids.push_back(pool.submit(pid_of_worker).get());
        CHECK(pids[0] == pids[1]);
        CHECK(pids[1] != pids[2]);
        CHECK(pids[2] == pids[3]);
        CHECK(pids[4] == pids[5]);
        pool.shutdown();
        CHECK(pool.stats().completed == 6);
    }
    CHECK(left.text() == "");
}

TEST_CASE("process_pool: a worker may have a pool of its own", "[process_pool]") {
    const nothing_left left;
    {
        process_pool pool(1);
        CHECK(pool.submit([](int a) { return process_pool(1).submit(add, a, 1).get(); }, 4).get() ==
              5);
    }
    CHECK(left.text() == "");
}

// -- the initializer ------------------------------------------------------------------------------

namespace {

int prepared = 0;
void prepare(int value) { prepared += value; }
int what_was_prepared() { return prepared; }
void refuse(std::string why) { throw std::runtime_error(why); }

}  // namespace

TEST_CASE("process_pool: the initializer runs once in each worker", "[process_pool]") {
    const nothing_left left;
    {
        process_pool pool({.workers = 1, .max_tasks_per_child = 1}, prepare, 5);
        CHECK(pool.submit(what_was_prepared).get() == 5);
        CHECK(pool.submit(what_was_prepared).get() == 5);
        CHECK(prepared == 0);
    }
    CHECK(left.text() == "");
}

TEST_CASE("process_pool: an initializer that fails breaks the pool, two hundred times",
          "[process_pool]") {
    const nothing_left left;
    for (int i = 0; i < many(200, 10); ++i) {
        process_pool pool({.workers = 2, .starts_max = static_cast<unsigned>(1 + i % 3)}, refuse,
                          "no licence");
        const auto first = pool.submit(add, 1, 2);
        // From submit or get.
        CHECK_THROWS_AS(pool.submit(add, 1, 2).get(), broken_process_pool_error);
        CHECK(failure_of(first).find("its initializer failed: no licence") != std::string::npos);
        CHECK_THROWS_AS(pool.submit(add, 1, 2), broken_pool_error);
    }
    {
        process_pool closing({.workers = 1}, refuse, "no licence");
        const auto waits = closing.submit(add, 1, 2);
        closing.shutdown(false);
        CHECK_THROWS_AS(waits.get(), broken_process_pool_error);
    }
    process_pool crashing({.workers = 1}, end_with, 0);
    CHECK(failure_of(crashing.submit(add, 1, 2)).find("3 workers in a row") != std::string::npos);
    crashing.shutdown();
    CHECK(left.text() == "");
}

TEST_CASE("process_pool: if no worker can be started, the futures say why", "[process_pool]") {
    const nothing_left left;
    {
        process_pool pool(2);
        rlimit before{};
        ::getrlimit(RLIMIT_NOFILE, &before);
        const int next = ::dup(STDIN_FILENO);
        ::close(next);
        rlimit full = before;
        full.rlim_cur = static_cast<rlim_t>(next);
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &full) == 0);
        const std::string failure = failure_of(pool.submit(add, 1, 2));
        ::setrlimit(RLIMIT_NOFILE, &before);
        CHECK(failure.find("socketpair: Too many open files") != std::string::npos);
        CHECK_THROWS_AS(pool.submit(add, 1, 2), broken_process_pool_error);
    }
    CHECK(left.text() == "");
}

// -- users: callbacks, threads, loops -------------------------------------------------------------

TEST_CASE(
    "process_pool: callbacks are called once each, on the pool's thread, and may use the pool",
    "[process_pool]") {
    const nothing_left left;
    {
        process_pool pool(2);
        std::atomic<int> called = 0;
        std::atomic<bool> elsewhere = true;
        std::vector<thread_future<int>> jobs;
        std::mutex mutex;
        std::vector<thread_future<int>> further;
        for (int i = 0; i < 50; ++i) {
            jobs.push_back(pool.submit(add, i, 1));
            jobs.back().add_done_callback(
                [&, here = std::this_thread::get_id(), i](const thread_future<int>& job) {
                    if (job.get() != i + 1) return;
                    if (std::this_thread::get_id() == here)
                        elsewhere = i == 0 ? elsewhere.load() : false;
                    const std::lock_guard lock(mutex);
                    further.push_back(pool.submit(add, job.get(), 1));
                    ++called;
                });
        }
        for (const auto& job : jobs) job.wait();
        pool.submit(add, 0, 0).wait();
        while (called != 50) std::this_thread::yield();
        for (const auto& job : further) job.wait();
    }
    CHECK(left.text() == "");
}

TEST_CASE("process_pool: many threads submit to one pool", "[process_pool]") {
    const nothing_left left;
    {
        process_pool pool(2);
        std::atomic<long> sum = 0;
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; ++t)
            threads.emplace_back([&] {
                std::vector<thread_future<int>> jobs;
                for (int i = 0; i < many(1000, 100); ++i) jobs.push_back(pool.submit(add, i, 1));
                for (std::size_t i = 0; i < jobs.size(); i += 3) jobs[i].cancel();
                for (const auto& job : jobs) {
                    job.wait();
                    if (job.done() && !job.cancelled() && !job.exception()) ++sum;
                }
            });
        for (auto& thread : threads) thread.join();
        CHECK(sum > 0);
        pool.shutdown();
        CHECK(pool.stats().queued == 0);
    }
    CHECK(left.text() == "");
}

namespace {

task<long> use_from_loop(process_pool& pool, int count) {
    std::vector<thread_future<int>> jobs;
    for (int i = 0; i < count; ++i) jobs.push_back(pool.submit(add, i, 1));
    long sum = 0;
    for (const auto& job : jobs) sum += co_await job;
    co_return sum;
}

task<> use_and_close() {
    process_pool pool(2);
    const long sum = co_await use_from_loop(pool, 20);
    if (sum != 210) throw error("a wrong sum");
    const auto last = pool.submit(add, 1, 2);
    co_await pool.close();
    if (!last.done()) throw error("closed too early");
}

task<> leave_it(process_pool& pool, const job_pipe& told, const job_pipe& word) {
    const auto job = pool.submit(say_and_wait, told.name(), word.name(0));
    told.next();
    auto waiting =
        create_task([](thread_future<int> j) -> task<int> { co_return co_await j; }(job));
    co_await yield_now();
    waiting.cancel();
    const std::vector<future<int>> all{waiting};
    co_await wait(all);
    if (!waiting.cancelled() || job.done())
        throw error("the await has not left, or the job has ended");
    word.give();
    const int pid = co_await job;
    if (pid == 0) throw error("no worker");
}

}  // namespace

TEST_CASE("process_pool: used from one loop, and from two", "[process_pool]") {
    const nothing_left left;
    {
        process_pool pool(2);
        CHECK(run(use_from_loop(pool, 50)) == 1275);
        std::thread other([&] { run(use_from_loop(pool, 50)); });
        CHECK(run(use_from_loop(pool, 50)) == 1275);
        other.join();
        run(use_and_close());
        const job_pipe told, word;
        run(leave_it(pool, told, word));
    }
    CHECK(left.text() == "");
}

TEST_CASE("process_pool: some of these cases under disturbances", "[process_pool]") {
    if (rondo_tests::with_tsan()) return;  // four times as slow, and no new code runs
    std::vector<std::unique_ptr<rondo_tests::disturbed_run>> runs;
    for (const auto what : rondo_tests::all_disturbances)
        runs.push_back(std::make_unique<rondo_tests::disturbed_run>(
            what, "process_pool: functions*,process_pool: exceptions*,process_pool: a worker is*"));
    for (auto run = runs.rbegin(); run != runs.rend(); ++run) {  // the stopped one first
        const bool passed = (*run)->passed();
        INFO((*run)->text());
        CHECK(passed);
    }
}

bool rondo_tests_take_over(int count, char** arguments) {
    if (rondo::process_worker(count, arguments)) return true;
    rondo_tests::disturb_if_requested();
    return false;
}
