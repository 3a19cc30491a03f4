// SPDX-License-Identifier: MIT
// Plain functions in other processes: for what must not take this one along when it crashes, and for what cannot share
// one with others (a library that is not safe with threads, a limit on memory).
//
//     int main(int argc, char** argv) {
//         if (rondo::process_worker(argc, argv)) return 0;
//         rondo::process_pool pool;
//         thread_future<long> primes = pool.submit(count_primes, 1'000'000L);
//         ...
//
// A worker is this very program, started again: never a fork, which would copy locks that other threads hold. The first
// line of main is where such a one turns off to serve. A function goes there as the module that it is in and its place
// in there; arguments and results go as bytes (serialize.hpp). What a job throws is thrown here, as the type that it
// was where that is known here. A worker that crashes, ends or is killed is an error of the job that it ran, and of
// nothing else: a new one takes its place.
//
// The choice not taken is Python's: there one worker's death breaks the pool and everything that was queued in it.
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

/// The worker that ran a job is gone, or the pool has given up: its workers die before they can take a job, the
/// initializer fails, or they were ended by `terminate_workers`.
/// See: concurrent.futures.process.BrokenProcessPool.
class RONDO_API broken_process_pool_error : public broken_pool_error {
public:
    using broken_pool_error::broken_pool_error;
    ~broken_process_pool_error() override;
};

/// What a job has thrown, where this is none of the types that are known on both sides: "config_error: no such
/// section".
class RONDO_API remote_error : public error {
public:
    remote_error(std::string type, std::string message);
    ~remote_error() override;
    /// The name of its type, as C++ writes it.
    const std::string& type() const noexcept { return texts_->first; }
    const std::string& message() const noexcept { return texts_->second; }

private:
    std::shared_ptr<const std::pair<std::string, std::string>> texts_;  // copying an exception must not throw
};

/// How a process_pool is made.
struct process_pool_options {
    std::size_t workers = 0;              ///< at most; 0: as many as there are processors
    std::size_t max_tasks_per_child = 0;  ///< a worker that has run so many jobs is replaced; 0: never
    unsigned rerun = 0;                   ///< how often a job whose worker died is run again
    /// So many workers in a row that fail before their first job break the pool. One that SIGKILL or SIGTERM ended has not
    /// failed: the next one is started a little later, up to 1 s, and only ten times as many in a row break the pool.
    unsigned starts_max = 3;
    std::size_t frame_max = 64 * 1024 * 1024;  ///< bytes: of the arguments of a job, and of its result
};
static_assert(std::is_trivially_destructible_v<process_pool_options>);

/// What a pool has done and holds.
struct process_pool_stats {
    std::size_t workers = 0;      ///< processes that run
    std::size_t busy = 0;         ///< of them, those that have a job
    std::size_t queued = 0;       ///< jobs that wait for one
    std::uint64_t completed = 0;  ///< jobs that have returned or thrown
    std::uint64_t restarted = 0;  ///< workers that died, or had run max_tasks_per_child jobs
};

/// The first line of main, in every program that has a process_pool:
/// `if (rondo::process_worker(argc, argv)) return 0;`
///
/// A worker looks at nothing but its socket: its standard input is /dev/null, and the SIGINT of a terminal, which goes
/// to all processes that were started there, is its parent's to deal with. When the pool ends, so does it; when its
/// parent dies, it is killed.
/// Returns: false in a process that a user has started. In a worker it serves the pool to its end, then gives true.
RONDO_API bool process_worker(int argc, char** argv);

/// Worker processes, started when jobs need them. Usable from plain code, from a task, and from any number of loops.
/// Thread: any, but for the destructor. Callbacks of its futures run on the pool's own thread, which is to be kept
///         free: while one runs, no worker is given a job.
/// See:    concurrent.futures.ProcessPoolExecutor, multiprocessing.Pool.
class RONDO_API process_pool {
public:
    /// Throws: invalid_state_error where main has not called process_worker: a worker would run main instead, and make
    ///         a pool there; uring_unavailable.
    explicit process_pool(std::size_t workers = 0) : process_pool(process_pool_options{.workers = workers}) {}
    explicit process_pool(process_pool_options options);
    /// Each worker calls `initializer(args...)` before its first job. Where that throws, or kills it, `starts_max`
    /// times in a row, the pool is broken.
    template <class F, class... Args>
    process_pool(process_pool_options options, F&& initializer, Args&&... args)
        : process_pool(options, detail::pack_call(std::forward<F>(initializer), std::forward<Args>(args)...)) {}
    process_pool(process_pool&&) noexcept = default;
    /// The one before ends as by its destructor.
    process_pool& operator=(process_pool&& other) noexcept;
    /// Cancels what is queued, waits for what runs, and for the end of every worker. Never in a callback of a future.
    ~process_pool();

