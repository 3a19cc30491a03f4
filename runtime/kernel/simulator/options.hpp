// SPDX-License-Identifier: MIT
// Options of a simulated kernel, and its only source of randomness.
//
// Every choice of the simulator (how long, how much, which one first) is one draw from one
// splitmix64 stream, in program order. So the same seed and the same calls give the same run, bit
// for bit, on every platform. The distributions of <random> are not used: the standard does not fix
// their algorithms, and two libraries would replay a seed differently.
#pragma once

#include <cerrno>
#include <cstdint>
#include <type_traits>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Bounds of a seeded duration, both ends included.
struct sim_latency {
    duration min{0};
    duration max{0};
};

/// The fault of the operation that `simulator_options::fault` names.
enum class sim_fault_kind : std::uint8_t {
    none,
    error,   // -errno, nothing is done (but a close closes the descriptor, as on Linux)
    cancel,  // -ECANCELED, nothing is done, not even by a close
    cut,     // a transfer moves at most `length` bytes, also under MSG_WAITALL
    delay,   // it begins `fault_delay` later: in effect after everything else
    hook,    // `simulator_options::on_fault` is called, and then it begins as usual
};

struct sim_fault {
    std::uint64_t operation = 0;  // counted from 0, like simulator::operations()
    sim_fault_kind kind = sim_fault_kind::none;
    int error = EIO;
    std::uint32_t length = 1;
};

/// The call of class `system` that fails, counted from 0 like simulator::calls().
struct sim_call_fault {
    std::uint64_t call = ~std::uint64_t(0);
    int error = EMFILE;
};

/// Faults of datagrams in transit.
struct sim_datagram_fate {
    std::uint32_t lost_percent = 0;
    std::uint32_t duplicated_percent = 0;
    std::uint32_t reordered_percent = 0;  // these take four times their latency
};

struct simulator_options {
    std::uint64_t seed = 1;
    std::uint32_t queue_entries = 256;  // next_entry returns null when so many are not submitted
    time_point start{std::chrono::seconds(1000)};

    sim_latency network{std::chrono::microseconds(20), std::chrono::milliseconds(2)};  // one way
    sim_latency file{std::chrono::microseconds(1), std::chrono::microseconds(200)};
    sim_latency job{std::chrono::microseconds(1), std::chrono::milliseconds(2)};
    sim_latency local{std::chrono::nanoseconds(0), std::chrono::microseconds(5)};  // the rest
    // `step` is how far an enter that does not wait moves the clock. `batch` is how long an enter
    // that has waited for a completion collects further ones.
    sim_latency step{std::chrono::nanoseconds(0), std::chrono::microseconds(1)};
    sim_latency batch{std::chrono::nanoseconds(0), std::chrono::microseconds(20)};

    std::uint32_t short_percent = 25;   // of the transfers that could move more than one byte
    std::uint32_t late_percent = 50;    // of the cancels whose target is about to complete
    // Bytes that a connection buffers in one direction, drawn for each. When they are full, the
    // sender waits.
    std::uint32_t buffer_min = 2048;
    std::uint32_t buffer_max = 65536;
    sim_datagram_fate datagrams{};
    std::uint64_t disk = ~std::uint64_t(0);  // bytes that all files together may have
    std::uint32_t descriptors_max = 1U << 20;
    bool shuffle = true;  // seeded order of events at the same time; false: the order of posting

    sim_fault fault{};
    duration fault_delay{std::chrono::hours(1)};
    sim_call_fault call_fault{};
    void (*on_fault)(void*) = nullptr;  // called under the simulator's lock: it may only call wake
    void* on_fault_argument = nullptr;
};
static_assert(std::is_trivially_destructible_v<simulator_options>);

/// Random numbers by splitmix64 (Steele, Lea, Flood 2014): one word of state, one multiplication
/// chain per draw.
class sim_dice {
public:
    explicit sim_dice(std::uint64_t seed) noexcept : state_(seed) {}

    std::uint64_t draw() noexcept {
        state_ += 0x9e3779b97f4a7c15U;
        return mix(state_);
    }
    /// Returns: 0 to `bound` - 1; `bound` must not be 0.
    std::uint32_t below(std::uint32_t bound) noexcept {
        return static_cast<std::uint32_t>(((draw() >> 32) * bound) >> 32);
    }
    bool percent(std::uint32_t chance) noexcept { return below(100) < chance; }

    duration between(sim_latency bounds) noexcept {
        if (bounds.max <= bounds.min) return bounds.min;
        const auto width = static_cast<std::uint64_t>((bounds.max - bounds.min).count()) + 1;
        return bounds.min + duration(static_cast<duration::rep>(draw() % width));
    }

    static std::uint64_t mix(std::uint64_t value) noexcept {
        value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
        value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
        return value ^ (value >> 31);
    }

private:
    std::uint64_t state_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
