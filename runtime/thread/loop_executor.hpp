// SPDX-License-Identifier: MIT
// The thread pool of a loop, and the path of a job back to the loop.
//
// A thread pushes its finished job onto a list of the loop, with one compare-and-swap. If the list
// was empty, it posts to the loop, which takes the whole list: one post per batch. The post is
// preallocated with the executor, so the way back neither allocates nor fails. A shutdown hook of
// the loop joins the threads; after that they hold nothing of it.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include <rondo/to_thread.hpp>

#include "thread/pool_core.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// The executor of one loop: its pools, and the list of finished jobs.
class loop_executor {
public:
    explicit loop_executor(remote home) noexcept : home_(std::move(home)) {}

    static loop_executor& of(loop& loop);

    /// The job has ended: makes its task ready in the loop's next turn. Any thread.
    void push_finished(thread_call_wait& wait) noexcept;

    const remote& home() const noexcept { return home_; }
    /// The pool in use; made on first use. Throws: std::bad_alloc.
    const std::shared_ptr<pool_core>& pool();
    void replace(std::shared_ptr<pool_core> pool);

private:
    void deliver() noexcept;
    void end() noexcept;

    std::vector<std::shared_ptr<pool_core>> pools_;  // the last one is in use, the others end

    std::atomic<pool_job*> finished_{nullptr};  // newest first
    remote home_;
    preallocated_post post_{
        [](void* self) noexcept { static_cast<loop_executor*>(self)->deliver(); }, this};
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
