// SPDX-License-Identifier: MIT
// Describing a program, starting it, and running it to its end.
#include <rondo/command.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <rondo/gather.hpp>
#include <rondo/sleep.hpp>
#include <rondo/task_group.hpp>

#include "io/process/process_state.hpp"

namespace rondo {
inline namespace v0 {

process_error::process_error(const std::string& what, completed_process result)
    : error(what), result_(std::make_shared<const completed_process>(std::move(result))) {}
process_error::~process_error() = default;

process_timeout_error::process_timeout_error(std::string_view program, detail::time_limit after,
                                             completed_process so_far)
    : timeout_error(program, after),
      result_(std::make_shared<const completed_process>(std::move(so_far))) {}
process_timeout_error::~process_timeout_error() = default;

namespace detail {

struct stream_spec {
    redirect where = inherit;
    std::string path;  // if not empty, used instead of `where`
    int flags = 0;
    bool is_set = false;
};

struct command_spec {
    std::vector<std::string> arguments;
    std::vector<std::pair<std::string, std::optional<std::string>>> environment;  // set or unset
    bool bare_environment = false;
    std::string directory;
    stream_spec streams[3];
    std::vector<int> kept;
    bool new_session = false;
    bool new_group = false;
    bool die_with_parent = false;
    std::string input;
    duration timeout = duration::max();
    duration grace = std::chrono::seconds(2);
    std::size_t output_limit = command::output_limit_default;
    bool check = false;
    bool until_exit = false;
};

namespace {

std::vector<std::string> environment_of(const command_spec& spec) {
    std::vector<std::string> all;
    const auto is_changed = [&](std::string_view line) {
        return std::any_of(spec.environment.begin(), spec.environment.end(), [&](const auto& c) {
            return line.starts_with(c.first) && line.substr(c.first.size()).starts_with('=');
        });
    };
    for (char** line = spec.bare_environment ? nullptr : environ; line && *line; ++line)
        if (!is_changed(*line)) all.emplace_back(*line);
    for (std::size_t i = 0; i < spec.environment.size(); ++i) {
        const auto& [name, value] = spec.environment[i];
        const bool again = std::any_of(
            spec.environment.begin() + static_cast<std::ptrdiff_t>(i) + 1, spec.environment.end(),
            [&name = name](const auto& later) { return later.first == name; });
        if (value && !again) all.push_back(name + '=' + *value);
    }
    return all;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> all;
    for (std::string& text : texts) all.push_back(text.data());
    all.push_back(nullptr);
    return all;
}

[[noreturn]] void throw_spawn(int error, const std::string& program) {
    throw_system_error(error, "spawn", program);
}

/// One standard stream: its number in this process, the descriptor to close after the start, and
/// the end of a pipe that stays here.
struct stream_ends {
    int number = -1;
    descriptor theirs;
    descriptor ours;
};

stream_ends open_stream(const stream_spec& spec, int target, const std::string& program) {
    stream_ends ends;
    if (!spec.path.empty() || spec.where.what() == redirect::kind::devnull) {
        const std::string path = spec.path.empty() ? "/dev/null" : spec.path;
        const int flags = spec.path.empty() ? O_RDWR : spec.flags;
        if (is_simulated_here()) throw_spawn(ENOSYS, program);  // before a real file is emptied
        const int number = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
        if (number < 0) throw_system_error(errno, "open", path);
        ends.theirs = adopt_or_close(number, path);
    } else if (spec.where.what() == redirect::kind::pipe) {
        int numbers[2] = {-1, -1};
        if (const int result = new_pipe(numbers); result < 0) throw_spawn(-result, program);
        static constexpr const char* names[] = {" (input)", " (output)", " (error output)"};
        auto [reader, writer] = adopt_both(numbers, program + names[target]);
        ends.theirs = std::move(target == 0 ? reader : writer);
        ends.ours = std::move(target == 0 ? writer : reader);
    } else if (spec.where.what() == redirect::kind::number) {
        ends.number = spec.where.number();
        if (ends.number < 0) throw_spawn(EBADF, program);
        return ends;
    }
    ends.number = ends.theirs.number();
    return ends;
}

/// Returns the pidfd; the process number goes into `pid`.
descriptor start_program(const command_spec& spec, const spawn_request& what, int& pid) {
    const std::string& program = spec.arguments.front();
    started_program started;
    if (const int error = detail::spawn(what, started); error < 0)
        throw_spawn(-error,
                    started.bad_directory ? program + ": directory " + spec.directory : program);
    pid = started.pid;
    try {
        return descriptor::adopt(started.pid_descriptor, program);
    } catch (...) {
        end_program(started.pid_descriptor);
        throw;
    }
}

std::shared_ptr<process_state> start(const command_spec& spec) {
    reap_abandoned_programs();
    const std::string& program = spec.arguments.front();
    auto state = std::make_shared<process_state>();
    state->name = program;
    state->own_group = spec.new_group || spec.new_session;
    stream_ends ends[3];
    for (int i = 0; i < 3; ++i) ends[i] = open_stream(spec.streams[i], i, program);
    const bool merges = spec.streams[2].where.what() == redirect::kind::same_as_out;
    std::vector<std::string> arguments = spec.arguments;
    std::vector<std::string> environment = environment_of(spec);
    const std::vector<char*> argument_list = pointers_to(arguments);
    const std::vector<char*> environment_list = pointers_to(environment);
    spawn_request what;
    what.file = program.c_str();
    what.arguments = argument_list.data();
    what.environment = environment_list.data();
    what.directory = spec.directory.empty() ? nullptr : spec.directory.c_str();
    for (int i = 0; i < 3; ++i) what.streams[i] = ends[i].number;
    if (merges) what.streams[2] = ends[1].number >= 0 ? ends[1].number : 1;
    what.kept = spec.kept.data();
    what.kept_count = spec.kept.size();
    what.new_session = spec.new_session;
    what.new_group = spec.new_group;
    what.die_with_parent = spec.die_with_parent;
    for (const int kept : spec.kept) {
        unsigned mode = 0;
        if (const int error = file_mode(kept, mode); error < 0)
            throw_system_error(-error, "spawn", program + ": descriptor " + std::to_string(kept));
    }
    state->program = start_program(spec, what, state->pid);
    fd_stream* const ours[] = {&state->in, &state->out, &state->err};
    for (int i = 0; i < 3; ++i)
        if (ends[i].ours) *ours[i] = fd_stream(std::move(ends[i].ours)), state->piped[i] = true;
    return state;
}

// -- run --------------------------------------------------------------------------------------

task<> feed(fd_stream* into, const std::string* bytes) {
    try {
        co_await into->write_all(*bytes);
    } catch (const write_error& error) {
        if (error.code() != std::errc::broken_pipe) throw;  // the program has read enough
    }
    into->close();
}

void take_output(std::string_view some, std::string* all, std::size_t limit,
                 const std::string* what) {
    if (all->size() + some.size() > limit)
        throw limit_error("run " + *what + ": more than " + std::to_string(limit) +
                          " bytes of output");
    all->append(some);
}

task<> capture(fd_stream* from, std::string* all, std::size_t limit, const std::string* what) {
    std::array<char, 16 * 1024> buffer;
    while (const auto some = co_await from->read_some(buffer))
        take_output(some.text(), all, limit, what);
}

task<> nothing() { co_return; }

task<> communicate(process_state* state, const command_spec* spec, const std::string* what,
            completed_process* into) {
    const std::size_t limit = spec->output_limit;
    auto feeding = state->piped[0] ? feed(&state->in, &spec->input) : nothing();
    auto output =
        state->piped[1] ? capture(&state->out, &into->output, limit, what) : nothing();
    auto errors =
        state->piped[2] ? capture(&state->err, &into->error_output, limit, what) : nothing();
    auto all = gather(std::move(feeding), std::move(output), std::move(errors));
    co_await std::move(all);
}

/// Reads the bytes that are in the pipe now, and not those that come later.
task<> capture_rest(fd_stream* from, std::string* all, std::size_t limit, const std::string* what) {
    int left = 0;
    if (::ioctl(from->number(), FIONREAD, &left) != 0) left = 0;
    std::array<char, 16 * 1024> buffer;
    while (left > 0) {
        const std::size_t most = std::min(buffer.size(), static_cast<std::size_t>(left));
        const auto some = co_await from->read_some(buffer_view(buffer.data(), most));
        if (!some) co_return;
        take_output(some.text(), all, limit, what);
        left -= static_cast<int>(some.size());
    }
}

/// As communicate, but only until the program has ended. Other processes may still hold its pipes.
task<> communicate_until_exit(std::shared_ptr<process_state> state, const command_spec* spec,
                       const std::string* what, completed_process* into) {
    const auto until_end = [&](task_group& group) -> task<> {
        group.start(communicate(state.get(), spec, what, into));
        co_await wait_for_end(state);
        group.cancel();
    };
    co_await with_task_group(until_end);
    const std::size_t limit = spec->output_limit;
    if (state->piped[1]) co_await capture_rest(&state->out, &into->output, limit, what);
    if (state->piped[2]) co_await capture_rest(&state->err, &into->error_output, limit, what);
}

task<completed_process> run_to_end(std::shared_ptr<command_spec> spec, std::string what) {
    if (cancel_requested()) throw cancelled();
    auto state = start(*spec);
    completed_process result;
    std::exception_ptr error;
    bool too_slow = false;
    try {
        timeout_scope scope(deadline_after(spec->timeout));
        try {
            if (spec->until_exit)
                co_await communicate_until_exit(state, spec.get(), &what, &result);
            else
                co_await communicate(state.get(), spec.get(), &what, &result);
            result.exit_code = co_await wait_for_end(state);
        } catch (const cancelled&) {
            too_slow = scope.timed_out();
            if (!too_slow) throw;
        }
    } catch (...) {
        error = std::current_exception();
    }
    if (error || too_slow) {
        result.exit_code = co_await stop(state, spec->grace);
        if (too_slow)
            throw process_timeout_error("run " + what, spec->timeout, std::move(result));
        std::rethrow_exception(error);
    }
    if (spec->check && result.exit_code != 0)
        throw process_error("run " + what + ": " + text_of_end(result.exit_code),
                            std::move(result));
    co_return result;
}

}  // namespace
}  // namespace detail

// -- the builder ------------------------------------------------------------------------------

command::command(std::string program, list) : spec_(std::make_unique<detail::command_spec>()) {
    arg(program);
}
command::command(const command& other)
    : spec_(std::make_unique<detail::command_spec>(*other.spec_)) {}
command::command(command&&) noexcept = default;
command& command::operator=(command other) noexcept {
    std::swap(spec_, other.spec_);
    return *this;
}
command::~command() = default;

command command::shell(std::string line) { return command("/bin/sh", "-c", line); }

namespace {
std::string without_nul(std::string_view text, const char* what) {
    if (text.find('\0') != text.npos)
        detail::throw_system_error(EINVAL, what, "a text with a NUL in it");
    return std::string(text);
}
}  // namespace

command& command::arg(std::string_view value) {
    spec_->arguments.push_back(without_nul(value, "command::arg"));
    return *this;
}
command& command::env(std::string_view name, std::string_view value) {
    if (name.empty() || name.find('=') != name.npos)
        detail::throw_system_error(EINVAL, "command::env", name);
    spec_->environment.emplace_back(without_nul(name, "command::env"),
                                    without_nul(value, "command::env"));
    return *this;
}
command& command::unset_env(std::string_view name) {
    spec_->environment.emplace_back(without_nul(name, "command::unset_env"), std::nullopt);
    return *this;
}
command& command::clear_env() {
    spec_->bare_environment = true;
    return *this;
}
command& command::directory(std::string_view path) {
    spec_->directory = without_nul(path, "command::directory");
    return *this;
}

namespace {
void set_stream(detail::stream_spec& stream, redirect where, std::string_view path = {},
                int flags = 0) {
    stream.where = where;
    stream.path = without_nul(path, "command");
    stream.flags = flags;
    stream.is_set = true;
}
}  // namespace

command& command::in(redirect where) { return set_stream(spec_->streams[0], where), *this; }
command& command::out(redirect where) { return set_stream(spec_->streams[1], where), *this; }
command& command::err(redirect where) { return set_stream(spec_->streams[2], where), *this; }
command& command::in_file(std::string_view path) {
    return set_stream(spec_->streams[0], inherit, path, O_RDONLY), *this;
}
command& command::out_file(std::string_view path) {
    return set_stream(spec_->streams[1], inherit, path, O_WRONLY | O_CREAT | O_TRUNC), *this;
}
command& command::append_file(std::string_view path) {
    return set_stream(spec_->streams[1], inherit, path, O_WRONLY | O_CREAT | O_APPEND), *this;
}
command& command::err_file(std::string_view path) {
    return set_stream(spec_->streams[2], inherit, path, O_WRONLY | O_CREAT | O_TRUNC), *this;
}
command& command::keep(int number) { return spec_->kept.push_back(number), *this; }
command& command::new_session() { return spec_->new_session = true, *this; }
command& command::new_group() { return spec_->new_group = true, *this; }
command& command::die_with_parent() { return spec_->die_with_parent = true, *this; }
command& command::input(std::string bytes) {
    spec_->input = std::move(bytes);
    return in(pipe);
}
command& command::timeout(detail::time_limit limit) { return spec_->timeout = limit, *this; }
command& command::grace(detail::time_limit time) { return spec_->grace = time, *this; }
command& command::output_limit(std::size_t bytes) { return spec_->output_limit = bytes, *this; }
command& command::check() { return spec_->check = true, *this; }
command& command::until_exit() { return spec_->until_exit = true, *this; }

process command::spawn() const { return process(detail::start(*spec_)); }

task<completed_process> command::run() const {
    auto spec = std::make_shared<detail::command_spec>(*spec_);
    for (int i = 1; i < 3; ++i)
        if (!spec->streams[i].is_set) spec->streams[i].where = pipe;
    return detail::run_to_end(std::move(spec), text());
}

std::string command::text() const {
    std::string all;
    for (const std::string& argument : spec_->arguments) {
        if (!all.empty()) all += ' ';
        const bool plain = !argument.empty() && argument.find_first_of(" \t\n'\"\\$`*?;&|<>()") ==
                                                    argument.npos;
        if (plain) {
            all += argument;
            continue;
        }
        all += '\'';
        for (const char c : argument) all += c == '\'' ? "'\\''" : std::string(1, c);
        all += '\'';
    }
    return all;
}

}  // namespace v0
}  // namespace rondo
