// SPDX-License-Identifier: MIT
// Managed objects: their operations, handles in other processes, lost clients, a lost server.
#include <rondo/managed.hpp>

#include <signal.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <rondo/command.hpp>
#include <rondo/gather.hpp>
#include <rondo/process.hpp>
#include <rondo/process_pool.hpp>
#include <rondo/run.hpp>
#include <rondo/start_process.hpp>

#include "support/process_jobs.hpp"

using namespace rondo_tests;

extern "C" bool rondo_tests_take_over(int count, char** arguments);

namespace {

using counts = managed_map<std::string, int>;

// -- functions for processes ----------------------------------------------------------------------

task<> count_up(counts map, managed_list<int> list, managed_value<long> total, int times) {
    for (int i = 0; i < times; ++i) {
        co_await map.update("all", [](std::optional<int> old) { return old.value_or(0) + 1; });
        co_await list.push_back(i);
        co_await total.add(2);
    }
}
void count_in_process(counts map, managed_list<int> list, managed_value<long> total, int times) {
    run(count_up(map, list, total, times));
}
/// Adds one in two steps, under the mutex.
task<> add_slowly(managed_mutex mutex, managed_value<int> value, int times) {
    for (int i = 0; i < times; ++i) {
        const auto held = co_await mutex.lock();
        const int old = co_await value.load();
        co_await value.store(old + 1);
    }
}
void add_in_process(managed_mutex mutex, managed_value<int> value, int times) {
    run(add_slowly(mutex, value, times));
}
task<> lock_and_stay(managed_mutex mutex, std::string pipe) {
    const auto held = co_await mutex.lock();
    say_and_stay(std::move(pipe));
}
void hold_in_process(managed_mutex mutex, std::string pipe) {
    run(lock_and_stay(mutex, std::move(pipe)));
}

/// Waits for the mutex, and releases it. Returns a value, to be observed.
task<bool> lock_once(const managed_mutex* mutex) {
    const auto held = co_await mutex->lock();
    co_return static_cast<bool>(held);
}

}  // namespace

// -- operations -----------------------------------------------------------------------------------

RONDO_TEST("managed: a map", "[managed][kernel]") {
    manager shared;
    const counts map(shared);
    auto none = co_await map.get("a");
    CHECK_FALSE(none);
    co_await map.set("a", 1);
    co_await map.set("b", 2);
    auto value = co_await map.get("a");
    CHECK(value == 1);
    bool done = co_await map.insert("a", 5);
    CHECK_FALSE(done);
    done = co_await map.insert("c", 3);
    CHECK(done);
    done = co_await map.compare_exchange("a", 2, 9);
    CHECK_FALSE(done);
    done = co_await map.compare_exchange("none", 2, 9);
    CHECK_FALSE(done);
    done = co_await map.compare_exchange("a", 1, 9);
    CHECK(done);
    int fresh = co_await map.update("a", [](std::optional<int> old) { return *old + 1; });
    CHECK(fresh == 10);
    fresh = co_await map.update("new", [](std::optional<int> old) { return old ? 0 : 4; });
    CHECK(fresh == 4);
    CHECK(co_await map.size() == 4);
    CHECK(co_await map.contains("c"));
    CHECK(co_await map.take("c") == 3);
    CHECK_FALSE(co_await map.contains("c"));
    CHECK(co_await map.erase("b"));
    CHECK_FALSE(co_await map.erase("b"));
    auto keys = co_await map.keys();
    std::sort(keys.begin(), keys.end());
    CHECK(keys == std::vector<std::string>{"a", "new"});
    auto items = co_await map.items();
    std::sort(items.begin(), items.end());
    CHECK(items == std::vector<std::pair<std::string, int>>{{"a", 10}, {"new", 4}});
    const counts other(shared);  // another object
    CHECK(co_await other.size() == 0);
    co_await map.clear();
    CHECK(co_await map.size() == 0);
}

