// SPDX-License-Identifier: MIT
// Calling a coroutine runs nothing: a discarded task is a forgotten co_await.
// expect: a task that is neither awaited nor handed to the loop never runs
#include <rondo/task.hpp>

rondo::task<> work() { co_return; }

rondo::task<> forgets() {
#ifndef CONTROL
    work();
#else
    co_await work();
#endif
}
