// SPDX-License-Identifier: MIT
// Jobs of thread pools, and what a job takes along from its origin: the values of task_locals, and
// the `remote` of the loop whose task made it.
#pragma once

#include <cstddef>
#include <exception>
#include <optional>
#include <stop_token>

#include <rondo/detail/base/intrusive_list.hpp>
#include <rondo/detail/thread/thread_core.hpp>
#include <rondo/loop.hpp>
#include <rondo/task_local.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

struct pool_job;

/// The functions of one class of jobs. Exactly one of `run` and `give_up` is called, once. After
/// that call the pool does not touch the job.
struct pool_job_kind {
    void (*run)(pool_job&) noexcept;
    /// The job will never run: it fails with `why`. It is cancelled if that is null or a
    /// future_cancelled, whose text it keeps.
    void (*give_up)(pool_job&, std::exception_ptr why) noexcept;
    /// Gives the stop source of a running job. Null if the jobs take no token.
    std::stop_source (*stopper)(pool_job&) noexcept = nullptr;
    /// True if the end of the job would remain unseen: its future was dropped. Null if a task waits
    /// for the job.
    bool (*is_unwatched)(const pool_job&) noexcept = nullptr;
};

/// A job; a node in its owner's frame or on the heap.
struct pool_job {
    const pool_job_kind* kind;
    list_links<pool_job> links;  // of the pool's queue, then of the loop's list of finished jobs

    explicit pool_job(const pool_job_kind* k) noexcept : kind(k) {}
    pool_job(const pool_job&) = delete;
    pool_job& operator=(const pool_job&) = delete;
};

class pool_core;

/// Hands the job over. If it throws, the job has been given up.
RONDO_API void submit_job(pool_core& pool, pool_job& job);
/// Takes a job out of the queue. Returns false if it is not queued any more.
RONDO_API bool take_job_back(pool_core& pool, pool_job& job) noexcept;
RONDO_API std::size_t threads_max_of(const pool_core& pool) noexcept;
/// Stores why a job was given up, and returns the phase for finish(): see pool_job_kind::give_up.
RONDO_API thread_core::phase keep_refusal(thread_core& core, std::exception_ptr why) noexcept;

/// The origin of the job that runs on this thread; null if none runs.
struct job_origin {
    const carried_bindings* bindings;  // may be null
    const remote* home;                // of the task that made it; null if no task did
    scope* around;                     // of the task that waits for it; null if none does

    static const job_origin*& of_this_thread() noexcept;
};

/// Sets the origin of this thread's job for its own lifetime.
class RONDO_API job_origin_here {
public:
    explicit job_origin_here(const job_origin& origin) noexcept;
    ~job_origin_here();
    job_origin_here(const job_origin_here&) = delete;
    job_origin_here& operator=(const job_origin_here&) = delete;

private:
    const job_origin* before_;
    bindings_here bindings_;
};

/// An origin that owns its values, for a job that outlives the task that made it.
class RONDO_API kept_origin {
public:
    /// Copies the origin from the running task, or from this thread's job. Throws: std::bad_alloc.
    kept_origin();
    ~kept_origin() { drop_bindings(bindings_); }
    kept_origin(const kept_origin&) = delete;
    kept_origin& operator=(const kept_origin&) = delete;

    job_origin get() const noexcept { return {bindings_, home_ ? &*home_ : nullptr, nullptr}; }

private:
    const carried_bindings* bindings_;
    std::optional<remote> home_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
