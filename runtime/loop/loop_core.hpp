// SPDX-License-Identifier: MIT
// The parts of a loop: the ready queue (its base class), the kernel, the timers, the inbox, the
// backlog of operations, and the top of the tree of scopes. loop.cpp runs turns on it,
// operation.cpp gives it operations, leave.cpp ends it, embed.cpp puts it inside another library's
// loop.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include <rondo/loop.hpp>
#include <rondo/operation.hpp>

#include "base/identity.hpp"
#include "loop/inbox.hpp"
#include "kernel/kernel.hpp"
#include "loop/loop_watch.hpp"
#include "loop/timers.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

/// Values of user_data that are no addresses of operations. 0 to 15 belong to the kernel. From
/// tag_cancel to first_address: cancels, which carry a few bits of their target's address.
enum user_data_tag : std::uint64_t {
    tag_host_timeout = 16,
    tag_host_update = 17,
    tag_idle = 18,
    tag_cancel = 32
};

struct scope_tree {
    scope tree{nullptr, {}, {}, scope::of_loop, 0};
};

/// A callback of call_soon, call_later or call_at, to which handles refer.
struct scheduled_call : callback_item, timer_node {
    function<void()> fn;
    loop_core* home = nullptr;  // null once it was called or cancelled
    list_links<scheduled_call> pending;  // in loop_core::calls
    time_point when{};
    unsigned holders = 0;
    bool queued = false;  // in the ready queue, from which it cannot be removed
    bool was_cancelled = false;
};

/// Counts reports of errors written to stderr: an error that repeats must not fill a disk.
struct written_reports {
    static constexpr unsigned limit = 20;  // in a second
    time_point since{};
    unsigned count = 0;
    std::uint64_t left_out = 0;
};

class RONDO_API loop_core final : private scope_tree, public resumer {
public:
    loop_core(loop& face, std::shared_ptr<kernel> kernel, const loop_options& options);
    ~loop_core() override;

    // -- turns (loop.cpp) -------------------------------------------------------------------------
    /// Runs what is ready. If nothing is ready, waits until `until` at most.
    void turn(time_point until);
    /// Runs what is ready now. With `and_on`, runs further turns until nothing is ready, or the
    /// kernel was polled.
    void run_ready(bool and_on = false);
    /// Runs one turn, which waits until `until` if nothing is ready. True if a task or callback was
    /// ready.
    bool turn_once(time_point until);
    /// Runs turns until `task` has ended.
    void run_until_done(const task_handle& task);
    /// Polls the kernel, the inbox and the clock once. Waits until `until` if nothing is ready.
    void poll_kernel(time_point until);
    /// In the middle of a turn: submits the entries, and polls the inbox and the clock, not the
    /// kernel.
    void submit_only();
    bool anything_ready() const noexcept { return !ready_.empty(); }
    /// Runs a task that has not begun at once, inside a turn (task_options::eager).
    void run_inside(task_record& record) noexcept;
    void check_usable() const;
    /// Aborts if another thread is in a turn of this loop.
    void must_be_ours() const noexcept;
    void deliver_posts();

    // -- operations (operation.cpp) ---------------------------------------------------------------
    void begin(operation_state& operation) noexcept;
    void begin_background(background_operation& operation) noexcept;
    void cancel(operation_state& operation) noexcept;
    void complete(const completion& c) noexcept;
    bool begin_again(operation_state& operation) noexcept;
    void cancel_failed(const completion& c) noexcept;
    bool make_entry(operation_state& operation) noexcept;
    bool make_cancel(operation_state& operation) noexcept;
    void finish(operation_state& operation) noexcept;
    void make_backlog_entries() noexcept;
    void left_background(background_operation& operation) noexcept;
    bool finish_closings() noexcept;
    void queue(operation_state& operation) noexcept;
    void no_longer_cancelled(operation_state& operation) noexcept;

    // -- ending (leave.cpp) -----------------------------------------------------------------------
    /// With `drop_callbacks`, pending callbacks of call_soon are not called.
    void leave(bool drop_callbacks);
    void end_tasks();
    void wait_for_tasks();
    /// True if it has ended. Between `closed` and this it waits for work that its last callbacks
    /// have begun.
    bool is_left() const noexcept { return closed && !leaving; }
    const char* why_not_left() const noexcept;
    void cancel_background() noexcept;
    bool only_foreign_left() noexcept;
    void abandon_foreign();
    void run_hooks() noexcept;
    void run_what_is_left();
    void run_what_is_ready();
    void print_tasks(const char* headline) const;
    void report(std::string message, std::exception_ptr error) noexcept;
    void report(const exception_context& context) noexcept;
    bool may_write_report() noexcept;
    void tell_left_out() noexcept;

