// SPDX-License-Identifier: MIT
// Five wrong calls of with_task_group, and of the group's start.
#include <string>

#include <rondo/rondo.hpp>

rondo::task<> child(int n);
rondo::task<> changes(std::string& text);

rondo::task<> bodies() {
#ifndef CONTROL
    // expect: takes one argument, a rondo::task_group&
    co_await rondo::with_task_group([]() -> rondo::task<> { co_return; });
    // expect: the body of a task group is a coroutine
    co_await rondo::with_task_group([](rondo::task_group&) {});
    // expect: the body of a task group is a coroutine
    co_await rondo::with_task_group([](rondo::task_group&) { return 1; });
    // expect: the body of a task group takes one argument
    co_await rondo::with_task_group([](int n) { return child(n); });
    // expect: with_task_group takes a function, which it calls with a rondo::task_gr
    co_await rondo::with_task_group(child(1));
    // expect: come rondo::group_options
    co_await rondo::with_task_group([](rondo::task_group&) -> rondo::task<> { co_return; }, 1);
#endif
    co_await rondo::with_task_group([](rondo::task_group&) -> rondo::task<> { co_return; },
                                    {.all_errors = true});
}

rondo::task<> starts(rondo::task_group& group, std::string text) {
    auto t = child(1);
#ifndef CONTROL
    // expect: the function takes a reference, .*: pass std::ref\(argument\)
    group.start(changes, text);
    group.start(t);                      // expect: a task is awaited once: pass std::move\(t\)
    // expect: the function cannot be called with these arguments
    group.start(child);
    // expect: the function does not return a task: make it a coroutine
    group.start([](int) {}, 1);
    // expect: this cannot be awaited: pass a task, a future or another
    group.start(1, child);
#endif
    group.start(child, 1);
    group.start(std::move(t));
    group.start(changes, std::ref(text));
    co_return;
}
