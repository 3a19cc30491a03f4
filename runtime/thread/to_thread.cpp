// SPDX-License-Identifier: MIT
// The awaiter of to_thread and run_in_executor: hands the call to a pool, or to the simulator, and
// takes it back if it is cancelled before it begins.
#include <rondo/to_thread.hpp>

#include "thread/loop_executor.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

struct thread_call_kind {
    /// True if the job has not begun, and now never will.
    static bool take_back(thread_call_wait& self) noexcept {
        if ((self.state & thread_call_wait::simulated) != 0) {
            if ((self.state & thread_call_wait::ran) == 0) self.state |= thread_call_wait::refused;
            return true;
        }
        if (!self.pool_->take_back(self)) return false;
        self.state |= thread_call_wait::refused;
        wake(self);
        return true;
    }
    static void leave(leaf_wait& wait) noexcept { take_back(static_cast<thread_call_wait&>(wait)); }
    static void stop(leaf_wait& wait) noexcept {
        auto& self = static_cast<stoppable_thread_call_wait&>(wait);
        if (!take_back(self)) self.stop_.request_stop();
    }
    static constexpr wait_kind plain{"to_thread", leave, nullptr};
    static constexpr wait_kind stoppable{"to_thread", stop, nullptr};
};

thread_call_wait::thread_call_wait(const pool_job_kind& call, pool_core* pool) noexcept
    : thread_call_wait(call, pool, thread_call_kind::plain) {}

stoppable_thread_call_wait::stoppable_thread_call_wait(const pool_job_kind& call, pool_core* pool)
    : thread_call_wait(call, pool, thread_call_kind::stoppable) {}

void thread_call_wait::await_suspend(std::coroutine_handle<> frame, location at) {
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

void thread_call_wait::refuse(int answer) noexcept {
    std::exception_ptr why;
    try {
        const auto of_pool = static_cast<pool_core::answer>(answer);
        if (of_pool != pool_core::answer::dropped) throw_refusal(*pool_, of_pool);
    } catch (...) {
        why = std::current_exception();
    }
    pool_job::kind->give_up(*this, std::move(why));
}

job_origin thread_call_wait::origin() const noexcept {
    return {bindings_, &executor_->home(), task->innermost};
}

std::exception_ptr thread_call_wait::given_up() {
    return std::make_exception_ptr(future_cancelled("the pool has discarded the call"));
}

void thread_call_wait::finish() noexcept {
    if ((state & on_loop) != 0)
        wake(*this);
    else
        executor_->push_finished(*this);
}

// Runs on the loop's thread, at a moment that the simulator chooses. A call that was cancelled
// before does not begin. It still returns at that moment, because the simulator keeps its address
// until then.
void thread_call_wait::run_simulated(void* wait) noexcept {
    auto& self = *static_cast<thread_call_wait*>(wait);
    self.state |= ran;
    self.pool_job::kind->run(self);
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