    // -- embedding (embed.cpp) --------------------------------------------------------------------
    void host_wanted() noexcept override;
    int host_fd();
    void host_poll(duration budget);
    void arm_host_timeout() noexcept;
    void host_completion(const completion& c) noexcept;

    // -- memory of an idle loop (idle.cpp) --------------------------------------------------------
    /// Call it when nothing is ready, before the loop waits.
    void watch_idleness() noexcept {
        if (idle_timeout_on_ == 0 && turns_with_work() != turns_seen_) begin_idle_timeout();
    }

    list_links<loop_core> in_all_loops;    // among all loops of the process
    loop& face;
    std::shared_ptr<detail::kernel> kernel;
    loop_options options;
    std::shared_ptr<detail::inbox> inbox;
    timer_heap timers;
    // Shared, since the handler may replace itself.
    std::shared_ptr<function<void(const exception_context&)>> handler;
    std::vector<function<void()>> hooks;
    std::vector<std::pair<const void*, std::shared_ptr<void>>> extensions;  // loop::extension
    intrusive_list<scheduled_call, &scheduled_call::pending> calls;  // not yet called
    fd_watches watches;  // add_reader, add_writer
    background_list background;            // operations of no task; cancelled when the loop ends
    std::size_t operations = 0;            // begun and not done
    std::size_t closings = 0;              // closed descriptors that still have operations
    loop_stats counted;
    written_reports reports;
    function<void()> on_turn;              // run() looks for a signal in it
    time_point pause_at = time_point::max();  // poll(budget) returns then
    const birth_process process;           // a forked child is another process
    bool stopping = false;                 // ends the current run, or the next one
    bool until_no_task = false;            // set by run(): do not wait when no task is left
    bool closed = false;
    bool leaving = false;

private:
    friend class running_turn;
    friend bool is_open(const resumer& home) noexcept;
    void expire_timers() noexcept;
    time_point wake_time(time_point until) const noexcept;
    [[noreturn]] void stuck();
    std::uint64_t turns_with_work() const noexcept { return counted.turns - turns_without_; }
    void begin_idle_timeout() noexcept;
    void idle_timeout_ended() noexcept;

    std::atomic<const thread_state*> inside_{nullptr};  // `here` of the thread that is in a turn
    operation_fifo backlog_;    // waiting for a free submission entry
    operation_fifo cancelled_;  // in flight, their cancels submitted
    std::vector<inbox::post> posts_;
    preallocated_posts preallocated_;  // taken from the inbox with posts_, run after them
    std::size_t next_post_ = 0;
    int until_poll_ = poll_every;  // resumptions left; negative: overdue
    bool embedded_ = false;
    bool host_timeout_armed_ = false;
    time_point host_deadline_ = time_point::max();
    std::int64_t host_timespec_[2] = {0, 0};
    std::uint64_t turns_without_ = 0;  // turns that found nothing ready
    std::uint64_t turns_seen_ = 0;     // turns_with_work() when the idle timeout began or ended
    std::uint64_t idle_timeout_on_ = 0;  // number of the thread whose ring has it; 0: none
    time_point waited_at_{};             // on the simulator: when the loop last waited
    std::array<completion, 256> completions_;

    // Resumptions between two polls. Entering the kernel on every turn costs 20 times a ready
    // transfer.
    static constexpr int poll_every = 61;
};

/// Whether there is a loop at this address that has not been closed. For futures, which may outlive
/// their loop.
bool is_open(const resumer& home) noexcept;

/// At the loop's end: drops the pending callbacks.
void drop_calls(loop_core& core) noexcept;

/// While it lives, the loop runs on this thread and on no other. A stop() ends the current run
/// only. A child forked by a task is inside the parent's turn, which is set aside meanwhile.
class running_turn {
public:
    explicit running_turn(loop_core& core);
    ~running_turn() {
        only_.core.stopping = false;
        here = of_parent_.value_or(thread_state());
    }
    running_turn(const running_turn&) = delete;
    running_turn& operator=(const running_turn&) = delete;

private:
    struct only_thread {
        explicit only_thread(loop_core& c);
        ~only_thread() { core.inside_.store(nullptr, std::memory_order_release); }
        loop_core& core;
    };
    const only_thread only_;
    std::optional<thread_state> of_parent_;
};

/// While it lives, code that the loop calls at its end finds the loop as the running one, on any
/// thread.
class borrowed_turn {
public:
    explicit borrowed_turn(loop_core& core) noexcept : outer_(std::exchange(here.turn, &core)) {}
    ~borrowed_turn() { here.turn = outer_; }
    borrowed_turn(const borrowed_turn&) = delete;
    borrowed_turn& operator=(const borrowed_turn&) = delete;

private:
    resumer* outer_;
};

inline loop_core& core_of(resumer& home) noexcept { return static_cast<loop_core&>(home); }

/// The loop of a task or a promise (future.cpp).
resumer& home_of(shared_core& core) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
