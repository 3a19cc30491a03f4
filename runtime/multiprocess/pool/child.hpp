// SPDX-License-Identifier: MIT
// One worker process, as its pool sees it: from its start to the moment when it has been reaped.
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
    /// Why its process was killed, or what befell the job otherwise.
    enum class verdict { none, cancelled, late, not_begun };

    /// Throws: std::system_error where it cannot be started.
    explicit process_child(process_manager& manager);

    /// Until its process has been reaped; then the manager is told, and the child gone.
    task<> live();

    bool is_starting() const noexcept { return !ready_ && !leaving_; }
    bool is_leaving() const noexcept { return leaving_; }
    bool is_free() const noexcept { return ready_ && job_ == nullptr && !leaving_; }
    bool was_ready() const noexcept { return ready_; }
    int pid() const noexcept { return program_.pid(); }
    process_job* job() const noexcept { return job_; }
    process_job* take_job() noexcept { return std::exchange(job_, nullptr); }
    verdict what_became() const noexcept { return verdict_; }

    /// It is free.
    void give(process_job& job);
    /// Lets it end by itself: no more jobs; it is killed where it takes too long.
    void retire();
    /// Ends it by a signal, and by SIGKILL where that does not help in time.
    void end_by(int signal) noexcept;
    /// Kills it, because of its job.
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
    std::string words_for(int code) const;

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
    std::string complaint_;  // what the initializer threw
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
