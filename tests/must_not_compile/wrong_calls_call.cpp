// SPDX-License-Identifier: MIT
// Five wrong calls of each verb that calls a function elsewhere, later or again: to_thread, on,
// call_soon, retry.
#include <functional>
#include <string>

#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<char> work() { co_return 'a'; }
rondo::task<int> square(int n) { co_return n * n; }
int half(int n) { return n / 2; }
void changes(std::string& text);
rondo::task<long> triple(int n) { co_return 3 * n; }
void changes_there(std::string& text, int n);

rondo::task<> elsewhere(std::string text) {
#ifndef CONTROL
    co_await rondo::to_thread(square, 1);      // expect: a thread cannot run a coroutine
    // expect: this is the result of a call: pass the function itself
    co_await rondo::to_thread(half(2));
    // expect: the function cannot be called with these arguments
    co_await rondo::to_thread(half);
    // expect: the function takes a reference, .*: pass std::ref\(argument\)
    co_await rondo::to_thread(changes, text);
    // expect: to_thread takes a function, followed by its arguments
    co_await rondo::to_thread();
#endif
    co_await rondo::to_thread(half, 2);
    co_await rondo::to_thread(changes, std::ref(text));
}

rondo::task<> there(rondo::loop& loop, [[maybe_unused]] std::string text) {
#ifndef CONTROL
    // expect: this is the result of a call: pass the function itself
    co_await rondo::on(loop, triple(1));
    co_await rondo::on(triple, loop, 1);      // expect: a rondo::loop or its remote\(\) comes first
    // expect: the function cannot be called with these arguments
    co_await rondo::on(loop, triple);
    // expect: the function takes a reference, .*: pass std::ref\(argument\)
    co_await rondo::on(loop, changes_there, text, 1);
    // expect: a function that is called on that loop comes second
    co_await rondo::on(loop);
#endif
    co_await rondo::on(loop, square, 1);
    co_await rondo::on(loop.remote(), half, 2);
}

void soon(rondo::loop& loop) {
#ifndef CONTROL
    // expect: this is a coroutine, which would never run
    loop.call_soon([]() -> rondo::task<> { co_return; });
    // expect: this is a coroutine, which would never run
    loop.call_later(1s, [] { return work(); });
    // expect: call_soon takes a plain function: a task is started by create_task
    loop.call_soon(work());
    // expect: call_soon takes a function without arguments
    loop.call_soon(half, 2);
    // expect: call_soon takes a function without arguments
    loop.call_soon(1);
#endif
    loop.call_soon([] { half(2); });
    loop.call_later(1s, [] { rondo::create_task(work()); });
}

rondo::task<> again() {
#ifndef CONTROL
    // expect: rondo::retry_options come first; {} stands for the default
    co_await rondo::retry(square, 1);
    co_await rondo::retry(3, work);                   // expect: rondo::retry_options come first
    // expect: this is the result of a call: pass the function itself
    co_await rondo::retry({}, work());
    // expect: the function does not return a task: make it a coroutine
    co_await rondo::retry({.attempts = 3}, half, 1);
    // expect: the function cannot be called with these arguments
    co_await rondo::retry({}, square);
#endif
    co_await rondo::retry({}, square, 1);
    co_await rondo::retry({.attempts = 3}, work);
}
