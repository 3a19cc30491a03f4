// SPDX-License-Identifier: MIT
// The queue of a process_pool, and how jobs go to workers. `dispatch` is called after each change:
// it gives queued jobs to free workers, and starts a worker if none is free and there may be more.
#include <algorithm>

#include "multiprocess/pool/child.hpp"
#include "multiprocess/pool/manager.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

// -- jobs -----------------------------------------------------------------------------------------

process_job::process_job() noexcept
    : enqueue_{[](void* word) noexcept {
                   auto& job = *static_cast<process_job*>(word);
                   job.home_->enqueue(job);
               },
               this},
      stop_{[](void* word) noexcept {
                auto& job = *static_cast<process_job*>(word);
                job.home_->stop(job);
                job.drop_owner();
            },
            this} {}

process_job::~process_job() = default;

bool process_job::post_stop() noexcept {
    if (stop_posted_.exchange(true)) return true;
    add_owner();
    if (home_->remote_->try_post(stop_)) return true;
    drop_owner();
    return false;
}

const void* process_job::loop_identity() const noexcept {
    return home_ != nullptr ? home_->remote_->identity() : nullptr;
}

namespace {

std::exception_ptr broken(const std::string& why) {
    return std::make_exception_ptr(broken_process_pool_error("process_pool: " + why));
}

std::exception_ptr late(const process_job& job) {
    return std::make_exception_ptr(timeout_error("process_pool", job.timeout));
}

}  // namespace

// -- jobs come and go -----------------------------------------------------------------------------

void process_manager::enqueue(process_job& job) {
    job.number = ++last_number_;
    if (cancels_queued_ || ends_by_signal_ || is_broken_) {
        finish_unwanted(job);
    } else {
        queue_.append(job);
        if (job.timeout != duration::max())
            job.timer = loop_->call_later(job.timeout, [this, &job] { expire(job); });
    }
    dispatch();
}

/// Called before the job is finished, so that stats() does not count it when its waiter wakes.
void process_manager::uncount(process_job& job) noexcept {
    job.timer.cancel();
    job.timer = call_handle();  // on this thread: its owners are counted without atomics
    job.call.bytes = std::string();
    const std::lock_guard lock(mutex_);
    --jobs_;
}

void process_manager::finish(process_job& job, std::string_view result) noexcept {
    uncount(job);
    job.succeed(result);
    job.drop_owner();
}

void process_manager::finish(process_job& job, std::exception_ptr error) noexcept {
    uncount(job);
    if (job.begun || job.state().begin()) {  // otherwise it was cancelled
        job.state().set_error(std::move(error));
        job.state().finish(thread_core::phase::failed);
    }
    job.drop_owner();
}

void process_manager::finish_cancelled(process_job& job) noexcept {
    uncount(job);
    if (job.begun || job.state().begin()) job.state().finish(thread_core::phase::cancelled);
    job.drop_owner();
}

void process_manager::finish_unwanted(process_job& job) noexcept {
    if (cancels_queued_)
        finish_cancelled(job);
    else
        finish(job, broken(broken_));
}

process_child* process_manager::child_of(const process_job& job) noexcept {
    for (const auto& child : children_)
        if (child->job() == &job) return child.get();
    return nullptr;
}

void process_manager::stop(process_job& job) {
    if (job.in_queue.linked()) {
        queue_.remove(job);
        finish_cancelled(job);
        dispatch();
    } else if (process_child* const child = child_of(job)) {
        child->kill(process_child::verdict::cancelled);
    }
}

void process_manager::expire(process_job& job) {
    if (process_child* const child = child_of(job))
        return child->kill(process_child::verdict::late);
    queue_.remove(job);
    finish(job, late(job));
    dispatch();
}

void process_manager::cancel_queued() {
    cancels_queued_ = true;
    while (!queue_.empty()) {
        process_job& job = queue_.front();
        queue_.remove(job);
        finish_unwanted(job);
    }
}

// -- workers --------------------------------------------------------------------------------------

process_child* process_manager::free_child() noexcept {
    for (const auto& child : children_)
        if (child->is_free()) return child.get();
    return nullptr;
}

