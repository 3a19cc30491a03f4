// SPDX-License-Identifier: MIT
// A queue of jobs on a Redis server, for any number of processes and machines. In librondo-redis.
//
//     rondo::task<> resize(std::string name, rondo::work_lease& lease);
//
//     auto queue = co_await rondo::work_queue::open("redis://localhost", "images");
//     co_await queue.put("a.png", {.id = "a.png"});          // put once, however often it is put
//     co_await queue.work(8, resize);                        // eight at a time, until cancelled
//
// Its promise:
// - Each job is worked on at least once, and at most `attempts` times. An attempt counts if the
//   function threw, and if its process died.
// - A job is put once for an id, as long as Redis remembers the id (`remember`).
// - A worker holds a lease on its job, which it renews. A worker that loses the lease is told: its
//   job is cancelled, and in time as long as its process runs. A process that was stopped learns
//   it when it runs again. So what must not be done twice checks `fence()`.
// It does not promise that a job runs exactly once, nor any order.
//
// Payloads are bytes. Programs in other languages may put and take: docs/work_queue.md has the
// layout of the keys.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/gather.hpp>
#include <rondo/loop.hpp>
#include <rondo/process_pool.hpp>
#include <rondo/redis.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {

namespace detail {
struct work_queue_state;
struct held_job;
}  // namespace detail

/// How much survives a crash of the Redis server. `any` as a requirement: no matter how much; as an
/// answer: the server does not tell.
enum class durability : std::uint8_t {
    any,
    none,    ///< a restart may lose everything; or the server may drop keys when memory is short
    second,  ///< the changes of about the last second may be lost (appendfsync everysec)
    always,  ///< a put that has returned is on disk (appendfsync always)
};

/// The delay before an attempt is repeated: `first` after the first one, doubled after each
/// further one, `most` at most. Up to half of it is left out at random.
struct work_backoff {
    detail::time_limit first = std::chrono::seconds(1);
    detail::time_limit most = std::chrono::minutes(5);
};

/// Options of work_queue::open.
struct work_queue_options {
    /// How long a worker keeps a job without renewing its lease; at least 1 s. A job whose process
    /// died is taken over after this time. A worker that cannot reach Redis ends its jobs
    /// max(lease / 10, 500 ms) before that.
    detail::time_limit lease = std::chrono::seconds(30);
    unsigned attempts = 5;  ///< at most; then the job is dead
    work_backoff backoff{};
    /// How long an id is remembered after its job was put, and after its job ended; at least 2 min,
    /// since a put whose reply was lost is repeated in that time, and must not add the job twice.
    detail::time_limit remember = std::chrono::hours(168);
    rondo::durability require = rondo::durability::any;  ///< open throws if Redis has less
};
static_assert(std::is_trivially_destructible_v<work_queue_options>);

/// Options of work_queue::put.
struct put_options {
    std::string_view id{};       ///< empty: a random one
    detail::time_limit delay{};  ///< the job begins after this time at the earliest
};
static_assert(std::is_trivially_destructible_v<put_options>);

enum class put_result : std::uint8_t {
    added,
    known,  ///< the id was put before: nothing was added
};

/// A job for put_many.
struct work_item {
    std::string payload;
    std::string id{};
    detail::time_limit delay{};
};

/// Options of work_queue::work.
struct work_options {
    bool until_empty = false;  ///< return when no job waits, runs anywhere, or is to be repeated
    /// How long jobs may go on after `work` was cancelled. Then they are cancelled.
    detail::time_limit grace{};
};
static_assert(std::is_trivially_destructible_v<work_options>);

/// Counts of the jobs of one call of `work`.
struct work_result {
    std::uint64_t done = 0;
    std::uint64_t retried = 0;   ///< threw, and will be repeated
    std::uint64_t dead = 0;      ///< threw work_failed, or used up its attempts here
    /// Given back without an attempt: `work` was cancelled, or Redis was too slow for the lease.
    std::uint64_t released = 0;
    std::uint64_t lost = 0;      ///< lost their lease
};

/// Counters of a queue.
struct work_stats {
    std::uint64_t waiting = 0;  ///< for a worker
    std::uint64_t leased = 0;   ///< at work
    std::uint64_t later = 0;    ///< delayed, or to be repeated
    std::uint64_t dead = 0;
    duration oldest{};  ///< how long the oldest of the waiting ones waits
};

