// SPDX-License-Identifier: MIT
// Five wrong calls of each verb that limits or protects a wait: wait_for, move_on_after,
// with_timeout, shield, with_shield.
#include <memory>
#include <vector>

#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<char> work() { co_return 'a'; }
rondo::task<int> square(int n) { co_return n * n; }
rondo::task<> fills(std::vector<int>& numbers);

rondo::task<> bounded(rondo::future<std::unique_ptr<int>> f) {
    auto t = work();
#ifndef CONTROL
    co_await rondo::wait_for(5, work());   // expect: a duration needs a unit: write 5s or 100ms
    co_await rondo::wait_for(1s, t);       // expect: a task is awaited once: pass std::move\(t\)
    // expect: a function cannot be awaited: call it and pass its result
    co_await rondo::wait_for(1s, work);
    // expect: a duration is expected here, .* is the order of the arguments
    co_await rondo::wait_for(work(), 1s);
    // expect: this cannot be awaited: pass a task, a future or another
    co_await rondo::wait_for(1s, 2);
    // expect: the value of this future cannot be copied: pass std::move\(f\)
    co_await rondo::wait_for(1s, f);
#endif
    co_await rondo::wait_for(1s, std::move(t));
    co_await rondo::wait_for(1s, std::move(f));
}

rondo::task<> in_time([[maybe_unused]] rondo::future<std::unique_ptr<long>> f) {
    auto t = square(1);
#ifndef CONTROL
    // expect: a duration needs a unit: write 5s or 100ms
    co_await rondo::move_on_after(5.0, work());
    // expect: a task is awaited once: pass std::move\(t\)
    co_await rondo::move_on_after(1s, t);
    // expect: a function cannot be awaited: call it and pass its result
    co_await rondo::move_on_after(1s, square);
    co_await rondo::move_on_after(square(1), 1s);  // expect: a duration is expected here
    // expect: the value of this future cannot be copied
    co_await rondo::move_on_after(1s, f);
#endif
    co_await rondo::move_on_after(1s, square(1));
    co_await rondo::move_on_after(1s, std::move(t));
}

rondo::task<> with_limit() {
#ifndef CONTROL
    // expect: a duration needs a unit
    co_await rondo::with_timeout(5L, [](rondo::timeout_scope&) { return work(); });
    // expect: with one argument, a rondo::timeout_scope&
    co_await rondo::with_timeout(1s, [] { return work(); });
    // expect: the function of with_timeout is a coro
    co_await rondo::with_timeout(1s, [](rondo::timeout_scope&) { return 1; });
    // expect: with_timeout takes a function: for a task there is wait_for
    co_await rondo::with_timeout(1s, work());
    co_await rondo::with_timeout(work, 1s);    // expect: a duration is expected here
#endif
    co_await rondo::with_timeout(1s, [](rondo::timeout_scope&) { return work(); });
}

rondo::task<> protected_work() {
    auto t = work();
#ifndef CONTROL
    // expect: a task is awaited once: pass std::move\(t\)
    co_await rondo::shield(t);
    // expect: shield takes a task: call the function, or pass it to with_shield
    co_await rondo::shield(work);
    co_await rondo::shield(rondo::sleep(1s));   // expect: shield takes a task or a future
    co_await rondo::shield(std::vector<int>());  // expect: a range cannot be awaited
    co_await rondo::shield('a');                // expect: this cannot be awaited
#endif
    co_await rondo::shield(std::move(t));
}

rondo::task<> protected_call(std::vector<int> numbers) {
#ifndef CONTROL
    // expect: this is the result of a call: pass the function itself
    co_await rondo::with_shield(work());
    // expect: the function cannot be called with these arguments
    co_await rondo::with_shield(square);
    // expect: the function does not return a task: make it a coroutine
    co_await rondo::with_shield([] { return 1; });
    // expect: the function takes a reference, .*: pass std::ref\(argument\)
    co_await rondo::with_shield(fills, numbers);
    // expect: this is not a function: pass a function that returns a task
    co_await rondo::with_shield(1, square);
#endif
    co_await rondo::with_shield(square, 1);
    co_await rondo::with_shield(fills, std::ref(numbers));
}
