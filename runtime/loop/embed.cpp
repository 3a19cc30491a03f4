// SPDX-License-Identifier: MIT
// A loop inside another library's loop. The contract is one descriptor, which is readable whenever
// poll() would do something. Three things make it so:
//   - the kernel writes it with each completion (an eventfd registered with the ring), except while
//     poll() itself polls the kernel: half of those wake-ups would be spurious;
//   - one timeout entry in the ring is kept at the next deadline, so that timers are completions
//   too;
//   - any call that makes a task ready, moves the earliest deadline or makes an entry writes it, if
//   no
//     turn is running.
#include <cerrno>

#include "loop/loop_core.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

void loop_core::host_wanted() noexcept {
    must_be_ours();
    if (embedded_) kernel->signal_event();
}

int loop_core::host_fd() {
    if (closed) throw invalid_state_error("this loop was closed");
    if (!embedded_) {
        if (here.turn != this) kernel->attach();
        const int number = kernel->event_fd();
        if (number < 0) throw_system_error(-number, "loop.fd", "");
        embedded_ = true;
        inbox->embed();
        kernel->signal_event();  // poll() must look at what was made before
    }
    return kernel->event_fd();
}

void loop_core::host_poll(duration budget) {
    running_turn running(*this);
    stopping = false;  // poll never waits, so there is no wait to end
    if (embedded_) {
        kernel->watch_event(false);
        kernel->drain_event();
    }
    if (budget != duration::max()) pause_at = saturating_add(kernel->now(), budget);
    poll_kernel(time_point::min());
    bool more = !ready_.empty();
    while (more && !stopping) {  // at least one resumption, however small the budget
        run_ready();
        poll_kernel(time_point::min());
        more = !ready_.empty() && (pause_at == time_point::max() || kernel->now() < pause_at);
    }
    if (!embedded_) return;
    watch_idleness();
    arm_host_timeout();
    poll_kernel(time_point::min());
    kernel->watch_event(true);
    poll_kernel(time_point::min());  // takes completions from before the event was watched again
    more = !ready_.empty() || !backlog_.empty() || inbox->pending();
    if (more || timers.next() < host_deadline_) kernel->signal_event();
}

void loop_core::arm_host_timeout() noexcept {
    const time_point due = timers.next();
    if (due == time_point::max() || due == host_deadline_) return;
    entry* slot = kernel->next_entry();
    if (slot == nullptr) return kernel->signal_event();  // no free entry: the host calls again
    const auto ns = due.time_since_epoch().count();
    host_timespec_[0] = ns / 1'000'000'000;
    host_timespec_[1] = ns % 1'000'000'000;
    host_deadline_ = due;
    *slot = entry{};
    if (host_timeout_armed_) {
        slot->code = opcode::timeout_remove;
        slot->address = tag_host_timeout;
        slot->offset = address_of(host_timespec_);
        slot->op_flags = timeout_update | timeout_absolute;
        slot->user_data = tag_host_update;
    } else {
        slot->code = opcode::timeout;
        slot->address = address_of(host_timespec_);
        slot->length = 1;
        slot->op_flags = timeout_absolute;
        slot->user_data = tag_host_timeout;
        host_timeout_armed_ = true;
    }
}

void loop_core::host_completion(const completion& c) noexcept {
    if (c.user_data == tag_host_timeout) {
        host_timeout_armed_ = false;
        host_deadline_ = time_point::max();
    } else if (c.user_data == tag_host_update && c.result < 0) {
        host_deadline_ = time_point::max();  // it had expired already; its own completion follows
    } else if (c.user_data == tag_idle) {
        idle_timeout_ended();
    }
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
