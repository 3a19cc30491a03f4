// SPDX-License-Identifier: MIT
// What threads take out of a queue, and what a job takes along from where it was made: the values of task_locals, and
// the way back to the loop of the task that made it.
#pragma once

#include <exception>
#include <optional>
#include <stop_token>

#include <rondo/loop.hpp>
#include <rondo/task_local.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

struct pool_job;

/// One constant for each class of jobs. Exactly one of `run` and `give_up` is called, once; nothing of the job is touched
/// by the pool after that.
struct pool_job_kind {
    void (*run)(pool_job&) noexcept;
    /// It will never run: it is cancelled, or failed with `why`, where that is not null.
    void (*give_up)(pool_job&, std::exception_ptr why) noexcept;
    /// The stop source of one that runs and takes a token; null where there is none.
    std::stop_source (*stopper)(pool_job&) noexcept = nullptr;
};

/// A node in its owner's frame or on the heap.
struct pool_job {
    const pool_job_kind* kind;
    pool_job* next = nullptr;
    pool_job* previous = nullptr;  // null: in no queue

    explicit pool_job(const pool_job_kind* k) noexcept : kind(k) {}
    pool_job(const pool_job&) = delete;
    pool_job& operator=(const pool_job&) = delete;
};

/// Where the job that runs on this thread came from; null where none does.
struct job_origin {
    const carried_bindings* bindings;  // may be null
    const remote* home;                // of the task that made it; null where no task did
    scope* around;                     // of the task that waits for it; null where none does

    static const job_origin*& of_this_thread() noexcept;
};

/// It is what this thread's job came from, for as long as this lives.
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

/// The origin of a job that owns what it takes along.
class RONDO_API kept_origin {
public:
    /// Of the running task, or of this thread's job. Throws: std::bad_alloc.
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
