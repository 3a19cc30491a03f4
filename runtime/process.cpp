// SPDX-License-Identifier: MIT
// Programs that were started: waiting for them, ending them, and seeing to it that none stays a
// zombie. Who waits polls the pidfd; the first to see it readable reaps. One that nobody waits for
// any more is given to a poll in the background; and where the loop ends before the program does,
// its number goes into a list of the process, which is looked through when the next one is started.
#include <rondo/process.hpp>

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include <cerrno>
#include <mutex>

#include <rondo/future.hpp>
#include <rondo/sleep.hpp>

#include "process_state.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr auto wait_kind_of_process = operation_kind("wait");

std::mutex left_mutex;
std::vector<pid_t> left;  // by loops that have ended

void remember(pid_t pid) noexcept {
    try {
        const std::lock_guard lock(left_mutex);
        left.push_back(pid);
    } catch (...) {  // no memory: its parent's parent will reap it
    }
}

request poll_of() noexcept {
    request ask;
    ask.code = opcode::poll_add;
    ask.op_flags = POLLIN;
    return ask;
}

/// Reaps one that nobody waits for.
struct reaper final : background_operation {
    descriptor program;
    pid_t pid;

    reaper(descriptor fd, pid_t p) noexcept
        : background_operation(wait_kind_of_process, fd.record(), poll_of()),
          program(std::move(fd)),
          pid(p) {
        arrived = ended;
    }
    static void ended(operation_state& operation) noexcept {
        auto* self = static_cast<reaper*>(&operation);
        int code = 0;
        if (detail::reap(self->program, code) <= 0) remember(self->pid);
        delete self;
    }
};

}  // namespace

void reap_what_is_left() noexcept {
    const std::lock_guard lock(left_mutex);
    std::erase_if(left, [](pid_t pid) { return ::waitpid(pid, nullptr, WNOHANG) != 0; });
}

process_state::~process_state() {
    if (code || try_reap()) return;
    try {
        if (here.turn != nullptr)
            begin_background(*new reaper(std::move(program), pid));
        else
            remember(pid);
    } catch (...) {
        remember(pid);
    }
}

bool process_state::try_reap() noexcept {
    int ended = 0;
    const int result = detail::reap(program, ended);
    if (result < 0) ended = 0;  // somebody else has reaped it: SIGCHLD is ignored, or waitpid(-1)
    if (result != 0) code = ended;
    return result != 0;
}

task<int> wait_for_end(std::shared_ptr<process_state> state) {
    if (cancel_requested()) throw cancelled();
    while (!state->code && !state->try_reap()) {
        operation<void> ending(wait_kind_of_process, state->program.record(), poll_of(),
                               [](operation_state&) {});
        co_await std::move(ending);
    }
    co_return *state->code;
}

void send(process_state& state, int number) {
    if (state.code || state.try_reap()) return;
    const int result = state.own_group ? (::kill(-state.pid, number) == 0 ? 0 : -errno)
                                       : detail::signal_program(state.program, number);
    if (result < 0 && result != -ESRCH) throw_system_error(-result, "signal", state.name);
}

namespace {

/// Also to what is left of a group whose first process has ended.
void send_to_group(process_state& state, int number) noexcept {
    if (state.own_group)
        ::kill(-state.pid, number);
    else if (!state.code)
        detail::signal_program(state.program, number);
}

task<int> end_within(std::shared_ptr<process_state> state, duration grace) {
    send(*state, SIGTERM);
    std::optional<int> code = co_await move_on_after(grace, wait_for_end(state));
    if (code && !state->own_group) co_return *code;
    send_to_group(*state, SIGKILL);
    co_return co_await wait_for_end(state);
}

}  // namespace

task<int> stop(std::shared_ptr<process_state> state, duration grace) {
    auto ending = shield(end_within(std::move(state), grace));
    co_return co_await std::move(ending);
}

}  // namespace detail

process::process(std::shared_ptr<detail::process_state> state) noexcept
    : state_(std::move(state)) {}
process::process(process&&) noexcept = default;
process& process::operator=(process&& other) noexcept {
    state_.swap(other.state_);
    return *this;
}
process::~process() = default;

int process::pid() const noexcept { return state_->pid; }

fd_stream& process::in() noexcept {
    RONDO_ASSERT(state_->piped[0],
                 "this process has no pipe on its standard input: command::in(pipe)");
    return state_->in;
}
fd_stream& process::out() noexcept {
    RONDO_ASSERT(state_->piped[1],
                 "this process has no pipe on its standard output: command::out(pipe)");
    return state_->out;
}
fd_stream& process::err() noexcept {
    RONDO_ASSERT(state_->piped[2],
                 "this process has no pipe on its standard error: command::err(pipe)");
    return state_->err;
}

task<int> process::wait() { return detail::wait_for_end(state_); }
std::optional<int> process::exit_code() {
    if (!state_->code) state_->try_reap();
    return state_->code;
}
void process::send_signal(int number) { detail::send(*state_, number); }
void process::terminate() { send_signal(SIGTERM); }
void process::kill() { send_signal(SIGKILL); }
task<int> process::stop(duration grace) { return detail::stop(state_, grace); }

}  // namespace v0
}  // namespace rondo
