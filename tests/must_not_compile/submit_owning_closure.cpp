// SPDX-License-Identifier: MIT
// If a job's closure owns something, its future must have a name: in one expression with co_await,
// g++ 12 would destroy the closure twice.
// compiler: g++
// expect: g\+\+ 12 destroys a closure or aggregate that owns something twice
// expect: give the future a name on a line of its own
#include <string>

#include <rondo/thread_pool.hpp>

rondo::task<std::size_t> length(rondo::thread_pool& pool, std::string text) {
    auto job = pool.submit([text] { return text.size(); });
    std::size_t size = co_await job;
    rondo::thread_future<std::size_t> moved = pool.submit([text] { return text.size(); });
    size += co_await std::move(moved);
    size += co_await pool.submit([](const std::string& t) { return t.size(); }, text);
    size += co_await pool.submit([&] { return text.size(); });
#ifndef CONTROL
    size += co_await pool.submit([text] { return text.size(); });
#endif
    co_return size;
}
