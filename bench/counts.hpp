// SPDX-License-Identifier: MIT
// The amount of work of each case and its input, the same for every program that is compared.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "harness.hpp"

namespace bench {

inline constexpr std::uint64_t spawned = 1'000'000;
inline constexpr std::uint64_t batch_size = 1000;
inline constexpr std::uint64_t batches = 1000;
inline constexpr std::uint64_t depth = 1000;
inline constexpr std::uint64_t chains = 1000;
inline constexpr std::uint64_t ready_awaits = 5'000'000;
inline constexpr std::uint64_t yields = 2'000'000;
inline constexpr std::uint64_t gathered = 1000;
inline constexpr std::uint64_t gathers = 1000;
inline constexpr std::uint64_t round_trips = 1'000'000;
inline constexpr std::uint64_t lockings = 2'000'000;
inline constexpr std::uint64_t handovers = 1'000'000;
inline constexpr std::uint64_t listeners = 10'000;
inline constexpr std::uint64_t bells = 100;
inline constexpr std::uint64_t timers_set = 1'000'000;
inline constexpr std::uint64_t timers_outstanding = 10'000;
inline constexpr std::uint64_t offloaded_in_turn = 20'000;
inline constexpr std::uint64_t offloaded_at_once = 200'000;
inline constexpr std::uint64_t processed_in_turn = 5000;
inline constexpr std::uint64_t processed_at_once = 20'000;
inline constexpr std::uint64_t mebibytes_sent = 200;
inline constexpr std::uint64_t pooled_in_turn = 20'000;
inline constexpr std::uint64_t pooled_at_once = 400'000;
inline constexpr std::size_t pool_threads = 2;
inline constexpr std::uint64_t posts = 1'000'000;
inline constexpr std::uint64_t posts_to_idle = 5000;
inline constexpr unsigned pause_between_posts_us = 100;
inline constexpr std::uint64_t calls_in_turn = 20'000;
inline constexpr std::uint64_t calls_at_once = 1000;
inline constexpr std::uint64_t items_bridged = 500'000;
inline constexpr std::uint64_t connections = 5000;
inline constexpr std::uint64_t datagrams = 200'000;
inline constexpr std::uint64_t programs = 500;
inline constexpr std::uint64_t reads = 200'000;
inline constexpr std::uint64_t read_size = 4096;
inline constexpr std::uint64_t file_size = std::uint64_t{64} << 20;
inline constexpr std::uint64_t first_seed = 88172645463325252u;

/// The time that sleeper `i` of `count` sleeps: the ends are spread over a second.
constexpr std::uint64_t sleep_ms(std::uint64_t count, std::uint64_t i) {
    return (count >= 1'000'000 ? 3000 : 1000) + i % 1000;
}

/// Marsaglia's xorshift: good enough for offsets, and the same on every machine.
class random_numbers {
public:
    explicit random_numbers(std::uint64_t seed = first_seed) : state_(seed) {}
    std::uint64_t next() noexcept {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        return state_;
    }

private:
    std::uint64_t state_;
};

/// Measures memory and time of many sleeping tasks.
class sleep_meter {
public:
    explicit sleep_meter(std::uint64_t count) : count_(count) {}
    void all_asleep() { asleep_ = resident_bytes(); }
    /// The value is processor time.
    measurement done() const {
        measurement m;
        const double wall_ms = static_cast<double>(wall() - wall_) / 1e6;
        const auto n = static_cast<double>(count_);
        m.value = static_cast<double>(cpu() - cpu_) / n;
        m.count = count_;
        m.add("bytes_per_sleeper", (asleep_ - before_) / n);
        m.add("late_ms", wall_ms - static_cast<double>(sleep_ms(count_, 999)));
        return m;
    }

private:
    std::uint64_t count_;
    double before_ = resident_bytes();
    double asleep_ = 0;
    std::uint64_t cpu_ = cpu();
    std::uint64_t wall_ = wall();
};

/// The path of a file of `file_size` bytes that is wholly in the page cache. It is made in
/// $BENCH_TMP or /tmp, unless it exists.
inline std::string cached_file() {
    const char* folder = std::getenv("BENCH_TMP");
    const std::string path = std::string(folder != nullptr ? folder : "/tmp") + "/rondo-bench-64m";
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    std::vector<char> block(1 << 20, 'x');
    const bool whole = ::lseek(fd, 0, SEEK_END) == off_t{file_size};
    ::lseek(fd, 0, SEEK_SET);
    for (std::uint64_t done = 0; done < file_size; done += block.size()) {
        const ssize_t moved = whole ? ::read(fd, block.data(), block.size())
                                    : ::write(fd, block.data(), block.size());
        if (moved != static_cast<ssize_t>(block.size())) std::abort();
    }
    ::close(fd);
    return path;
}

}  // namespace bench
