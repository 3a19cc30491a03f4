// SPDX-License-Identifier: MIT
// The ring and its environment: wakes from threads and signal handlers, moving between threads,
// fork(), and hosts that watch its event descriptor.
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/ring_tools.hpp"

using namespace rondo_tests;

// -- wake -----------------------------------------------------------------------------------------

TEST_CASE("ring: a wake ends one enter, even one that begins later", "[ring]") {
    for (const kernel_kind& kind : kinds()) {
        INFO(kind.name);
        const limited as_if(kind.limits);
        const auto kernel = make_ring();
        kernel->wake();
        kernel->attach();
        completion out;
        CHECK(kernel->enter(time_point::max(), &out, 1).completions == 0);  // otherwise it hangs

        kernel->wake();
        kernel->enter(time_point::min(), &out, 1);  // may see it, but does not wait
        CHECK(kernel->enter(time_point::max(), &out, 1).completions == 0);

        const time_point deadline = kernel->now() + 1ms;  // a wake counts once only
        kernel->enter(deadline, &out, 1);
        CHECK(kernel->now() >= deadline);
        CHECK(kernel->count().completions == 0);
    }
}

TEST_CASE("ring: no wake of another thread is lost", "[ring]") {
    for (const kernel_kind& kind : kinds()) {
        INFO(kind.name);
        const limited as_if(kind.limits);
        const auto kernel = attached();
        constexpr int rounds = 20'000;
        std::atomic<int> posted{0};
        std::atomic<int> seen{0};
        std::thread other([&] {
            for (int i = 1; i <= rounds; ++i) {
                posted.store(i);
                kernel->wake();
                while (i % 2 == 0 && seen.load() < i) std::this_thread::yield();
            }
        });
        completion out;
        while (seen.load() < rounds) {  // a lost wake hangs here
            kernel->enter(time_point::max(), &out, 1);
            seen.store(posted.load());
        }
        other.join();
        CHECK(kernel->count().completions == 0);
        CHECK(round_trip(*kernel));
    }
}

TEST_CASE("ring: a deadline at the end of time does not overflow", "[ring]") {
    const auto kernel = attached();
    std::atomic<bool> woken{false};
    std::thread other([&] {
        woken.store(true);
        kernel->wake();
    });
    completion out;
    kernel->enter(time_point::max() - 1ns, &out, 1);
    CHECK(woken.load());
    other.join();
}

TEST_CASE("ring: memory written before a wake is visible after it", "[ring]") {
    const auto kernel = attached();
    int plain = 0;  // not atomic: ThreadSanitizer must see that wake orders it
    std::thread other([&] {
        plain = 42;
        kernel->wake();
    });
    completion out;
    kernel->enter(time_point::max(), &out, 1);
    CHECK(plain == 42);
    other.join();
}

namespace {
std::atomic<kernel*> woken_by_signal{nullptr};
}

TEST_CASE("ring: a signal handler may wake, and errno stays", "[ring]") {
    const auto kernel = attached();
    woken_by_signal.store(kernel.get());
    struct sigaction action {};
    struct sigaction before {};
    action.sa_handler = [](int) { woken_by_signal.load()->wake(); };
    REQUIRE(::sigaction(SIGUSR1, &action, &before) == 0);
    errno = 77;
    ::raise(SIGUSR1);
    CHECK(errno == 77);
    completion out;
    CHECK(kernel->enter(time_point::max(), &out, 1).completions == 0);
    ::sigaction(SIGUSR1, &before, nullptr);
}

TEST_CASE("ring: wakes still work after their poll was cancelled", "[ring]") {
    for (const kernel_kind& kind : kinds()) {
        INFO(kind.name);
        const limited as_if(kind.limits);
        const auto kernel = attached();
        const int event = kernel->event_fd();
        constexpr std::uint32_t all_of_any = 1 << 0 | 1 << 2;  // IORING_ASYNC_CANCEL_ALL, _ANY
        for (int i = 0; i < 20; ++i) {
            push(*kernel,
                 {.code = opcode::async_cancel, .op_flags = all_of_any, .user_data = first_tag});
            CHECK(collect(*kernel, 1)[0].result == 1);
            completion out;
            kernel->enter(time_point::min(), &out, 1);
            kernel->drain_event();
            kernel->wake();
            CHECK(readable(event));
            CHECK(kernel->enter(time_point::max(), &out, 1).completions == 0);
        }
    }
}

