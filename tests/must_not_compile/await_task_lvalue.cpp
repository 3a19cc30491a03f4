// SPDX-License-Identifier: MIT
// A task is awaited once, and awaiting consumes it: the std::move must be visible.
#include <rondo/task.hpp>

rondo::task<int> give() { co_return 1; }
rondo::task<long> give_long() { co_return 1; }

rondo::task<int> twice() {
    auto given = give();
    const auto constant = give_long();
#ifndef CONTROL
    co_await given;     // expect: a task is awaited once: write co_await std::move\(t\)
    co_await constant;  // expect: a task is awaited once: write co_await std::move\(t\)
#endif
    co_return co_await std::move(given);
}
