// SPDX-License-Identifier: MIT
// Other programs:
//
//     auto listing = co_await rondo::command("ls", "-1", "/").timeout(5s).run();
//
//     auto sort = rondo::command("sort").in(rondo::pipe).out(rondo::pipe).spawn();
//     co_await sort.in().write_all("pear\napple\n");
//
// A command says what is to be run; `run` runs it to its end and captures what it says, `spawn`
// gives a process to talk with. Programs are started as by posix_spawn (no copy of this process
// exists at any time) and waited for by a pidfd: no signal handler, and no number that another
// process could have meanwhile. A program gets its three streams, what `keep` names, and no other
// descriptor, whoever has opened it.
//
// If SIGCHLD is ignored, or another part of this process calls waitpid(-1), a program's exit status is
// taken from rondo. Linux 6.15 and newer tell it all the same; before that it is
// `unknown_exit_code`, which is never success.
//
// `run` is structured: when its await has ended, in whatever way, the program has ended too. A
// `process` that is dropped is let go, as with every other program that one starts: it goes on,
// and the loop reaps it when it ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/error.hpp>
#include <rondo/pipe.hpp>

namespace rondo {
inline namespace v0 {

/// Where a standard stream of a program leads.
class redirect {
public:
    enum class kind : std::uint8_t { inherit, pipe, devnull, same_as_out, number };

    constexpr explicit redirect(kind what) noexcept : what_(what) {}
    /// To a descriptor of ours, which stays ours and open until the program was started.
    constexpr redirect(int number) noexcept : what_(kind::number), number_(number) {}
    /// By its name alone: `in(pipe)`.
    constexpr redirect(redirect (*named)() noexcept) noexcept : redirect(named()) {}

    constexpr kind what() const noexcept { return what_; }
    constexpr int number() const noexcept { return number_; }

private:
    kind what_;
    int number_ = -1;
};

inline constexpr redirect inherit{redirect::kind::inherit};  ///< where ours leads
inline constexpr redirect devnull{redirect::kind::devnull};  ///< nowhere
inline constexpr redirect same_as_out{redirect::kind::same_as_out};  ///< of err: where out leads
/// To us: `in(pipe)`. A function, so that pipe(2) can be called beside `using namespace rondo`.
constexpr redirect pipe() noexcept { return redirect{redirect::kind::pipe}; }

/// The exit code of a program whose status another waiter of this process took.
inline constexpr int unknown_exit_code = std::numeric_limits<int>::min();

/// What a program that `run` ran has left.
class completed_process {
public:
    int exit_code = 0;         ///< minus the signal's number if one ended it; or unknown_exit_code
    std::string output;        ///< what came out of `out`
    std::string error_output;  ///< what came out of `err`

    completed_process() = default;
    bool ok() const noexcept { return exit_code == 0; }
};

/// `command::check`: a program ended with something else than 0.
/// See: subprocess.CalledProcessError.
class RONDO_API process_error : public error {
public:
    process_error(const std::string& what, completed_process result);
    ~process_error() override;
    const completed_process& result() const noexcept { return *result_; }

private:
    std::shared_ptr<const completed_process> result_;
};

/// `command::timeout` passed; the program has been ended. See: subprocess.TimeoutExpired.
class RONDO_API process_timeout_error : public timeout_error {
public:
    process_timeout_error(std::string_view program, detail::time_limit after, completed_process so_far);
    ~process_timeout_error() override;
    /// What it had said by then.
    const completed_process& result() const noexcept { return *result_; }

private:
    std::shared_ptr<const completed_process> result_;
};

namespace detail {
struct process_state;
struct command_spec;
}  // namespace detail

/// A program that has been started. Move-only; dropping it lets it go on.
/// Thread: its loop's.
/// See:    asyncio.subprocess.Process.
class RONDO_API process {
public:
    process(process&& other) noexcept;
    process& operator=(process&& other) noexcept;
    ~process();

    int pid() const noexcept;
    /// The streams that were made by `in(pipe)`, `out(pipe)` and `err(pipe)`. What nobody reads
    /// fills its pipe, and the program waits.
    fd_stream& in() noexcept;
    fd_stream& out() noexcept;
    fd_stream& err() noexcept;

    /// Waits for its end. Any number may.
    /// Returns: its exit code; minus the signal's number if one ended it; or unknown_exit_code.
    /// Throws:  std::system_error.
    /// Cancel:  leaves; the program goes on.
    task<int> wait();
    /// The same, where it is known already.
    std::optional<int> exit_code();

    /// Throws: std::system_error; nothing where it has ended.
    /// See:    pidfd_send_signal(2).
    void send_signal(int number);
    void terminate();  ///< SIGTERM
    void kill();       ///< SIGKILL

    /// Asks it to end (SIGTERM), kills it after `grace`, and waits for its end. Of a group all members
    /// get that, as long as the program itself has not been waited for. Cannot be left.
    /// Returns: as wait.
    task<int> stop(detail::time_limit grace = std::chrono::seconds(2));

private:
    friend class command;
    explicit process(std::shared_ptr<detail::process_state> state) noexcept;
    detail::handle_pointer<std::shared_ptr<detail::process_state>> state_;
};

/// What is to be run. Each setter gives the command itself, so that they can be chained.
class RONDO_API command {
public:
    static constexpr std::size_t output_limit_default = 64 * 1024 * 1024;

    /// `program` is searched for in our PATH, unless there is a '/' in it.
    /// Throws: std::system_error, EINVAL, for texts with a NUL in them, here and in what follows.
    template <class... Args>
        requires(std::is_convertible_v<const Args&, std::string_view> && ...)
    explicit command(std::string program, const Args&... args) : command(program, list{}) {
        (arg(std::string_view(args)), ...);
    }
    /// `line` is for /bin/sh.
    static command shell(std::string line);

    command(const command&);
    command(command&&) noexcept;
    command& operator=(command) noexcept;
    ~command();

    command& arg(std::string_view value);
    command& env(std::string_view name, std::string_view value);
    command& unset_env(std::string_view name);
    /// Without what we have; what was and is set here stays.
    command& clear_env();
    command& directory(std::string_view path);
    /// By default all are inherited; `run` captures out and err instead.
    command& in(redirect where);
    command& out(redirect where);
    command& err(redirect where);
    /// Files: to be read; made anew; appended to.
    command& in_file(std::string_view path);
    command& out_file(std::string_view path);
    command& append_file(std::string_view path);
    command& err_file(std::string_view path);
    /// The program has this descriptor of ours too, under the same number, and no other but its streams. It is to be
    /// open until the program was started.
    /// See: subprocess.Popen's pass_fds.
    command& keep(int number);
    /// A session, or a process group, of its own; `stop` and `timeout` then end all of it.
    command& new_session();
    command& new_group();

    // -- for `run` -----------------------------------------------------------------------------
    /// What it reads on its standard input.
    command& input(std::string bytes);
    /// How long it may take; then it is told to end, and killed after `grace`.
    command& timeout(detail::time_limit limit);
    command& grace(detail::time_limit time);
    /// Each of output and error output; a program that says more is ended: limit_error.
    command& output_limit(std::size_t bytes);
    /// An exit code that is not 0 is a process_error.
    command& check();
    /// `run` returns when the program itself has ended, with what was in its pipes by then. Without this it waits until
    /// the pipes end, too: children of the program that live on, such as a daemon, may hold them open.
    command& until_exit();

    /// Starts it.
    /// Throws: std::system_error: "spawn nosuchprogram: No such file or directory"; if `directory` is at fault, "spawn ls:
    ///         directory /no/such: No such file or directory".
    /// See:    posix_spawn(3), asyncio.create_subprocess_exec.
    process spawn() const;

    /// Runs it to its end: feeds it, and captures what it says, all at the same time. The end is that of the program and of
    /// its pipes: see until_exit.
    /// Throws: as spawn; process_timeout_error, limit_error, process_error (see check).
    /// Cancel: the program is told to end (SIGTERM), killed after the grace time, waited for.
    /// See:    subprocess.run, asyncio Process.communicate.
    task<completed_process> run() const;

    /// As a shell would show it: for messages.
    std::string text() const;

private:
    struct list {};
    command(std::string program, list);
    detail::handle_pointer<std::unique_ptr<detail::command_spec>> spec_;
};

}  // namespace v0
}  // namespace rondo
