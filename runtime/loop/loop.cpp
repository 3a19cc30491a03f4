// SPDX-License-Identifier: MIT
// One turn of the loop. docs/loop.md describes it with the same numbers.
#include <rondo/loop.hpp>

#include <mutex>

#include "loop/loop_core.hpp"
#include "coroutine/trampoline.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

namespace {
std::mutex all_loops_mutex;
intrusive_list<loop_core, &loop_core::in_all_loops> all_loops;
}  // namespace

bool is_open(const resumer& home) noexcept {
    if (here.turn == &home) return true;
    std::lock_guard lock(all_loops_mutex);
    for (const loop_core* l = all_loops.first(); l != nullptr; l = all_loops.next(*l))
        if (l == &home) return !l->closed;
    return false;
}

loop_core::loop_core(loop& f, std::shared_ptr<detail::kernel> k, const loop_options& o)
    : resumer(scope_tree::tree), face(f), kernel(std::move(k)), options(o),
      inbox(std::make_shared<detail::inbox>(*kernel)) {
    std::lock_guard lock(all_loops_mutex);
    all_loops.prepend(*this);
}

loop_core::~loop_core() {
    RONDO_ASSERT(operations == 0, "a loop was freed while the kernel still uses its operations");
    {
        std::lock_guard lock(all_loops_mutex);
        all_loops.remove(*this);
    }
    inbox->close();
    kernel->unregister_all_files();
    constexpr std::size_t for_the_next_loop = std::size_t{2} << 20;
    release_unused_frames(for_the_next_loop);
}

void loop_core::check_usable() const {
    if (closed && !leaving) throw invalid_state_error("this loop was closed and cannot run again");
    if (here.turn == this)
        throw invalid_state_error("run inside run: this loop is running already");
    if (here.turn != nullptr && core_of(*here.turn).process.is_current())
        throw invalid_state_error("run inside run: another loop is running on this thread");
}

void loop_core::must_be_ours() const noexcept {
    const thread_state* const inside = inside_.load(std::memory_order_relaxed);
    RONDO_ASSERT(inside == nullptr || inside == &here,
                 "a loop is used by one thread while another one is in its turn: use "
                 "call_soon_threadsafe, a remote(), or run_coroutine_threadsafe");
}

running_turn::only_thread::only_thread(loop_core& c) : core(c) {
    core.check_usable();
    RONDO_ASSERT(core.inside_.exchange(&here, std::memory_order_acq_rel) == nullptr,
                 "two threads run one loop at the same time");
}

running_turn::running_turn(loop_core& core) : only_(core) {
    core.kernel->attach();
    if (core.idle_timeout_on_ != this_thread_number()) core.idle_timeout_on_ = 0;
    if (here.turn != nullptr) of_parent_ = std::exchange(here, thread_state());
    core.until_no_task = false;
    core.pause_at = time_point::max();
    here.turn = &core;
}

// 1. Runs what was ready when the turn began; what becomes ready meanwhile waits for the next turn.
//    Every 61 resumptions it submits the entries and looks at the clock. At the end of a turn after
//    so many, it polls the kernel without waiting, so that tasks that are always ready do not
//    starve the others. Not in the middle of a turn: completions would be queued after all ready
//    tasks anyway, and with a thousand busy connections everything would be received, and drop out
//    of the caches, before any of it is answered.
// 2. If nothing is ready, it polls the kernel and waits.
void loop_core::turn(time_point until) {
    run_ready(true);
    if (!ready_.empty() || stopping) return;
    watch_idleness();
    const bool nothing_left = tasks() == 0 && (until_no_task || (leaving && operations == 0));
    poll_kernel(nothing_left ? time_point::min() : until);
}

// Runs turn after turn in this function while something is ready: with one task that yields again
// and again, calling it for each turn would be a third of the cost.
void loop_core::run_ready(bool and_on) {
    do {
        ++counted.turns;
        if (ready_.empty()) {
            ++turns_without_;
            return;
        }
        const ready_item* last = &ready_.back();
        for (bool more = true; more && !stopping;) {
            ready_item& item = ready_.pop();
            more = &item != last;
            __builtin_prefetch(item.next_ready);
            resume(item);
            if (--until_poll_ <= 0) [[unlikely]] {
                if (more) {
                    if (until_poll_ % poll_every == 0) submit_only();
                } else {
                    poll_kernel(time_point::min());
                    and_on = false;
                }
                if (pause_at != time_point::max() && kernel->now() >= pause_at) return;
            }
        }
    } while (and_on && !stopping && !ready_.empty());
}

bool loop_core::turn_once(time_point until) {
    if (ready_.empty()) poll_kernel(until);
    const bool anything = !ready_.empty();
    run_ready();
    poll_kernel(time_point::min());
    return anything;
}

void loop_core::run_inside(task_record& record) noexcept { resume(record); }

