// SPDX-License-Identifier: MIT
// The thread pool of a loop, and the path of a job: from the awaiting frame into the pool's queue,
// onto a thread, and back to the loop.
//
// To the thread: a mutex and an intrusive FIFO. A thread takes one job at a time (taking the whole
// list would be faster, but starve the other threads), and is woken only if it sleeps. A thread is
// started if none is idle, up to the limit.
//
// Back: a thread pushes its finished job onto a list of the loop, with one compare-and-swap. If the
// list was empty, it posts to the loop, which takes the whole list: one post per batch. The post is
// preallocated with the executor, so the way back neither allocates nor fails. A shutdown hook of
// the loop joins the threads; after that they hold nothing of it.
#include <rondo/executor.hpp>

#include <atomic>
#include <memory>
#include <vector>

#include "thread/pool_core.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// The executor of one loop: its pools, and the list of finished jobs.
class loop_executor {
public:
    explicit loop_executor(remote home) noexcept : home_(std::move(home)) {}

    static loop_executor& of(loop& loop);

    /// The job has ended: makes its task ready in the loop's next turn. Any thread.
    void come_home(thread_wait& wait) noexcept;

    const remote& home() const noexcept { return home_; }
    /// The pool in use; made on first use. Throws: std::bad_alloc.
    const std::shared_ptr<pool_core>& pool();
    void replace(std::shared_ptr<pool_core> pool);

private:
    void deliver() noexcept;
    void end() noexcept;

    std::vector<std::shared_ptr<pool_core>> pools_;  // the last one is in use, the others end

    std::atomic<pool_job*> finished_{nullptr};  // newest first
    remote home_;
    preallocated_post post_{
        [](void* self) noexcept { static_cast<loop_executor*>(self)->deliver(); }, this};
};

loop_executor& loop_executor::of(loop& loop) {
    static constexpr char key = 0;
    std::shared_ptr<void>& slot = loop.extension(&key);
    if (slot == nullptr) {
        auto fresh = std::make_shared<loop_executor>(loop.remote());
        loop.at_shutdown([self = fresh.get()] { self->end(); });
        slot = std::move(fresh);
    }
    return *static_cast<loop_executor*>(slot.get());
}

const std::shared_ptr<pool_core>& loop_executor::pool() {
    if (pools_.empty()) pools_.push_back(make_pool({}, {}));
    return pools_.back();
}

void loop_executor::replace(std::shared_ptr<pool_core> pool) {
    pools_.push_back(std::move(pool));
    for (std::size_t i = 0; i + 1 < pools_.size(); ++i) pools_[i]->shut_down(false);
}

// Runs after all tasks of the loop have ended, so no awaited job is in a pool any more. Submitted
// jobs hold nothing of the loop.
void loop_executor::end() noexcept {
    for (const auto& pool : pools_) pool->shut_down(true);
    for (const auto& pool : pools_)
        pool->stop_running();  // jobs submitted before the pool was the loop's
    for (const auto& pool : pools_) pool->join();
}

// Acquire as well: a thread that finds the list empty re-uses the post, after the loop has finished
// with it.
void loop_executor::come_home(thread_wait& wait) noexcept {
    pool_job& job = wait;
    pool_job* last = finished_.load(std::memory_order_relaxed);
    do {
        job.next = last;
    } while (!finished_.compare_exchange_weak(last, &job, std::memory_order_acq_rel,
                                              std::memory_order_relaxed));
    if (last == nullptr) home_.try_post(post_);
}

void loop_executor::deliver() noexcept {
    pool_job* last = finished_.exchange(nullptr, std::memory_order_acq_rel);
    pool_job* first = nullptr;
    while (last != nullptr) {
        pool_job* const before = last->next;
        last->next = first;
        first = std::exchange(last, before);
    }
    while (first != nullptr)
        wake(static_cast<thread_wait&>(*std::exchange(first, first->next)));
}

// -- the awaiter ----------------------------------------------------------------------------------

struct thread_wait_kind {
    /// True if the job has not begun, and now never will.
    static bool take_back(thread_wait& self) noexcept {
        if ((self.state & thread_wait::simulated) != 0) {
            if ((self.state & thread_wait::ran) == 0) self.state |= thread_wait::refused;
            return true;
        }
        if (!self.pool_->take_back(self)) return false;
        self.state |= thread_wait::refused;
        wake(self);
        return true;
    }
    static void leave(leaf_wait& wait) noexcept { take_back(static_cast<thread_wait&>(wait)); }
    static void stop(leaf_wait& wait) noexcept {
        auto& self = static_cast<stoppable_thread_wait&>(wait);
        if (!take_back(self)) self.stop_.request_stop();
    }
    static constexpr wait_kind plain{"to_thread", leave, nullptr};
    static constexpr wait_kind stoppable{"to_thread", stop, nullptr};
};

thread_wait::thread_wait(const pool_job_kind& call, pool_core* pool) noexcept
    : thread_wait(call, pool, thread_wait_kind::plain) {}

stoppable_thread_wait::stoppable_thread_wait(const pool_job_kind& call, pool_core* pool)
    : thread_wait(call, pool, thread_wait_kind::stoppable) {}

void thread_wait::await_suspend(std::coroutine_handle<> frame, location at) {
    if (state != 0) {  // refused
        park(*this, frame, at);
        return requeue(*this);
    }
    executor_ = &loop_executor::of(running_loop());
    if (pool_ == nullptr) pool_ = executor_->pool().get();
    bindings_ = carry_bindings();
    park(*this, frame, at);
    if (run_elsewhere(*task->home, run_simulated, this)) {
        state |= simulated;
        return;
    }
    const pool_core::answer answer = pool_->submit(*this, true);
    if (answer == pool_core::answer::taken) return;
    state |= on_loop;
    if (answer == pool_core::answer::run_here || answer == pool_core::answer::no_thread)
        pool_job::kind->run(*this);  // delays other tasks, but the call is not lost
    else
        refuse(static_cast<int>(answer));
}

void thread_wait::refuse(int answer) noexcept {
    std::exception_ptr why;
    try {
        const auto of_pool = static_cast<pool_core::answer>(answer);
        if (of_pool != pool_core::answer::dropped) throw_refusal(*pool_, of_pool);
    } catch (...) {
        why = std::current_exception();
    }
    pool_job::kind->give_up(*this, std::move(why));
}

job_origin thread_wait::origin() const noexcept {
    return {bindings_, &executor_->home(), task->innermost};
}

std::exception_ptr thread_wait::given_up() {
    return std::make_exception_ptr(future_cancelled("the pool has discarded the call"));
}

void thread_wait::finish() noexcept {
    if ((state & on_loop) != 0)
        wake(*this);
    else
        executor_->come_home(*this);
}

// Runs on the loop's thread, at a moment that the simulator chooses. A call that was cancelled
// before does not begin. It still returns at that moment, because the simulator keeps its address
// until then.
void thread_wait::run_simulated(void* wait) noexcept {
    auto& self = *static_cast<thread_wait*>(wait);
    self.state |= ran;
    self.pool_job::kind->run(self);
}

}  // namespace detail

void loop::set_default_executor(thread_pool pool) {
    detail::loop_executor::of(*this).replace(pool.release());
}

task<> shutdown_default_executor() {
    const std::shared_ptr<detail::pool_core> pool =
        detail::loop_executor::of(running_loop()).pool();
    pool->must_not_be_own();
    pool->shut_down(false);
    co_await detail::pool_core::ended(pool);
}

}  // namespace v0
}  // namespace rondo
