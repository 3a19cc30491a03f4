// SPDX-License-Identifier: MIT
// Shows to_thread: code that blocks or computes runs on a thread and is awaited, and can be
// stopped.
// Run: offload
//
//     9592 and 78498 primes
//     the loop went on meanwhile
//     found a prime: yes
#include <chrono>
#include <stop_token>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

bool is_prime(long n) {
    for (long d = 2; d * d <= n; ++d)
        if (n % d == 0) return false;
    return n > 1;
}

long count_primes(long below) {  // plain code, without tasks
    long count = 0;
    for (long n = 2; n < below; ++n) count += is_prime(n);
    return count;
}

long largest_prime(std::stop_token asked_to_stop) {  // code that can be stopped
    long largest = 2;
    for (long n = 3; !asked_to_stop.stop_requested(); ++n)
        if (is_prime(n)) largest = n;
    return largest;
}

rondo::task<> heartbeat(int& beats) {
    for (;; ++beats) co_await rondo::sleep(1ms);
}

rondo::task<> offload() {
    int beats = 0;
    co_await rondo::with_task_group([&](rondo::task_group& group) -> rondo::task<> {
        group.start(heartbeat(beats));  // keeps beating while the threads work
        auto [few, many] = co_await rondo::gather(rondo::to_thread(count_primes, 100'000L),
                                                  rondo::to_thread(count_primes, 1'000'000L));
        fmt::print("{} and {} primes\n", few, many);
        group.cancel();
    });
    fmt::print("the loop {} meanwhile\n", beats > 10 ? "went on" : "stood still");

    // When the time is over, the stop_token is set. The value that the function then returns
    // counts.
    const auto largest = co_await rondo::move_on_after(100ms, rondo::to_thread(largest_prime));
    fmt::print("found a prime: {}\n", largest && is_prime(*largest) ? "yes" : "no");
}

int main() { rondo::run(offload()); }
