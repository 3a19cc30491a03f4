// SPDX-License-Identifier: MIT
// The loop inside other loops: poll(2), epoll, GLib, libuv. In each, timers, sockets and posts from
// threads are active at the same time. No wake-up may be lost, and hardly any may be spurious.
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <thread>
#include <vector>

#ifdef RONDO_WITH_GLIB
#include <glib-unix.h>
#endif
#ifdef RONDO_WITH_LIBUV
#include <uv.h>
#endif

#include <rondo/loop.hpp>
#include <rondo/net.hpp>
#include <rondo/sleep.hpp>

#include "support/core_tools.hpp"
#include "support/net_tools.hpp"

using namespace rondo;
using namespace std::chrono_literals;

namespace {

/// The host's loop: calls `ready` whenever `fd` is readable, until `done` returns true.
using host = void (*)(int fd, const std::function<void()>& ready,
                      const std::function<bool()>& done);

/// True if the wait ended by its descriptor. It may be interrupted (EINTR), as any host's may: by a
/// signal, and by work that the ring's kernel side does on this thread.
bool woken(int result) {
    const int error = errno;
    if (result == -1 && error == EINTR) return false;
    REQUIRE(result == 1);
    return true;
}

void poll_host(int fd, const std::function<void()>& ready, const std::function<bool()>& done) {
    while (!done()) {
        pollfd watched{fd, POLLIN, 0};
        if (woken(::poll(&watched, 1, 20'000))) ready();
    }
}

void epoll_host(int fd, const std::function<void()>& ready, const std::function<bool()>& done) {
    const int set = ::epoll_create1(EPOLL_CLOEXEC);
    epoll_event watched{};
    watched.events = EPOLLIN;
    REQUIRE(::epoll_ctl(set, EPOLL_CTL_ADD, fd, &watched) == 0);
    while (!done()) {
        if (woken(::epoll_wait(set, &watched, 1, 20'000))) ready();
    }
    ::close(set);
}

#ifdef RONDO_WITH_GLIB
void glib_host(int fd, const std::function<void()>& ready, const std::function<bool()>& done) {
    GMainContext* context = g_main_context_new();
    GSource* source = g_unix_fd_source_new(fd, G_IO_IN);
    const GUnixFDSourceFunc call = [](gint, GIOCondition, gpointer word) -> gboolean {
        (*static_cast<const std::function<void()>*>(word))();
        return G_SOURCE_CONTINUE;
    };
    g_source_set_callback(source, reinterpret_cast<GSourceFunc>(reinterpret_cast<void*>(call)),
                          const_cast<std::function<void()>*>(&ready), nullptr);
    g_source_attach(source, context);
    while (!done()) g_main_context_iteration(context, TRUE);
    g_source_destroy(source);
    g_source_unref(source);
    g_main_context_unref(context);
}
#endif

#ifdef RONDO_WITH_LIBUV
void libuv_host(int fd, const std::function<void()>& ready, const std::function<bool()>& done) {
    uv_loop_t loop;
    REQUIRE(uv_loop_init(&loop) == 0);
    uv_poll_t watch;
    REQUIRE(uv_poll_init(&loop, &watch, fd) == 0);
    watch.data = const_cast<std::function<void()>*>(&ready);
    uv_poll_start(&watch, UV_READABLE, [](uv_poll_t* handle, int, int) {
        (*static_cast<const std::function<void()>*>(handle->data))();
    });
    while (!done()) uv_run(&loop, UV_RUN_ONCE);
    uv_close(reinterpret_cast<uv_handle_t*>(&watch), nullptr);
    uv_run(&loop, UV_RUN_DEFAULT);
    REQUIRE(uv_loop_close(&loop) == 0);
}
#endif

struct counts {
    int timers = 0;
    int messages = 0;
    int posts = 0;
};

task<> sleeps(int times, counts* seen) {
    for (int i = 0; i < times; ++i) {
        co_await sleep(std::chrono::microseconds(i * 37 % 400));
        ++seen->timers;
    }
}

task<> talks(int times, counts* seen) {
    auto c = co_await rondo_tests::connect_pair();
    char byte = 0;
    for (int i = 0; i < times; ++i) {
        co_await c.client.write_all("x");
        const buffer_view room(&byte, 1);
        co_await c.server.read_some(room);
        ++seen->messages;
    }
}

struct outcome {
    counts seen;
    int wakes = 0;
    int for_nothing = 0;
};

outcome run_in(host somebody, int events) {
    outcome result;
    loop guest;
    auto sleeping = guest.create_task(sleeps(events / 4, &result.seen));
    auto talking = guest.create_task(talks(events / 4, &result.seen));
    const int threads_count = 2;
    const int posts_each = events / 4;
    std::atomic<int> posted = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < threads_count; ++i)
        threads.emplace_back([home = guest.remote(), posts_each, &posted, &result] {
            for (int n = 0; n < posts_each; ++n) {
                home.call_soon_threadsafe([&result] { ++result.seen.posts; });
                if (++posted % 16 == 0) std::this_thread::yield();
            }
        });
    const auto work = [&] {
        const loop_stats s = guest.stats();
        return s.turns + s.completions + s.posts;
    };
    const auto ready = [&] {
        const auto before = work();
        guest.poll();
        ++result.wakes;
        result.for_nothing += work() == before;
    };
    const auto done = [&] {
        return sleeping.done() && talking.done() &&
               result.seen.posts == threads_count * posts_each;
    };
    somebody(guest.fd(), ready, done);
    for (std::thread& each : threads) each.join();
    return result;
}

void check_host(const char* name, host somebody) {
    INFO(name);
    {
        loop first;  // allocates what a loop keeps for the whole process
        somebody(first.fd(), [] {}, [] { return true; });
        std::thread([] {}).join();  // the thread sanitizer starts its own thread with the first one
    }
    testing::leak_probe probe;
    const int events = rondo_tests::many(20'000, 4'000);
    const outcome result = run_in(somebody, events);
    CHECK(result.seen.timers == events / 4);
    CHECK(result.seen.messages == events / 4);
    CHECK(result.seen.posts == events / 2);
    CHECK(result.for_nothing <= events);
    CHECK(probe.leaks() == "");
    std::printf("%s: %d events, %d wake-ups, %d for nothing\n", name, events, result.wakes,
                result.for_nothing);
}

}  // namespace

TEST_CASE("hosts: poll(2) loses no wake-up", "[hosts]") { check_host("poll", poll_host); }

TEST_CASE("hosts: epoll loses no wake-up", "[hosts]") { check_host("epoll", epoll_host); }

TEST_CASE("hosts: GLib loses no wake-up", "[hosts]") {
#ifdef RONDO_WITH_GLIB
    check_host("GLib", glib_host);
#else
    SKIP("libglib2.0-dev was not there when this was built");
#endif
}

TEST_CASE("hosts: libuv loses no wake-up", "[hosts]") {
#ifdef RONDO_WITH_LIBUV
    check_host("libuv", libuv_host);
#else
    SKIP("libuv1-dev was not there when this was built");
#endif
}

TEST_CASE("hosts: poll takes as long as its budget, and remaining work makes the fd readable",
          "[hosts]") {
    loop guest;
    int steps = 0;
    const auto endless = [](int* count) -> task<> {
        for (;;) {
            ++*count;
            co_await yield_now();
        }
    };
    auto busy = guest.create_task(endless(&steps));
    pollfd watched{guest.fd(), POLLIN, 0};
    for (int frame = 1; frame <= 10; ++frame) {
        guest.poll(100us);
        CHECK(steps >= frame);
        CHECK(::poll(&watched, 1, 0) == 1);  // more work is left
    }
    const int before = steps;
    guest.poll(0us);  // no budget: it polls once, and continues in the next call
    CHECK(steps - before <= 1);
    busy.cancel();
    guest.run();
}
