// SPDX-License-Identifier: MIT
// Law 9: a task that has ended holds nothing. Its parameters are destroyed before its waiters, its
// group or its callbacks are notified, however it was started. Their destructors may do everything
// that code in a task may do.
#include <array>
#include <any>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <rondo/as_completed.hpp>
#include <rondo/future.hpp>
#include <rondo/gather.hpp>
#include <rondo/generator.hpp>
#include <rondo/on.hpp>
#include <rondo/queue.hpp>
#include <rondo/race.hpp>
#include <rondo/sync.hpp>
#include <rondo/task_group.hpp>
#include <rondo/wait.hpp>

#include "support/core_tools.hpp"
#include "support/other_loop.hpp"

namespace {

using namespace rondo_tests;

/// A parameter. It counts its instances that were not moved from.
struct held {
    static inline int alive = 0;
    std::shared_ptr<int> owned = std::make_shared<int>(1);

    held() { ++alive; }
    held(const held& other) : owned(std::make_shared<int>(*other.owned)) { ++alive; }
    held(held&& other) noexcept : owned(std::move(other.owned)) {}
    ~held() {
        if (owned) --alive;
    }
};

/// A parameter whose destructor runs an action once.
class at_end {
public:
    explicit at_end(std::function<void()> f) : fn_(std::move(f)) {}
    at_end(at_end&& other) noexcept : fn_(std::exchange(other.fn_, nullptr)) {}
    ~at_end() {
        if (fn_) fn_();
    }

private:
    std::function<void()> fn_;
};

template <class P>
task<> hold(P) {
    co_await sleep(1ms);
}
template <class P>
task<int> hold_and_give(P, int value) {
    co_await sleep(1ms);
    co_return value;
}
template <class P>
task<> hold_and_fail(P) {
    co_await sleep(1ms);
    throw std::runtime_error("failed");
}
template <class P>
task<held> hold_and_make(P) {
    co_await sleep(1ms);
    co_return held();
}

// -- every way to start a task --------------------------------------------------------------------

RONDO_TEST("task end: a kept future keeps no parameter", "[task_end][both]") {
    auto f = create_task(hold_and_give(held(), 5));
    CHECK(held::alive == 1);
    int at_callback = -1;
    f.add_done_callback([&](const future<int>&) { at_callback = held::alive; });
    const int got = co_await f;
    CHECK(got == 5);
    CHECK(held::alive == 0);
    co_await yield_now();
    CHECK(at_callback == 0);
    CHECK(f.result() == 5);

    auto failed = create_task(hold_and_fail(held()));
    std::vector<future<>> all;
    all.push_back(failed);
    co_await wait(all);
    all.clear();
    CHECK(held::alive == 0);
    CHECK(failed.exception() != nullptr);

    auto never_began = create_task(hold(held()));
    never_began.cancel();
    co_await yield_now();
    CHECK(never_began.cancelled());
    CHECK(held::alive == 0);

    auto cancelled_later = create_task(hold(held()), {.name = "named"});
    co_await yield_now();
    cancelled_later.cancel();
    co_await yield_now();
    CHECK(cancelled_later.cancelled());
    CHECK(held::alive == 0);
}

RONDO_TEST("task end: a result stays, with everything it owns", "[task_end][both]") {
    auto f = create_task(hold_and_make(held()));
    co_await f;
    CHECK(held::alive == 1);
    CHECK(*f.result().owned == 1);
    auto dropped = create_task(hold_and_make(held()));
    dropped = {};
    while (running_loop().all_tasks().size() > 1) co_await sleep(1ms);
    CHECK(held::alive == 1);
    const held moved = co_await std::move(f);
    CHECK(*moved.owned == 1);
    CHECK(held::alive == 1);
}

RONDO_TEST("task end: gather, race, wait, as_completed, map_concurrent and groups notice it after",
           "[task_end][both]") {
    // In each the second task continues when the first task's parameter was destroyed.
    event gone;
    const auto say_so = [&] { return at_end([&] { gone.set(); }); };
    const auto hears = [&]() -> task<> {
        co_await gone.wait();
        gone.clear();
    };
    co_await gather(hold(say_so()), hears());
    co_await gather_settled(hold(say_so()), hears());
    {
        auto all = co_await gather_settled(hold_and_fail(say_so()), hears());
        CHECK_THROWS_AS(std::get<0>(all).value(), std::runtime_error);
    }
    co_await race(hold_and_give(held(), 1), hold_and_give(held(), 2));
    CHECK(held::alive == 0);
    co_await race_success(hold_and_give(held(), 1), hold_and_give(held(), 2));
    CHECK(held::alive == 0);

    std::vector<future<>> running;
    running.push_back(create_task(hold(say_so())));
    running.push_back(create_task(hears()));
    co_await wait(running);
    std::vector<future<int>> counted;
    counted.push_back(create_task(hold_and_give(held(), 1)));
    counted.push_back(create_task(hold_and_give(held(), 2)));
    auto ends = as_completed(counted);
    while (auto each = co_await ends.next()) CHECK(held::alive < 2);
    CHECK(held::alive == 0);

    const auto either = [&](int i) { return i == 0 ? hold(say_so()) : hears(); };
    const std::array<int, 2> both{0, 1};
    co_await map_concurrent(2, both, either);

    const auto body = [&](task_group& group) -> task<> {
        group.start(hold(say_so()));
        co_await hears();
        auto f = group.start(hold_and_give(held(), 3));
        const int got = co_await f;
        CHECK(got == 3);
        CHECK(held::alive == 0);
        group.start(hold<held>, held());
    };
    co_await with_task_group(body);
    CHECK(held::alive == 0);
}

RONDO_TEST("task end: on another loop too, before the caller continues", "[task_end][kernel]") {
    other_loop there;
    auto call = on(there.home(), hold_and_give<held>, held(), 4);
    const int got = co_await call;
    CHECK(got == 4);
    CHECK(held::alive == 0);
}

RONDO_TEST("task end: a generator that has ended holds nothing", "[task_end][both]") {
    const auto numbers = [](held, int count) -> generator<int> {
        for (int i = 0; i < count; ++i) co_yield i;
    };
    auto some = numbers(held(), 2);
    int sum = 0;
    for (int i : some) sum += i + held::alive;
    CHECK(sum == 3);
    CHECK(held::alive == 0);
    CHECK(some.begin() == some.end());

    const auto failing = [](held) -> generator<int> {
        co_yield 1;
        throw std::runtime_error("failed");
    };
    auto fails = failing(held());
    auto it = fails.begin();
    auto moved = std::move(fails);
    CHECK_THROWS_AS(++it, std::runtime_error);
    CHECK(held::alive == 0);
    CHECK(it == moved.end());
    CHECK(moved.begin() == moved.end());

    const auto later = [](held, int count) -> async_generator<int> {
        for (int i = 0; i < count; ++i) {
            co_await sleep(1ms);
            co_yield i;
        }
        if (count == 0) throw std::runtime_error("failed");
    };
    auto items = later(held(), 2);
    while (auto item = co_await items.next()) CHECK(held::alive == 1);
    CHECK(held::alive == 0);
    const auto after_the_end = co_await items.next();
    CHECK_FALSE(after_the_end);
    auto none = later(held(), 0);
    std::string said;
    try {
        co_await none.next();
    } catch (const std::runtime_error& error) {
        said = error.what();
    }
    CHECK(said == "failed");
    CHECK(held::alive == 0);
    const auto mapped = co_await later(held(), 3).map([](int i) { return i + 1; }).collect();
    CHECK(mapped == std::vector{1, 2, 3});
}

// -- destructors with side effects ----------------------------------------------------------------

/// Each starts `t` as a task of its own, and waits for its end.
task<> create_and_await(task<> t) {
    const auto f = create_task(std::move(t));
    co_await f;
}
task<> create_and_drop(task<> t) {
    create_task(std::move(t), {.name = "dropped"});
    co_await sleep(3ms);
}
task<> create_eagerly(task<> t) {
    const auto f = create_task(std::move(t), {.eager = true});
    co_await f;
}
task<> gather_it(task<> t) { co_await gather(std::move(t), hold(0)); }
task<> settle_it(task<> t) { co_await gather_settled(hold(0), std::move(t)); }
task<> race_it(task<> t) { co_await race(std::move(t), rondo::detail::as_task(sleep(1h))); }
task<> wait_for_it(task<> t) {
    std::vector<future<>> all;
    all.push_back(create_task(std::move(t)));
    co_await wait(all);
}
task<> complete_it(task<> t) {
    std::vector<future<>> all;
    all.push_back(create_task(std::move(t)));
    auto ends = as_completed(all);
    while (auto each = co_await ends.next()) co_await *each;
}
task<> map_to_it(task<> t) {
    const std::array<int, 1> one{0};
    const auto once = [&](int) { return std::move(t); };
    co_await map_concurrent(1, one, once);
}
task<> start_in_group(task<> t) {
    const auto body = [&](task_group& group) -> task<> {
        group.start(std::move(t));
        co_return;
    };
    co_await with_task_group(body);
}

task<> count_up(int* n) {
    ++*n;
    co_return;
}

/// Actions of the destructors: each affects something outside of the task.
struct surroundings {
    int started = 0;
    future<> other;
    std::shared_ptr<queue<task_handle>> items = std::make_shared<queue<task_handle>>(2);
};
void start_others(surroundings& s) {
    create_task(count_up(&s.started));
    create_task(count_up(&s.started), {.eager = true});
}
void cancel_another(surroundings& s) { s.other.cancel(); }
void cancel_itself(surroundings&) { current_task().cancel(); }
void drop_all_handles(surroundings& s) {
    auto own = current_task();
    own = {};
    s.other = {};
}
void drop_a_queue(surroundings& s) { s.items.reset(); }

RONDO_TEST("task end: every action of a parameter's destructor, with every way to start its task",
           "[task_end][both]") {
    for (const auto verb : {create_and_await, create_and_drop, create_eagerly, gather_it, settle_it,
                            race_it, wait_for_it, complete_it, map_to_it, start_in_group}) {
        for (const auto action :
             {start_others, cancel_another, cancel_itself, drop_all_handles, drop_a_queue}) {
            surroundings s;
            s.other = create_task(sleep(2ms));
            const bool put = s.items->try_put(s.other);
            CHECK(put);
            int ran = 0;
            auto does = [&] {
                ++ran;
                action(s);
            };
            co_await verb(hold(at_end(does)));
            CHECK(ran == 1);
            co_await sleep(3ms);
            CHECK(s.started == (action == start_others ? 2 : 0));
        }
    }
}

RONDO_TEST("task end: a parameter's destructor runs inside the task, and may drop its last future",
           "[task_end][both]") {
    auto own = std::make_shared<future<>>();
    bool was_running = false;
    *own = create_task(hold(at_end([own, &was_running] {
        was_running = *own == current_task() && own->state() == task_state::running && !own->done();
        *own = {};
    })));
    own.reset();
    while (running_loop().all_tasks().size() > 1) co_await sleep(1ms);
    CHECK(was_running);
}

RONDO_TEST("task end: a parameter's destructor may cancel its own task, its group and others",
           "[task_end][both]") {
    future<> own;
    own = create_task(hold(at_end([&] { own.cancel(); })));
    co_await own;
    CHECK_FALSE(own.cancelled());
    own = create_task(hold_and_fail(at_end([&] { own.cancel(); })));
    CHECK_THROWS_AS(co_await own, std::runtime_error);

    const auto body = [](task_group& group) -> task<> {
        group.start(hold_and_fail(at_end([&group] { group.cancel(); })));
        co_await sleep(1h);
    };
    CHECK_THROWS_AS(co_await with_task_group(body), std::runtime_error);

    auto other = create_task(sleep(1h));
    auto cancels = create_task(hold(at_end([&] { other.cancel(); })));
    CHECK_THROWS_AS(co_await other, future_cancelled);
    CHECK(cancels.done());
}

RONDO_TEST("task end: a parameter may be the queue itself, or wake other tasks",
           "[task_end][both]") {
    auto items = std::make_shared<queue<int>>(2);
    CHECK(items->try_put(1));
    auto f = create_task(hold(std::move(items)));
    co_await f;
    promise<int> given;
    auto waits = given.get_future();
    auto gives = create_task(hold(at_end([&] { given.set_value(7); })));
    const int got = co_await waits;
    CHECK(got == 7);
    CHECK(gives.done());
}

// -- frames of every shape ------------------------------------------------------------------------

struct alignas(16) wide {
    std::array<double, 2> numbers{1, 2};
    std::shared_ptr<int> owned = std::make_shared<int>(3);
};
task<wide> give_wide(held) { co_return wide(); }
task<int&> give_reference(int& i, held) { co_return i; }
task<> in_large_frame(held) {
    std::array<char, 4000> bytes{};
    co_await sleep(1ms);
    if (bytes[7] != 0) throw std::runtime_error("cannot be");
}

RONDO_TEST("task end: wide results, references, frames from malloc", "[task_end][both]") {
    auto w = create_task(give_wide(held()));
    co_await w;
    CHECK(*w.result().owned == 3);
    CHECK(reinterpret_cast<std::uintptr_t>(&w.result()) % 16 == 0);
    int i = 3;
    auto r = create_task(give_reference(i, held()));
    int& same = co_await r;
    CHECK(&same == &i);
    auto large = create_task(in_large_frame(held()));
    co_await large;
    CHECK(held::alive == 0);
    { auto never = hold_and_make(held()); }
    CHECK(held::alive == 0);
}

/// Its copy constructor throws.
struct cannot_be_copied {
    cannot_be_copied() = default;
    cannot_be_copied(const cannot_be_copied&) { throw std::runtime_error("copied"); }
};
task<held> takes_both(held h, cannot_be_copied) { co_return h; }

RONDO_TEST("task end: a parameter whose copy throws leaks nothing", "[task_end][both]") {
    const cannot_be_copied c;
    CHECK_THROWS_AS(static_cast<void>(takes_both(held(), c)), std::runtime_error);
    CHECK(held::alive == 0);
    co_return;
}

RONDO_TEST("task end: a long chain of results that hold futures is destroyed with a flat stack",
           "[task_end][both]", seeds(1).limit(20s)) {
    const auto keep = [](std::any before) -> task<std::any> { co_return before; };
    auto last = create_task(keep({}));
    for (int i = 0; i < many(100'000, 10'000); ++i) {
        last = create_task(keep(std::any(std::move(last))));
        co_await last;
    }
    last = {};
}

}  // namespace
