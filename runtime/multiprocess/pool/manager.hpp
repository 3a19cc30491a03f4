// SPDX-License-Identifier: MIT
// process_manager: the implementation of a process_pool, a thread with a loop of its own. The
// submitting thread posts its job to that loop. The queue and the workers belong to the manager's
// thread alone and need no lock. A lock protects only the data that other threads read: whether the
// pool is closed, and its counters.
//
// There is one thread for all workers, like that of Python's pool. The submitter's loop would not
// do: it may end earlier, be blocked by a computation, or not exist.
#pragma once

#include <pthread.h>

#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <rondo/loop.hpp>
#include <rondo/process_pool.hpp>

#include "multiprocess/pool/child.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// FIFO of jobs that knows its size.
class process_job_queue {
public:
    bool empty() const noexcept { return jobs_.empty(); }
    std::size_t size() const noexcept { return size_; }
    process_job& front() const noexcept { return jobs_.front(); }
    void append(process_job& job) noexcept {
        jobs_.append(job);
        ++size_;
    }
    void prepend(process_job& job) noexcept {
        jobs_.prepend(job);
        ++size_;
    }
    void remove(process_job& job) noexcept {
        jobs_.remove(job);
        --size_;
    }

private:
    intrusive_list<process_job, &process_job::in_queue> jobs_;
    std::size_t size_ = 0;
};

class process_manager : public std::enable_shared_from_this<process_manager> {
public:
    process_manager(const process_pool_options& options, packed_call initializer);
    ~process_manager();

    // -- any thread -------------------------------------------------------------------------------
    /// Throws: uring_unavailable.
    void start_thread();
    /// Takes the job over.
    /// Throws: closed_error, broken_process_pool_error, limit_error.
    void submit(process_job& job);
    void close(bool cancel_queued);
    /// Sends the signal to all workers, and breaks the pool.
    void end_workers(int signal);
    thread_future<> ended() const { return ended_.get_future(); }
    void join() noexcept;
    bool is_this_thread() const noexcept;
    process_pool_stats stats() const;
    std::vector<int> pids() const;

    // -- the manager's thread: called by children -------------------------------------------------
    const process_pool_options& options() const noexcept { return options_; }
    const packed_call& initializer() const noexcept { return initializer_; }
    rondo::loop& loop() const noexcept { return *loop_; }
    /// A worker is ready for its first job.
    void child_ready();
    /// The answer to a job has come, and its worker is free.
    void job_answered(process_job& job, std::string_view result, std::exception_ptr error);
    /// The child's process has been reaped; destroys the child. `how` describes the end; `killed`:
    /// by SIGKILL or SIGTERM.
    void child_ended(process_child& child, const std::string& how, bool killed);

private:
    friend class process_job;
    static void* thread_main(void* self);
    void run_loop();
    void post(function<void(process_manager&)> what);
    void enqueue(process_job& job);
    void stop(process_job& job);
    void expire(process_job& job);
    void uncount(process_job& job) noexcept;
    void finish(process_job& job, std::string_view result) noexcept;
    void finish(process_job& job, std::exception_ptr error) noexcept;
    void finish_cancelled(process_job& job) noexcept;
    void finish_unwanted(process_job& job) noexcept;
    void cancel_queued();
    void dispatch();
    bool wants_child() const noexcept;
    bool start_child();
    process_child* free_child() noexcept;
    process_child* child_of(const process_job& job) noexcept;
    void end_lost(process_job& job, process_child::verdict verdict, const std::string& how);
    void fail_start(const std::string& how, bool killed);
    void pause_starts();
    void break_pool(const std::string& why);
    void update_stats();
    void check_end();

    const process_pool_options options_;
    const packed_call initializer_;

    // only for the manager's thread
    rondo::loop* loop_ = nullptr;
    std::optional<promise<>> over_;
    process_job_queue queue_;
    std::list<std::unique_ptr<process_child>> children_;
    std::uint64_t last_number_ = 0;
    unsigned failed_starts_ = 0;  // in a row
    unsigned killed_starts_ = 0;  // in a row
    call_handle pause_;           // until the next start
    bool pausing_ = false;
    bool closing_ = false;
    bool cancels_queued_ = false;
    bool ends_by_signal_ = false;
    bool is_broken_ = false;
    bool is_over_ = false;  // no job or worker is left, and none may come
    std::uint64_t restarted_ = 0;

    // for all threads, under mutex_
    mutable std::mutex mutex_;
    std::optional<remote> remote_;
    bool closed_ = false;
    std::string broken_;    // the reason; empty: not broken
    std::size_t jobs_ = 0;  // submitted and not finished
    process_pool_stats stats_;
    std::vector<int> pids_;
    std::exception_ptr loop_error_;
    std::condition_variable changed_;
    thread_promise<> ended_;
    std::mutex joining_;
    pthread_t thread_{};
    bool joinable_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
