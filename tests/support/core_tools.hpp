// SPDX-License-Identifier: MIT
// What the tests of layers 0 to 2 share: operations without sockets above them, a TCP pair on
// whichever kernel runs, the three moments at which a cancellation can meet a wait, a thread with a
// small stack, and a stand-in for stderr.
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

// Read at run time where the library asks for a sanitizer too.
extern "C" [[gnu::weak]] void __asan_init();
extern "C" [[gnu::weak]] void __tsan_init();
inline bool with_asan() { return __asan_init != nullptr; }
inline bool with_tsan() { return __tsan_init != nullptr; }
/// `count`, or fewer under a sanitizer, where everything takes ten times as long.
inline int many(int count, int sanitized) { return with_asan() || with_tsan() ? sanitized : count; }

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

/// An address of loopback's that this process shares with few others, 127.1.x.y: so nobody who
/// looks for a listener of theirs that has just gone finds one of ours with the same port. The
/// simulator has nobody else.
inline in_addr_t own_loopback() {
    const auto process = static_cast<std::uint32_t>(::getpid());
    const std::uint32_t low = 1 + process % 0xfffe;
    return htonl(testing::simulated() ? INADDR_LOOPBACK : 0x7f010000 + low);
}

/// A listening socket on loopback and where it listens.
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

/// Closing it resets the connection, and leaves no trace: of thousands of connections the kernel
/// would remember each for a minute, and run out of ports.
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

/// Lets everything happen that can happen without time passing; a few turns.
inline task<> finish(int turns = 3) {
    for (int i = 0; i < turns; ++i) co_await yield_now();
}

/// A task that awaits what `make` gives, and what became of it.
enum class outcome_of_wait { none, value, cancelled, failed };

struct observed {
    outcome_of_wait first = outcome_of_wait::none;  // the wait itself
    bool next_threw = false;                        // a wait after it
};

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
    co_await yield_now();  // the scope was left: its request ended with it
}

/// Second form: it is suspended.
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

/// Second form, of what may end all the same because the kernel does it at once: cancelled while it
/// is in flight. Either it was done, or it was not; the next wait throws in any case.
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

/// Third form: what it waits for has come, and it has not run since. `complete` makes it come.
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

/// Cancels a task at the very moment in which what it waits for has come and it has not run since.
/// A completion makes its task ready inside the loop's look at the kernel; posts are delivered
/// later in the same look, and ready tasks run after it. So a post that posts itself again until
/// the task is ready stands exactly there.
class cancels_on_arrival {
public:
    explicit cancels_on_arrival(future<> waiting) : waiting_(std::move(waiting)) { look(); }
    cancels_on_arrival(const cancels_on_arrival&) = delete;
    cancels_on_arrival& operator=(const cancels_on_arrival&) = delete;

    /// Nothing refers to it any more.
    bool over() const noexcept { return over_; }
    bool hit() const noexcept { return hit_; }

private:
    void look() {
        over_ = waiting_.done() || waiting_.state() == task_state::ready;
        hit_ = over_ && !waiting_.done();
        if (hit_) waiting_.cancel();
        if (!over_) running_loop().remote().call_soon_threadsafe([this] { look(); });
    }
    future<> waiting_;
    bool over_ = false;
    bool hit_ = false;
};

/// Third form, where it is the kernel that completes: its completion has been reaped, and the task
/// has not run since. `begin` makes it come, if it does not come by itself. Law 2: what the kernel
/// has done is delivered, and the next wait throws.
template <class Make, class Begin>
task<> check_cancelled_after_arrival(Make make, Begin begin) {
    observed seen;
    auto waiting = create_task(observe(make, &seen));
    co_await yield_now();
    begin();
    cancels_on_arrival canceller(waiting);
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
    // No assertion while it runs: it makes some of its own.
    const int created = pthread_create(&thread, &how, enter, &body);
    pthread_attr_destroy(&how);
    if (created == 0) pthread_join(thread, nullptr);
    REQUIRE(created == 0);
}

/// While it lives, what is written to stderr goes into a file of its own.
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
