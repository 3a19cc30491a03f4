// SPDX-License-Identifier: MIT
// A synchronous generator is resumed by a for loop, which cannot wait.
// expect: a rondo::generator cannot co_await: make it a rondo::async_generator
#include <rondo/generator.hpp>
#include <rondo/sleep.hpp>

#ifndef CONTROL
rondo::generator<int> ticks() {
#else
rondo::async_generator<int> ticks() {
#endif
    co_await rondo::sleep(std::chrono::seconds(1));
    co_yield 1;
}
