// SPDX-License-Identifier: MIT
// Wrong calls of each verb for many awaitables: gather, gather_settled, race, race_success, select,
// wait, as_completed, map_concurrent, staggered_race.
#include <vector>

#include <rondo/rondo.hpp>

using namespace std::chrono_literals;

rondo::task<char> work() { co_return 'a'; }
rondo::task<int> square(int n) { co_return n * n; }
rondo::task<int> square_of(rondo::task<int> n) { co_return co_await std::move(n); }

rondo::task<> all() {
#ifndef CONTROL
    auto t = work();
    std::vector<rondo::task<char>> v;
    co_await rondo::gather(t);              // expect: a task is awaited once: pass std::move\(t\)
    // expect: the tasks of a range are moved into the call: pass std::move\(range\)
    co_await rondo::gather(v);
    // expect: a function cannot be awaited: call it and pass its result
    co_await rondo::gather(work);
    // expect: this cannot be awaited: pass a task, a future or another
    co_await rondo::gather(work(), 1);
    co_await rondo::gather(work(), 5s);     // expect: a duration cannot be awaited
#endif
    co_await rondo::gather(work(), rondo::sleep(1s));
}

rondo::task<> settled() {
#ifndef CONTROL
    auto t = square(1);
    std::vector<rondo::task<int>> v;
    // expect: a task is awaited once: pass std::move\(t\)
    co_await rondo::gather_settled(t);
    // expect: the tasks of a range are moved into the call
    co_await rondo::gather_settled(v);
    // expect: a function cannot be awaited: call it
    co_await rondo::gather_settled([] { return work(); });
    co_await rondo::gather_settled(work(), &t);   // expect: this cannot be awaited
    // expect: a range cannot be awaited: pass its elements one by one
    co_await rondo::gather_settled(work(), v);
#endif
    co_await rondo::gather_settled(work(), square(2));
}

rondo::task<> first() {
#ifndef CONTROL
    auto t = square(1);
    const std::vector<rondo::task<long>> v;
    co_await rondo::race(work(), t);       // expect: a task is awaited once: pass std::move\(t\)
    co_await rondo::race(v);               // expect: the tasks of a range are moved into the call
    co_await rondo::race(square, square);  // expect: a function cannot be awaited: call it
    co_await rondo::race(1L, 2L);          // expect: this cannot be awaited
    co_await rondo::race();                // expect: race needs at least one awaitable
#endif
    co_await rondo::race(square(1), square(2));
}

rondo::task<> first_success() {
#ifndef CONTROL
    auto t = square(1);
    const std::vector<rondo::task<short>> v;
    // expect: a task is awaited once: pass std::move\(t\)
    co_await rondo::race_success(work(), t);
    // expect: the tasks of a range are moved into the call
    co_await rondo::race_success(v);
    // expect: a function cannot be awaited: call it
    co_await rondo::race_success(square_of, square_of);
    co_await rondo::race_success(1UL, 2UL);  // expect: this cannot be awaited
    co_await rondo::race_success();        // expect: race_success needs at least one awaitable
#endif
    co_await rondo::race_success(square(1), square(2));
}

rondo::task<> selected(rondo::async_generator<int> numbers, rondo::event& stop) {
#ifndef CONTROL
    auto t = square(1);
    const std::vector<rondo::task<float>> v;
    co_await rondo::select(work(), t);     // expect: a task is awaited once: pass std::move\(t\)
    // expect: the tasks of a range are moved into the call
    co_await rondo::select(v);
    // expect: a function cannot be awaited: call it
    co_await rondo::select([] { return square(1); }, work());
    co_await rondo::select(1ULL, 2L);      // expect: this cannot be awaited
    co_await rondo::select();              // expect: select needs at least one awaitable
    // expect: a generator that loses a select would end
    co_await rondo::select(stop.wait(), numbers.next());
#endif
    co_await rondo::select(square(1), stop.wait());
    co_await numbers.next();
}

rondo::task<> some(std::vector<rondo::future<int>> futures, rondo::future<int> f) {
#ifndef CONTROL
    std::vector<rondo::task<>> tasks;
    std::vector<int> numbers;
    // expect: wait takes futures, not tasks: start each by create_task, or use gather
    co_await rondo::wait(tasks);
    co_await rondo::wait(f);           // expect: wait takes one range of futures
    co_await rondo::wait(f, f);        // expect: wait takes one range of futures
    // expect: wait takes a range of futures, of which this is none
    co_await rondo::wait(numbers);
    // expect: the second argument is a rondo::return_when, the third a
    co_await rondo::wait(futures, 5s);
#endif
    futures.push_back(f);
    co_await rondo::wait(futures, rondo::return_when::all_completed, 5s);
    co_await rondo::wait(std::move(futures));
}

rondo::task<> each([[maybe_unused]] std::vector<rondo::future<int>> futures, rondo::future<int> f) {
#ifndef CONTROL
    std::vector<rondo::task<>> tasks;
    std::vector<int> numbers;
    // expect: as_completed takes futures, not tasks: start each by create_task
    rondo::as_completed(tasks);
    rondo::as_completed(f);          // expect: as_completed takes one range of futures
    rondo::as_completed(f, f);       // expect: as_completed takes one range of futures
    // expect: as_completed takes a range of futures, of which this is none
    rondo::as_completed(numbers);
    rondo::as_completed(futures, 5);  // expect: a duration needs a unit: write 5s or 100ms
#endif
    auto done = rondo::as_completed(std::vector{f, f}, 5s);
    co_await done.next();
}

rondo::task<> mapped(std::vector<int> numbers) {
#ifndef CONTROL
    // expect: the limit, how many run at once, comes first
    co_await rondo::map_concurrent(numbers, square);
    // expect: the limit, how many run at once, comes first
    co_await rondo::map_concurrent(numbers, 2, square);
    // expect: the second argument is no range
    co_await rondo::map_concurrent(2, square(1), square);
    // expect: the function does not return a task
    co_await rondo::map_concurrent(2, numbers, [](int n) { return n; });
    // expect: cannot be called with these
    co_await rondo::map_concurrent(2, numbers, [](const char*) { return work(); });
#endif
    co_await rondo::map_concurrent(2, numbers, square);
}

rondo::task<> staggered(std::vector<int> numbers, std::vector<rondo::task<int> (*)()> starts) {
#ifndef CONTROL
    std::vector<rondo::task<int>> tasks;
    // expect: a duration needs a unit: write 5s or 100ms
    co_await rondo::staggered_race(5u, numbers, square);
    // expect: the second argument is no range
    co_await rondo::staggered_race(5s, square, numbers);
    // expect: staggered_race starts its runners one by one
    co_await rondo::staggered_race(5s, tasks);
    // expect: the function cannot be called with these arguments
    co_await rondo::staggered_race(5s, numbers, square_of);
    // expect: the function does not return a task
    co_await rondo::staggered_race(5s, numbers, [](int n) { return n; });
#endif
    co_await rondo::staggered_race(5s, starts);
    co_await rondo::staggered_race(5s, numbers, square);
}
