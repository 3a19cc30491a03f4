// SPDX-License-Identifier: MIT
// Lookups: shared ones, cancelled ones, and ones that hang. The names are made up. Tests that need
// threads that really hang are [kernel].
#include <rondo/dns.hpp>

#include <netdb.h>
#include <sys/syscall.h>

#include <cstdlib>
#include <optional>
#include <thread>
#include <vector>

#include <rondo/executor.hpp>
#include <rondo/gather.hpp>
#include <rondo/run.hpp>

#include "support/child.hpp"
#include "support/core_tools.hpp"
#include "support/net_tools.hpp"
#include "support/resolver_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;
using namespace rondo_tests;

namespace {

using rondo::detail::answer;
using rondo::detail::resolver;

resolver& ours() { return resolver::of(running_loop()); }

RONDO_TEST("resolve: tasks that ask for one name at the same time share one lookup",
           "[resolver][both]") {
    made_up_names names;
    names.know("one.test", {{"10.0.0.1", 0}, {"2001:db8::1", 0}});
    names.know("two.test", {{"10.0.0.2", 0}});
    names.use();
    auto [a, b, c] =
        co_await gather(resolve("one.test", 80), resolve("one.test", 443), resolve("two.test", 80));
    REQUIRE(a == std::vector<endpoint>{{"10.0.0.1", 80}, {"2001:db8::1", 80}});
    REQUIRE(b == std::vector<endpoint>{{"10.0.0.1", 443}, {"2001:db8::1", 443}});
    REQUIRE(c == std::vector<endpoint>{{"10.0.0.2", 80}});
    REQUIRE(names.questions() == 2);
    REQUIRE(ours().running() == 0);
    a = co_await resolve("one.test", 80);  // there is no cache
    REQUIRE(names.questions() == 3);
    auto [v4, any] =
        co_await gather(resolve("one.test", 1, address_family::ipv4), resolve("one.test", 1));
    REQUIRE(names.questions() == 5);  // two questions, not one
}

RONDO_TEST("resolve: only one family, if it is asked for", "[resolver][both]") {
    std::vector<address_family> asked;
    ours().set_source([&asked](const std::string&, address_family family) {
        asked.push_back(family);
        answer given;
        given.addresses = {{"::1", 0}};
        return given;
    });
    for (const auto family : {address_family::none, address_family::ipv4, address_family::ipv6})
        co_await resolve("some.test", 1, family);
    REQUIRE(asked == std::vector{address_family::none, address_family::ipv4, address_family::ipv6});
    REQUIRE((co_await resolve("::1", 1, address_family::ipv6)).size() == 1);
    std::string text =
        co_await text_of_failure<std::system_error>(resolve("::1", 1, address_family::ipv4));
    REQUIRE(text == "resolve ::1: Address family for hostname not supported");
    text = co_await text_of_failure<std::system_error>(
        resolve("some.test", 1, address_family::unix_socket));
    REQUIRE(text == "resolve some.test: ai_family not supported");
    REQUIRE(asked.size() == 3);
}

RONDO_TEST("resolve: each task that shares a lookup gets its error", "[resolver][both]") {
    ours().set_source([](const std::string& host, address_family) {
        answer given;
        if (host == "again.test") given.failed = EAI_AGAIN;
        if (host == "system.test") given.failed = EAI_SYSTEM;
        if (host == "system.test") given.system_error = EMFILE;
        if (host == "thrown.test") throw std::bad_alloc();
        return given;
    });
    auto [a, b, c, d, e] =
        co_await gather(text_of_failure<std::system_error>(resolve("again.test", 1)),
                        text_of_failure<std::system_error>(resolve("again.test", 2)),
                        text_of_failure<std::system_error>(resolve("system.test", 1)),
                        text_of_failure<std::system_error>(resolve("thrown.test", 1)),
                        text_of_failure<std::system_error>(resolve("empty.test", 1)));
    REQUIRE(a == "resolve again.test: Temporary failure in name resolution");
    REQUIRE(b == a);
    REQUIRE(c == "resolve system.test: Too many open files");
    REQUIRE(d == "resolve thrown.test: Memory allocation failure");
    REQUIRE(e == "resolve empty.test: Name or service not known");
}

// -- cancelling -----------------------------------------------------------------------------------

RONDO_TEST("resolve: in a cancelled scope it throws without a lookup", "[resolver][both]") {
    made_up_names names;
    names.know("one.test", {{"10.0.0.1", 0}});
    names.use();
    co_await check_cancelled_before([] { return resolve("one.test", 1); });
    REQUIRE(names.questions() == 0);
}

RONDO_TEST("resolve: a cancellation ends it at once while the lookup hangs", "[resolver][kernel]") {
    hanging_names names;
    names.use();
    co_await check_cancelled_while_suspended([] { return resolve("one.test", 1); });
    REQUIRE(names.ended() == 0);
    names.go_on();
}

// Of two tasks that share a lookup the first one runs first and cancels the second. At that moment
// the second task's answer has come, and it has not run since.
RONDO_TEST("resolve: cancelled after the answer has come it returns, and the next wait throws",
           "[resolver][both]") {
    made_up_names names;
    names.know("one.test", {{"10.0.0.1", 0}});
    names.use();
    observed seen;
    std::optional<future<>> second;
    bool had_come = false;
    auto first = [&]() -> task<> {
        co_await resolve("one.test", 1);
        had_come = second->state() == task_state::ready;
        second->cancel();
    };
    future<> running = create_task(first());
    second = create_task(observe([] { return resolve("one.test", 2); }, &seen));
    co_await running;
    try {
        co_await *second;
    } catch (const future_cancelled&) {
    }
    REQUIRE(had_come);
    REQUIRE(seen.first == outcome_of_wait::value);
    REQUIRE(seen.next_threw);
    REQUIRE(names.questions() == 1);
}

RONDO_TEST("resolve: a task that leaves takes nothing from the others", "[resolver][kernel]") {
    hanging_names names;
    names.use();
    std::vector<future<std::vector<endpoint>>> asking;
    for (std::uint16_t port = 1; port <= 3; ++port)
        asking.push_back(create_task(resolve("same.test", port)));
    co_await names.until_begun(1);
    asking[0].cancel();
    co_await yield_now();
    REQUIRE(asking[0].cancelled());
    names.go_on();
    auto found = co_await std::move(asking[1]);
    REQUIRE(found.front().port() == 2);
    found = co_await std::move(asking[2]);
    REQUIRE(found.front().port() == 3);
    REQUIRE(names.begun() == 1);
}

RONDO_TEST("resolve: a lookup that all tasks have left is joined by the next one",
           "[resolver][kernel]") {
    hanging_names names;
    names.use();
    for (int i = 0; i < 10; ++i) {
        auto asking = create_task(resolve("dead.test", 1));
        co_await names.until_begun(1);
        asking.cancel();
        co_await yield_now();
        REQUIRE(asking.cancelled());
        REQUIRE(ours().running() == 1);
    }
    auto at_last = create_task(resolve("dead.test", 7));
    co_await yield_now();
    names.go_on();
    const auto found = co_await std::move(at_last);
    REQUIRE(found.front().port() == 7);
    REQUIRE(names.begun() == 1);
    REQUIRE(ours().running() == 0);
}

RONDO_TEST("resolve: at most four hang at a time; a lookup without a task is not begun",
           "[resolver][kernel]") {
    hanging_names names;
    names.use();
    std::vector<future<std::vector<endpoint>>> asking;
    for (const char* host : {"a", "bb", "ccc", "dddd", "eeeee", "ffffff"})
        asking.push_back(create_task(resolve(host, 1)));
    co_await names.until_begun(4);
    REQUIRE(ours().running() == 6);
    asking[4].cancel();
    co_await yield_now();
    REQUIRE(asking[4].cancelled());
    REQUIRE(ours().running() == 5);
    REQUIRE(names.begun() == 4);
    names.go_on();
    for (const std::size_t i : {0U, 1U, 2U, 3U, 5U}) {
        const auto found = co_await std::move(asking[i]);
        REQUIRE(found.front().address() == "127.0.0." + std::to_string(2 + i));
    }
    REQUIRE(names.begun() == 5);
}

RONDO_TEST("resolve: lookups that hang do not delay to_thread, nor to_thread them",
           "[resolver][kernel]") {
    hanging_names names;
    names.use();
    std::vector<future<std::vector<endpoint>>> asking;
    for (const char* host : {"a", "bb", "ccc", "dddd"})
        asking.push_back(create_task(resolve(host, 1)));
    co_await names.until_begun(4);
    running_loop().set_default_executor(thread_pool(1));
    const int value = co_await to_thread([] { return 7; });
    REQUIRE(value == 7);
    gate blocks;
    signal_to_loop begun;
    auto block = [&]() -> task<> {
        co_await to_thread([&] {
            begun.give();
            blocks.pass();
        });
    };
    auto blocked = create_task(block());
    co_await begun.given();
    names.go_on();
    for (auto& each : asking) co_await each;
    REQUIRE_FALSE(blocked.done());
    blocks.open();
    co_await blocked;
}

// -- the end of the loop --------------------------------------------------------------------------

TEST_CASE("resolve: begun by one of the last callbacks of a loop, a lookup fails", "[resolver]") {
    const testing::leak_probe before;
    std::optional<answer> found;
    try {
        loop home;
        home.at_shutdown([&] {
            const rondo::detail::lookup_share late(resolver::of(home),
                                                   {"late.test", address_family::none});
            REQUIRE(late->job == nullptr);
            found = late->found;
        });
        resolver::of(home);  // its threads end in a hook that runs before
        home.close();
    } catch (const uring_unavailable& why) {
        SKIP(why.what());
    }
    REQUIRE(found.has_value());
    REQUIRE(found->failed == EAI_AGAIN);
    REQUIRE(before.leaks().empty());
}

TEST_CASE("resolve: a loop ends while lookups hang, and they end after it", "[resolver]") {
    const testing::leak_probe before;
    hanging_names names;
    try {
        loop home;
        auto main = [&]() -> task<> {
            names.use();
            for (const char* host : {"a", "bb", "ccc", "dddd", "eeeee"})
                create_task(resolve(host, 1));
            co_await names.until_begun(4);
        };
        home.run_until_complete(main());
        home.close();
    } catch (const uring_unavailable& why) {
        SKIP(why.what());
    }
    REQUIRE(names.ended() == 0);  // the loop has not waited for them
    names.go_on();
    while (names.ended() < 4) std::this_thread::yield();
    REQUIRE(before.leaks().empty());
    REQUIRE(names.begun() == 4);  // the fifth one was never begun
}

TEST_CASE("resolve: loop.run does not wait for a lookup that all tasks have left", "[resolver]") {
    const testing::leak_probe before;
    hanging_names names;
    try {
        loop home;
        auto main = [&]() -> task<> {
            names.use();
            auto asking = create_task(resolve("a", 1));
            co_await names.until_begun(1);
            asking.cancel();
        };
        home.create_task(main());
        home.run();
        REQUIRE(names.ended() == 0);
        home.run_once();
    } catch (const uring_unavailable& why) {
        SKIP(why.what());
    }
    names.go_on();
    while (names.ended() < 1) std::this_thread::yield();
    REQUIRE(before.leaks().empty());
}

// std::exit destroys static objects while a thread hangs.
TEST_CASE("resolve: a process ends while a lookup hangs", "[resolver]") {
    if (with_tsan()) return;  // does not support a thread in a forked child
    const auto end = run_child([]() -> int {
        hanging_names names;
        auto main = [&]() -> task<> {
            names.use();
            auto asking = create_task(resolve("a", 1));
            co_await names.until_begun(1);
        };
        run(main());
        std::exit(names.ended() == 0 ? 7 : 8);
    });
    INFO(end.text);
    REQUIRE(end.exited(7));
    if (!with_asan()) REQUIRE(end.text.empty());  // reports the running thread
}

TEST_CASE("resolve: if no thread can be started the loop's own thread makes the call",
          "[resolver]") {
    if (with_tsan()) return;
    const auto end = run_child([] {
        made_up_names names;
        names.know("one.test", {{"10.0.0.1", 0}});
        auto main = [&]() -> task<int> {
            names.use();
            const auto found = co_await resolve("one.test", 1);
            co_return found.front().port() == 1 ? 0 : 1;
        };
        loop home;
        forbid(SYS_clone3, EAGAIN);
        forbid(SYS_clone, EAGAIN);
        return home.run_until_complete(main());
    });
    INFO(end.text);
    REQUIRE(end.exited());
}

RONDO_TEST("resolve: a report of a waiting task names the host", "[resolver][kernel]") {
    hanging_names names;
    names.use();
    auto asking = create_task(resolve("some.test", 1), {.name = "who"});
    co_await names.until_begun(1);
    REQUIRE(asking.describe().find("resolve some.test") != std::string::npos);
    names.go_on();
    co_await asking;
}

RONDO_TEST("resolve: cancelled at any moment, a simulated loop ends with its lookups",
           "[resolver]", seeds(50)) {
    made_up_names names;
    names.know("one.test", {{"10.0.0.1", 0}});
    names.use();
    auto asking = create_task(resolve("one.test", 1));
    co_await sleep(
        std::chrono::microseconds(rondo::detail::random(rondo::detail::running()) % 2000));
    asking.cancel();
}

}  // namespace
