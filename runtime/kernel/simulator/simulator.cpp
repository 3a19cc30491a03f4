// SPDX-License-Identifier: MIT
// One turn of the simulated kernel: submit entries, run due events, complete operations. See
// simulator.hpp.
#include "kernel/simulator/simulator.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace rondo {
inline namespace v0 {
namespace detail {

simulator::simulator(const simulator_options& options)
    : core_(options),
      user_dice_(sim_dice::mix(~options.seed)),
      queue_(std::max(options.queue_entries, 1U)) {}

simulator::~simulator() = default;

void simulator::attach() {
    const std::thread::id here = std::this_thread::get_id();
    if (in_flight() > 0 && thread_ != here)
        throw std::system_error(EBUSY, std::system_category(),
                                "attach a simulated kernel with operations in flight");
    thread_ = here;
}

entry* simulator::next_entry() noexcept {
    return queued_ < queue_.size() ? &queue_[queued_++] : nullptr;
}

entered simulator::enter(time_point deadline, completion* out, std::size_t room) noexcept {
    const std::lock_guard lock(mutex_);
    ++counters_.enters;
    out_ = out;
    room_ = room;
    filled_ = 0;
    begin_queued();
    bool stuck = false;
    if (deadline <= core_.now || room == 0 || woken_.exchange(false)) {
        core_.now += core_.dice.between(core_.options.step);
        run_due(core_.now);
    } else {
        stuck = wait(deadline);
    }
    return {filled_, stuck};
}

void simulator::submit() noexcept {
    const std::lock_guard lock(mutex_);
    begin_queued();
}

void simulator::begin_queued() {
    for (std::size_t at = 0; at < queued_; ++at) begin_entry(queue_[at]);
    counters_.entries += queued_;
    queued_ = 0;
}

/// Waits for a completion or a wake until the deadline. Returns: true if no event is left to wait
/// for.
bool simulator::wait(time_point deadline) {
    while (filled_ == 0) {
        const sim_event* const next = core_.upcoming();
        if (next == nullptr && deadline == time_point::max()) return true;
        if (next == nullptr || next->time > deadline) {
            core_.now = deadline;
            return false;
        }
        run_event(core_.take_upcoming());
        if (woken_.exchange(false)) return false;
    }
    run_due(std::min(deadline, core_.now + core_.dice.between(core_.options.batch)));
    return false;
}

void simulator::run_due(time_point until) {
    while (filled_ < room_) {
        const sim_event* const next = core_.upcoming();
        if (next == nullptr || next->time > until) return;
        run_event(core_.take_upcoming());
    }
}

void simulator::run_event(const sim_event& event) {
    core_.now = std::max(core_.now, event.time);
    core_.note(static_cast<std::uint64_t>(event.kind));
    core_.note(static_cast<std::uint64_t>(event.time.time_since_epoch().count()));
    switch (event.kind) {
        case sim_event_kind::operation:
            return run_operation(core_.operations[event.index]);
        case sim_event_kind::job:
            return run_job(jobs_[event.index]);
        default:
            return network_.arrive(event);
    }
}

namespace {

bool is_multishot(const entry& what) noexcept {
    if (what.code == opcode::accept) return (what.ioprio & accept_multishot) != 0;
    if (what.code == opcode::recv) return (what.ioprio & receive_multishot) != 0;
    return what.code == opcode::poll_add && (what.length & poll_multishot) != 0;
}

}  // namespace

void simulator::run_operation(sim_operation& operation) {
    operation.scheduled = false;
    if (operation.delayed) {
        operation.delayed = false;
        return begin(operation);
    }
    const std::int32_t result = operation.decided ? operation.verdict : attempt(operation);
    const bool ended = result < 0 || (result == 0 && operation.what.code == opcode::recv);
    const bool more = !operation.decided && !ended && is_multishot(operation.what);
    if (result != sim_wait) complete(operation, result, more);
    if (result != sim_wait && !more) return;
    if (operation.cancel_asked)  // the cancel came too late for this completion, not for the next
        core_.decide_cancelled(operation);
    else if (operation.socket != nullptr)
        network_.advance(*operation.socket);
}

void simulator::complete(sim_operation& operation, std::int32_t result, bool more) {
    core_.note(operation.sequence);
    core_.note(static_cast<std::uint64_t>(result));
    if (more || result < 0 || (operation.what.flags & entry_skip_success) == 0) {
        std::uint32_t flags = more ? completion_more : 0U;
        if (operation.picked >= 0)
            flags |= completion_buffer | static_cast<std::uint32_t>(operation.picked) << 16;
        operation.picked = -1;
        out_[filled_++] = {operation.what.user_data, result, flags};
        ++counters_.completions;
    }
    if (more) return;
    sim_socket* const socket = operation.socket;
    if (socket != nullptr) network_.finish(operation, result);
    if (operation.is_counted) --descriptor_of(operation.what.fd).in_flight;
    if (operation.queue != nullptr) operation.queue->remove(operation);
    by_user_data_.remove(operation);
    operation.sequence = 0;
    core_.operations.give(operation);
    if (socket != nullptr) network_.advance(*socket);
}

// -- lent buffers --

int simulator::lend_buffers(char* memory, unsigned count, unsigned size,
                            unsigned stride) noexcept {
    if (lent_ != nullptr) return -EEXIST;
    lent_ = memory;
    lent_size_ = size;
    lent_stride_ = stride;
    for (unsigned number = 0; number < count; ++number)
        lent_free_.push_back(static_cast<std::uint16_t>(number));
    return 0;
}

void simulator::return_buffer(std::uint16_t number) noexcept { lent_free_.push_back(number); }

// -- from elsewhere --

void simulator::wake() noexcept { woken_.store(true); }

bool simulator::run_elsewhere(void (*run)(void*), void* argument) noexcept {
    const std::lock_guard lock(mutex_);
    job& fresh = jobs_.take();
    fresh.run = run;
    fresh.argument = argument;
    sim_event event;
    event.kind = sim_event_kind::job;
    event.index = fresh.index;
    event.time = core_.now + core_.dice.between(core_.options.job);
    core_.post(event);
    return true;
}

/// Runs a job without the lock, since it may make descriptor calls.
void simulator::run_job(job& due) {
    const job copy = due;
    jobs_.give(due);
    mutex_.unlock();
    copy.run(copy.argument);
    mutex_.lock();
}

int simulator::event_fd() noexcept { return -ENOSYS; }

// -- network faults for tests --

void simulator::set_network(sim_latency one_way, sim_datagram_fate datagrams) {
    const std::lock_guard lock(mutex_);
    core_.options.network = one_way;
    core_.options.datagrams = datagrams;
}

namespace {
sim_name name_of(const sockaddr* part, socklen_t size) noexcept {
    sim_name name = sim_name::any(AF_UNSPEC);
    sim_name::read(part->sa_family, part, size, name);
    return name;
}
}  // namespace

void simulator::cut_off(const sockaddr* part, socklen_t size) {
    const std::lock_guard lock(mutex_);
    network_.cut_off(name_of(part, size));
}

void simulator::restore(const sockaddr* part, socklen_t size) {
    const std::lock_guard lock(mutex_);
    network_.restore(name_of(part, size));
}

void simulator::reset_connections() {
    const std::lock_guard lock(mutex_);
    network_.reset_connections();
}

}  // namespace detail
}  // namespace v0
}  // namespace rondo
