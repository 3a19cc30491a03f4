// SPDX-License-Identifier: MIT
// Programs that were started: waiting for them, ending them, and reaping them. A task that waits
// polls the pidfd; the first to see it readable reaps the program. If no task waits any more, a
// background poll reaps it. If the loop ends before the program does, the pidfd goes into a list of
// this process, which is checked when the next program is started.
#include <rondo/process.hpp>

#include <poll.h>
#include <signal.h>
#include <string.h>

#include <cerrno>

#include <rondo/create_task.hpp>
#include <rondo/sleep.hpp>
#include <rondo/thread_sync.hpp>

#include "io/process/process_state.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {

constexpr auto wait_kind_of_process = operation_kind("wait");

request poll_of() noexcept {
    request ask;
    ask.code = opcode::poll_add;
    ask.op_flags = POLLIN;
    return ask;
}

/// Reaps a program that no task waits for.
struct reaper final : background_operation {
    descriptor program;

    explicit reaper(descriptor fd) noexcept
        : background_operation(wait_kind_of_process, fd.record(), poll_of()),
          program(std::move(fd)) {
        on_completion = ended;
    }
    static void ended(operation_state& operation) noexcept {
        auto* self = static_cast<reaper*>(&operation);
        int code = 0;
        if (detail::reap(self->program, code) == 0) abandon_program(self->program.number());
        delete self;
    }
};

}  // namespace

process_state::~process_state() {
    if (code || try_reap()) return;
    if (is_daemon) signal_program(program, SIGKILL);
    try {
        if (here.turn != nullptr)
            begin_background(*new reaper(std::move(program)));
        else
            abandon_program(program.number());
    } catch (...) {
        abandon_program(program.number());
    }
}

bool process_state::try_reap() noexcept {
    int ended = 0;
    const int result = detail::reap(program, ended);
    if (result < 0) ended = unknown_exit_code;  // SIGCHLD is ignored, or waitpid(-1) has reaped it
    if (result != 0) code = ended;
    return result != 0;
}

