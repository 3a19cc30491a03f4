// SPDX-License-Identifier: MIT
// The manager's thread and the functions that other threads call. dispatch.cpp handles the jobs.
#include "multiprocess/pool/manager.hpp"

#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include "thread/listed_thread.hpp"
#include "thread/pool_threads.hpp"
#include "multiprocess/pool/child.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

// -- the thread -----------------------------------------------------------------------------------

namespace {

process_pool_options with_defaults(process_pool_options options) noexcept {
    RONDO_ASSERT(is_count(options.workers),
                 "a process_pool was given a negative number of workers");
    if (options.workers == 0) options.workers = std::max(1u, std::thread::hardware_concurrency());
    options.starts_max = std::max(1u, options.starts_max);
    return options;
}

thread_local process_manager* current_manager = nullptr;  // null: not a manager's thread

}  // namespace

process_manager::process_manager(const process_pool_options& options, packed_call initializer)
    : options_(with_defaults(options)), initializer_(std::move(initializer)) {}

process_manager::~process_manager() = default;

void process_manager::start_thread() {
    using share = std::shared_ptr<process_manager>;
    auto self = std::make_unique<share>(shared_from_this());
    if (!start_pool_thread(thread_, thread_main, self.get()))
        throw_system_error(EAGAIN, "start the thread of a process_pool", "");
    self.release();
    joinable_ = true;
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return remote_ || loop_error_; });
    if (!loop_error_) return;
    lock.unlock();
    join();
    std::rethrow_exception(loop_error_);
}

void* process_manager::thread_main(void* word) {
    const std::unique_ptr<std::shared_ptr<process_manager>> self(
        static_cast<std::shared_ptr<process_manager>*>(word));
    const listed_here listed(thread_kind::processes, "rondo-processes");
    current_manager = self->get();
    current_manager->run_loop();
    return nullptr;
}

void process_manager::run_loop() {
    try {
        rondo::loop own({.entries = 64});
        over_.emplace(own.create_promise<void>());
        loop_ = &own;
        {
            const std::lock_guard lock(mutex_);
            remote_.emplace(own.remote());
        }
        changed_.notify_all();
        own.run_until_complete(over_->get_future());
        over_.reset();
    } catch (...) {
        const std::lock_guard lock(mutex_);
        RONDO_ASSERT(!remote_, "the loop of a process_pool threw an exception");
        loop_error_ = std::current_exception();
    }
    changed_.notify_all();
    ended_.set_value();
}

void process_manager::join() noexcept {
    const std::lock_guard lock(joining_);
    if (std::exchange(joinable_, false)) ::pthread_join(thread_, nullptr);
}

bool process_manager::is_this_thread() const noexcept { return current_manager == this; }

// -- from any thread ------------------------------------------------------------------------------

void process_manager::submit(process_job& job) {
    try {
        if (job.call.bytes.size() > options_.frame_max)
            throw limit_error("process_pool: the arguments have " +
                              std::to_string(job.call.bytes.size()) + " bytes, and at most " +
                              std::to_string(options_.frame_max) + " are allowed");
        const std::lock_guard lock(mutex_);
        if (!broken_.empty()) throw broken_process_pool_error("process_pool: " + broken_);
        job.home_ = shared_from_this();
        if (closed_ || !remote_->try_post(job.enqueue_))
            throw closed_error("process_pool: a job was submitted after shutdown");
        ++jobs_;
    } catch (...) {
        job.drop_owner();
        throw;
    }
}

void process_manager::post(function<void(process_manager&)> what) {
    try {
        remote_->call_soon_threadsafe([this, what = std::move(what)]() mutable {
            if (!is_over_) what(*this);
        });
    } catch (const closed_error&) {  // the manager's loop has ended
    }
}

void process_manager::close(bool cancel_queued) {
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
    }
    post([cancel_queued](process_manager& self) {
        self.closing_ = true;
        if (cancel_queued) self.cancel_queued();
        self.dispatch();
    });
}

void process_manager::end_workers(int signal) {
    post([signal](process_manager& self) {
        self.ends_by_signal_ = true;
        self.break_pool(signal == SIGKILL ? "its workers were killed"
                                          : "its workers were terminated");
        for (const auto& child : self.children_) child->end_by(signal);
        self.dispatch();
    });
}

process_pool_stats process_manager::stats() const {
    const std::lock_guard lock(mutex_);
    process_pool_stats now = stats_;
    now.queued = jobs_ - now.busy;
    return now;
}

std::vector<int> process_manager::pids() const {
    const std::lock_guard lock(mutex_);
    return pids_;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
