// SPDX-License-Identifier: MIT
// The plain, blocking function that program 09 declares.
#include <vector>

#include "09_offload.cpp"

long count_primes(long below) {
    std::vector<bool> composite(static_cast<std::size_t>(below), false);
    long count = 0;
    for (long n = 2; n < below; ++n) {
        if (composite[static_cast<std::size_t>(n)]) continue;
        ++count;
        for (long m = n * n; m < below; m += n) composite[static_cast<std::size_t>(m)] = true;
    }
    return count;
}
