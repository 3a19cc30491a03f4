// SPDX-License-Identifier: MIT
// A queue of jobs and the threads that run them, under one mutex; each thread pool has one.
// docs/threads.md explains how a job is placed, thread_pool.hpp the terms.
//
// A thread takes one job at a time (taking the whole list would be faster, but starve the other
// threads), and is woken only if it sleeps. A thread that is woken or started for a job is
// *promised* to it; such jobs do not count against the queue's capacity. The first free thread
// takes the job, so a promised thread may find none; then it sleeps again.
//
// A thread that ends by itself is joined by the next thread that does. So at most one ended thread
// is left to be joined with the pool.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>

#include <rondo/thread_pool.hpp>

#include "thread/own_thread.hpp"
#include "thread/pool_threads.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

class pool_core {
public:
    enum class answer {
        taken,
        run_here,   // the caller must run it: rejection_policy::caller_runs
        dropped,    // rejection_policy::discard
        full,
        closed,
        broken,
        no_thread,  // there is none and none can be started
    };

    pool_core(const thread_pool_options& options, function<void()> initializer);
    ~pool_core();
    pool_core(const pool_core&) = delete;
    pool_core& operator=(const pool_core&) = delete;

    /// Leaves the job untouched unless the answer is `taken`. With `is_awaited` the job is
    /// queued even if `block` would block the thread: its owner is a task that waits for it anyway.
    answer submit(pool_job& job, bool is_awaited);
    /// False if a thread has taken it.
    bool take_back(pool_job& job) noexcept;

    /// With `cancel_queued`, the queued jobs are given up for that reason. Returns the number of
    /// those among them whose future was dropped.
    std::size_t shut_down(bool cancel_queued, const std::exception_ptr& why = nullptr) noexcept;
    /// Throws: deadlock_error on a thread of this pool, which cannot wait for its own end.
    void must_not_be_own() const;
    /// Requests a stop of the running jobs that take a token.
    void stop_running() noexcept;
    /// Blocks until the threads have ended; call shut_down first.
    void join() noexcept;
    /// join for tasks. The task keeps the pool alive, and leaves at once if it is cancelled.
    /// Throws: also deadlock_error in a task that a job of this pool waits for, as soon as the job
    ///         does.
    static task<> ended(std::shared_ptr<pool_core> pool);

    thread_pool_stats stats() const noexcept;
    std::size_t threads_max() const noexcept { return max_; }
    rejection_policy policy() const noexcept { return policy_; }
    queued_jobs on_destruction() const noexcept { return on_destruction_; }

private:
    class worker;
    class end_waiter;
    using lock = std::unique_lock<std::mutex>;

    // The caller of these holds the mutex.
    bool start_thread() noexcept;
    bool has_room() const noexcept;
    std::size_t promised() const noexcept;
    void append(pool_job& job) noexcept;
    void took_one() noexcept;
    bool wait_for_room(lock& held);
    bool wait_for_work(lock& held);
    bool all_are_stuck() const noexcept;
    void must_not_be_stuck();

    void work(worker& self) noexcept;
    bool initialize() noexcept;
    void run(worker& self, pool_job& job, lock& held) noexcept;
    void leave(worker& self, lock& held) noexcept;
    std::size_t give_up_queued(lock& held, const std::exception_ptr& why) noexcept;
    void wake_end_waiters() noexcept;

    const std::size_t core_;
    const std::size_t max_;
    const std::size_t capacity_;
    const duration keep_alive_;
    const bool core_times_out_;
    const rejection_policy policy_;
    const queued_jobs on_destruction_;
    const std::string name_prefix_;
    function<void()> initializer_;

    mutable std::mutex mutex_;
    std::condition_variable awake_;  // wakes threads that sleep
    std::condition_variable room_;   // wakes threads that wait to submit
    std::condition_variable gone_;   // wakes threads that wait in join()
    job_queue queue_;
    std::size_t queued_ = 0;
    std::size_t idle_ = 0;           // threads that sleep and have not been woken
    std::size_t wake_ups_ = 0;       // wake-ups that no thread has taken yet
    std::size_t starting_ = 0;       // threads that have not reached the queue yet
    std::size_t threads_ = 0;
    std::size_t busy_ = 0;
    std::size_t largest_ = 0;
    std::size_t blocked_ = 0;        // threads that wait for room
    std::uint64_t completed_ = 0;
    std::uint64_t names_ = 0;
    worker* workers_ = nullptr;
    bool closing_ = false;
    std::exception_ptr broken_;
    const void* joining_loop_ = nullptr;  // the loop whose thread is in join()
    bool has_zombie_ = false;
    bool joining_ = false;
    pthread_t zombie_{};             // the thread that ended last; not joined yet
    end_waiter* end_waiters_ = nullptr;
};

// The reasons for which a job is cancelled that has not begun: a future_cancelled each, or null if
// there is no memory for one.
std::exception_ptr shut_down_too_early() noexcept;
std::exception_ptr destroyed_too_early() noexcept;
std::exception_ptr discarded() noexcept;

/// Throws the answer of a submit that was not `taken` as an exception.
[[noreturn]] void throw_refusal(pool_core& pool, pool_core::answer answer);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
