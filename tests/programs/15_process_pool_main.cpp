// SPDX-License-Identifier: MIT
// The function that program 15 declares: it counts.
#include "15_process_pool.cpp"

long count_primes(long below) {
    long count = 0;
    for (long n = 2; n < below; ++n) {
        bool prime = true;
        for (long d = 2; prime && d * d <= n; ++d) prime = n % d != 0;
        count += prime;
    }
    return count;
}
