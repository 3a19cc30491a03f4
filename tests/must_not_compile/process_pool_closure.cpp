// SPDX-License-Identifier: MIT
// What a lambda has captured cannot be sent to another process; what it is given as arguments can.
// expect: cannot send a lambda with captures
#include <rondo/process_pool.hpp>

void use(rondo::process_pool& pool, int offset) {
#ifndef CONTROL
    auto future = pool.submit([offset](int n) { return n + offset; }, 1);
#else
    auto future = pool.submit([](int n, int by) { return n + by; }, 1, offset);
#endif
    future.wait();
}
