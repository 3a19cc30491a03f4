// SPDX-License-Identifier: MIT
// g++ 12 destroys a temporary closure that owns something twice in an expression with co_await. So
// the direct await is refused, and an awaitable with a name is not.
// compiler: g++
// expect: g\+\+ 12 destroys a closure or aggregate that owns something twice
// expect: give the awaitable a name on a line of its own
#include <string>

#include <rondo/executor.hpp>

rondo::task<std::size_t> length(std::string text) {
    auto job = rondo::to_thread([text] { return text.size(); });
    std::size_t size = co_await job;
    size += co_await rondo::to_thread([](const std::string& t) { return t.size(); }, text);
    size += co_await rondo::to_thread([&] { return text.size(); });
#ifndef CONTROL
    size += co_await rondo::to_thread([text] { return text.size(); });
#endif
    co_return size;
}
