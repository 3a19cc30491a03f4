// SPDX-License-Identifier: MIT
// A name for the lock that nobody awaits is no guard.
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
