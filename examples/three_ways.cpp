// SPDX-License-Identifier: MIT
// Shows the same work on one thread, on a pool of threads, and in worker processes. Threads are the
// cheapest way to use all cores. Processes cost about 100 µs a job, but a crash in one of them is
// only an error.
// Run: three_ways
//
//     one thread:    148933 primes in 700 ms
//     2 threads:     148933 primes in 350 ms
//     2 processes:   148933 primes in 350 ms
//     a crash:       process_pool: the job's worker died: it was ended by signal 6 (Aborted)
//     and after it:  148933 primes in 350 ms
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <numeric>
#include <thread>
#include <vector>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

constexpr long last = 2'000'000;
constexpr long pieces = 16;

long count_primes(long from, long to) {
    long count = 0;
    for (long n = std::max(2L, from); n < to; ++n) {
        bool prime = true;
        for (long d = 2; prime && d * d <= n; ++d) prime = n % d != 0;
        count += prime;
    }
    return count;
}

long misbehave(long) { std::abort(); }

class stopwatch {
public:
    long milliseconds() const {
        const auto passed = std::chrono::steady_clock::now() - start_;
        return std::chrono::duration_cast<std::chrono::milliseconds>(passed).count();
    }

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

long sum(const std::vector<long>& parts) { return std::accumulate(parts.begin(), parts.end(), 0L); }

rondo::task<> three_ways() {
    std::vector<long> from, to;
    for (long i = 0; i < pieces; ++i) {
        from.push_back(i * last / pieces);
        to.push_back((i + 1) * last / pieces);
    }
    const std::size_t cores = std::max(1u, std::thread::hardware_concurrency());

    stopwatch one;
    const long primes = count_primes(0, last);
    fmt::print("one thread:    {} primes in {} ms\n", primes, one.milliseconds());

    rondo::thread_pool threads(cores);
    stopwatch several;
    const auto by_threads = co_await threads.map(count_primes, from, to);
    fmt::print("{} threads:     {} primes in {} ms\n", cores, sum(by_threads),
               several.milliseconds());

    rondo::process_pool processes(cores);
    stopwatch elsewhere;
    const auto by_processes = co_await processes.map(count_primes, from, to);
    fmt::print("{} processes:   {} primes in {} ms\n", cores, sum(by_processes),
               elsewhere.milliseconds());

    try {
        co_await processes.submit(misbehave, 0L);
    } catch (const rondo::broken_process_pool_error& error) {
        fmt::print("a crash:       {}\n", error.what());
    }
    stopwatch again;
    const auto after = co_await processes.map(count_primes, from, to);
    fmt::print("and after it:  {} primes in {} ms\n", sum(after), again.milliseconds());
}

int main(int argc, char** argv) {
    if (rondo::process_worker(argc, argv)) return 0;
    rondo::run(three_ways());
}
