// SPDX-License-Identifier: MIT
// Starts coroutines that threads have sent to a loop.
#include <rondo/from_threads.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

shared_core& coroutine_start::launch(task<> t) {
    if (around_ == nullptr) return future_core(create_task(std::move(t), {}, where_));
    scope& between = *job_scope_.release();  // destroyed when the task has left the tree
    between.flags = scope::of_job | (around_->flags & scope::inherited);
    around_->add_child(between);
    resumer& loop = running();
    auto& frame = t.release();
    loop.push(prepare(frame, loop, between, where_));
    return frame;
}

const job_origin& origin_for_block_on() {
    if (here.turn != nullptr)
        throw invalid_state_error(
            "block_on on a loop's own thread would stop the loop: co_await the task");
    const job_origin* origin = job_origin::of_this_thread();
    if (origin == nullptr || origin->home == nullptr)
        throw invalid_state_error(
            "block_on outside of a job that a task has made: use run_coroutine_threadsafe or run");
    return *origin;
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
