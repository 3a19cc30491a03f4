// SPDX-License-Identifier: MIT
// A sleep that is not awaited waits for nothing.
// expect: a sleep does nothing until it is awaited
#include <rondo/sleep.hpp>

rondo::task<> forgets() {
#ifndef CONTROL
    rondo::sleep(std::chrono::seconds(1));
    co_return;
#else
    co_await rondo::sleep(std::chrono::seconds(1));
#endif
}
