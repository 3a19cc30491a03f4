// SPDX-License-Identifier: MIT
// Shared tools of the tests of coroutine/, kernel/ and loop/: bare operations, a TCP pair on the
// running kernel, the three moments at which a cancellation can meet a wait, a thread with a small
// stack, and captured stderr.
#pragma once

#include <netinet/in.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>

#include <rondo/detail/loop/descriptor.hpp>
#include <rondo/operation.hpp>
#include <rondo/wait_queue.hpp>

#include "support/rondo_test.hpp"

namespace rondo_tests {

using namespace rondo;
using namespace std::chrono_literals;

// Checked at run time, as in the library.
extern "C" [[gnu::weak]] void __asan_init();
extern "C" [[gnu::weak]] void __tsan_init();
inline bool with_asan() { return __asan_init != nullptr; }
inline bool with_tsan() { return __tsan_init != nullptr; }
/// `count`, or `sanitized` under a sanitizer, which makes everything ten times as slow.
inline int many(int count, int sanitized) { return with_asan() || with_tsan() ? sanitized : count; }

/// True in `scripts/test --long`, which has time for what takes too long every day.
inline bool long_run() { return std::getenv("RONDO_LONG") != nullptr; }

// -- operations -----------------------------------------------------------------------------------

inline int result_of(rondo::detail::operation_state& done) { return done.result; }

inline constexpr auto nop_kind = rondo::detail::operation_kind("nop");
inline operation<int> nop() { return {nop_kind, nullptr, {}, result_of}; }

inline constexpr auto recv_kind = rondo::detail::operation_kind("recv");
inline operation<int> receive(const descriptor& from, void* buffer, std::size_t size) {
    rondo::detail::request ask;
    ask.code = rondo::detail::opcode::recv;
    ask.address = rondo::detail::address_of(buffer);
    ask.length = static_cast<std::uint32_t>(size);
    return {recv_kind, from.record(), ask, result_of};
}

inline constexpr auto read_kind = rondo::detail::operation_kind("read");
inline operation<int> read_from(const descriptor& from, void* buffer, std::size_t size) {
    rondo::detail::request ask;
    ask.code = rondo::detail::opcode::read;
    ask.address = rondo::detail::address_of(buffer);
    ask.length = static_cast<std::uint32_t>(size);
    ask.offset = ~std::uint64_t{0};
    return {read_kind, from.record(), ask, result_of};
}

inline constexpr auto send_kind = rondo::detail::operation_kind("send");
inline operation<int> transmit(const descriptor& to, const void* bytes, std::size_t size) {
    rondo::detail::request ask;
    ask.code = rondo::detail::opcode::send;
    ask.address = rondo::detail::address_of(bytes);
    ask.length = static_cast<std::uint32_t>(size);
    ask.op_flags = MSG_NOSIGNAL;
    return {send_kind, to.record(), ask, result_of};
}

inline constexpr auto accept_kind = rondo::detail::operation_kind("accept");
inline operation<descriptor> accept_from(const descriptor& listener) {
    rondo::detail::request ask;
    ask.code = rondo::detail::opcode::accept;
    return {accept_kind, listener.record(), ask, [](rondo::detail::operation_state& done) {
                return rondo::detail::adopt_or_close(done.result, "accepted");
            }};
}

inline constexpr auto connect_kind = rondo::detail::operation_kind("connect");
inline operation<int> connect_to(const descriptor& from, const sockaddr_in& name) {
    rondo::detail::request ask;
    ask.code = rondo::detail::opcode::connect;
    ask.address = rondo::detail::address_of(&name);
    ask.offset = sizeof name;
    return {connect_kind, from.record(), ask, result_of};
}

// -- sockets --------------------------------------------------------------------------------------

inline descriptor tcp_socket(const char* name) {
    const int number = rondo::detail::new_socket(AF_INET, SOCK_STREAM, 0);
    REQUIRE(number >= 0);
    return descriptor::adopt(number, name);
}

/// A loopback address that depends on the process, 127.1.x.y. So a client of another process that
/// looks for its own, just closed listener does not find ours on the same port. On the simulator
/// there is no other process.
inline in_addr_t own_loopback() {
    const auto process = static_cast<std::uint32_t>(::getpid());
    const std::uint32_t low = 1 + process % 0xfffe;
    return htonl(testing::simulated() ? INADDR_LOOPBACK : 0x7f010000 + low);
}

/// A listening socket on loopback and its address.
struct listening {
    descriptor socket;
    sockaddr_in name{};

