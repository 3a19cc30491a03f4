// SPDX-License-Identifier: MIT
// A lock that is not awaited locks nothing.
// expect: nothing is waited for until this is awaited
#include <rondo/sync.hpp>

rondo::task<> forgets(rondo::mutex& lock) {
#ifndef CONTROL
    lock.lock();
    co_return;
#else
    const auto held = co_await lock.lock();
#endif
}