void loop_core::run_until_done(const task_handle& task) {
    struct stopper : wait_node {
        loop_core* core;
        shared_core* watched;
        ~stopper() {
            if (linked()) watched->watchers.remove(*this);
        }
    } at_end;
    running_turn running(*this);
    at_end.core = this;
    at_end.watched = &future_core(task);
    at_end.wake = [](wait_node& node, shared_core*) noexcept {
        static_cast<stopper&>(node).core->stopping = true;
    };
    if (at_end.watched->is_done()) return;
    if (&home_of(*at_end.watched) != this)
        throw invalid_state_error("run_until_complete was given a future of another loop");
    at_end.watched->watchers.append(at_end);
    if (std::exchange(stopping, false)) {
        turn_once(time_point::min());
    } else {
        while (!stopping) {
            turn(time_point::max());
            if (on_turn) on_turn();
        }
    }
    if (at_end.linked())
        throw invalid_state_error("the loop was stopped before the awaited task had ended");
}

// 3. Operations of the backlog get entries, in the order in which they were made.
// 4. One system call submits every entry and waits: not at all if something is ready, else until
//    the next deadline.
// 5. Completions make their tasks ready.
// 6. Posts from other threads run.
// 7. Expired timers make their tasks ready.
void loop_core::poll_kernel(time_point until) {
    const bool has_budget = pause_at != time_point::max();  // then look at the clock each time
    until_poll_ = has_budget ? 1 : poll_every;
    if (!backlog_.empty()) [[unlikely]] make_backlog_entries();
    time_point wait_until = wake_time(until);
    const bool sleeps = wait_until != time_point::min() && inbox->begin_sleep();
    if (!sleeps) wait_until = time_point::min();
    for (;;) {
        const entered e = kernel->enter(wait_until, completions_.data(), completions_.size());
        if (sleeps) inbox->end_sleep();
        if (e.stuck && until == time_point::max()) stuck();
        for (std::size_t i = 0; i < e.completions; ++i) {
            // With many connections, operations have been cold since they were begun. It may be no
            // address; a prefetch does not fault.
            const std::uint64_t soon = completions_[(i + 2) % completions_.size()].user_data;
            for (const std::uint64_t line : {0u, 64u, 128u})
                __builtin_prefetch(reinterpret_cast<const void*>(soon + line));
            complete(completions_[i]);
        }
        if (e.completions < completions_.size()) break;
        wait_until = time_point::min();
    }
    if (next_post_ != posts_.size() || !preallocated_.empty() || inbox->pending()) deliver_posts();
    expire_timers();
}

void loop_core::submit_only() {
    if (!backlog_.empty()) [[unlikely]] make_backlog_entries();
    kernel->submit();
    if (next_post_ != posts_.size() || !preallocated_.empty() || inbox->pending()) deliver_posts();
    expire_timers();
}

time_point loop_core::wake_time(time_point until) const noexcept {
    // An operation in the backlog gets an entry when the present ones are submitted. It may be the
    // cancel of the very operation that the loop would wait for.
    if (!ready_.empty() || !backlog_.empty()) return time_point::min();
    const time_point due = timers.next();
    if (due == time_point::max()) return until;
    return std::min(until, saturating_add(due, options.timer_slack));
}

void loop_core::deliver_posts() {
    if (next_post_ == posts_.size() && preallocated_.empty()) {
        posts_.clear();
        next_post_ = 0;
        inbox->take(posts_, preallocated_);  // posts made meanwhile wait for the next call
    }
    while (next_post_ < posts_.size()) {
        const inbox::post post = posts_[next_post_++];
        ++counted.posts;
        try {
            post.run(post.word);
        } catch (...) {
            report("a posted callback threw", std::current_exception());
        }
    }
    while (!preallocated_.empty()) {
        const preallocated_post& post = preallocated_.pop();
        ++counted.posts;
        post.run(post.word);
    }
}

void loop_core::expire_timers() noexcept {
    if (timers.size() == 0) return;
    timers.expire(kernel->now());
}

void loop_core::stuck() {
    print_tasks("deadlock: nothing can wake these tasks");
    throw deadlock_error("deadlock: every task waits and nothing can wake one");
}

// -- for authors of awaitables --------------------------------------------------------------------

resumer& running() {
    if (here.turn == nullptr) throw no_running_loop_error();
    return *here.turn;
}

time_point now(resumer& home) noexcept { return core_of(home).kernel->now(); }

std::uint64_t random(resumer& home) noexcept { return core_of(home).kernel->random(); }

void set_timer(resumer& home, timer_node& node, time_point when) {
    loop_core& core = core_of(home);
    if (node.is_set())
        core.timers.update(node, when);
    else
        core.timers.set(node, when);
    if (here.turn != &home) [[unlikely]] core.host_wanted();
}

void cancel_timer(resumer& home, timer_node& node) noexcept {
    core_of(home).timers.cancel(node);
}

bool run_elsewhere(resumer& home, void (*run)(void*), void* argument) noexcept {
    return core_of(home).kernel->run_elsewhere(run, argument);
}

remote remote_of(resumer& home) noexcept { return rondo::remote(core_of(home).inbox); }

}  // namespace detail

loop& running_loop() { return detail::core_of(detail::running()).face; }

std::vector<task_handle> all_tasks() { return running_loop().all_tasks(); }

}  // namespace v0
}  // namespace rondo
