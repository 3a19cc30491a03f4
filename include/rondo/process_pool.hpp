// SPDX-License-Identifier: MIT
// Plain functions in other processes: for code that may crash, and for code that cannot share a
// process (a library that is not thread-safe, a limit on memory).
//
//     int main(int argc, char** argv) {
//         if (rondo::process_worker(argc, argv)) return 0;
//         rondo::process_pool pool;
//         thread_future<long> primes = pool.submit(count_primes, 1'000'000L);
//         ...
//
// A worker is this program, started again. It is never a fork, which would copy locks that other
// threads hold. The first line of main turns a worker off to serve the pool. A function is sent as
// its module and its offset in that module; arguments and results are sent as bytes
// (serialize.hpp). The future throws the job's exception, as its own type if the pool knows it. If
// a worker crashes, exits or is killed, only the job that it ran fails; a new worker replaces it.
//
// The choice not taken is Python's: there the death of one worker breaks the pool and fails every
// queued job.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/detail/multiprocess/process_job.hpp>

namespace rondo {
inline namespace v0 {

/// The worker that ran the job died, or the pool is broken. A pool breaks when its workers die
/// before their first job, when the initializer fails, or on terminate_workers and kill_workers.
/// See: concurrent.futures.process.BrokenProcessPool.
class RONDO_API broken_process_pool_error : public broken_pool_error {
public:
    using broken_pool_error::broken_pool_error;
    ~broken_process_pool_error() override;
};

/// An exception of a job whose type the pool does not know. Its text has the type's name and the
/// message: "config_error: no such section".
class RONDO_API remote_error : public error {
public:
    remote_error(std::string type, std::string message);
    ~remote_error() override;
    /// The name of the exception's type, demangled.
    const std::string& type() const noexcept { return texts_->first; }
    /// The what() of the exception.
    const std::string& message() const noexcept { return texts_->second; }

private:
    // Shared, because copying an exception must not throw.
    std::shared_ptr<const std::pair<std::string, std::string>> texts_;
};

/// Options of a process_pool.
struct process_pool_options {
    std::size_t workers = 0;              ///< most processes at once; 0: one per processor
    std::size_t max_tasks_per_child = 0;  ///< jobs after which a worker is replaced; 0: never
    unsigned rerun = 0;                   ///< retries of a job whose worker died
    /// Workers in a row that fail before their first job and so break the pool. A worker that
    /// SIGKILL or SIGTERM ended has not failed: the next start is delayed, by 1 s at most, and ten
    /// times as many in a row break the pool.
    unsigned starts_max = 3;
    /// Most bytes of a job's arguments, and of its result.
    std::size_t frame_max = 64 * 1024 * 1024;
};
static_assert(std::is_trivially_destructible_v<process_pool_options>);

/// Counters of a process_pool.
struct process_pool_stats {
    std::size_t workers = 0;      ///< running processes
    std::size_t busy = 0;         ///< workers that have a job
    std::size_t queued = 0;       ///< jobs that wait for a worker
    std::uint64_t completed = 0;  ///< jobs that have returned or thrown
    std::uint64_t restarted = 0;  ///< workers that died or had run max_tasks_per_child jobs
};

/// Serves the pool if this process is a worker. Must be the first line of main in every program
/// that has a process_pool or calls start_process:
/// `if (rondo::process_worker(argc, argv)) return 0;`
///
/// A worker reads only its socket. Its standard input is /dev/null, and it ignores SIGINT, which a
/// terminal sends to all processes of the program: the parent handles it. A worker exits when the
/// pool ends, and is killed when its parent dies. A process that start_process started calls its
/// function here, and exits: this call does not return.
/// Returns: false at once in a process that a user has started; true in a worker, after the pool
///          has ended.
RONDO_API bool process_worker(int argc, char** argv);

/// Worker processes, started when jobs need them. Usable from plain code, from tasks, and from any
/// number of loops.
/// Thread: any, except for the destructor. Done callbacks of its futures run on the pool's own
///         thread. Keep them short: while one runs, no worker is given a job.
/// See:    concurrent.futures.ProcessPoolExecutor, multiprocessing.Pool.
class RONDO_API process_pool {
public:
    /// Starts the pool's thread; workers start with the first jobs.
    /// Throws: invalid_state_error if main has not called process_worker (a worker would run main
    ///         and make a pool of its own); uring_unavailable.
    explicit process_pool(std::size_t workers = 0)
        : process_pool(process_pool_options{.workers = workers}) {}
    explicit process_pool(process_pool_options options);
    /// Each worker calls `initializer(args...)` before its first job. If `starts_max` calls in a
    /// row throw or kill their worker, the pool is broken.
    template <class F, class... Args>
    process_pool(process_pool_options options, F&& initializer, Args&&... args)
        : process_pool(options, detail::pack_call(std::forward<F>(initializer),
                                                  std::forward<Args>(args)...)) {}
    process_pool(process_pool&&) noexcept = default;
    /// Ends the pool that this object had, as its destructor does.
    process_pool& operator=(process_pool&& other) noexcept;
    /// Cancels the queued jobs, then blocks until the running jobs and all workers have ended. Must
    /// not run in a done callback of one of its futures (an assertion).
    ~process_pool();

    /// Calls `fn(args...)` in a worker. `fn` is a function, or a lambda without captures. The
    /// arguments are converted to the types of its parameters in this process, before they are
    /// sent.
    /// Returns: the future of the result. Cancelling the future removes a queued job, and kills the
    ///          worker of a running job. A cancelled await of the future leaves the job alone.
    /// Throws:  closed_error after shutdown; broken_process_pool_error; limit_error for arguments
    ///          of more than frame_max bytes; error if the function is in no module. The future
    ///          throws the function's exception; remote_error; broken_process_pool_error if the
    ///          worker was lost; limit_error for a result of more than frame_max bytes; error if
    ///          the workers lack the function's module because dlopen loaded it in this process.
    template <class F, class... Args>
    auto submit(F&& fn, Args&&... args) {
        return submit_for(duration::max(), std::forward<F>(fn), std::forward<Args>(args)...);
    }
    /// Like submit, with a time limit that begins now. When it is over, a queued job is removed,
    /// the worker of a running job is killed, and the future throws timeout_error.
    template <class F, class... Args>
    auto submit_for(detail::time_limit timeout, F&& fn, Args&&... args) {
        using result = typename detail::signature<F, Args...>::result;
        return detail::submit_call<result>(
            *manager_, detail::pack_call(std::forward<F>(fn), std::forward<Args>(args)...),
            timeout);
    }

    /// Calls `fn(element)` in the workers for each element, or `fn(a, b...)` for several ranges
    /// until the shortest ends. Lazy and bounded, like thread_pool::map: see pool_map. If a call
    /// takes less than about 100 µs, use `.chunk(n)`, which sends n calls at once. If the caller
    /// leaves the map early, or a call throws, workers that still run its calls are killed.
    /// See: multiprocessing.Pool.map and imap, concurrent.futures.Executor.map.
    template <class F, class... Ranges>
    auto map(F&& fn, Ranges&&... ranges) {
        using types = detail::plain_signature<F, detail::element_of<Ranges>...>;
        using launch = detail::process_launch<std::decay_t<F>, types>;
        return pool_map<typename types::result, false, launch, Ranges...>(
            launch(manager_, fn), std::forward<Ranges>(ranges)...);
    }
    /// Like map, but gives the results in the order in which the calls end.
    /// See: multiprocessing.Pool.imap_unordered.
    template <class F, class... Ranges>
    auto map_unordered(F&& fn, Ranges&&... ranges) {
        auto all = map(std::forward<F>(fn), std::forward<Ranges>(ranges)...);
        return decltype(all)(std::move(all).as_completed());
    }

    /// Refuses new jobs; workers end when the queue is empty. With `wait`, blocks until they have
    /// ended. With `cancel_queued`, cancels the jobs that wait for a worker.
    /// See: concurrent.futures.Executor.shutdown.
    void shutdown(bool wait = true, bool cancel_queued = false);
    /// Like shutdown, for tasks: the task waits until all workers have ended.
    /// Throws: deadlock_error on the pool's own thread.
    /// Cancel: leaves at once; the pool ends all the same.
    task<> close(bool cancel_queued = false);

    /// Ends all workers by SIGTERM, and after 2 s the rest by SIGKILL. The futures of all jobs
    /// throw broken_process_pool_error, and the pool refuses new jobs.
    /// See: ProcessPoolExecutor.terminate_workers of Python 3.14.
    void terminate_workers();
    /// Like terminate_workers, but by SIGKILL at once.
    /// See: ProcessPoolExecutor.kill_workers of Python 3.14.
    void kill_workers();

    process_pool_stats stats() const;
    /// The process ids of the running workers.
    std::vector<int> worker_pids() const;

private:
    process_pool(process_pool_options options, detail::packed_call initializer);

    detail::handle_pointer<std::shared_ptr<detail::process_manager>> manager_;  // null: moved from
};

}  // namespace v0
}  // namespace rondo
