// SPDX-License-Identifier: MIT
// A write to a pipe without a reader is an error and does not kill. The disposition of SIGPIPE, the
// thread's mask and pending signals stay as they were: on this kernel, and as if on one without
// RWF_NOSIGNAL. In child processes, since a failure kills the process.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include <rondo/file.hpp>

#include "support/child.hpp"
#include "support/core_tools.hpp"

using namespace rondo_tests;

namespace {

operation<int> write_to(const descriptor& to, const void* bytes, std::size_t size) {
    static constexpr auto write_kind = rondo::detail::operation_kind("write");
    rondo::detail::request ask;
    ask.code = rondo::detail::opcode::write;
    ask.address = rondo::detail::address_of(bytes);
    ask.length = static_cast<std::uint32_t>(size);
    ask.offset = ~std::uint64_t{0};
    return {write_kind, to.record(), ask, result_of};
}

struct a_pipe {
    int reader = -1;
    descriptor writer;
    a_pipe() {
        int ends[2] = {-1, -1};
        if (::pipe2(ends, O_CLOEXEC) != 0) ::_exit(90);
        reader = ends[0];
        writer = descriptor::adopt(ends[1], "pipe");
    }
    void close_reader() { ::close(std::exchange(reader, -1)); }
};

bool is_set(int (*ask)(sigset_t*)) {
    sigset_t all;
    ::sigemptyset(&all);
    ask(&all);
    return ::sigismember(&all, SIGPIPE) == 1;
}
bool is_blocked() {
    return is_set([](sigset_t* s) { return ::pthread_sigmask(SIG_BLOCK, nullptr, s); });
}
bool is_pending() { return is_set(::sigpending); }

bool is_default() {
    struct sigaction now {};
    ::sigaction(SIGPIPE, nullptr, &now);
    return now.sa_handler == SIG_DFL;
}

// -- writes to pipes and sockets without a reader ------------------------------------------------

task<int> to_a_closed_pipe() {
    a_pipe p;
    p.close_reader();
    const auto wrote = co_await as_result(write_to(p.writer, "x", 1));
    co_return wrote.has_value() ? 0 : wrote.error().value();
}

/// It waits in the kernel for room, until the reader is closed.
task<int> to_a_full_pipe() {
    a_pipe p;
    const std::string much(1 << 20, 'x');
    co_await write_to(p.writer, much.data(), much.size());
    const auto close_later = [](a_pipe* pipe) -> task<> {
        co_await finish(20);
        pipe->close_reader();
    };
    auto closer = create_task(close_later(&p));
    const auto wrote = co_await as_result(write_to(p.writer, much.data(), much.size()));
    co_await closer;
    co_return wrote.has_value() ? 0 : wrote.error().value();
}

task<int> to_a_fifo() {
    char folder[] = "/tmp/test-fifo-XXXXXX";
    if (::mkdtemp(folder) == nullptr) ::_exit(91);
    const std::string path = std::string(folder) + "/fifo";
    if (::mkfifo(path.c_str(), 0600) != 0) ::_exit(92);
    const int reader =
        ::open(path.c_str(), O_RDWR | O_CLOEXEC);  // O_RDWR: opening it does not wait for a writer
    file fifo = co_await file::open(path, open_mode::write);
    ::close(reader);
    std::filesystem::remove_all(folder);
    int error = 0;
    try {
        co_await fifo.write_all("nobody reads this");
    } catch (const write_error& e) {
        error = e.code().value();
        if (e.bytes_written() != 0) error = -1;
    }
    co_return error;
}

using writes = task<int> (*)();

/// In a child: 0 if everything was right.
int write_and_look(const char* kernel, writes body) {
    testing::pretend_kernel(kernel);
    loop l;
    for (int i = 0; i < 3; ++i) {
        const int error = l.run_until_complete(body());
        if (error != EPIPE) return std::printf("the error was %d\n", error), 1;
        if (is_blocked()) return 2;
        if (is_pending()) return 3;
        if (!is_default()) return 4;
    }
    return 0;
}

TEST_CASE("sigpipe: a write through the ring without a reader is EPIPE and does not kill",
          "[operation][file]") {
    for (const char* kernel : {"", "6.1"})
        for (const writes body : {to_a_closed_pipe, to_a_full_pipe, to_a_fifo}) {
            const child_end end = run_child([&] { return write_and_look(kernel, body); });
            INFO("as if on \"" << kernel << "\": " << end.text);
            CHECK(end.exited());
        }
}

TEST_CASE("sigpipe: a write(2) of the program still kills, as without rondo", "[operation]") {
    for (const char* kernel : {"", "6.1"}) {
        const child_end end = run_child([&] {
            testing::pretend_kernel(kernel);
            loop l;
            if (l.run_until_complete(to_a_closed_pipe()) != EPIPE) return 1;
            a_pipe p;
            p.close_reader();
            const ssize_t wrote = ::write(p.writer.number(), "x", 1);
            return wrote == 1 ? 2 : 3;
        });
        INFO("as if on \"" << kernel << "\": " << end.text);
        const bool killed = WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGPIPE;
        CHECK(killed);
    }
}

TEST_CASE("sigpipe: a signal that was pending before stays pending", "[operation]") {
    for (const char* kernel : {"", "6.1"}) {
        const child_end end = run_child([&] {
            testing::pretend_kernel(kernel);
            sigset_t pipes;
            ::sigemptyset(&pipes);
            ::sigaddset(&pipes, SIGPIPE);
            ::pthread_sigmask(SIG_BLOCK, &pipes, nullptr);
            ::raise(SIGPIPE);
            loop l;
            if (l.run_until_complete(to_a_closed_pipe()) != EPIPE) return 1;
            if (!is_blocked()) return 2;
            return is_pending() ? 0 : 3;
        });
        INFO("as if on \"" << kernel << "\": " << end.text);
        CHECK(end.exited());
    }
}

}  // namespace
