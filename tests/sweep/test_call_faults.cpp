// SPDX-License-Identifier: MIT
// The fault sweep of the kernel on readiness: each system call that it makes fails with each of its
// errnos. Scenarios of the other sweep run on the real system; they are run once to count their
// calls, and then once for each call and errno. By default one call of a kind fails with each
// errno, at changing places; with RONDO_LONG=1 every one. With every fault,
//   - the scenario ends, with its result or with an error that says what failed, not just why;
//   - its claims about its results hold, also before an error;
//   - it leaves nothing behind: no descriptor, no task, no frame;
//   - a signal (EINTR), a kernel without RWF_NOWAIT, and a thread that cannot be started change
//     nothing;
//   - an EIO of a transfer is never lost.
#if defined(__SANITIZE_THREAD__)
#define RONDO_WITHOUT_CALL_FAULTS
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RONDO_WITHOUT_CALL_FAULTS
#endif
#endif

#ifdef RONDO_WITHOUT_CALL_FAULTS
#include "support/catch.hpp"

TEST_CASE("call faults: each errno of each call of readiness is an error at worst",
          "[call_faults]") {
    SKIP("the thread sanitizer has to see the calls of the C library that are replaced here");
}
#else

#include "support/call_faults.hpp"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "support/core_tools.hpp"
#include "sweep/composition.hpp"
#include "sweep/fault_sweep.hpp"
#include "sweep/files.hpp"
#include "sweep/network.hpp"
#include "sweep/streams.hpp"
#include "sweep/unix.hpp"

using namespace fault_sweep;

namespace {

// -- scenarios of its own -------------------------------------------------------------------------

/// A terminal of the outside refuses RWF_NOWAIT: it is opened a second time.
task<> over_a_terminal(verdict& v) {
    const int master = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0 || ::grantpt(master) != 0 || ::unlockpt(master) != 0) throw error("no terminal");
    fd_stream keyboard(descriptor::adopt(master, "keyboard"));
    const int number = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, ::ptsname(master),
                                                  O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (number < 0) detail::throw_system_error(errno, "open", "the terminal");
    fd_stream terminal(descriptor::adopt(number, "terminal"));
    co_await keyboard.write_all("typed\n");
    const auto line = co_await terminal.read_line();
    v.expect(line && *line == "typed", "the line is read");
    co_await terminal.write_all("answer\n");
}

