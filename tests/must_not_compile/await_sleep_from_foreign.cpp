// SPDX-License-Identifier: MIT
// Only a task knows its loop: a coroutine of another library cannot await, and the error says so.
// expect: this awaitable of rondo can only be awaited inside a rondo::task
#include <coroutine>

#include <rondo/sleep.hpp>

struct foreign {
    struct promise_type {
        foreign get_return_object() { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() {}
    };
};

foreign awaits() {
#ifndef CONTROL
    co_await rondo::sleep(std::chrono::seconds(1));
#else
    co_await std::suspend_never();
#endif
}
