// SPDX-License-Identifier: MIT
// The heart of the simulator: operations in flight, and the agenda of what will happen when on
// virtual time.
//
// Everything that happens is an event in one binary heap, ordered by (time, seeded tie-break, order
// of making), and one event gives at most one completion: so nothing is ever buffered between the
// model and the loop, and data is copied at the very moment at which its completion is handed out.
// An event that was taken back is not searched for in the heap: it carries the ticket of its
// operation, and each scheduling issues a new one.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <limits>
#include <vector>

#include <rondo/detail/kernel/entry.hpp>

#include "kernel/simulator/options.hpp"
#include "kernel/simulator/slab.hpp"

namespace rondo {
inline namespace v0 {
namespace detail {

struct sim_file;
struct sim_operation;
struct sim_socket;

/// "Not yet": an attempt that has to wait. No errno and no count has this value.
inline constexpr std::int32_t sim_wait = std::numeric_limits<std::int32_t>::min();

/// FIFO of operations that wait for one thing; an operation is in at most one.
struct sim_queue {
    sim_operation* first = nullptr;
    sim_operation* last = nullptr;

    void push(sim_operation& operation) noexcept;
    void remove(sim_operation& operation) noexcept;
};

/// One entry in flight, from submission to its last completion.
struct sim_operation {
    std::uint32_t index = 0;
    std::uint32_t ticket = 0;    // of the event that is scheduled; outlives the record's users
    std::uint64_t sequence = 0;  // unique, in order of submission; 0 while the record is free
    entry what{};

    sim_operation* next = nullptr;  // in `queue`
    sim_operation* previous = nullptr;
    sim_queue* queue = nullptr;
    sim_operation* bucket_next = nullptr;  // in the index by user_data

    sim_socket* socket = nullptr;
    sim_file* file = nullptr;
    // Of a cancel or removal: found when it was submitted, valid while the sequence is this one.
    sim_operation* target = nullptr;
    std::uint64_t target_sequence = 0;

    time_point due{};          // of the event
    time_point new_time{};     // of the target, from a timeout update
    std::uint32_t moved = 0;   // bytes so far (MSG_WAITALL)
    std::int32_t verdict = 0;  // the result, where it is `settled` beforehand
    bool counts = false;       // it counts on its descriptor
    bool connects = false;     // it is the connect that its socket is busy with
    bool settled = false;
    bool scheduled = false;
    bool delayed = false;  // by a fault: the event begins it
    bool cancel_asked = false;
    std::uint32_t most = 0;    // bytes that it moves, by a fault; 0: any number
    bool failed = false;    // by a fault: a cancel comes too late
    std::int32_t picked = -1;  // the lent buffer that this completion has filled
};

enum class sim_event_kind : std::uint8_t { operation, bytes, end, reset, datagram, job };

struct sim_event {
    time_point time{};
    std::uint64_t sequence = 0;
    std::uint32_t tie = 0;
    std::uint32_t index = 0;   // of the operation, socket, datagram or job
    std::uint32_t ticket = 0;  // of the operation or socket: when that has moved on, it is void
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

    /// Mixes `value` into the hash of the run. Never an address: those differ from process to
    /// process.
    void note(std::uint64_t value) noexcept {
        trace = (trace ^ value) * 0x9e3779b97f4a7c15U;
        trace ^= trace >> 32;
    }

    /// The operation's event, instead of the one it may have had.
    void schedule(sim_operation& operation, sim_latency after);
    void schedule_at(sim_operation& operation, time_point due);  // time_point::max(): never
    void unschedule(sim_operation& operation) noexcept;
    /// Fixes the result and has it delivered soon, wherever the operation stood.
    void settle(sim_operation& operation, std::int32_t verdict);
    /// With -ECANCELED, or with the bytes that MSG_WAITALL has moved: those are never lost.
    void settle_cancelled(sim_operation& operation);

    void post(sim_event event);
    /// The next event that is not void, or null.
    const sim_event* upcoming() noexcept;
    sim_event take_upcoming() noexcept;
    std::size_t events() const noexcept { return agenda_.size(); }  // void ones too

    /// How many of `wanted` bytes a transfer moves this time: at least one of them, often not all.
    std::uint32_t shorten(const sim_operation& operation, std::uint32_t wanted) noexcept;

private:
    bool is_void(const sim_event& event) noexcept;
    void sweep();

    std::vector<sim_event> agenda_;  // a heap
    std::uint64_t made_ = 0;
    std::size_t voided_ = 0;  // at most so many of the agenda are void
};

/// Finds operations by user_data. Chained, and asked by key alone: its order shows nowhere.
class sim_index {
public:
    sim_index() : buckets_(64) {}
    void insert(sim_operation& operation);
    void remove(sim_operation& operation) noexcept;
    /// The oldest operation with that user_data, or null.
    sim_operation* find(std::uint64_t user_data) noexcept;

private:
    sim_operation*& bucket(std::uint64_t user_data) noexcept {
        return buckets_[sim_dice::mix(user_data) & (buckets_.size() - 1)];
    }
    void grow();

    std::vector<sim_operation*> buckets_;
    std::size_t size_ = 0;
};

/// The kernel's name of an opcode, known to the simulator or not.
const char* sim_opcode_name(opcode code) noexcept;

/// Says what the layers above did wrong, and aborts.
[[noreturn]] [[gnu::format(printf, 1, 2)]] void sim_fatal(const char* format, ...) noexcept;

}  // namespace detail
}  // namespace v0
}  // namespace rondo
