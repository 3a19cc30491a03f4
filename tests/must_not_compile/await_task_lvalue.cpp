// SPDX-License-Identifier: MIT
// A task is awaited once, and awaiting it uses it up: that has to be seen, as a std::move.
// expect(g++): use of deleted function
// expect(clang++): call to deleted member function
#include <rondo/task.hpp>

rondo::task<int> give() { co_return 1; }

rondo::task<int> twice() {
    auto given = give();
#ifndef CONTROL
    co_return co_await given;
#else
    co_return co_await std::move(given);
#endif
}
