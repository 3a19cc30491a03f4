// SPDX-License-Identifier: MIT
// The thread pool of a loop: its making, its replacement, its end, and the jobs that return to the
// loop (loop_executor.hpp). pool_core.hpp has the way of a job to a thread.
#include <rondo/executor.hpp>

#include "thread/loop_executor.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

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
    const auto cancels = [](const auto& pool) {
        return pool->on_destruction() == queued_jobs::cancel;
    };
    for (const auto& pool : pools_) pool->shut_down(cancels(pool));
    for (const auto& pool : pools_)
        if (cancels(pool)) pool->stop_running();  // jobs submitted before the pool was the loop's
    for (const auto& pool : pools_) pool->join();
}

// Acquire as well: a thread that finds the list empty re-uses the post, after the loop has finished
// with it.
void loop_executor::push_finished(thread_call_wait& wait) noexcept {
    pool_job& job = wait;
    pool_job* last = finished_.load(std::memory_order_relaxed);
    do {
        job.links.next = last;
    } while (!finished_.compare_exchange_weak(last, &job, std::memory_order_acq_rel,
                                              std::memory_order_relaxed));
    if (last == nullptr) home_.try_post(post_);
}

void loop_executor::deliver() noexcept {
    pool_job* last = finished_.exchange(nullptr, std::memory_order_acq_rel);
    pool_job* first = nullptr;
    while (last != nullptr) {
        pool_job* const before = last->links.next;
        last->links.next = first;
        first = std::exchange(last, before);
    }
    while (first != nullptr)
        wake(static_cast<thread_call_wait&>(*std::exchange(first, first->links.next)));
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
