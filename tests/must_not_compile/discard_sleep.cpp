// SPDX-License-Identifier: MIT
// The same for what only describes a wait.
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
