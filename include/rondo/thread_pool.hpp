// SPDX-License-Identifier: MIT
// A thread pool with bounds: the number of threads, the number of queued jobs, and a policy for
// jobs beyond that.
//
//     rondo::thread_pool pool(4);
//     auto sum = pool.submit(add_up, numbers);                 // thread_future<long>
//     auto all = co_await pool.map(hash_file, paths);          // std::vector<digest>
//
// A job is placed in this order: on an idle thread; on a new thread, if there are fewer than
// `core`; in the queue, if it has room; on a new thread, if there are fewer than `max`; otherwise
// the rejection policy decides. Java's ThreadPoolExecutor has the same options, but starts threads
// while others are idle.
#pragma once

#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <stop_token>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/detail/base/kept_call.hpp>
#include <rondo/detail/thread/element_call.hpp>
#include <rondo/detail/thread/pool_job.hpp>
#include <rondo/detail/thread/pool_map.hpp>
#include <rondo/detail/thread/started_map.hpp>
#include <rondo/thread_future.hpp>

namespace rondo {
inline namespace v0 {

/// Says what happens to a job when every thread is busy and the queue is full.
enum class rejection_policy {
    abort,           ///< submit throws pool_full_error
    caller_runs,     ///< the submitting thread runs it at once
    discard,         ///< its future is cancelled
    discard_oldest,  ///< the oldest queued job's future is cancelled, and the new job is queued
    block,  ///< submit blocks until there is room; not in a task (there: map, run_in_executor)
};

/// Says what the destructor of a pool does with the jobs that no thread has taken.
enum class queued_jobs {
    cancel,  ///< they never run; their futures are cancelled. Running jobs are asked to stop
    run,     ///< they run first; no job is asked to stop. As Python's `with` does
};

/// Options of a thread_pool. A negative number, or a `core` above `max`, aborts with a sentence.
struct thread_pool_options {
    static constexpr std::size_t unbounded = std::numeric_limits<std::size_t>::max();

    std::size_t core = 0;  ///< threads that stay; 0: min(32, cores + 4), and not more than `max`
    std::size_t max = 0;   ///< threads while the queue is full; 0: the same as core
    /// A thread above core ends after this idle time.
    detail::time_limit keep_alive = std::chrono::seconds(60);
    bool core_times_out = false;             ///< keep_alive applies to core threads too
    std::size_t queue_capacity = unbounded;  ///< jobs that may wait; 0: none
    rejection_policy rejection = rejection_policy::abort;
    std::string_view name_prefix = "rondo-pool";  ///< of thread names, a number follows; copied
    /// Of the destructor. The default CANCELS the queue: a scope that is left by an exception ends
    /// soon. `shutdown` and `close` run the queue in any case, unless they are told to cancel it.
    queued_jobs on_destruction = queued_jobs::cancel;
};
static_assert(std::is_trivially_destructible_v<thread_pool_options>);

/// A snapshot of a pool's counters.
struct thread_pool_stats {
    std::size_t threads = 0;    ///< alive
    std::size_t busy = 0;       ///< of those, in a job
    /// Queued jobs, never more than the capacity. Does not count jobs for which a thread is being
    /// woken or started, nor jobs that wait for room in a pool with `block`.
    std::size_t queued = 0;
    std::size_t completed = 0;  ///< jobs that have ended, with a value or an error
    std::size_t largest = 0;    ///< the largest number of threads so far
};

/// Thrown by submit if every thread is busy and the queue is full.
class RONDO_API pool_full_error : public error {
public:
    using error::error;
    ~pool_full_error() override;
};

namespace detail {

RONDO_API std::shared_ptr<pool_core> make_pool(const thread_pool_options& options,
                                               function<void()> initializer);

/// A submitted job: owns its call, and is the state of its future.
template <class Call>
class submitted_job final : public given_state<typename Call::result_type>, pool_job {
    using result_type = typename Call::result_type;

public:
    template <class... Given>
    explicit submitted_job(const std::shared_ptr<pool_core>& pool, Given&&... given)
        : pool_job(&kind_),
          pool_(pool),
          origin_(std::in_place),
          call_(std::in_place, std::in_place, std::forward<Given>(given)...) {}

    pool_job& as_job() noexcept { return *this; }
    bool depends_on(const void* what) const noexcept override { return what == pool_.get(); }

private:
    static void run(pool_job& job) noexcept {
        auto& self = static_cast<submitted_job&>(job);
        self.begin();
        self.end_with(self.make_call());
    }
    static void give_up(pool_job& job, std::exception_ptr why) noexcept {
        auto& self = static_cast<submitted_job&>(job);
        self.begin();
        self.call_.reset();
        self.end_with(keep_refusal(self, std::move(why)));
    }
    static bool is_unwatched(const pool_job& job) noexcept {
        return !static_cast<const submitted_job&>(job).has_handle();
    }
    static std::stop_source stopper(pool_job& job) noexcept {
        if constexpr (Call::takes_token)
            return static_cast<submitted_job&>(job).stop_;
        else
            return std::stop_source(std::nostopstate);
    }
    static constexpr pool_job_kind kind_{run, give_up, Call::takes_token ? stopper : nullptr,
                                         is_unwatched};

    // Destroys everything that the job owns before its future is done.
    void end_with(thread_core::phase end) noexcept {
        origin_.reset();
        this->finish(end);
        this->drop_giver();
    }
    thread_core::phase make_call() noexcept {
        const job_origin origin = origin_->get();
        const job_origin_here carried(origin);
        return keep_outcome<result_type>(*this, [this]() -> result_type { return call(); });
    }
    result_type call() {
        const struct guard {
            std::optional<Call>& owned;
            ~guard() { owned.reset(); }
        } gone{call_};
        if constexpr (Call::takes_token)
            return (*call_)(stop_.get_token());
        else
            return (*call_)();
    }
    bool cancel_unbegun() noexcept override {
        if (!take_job_back(*pool_, *this)) return false;
        give_up(*this, nullptr);
        return true;
    }
    bool ask_to_stop() noexcept override {
        if constexpr (Call::takes_token) stop_.request_stop();
        return Call::takes_token;
    }

    struct no_stop {};
    const std::shared_ptr<pool_core> pool_;
    std::optional<kept_origin> origin_;
    [[no_unique_address]] std::conditional_t<Call::takes_token, std::stop_source, no_stop> stop_;
    std::optional<Call> call_;
};

/// Calls the function for each tuple of a chunk, until the job is asked to stop.
template <class F>
struct run_chunk {
    template <class Arguments>
    auto operator()(std::stop_token stop, F fn, std::vector<Arguments> chunk) const {
        using result = decltype(call_with(fn, stop, std::move(chunk.front())));
        std::vector<value_or_monostate<result>> results;
        results.reserve(chunk.size());
        for (Arguments& each : chunk) {
            if (stop.stop_requested()) throw cancelled();
            if constexpr (std::is_void_v<result>) {
                call_with(fn, stop, std::move(each));
                results.emplace_back();
            } else {
                results.push_back(call_with(fn, stop, std::move(each)));
            }
        }
        return results;
    }
};

/// Starts one job per chunk of arguments, for `map`.
template <class F>
class pool_launch {
public:
    template <class G>
    pool_launch(const std::shared_ptr<pool_core>& pool, G&& fn)
        : pool_(pool), fn_(std::forward<G>(fn)) {}

    template <class Arguments>
    auto operator()(std::vector<Arguments> chunk) {
        using call = kept_call<run_chunk<F>, F, std::vector<Arguments>>;
        auto* job = new submitted_job<call>(pool_, run_chunk<F>(), fn_, std::move(chunk));
        thread_future<typename call::result_type> result(job);
        submit_job(*pool_, job->as_job());
        return result;
    }
    std::size_t workers() const noexcept { return threads_max_of(*pool_); }

private:
    std::shared_ptr<pool_core> pool_;
    F fn_;
};

}  // namespace detail

/// A pool of threads. Its threads block every signal that is sent to the process.
/// Thread: any, and tasks of any loop.
/// See:    concurrent.futures.ThreadPoolExecutor, java.util.concurrent.ThreadPoolExecutor.
class RONDO_API thread_pool {
public:
    /// At most `threads` threads, started on demand; any number of jobs may wait.
    explicit thread_pool(std::size_t threads) : thread_pool(of_size(threads)) {}
    explicit thread_pool(const thread_pool_options& options = {})
        : core_(detail::make_pool(options, {})) {}
    /// Each thread first calls `initializer(args...)`; several may do so at the same time. If a
    /// call throws, the pool is broken: queued futures and later submits get broken_pool_error.
    template <class F, class... Args>
        requires std::is_invocable_v<const F&, const Args&...>
    thread_pool(const thread_pool_options& options, F initializer, Args... args)
        : core_(detail::make_pool(
              options,
              [fn = std::move(initializer), held = std::tuple<Args...>(std::move(args)...)] {
                  std::apply(fn, held);
              })) {}

    thread_pool(thread_pool&&) noexcept = default;
    /// Ends the pool that it held before, as the destructor does.
    thread_pool& operator=(thread_pool&& other) noexcept;
    /// CANCELS THE QUEUED JOBS, unless `on_destruction` is `queued_jobs::run`; requests a stop of
    /// the running jobs that take a std::stop_token; then blocks until the last job has ended and
    /// the threads are joined. The futures of the queued jobs throw future_cancelled with a text
    /// that says so. The thread exception hook gets one report of the queued jobs whose future was
    /// dropped, with their number, unless an exception leaves the pool's scope.
    ///
    /// To run the queue first, call `shutdown()`, or in a task `co_await close()`, which does not
    /// block the loop. Aborts with a sentence in a job or a done callback on one of the pool's own
    /// threads.
    ~thread_pool();

    /// Calls `fn(args...)` on a thread of the pool. Callable and arguments are copied or moved, as
    /// by std::thread, and destroyed when the call has ended. If a callable takes a std::stop_token
    /// first, that is set when its future is cancelled while it runs, and by the pool's destructor.
    ///
    /// The job sees the values of task_locals, and block_on (from_threads.hpp) runs a task on the
    /// loop of the submitting task. On g++ 12 do not make a closure that owns something in an
    /// expression with co_await: submit then returns a thread_future that can only be awaited by
    /// name (docs/gcc12.md).
    /// Throws: pool_full_error, depending on the rejection policy; closed_error after shutdown;
    ///         broken_pool_error; std::system_error if the pool has no thread and none can be
    ///         started (with caller_runs the call is made here instead); std::bad_alloc. The job is
    ///         destroyed then.
    template <class F, class... Args>
        requires detail::can_be_kept<F, Args...>
    auto submit(F&& fn, Args&&... args)
        -> detail::guarded_thread_future<typename detail::kept<F, Args...>::result_type, F,
                                         Args...> {
        auto* job = new detail::submitted_job<detail::kept<F, Args...>>(
            core(), std::forward<F>(fn), std::forward<Args>(args)...);
        thread_future<typename detail::kept<F, Args...>::result_type> result(job);
        detail::submit_job(*core_, job->as_job());
        return result;
    }

    /// Calls `fn(element)` for each element, or `fn(a, b...)` for several ranges until the shortest
    /// ends, on the pool's threads. Lazy and bounded: it reads the ranges as results are taken, and
    /// runs at most two jobs per thread ahead. So the ranges may be endless. Elements are copied
    /// into the jobs; a temporary range is stored, a named range is referenced.
    ///
    /// An abandoned map stops its jobs between two calls. If a callable takes a std::stop_token
    /// first, and cannot be called without, that is set too.
    template <class F, class... Ranges>
        requires detail::can_be_mapped<std::decay_t<F>, detail::element_of<Ranges>...>
    auto map(F&& fn, Ranges&&... ranges) {
        using launch = detail::pool_launch<std::decay_t<F>>;
        constexpr bool hazard = detail::owning_closure_hazard<F>;
        return pool_map<detail::element_result<std::decay_t<F>, detail::element_of<Ranges>...>,
                        hazard, launch, Ranges...>(launch(core(), std::forward<F>(fn)),
                                                   std::forward<Ranges>(ranges)...);
    }

    /// map that begins at once and needs no reader: one future gives all results, in the order of
    /// the elements. The elements are read and copied before it returns, so the ranges must end.
    /// Each thread makes one call after the other, so there is no chunk size. Jobs that are
    /// submitted later wait until the map needs fewer threads.
    ///
    /// Cancelling the future stops the map before the next call of each thread, and sets the token
    /// of a callable that takes one; the future is cancelled when the running calls have ended. If
    /// all calls have returned all the same, it has the value.
    /// Returns: a future of the results; of nothing if the calls return nothing.
    /// Throws:  the exceptions of submit, and of reading the ranges. From the future: the exception
    ///          of the first call that failed, after the running calls have ended; no further call
    ///          begins.
    /// See:     multiprocessing.Pool.map_async, whose chunksize is not needed.
    template <class F, class... Ranges>
        requires detail::can_be_mapped<std::decay_t<F>, detail::element_of<Ranges>...>
    auto map_async(F&& fn, Ranges&&... ranges)
        -> detail::guarded_thread_future<detail::whole_map<detail::mapped<F, Ranges...>>, F> {
        static_assert(sizeof...(Ranges) > 0, "map_async needs at least one range");
        using element = std::tuple<detail::element_of<Ranges>...>;
        using result = detail::mapped<F, Ranges...>;
        auto* map = new detail::started_map<result, std::decay_t<F>, element>(
            core(), std::forward<F>(fn), detail::all_elements(std::forward<Ranges>(ranges)...));
        thread_future<detail::whole_map<result>> all(map);
        map->start();
        return all;
    }

    /// Accepts no more jobs. Queued jobs still run, unless `cancel_queued`. With `wait` it blocks
    /// until the threads have ended; do not do that in a task. May be called again.
    /// Throws: deadlock_error if it would wait on a thread of this pool, in a job or a done
    ///         callback; the pool is unchanged then.
    /// See:    concurrent.futures.Executor.shutdown.
    void shutdown(bool wait = true, bool cancel_queued = false);
    /// shutdown for tasks: suspends until the threads have ended.
    /// Throws: deadlock_error in a task that a job of this pool waits for (the pool still ends), or
    ///         whose loop runs on a thread of the pool (the pool is unchanged).
    /// Cancel: leaves at once; the pool still ends.
    task<> close(bool cancel_queued = false);

    thread_pool_stats stats() const noexcept;

    const std::shared_ptr<detail::pool_core>& core() const noexcept {
        return detail::not_empty(core_);
    }
    /// Hands the pool over to a new owner, which must end it.
    std::shared_ptr<detail::pool_core> release() noexcept {
        return std::move(detail::not_empty(core_));
    }

private:
    static thread_pool_options of_size(std::size_t threads) noexcept;

    std::shared_ptr<detail::pool_core> core_;  // null: moved from
};

}  // namespace v0
}  // namespace rondo
