// SPDX-License-Identifier: MIT
// Shows a thread_pool in a program without a loop: callbacks write each result to a file as it
// comes. A callback runs on the thread that made the result, so the file needs a lock.
// Run: results_file [FILE]
//
//     12 results in the file
//     the largest prime below 12000 is 11987
#include <cstdio>
#include <fstream>
#include <mutex>
#include <string>
#include <vector>

#include <unistd.h>

#include <fmt/core.h>
#include <rondo/rondo.hpp>

long largest_prime(long below) {
    for (long n = below - 1; n > 2; --n) {
        bool prime = n % 2 != 0;
        for (long d = 3; prime && d * d <= n; d += 2) prime = n % d != 0;
        if (prime) return n;
    }
    return 2;
}

int main(int argc, char** argv) {
    const bool keeps_it = argc > 1;
    const std::string path =
        keeps_it ? argv[1] : fmt::format("/tmp/rondo-results-{}", ::getpid());
    std::ofstream file(path);
    std::mutex one_at_a_time;

    std::vector<rondo::thread_future<long>> all;
    {
        rondo::thread_pool pool(4);
        for (long below = 1'000; below <= 12'000; below += 1'000) {
            all.push_back(pool.submit(largest_prime, below));
            all.back().add_done_callback([&, below](const rondo::thread_future<long>& done) {
                const std::lock_guard lock(one_at_a_time);
                file << below << ' ' << done.get() << '\n';
            });
        }
        pool.shutdown();  // returns when every job and every callback has ended
    }
    file.close();

    std::ifstream written(path);
    int lines = 0;
    for (std::string line; std::getline(written, line);) ++lines;
    fmt::print("{} results in the file\n", lines);
    fmt::print("the largest prime below 12000 is {}\n", all.back().get());
    if (!keeps_it) std::remove(path.c_str());
}