/// Pipes of the outside, which block: more than they hold goes through.
task<> over_blocking_pipe(verdict& v) {
    int number[2];
    if (::pipe2(number, O_CLOEXEC) != 0) detail::throw_system_error(errno, "pipe", "");
    fd_stream from(descriptor::adopt(number[0], "reader"));
    fd_stream to(descriptor::adopt(number[1], "writer"));
    const std::string sent = letters(200'000);
    co_await gather(send_and_end(to, sent), receive_some(from, sent, v, 50'000));
}

template <class S>
task<> receive_much(S& from, const std::string& sent, verdict& v) {
    std::string buffer(100'000, '?');
    std::size_t at = 0;
    while (auto chunk = co_await from.read_some(buffer)) {
        v.expect(is_prefix(chunk.text(), std::string_view(sent).substr(at)), "bytes in order");
        at += chunk.size();
    }
    v.expect(at == sent.size(), "all bytes are read before the end");
}

/// More than a connection holds, so that writes wait for room.
template <class Over>
task<> much(verdict& v) {
    auto both = co_await Over::make();
    static const std::string sent = letters(Over::holds);
    co_await gather(send_and_end(both.writer, sent), receive_much(both.reader, sent, v));
}
struct much_over_tcp : over_tcp {
    static constexpr std::size_t holds = 4'000'000;
};
struct much_over_pair : over_pair {
    static constexpr std::size_t holds = 500'000;
};

task<> all_calls_on_files(verdict& v) {
    co_await make_directory("folder");
    co_await write_file("folder/a", "text");
    co_await make_link("folder/a", "folder/b");
    co_await make_symbolic_link("a", "folder/c");
    co_await rename_path("folder/b", "folder/d");
    auto f = co_await file::open("folder/d", open_mode::read_write);
    co_await f.truncate(2);
    co_await f.sync_data();
    co_await f.close();
    const std::string got = co_await read_file("folder/c");
    v.expect(got == "te", "the file was cut");
    const auto status = co_await status_of("folder/d");
    v.expect(status.size == 2, "the status tells it");
    co_await remove_file("folder/d");
    co_await remove_tree("folder");
}

task<> read_late(fd_stream& from, verdict& v) {
    co_await wait_readable(from.number());
    const auto line = co_await from.read_line();
    v.expect(line && *line == "late", "the line is there after the wait");
}

task<> write_late(fd_stream& to) {
    co_await sleep(200us);
    co_await to.write_all("late\n");
}

task<> awaited_numbers(verdict& v) {
    auto both = co_await over_pair::make();
    co_await gather(read_late(both.reader, v), write_late(both.writer));
    co_await wait_writable(both.writer.number());
}

task<> datagrams(verdict& v) {
    auto one = udp_socket::bind({"127.0.0.1", 0});
    auto other = udp_socket::bind({"127.0.0.1", 0});
    std::string buffer(100, '\0');
    for (int i = 0; i < 3; ++i) {
        co_await one.send_to("datagram", other.local());
        const auto got = co_await other.receive_from(buffer);
        v.expect(got.from == one.local(), "the sender is named");
    }
}

const scenario table[] = {
    {"transfer over TCP", transfer<over_tcp>, hears},
    {"transfer over a pair", transfer<over_pair>, hears},
    {"transfer over a pipe", transfer<over_pipe>, hears},
    {"gathered write over TCP", gathered_write<over_tcp>, hears},
    {"gathered write over a pipe", gathered_write<over_pipe>, hears},
    {"lines over a Unix connection", lines<over_unix>, hears},
    {"views over TCP", views<over_tcp>, hears},
    {"views over a pipe", views<over_pipe>, hears},
    {"mixed reads over TCP", mixed_reads<over_tcp>, hears},
    {"mixed reads over a pair", mixed_reads<over_pair>, hears},
    {"echo over TCP", echo<over_tcp>, hears},
    {"echo over a Unix connection", echo<over_unix>, hears},
    {"half close over TCP", half_close<over_tcp>, hears},
    {"split halves over TCP", split_halves<over_tcp>, hears},
    {"much over TCP", much<much_over_tcp>, hears},
    {"much over a pair", much<much_over_pair>, hears},
    {"a blocking pipe", over_blocking_pipe, hears},
    {"a terminal", over_a_terminal, hears},
    {"accept storm", accept_storm},
    {"serve", serve_few_at_once},
    {"connect: refused", connect_refused},
    {"unix: serve", serve_unix},
    {"unix: a name is taken over", unix_name_taken_over},
    {"unix: nobody listens", unix_nobody_listens},
    {"unix: a descriptor that travels", descriptor_passed},
    {"datagrams", datagrams, hears},
    {"awaited numbers", awaited_numbers, hears},
    {"file: written and read", file_written_and_read, hears},
    {"file: read at offsets", file_read_at_offsets, hears},
    {"file: appended", file_appended, hears},
    {"file: replaced", file_replaced},
    {"file: a tree", tree_made_and_removed},
    {"file: all calls", all_calls_on_files},
    {"file: sent", file_sent, hears},
    {"file: several in parallel", files_in_parallel, hears},
    {"streams: copied", streams_copied, hears},
    {"streams: into a file", received_into_a_file, hears},
};

// -- the sweep ------------------------------------------------------------------------------------

/// An empty working directory. Scenarios name their files without a path.
class working_directory {
public:
    working_directory() : before_(std::filesystem::current_path()) {
        char name[] = "/tmp/rondo-call-faults-XXXXXX";
        if (::mkdtemp(name) == nullptr) throw error("mkdtemp");
        here_ = name;
        std::filesystem::current_path(here_);
    }
    ~working_directory() {
        std::filesystem::current_path(before_);
        std::filesystem::remove_all(here_);
    }
    working_directory(const working_directory&) = delete;
    working_directory& operator=(const working_directory&) = delete;
    void clear() const {
        for (const auto& each : std::filesystem::directory_iterator(here_))
            std::filesystem::remove_all(each);
    }

private:
    std::filesystem::path before_;
    std::filesystem::path here_;
};

std::array<char, 200> present_run{};

/// A call that blocks the loop cannot be ended by a limit: the process says where, and ends.
void tell_hang(int) {
    constexpr char text[] = "\ncall faults: the loop hangs: ";
    [[maybe_unused]] auto written = ::write(STDERR_FILENO, text, sizeof text - 1);
    written = ::write(STDERR_FILENO, present_run.data(), ::strlen(present_run.data()));
    ::_exit(3);
}

/// Whether the fault may change nothing that a program sees.
bool is_transparent(std::string_view call, int error) {
    if (error == EINTR) return true;
    if (call == "pthread_create") return true;
    const bool no_wait = call == "preadv64v2" || call == "pwritev64v2";
    return no_wait && (error == EAGAIN || error == EOPNOTSUPP || error == ENOSYS);
}

bool is_transfer(std::string_view call) {
    for (const std::string_view one : {"recv", "recvmsg", "send", "sendmsg", "preadv64v2",
                                       "pwritev64v2", "readv", "writev", "preadv64", "pwritev64"})
        if (call == one) return true;
    return false;
}

/// "connect 127.0.0.1:7007: Connection refused" says what failed; the errno alone does not.
bool says_what_failed(const std::system_error& e) {
    const std::string text = e.what();
    const std::string why = e.code().message();
    return text.size() > why.size() + 3 && text.find(": " + why) != std::string::npos;
}

struct ended {
    std::string defect;
    bool failed = false;
    bool struck = false;
    std::array<unsigned, call_faults::calls.size()> made{};
};

struct fault {
    std::size_t call = call_faults::calls.size();
    unsigned at = 0;
    int error = 0;
};

/// RONDO_SLOW stretches it in slow builds.
duration real_patience() {
    const char* const slower = std::getenv("RONDO_SLOW");
    return (slower != nullptr ? std::max(std::atoi(slower), 1) : 1) * 3s;
}

ended run_on_readiness(const scenario& s, const fault& inject) {
    ended run;
    unsigned reported = 0;
    verdict v;
    bool in_time = true;
    testing::ring_options options;
    options.limit = 20s;
    options.loop.kernel = kernel_choice::readiness;
    testing::world w(options);
    w.loop().set_exception_handler([&](const exception_context&) { ++reported; });
    const auto body = [&]() -> task<> {
        in_time = co_await move_on_after(real_patience(), s.body(v));
    };
    ::alarm(120);
    try {
        const call_faults::armed now(inject.call, inject.at, inject.error);
        w.run(body());
    } catch (const std::system_error& e) {
        run.failed = true;
        if (!says_what_failed(e)) run.defect = std::string("the error is just: ") + e.what();
    } catch (const std::exception&) {
        run.failed = true;
    } catch (...) {
        run.defect = "it threw something that is not a std::exception";
    }
    run.struck = call_faults::now.has_struck;
    for (std::size_t i = 0; i < run.made.size(); ++i) run.made[i] = call_faults::now.made[i];
    try {
        w.end();
    } catch (const std::exception& e) {
        if (run.defect.empty()) run.defect = std::string("it left behind: ") + e.what();
    }
    ::alarm(0);
    if (v.wrong() != nullptr) run.defect = std::string("this does not hold: ") + v.wrong();
    if (!in_time) run.defect = "it waited forever";
    if (!run.defect.empty() || !run.struck) return run;
    const std::string_view call = call_faults::calls[inject.call].name;
    if (run.failed && is_transparent(call, inject.error)) run.defect = "it failed";
    if (!run.failed && reported == 0 && (s.what & hears) != 0 && inject.error == EIO &&
        is_transfer(call))
        run.defect = "an error was lost";
    return run;
}

std::size_t index_of_call(std::string_view name) {
    std::size_t at = 0;
    while (call_faults::calls[at].name != name) ++at;
    return at;
}

struct sum_t {
    std::uint64_t injected = 0;
    std::uint64_t failed = 0;
    std::set<std::string_view> calls;
    std::vector<std::string> defects;
};

/// Which of `count` calls of a kind fail with the errno at `place` of its list. The calls by which
/// the kernel learns of readiness are always taken all: each loses another event.
std::vector<unsigned> chosen(std::string_view call, unsigned count, std::size_t place) {
    const bool takes_all = rondo_tests::long_run() || call == "poll" || call == "epoll_ctl";
    if (!takes_all) return {static_cast<unsigned>(place * 7) % count};
    std::vector<unsigned> all;
    for (unsigned at = 0; at < count; at += 1 + count / 100) all.push_back(at);
    return all;
}

void sweep_calls(const scenario& s, const working_directory& here, sum_t& sum) {
    const auto run = [&](const fault& inject, const std::string& name) {
        const std::string title = std::string(s.name) + ", " + name;
        std::snprintf(present_run.data(), present_run.size(), "%s\n", title.c_str());
        here.clear();
        const ended one = run_on_readiness(s, inject);
        sum.failed += one.failed ? 1 : 0;
        if (!one.defect.empty()) sum.defects.push_back(title + ": " + one.defect);
        return one;
    };
    const ended clean = run({}, "no fault");
    if (clean.failed) sum.defects.push_back(std::string(s.name) + ": it failed without a fault");
    for (std::size_t call = 0; call < clean.made.size(); ++call) {
        const auto& [name, errors] = call_faults::calls[call];
        for (std::size_t place = 0; clean.made[call] != 0 && errors[place] != 0; ++place)
            for (const unsigned at : chosen(name, clean.made[call], place)) {
                const int error = errors[place];
                if (sum.defects.size() >= enough) return;
                const ended one = run({call, at, error}, std::string(name) + " " +
                                                             std::to_string(at) + ": " +
                                                             ::strerrorname_np(error));
                if (!one.struck) continue;  // the number of calls varies a little
                ++sum.injected;
                sum.calls.insert(name);
            }
    }
}

}  // namespace

TEST_CASE("call faults: a loop that cannot be made or embedded names the call, and leaks nothing",
          "[call_faults]") {
    const auto make = [] {
        loop_options options;
        options.kernel = kernel_choice::readiness;
        loop one(options);
        static_cast<void>(one.fd());
    };
    make();
    const testing::leak_probe before;
    for (const std::string_view name : {"epoll_create1", "eventfd", "epoll_ctl", "timerfd_create"})
        for (unsigned at = 0; at < 4; ++at) {
            const std::size_t call = index_of_call(name);
            const int error = call_faults::calls[call].errors[at % 2];
            INFO(name << " " << at);
            std::string text;
            try {
                const call_faults::armed now(call, at, error);
                make();
            } catch (const std::system_error& e) {
                CHECK(e.code().value() == error);
                CHECK(says_what_failed(e));
                text = e.what();
            }
            INFO(text);
            CHECK(text.empty() != call_faults::now.has_struck.load());
        }
    CHECK(before.leaks().empty());
}

TEST_CASE("call faults: each errno of each call of readiness is an error at worst",
          "[call_faults]") {
    const working_directory here;
    const char* const only = std::getenv("RONDO_SCENARIO");
    struct sigaction act {}, before {};
    act.sa_handler = tell_hang;
    ::sigaction(SIGALRM, &act, &before);
    sum_t sum;
    for (const scenario& s : table) {
        if (only != nullptr && std::string_view(s.name).find(only) == std::string_view::npos)
            continue;
        sweep_calls(s, here, sum);
        if (sum.defects.size() >= enough) break;
    }
    ::sigaction(SIGALRM, &before, nullptr);
    for (const std::string& defect : sum.defects) FAIL_CHECK(defect);
    std::printf("call faults: %llu injected runs, %llu ended with an error; %zu calls\n",
                static_cast<unsigned long long>(sum.injected),
                static_cast<unsigned long long>(sum.failed), sum.calls.size());
    if (only != nullptr) return;
    CHECK(sum.injected > 1000);
    CHECK(sum.failed > sum.injected / 4);
    CHECK(sum.calls.size() >= 30);
}

#endif
