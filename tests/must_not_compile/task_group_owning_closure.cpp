// SPDX-License-Identifier: MIT
// g++ 12 would destroy the closure's string twice: with_task_group, with_timeout and map_concurrent
// refuse it.
// compiler: g++
// expect: name what the function returns on a line of its own
#include <string>

#include <rondo/task_group.hpp>

rondo::task<> body(std::string text) {
#ifndef CONTROL
    co_await rondo::with_task_group([text](rondo::task_group&) -> rondo::task<> { co_return; });
#else
    auto group = rondo::with_task_group([text](rondo::task_group&) -> rondo::task<> { co_return; });
    co_await group;
    co_await rondo::with_task_group([&](rondo::task_group&) -> rondo::task<> { co_return; });
#endif
}
