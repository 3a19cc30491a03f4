// SPDX-License-Identifier: MIT
// The function of work is a coroutine, or one for processes; words of commands are texts and
// numbers.
#include <chrono>
#include <string>

#include <rondo/rondo.hpp>
#include <rondo/work_queue.hpp>

using namespace std::chrono_literals;

void compute(std::string payload);
rondo::task<> resize(std::string payload);
rondo::task<> count(int payload);

rondo::task<> program(rondo::work_queue& queue, rondo::process_pool& pool) {
#ifndef CONTROL
    co_await queue.work(4, compute);  // expect: the function of work is a coroutine
    co_await queue.work(resize, 4);  // expect: the limit, how many jobs run at once, comes first
    co_await queue.work(4, count);  // expect: the function of work is called with the payload
    co_await queue.work(pool, resize);  // expect: work\(pool, fn\) takes a function
    co_await queue.redis().command("SET", "a", true);  // expect: write true and false as 1 and 0
#endif
    co_await queue.work(4, resize);
    co_await queue.work(pool, compute);
    co_await queue.redis().command("SET", "a", 1);
}
