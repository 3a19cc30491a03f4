// SPDX-License-Identifier: MIT
// Running programs, started by command::spawn, and running functions of this program, started by
// start_process:
//
//     auto sort = rondo::command("sort").in(rondo::pipe).out(rondo::pipe).spawn();
//     co_await sort.in().write_all("pear\napple\n");
//     auto worker = rondo::start_process(work, 7);
//     const int code = co_await worker.wait();
//
// If a `process` is dropped the program goes on, and the loop reaps it when it ends. A daemon (see
// start_process.hpp) is ended instead. See command.hpp for how programs are described and started.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include <rondo/command.hpp>  // until 0.2, when `command` is only there
#include <rondo/pipe.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {
struct process_state;
struct process_access;
}

/// A program, or a function of this program, that runs in a process of its own. Move-only; if it is
/// dropped, the process goes on, unless it is a daemon.
/// Thread: its loop's thread; without a loop, one thread at a time.
/// See:    asyncio.subprocess.Process, multiprocessing.Process.
class RONDO_API process {
public:
    process(process&& other) noexcept;
    process& operator=(process&& other) noexcept;
    ~process();

    int pid() const noexcept;
    /// The name that start_process gave it; of a program, the program.
    const std::string& name() const noexcept;
    /// False when it has ended. See: multiprocessing.Process.is_alive.
    bool is_alive() { return !exit_code(); }
    /// The streams made by `in(pipe)`, `out(pipe)` and `err(pipe)`. If its output is not read, the
    /// pipe fills up and the program blocks.
    fd_stream& in() noexcept;
    fd_stream& out() noexcept;
    fd_stream& err() noexcept;

    /// Waits for the program's end. Any number of tasks may wait.
    /// Returns: the exit code; if a signal ended it, minus the signal's number; or
    ///          unknown_exit_code.
    /// Throws:  std::system_error.
    /// Cancel:  ends the await; the program goes on.
    /// See:     waitid(2), asyncio Process.wait.
    task<int> wait();
    /// The exit code, as from wait, if the program has ended; otherwise empty. Does not wait.
    std::optional<int> exit_code();

    /// Blocks the thread until the program has ended. Do not call it in a task, whose loop would
    /// stand still: there, await `wait()`.
    /// Returns: as wait.
    /// Throws:  std::system_error.
    int join();
    /// Blocks the thread for at most `timeout`; returns false if the program has not ended then.
    /// Throws: std::system_error.
    /// See:    multiprocessing.Process.join(timeout).
    bool join_for(detail::time_limit timeout);

    /// Sends a signal. Does nothing if the program has ended.
    /// Throws: std::system_error.
    /// See:    pidfd_send_signal(2).
    void send_signal(int number);
    void terminate();  ///< SIGTERM
    void kill();       ///< SIGKILL

    /// Asks the program to end (SIGTERM), kills it after `grace`, and waits for its end. If it has
    /// a process group of its own, all members get the signals, provided that the program itself
    /// has not been waited for yet.
    /// Returns: as wait.
    /// Cancel:  does not end the await; the cancellation is thrown at the next wait.
    task<int> stop(detail::time_limit grace = std::chrono::seconds(2));

private:
    friend class command;
    friend struct detail::process_access;
    explicit process(std::shared_ptr<detail::process_state> state) noexcept;
    detail::handle_pointer<std::shared_ptr<detail::process_state>> state_;
};

}  // namespace v0
}  // namespace rondo