    /// Has `fn(args...)` called in a worker: a function, or a lambda without captures. The arguments are converted to
    /// what it takes here, before it has a turn.
    /// Returns: the future of its result. Cancelling that takes a job that waits out of the queue; of one that runs, it
    ///          kills the worker. An await that is cancelled leaves the job alone.
    /// Throws:  closed_error after shutdown; broken_process_pool_error; limit_error for arguments of more than
    ///          frame_max bytes; error for a function that is in no module. The future: what the function throws;
    ///          remote_error; broken_process_pool_error where the worker was lost; limit_error; error where the workers
    ///          lack the function's module, since it was loaded by dlopen here.
    template <class F, class... Args>
    auto submit(F&& fn, Args&&... args) {
        return submit_for(duration::max(), std::forward<F>(fn), std::forward<Args>(args)...);
    }
    /// The same; where it has not ended within `timeout`, counted from here, it is taken out of the queue, or its
    /// worker killed, and the future throws timeout_error.
    template <class F, class... Args>
    auto submit_for(detail::time_limit timeout, F&& fn, Args&&... args) {
        using result = typename detail::signature<F, Args...>::result;
        return detail::submit_call<result>(
            *manager_, detail::pack_call(std::forward<F>(fn), std::forward<Args>(args)...), timeout);
    }

    /// Calls `fn(element)` for each element, or `fn(a, b...)` for several ranges until the shortest ends, in the
    /// workers. Lazy and bounded, as thread_pool's: see pool_map. Where a call takes less than some 100 µs, `.chunk(n)`
    /// sends n at once. A map that is left, or in which a call throws, kills the workers that still run calls of it.
    /// See: multiprocessing.Pool.map and imap, concurrent.futures.Executor.map.
    template <class F, class... Ranges>
    auto map(F&& fn, Ranges&&... ranges) {
        using types = detail::plain_signature<F, detail::element_of<Ranges>...>;
        using launch = detail::process_launch<std::decay_t<F>, types>;
        return pool_map<typename types::result, false, launch, Ranges...>(launch(manager_, fn),
                                                                          std::forward<Ranges>(ranges)...);
    }
    /// The same in the order in which the calls end.
    /// See: multiprocessing.Pool.imap_unordered.
    template <class F, class... Ranges>
    auto map_unordered(F&& fn, Ranges&&... ranges) {
        auto all = map(std::forward<F>(fn), std::forward<Ranges>(ranges)...);
        return decltype(all)(std::move(all).as_completed());
    }

    /// No more jobs; workers end when the queue is empty. `wait`: blocks until they have. `cancel_queued`: what waits
    /// for a worker is cancelled.
    /// See: concurrent.futures.Executor.shutdown.
    void shutdown(bool wait = true, bool cancel_queued = false);
    /// The same for tasks, which await it.
    /// Cancel: leaves; the pool ends all the same.
    task<> close(bool cancel_queued = false);

    /// Ends all workers, by SIGTERM or (what is left of them after two seconds too) SIGKILL. The futures of all jobs
    /// throw broken_process_pool_error, and the pool takes no more.
    /// See: Python 3.14's ProcessPoolExecutor.terminate_workers and kill_workers.
    void terminate_workers();
    void kill_workers();

    process_pool_stats stats() const;
    /// The process ids of its workers, as they are now.
    std::vector<int> worker_pids() const;

private:
    process_pool(process_pool_options options, detail::packed_call initializer);

    detail::handle_pointer<std::shared_ptr<detail::process_manager>> manager_;  // null: moved from
};

}  // namespace v0
}  // namespace rondo