RONDO_TEST("managed: a list, and values", "[managed][kernel]") {
    manager shared;
    const managed_list<std::string> list(shared);
    CHECK_FALSE(co_await list.pop_back());
    co_await list.push_back("b");
    co_await list.push_back("c");
    co_await list.insert(0, "a");
    co_await list.insert(99, "d");
    CHECK(co_await list.size() == 4);
    CHECK(co_await list.get(1) == "b");
    CHECK_FALSE(co_await list.get(4));
    CHECK(co_await list.set(1, "B"));
    CHECK_FALSE(co_await list.set(4, "x"));
    CHECK_FALSE(co_await list.compare_exchange(0, "x", "y"));
    CHECK(co_await list.compare_exchange(0, "a", "A"));
    const auto items = co_await list.items();
    CHECK(items == std::vector<std::string>{"A", "B", "c", "d"});
    CHECK(co_await list.pop_front() == "A");
    CHECK(co_await list.pop_back() == "d");
    CHECK(co_await list.take(1) == "c");
    CHECK_FALSE(co_await list.take(1));
    co_await list.clear();
    CHECK(co_await list.size() == 0);

    const managed_value<int> value(shared, 7), zero(shared);
    CHECK(co_await value.load() == 7);
    CHECK(co_await zero.add(-2) == -2);
    CHECK_FALSE(co_await value.compare_exchange(6, 8));
    CHECK(co_await value.compare_exchange(7, 8));
    CHECK_FALSE(co_await value.compare_exchange(7, 8));
    co_await value.store(7);
    CHECK(co_await value.update([](int old) { return old * 2; }) == 14);
    const counts map(shared);
    co_await map.set("a", 1);
    const managed_map<std::string, std::string> wrong(rondo::detail::managed_object(map.place()));
    CHECK_THROWS_AS(co_await wrong.get("a"), format_error);
}

// -- several processes ----------------------------------------------------------------------------

RONDO_TEST("managed: processes and jobs change objects at the same time, and no change is lost",
           "[managed][kernel]") {
    manager shared;
    const counts map(shared);
    const managed_list<int> list(shared);
    const managed_value<long> total(shared, 100);
    auto one = start_process(count_in_process, map, list, total, 40);
    auto two = start_process(count_in_process, map, list, total, 40);
    process_pool pool(1);
    auto job = pool.submit(count_in_process, map, list, total, 40);
    co_await count_up(map, list, total, 40);
    const auto [first, second] = co_await gather(one.wait(), two.wait());
    CHECK(first + second == 0);
    co_await job;
    CHECK(co_await map.get("all") == 160);
    CHECK(co_await list.size() == 160);
    CHECK(co_await total.load() == 420);
    co_await pool.close();
}

RONDO_TEST("managed: a mutex between processes, which the server takes from one that is killed",
           "[managed][kernel]") {
    manager shared;
    const managed_mutex mutex(shared);
    const managed_value<int> value(shared);
    auto one = start_process(add_in_process, mutex, value, 20);
    auto two = start_process(add_in_process, mutex, value, 20);
    co_await add_slowly(mutex, value, 20);
    co_await gather(one.wait(), two.wait());
    CHECK(co_await value.load() == 60);

    const job_pipe told;
    auto holder = start_process(hold_in_process, mutex, told.name());
    told.next();
    auto waiting = create_task(lock_once(&mutex));
    CHECK(co_await value.load() == 60);  // an answer: `waiting` had its time
    CHECK_FALSE(waiting.done());
    holder.kill();
    CHECK(co_await waiting);
    CHECK(co_await holder.wait() == -SIGKILL);
}

RONDO_TEST("managed: cancelled before, in flight, and while it waits for the mutex",
           "[managed][cancel][kernel]") {
    manager shared;
    const managed_list<int> list(shared);
    const managed_mutex mutex(shared);
    co_await list.push_back(1);
    co_await check_cancelled_before([&] { return list.pop_front(); });
    CHECK(co_await list.size() == 1);
    // The item that was taken is delivered, and the next wait throws.
    const auto outcome = co_await cancelled_in_flight([&] { return list.pop_front(); });
    CHECK(outcome == outcome_of_wait::value);
    CHECK(co_await list.size() == 0);
    {
        const auto held = co_await mutex.lock();
        co_await check_cancelled_before([&] { return mutex.lock(); });
        co_await check_cancelled_while_suspended([&] { return mutex.lock(); });
    }
    CHECK(co_await lock_once(&mutex));
    for (int turns = 0; turns < 6; ++turns) {  // the grant comes before or after the cancellation
        auto held = co_await mutex.lock();
        auto waiting = create_task(lock_once(&mutex));
        co_await list.size();
        held.unlock();
        co_await finish(turns);
        waiting.cancel();
        co_await gather_settled(waiting);
        CHECK(co_await lock_once(&mutex));  // the cancelled one does not have it
    }
}

// -- limits and ends ------------------------------------------------------------------------------