std::string text_of_end(int code) {
    if (code == unknown_exit_code)
        return "ended with an unknown exit status (SIGCHLD is ignored, or another part of this "
               "process waits for every child)";
    if (code >= 0) return "exit code " + std::to_string(code);
    const char* const words = ::sigdescr_np(-code);
    return std::string("ended by signal ") +
           (words != nullptr ? words : std::to_string(-code).c_str());
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

namespace {

/// Signals the program, or all of its group, only while the program has not been reaped. As long as
/// it is at least a zombie, no other process can have its number, which is its group's number too.
/// Returns: 0 or -errno.
int send_unless_reaped(process_state& state, int number) noexcept {
    if (state.code) return 0;
    if (state.own_group) return ::kill(-state.pid, number) == 0 ? 0 : -errno;
    return detail::signal_program(state.program, number);
}

}  // namespace

void send(process_state& state, int number) {
    const int result = send_unless_reaped(state, number);
    if (result < 0 && result != -ESRCH) throw_system_error(-result, "signal", state.name);
}

namespace {

/// Waits until the program has ended, without reaping it.
task<> wait_for_zombie(std::shared_ptr<process_state> state) {
    operation<void> ending(wait_kind_of_process, state->program.record(), poll_of(),
                           [](operation_state&) {});
    co_await std::move(ending);
}

/// True if the group still has members after its first process was reaped. While it has members, no
/// other group can have its number. It is asked every few milliseconds, too often for a reuse.
bool has_members(const process_state& state) noexcept { return ::kill(-state.pid, 0) == 0; }

/// The result of a signal is ignored, since the program may run as another user: its end is awaited
/// all the same. Members of the group that outlive the program get the rest of the grace time.
task<int> end_within(std::shared_ptr<process_state> state, duration grace) {
    constexpr duration step = std::chrono::milliseconds(5);
    if (state->code) co_return *state->code;
    const time_point until = deadline_after(grace);
    send_unless_reaped(*state, SIGTERM);
    const auto ended = co_await move_on_after(grace, wait_for_zombie(state));
    if (!ended) send_unless_reaped(*state, SIGKILL);
    const int code = co_await wait_for_end(state);
    while (ended && state->own_group && has_members(*state)) {
        if (running_loop().time() >= until) {
            ::kill(-state->pid, SIGKILL);
            break;
        }
        co_await sleep(step);
    }
    co_return code;
}

}  // namespace

task<int> stop(std::shared_ptr<process_state> state, duration grace) {
    auto ending = shield(end_within(std::move(state), grace));
    co_return co_await std::move(ending);
}

namespace {

constexpr duration daemon_grace = std::chrono::seconds(2);

/// Ends a daemon whose `process` goes. A task of the running loop waits for the end. It begins at
/// once, so that `run` waits for it, too. Without a loop, or if the task does not come to an end,
/// the state's destructor kills the daemon.
void end_daemon(std::shared_ptr<process_state> state) noexcept {
    if (!state->is_daemon || state->code || here.turn == nullptr) return;
    try {
        send_unless_reaped(*state, SIGTERM);
        create_task(stop(std::move(state), daemon_grace), {.eager = true});
    } catch (const std::exception&) {
    }
}

/// Blocks until the pidfd is readable. Returns false if the deadline passes first.
bool block_until_end(const process_state& state, time_point deadline) {
    pollfd ending{state.program.number(), POLLIN, 0};
    for (;;) {
        const duration left = deadline - std::chrono::steady_clock::now();
        const bool is_limited = deadline != time_point::max();
        const timespec limit = {std::chrono::duration_cast<std::chrono::seconds>(left).count(),
                                static_cast<long>((left % std::chrono::seconds(1)).count())};
        if (is_limited && left <= duration::zero()) return false;
        const int ready = ::ppoll(&ending, 1, is_limited ? &limit : nullptr, nullptr);
        if (ready > 0) return true;
        if (ready < 0 && errno != EINTR) throw_system_error(errno, "wait", state.name);
    }
}

bool join_until(process_state& state, time_point deadline) {
    while (!state.code && !state.try_reap())
        if (!block_until_end(state, deadline)) return false;
    return true;
}

}  // namespace
}  // namespace detail

process::process(std::shared_ptr<detail::process_state> state) noexcept
    : state_(std::move(state)) {}
process::process(process&&) noexcept = default;
process& process::operator=(process&& other) noexcept {
    process old(std::move(other));
    std::swap(state_, old.state_);
    return *this;
}
process::~process() {
    if (state_) detail::end_daemon(state_);
}

int process::pid() const noexcept { return state_->pid; }
const std::string& process::name() const noexcept { return state_->name; }

fd_stream& process::in() noexcept {
    RONDO_ASSERT(state_->piped[0],
                 "this process has no pipe on its standard input; use command::in(pipe)");
    return state_->in;
}
fd_stream& process::out() noexcept {
    RONDO_ASSERT(state_->piped[1],
                 "this process has no pipe on its standard output; use command::out(pipe)");
    return state_->out;
}
fd_stream& process::err() noexcept {
    RONDO_ASSERT(state_->piped[2],
                 "this process has no pipe on its standard error; use command::err(pipe)");
    return state_->err;
}

task<int> process::wait() { return detail::wait_for_end(state_); }
std::optional<int> process::exit_code() {
    if (!state_->code) state_->try_reap();
    return state_->code;
}
int process::join() {
    detail::join_until(*state_, time_point::max());
    return *state_->code;
}
bool process::join_for(detail::time_limit timeout) {
    return detail::join_until(*state_, detail::thread_deadline(timeout));
}
void process::send_signal(int number) { detail::send(*state_, number); }
void process::terminate() { send_signal(SIGTERM); }
void process::kill() { send_signal(SIGKILL); }
task<int> process::stop(detail::time_limit grace) { return detail::stop(state_, grace); }

}  // namespace v0
}  // namespace rondo
