// SPDX-License-Identifier: MIT
// Captures of a lambda cannot be sent to another process; arguments can.
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
