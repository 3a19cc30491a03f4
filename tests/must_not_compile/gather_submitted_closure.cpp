// SPDX-License-Identifier: MIT
// gather awaits its futures in the expression: see submit_owning_closure.cpp.
// compiler: g++
// expect: g\+\+ 12 destroys a closure or aggregate that owns something twice
// expect: thread_future<T> f = submit
#include <string>

#include <rondo/gather.hpp>
#include <rondo/loop_pool.hpp>
#include <rondo/thread_pool.hpp>

rondo::task<std::size_t> lengths(rondo::thread_pool& pool, rondo::loop_pool& loops,
                                 std::string text) {
    rondo::thread_future<std::size_t> named = loops.submit([text] { return text.size(); });
    auto [a, b] = co_await rondo::gather(named, pool.submit([&] { return text.size(); }));
#ifndef CONTROL
    auto [c, d] = co_await rondo::gather(named, pool.submit([text] { return text.size(); }));
    a += c + d;
#endif
    co_return a + b;
}
