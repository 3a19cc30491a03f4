// SPDX-License-Identifier: MIT
// A loop's pool of threads, and the way of a job: from the awaiting frame into the pool's queue, onto a thread, and home.
//
// Out: one mutex and an intrusive FIFO. A thread takes one job at a time (one that took the whole list would be faster
// and starve the others), and is woken only when it sleeps. Threads are started when none is idle, up to the limit.
//
// Home: finished jobs are pushed onto a list of the loop's, one compare-and-swap each. Whoever finds it empty posts to
// the loop, and the loop takes the whole list: one post for a batch. The post's place was made with the executor, so the
// way home neither allocates nor fails. The loop's hook joins the threads; they hold nothing of it after that.
#include <rondo/executor.hpp>

#include <atomic>
#include <memory>
#include <vector>

#include "thread/pool_core.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// What a loop has of this layer: its pool, and the list that jobs come home by.
class loop_executor {
public:
    explicit loop_executor(remote home) noexcept : home_(std::move(home)) {}

    static loop_executor& of(loop& loop);

    /// The job has ended: its task is ready in the loop's next look. Any thread.
    void come_home(thread_wait& wait) noexcept;

    const remote& home() const noexcept { return home_; }
    /// Made on first use. Throws: std::bad_alloc.
    const std::shared_ptr<pool_core>& pool();
    void replace(std::shared_ptr<pool_core> pool);

private:
    void deliver() noexcept;
    void end() noexcept;

    std::vector<std::shared_ptr<pool_core>> pools_;  // the last one is in use

    std::atomic<pool_job*> finished_{nullptr};  // the last one first
    remote home_;
    preallocated_post post_{[](void* self) noexcept { static_cast<loop_executor*>(self)->deliver(); },
                        this};
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

// Behind the loop's tasks: no await of them is in a pool any more. They hold nothing of the loop.
void loop_executor::end() noexcept {
    for (const auto& pool : pools_) pool->shut_down(true);
    for (const auto& pool : pools_) pool->stop_running();  // what was submitted before it became the loop's
    for (const auto& pool : pools_) pool->join();
}

// Acquire, too: the one who finds the list empty re-uses the post, after the loop has let go of it.
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

// -- the awaiter ------------------------------------------------------------------------------------------------------

struct thread_wait_kind {
    /// True where the job has not begun, and now never does.
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
        pool_job::kind->run(*this);  // better late for others than lost
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

// On the loop's thread, at a moment of the simulator's choice. What was cancelled before has not begun and never does;
// it comes home at that moment all the same, since the simulator keeps its address until then.
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
    const std::shared_ptr<detail::pool_core> pool = detail::loop_executor::of(running_loop()).pool();
    pool->must_not_be_own();
    pool->shut_down(false);
    co_await detail::pool_core::ended(pool);
}

}  // namespace v0
}  // namespace rondo
