// SPDX-License-Identifier: MIT
// process_child: starts a worker process, talks with it, and reports how it ended.
//
// Two events show the end: the end of the socket and the pidfd. They may disagree: a job may leave
// a child of its own that still has the socket, or close the socket and run on. So the first event
// brings about the second. The end of the process ends reading, after the bytes that are already
// there. The end of the socket kills the process 1 s later.
//
// A job has not begun if the worker did not read its whole frame; then another worker may run it.
// The kernel shows that case: if the peer closes with unread bytes, reading gives ECONNRESET
// instead of the end of the stream.
#include "multiprocess/pool/child.hpp"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include <algorithm>

#include <rondo/detail/loop/descriptor.hpp>
#include <rondo/loop.hpp>

#include "multiprocess/pool/function_address.hpp"
#include "multiprocess/pool/errors.hpp"
#include "multiprocess/pool/manager.hpp"
#include "io/process/process_state.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr duration grace_to_leave = std::chrono::seconds(5);      // after retire
constexpr duration grace_after_signal = std::chrono::seconds(2);  // after SIGTERM
constexpr duration grace_after_line = std::chrono::seconds(1);    // after the end of the socket
constexpr std::uint64_t room_for_errors = 256 * 1024;

/// Starts this program again, with the other end of `line` as its standard input.
process start_worker(fd_stream& line, std::size_t frame_max) {
    int ends[2] = {-1, -1};
    if (const int result = new_socket_pair(AF_UNIX, SOCK_STREAM, 0, ends); result < 0)
        throw_system_error(-result, "process_pool: socketpair", "");
    auto both = adopt_both(ends, "a worker of a process_pool");
    line = fd_stream(std::move(both.first));
    command worker("/proc/self/exe", "--rondo-worker=" + std::to_string(frame_max));
    return worker.in(both.second.number()).spawn();
}

std::string text_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& known) {
        return known.what();
    }
}

}  // namespace

process_child::process_child(process_manager& manager)
    : manager_(manager), program_(start_worker(line_, manager.options().frame_max)) {}

void process_child::give(process_job& job) {
    job_ = &job;
    sending_ = create_task(send(frame_kind::call, job.number, job.call.bytes), {.eager = true});
}

void process_child::retire() {
    if (std::exchange(leaving_, true)) return;
    ::shutdown(line_.number(), SHUT_WR);
    kill_after(grace_to_leave);
}

void process_child::end_by(int signal) noexcept {
    leaving_ = true;
    try {
        program_.send_signal(signal);
        if (signal != SIGKILL) kill_after(grace_after_signal);
    } catch (const std::exception&) {  // it runs as another user: end the socket instead
        ::shutdown(line_.number(), SHUT_RDWR);
    }
}

void process_child::kill(verdict why) noexcept {
    verdict_ = why;
    end_by(SIGKILL);
}

void process_child::kill_after(duration grace) {
    killing_.cancel();
    killing_ = manager_.loop().call_later(grace, [this] { end_by(SIGKILL); });
}

// -- talking --------------------------------------------------------------------------------------

task<> process_child::send(frame_kind kind, std::uint64_t number, const std::string& body) {
    const head_bytes head = pack_head(kind, number, body);
    try {
        co_await line_.write_all(head, body);
    } catch (const std::system_error&) {  // the worker has not read the whole frame, and never will
        if (job_ != nullptr && verdict_ == verdict::none) verdict_ = verdict::not_begun;
    }
}

task<std::optional<process_child::frame>> process_child::receive() {
    head_bytes bytes;
    const std::string_view seen = co_await line_.peek(sizeof bytes);
    if (seen.size() < sizeof bytes) co_return std::nullopt;
    co_await line_.read_exactly(bytes);
    frame came{parse_head(bytes, manager_.options().frame_max + room_for_errors), {}};
    for (std::size_t have = 0; have < came.head.size;) {
        const std::size_t step = std::min<std::size_t>(came.head.size - have, body_step);
        came.body.resize(have + step);
        const buffer_view room(came.body.data() + have, step);
        co_await line_.read_exactly(room);
        have += step;
    }
    check_seal(came.head, came.body);
    co_return std::optional<frame>(std::move(came));
}

