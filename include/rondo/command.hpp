// SPDX-License-Identifier: MIT
// Running other programs:
//
//     auto listing = co_await rondo::command("ls", "-1", "/").timeout(5s).run();
//
// A `command` describes a program. `run` runs it to its end and captures its output; `spawn` gives
// a `process` to communicate with (process.hpp). Programs are started as by posix_spawn, so this
// process is never copied. Their end is awaited through a pidfd: without a signal handler, and
// without a number that another process could have meanwhile. A program gets its three streams and
// the descriptors named by `keep`. All other descriptors are closed in it, whichever part of this
// process opened them.
//
// If SIGCHLD is ignored, or if another part of this process calls waitpid(-1), rondo cannot reap
// the program. Linux 6.15 and newer still tell the exit status. Before that it is
// `unknown_exit_code`, which never counts as success.
//
// `run` is structured: when its await has ended, in any way, the program has ended too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

#include <rondo/error.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {

/// Target of a program's standard stream.
class redirect {
public:
    enum class kind : std::uint8_t { inherit, pipe, devnull, same_as_out, number };

    constexpr explicit redirect(kind what) noexcept : what_(what) {}
    /// A descriptor of this process. It stays open here, and must be open until the program was
    /// started.
    constexpr redirect(int number) noexcept : what_(kind::number), number_(number) {}
    /// By name, without a call: `in(pipe)`.
    constexpr redirect(redirect (*named)() noexcept) noexcept : redirect(named()) {}

    constexpr kind what() const noexcept { return what_; }
    constexpr int number() const noexcept { return number_; }

private:
    kind what_;
    int number_ = -1;
};

inline constexpr redirect inherit{redirect::kind::inherit};  ///< this process's own stream
inline constexpr redirect devnull{redirect::kind::devnull};  ///< /dev/null
inline constexpr redirect same_as_out{redirect::kind::same_as_out};  ///< for err: the target of out
/// A pipe to this process: `in(pipe)`. It is a function, so that pipe(2) can still be called after
/// `using namespace rondo`.
constexpr redirect pipe() noexcept { return redirect{redirect::kind::pipe}; }

/// Exit code of a program whose status another part of this process has taken.
inline constexpr int unknown_exit_code = std::numeric_limits<int>::min();

/// Result of command::run().
class completed_process {
public:
    int exit_code = 0;  ///< if a signal ended it, minus the signal's number; or unknown_exit_code
    std::string output;        ///< the program's standard output, if it was captured
    std::string error_output;  ///< the program's standard error, if it was captured

    completed_process() = default;
    bool ok() const noexcept { return exit_code == 0; }
};

/// Thrown by `run` after `command::check`: the program's exit code is not 0.
/// See: subprocess.CalledProcessError.
class RONDO_API process_error : public error {
public:
    process_error(const std::string& what, completed_process result);
    ~process_error() override;
    const completed_process& result() const noexcept { return *result_; }

private:
    std::shared_ptr<const completed_process> result_;
};

/// Thrown by `run` when `command::timeout` has passed and the program has been ended.
/// See: subprocess.TimeoutExpired.
class RONDO_API process_timeout_error : public timeout_error {
public:
    process_timeout_error(std::string_view program, detail::time_limit after,
                          completed_process so_far);
    ~process_timeout_error() override;
    /// The output up to that moment.
    const completed_process& result() const noexcept { return *result_; }

private:
    std::shared_ptr<const completed_process> result_;
};

class process;

namespace detail {
struct command_spec;
}

/// Description of a program to run. Each setter returns the command itself, for chaining.
class RONDO_API command {
public:
    static constexpr std::size_t output_limit_default = 64 * 1024 * 1024;

    /// `program` is searched for in this process's PATH, unless it contains a '/'.
    /// Throws: std::system_error, EINVAL, if a text contains a NUL. The setters throw it too.
    template <class... Args>
        requires(std::is_convertible_v<const Args&, std::string_view> && ...)
    explicit command(std::string program, const Args&... args) : command(program, list{}) {
        (arg(std::string_view(args)), ...);
    }
    /// A command that /bin/sh runs.
    static command shell(std::string line);

    command(const command&);
    command(command&&) noexcept;
    command& operator=(command) noexcept;
    ~command();

    command& arg(std::string_view value);
    command& env(std::string_view name, std::string_view value);
    command& unset_env(std::string_view name);
    /// Starts from an empty environment; variables set with env() are kept.
    command& clear_env();
    command& directory(std::string_view path);
    /// Targets of the standard streams. By default they are inherited; `run` captures out and err.
    command& in(redirect where);
    command& out(redirect where);
    command& err(redirect where);
    /// Files: in_file is read; out_file and err_file are created or emptied; append_file is created
    /// or appended to.
    command& in_file(std::string_view path);
    command& out_file(std::string_view path);
    command& append_file(std::string_view path);
    command& err_file(std::string_view path);
    /// Passes a descriptor of this process to the program, under the same number. Without `keep`
    /// the program gets only its three streams. The descriptor must be open until the program was
    /// started.
    /// See: subprocess.Popen's pass_fds.
    command& keep(int number);
    /// Starts the program in a new session or process group; `stop` and `timeout` then end all of
    /// it.
    /// See: setsid(2), setpgid(2).
    command& new_session();
    command& new_group();
    /// The program is killed when the thread that starts it ends, and so when this process ends, in
    /// whatever way.
    /// See: PR_SET_PDEATHSIG in prctl(2).
    command& die_with_parent();

    // -- for `run` only ------------------------------------------------------------------------
    /// Bytes for the program's standard input.
    command& input(std::string bytes);
    /// Time that the program may take. Then it is asked to end (SIGTERM), and killed after `grace`.
    command& timeout(detail::time_limit limit);
    command& grace(detail::time_limit time);
    /// Limit for output and for error output, each. Beyond it the program is ended: limit_error.
    command& output_limit(std::size_t bytes);
    /// An exit code other than 0 throws process_error.
    command& check();
    /// `run` returns when the program itself has ended, with the output that was in its pipes by
    /// then. Without this it waits for the end of the pipes, too, which children of the program
    /// that live on, such as a daemon, may hold open.
    command& until_exit();

    /// Starts the program. Its `process` is declared in process.hpp.
    /// Throws: std::system_error: "spawn nosuchprogram: No such file or directory"; if `directory`
    ///         is the cause, "spawn ls: directory /no/such: No such file or directory".
    /// See:    posix_spawn(3), asyncio.create_subprocess_exec.
    process spawn() const;

    /// Runs the program to its end: writes its input and captures its output, all at the same time.
    /// The end is that of the program and of its pipes; see until_exit.
    /// Throws: as spawn; process_timeout_error, limit_error, process_error (see check).
    /// Cancel: the program is asked to end (SIGTERM), killed after the grace time, and waited for.
    /// See:    subprocess.run, asyncio Process.communicate.
    task<completed_process> run() const;

    /// The command line as a shell would show it, for messages.
    std::string text() const;

private:
    struct list {};
    command(std::string program, list);
    detail::handle_pointer<std::unique_ptr<detail::command_spec>> spec_;
};

}  // namespace v0
}  // namespace rondo
