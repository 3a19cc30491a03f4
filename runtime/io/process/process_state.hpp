// SPDX-License-Identifier: MIT
// State behind a `process`, shared by the tasks that wait for it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <rondo/detail/loop/descriptor.hpp>
#include <rondo/process.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

struct process_state {
    descriptor program;  // a pidfd
    int pid = -1;
    std::string name;
    bool own_group = false;
    bool is_daemon = false;  // ended when its `process` goes
    bool piped[3] = {false, false, false};
    fd_stream in, out, err;
    std::optional<int> code;  // once it has been reaped

    process_state() = default;
    process_state(const process_state&) = delete;
    process_state& operator=(const process_state&) = delete;
    ~process_state();

    /// True if it has ended; `code` is then set.
    bool try_reap() noexcept;
};

/// Lets start_process set the name and `is_daemon`.
struct process_access {
    static process_state& of(process& one) noexcept { return *one.state_; }
};

/// "ended by signal Terminated", "exit code 3", "ended with an unknown exit status (...)".
std::string text_of_end(int code);

task<int> wait_for_end(std::shared_ptr<process_state> state);
task<int> stop(std::shared_ptr<process_state> state, duration grace);
/// Throws: std::system_error.
void send(process_state& state, int number);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