// -- threads and processes ------------------------------------------------------------------------

TEST_CASE("ring: it moves to another thread while idle", "[ring]") {
    for (const kernel_kind& kind : kinds()) {
        INFO(kind.name);
        const limited as_if(kind.limits);
        const auto kernel = make_ring();
        const int event = kernel->event_fd();
        REQUIRE(event >= 0);
        const auto use = [&kernel = *kernel, event] {
            kernel.attach();
            kernel.attach();
            kernel.wake();
            completion out;
            const bool woken = kernel.enter(time_point::max(), &out, 1).completions == 0;
            kernel.drain_event();
            return woken && round_trip(kernel) && readable(event);
        };
        bool good = false;
        std::thread([&] { good = use(); }).join();
        CHECK(good);
        CHECK(use());
        std::thread([&] { good = use(); }).join();
        CHECK(good);
        CHECK(use());
    }
}

TEST_CASE("ring: with an entry in flight it refuses to move to another thread", "[ring]") {
    for (const kernel_kind& kind : kinds()) {
        INFO(kind.name);
        const limited as_if(kind.limits);
        const auto kernel = attached();
        socket_pair pair;
        push(*kernel, pair.recv());
        std::string said;
        const auto try_to_move = [&] {
            said.clear();
            try {
                kernel->attach();
            } catch (const std::system_error& error) {
                said = error.what();
            }
        };
        std::thread(try_to_move).join();
        CHECK(said.find("nothing is in flight; 1 entry is in flight") != std::string::npos);
        completion out;
        kernel->enter(time_point::min(), &out, 1);
        std::thread(try_to_move).join();
        CHECK(said.find("nothing is in flight; 1 entry is in flight") != std::string::npos);
        cancel_and_forget(*kernel, base);
        std::thread(try_to_move).join();
        CHECK(said.empty());
    }
}

TEST_CASE("ring: a forked child gets an error, and may make its own ring", "[ring]") {
    const auto kernel = attached();
    kernel->event_fd();
    completion out;
    child_end end = run_child([&] {
        try {
            kernel->attach();
            return 1;
        } catch (const std::system_error& error) {
            if (!says(error, "made before fork()")) return 2;
        }
        kernel->wake();
        const auto own = attached();
        own->next_entry()[0] = {.user_data = base};
        while (own->enter(time_point::max(), &out, 1).completions == 0) {
        }
        return out.user_data == base ? 0 : 3;
    });
    INFO(end.text);
    CHECK(end.exited());

    end = run_child([&] { return static_cast<int>(kernel->enter({}, &out, 1).completions); });
    CHECK(end.aborted());
    CHECK(end.says("rondo: this loop was made before fork() and belongs to the parent"));
    end = run_child([&] { return kernel->next_entry() == nullptr ? 0 : 1; });
    CHECK(end.aborted());
    end = run_child([&] {
        kernel->watch_event(false);
        return 0;
    });
    CHECK(end.aborted());
    CHECK(round_trip(*kernel));
}

TEST_CASE("ring: dropping the parent's ring in a child leaves the parent's alone", "[ring]") {
    auto kernel = attached();
    const child_end end = run_child([&] {
        const std::size_t before = open_descriptors();
        kernel.reset();
        return before - open_descriptors() == 2 ? 0 : 1;
    });
    INFO(end.text);
    CHECK(end.exited());
    CHECK(round_trip(*kernel));
}