/// A job that is given up.
struct dead_job {
    std::string id;
    std::string payload;  ///< its first payload_max bytes: another program may have put more
    unsigned attempts = 0;
    std::string reason;  ///< the text of the last error
    std::chrono::system_clock::time_point since{};
};

/// Thrown by a job that no further attempt can help: it becomes dead at once.
class RONDO_API work_failed : public error {
public:
    using error::error;
    ~work_failed() override;
};

/// The lease on a job, for the function that works on it.
class RONDO_API work_lease {
public:
    const std::string& id() const noexcept;
    /// 1 for the first attempt.
    unsigned attempt() const noexcept;
    /// A number that is larger than that of every earlier lease on any job of this queue. A store
    /// that refuses a smaller number than it has seen for the same thing is safe from workers that
    /// have lost their lease and do not know it.
    /// See: docs/work_queue.md, "Effects that must not happen twice".
    std::uint64_t fence() const noexcept;
    /// The time until this job is cancelled unless its lease is renewed, which happens by itself.
    duration remaining() const;
    /// True once the lease is lost: another worker has the job, or Redis did not answer in time.
    /// Then the job's next wait throws `cancelled`.
    bool lost() const noexcept;
    /// Why the job was cancelled: "Redis did not answer for 27s". Empty if it was not.
    std::string_view why() const noexcept;

    explicit work_lease(detail::held_job& job) noexcept : job_(&job) {}
    work_lease(const work_lease&) = delete;
    work_lease& operator=(const work_lease&) = delete;

private:
    detail::held_job* job_;
};

namespace detail {

using work_function = function<task<>(std::string&, work_lease&)>;

template <class F>
concept works_with_lease = gives_task<F&, std::string, work_lease&>;
template <class F>
concept works_alone = !works_with_lease<F> && gives_task<F&, std::string>;

template <class Limit, class F>
inline constexpr bool can_work = std::is_integral_v<Limit>
                                     ? works_with_lease<F> || works_alone<F>
                                     : std::is_same_v<Limit, process_pool> &&
                                           std::is_invocable_v<F&, std::string> &&
                                           !works_alone<F>;

template <class T>
task<> without_result(task<T> inner) {
    co_await std::move(inner);
}

/// The function of `work`, with its type erased.
template <class F>
work_function make_work_function(F&& fn) {
    return work_function(
        [fn = std::decay_t<F>(std::forward<F>(fn))](std::string& payload,
                                                    work_lease& lease) mutable {
            if constexpr (works_with_lease<std::decay_t<F>>)
                return without_result(fn(std::move(payload), lease));
            else
                return without_result(fn(std::move(payload)));
        });
}

/// Error messages of work.
template <class Limit, class F>
constexpr refused_call refuse_work() {
    using given = std::decay_t<F>;
    if constexpr (std::is_same_v<std::decay_t<Limit>, process_pool>)
        static_assert(is_meant<F>,
                      "work(pool, fn) takes a function, or a lambda without captures, that is "
                      "called with the payload, a std::string");
    else if constexpr (!std::is_integral_v<std::decay_t<Limit>>)
        static_assert(is_meant<F>,
                      "work(limit, fn): the limit, how many jobs run at once, comes first");
    else if constexpr (callable<given> && (std::is_invocable_v<given&, std::string, work_lease&> ||
                                           std::is_invocable_v<given&, std::string>))
        static_assert(is_meant<F>,
                      "the function of work is a coroutine: its result type is rondo::task<>; a "
                      "plain function that computes is for work(process_pool, fn)");
    else
        static_assert(is_meant<F>,
                      "the function of work is called with the payload, a std::string, and with a "
                      "rondo::work_lease& if it takes that: rondo::task<> fn(std::string, "
                      "rondo::work_lease&)");
    return {};
}

}  // namespace detail

/// A queue of jobs on a Redis server. Move-only.
/// Thread: its loop's.
/// See:    Celery, RQ; the streams of Redis.
class RONDO_API work_queue {
public:
    /// Largest payload, in bytes. Put a reference to what is larger.
    static constexpr std::size_t payload_max = std::size_t{4} * 1024 * 1024;