task<> process_child::converse() {
    sending_ =
        create_task(send(frame_kind::start, 0, manager_.initializer().bytes), {.eager = true});
    for (;;) {
        const auto came = co_await receive();
        if (!came) co_return;
        co_await sending_;
        if (ready_)
            take_answer(*came);
        else
            take_greeting(*came);
    }
}

void process_child::take_greeting(const frame& greeting) {
    if (greeting.head.kind == frame_kind::failed) {
        initializer_error_ = "its initializer failed: " + text_of(unpack_exception(greeting.body));
        retire();
        return;
    }
    if (greeting.head.kind == frame_kind::trouble) throw frame_error(greeting.body);
    if (greeting.head.kind != frame_kind::ready)
        throw frame_error("the worker's first frame is not `ready`");
    ready_ = true;
    manager_.child_ready();
}

void process_child::take_answer(const frame& answer) {
    if (answer.head.kind == frame_kind::trouble) throw frame_error(answer.body);
    if (job_ == nullptr || answer.head.job != job_->number)
        throw frame_error("the worker answered a job that it was not given");
    std::exception_ptr error;
    switch (answer.head.kind) {
        case frame_kind::value:
            break;
        case frame_kind::failed:
            error = unpack_exception(answer.body);
            break;
        case frame_kind::missing:
            error = std::make_exception_ptr(
                rondo::error("process_pool: the function's module " +
                             path_of_module(missing_function(answer.body)) +
                             " is not loaded in the workers, which load only the modules that the "
                             "program is linked with"));
            break;
        default:
            throw frame_error("the worker's answer is of another kind");
    }
    process_job& job = *take_job();
    ++jobs_done_;
    const std::size_t most = manager_.options().max_tasks_per_child;
    if (most != 0 && jobs_done_ >= most) retire();
    manager_.job_answered(job, answer.body, std::move(error));
}

any_function process_child::missing_function(std::string_view body) const {
    return word_reader(body).number() == 0 ? job_->call.invoker : job_->call.fn;
}

/// Returns: the error's text; empty if the worker has ended.
task<std::string> process_child::converse_to_end() {
    try {
        co_await converse();
    } catch (const std::system_error& error) {
        if (error.code() != std::errc::connection_reset) co_return error.what();
        if (job_ != nullptr && verdict_ == verdict::none) verdict_ = verdict::not_begun;
    } catch (const incomplete_read_error&) {  // the worker ended in the middle of an answer
    } catch (const std::exception& error) {
        co_return error.what();
    }
    co_return std::string();
}

// -- its end --------------------------------------------------------------------------------------

task<int> process_child::watch() {
    const int code = co_await program_.wait();
    ::shutdown(line_.number(), SHUT_RD);
    co_return code;
}

std::string process_child::describe_end(int code) const {
    if (!initializer_error_.empty()) return initializer_error_;
    if (code == unknown_exit_code) return "it has " + text_of_end(code);
    if (code >= 0) return "it ended with exit status " + std::to_string(code);
    const char* const name = ::sigdescr_np(-code);
    return "it was ended by signal " + std::to_string(-code) + " (" +
           (name != nullptr ? name : "?") + ')';
}

task<> process_child::run() {
    ending_ = create_task(watch());
    std::string how = co_await converse_to_end();
    const bool in_trouble = !how.empty();
    if (in_trouble)
        kill(verdict_);
    else if (!leaving_)
        kill_after(grace_after_line);
    leaving_ = true;
    const int code = co_await ending_;
    killing_.cancel();
    line_.close();
    co_await sending_;
    if (!in_trouble) how = describe_end(code);
    manager_.child_ended(*this, how, code == -SIGKILL || code == -SIGTERM);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
