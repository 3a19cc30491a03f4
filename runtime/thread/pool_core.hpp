// SPDX-License-Identifier: MIT
// A queue of jobs and the threads that run them, under one mutex; every pool of threads is one. docs/threads.md says in
// which order a job finds its place, and thread_pool.hpp what the words mean.
//
// A thread takes one job at a time (one that took the whole list would be faster and starve the others), and is woken only
// when it sleeps. A thread that is woken, or started, for a job is *promised* to it: the queue's length without those is
// what its capacity bounds. Whoever comes first takes a job, so a promise may be in vain; then the thread sleeps again.
//
// Threads that end by themselves are joined by the next one that does, so at most one is left to whoever joins the pool.
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
        run_here,   // by whoever submits: the policy wants it so
        dropped,    // the policy wants it so
        full,
        closed,
        broken,
        no_thread,  // there is none and none can be started
    };

    pool_core(const thread_pool_options& options, function<void()> initializer);
    ~pool_core();
    pool_core(const pool_core&) = delete;
    pool_core& operator=(const pool_core&) = delete;

    /// What is not `taken` was not touched. A job that `stands_in_line` is taken where others would block: its owner
    /// waits for it anyhow.
    answer submit(pool_job& job, bool stands_in_line);
    /// False where a thread has it, or had.
    bool take_back(pool_job& job) noexcept;

    void shut_down(bool cancel_queued) noexcept;
    /// Throws: deadlock_error on a thread of this pool, which cannot wait for its end.
    void must_not_be_own() const;
    /// Asks those that run and take a token to stop.
    void stop_running() noexcept;
    /// Behind shut_down: blocks until the threads have ended.
    void join() noexcept;
    /// The same for tasks. It holds the pool, and leaves at once when it is cancelled.
    /// Throws: also deadlock_error in a task that a job of this pool waits for, as soon as it does.
    static task<> ended(std::shared_ptr<pool_core> pool);

    thread_pool_stats stats() const noexcept;
    std::size_t threads_max() const noexcept { return max_; }
    rejection_policy policy() const noexcept { return policy_; }

private:
    class worker;
    class end_waiter;
    using lock = std::unique_lock<std::mutex>;

    // All of these under the lock.
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
    void give_up_queued(lock& held, const std::exception_ptr& why) noexcept;
    void tell_end() noexcept;

    const std::size_t core_;
    const std::size_t max_;
    const std::size_t capacity_;
    const duration keep_alive_;
    const bool core_times_out_;
    const rejection_policy policy_;
    const std::string name_prefix_;
    function<void()> initializer_;

    mutable std::mutex mutex_;
    std::condition_variable awake_;  // threads that sleep
    std::condition_variable room_;   // those who wait to submit
    std::condition_variable gone_;   // those who wait for the threads' end
    job_queue queue_;
    std::size_t queued_ = 0;
    std::size_t idle_ = 0;           // threads that sleep and that nobody has woken
    std::size_t wake_ups_ = 0;       // given, and not yet taken by a thread
    std::size_t starting_ = 0;       // threads that have not come to the queue yet
    std::size_t threads_ = 0;
    std::size_t busy_ = 0;
    std::size_t largest_ = 0;
    std::size_t blocked_ = 0;        // who waits for room
    std::uint64_t completed_ = 0;
    std::uint64_t names_ = 0;
    worker* workers_ = nullptr;
    bool closing_ = false;
    std::exception_ptr broken_;
    const void* joining_loop_ = nullptr;  // its thread stands in join()
    bool has_zombie_ = false;
    bool joining_ = false;
    pthread_t zombie_{};             // the thread that ended last, not joined yet
    end_waiter* end_waiters_ = nullptr;
};

/// The job will never run; the answer as an exception.
[[noreturn]] void throw_refusal(pool_core& pool, pool_core::answer answer);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
