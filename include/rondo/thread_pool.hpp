// SPDX-License-Identifier: MIT
// Threads of one's own for what blocks or computes, with bounds that one chooses: how many threads, how many jobs may
// wait, and what becomes of one more.
//
//     rondo::thread_pool pool(4);
//     auto sum = pool.submit(add_up, numbers);                 // thread_future<long>
//     auto all = co_await pool.map(hash_file, paths);          // std::vector<digest>
//
// A job goes, in this order: to a thread that is idle; to a new thread, while there are fewer than `core`; into the queue,
// while that has room; to a new thread, while there are fewer than `max`; and else to the rejection policy. Java's
// ThreadPoolExecutor has the same knobs, but starts threads while others idle.
#pragma once

#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/detail/kept_call.hpp>
#include <rondo/detail/pool_job.hpp>
#include <rondo/detail/pool_map.hpp>
#include <rondo/thread_future.hpp>

namespace rondo {
inline namespace v0 {

/// What becomes of a job where every thread works and the queue is full.
enum class rejection_policy {
    abort,           ///< submit throws pool_full_error
    caller_runs,     ///< whoever submits runs it, there and then
    discard,         ///< its future is cancelled
    discard_oldest,  ///< the future of the one that waits longest is cancelled, and the new one waits
    block,           ///< submit waits for room; never in a task (there: map, run_in_executor)
};

/// How a pool is made.
struct thread_pool_options {
    static constexpr std::size_t unbounded = std::numeric_limits<std::size_t>::max();

    std::size_t core = 0;  ///< threads that stay; 0: min(32, cores + 4)
    std::size_t max = 0;   ///< threads at most, where the queue is full; 0: as many as core
    duration keep_alive = std::chrono::seconds(60);  ///< a thread above core ends when it was idle for this long
    bool core_times_out = false;                     ///< and so does one of core
    std::size_t queue_capacity = unbounded;          ///< jobs that may wait; 0: none
    rejection_policy rejection = rejection_policy::abort;
    std::string_view name_prefix = "rondo-pool";  ///< of the threads' names, with a number behind it; copied
};
static_assert(std::is_trivially_destructible_v<thread_pool_options>);

/// What a pool has and has done, at one moment.
struct thread_pool_stats {
    std::size_t threads = 0;    ///< alive
    std::size_t busy = 0;       ///< of those, in a job
    std::size_t queued = 0;     ///< jobs that wait
    std::size_t completed = 0;  ///< jobs that have ended, with a value or an error
    std::size_t largest = 0;    ///< threads at once, ever
};

/// A job for a pool whose threads all work and whose queue is full.
class RONDO_API pool_full_error : public error {
public:
    using error::error;
    ~pool_full_error() override;
};

namespace detail {

class pool_core;

RONDO_API std::shared_ptr<pool_core> make_pool(const thread_pool_options& options,
                                               function<void()> initializer);
/// Hands the job over, or throws and has given it up.
RONDO_API void submit_job(pool_core& pool, pool_job& job);
/// Takes a job out of its queue. False where it stands in none any more.
RONDO_API bool take_job_back(pool_core& pool, pool_job& job) noexcept;
RONDO_API std::size_t threads_max_of(const pool_core& pool) noexcept;

/// A job that owns its call, and the state of its future; they go together.
template <class Call>
class submitted_job final : public given_state<typename Call::result_type>, pool_job {
    using result_type = typename Call::result_type;

public:
    template <class... Given>
    explicit submitted_job(const std::shared_ptr<pool_core>& pool, Given&&... given)
        : pool_job(&kind_),
          pool_(pool),
          call_(std::in_place, std::in_place, std::forward<Given>(given)...) {}

    pool_job& as_job() noexcept { return *this; }
    const void* needs() const noexcept override { return pool_.get(); }

private:
    static void run(pool_job& job) noexcept {
        auto& self = static_cast<submitted_job&>(job);
        if (self.begin()) {
            const job_origin origin = self.origin_.get();
            const job_origin_here carried(origin);
            settle_with_call<result_type>(self, [&]() -> result_type { return self.call(); });
        }
        self.call_.reset();
        self.drop_giver();
    }
    static void give_up(pool_job& job, std::exception_ptr why) noexcept {
        auto& self = static_cast<submitted_job&>(job);
        self.call_.reset();
        if (why == nullptr) {
            self.cancel();
        } else if (self.begin()) {
            self.set_error(std::move(why));
            self.settle(thread_core::phase::failed);
        }
        self.drop_giver();
    }
    static std::stop_source stopper(pool_job& job) noexcept {
        if constexpr (Call::takes_token)
            return static_cast<submitted_job&>(job).stop_;
        else
            return std::stop_source(std::nostopstate);
    }
    static constexpr pool_job_kind kind_{run, give_up, Call::takes_token ? stopper : nullptr};

    // What the call owns is gone before anybody hears of its end.
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
    void withdraw() noexcept override {
        if (!take_job_back(*pool_, *this)) return;
        call_.reset();
        this->drop_giver();
    }
    bool ask_to_stop() noexcept override {
        if constexpr (Call::takes_token) stop_.request_stop();
        return Call::takes_token;
    }

    struct no_stop {};
    const std::shared_ptr<pool_core> pool_;
    kept_origin origin_;
    [[no_unique_address]] std::conditional_t<Call::takes_token, std::stop_source, no_stop> stop_;
    std::optional<Call> call_;
};

/// What `map` launches: one job for a chunk of arguments.
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

/// Thread: any, and tasks of any loop. Its threads block every signal that is sent to the process.
/// See:    concurrent.futures.ThreadPoolExecutor, java.util.concurrent.ThreadPoolExecutor.
class RONDO_API thread_pool {
public:
    /// At most `threads` threads, started when they are needed; any number of jobs may wait.
    explicit thread_pool(std::size_t threads) : thread_pool(of_size(threads)) {}
    explicit thread_pool(const thread_pool_options& options = {})
        : core_(detail::make_pool(options, {})) {}
    /// The same, and each thread begins by calling `initializer(args...)`; several may at the same time. Where one throws
    /// the pool is broken: every future that waits, and each submit, gets broken_pool_error.
    template <class F, class... Args>
        requires std::is_invocable_v<const F&, const Args&...>
    thread_pool(const thread_pool_options& options, F initializer, Args... args)
        : core_(detail::make_pool(
              options, [fn = std::move(initializer), held = std::tuple<Args...>(std::move(args)...)] {
                  std::apply(fn, held);
              })) {}

    thread_pool(thread_pool&&) noexcept = default;
    /// The one before ends as by its destructor.
    thread_pool& operator=(thread_pool&& other) noexcept;
    /// Cancels what waits, asks the jobs that run and take a std::stop_token to stop, and joins the threads: it blocks
    /// until the last job has ended. In a task `co_await close()` does so without blocking the loop.
    ~thread_pool();

    /// Has `fn(args...)` called on a thread of the pool. Callable and arguments are copied or moved, as by std::thread, and
    /// destroyed when the call has ended. A callable that takes a std::stop_token first is told by it when its future is
    /// cancelled while it runs, and by the pool's destructor.
    /// The values of task_locals are there in the job, and block_on (from_threads.hpp) leads back to the task's loop.
    /// Throws: pool_full_error, as the rejection policy says; closed_error after shutdown; broken_pool_error;
    ///         std::system_error where no thread can be started and none is there (caller_runs calls it here instead);
    ///         std::bad_alloc. Nothing is left of the job then.
    template <class F, class... Args>
        requires detail::can_be_kept<F, Args...>
    auto submit(F&& fn, Args&&... args)
        -> thread_future<typename detail::kept<F, Args...>::result_type> {
        auto* job = new detail::submitted_job<detail::kept<F, Args...>>(
            core_, std::forward<F>(fn), std::forward<Args>(args)...);
        thread_future<typename detail::kept<F, Args...>::result_type> result(job);
        detail::submit_job(*core_, job->as_job());
        return result;
    }

    /// Calls `fn(element)` for each element, or `fn(a, b...)` for several ranges until the shortest ends, on the pool's
    /// threads. Lazy and bounded: it takes from the ranges as results are taken from it, and keeps at most two jobs for
    /// each thread ahead; the ranges may be endless. Elements are copied into the jobs; a range that is a temporary is
    /// kept, one with a name is referred to.
    template <class F, class... Ranges>
        requires std::is_invocable_v<std::decay_t<F>&, detail::element_of<Ranges>&&...>
    auto map(F&& fn, Ranges&&... ranges) {
        using launch = detail::pool_launch<std::decay_t<F>>;
        constexpr bool hazard = detail::owning_closure_hazard<F>;
        return pool_map<std::invoke_result_t<std::decay_t<F>&, detail::element_of<Ranges>&&...>, hazard,
                        launch, Ranges...>(launch(core_, std::forward<F>(fn)),
                                           std::forward<Ranges>(ranges)...);
    }

    /// No more jobs. What waits still runs, unless `cancel_queued`; `wait` blocks until the threads have ended, which no
    /// task may do. May be called again.
    /// See: concurrent.futures.Executor.shutdown.
    void shutdown(bool wait = true, bool cancel_queued = false);
    /// The same for tasks: waits, and the loop goes on.
    /// Cancel: leaves at once; the pool goes on ending.
    task<> close(bool cancel_queued = false);

    thread_pool_stats stats() const noexcept;

    const std::shared_ptr<detail::pool_core>& core() const noexcept { return core_; }
    /// Gives it up to whoever ends it.
    std::shared_ptr<detail::pool_core> release() noexcept { return std::move(core_); }

private:
    static thread_pool_options of_size(std::size_t threads) noexcept;

    std::shared_ptr<detail::pool_core> core_;  // null: moved from
};

}  // namespace v0
}  // namespace rondo
