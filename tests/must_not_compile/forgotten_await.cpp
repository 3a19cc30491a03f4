// SPDX-License-Identifier: MIT
// A named lock without co_await is not a guard.
// expect: unused variable .guard.
#include <rondo/sync.hpp>

rondo::task<> forgets(rondo::mutex& lock) {
#ifndef CONTROL
    auto guard = lock.lock();
    co_return;
#else
    auto guard = co_await lock.lock();
#endif
}
