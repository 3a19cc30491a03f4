// SPDX-License-Identifier: MIT
// Names of threads, and the list of rondo's threads.
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <rondo/loop_pool.hpp>
#include <rondo/thread.hpp>
#include <rondo/thread_pool.hpp>
#include <rondo/threads.hpp>

#include "support/child.hpp"
#include "support/core_tools.hpp"
#include "support/executor_tools.hpp"

using namespace rondo_tests;

namespace {

/// The name that the system shows for the calling thread.
std::string shown_name() {
    char text[16] = "";
    ::pthread_getname_np(::pthread_self(), text, sizeof text);
    return text;
}

/// The threads of that kind in the list. Other tests may have left some of other kinds.
std::vector<thread_info> listed(thread_kind kind) {
    std::vector<thread_info> all = threads();
    std::erase_if(all, [&](const thread_info& each) { return each.kind != kind; });
    return all;
}

TEST_CASE("threads: a thread is listed from its constructor until its function has returned",
          "[threads]") {
    gate begun, hold;
    const std::size_t before = thread_count();
    int inside = 0;
    rondo::thread one("sampler of the second sensor", [&] {
        inside = ::gettid();
        begun.open();
        hold.pass();
    });
    auto now = listed(thread_kind::thread);
    REQUIRE(now.size() == 1);
    CHECK(now[0].name == "sampler of the second sensor");
    CHECK(thread_count() == before + 1);
    begun.pass();
    CHECK(one.native_id() == inside);
    CHECK(listed(thread_kind::thread)[0].native_id == inside);
    hold.open();
    one.join();
    CHECK(listed(thread_kind::thread).empty());
    CHECK(thread_count() == before);
    CHECK(one.native_id() == 0);
    CHECK(one.name() == "sampler of the second sensor");
}

TEST_CASE("threads: set_name renames a running thread, from inside and from outside",
          "[threads]") {
    gate named, hold;
    std::string own, shown_later;
    rondo::thread one("first", [&] {
        own = this_thread_name();
        set_this_thread_name("second name, longer than the system keeps");
        named.open();
        hold.pass();
        shown_later = shown_name();
    });
    named.pass();
    CHECK(own == "first");
    CHECK(one.name() == "second name, longer than the system keeps");
    one.set_name("third");
    CHECK(listed(thread_kind::thread)[0].name == "third");
    hold.open();
    one.join();
    CHECK(shown_later == "third");
    one.set_name("fourth");  // its thread has ended
    CHECK(one.name() == "fourth");
    rondo::thread other = std::move(one);
    CHECK(other.name() == "fourth");
    CHECK(rondo::thread().name().empty());
    CHECK(rondo::thread().native_id() == 0);
}

TEST_CASE("threads: the system shows 15 bytes, and never half a character", "[threads]") {
    std::string shown, second, foreign;
    rondo::thread one("fourteen bytes\u00e9", [&] {
        shown = shown_name();
        set_this_thread_name("\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9");
        second = shown_name();
    });
    one.join();
    CHECK(shown == "fourteen bytes");
    CHECK(second == "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9");
    std::thread([&] {  // rondo has not started this one
        set_this_thread_name("sixteen letters!");
        foreign = this_thread_name();
    }).join();
    CHECK(foreign == "sixteen letters");
}

TEST_CASE("threads: of a pool, numbered, until the pool ends", "[threads]") {
    {
        thread_pool_options options;
        options.core = 2;
        options.name_prefix = "resize the pictures";
        thread_pool pool(options);
        gate hold;
        std::atomic<int> running{0};
        const auto job = [&] {
            ++running;
            hold.pass();
        };
        auto first = pool.submit(job), second = pool.submit(job);
        while (running != 2) std::this_thread::yield();
        auto now = listed(thread_kind::pool);
        REQUIRE(now.size() == 2);
        std::ranges::sort(now, {}, &thread_info::name);
        CHECK(now[0].name == "resize the pictures-0");
        CHECK(now[1].name == "resize the pictures-1");
        hold.open();
        CHECK(pool.submit(shown_name).get().starts_with("resize the pi-"));
    }
    CHECK(listed(thread_kind::pool).empty());
}

TEST_CASE("threads: of a loop_pool and of a timer", "[threads][kernel]") {
    try {
        loop_pool_options options;
        options.loops = 2;
        const loop_pool cores(options);
        const auto now = listed(thread_kind::loop);
        REQUIRE(now.size() == 2);
        CHECK(now[0].name.starts_with("rondo-loop-"));
        CHECK(now[0].native_id != now[1].native_id);
    } catch (const uring_unavailable& why) {
        SKIP(why.what());
    }
    CHECK(listed(thread_kind::loop).empty());

    gate called, hold;
    thread_timer timer(0s, [&] {
        called.open();
        hold.pass();
    });
    timer.start();
    called.pass();
    CHECK(listed(thread_kind::timer).size() == 1);
    hold.open();
}

TEST_CASE("threads: a forked child has none of its parent's threads", "[threads]") {
    int answer = -1;
    rondo::thread one("parent", [&] {
        const pid_t child = ::fork();
        if (child == 0) {
            const bool right = threads().empty() && this_thread_name() == "parent";
            set_this_thread_name("renamed");
            const bool renamed = this_thread_name() == "renamed";
            std::size_t own = 1;
            if (!with_tsan()) {  // it allows no threads after the fork
                gate hold;
                rondo::thread another("child", [&] { hold.pass(); });
                own = threads().size();
                hold.open();
                another.join();
            }
            ::_exit(right && renamed && own == 1 && threads().empty() ? 0 : 1);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        answer = WIFEXITED(status) ? WEXITSTATUS(status) : 99;
    });
    one.join();
    CHECK(answer == 0);
}

TEST_CASE("threads: many that start, are renamed and end while the list is read", "[threads]") {
    const int rounds = many(200, 50);
    std::atomic<bool> over{false};
    std::size_t largest = 0;
    rondo::thread reader("reader", [&] {
        while (!over) largest = std::max(largest, threads().size());
    });
    const auto start = [rounds] {
        for (int i = 0; i < rounds; ++i) {
            rondo::thread one("short", [] { set_this_thread_name("renamed by itself"); });
            one.set_name("renamed from outside");
            static_cast<void>(one.native_id());
        }
    };
    std::thread other(start);
    start();
    other.join();
    over = true;
    reader.join();
    CHECK(largest >= 1);
    CHECK(listed(thread_kind::thread).empty());
}

TEST_CASE("threads: set_name of an empty thread aborts with a sentence", "[threads][death]") {
    const auto died = run_child([] {
        rondo::thread none;
        none.set_name("x");
        return 0;
    });
    CHECK(died.aborted());
    CHECK(died.says("holds no thread"));
}

}  // namespace
