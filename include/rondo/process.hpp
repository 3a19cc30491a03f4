// SPDX-License-Identifier: MIT
// Programs that were started by command::spawn:
//
//     auto sort = rondo::command("sort").in(rondo::pipe).out(rondo::pipe).spawn();
//     co_await sort.in().write_all("pear\napple\n");
//
// If a `process` is dropped the program goes on, and the loop reaps it when it ends.
// See command.hpp for how programs are described and started.
#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include <rondo/command.hpp>  // until 0.2, when `command` is only there
#include <rondo/pipe.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {
struct process_state;
}

/// A program that has been started. Move-only; if it is dropped, the program goes on.
/// Thread: its loop's thread.
/// See:    asyncio.subprocess.Process.
class RONDO_API process {
public:
    process(process&& other) noexcept;
    process& operator=(process&& other) noexcept;
    ~process();

    int pid() const noexcept;
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
    explicit process(std::shared_ptr<detail::process_state> state) noexcept;
    detail::handle_pointer<std::shared_ptr<detail::process_state>> state_;
};

}  // namespace v0
}  // namespace rondo
