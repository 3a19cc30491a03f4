// SPDX-License-Identifier: MIT
// Five wrong calls of each verb that starts a task: run, create_task, ensure_future, block_on,
// run_coroutine_threadsafe.
#include <string>
#include <vector>

#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<char> work() { co_return 'a'; }
rondo::task<int> square(int n) { co_return n * n; }
rondo::task<> changes(std::string& text);

void whole(std::string text) {
    auto t = work();
#ifndef CONTROL
    rondo::run(t);                  // expect: a task is awaited once: pass std::move\(t\)
    rondo::run(square);             // expect: the function cannot be called with these arguments
    // expect: the function does not return a task: make it a coroutine
    rondo::run([] { return 1; });
    // expect: run takes a task: await this in a coroutine, and run that
    rondo::run(rondo::sleep(1s));
    // expect: the function takes a reference, .*: pass std::ref\(argument\)
    rondo::run(changes, text);
#endif
    rondo::run(std::move(t));
    rondo::run(square, 1);
    rondo::run(changes, std::ref(text));
}

void created(std::vector<rondo::task<int>> tasks, rondo::future<int> f) {
    static_cast<void>(tasks), static_cast<void>(f);
    auto t = work();
#ifndef CONTROL
    rondo::create_task(t);        // expect: a task is awaited once: pass std::move\(t\)
    // expect: a function is not started: call it, and pass the task that it returns
    rondo::create_task(square);
    rondo::create_task(f);        // expect: this is a future: its task runs already
    // expect: a range is not started: start its elements one by one, or gather them
    rondo::create_task(tasks);
    // expect: this cannot be awaited: pass a task, a future or another
    rondo::create_task(1);
#endif
    rondo::create_task(std::move(t), {.name = "worker"});
    rondo::create_task(rondo::sleep(1s));
}

void ensured(std::vector<rondo::task<char>> tasks, rondo::future<int> f) {
    static_cast<void>(tasks);
    auto t = work();
#ifndef CONTROL
    rondo::ensure_future(t);        // expect: a task is awaited once: pass std::move\(t\)
    // expect: a function is not started: call it, and pass the task that it returns
    rondo::ensure_future(work);
    rondo::ensure_future([] { return square(1); });  // expect: a function is not started
    // expect: a range is not started: start its elements one by one, or gather them
    rondo::ensure_future(tasks);
    // expect: this cannot be awaited: pass a task, a future or another
    rondo::ensure_future("a task");
#endif
    rondo::ensure_future(std::move(t));
    rondo::ensure_future(f);
}

void blocked(rondo::loop& loop) {
    auto t = work();
#ifndef CONTROL
    rondo::block_on(t);                // expect: a task is awaited once: pass std::move\(t\)
    // expect: block_on takes one task: it runs on the loop that the job came from
    rondo::block_on(loop, work());
    rondo::block_on([] { return work(); });  // expect: a function is not started: call it
    // expect: block_on takes a task: await this in a coroutine, and pass that
    rondo::block_on(rondo::sleep(1s));
    rondo::block_on(1L);               // expect: this cannot be awaited
#endif
    rondo::block_on(std::move(t));
    rondo::run_coroutine_threadsafe(work(), loop).get();
}

void sent(rondo::loop& loop) {
    auto t = work();
#ifndef CONTROL
    // expect: run_coroutine_threadsafe\(task, loop\): the task comes first
    rondo::run_coroutine_threadsafe(loop, work());
    // expect: the second argument is a rondo::loop or its remote\(\)
    rondo::run_coroutine_threadsafe(work());
    // expect: a task is awaited once: pass std::move\(t\)
    rondo::run_coroutine_threadsafe(t, loop);
    // expect: a function is not started: call it
    rondo::run_coroutine_threadsafe([] { return work(); }, loop);
    // expect: await this in a coroutine, and pass that
    rondo::run_coroutine_threadsafe(rondo::sleep(1s), loop);
#endif
    rondo::run_coroutine_threadsafe(std::move(t), loop.remote()).get();
}
