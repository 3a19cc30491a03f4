// SPDX-License-Identifier: MIT
// process_child: one worker process in the pool's process, from its start until it is reaped.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <rondo/pipe.hpp>
#include <rondo/process.hpp>

#include <rondo/process_pool.hpp>

#include "multiprocess/pool/frame.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

class process_manager;

/// Thread: the manager's.
class process_child {
public:
    /// The reason for which its process was killed, or the job did not begin.
    enum class verdict { none, cancelled, late, not_begun };

    /// Starts the process.
    /// Throws: std::system_error.
    explicit process_child(process_manager& manager);

    /// Talks with the process until it has been reaped. Then calls the manager's child_ended, which
    /// destroys this object.
    task<> run();

    bool is_starting() const noexcept { return !ready_ && !leaving_; }
    bool is_leaving() const noexcept { return leaving_; }
    bool is_free() const noexcept { return ready_ && job_ == nullptr && !leaving_; }
    bool was_ready() const noexcept { return ready_; }
    int pid() const noexcept { return program_.pid(); }
    process_job* job() const noexcept { return job_; }
    process_job* take_job() noexcept { return std::exchange(job_, nullptr); }
    verdict job_verdict() const noexcept { return verdict_; }

    /// Sends it a job; it must be free.
    void give(process_job& job);
    /// Gives it no more jobs and lets it exit; kills it after 5 s.
    void retire();
    /// Sends a signal, and SIGKILL 2 s later if it still runs.
    void end_by(int signal) noexcept;
    /// Sends SIGKILL, because of its job.
    void kill(verdict why) noexcept;

private:
    struct frame {
        frame_head head;
        std::string body;
    };

    task<int> watch();
    task<> send(frame_kind kind, std::uint64_t number, const std::string& body);
    task<std::optional<frame>> receive();
    task<> converse();
    task<std::string> converse_to_end();
    void take_greeting(const frame& greeting);
    void take_answer(const frame& answer);
    any_function missing_function(std::string_view body) const;
    void kill_after(duration grace);
    std::string describe_end(int code) const;

    process_manager& manager_;
    fd_stream line_;
    process program_;
    future<int> ending_;
    future<> sending_;
    call_handle killing_;
    process_job* job_ = nullptr;
    std::uint64_t jobs_done_ = 0;
    bool ready_ = false;
    bool leaving_ = false;
    verdict verdict_ = verdict::none;
    std::string initializer_error_;  // empty: none
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
