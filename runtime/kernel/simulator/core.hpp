// SPDX-License-Identifier: MIT
// The core of the simulator: operations in flight, and the agenda of events on virtual time.
//
// Events are in one binary heap, ordered by time, seeded tie-break and order of posting. One event
// gives at most one completion. So nothing is buffered between the simulator and the loop, and data
// is copied at the moment at which its completion is returned.
//
// A cancelled event is not searched for in the heap. It carries the ticket of its operation, and
// each scheduling issues a new ticket: an event with an old ticket is void.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <limits>
#include <vector>

#include <rondo/detail/base/intrusive_list.hpp>
#include <rondo/detail/kernel/entry.hpp>

#include "kernel/simulator/options.hpp"
#include "kernel/simulator/slab.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

struct sim_file;
struct sim_queue;
struct sim_socket;

/// Result of an attempt that has to wait. No errno and no count has this value.
inline constexpr std::int32_t sim_wait = std::numeric_limits<std::int32_t>::min();

/// One entry in flight, from submission to its last completion.
struct sim_operation {
    std::uint32_t index = 0;
    std::uint32_t ticket = 0;    // of its scheduled event; kept when the record is reused
    std::uint64_t sequence = 0;  // unique, in order of submission; 0 while the record is free
    entry what{};

    list_links<sim_operation> links;  // in `queue`
    sim_queue* queue = nullptr;
    sim_operation* bucket_next = nullptr;  // in the index by user_data

    sim_socket* socket = nullptr;
    sim_file* file = nullptr;
    // Of a cancel or removal: found at submission, valid while it still has that sequence.
    sim_operation* target = nullptr;
    std::uint64_t target_sequence = 0;

    time_point due{};          // of its event
    time_point new_time{};     // for the target, from a timeout update
    std::uint32_t moved = 0;   // bytes so far (MSG_WAITALL)
    std::int32_t verdict = 0;  // the result, if `decided`
    bool is_counted = false;       // it is counted in its descriptor's in_flight
    bool is_connecting = false;     // it is the connect that its socket is in
    bool decided = false;      // the result is decided before the event
    bool scheduled = false;
    bool delayed = false;  // by a fault: the event begins it
    bool cancel_asked = false;
    std::uint32_t max_bytes = 0;  // bytes that it may move, by a fault; 0: no limit
    bool failed = false;       // by a fault: a cancel comes too late
    std::int32_t picked = -1;  // the lent buffer that this completion has filled
};

/// FIFO of waiting operations. An operation is in at most one queue, and knows which.
struct sim_queue {
    intrusive_list<sim_operation, &sim_operation::links> operations;

    sim_operation* first() const noexcept { return operations.first(); }
    void push(sim_operation& operation) noexcept {
        operation.queue = this;
        operations.append(operation);
    }
    void remove(sim_operation& operation) noexcept {
        operations.remove(operation);
        operation.queue = nullptr;
    }
};

enum class sim_event_kind : std::uint8_t { operation, bytes, end, reset, datagram, job };

struct sim_event {
    time_point time{};
    std::uint64_t sequence = 0;
    std::uint32_t tie = 0;
    std::uint32_t index = 0;   // of the operation, socket, datagram or job
    std::uint32_t ticket = 0;  // of the operation or socket; if that has a new one, this is void
    std::uint32_t amount = 0;  // bytes that arrive
    sim_event_kind kind = sim_event_kind::operation;
};

class sim_core {
public:
    explicit sim_core(const simulator_options& chosen);

    simulator_options options;
    sim_dice dice;
    time_point now;
    std::uint64_t trace;
    sim_slab<sim_operation> operations;

    /// Mixes `value` into the hash of the run. Never pass an address: it differs in each process.
    void note(std::uint64_t value) noexcept {
        trace = (trace ^ value) * 0x9e3779b97f4a7c15U;
        trace ^= trace >> 32;
    }

    /// Posts the event of the operation, which replaces an earlier one.
    void schedule(sim_operation& operation, sim_latency after);
    void schedule_at(sim_operation& operation, time_point due);  // time_point::max(): never
    void unschedule(sim_operation& operation) noexcept;
    /// Decides the result, removes the operation from its queue and schedules its completion.
    void decide(sim_operation& operation, std::int32_t verdict);
    /// Decides the result: the bytes that MSG_WAITALL has moved, which are never lost, or
    /// -ECANCELED.
    void decide_cancelled(sim_operation& operation);

    void post(sim_event event);
    /// Returns: the next event that is not void, or null.
    const sim_event* upcoming() noexcept;
    sim_event take_upcoming() noexcept;
    std::size_t events() const noexcept { return agenda_.size(); }  // including void ones

    /// Returns: how many of `wanted` bytes a transfer moves this time: at least one, often not all.
    std::uint32_t shorten(const sim_operation& operation, std::uint32_t wanted) noexcept;

private:
    bool is_void(const sim_event& event) noexcept;
    void sweep();

    std::vector<sim_event> agenda_;  // a heap
    std::uint64_t made_ = 0;
    std::size_t voided_ = 0;  // at most this many events of the agenda are void
};

/// A chained hash table of operations by user_data. Only look-ups by key are possible, so its order
/// has no effect on a run.
class sim_index {
public:
    sim_index() : buckets_(64) {}
    void insert(sim_operation& operation);
    void remove(sim_operation& operation) noexcept;
    /// Returns: the oldest operation with that user_data, or null.
    sim_operation* find(std::uint64_t user_data) noexcept;

private:
    sim_operation*& bucket(std::uint64_t user_data) noexcept {
        return buckets_[sim_dice::mix(user_data) & (buckets_.size() - 1)];
    }
    void grow();

    std::vector<sim_operation*> buckets_;
    std::size_t size_ = 0;
};

/// Returns: the kernel's name of an opcode, even if the simulator does not interpret it.
const char* sim_opcode_name(opcode code) noexcept;

/// Writes "simulator: MESSAGE" and aborts: the layers above have made an error.
[[noreturn]] [[gnu::format(printf, 1, 2)]] void sim_fatal(const char* format, ...) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