void process_manager::dispatch() {
    while (!queue_.empty()) {
        if (process_child* const child = free_child()) {
            process_job& job = queue_.front();
            queue_.remove(job);
            if (!job.begun && !job.state().begin()) {  // cancelled, and its post is in flight
                finish_cancelled(job);
                continue;
            }
            job.begun = true;
            child->give(job);
        } else if (!wants_child() || !start_child()) {
            break;
        }
    }
    if (closing_ && queue_.empty())
        for (const auto& child : children_)
            if (child->job() == nullptr) child->retire();
    update_stats();
    check_end();
}

bool process_manager::wants_child() const noexcept {
    std::size_t starting = 0;
    std::size_t staying = 0;
    for (const auto& child : children_) {
        if (child->is_starting()) ++starting;
        if (!child->is_leaving()) ++staying;
    }
    return !pausing_ && staying < options_.workers && starting < queue_.size();
}

/// False if another attempt is useless.
bool process_manager::start_child() {
    try {
        auto child = std::make_unique<process_child>(*this);
        children_.push_back(std::move(child));
        loop_->create_task(children_.back()->run(), {.name = "process_pool worker"});
        return true;
    } catch (const std::exception& error) {
        if (!children_.empty()) return false;  // the present workers will run the jobs
        fail_start(error.what(), false);
        return true;
    }
}

void process_manager::child_ready() {
    failed_starts_ = killed_starts_ = 0;
    dispatch();
}

void process_manager::job_answered(process_job& job, std::string_view result,
                                   std::exception_ptr error) {
    {
        const std::lock_guard lock(mutex_);
        ++stats_.completed;
    }
    update_stats();
    if (error)
        finish(job, std::move(error));
    else
        finish(job, result);
    dispatch();
}

void process_manager::child_ended(process_child& child, const std::string& how, bool killed) {
    if (!closing_) ++restarted_;
    const bool was_ready = child.was_ready();
    process_job* const job = child.take_job();
    const auto verdict = child.job_verdict();
    children_.remove_if([&](const auto& each) { return each.get() == &child; });
    update_stats();
    if (job != nullptr) end_lost(*job, verdict, how);
    if (!was_ready) fail_start(how, killed);
    dispatch();
}

void process_manager::end_lost(process_job& job, process_child::verdict verdict,
                               const std::string& how) {
    using v = process_child::verdict;
    const bool again = (verdict == v::not_begun && job.unread++ < options_.starts_max) ||
                       (verdict == v::none && job.lost++ < options_.rerun);
    if (ends_by_signal_)
        finish(job, broken(broken_));
    else if (again && !is_broken_)
        queue_.prepend(job);
    else if (verdict == v::cancelled)
        finish_cancelled(job);
    else if (verdict == v::late)
        finish(job, late(job));
    else
        finish(job, broken("the job's worker died: " + how));
}

void process_manager::fail_start(const std::string& how, bool killed) {
    constexpr unsigned kills_per_failure = 10;
    unsigned& in_a_row = killed ? killed_starts_ : failed_starts_;
    const unsigned most = killed ? options_.starts_max * kills_per_failure : options_.starts_max;
    if (++in_a_row >= most && !is_broken_)
        break_pool(std::to_string(in_a_row) +
                   " workers in a row died before their first job; of the last one: " + how);
    else if (killed)
        pause_starts();
}

/// Limits the rate of starts if each new worker is killed, to save CPU time.
void process_manager::pause_starts() {
    constexpr unsigned doublings_max = 10;
    pausing_ = true;
    pause_.cancel();
    pause_ = loop_->call_later(
        std::chrono::milliseconds(1u << std::min(killed_starts_, doublings_max)), [this] {
            pausing_ = false;
            dispatch();
        });
}

void process_manager::break_pool(const std::string& why) {
    if (!is_broken_) {
        const std::lock_guard lock(mutex_);
        broken_ = why;
    }
    is_broken_ = closing_ = true;
    while (!queue_.empty()) {
        process_job& job = queue_.front();
        queue_.remove(job);
        finish_unwanted(job);
    }
}

void process_manager::update_stats() {
    const std::lock_guard lock(mutex_);
    stats_.workers = children_.size();
    stats_.restarted = restarted_;
    stats_.busy = 0;
    pids_.clear();
    for (const auto& child : children_) {
        pids_.push_back(child->pid());
        if (child->job() != nullptr) ++stats_.busy;
    }
}

void process_manager::check_end() {
    if (!closing_ || !children_.empty() || is_over_) return;
    {
        const std::lock_guard lock(mutex_);
        if (jobs_ != 0) return;
    }
    is_over_ = true;
    over_->set_value();
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
