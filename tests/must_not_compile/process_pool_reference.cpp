// SPDX-License-Identifier: MIT
// A function that changes its argument would change a copy in another process.
// expect: it would change a copy in another process
#include <vector>

#include <rondo/process_pool.hpp>

#ifndef CONTROL
long sort_in_place(std::vector<int>& numbers);
#else
long sort_in_place(const std::vector<int>& numbers);
#endif

void use(rondo::process_pool& pool, std::vector<int> numbers) {
    pool.submit(sort_in_place, numbers).wait();
}