    /// Connects to a Redis server (version 7, or Valkey) as redis::client does, and makes the queue
    /// `name` if it is not there.
    /// Throws: redis::connection_error; redis::url_error; error if Redis is less durable than
    ///         `require`, or older than version 7; std::invalid_argument for options that make no
    ///         sense.
    /// Cancel: leaves at once.
    static task<work_queue> open(std::string url, std::string name,
                                 work_queue_options options = {});
    /// The same with a client of yours: for an authority of your own in TLS, and for other limits.
    /// Its `reply_bytes` is 48 MiB or more.
    static task<work_queue> open(redis::client client, std::string name,
                                 work_queue_options options = {});
    work_queue(work_queue&&) noexcept;
    work_queue& operator=(work_queue&&) noexcept;
    ~work_queue();

    /// Adds a job, unless its id is known. If the connection is lost meanwhile, it is repeated,
    /// which adds nothing twice.
    /// Throws: redis::connection_error if Redis cannot be reached for 30 s; redis::reply_error;
    ///         limit_error for a payload of more than payload_max bytes; std::invalid_argument for
    ///         an id of more than 1024 bytes.
    /// Cancel: the job was put or not.
    task<put_result> put(std::string payload, put_options options = {});
    /// The same for many at once, in few steps. Returns their results, in order. If it throws,
    /// some may have been put: put them again, with the same ids.
    task<std::vector<put_result>> put_many(std::vector<work_item> items);

    /// Works on the jobs, at most `limit` at a time: calls `fn(payload, lease)`, or `fn(payload)`,
    /// for each. If its task returns, the job is done. If it throws, the job is repeated later;
    /// after the last attempt, or a work_failed, it is dead. A job that loses its lease is
    /// cancelled. Errors of the connection end nothing: `work` connects again, and reports them to
    /// the loop's exception handler.
    /// Returns: what became of the jobs, if `until_empty` is set.
    /// Throws:  redis::reply_error if Redis refuses the queue's commands.
    /// Cancel:  takes no further job, gives the running ones the grace time, cancels them, and
    ///          gives their leases back: another worker gets them at once, and no attempt counts.
    /// See:     celery worker, rq worker.
    template <class F>
        requires detail::can_work<std::size_t, std::decay_t<F>>
    auto work(std::size_t limit, F&& fn, work_options options = {}) {
        return detail::guarded<F>(
            run(limit, detail::make_work_function(std::forward<F>(fn)), options));
    }
    /// Calls `fn(payload)`, a plain function, in the processes of a pool, as many at a time as
    /// there are processors: for jobs that compute, or that may crash. A crash is an attempt. If
    /// the job is cancelled, its process is killed.
    template <class F>
        requires detail::can_work<process_pool, F>
    auto work(process_pool& pool, F fn, work_options options = {}) {
        return run(processors(), work_function_of(pool, fn), options);
    }
    template <class Limit, class F, class... More>
        requires(!detail::can_work<std::decay_t<Limit>, std::decay_t<F>>)
    auto work(Limit&&, F&&, More&&...) {
        return detail::refuse_work<Limit, F>();
    }

    /// Throws: as redis::client::command.
    task<work_stats> stats();
    /// The last `count` jobs that died, the newest first.
    task<std::vector<dead_job>> dead(std::size_t count = 100);
    /// Puts a dead job again, with all its attempts.
    /// Returns: false if no job of this id is dead.
    task<bool> revive(std::string id);
    /// Forgets an id, so that it can be put again, and its dead job. A job of this id that waits or
    /// runs stays. A job that is put off twice with the same payload is one job.
    /// Returns: false if the id was not known.
    task<bool> forget(std::string id);

    const std::string& name() const noexcept;
    /// The answer of Redis in `open`.
    rondo::durability durability() const noexcept;
    /// The client, for what lives beside the queue: a set of visited pages, tokens of a rate.
    const redis::client& redis() const noexcept;

private:
    explicit work_queue(std::shared_ptr<detail::work_queue_state> state) noexcept;
    task<work_result> run(std::size_t limit, detail::work_function fn, work_options options);
    static std::size_t processors();
    template <class F>
    static detail::work_function work_function_of(process_pool& pool, F fn) {
        return detail::work_function([&pool, fn](std::string& payload, work_lease&) {
            return in_process(pool.submit(fn, std::move(payload)));
        });
    }
    template <class T>
    static task<> in_process(thread_future<T> running) {
        try {
            co_await running;
            co_return;
        } catch (const cancelled&) {
            running.cancel();
            throw;
        }
    }

    detail::handle_pointer<std::shared_ptr<detail::work_queue_state>> state_;
};

}  // namespace v0
}  // namespace rondo