RONDO_TEST("managed: what has no room is refused, and nothing is changed", "[managed][kernel]") {
    manager shared({.bytes_max = 4'000});
    const managed_map<int, std::string> map(shared);
    co_await map.set(1, std::string(2'000, 'x'));
    CHECK_THROWS_AS(co_await map.set(2, std::string(2'000, 'y')), limit_error);
    CHECK_THROWS_AS(co_await map.set(1, std::string(5'000, 'y')), limit_error);
    CHECK(co_await map.size() == 1);
    co_await map.set(1, std::string(2'500, 'z'));
    co_await map.erase(1);
    co_await map.set(2, std::string(2'000, 'y'));
    const managed_list<std::string> list(shared);
    CHECK_THROWS_AS(co_await list.push_back(std::string(2'000, 'y')), limit_error);
    CHECK_THROWS_AS(co_await list.push_back(std::string(16 * 1024 * 1024, 'y')), limit_error);
    co_await map.clear();
    co_await list.push_back(std::string(2'000, 'y'));
}

RONDO_TEST("managed: bytes that are no request cost only their own connection",
           "[managed][kernel]") {
    manager shared;
    const managed_value<int> value(shared, 3);
    const std::string& path = std::get<0>(value.place());
    for (const std::string& bytes :
         {std::string("\xff\xff\xff\xff", 4), std::string("\4\0\0\0abcd", 8), std::string(7, '\1'),
          std::string("\0\0\0\0", 4), std::string("\1", 1)}) {
        auto line = co_await connect_unix(path);
        co_await line.write_all(bytes);
        co_await line.shutdown_write();
        const auto answer = co_await line.read_all();
        CHECK(answer == "");
    }
    CHECK(co_await value.load() == 3);
    CHECK(std::filesystem::status(std::filesystem::path(path).parent_path()).permissions() ==
          std::filesystem::perms::owner_all);
}

RONDO_TEST("managed: when the server has ended, operations say so", "[managed][kernel]") {
    manager shared;
    const managed_value<int> value(shared, 3);
    const managed_mutex mutex(shared);
    CHECK(co_await value.load() == 3);
    auto held = co_await mutex.lock();
    auto waiting = create_task(lock_once(&mutex));
    CHECK(co_await value.load() == 3);
    CHECK(shared.is_alive());
    ::kill(shared.pid(), SIGKILL);
    CHECK_THROWS_AS(co_await waiting, broken_manager_error);
    CHECK_THROWS_AS(co_await value.load(), broken_manager_error);
    CHECK_THROWS_AS(co_await value.store(4), broken_manager_error);
    CHECK_THROWS_AS(co_await mutex.lock(), broken_manager_error);
    while (shared.is_alive()) co_await sleep(1ms);

    const std::string folder = std::filesystem::path(std::get<0>(value.place())).parent_path();
    CHECK(std::filesystem::exists(folder));
    { const manager gone(std::move(shared)); }
    CHECK_FALSE(std::filesystem::exists(folder));

    manager closed;
    const managed_value<int> other(closed);
    co_await closed.close();
    CHECK_FALSE(closed.is_alive());
    CHECK_THROWS_AS(co_await other.load(), broken_manager_error);
}

std::size_t open_descriptors() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

task<> use_a_manager() {
    manager shared;
    managed_value<int> value(shared);
    co_await value.store(7);
    CHECK(co_await value.load() == 7);
}

RONDO_TEST("managed: a manager that has ended leaves no connection open in the loop",
           "[managed][kernel]") {
    co_await use_a_manager();
    co_await sleep(1ms);
    const std::size_t before = open_descriptors();
    for (int i = 0; i < 3; ++i) co_await use_a_manager();
    while (open_descriptors() > before) co_await sleep(1ms);  // else the test's limit ends it
}

TEST_CASE("managed: the server ends with a manager's process that is killed, and leaves no file",
          "[managed]") {
    const nothing_left left;
    const std::string folder = "/tmp/rondo-test-managed-" + std::to_string(::getpid());
    std::filesystem::create_directory(folder);
    // The server keeps the pipe of the output open, so run ends when the server has ended, too.
    const auto end = run(command("/proc/self/exe", "--manager-that-dies")
                             .env("TMPDIR", folder)
                             .timeout(60s)
                             .run());
    CHECK(end.exit_code == -SIGKILL);
    CHECK(end.output == "7\n");
    CHECK(std::filesystem::is_empty(folder));
    std::filesystem::remove_all(folder);
    CHECK(left.text() == "");
}

bool rondo_tests_take_over(int count, char** arguments) {
    if (rondo::process_worker(count, arguments)) return true;
    if (count != 2 || std::string_view(arguments[1]) != "--manager-that-dies") return false;
    manager shared;
    const managed_value<int> value(shared, 6);
    const int seven = run(value.add(1));
    const std::string text = std::to_string(seven) + '\n';
    if (::write(STDOUT_FILENO, text.data(), text.size()) < 0) std::abort();
    ::raise(SIGKILL);
    return true;
}
