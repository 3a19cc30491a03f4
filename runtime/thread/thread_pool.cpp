// SPDX-License-Identifier: MIT
// thread_pool itself, and what a job takes along.
#include <rondo/thread_pool.hpp>

#include <cstdio>

#include "coroutine/report.hpp"
#include "thread/pool_core.hpp"

namespace rondo {
inline namespace v0 {

pool_full_error::~pool_full_error() = default;

namespace detail {

// -- what a job takes along -----------------------------------------------------------------------

const job_origin*& job_origin::of_this_thread() noexcept {
    static thread_local const job_origin* origin = nullptr;
    return origin;
}

job_origin_here::job_origin_here(const job_origin& origin) noexcept
    : before_(std::exchange(job_origin::of_this_thread(), &origin)), bindings_(origin.bindings) {}

job_origin_here::~job_origin_here() { job_origin::of_this_thread() = before_; }

kept_origin::kept_origin() : bindings_(carry_bindings()) {
    if (here.current != nullptr)
        home_.emplace(remote_of(*here.current->home));
    else if (const job_origin* now = job_origin::of_this_thread())
        if (now->home != nullptr) home_.emplace(*now->home);
}

// -- submitting -----------------------------------------------------------------------------------

std::shared_ptr<pool_core> make_pool(const thread_pool_options& options,
                                     function<void()> initializer) {
    return std::make_shared<pool_core>(options, std::move(initializer));
}

std::size_t threads_max_of(const pool_core& pool) noexcept { return pool.threads_max(); }

void throw_refusal(pool_core& pool, pool_core::answer answer) {
    switch (answer) {
        case pool_core::answer::full: {
            const thread_pool_stats now = pool.stats();
            throw pool_full_error("the thread pool is full: " + std::to_string(now.threads) +
                                  " threads are busy and " + std::to_string(now.queued) +
                                  " jobs wait");
        }
        case pool_core::answer::closed:
            throw closed_error("submit to a thread pool that was shut down");
        case pool_core::answer::broken:
            throw broken_pool_error("submit to a thread pool whose initializer threw");
        default:
            throw_system_error(EAGAIN, "start a thread of the pool", {});
    }
}

void submit_job(pool_core& pool, pool_job& job) {
    pool_core::answer answer = pool_core::answer::no_thread;
    try {
        answer = pool.submit(job, false);
    } catch (...) {  // deadlock_error
        job.kind->give_up(job, nullptr);
        throw;
    }
    const bool here_instead = answer == pool_core::answer::no_thread &&
                              pool.policy() == rejection_policy::caller_runs;
    if (answer == pool_core::answer::taken) return;
    if (answer == pool_core::answer::run_here || here_instead) return job.kind->run(job);
    const bool is_dropped = answer == pool_core::answer::dropped;
    job.kind->give_up(job, is_dropped ? discarded() : nullptr);
    if (!is_dropped) throw_refusal(pool, answer);
}

thread_core::phase keep_refusal(thread_core& core, std::exception_ptr why) noexcept {
    if (why == nullptr) return thread_core::phase::cancelled;
    core.set_error(why);
    try {
        std::rethrow_exception(std::move(why));
    } catch (const future_cancelled&) {
        return thread_core::phase::cancelled;
    } catch (...) {
        return thread_core::phase::failed;
    }
}

namespace {

std::exception_ptr cancellation(const char* text) noexcept {
    try {
        return std::make_exception_ptr(future_cancelled(text));
    } catch (...) {  // no memory for the text
        return nullptr;
    }
}

void report_dropped(std::size_t jobs) noexcept {
    char text[80];
    std::snprintf(text, sizeof text, "a thread_pool was destroyed, and %zu queued job%s never ran",
                  jobs, jobs == 1 ? "" : "s");
    report_thread_error(text, cancellation("call shutdown() or co_await close() first, or set "
                                           "on_destruction to queued_jobs::run"));
}

}  // namespace

std::exception_ptr shut_down_too_early() noexcept {
    return cancellation("the thread pool was shut down before this job began");
}

std::exception_ptr destroyed_too_early() noexcept {
    return cancellation(
        "the thread pool was destroyed before the job began: call shutdown() or co_await close() "
        "first, or set on_destruction to queued_jobs::run");
}

std::exception_ptr discarded() noexcept {
    return cancellation("the thread pool was full and discarded this job");
}

bool take_job_back(pool_core& pool, pool_job& job) noexcept { return pool.take_back(job); }

}  // namespace detail

// -- thread_pool ----------------------------------------------------------------------------------

thread_pool_options thread_pool::of_size(std::size_t threads) noexcept {
    RONDO_ASSERT(threads != 0, "a thread pool needs at least one thread");
    thread_pool_options options;
    options.core = threads;
    return options;
}

thread_pool::~thread_pool() {
    if (core_ == nullptr) return;
    RONDO_ASSERT(!detail::this_thread_belongs_to(core_.get()),
                 "deadlock: a thread_pool was destroyed by a job or a done callback on one of its "
                 "own threads");
    if (core_->on_destruction() == queued_jobs::cancel) {
        const std::size_t lost = core_->shut_down(true, detail::destroyed_too_early());
        // An exception that leaves the pool's scope says enough.
        if (lost != 0 && std::uncaught_exceptions() == 0) detail::report_dropped(lost);
        core_->stop_running();
    } else {
        core_->shut_down(false);
    }
    core_->join();
}

thread_pool& thread_pool::operator=(thread_pool&& other) noexcept {
    thread_pool before(std::move(*this));
    core_ = std::move(other.core_);
    return *this;
}

void thread_pool::shutdown(bool wait, bool cancel_queued) {
    if (wait) core()->must_not_be_own();
    core()->shut_down(cancel_queued);
    if (!wait) return;
    RONDO_ASSERT(detail::here.current == nullptr,
                 "shutdown in a task would block its loop: co_await pool.close()");
    core_->join();
}

task<> thread_pool::close(bool cancel_queued) {
    const std::shared_ptr<detail::pool_core> kept = core();
    kept->must_not_be_own();
    kept->shut_down(cancel_queued);
    co_await detail::pool_core::ended(kept);
}

thread_pool_stats thread_pool::stats() const noexcept { return core()->stats(); }

}  // namespace v0
}  // namespace rondo
