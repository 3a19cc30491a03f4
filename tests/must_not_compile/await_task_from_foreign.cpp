// SPDX-License-Identifier: MIT
// Only a task knows its loop: a coroutine of another library cannot await, and the error says so.
// expect: a rondo::task can only be awaited inside another rondo::task
#include <coroutine>

#include <rondo/task.hpp>

struct foreign {
    struct promise_type {
        foreign get_return_object() { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() {}
    };
};

rondo::task<> work() { co_return; }

foreign awaits() {
#ifndef CONTROL
    co_await work();
#else
    co_await std::suspend_never();
#endif
}
