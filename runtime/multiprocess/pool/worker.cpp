// SPDX-License-Identifier: MIT
// The worker process: one call after the other, read and written by plain system calls. It has no
// loop and no thread, so nothing interferes with the user's function.
#include "multiprocess/pool/worker.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "multiprocess/pool/function_address.hpp"
#include "multiprocess/pool/errors.hpp"
#include "multiprocess/pool/start_process.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

std::atomic<bool> was_called = false;

constexpr std::string_view worker_option = "--rondo-worker=";
constexpr std::string_view process_option = "--rondo-process=";

struct frame {
    frame_head head;
    std::string body;
};

/// The socket to the parent.
class parent_line {
public:
    explicit parent_line(int number) noexcept : number_(number) {}

    /// Empty if the parent has closed the socket or has died.
    /// Throws: frame_error.
    std::optional<frame> read(std::size_t size_max) const;
    /// False if the parent has died.
    bool write(frame_kind kind, std::uint64_t job, std::string_view body) const noexcept;

private:
    bool fill(char* into, std::size_t size) const noexcept;

    int number_;
};

bool parent_line::fill(char* into, std::size_t size) const noexcept {
    while (size != 0) {
        const ssize_t came = ::recv(number_, into, size, 0);
        if (came < 0 && errno == EINTR) continue;
        if (came <= 0) return false;
        into += came;
        size -= static_cast<std::size_t>(came);
    }
    return true;
}

std::optional<frame> parent_line::read(std::size_t size_max) const {
    head_bytes bytes;
    if (!fill(bytes.data(), bytes.size())) return std::nullopt;
    frame came{parse_head(bytes, size_max), {}};
    for (std::size_t have = 0; have < came.head.size;) {
        const std::size_t step = std::min<std::size_t>(came.head.size - have, body_step);
        came.body.resize(have + step);
        if (!fill(came.body.data() + have, step)) return std::nullopt;
        have += step;
    }
    check_seal(came.head, came.body);
    return came;
}

bool parent_line::write(frame_kind kind, std::uint64_t job, std::string_view body) const noexcept {
    head_bytes head = pack_head(kind, job, body);
    iovec parts[] = {{head.data(), head.size()}, {const_cast<char*>(body.data()), body.size()}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    while (message.msg_iovlen != 0) {
        const ssize_t sent = ::sendmsg(number_, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return false;
        auto gone = static_cast<std::size_t>(sent);
        while (message.msg_iovlen != 0 && gone >= message.msg_iov->iov_len) {
            gone -= message.msg_iov->iov_len;
            ++message.msg_iov;
            --message.msg_iovlen;
        }
        if (message.msg_iovlen == 0) break;
        message.msg_iov->iov_base = static_cast<char*>(message.msg_iov->iov_base) + gone;
        message.msg_iov->iov_len -= gone;
    }
    return true;
}

any_function read_function(word_reader& from) {
    const std::string_view module = from.text();
    const std::uint64_t offset = from.number();
    return module.empty() ? nullptr : function_at(module, offset);
}

/// Answers that function number 0 (the invoker) or 1 (the user's) is missing.
worker_answer missing(std::uint64_t which) {
    worker_answer answer{frame_kind::missing, {}};
    word_writer(answer.body).number(which);
    return answer;
}

}  // namespace

worker_answer make_call_or_throw(std::string_view body, std::size_t result_max) {
    word_reader from(body);
    any_function functions[2] = {nullptr, nullptr};
    for (std::uint64_t i = 0; i < 2; ++i) {
        try {
            functions[i] = read_function(from);
        } catch (const missing_module_error&) {
            return missing(i);
        }
    }
    if (functions[0] == nullptr) throw frame_error("a call names no function");
    worker_answer answer{frame_kind::value, {}};
    reinterpret_cast<process_invoker>(functions[0])(functions[1], from.rest(), answer.body);
    if (answer.body.size() > result_max)
        throw limit_error("process_pool: the result has " + std::to_string(answer.body.size()) +
                          " bytes, and at most " + std::to_string(result_max) + " are allowed");
    return answer;
}

namespace {

/// Calls the initializer, then serves one call after the other until the parent closes the line.
void serve(const parent_line& line, std::size_t size_max) {
    const auto start = line.read(size_max);
    if (!start) return;
    if (start->head.kind != frame_kind::start)
        throw frame_error("the pool's first frame is not `start`");
    worker_answer ready{frame_kind::value, {}};
    if (!start->body.empty()) ready = make_call(start->body, size_max);
    if (ready.kind == frame_kind::missing)
        ready.body = pack_exception(error("the initializer's module is not loaded in the worker"));
    if (ready.kind != frame_kind::value) {
        line.write(frame_kind::failed, 0, ready.body);
        return;
    }
    for (bool going = line.write(frame_kind::ready, 0, {}); going;) {
        const auto call = line.read(size_max);
        if (!call) return;
        if (call->head.kind != frame_kind::call)
            throw frame_error("the pool sent a frame that is not a call");
        const worker_answer answer = make_call(call->body, size_max);
        going = line.write(answer.kind, call->head.job, answer.body);
    }
}

/// Moves the socket from standard input to another descriptor, so that the job does not read it.
/// Returns: its number; -1 if standard input is not a socket.
int take_line() noexcept {
    int type = 0;
    socklen_t size = sizeof type;
    if (::getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM)
        return -1;
    const int line = ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (line < 0 || nothing < 0 || ::dup2(nothing, STDIN_FILENO) < 0) return -1;
    ::close(nothing);
    return line;
}

template <class Number>
Number number_after(std::string_view name, std::string_view option) noexcept {
    Number number = 0;
    option.remove_prefix(name.size());
    std::from_chars(option.data(), option.data() + option.size(), number);
    return number;
}

void run_worker(std::size_t size_max) {
    const int number = take_line();
    if (number < 0) {
        std::fputs(
            "rondo: --rondo-worker is only for worker processes that a process_pool starts\n",
            stderr);
        std::exit(2);
    }
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // when the pool's thread in the parent ends
    ::signal(SIGINT, SIG_IGN);
    const parent_line line(number);
    try {
        serve(line, size_max);
    } catch (const frame_error& error) {
        line.write(frame_kind::trouble, 0, error.what());
    }
}

}  // namespace

worker_answer make_call(std::string_view body, std::size_t result_max) noexcept {
    try {
        return make_call_or_throw(body, result_max);
    } catch (...) {
        return {frame_kind::failed, pack_current_exception()};
    }
}

bool process_worker_was_called() noexcept { return was_called; }

}  // namespace detail

bool process_worker(int argc, char** argv) {
    detail::was_called = true;
    const std::string_view option = argc == 2 ? argv[1] : "";
    if (option.starts_with(detail::process_option))
        std::exit(detail::run_started(detail::number_after<int>(detail::process_option, option)));
    if (!option.starts_with(detail::worker_option)) return false;
    detail::run_worker(detail::number_after<std::size_t>(detail::worker_option, option));
    return true;
}

}  // namespace v0
}  // namespace rondo