TEST_CASE("ring: after its end the same descriptors are open as before", "[ring]") {
    { const auto first = attached(); }  // opens descriptors that stay open for good
    const std::size_t before = open_descriptors();
    for (int i = 0; i < 3; ++i) {
        const auto kernel = attached();
        kernel->event_fd();
        CHECK(open_descriptors() == before + 3);
        socket_pair pair;
        push(*kernel, pair.recv());
        completion out;
        kernel->enter(time_point::min(), &out, 1);
        cancel_and_forget(*kernel, base);
        std::thread([&] { kernel->attach(); }).join();
    }
    CHECK(open_descriptors() == before);
}

TEST_CASE("ring: more rings on one thread than it can register", "[ring]") {
    std::vector<std::shared_ptr<kernel>> many;
    for (int i = 0; i < 20; ++i) many.push_back(attached({.entries = 8, .completions = 16}));
    for (const auto& kernel : many) CHECK(round_trip(*kernel));
    many.clear();
    const auto kernel = attached();
    CHECK(round_trip(*kernel));
}

// -- embedding ------------------------------------------------------------------------------------

TEST_CASE("ring: a host blocked in poll(2) sees each completion", "[ring]") {
    for (const kernel_kind& kind : kinds()) {
        INFO(kind.name);
        const limited as_if(kind.limits);
        const auto kernel = attached();
        const int event = kernel->event_fd();
        socket_pair pair;
        constexpr int rounds = 2000;
        std::atomic<int> armed{0};
        std::thread other([&] {
            for (int i = 1; i <= rounds; ++i) {
                while (armed.load() < i) std::this_thread::yield();
                if (::write(pair.ends[1], "x", 1) != 1) return;
            }
        });
        int missed = 0;
        for (int i = 1; i <= rounds; ++i) {
            push(*kernel, pair.recv());
            completion out;
            CHECK(kernel->enter(time_point::min(), &out, 1).completions == 0);
            armed.store(i);
            while (kernel->enter(time_point::min(), &out, 1).completions == 0) {
                missed += readable(event, 10'000) ? 0 : 1;
                kernel->drain_event();
            }
        }
        other.join();
        CHECK(missed == 0);
    }
}

TEST_CASE("ring: the event descriptor is switched off and on, and signalled by hand", "[ring]") {
    for (const kernel_kind& kind : kinds()) {
        INFO(kind.name);
        const limited as_if(kind.limits);
        const auto kernel = attached();
        const int event = kernel->event_fd();
        REQUIRE(event >= 0);
        CHECK(kernel->event_fd() == event);
        kernel->drain_event();
        CHECK_FALSE(readable(event));

        kernel->watch_event(false);
        CHECK(round_trip(*kernel));
        CHECK_FALSE(readable(event));
        kernel->watch_event(true);
        CHECK(round_trip(*kernel));
        CHECK(readable(event));

        kernel->drain_event();
        CHECK_FALSE(readable(event));
        kernel->signal_event();
        CHECK(readable(event));
        kernel->drain_event();
        CHECK_FALSE(readable(event));
        kernel->wake();
        CHECK(readable(event));
    }
}

TEST_CASE("ring: a host sees each write to an eventfd that an entry polls", "[ring]") {
    for (const kernel_kind& kind : kinds()) {
        INFO(kind.name);
        const limited as_if(kind.limits);
        const auto kernel = attached();
        const int event = kernel->event_fd();
        const int polled = ::eventfd(0, EFD_CLOEXEC);
        REQUIRE(polled >= 0);
        for (int i = 0; i < 5; ++i) {  // newer kernels signal only the first one
            kernel->watch_event(false);
            push(*kernel,
                 {.code = opcode::poll_add, .fd = polled, .op_flags = POLLIN, .user_data = base});
            completion out;
            CHECK(kernel->enter(time_point::min(), &out, 1).completions == 0);
            kernel->drain_event();
            kernel->watch_event(true);
            CHECK(::eventfd_write(polled, 1) == 0);
            CHECK(readable(event, 10'000));
            CHECK(collect(*kernel, 1)[0].result == POLLIN);
            eventfd_t count = 0;
            CHECK(::eventfd_read(polled, &count) == 0);
        }
        ::close(polled);
    }
}