    listening() : socket(tcp_socket("listener")) {
        name.sin_family = AF_INET;
        name.sin_addr.s_addr = own_loopback();
        socklen_t size = sizeof name;
        auto* generic = reinterpret_cast<sockaddr*>(&name);
        REQUIRE(rondo::detail::bind_name(socket, generic, size) == 0);
        REQUIRE(rondo::detail::listen_on(socket, 128) == 0);
        REQUIRE(rondo::detail::local_name(socket, generic, &size) == 0);
    }
};

/// Makes closing the socket reset its connection. Otherwise the kernel would keep each connection
/// in TIME_WAIT for a minute, and thousands of them would use up the ports.
inline void reset_at_close(const descriptor& socket) {
    if (testing::simulated()) return;
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    REQUIRE(::setsockopt(socket.number(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
}

struct two_ends {
    descriptor here, there;
    two_ends(descriptor h, descriptor t) : here(std::move(h)), there(std::move(t)) {}
};

/// Two ends of one TCP connection, as bare descriptors.
inline task<two_ends> connected() {
    listening at;
    descriptor here = tcp_socket("here");
    co_await connect_to(here, at.name);
    descriptor there = co_await accept_from(at.socket);
    there.rename("there");
    co_return two_ends(std::move(here), std::move(there));
}

// -- moments --------------------------------------------------------------------------------------

/// Runs a few turns, so that everything happens that needs no time.
inline task<> finish(int turns = 3) {
    for (int i = 0; i < turns; ++i) co_await yield_now();
}

/// The outcome of a wait in `observe`.
enum class outcome_of_wait { none, value, cancelled, failed };

struct observed {
    outcome_of_wait first = outcome_of_wait::none;  // the wait itself
    bool next_threw = false;                        // a wait after it
};

/// Awaits the result of `make`, then one more wait, and records the outcome of both.
template <class Make>
task<> observe(Make make, observed* seen) {
    try {
        static_cast<void>(co_await make());
        seen->first = outcome_of_wait::value;
    } catch (const cancelled&) {
        seen->first = outcome_of_wait::cancelled;
    } catch (const std::exception&) {
        seen->first = outcome_of_wait::failed;
    }
    try {
        co_await yield_now();
    } catch (const cancelled&) {
        seen->next_threw = true;
        throw;
    }
}

/// First form: the scope is cancelled already, and the wait would otherwise succeed or suspend.
template <class Make>
task<> check_cancelled_before(Make make) {
    observed seen;
    {
        rondo::detail::inner_scope scope;
        rondo::detail::cancel(scope);
        try {
            co_await observe(make, &seen);
        } catch (const cancelled&) {
        }
    }
    CHECK(seen.first == outcome_of_wait::cancelled);
    CHECK(seen.next_threw);
    co_await yield_now();  // the scope has ended, and its cancellation with it
}

/// Second form: the wait is suspended when it is cancelled.
template <class Make>
task<> check_cancelled_while_suspended(Make make) {
    observed seen;
    auto waiting = create_task(observe(make, &seen));
    co_await finish();
    CHECK(waiting.state() == task_state::waiting);
    waiting.cancel();
    try {
        co_await waiting;
    } catch (const future_cancelled&) {
    }
    CHECK(waiting.cancelled());
    CHECK(seen.first == outcome_of_wait::cancelled);
    CHECK(seen.next_threw);
}

/// Second form, for operations that the kernel may complete at once: cancelled while in flight. The
/// operation was done or not; the next wait throws in any case.
template <class Make>
task<outcome_of_wait> cancelled_in_flight(Make make) {
    observed seen;
    auto waiting = create_task(observe(make, &seen));
    co_await yield_now();
    CHECK(waiting.state() == task_state::waiting);
    waiting.cancel();
    try {
        co_await waiting;
    } catch (const future_cancelled&) {
    }
    CHECK(waiting.cancelled());
    CHECK((seen.first == outcome_of_wait::value || seen.first == outcome_of_wait::cancelled));
    CHECK(seen.next_threw);
    co_return seen.first;
}

/// Third form: `complete` has ended the wait, and the task has not resumed yet.
template <class Make, class Complete>
task<> check_cancelled_after_completion(Make make, Complete complete, observed* seen) {
    auto waiting = create_task(observe(make, seen));
    co_await finish();
    CHECK(waiting.state() == task_state::waiting);
    complete();
    CHECK(waiting.state() == task_state::ready);
    waiting.cancel();
    try {
        co_await waiting;
    } catch (const future_cancelled&) {
    }
    CHECK(waiting.cancelled());
    CHECK(seen->next_threw);
}

/// Cancels a task exactly between the completion of its wait and its resumption. A completion makes
/// its task ready while the loop polls the kernel. Posts are delivered later in the same poll, and
/// ready tasks run after it. So a post that repeats itself until the task is ready hits this
/// moment.
class cancel_on_completion {
public:
    explicit cancel_on_completion(future<> waiting) : waiting_(std::move(waiting)) { check(); }
    cancel_on_completion(const cancel_on_completion&) = delete;
    cancel_on_completion& operator=(const cancel_on_completion&) = delete;

    /// True if no post refers to this object any more.
    bool over() const noexcept { return over_; }
    bool hit() const noexcept { return hit_; }

private:
    void check() {
        over_ = waiting_.done() || waiting_.state() == task_state::ready;
        hit_ = over_ && !waiting_.done();
        if (hit_) waiting_.cancel();
        if (!over_) running_loop().remote().call_soon_threadsafe([this] { check(); });
    }
    future<> waiting_;
    bool over_ = false;
    bool hit_ = false;
};

/// Third form, for waits that the kernel completes: the completion has been reaped, and the task
/// has not resumed yet. `begin` causes the completion, if it does not come by itself. Law 2: the
/// result of the kernel is delivered, and the next wait throws.
template <class Make, class Begin>
task<> check_cancelled_after_arrival(Make make, Begin begin) {
    observed seen;
    auto waiting = create_task(observe(make, &seen));
    co_await yield_now();
    begin();
    cancel_on_completion canceller(waiting);
    try {
        co_await waiting;
    } catch (const future_cancelled&) {
    }
    while (!canceller.over()) co_await yield_now();
    CHECK(canceller.hit());
    CHECK(waiting.cancelled());
    CHECK(seen.first == outcome_of_wait::value);
    CHECK(seen.next_threw);
}
template <class Make>
task<> check_cancelled_after_arrival(Make make) {
    co_await check_cancelled_after_arrival(make, [] {});
}

// -- surroundings ---------------------------------------------------------------------------------

/// Runs `body` on a thread whose stack has 256 KiB, and waits for it.
inline void on_small_stack(std::function<void()> body) {
    pthread_attr_t how;
    pthread_attr_init(&how);
    REQUIRE(pthread_attr_setstacksize(&how, 256 * 1024) == 0);
    pthread_t thread;
    const auto enter = [](void* word) -> void* {
        (*static_cast<std::function<void()>*>(word))();
        return nullptr;
    };
    // No assertion while the thread runs: it makes assertions itself.
    const int created = pthread_create(&thread, &how, enter, &body);
    pthread_attr_destroy(&how);
    if (created == 0) pthread_join(thread, nullptr);
    REQUIRE(created == 0);
}

/// While it lives, stderr is redirected to a memory file.
class captured_stderr {
public:
    captured_stderr() : file_(::memfd_create("stderr", MFD_CLOEXEC)), saved_(::dup(2)) {
        std::fflush(stderr);
        ::dup2(file_, 2);
    }
    ~captured_stderr() {
        restore();
        ::close(file_);
    }
    captured_stderr(const captured_stderr&) = delete;
    captured_stderr& operator=(const captured_stderr&) = delete;

    std::string text() {
        restore();
        std::string all;
        char piece[4096];
        for (ssize_t n = 0, at = 0; (n = ::pread(file_, piece, sizeof piece, at)) > 0; at += n)
            all.append(piece, static_cast<std::size_t>(n));
        return all;
    }

private:
    void restore() {
        if (saved_ < 0) return;
        std::fflush(stderr);
        ::dup2(saved_, 2);
        ::close(std::exchange(saved_, -1));
    }
    int file_;
    int saved_;
};

}  // namespace rondo_tests
