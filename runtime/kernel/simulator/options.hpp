// SPDX-License-Identifier: MIT
// What a simulated kernel can be asked to be, and the one source of chance that it draws from.
//
// Every choice of the simulator (how long, how much, who first) is one draw from one splitmix64
// stream, in program order; so the same seed and the same calls give the same run, bit for bit, on
// every platform. The distributions of <random> are not used: the standard leaves their algorithms
// open, and two libraries would replay a seed differently.
#pragma once

#include <cerrno>
#include <cstdint>
#include <type_traits>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Bounds of a seeded span of time, both ends included.
struct sim_latency {
    duration least{0};
    duration most{0};
};

/// What befalls the one operation that `simulator_options::fault` names.
enum class sim_fault_kind : std::uint8_t {
    none,
    error,   // -errno, nothing was done (close: the descriptor is gone all the same, as on Linux)
    cancel,  // -ECANCELED, nothing was done, a close neither
    cut,     // a transfer moves at most `length` bytes, also under MSG_WAITALL
    delay,   // begins `fault_delay` later: in effect after everything else
    hook,    // `simulator_options::on_fault` is called as it begins, which it does all the same
};

struct sim_fault {
    std::uint64_t operation = 0;  // counted from 0 as by simulator::operations()
    sim_fault_kind kind = sim_fault_kind::none;
    int error = EIO;
    std::uint32_t length = 1;
};

/// The call of class `system` that fails, counted from 0 as by simulator::calls().
struct sim_call_fault {
    std::uint64_t call = ~std::uint64_t(0);
    int error = EMFILE;
};

/// What befalls datagrams on their way.
struct sim_datagram_fate {
    std::uint32_t lost_percent = 0;
    std::uint32_t duplicated_percent = 0;
    std::uint32_t reordered_percent = 0;  // ... take up to four times as long as others
};

struct simulator_options {
    std::uint64_t seed = 1;
    std::uint32_t queue_entries = 256;  // next_entry gives null when so many are unsubmitted
    time_point start{std::chrono::seconds(1000)};

    sim_latency network{std::chrono::microseconds(20), std::chrono::milliseconds(2)};  // one way
    sim_latency file{std::chrono::microseconds(1), std::chrono::microseconds(200)};
    sim_latency job{std::chrono::microseconds(1), std::chrono::milliseconds(2)};
    sim_latency local{std::chrono::nanoseconds(0), std::chrono::microseconds(5)};  // the rest
    // By how much an enter that does not wait moves the clock, and how long a completion that was
    // waited for lets others come along.
    sim_latency step{std::chrono::nanoseconds(0), std::chrono::microseconds(1)};
    sim_latency batch{std::chrono::nanoseconds(0), std::chrono::microseconds(20)};

    std::uint32_t short_percent = 25;   // of the transfers that could move more than one byte
    std::uint32_t late_percent = 50;    // of the cancels that meet an operation about to complete
    std::uint32_t buffer_least = 2048;  // bytes that a connection holds in one direction,
    std::uint32_t buffer_most = 65536;  // drawn for each; a sender waits when they are full
    sim_datagram_fate datagrams{};
    std::uint64_t disk = ~std::uint64_t(0);  // bytes that all files together may have
    std::uint32_t descriptors_max = 1U << 20;
    bool shuffle = true;  // seeded order of what is due at the same moment, else order of making

    sim_fault fault{};
    duration fault_delay{std::chrono::hours(1)};
    sim_call_fault call_fault{};
    void (*on_fault)(void*) = nullptr;  // with the model locked: it may wake, and not call
    void* on_fault_argument = nullptr;
};
static_assert(std::is_trivially_destructible_v<simulator_options>);

/// splitmix64 (Steele, Lea, Flood 2014): one word of state, one multiplication chain per draw.
class sim_dice {
public:
    explicit sim_dice(std::uint64_t seed) noexcept : state_(seed) {}

    std::uint64_t draw() noexcept {
        state_ += 0x9e3779b97f4a7c15U;
        return mix(state_);
    }
    /// 0 to `bound` - 1; `bound` is not 0.
    std::uint32_t below(std::uint32_t bound) noexcept {
        return static_cast<std::uint32_t>(((draw() >> 32) * bound) >> 32);
    }
    bool percent(std::uint32_t chance) noexcept { return below(100) < chance; }

    duration between(sim_latency bounds) noexcept {
        if (bounds.most <= bounds.least) return bounds.least;
        const auto width = static_cast<std::uint64_t>((bounds.most - bounds.least).count()) + 1;
        return bounds.least + duration(static_cast<duration::rep>(draw() % width));
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
