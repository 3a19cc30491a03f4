// SPDX-License-Identifier: MIT
// A lane: threads of its own for calls that may hang and cannot be told to stop, as getaddrinfo.
//
// A call by to_thread is structured: its await ends when the call has, and so does its loop. Here
// it is the other way round: whoever waits may leave, the loop may end, and the call goes on by
// itself. So nothing of it may stand in anybody's frame. A `lane_job` owns everything that its call
// touches. It belongs to the lane's queue, then to the thread, and then comes home by a post; where
// the loop has ended meanwhile, the thread destroys it. The thread outlives the loop by as long as
// the call hangs, and the end of the process does not wait for it.
//
// Since the threads are the lane's own, neither do its calls starve to_thread when they hang, nor
// does to_thread starve them.
#pragma once

#include <cstddef>
#include <memory>

#include <rondo/executor.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

struct lane_threads;

/// One call, and everything that it touches.
class RONDO_API lane_job : pool_job {
public:
    lane_job() noexcept;
    virtual ~lane_job();

    /// The call: on a thread of the lane; on the loop's where the loop is simulated.
    virtual void call() noexcept = 0;
    /// It has been made: on the loop's thread, and never after the loop's end. The job goes then.
    virtual void came_home() noexcept = 0;

private:
    friend class lane;
    friend struct lane_threads;
    struct simulated_wait;

    preallocated_post post_;
    simulated_wait* held_by_ = nullptr;
    std::shared_ptr<lane_threads> simulated_on_;
};

/// Thread: its loop's.
class RONDO_API lane {
public:
    /// At most `threads_max` threads, started when they are needed; they end with the loop, but for
    /// those that hang in a call.
    lane(loop& home, std::size_t threads_max, const char* thread_name);

    /// In the order of these calls. Where no thread can be started, the loop's own makes the call.
    /// Throws: std::bad_alloc.
    void start(std::unique_ptr<lane_job> job);

    /// True where the call has not begun, and now never does: the job is gone.
    bool take_back(lane_job& job) noexcept;

private:
    static void run_simulated(void* job) noexcept;
    static task<> hold_simulated(lane_job& job);

    std::shared_ptr<lane_threads> threads_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
