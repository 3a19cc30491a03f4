// SPDX-License-Identifier: MIT
// No cost is quadratic. Each test has a hundred thousand objects, or a thousand nested ones: a step
// for each pair would take minutes. The limits are a few seconds; turns of the loop are counted
// where possible.
#include <vector>

#include <rondo/as_completed.hpp>
#include <rondo/gather.hpp>
#include <rondo/queue.hpp>
#include <rondo/race.hpp>
#include <rondo/sync.hpp>
#include <rondo/task_group.hpp>

#include "support/core_tools.hpp"

namespace {

using namespace rondo_tests;

std::uint64_t turns() { return running_loop().stats().turns; }
std::size_t a_hundred_thousand() { return static_cast<std::size_t>(many(100'000, 20'000)); }

task<> nested(int depth) {
    if (depth == 0)
        co_await sleep(24h);
    else
        co_await wait_for(1h + std::chrono::seconds(depth), nested(depth - 1));
}

RONDO_TEST("cost: a thousand nested timeouts are cancelled at once", "[cost]",
           seeds(1).limit(10s)) {
    for (int i = 0; i < 50; ++i) {
        auto outer = create_task(nested(1000));
        co_await finish();
        const std::uint64_t before = turns();
        outer.cancel();
        CHECK_THROWS_AS(co_await outer, future_cancelled);
        CHECK(turns() - before < 40);  // 128 frames are left in each
    }
}

RONDO_TEST("cost: of a thousand nested timeouts only the innermost expires", "[cost]",
           seeds(1).limit(10s)) {
    CHECK_THROWS_AS(co_await nested(1000), timeout_error);
}

RONDO_TEST("cost: a hundred thousand scopes are opened and closed", "[cost]", seeds(1).limit(10s)) {
    const auto quick = []() -> task<> { co_return; };
    const std::uint64_t before = turns();
    for (std::size_t i = 0; i < a_hundred_thousand(); ++i) co_await wait_for(1h, quick());
    CHECK(turns() - before < a_hundred_thousand() / 10);
    const auto in_a_group = [&](task_group& group) -> task<> {
        for (std::size_t i = 0; i < a_hundred_thousand(); ++i) {
            group.start(quick());
            if (i % 1000 == 0) co_await yield_now();
        }
    };
    co_await with_task_group(in_a_group);
}

RONDO_TEST("cost: a race of a hundred thousand ends with its first", "[cost]",
           seeds(1).limit(20s)) {
    std::vector<task<int>> runners;
    const auto run = [](int delay) -> task<int> {
        co_await sleep(std::chrono::seconds(delay));
        co_return delay;
    };
    for (std::size_t i = 0; i < a_hundred_thousand(); ++i)
        runners.push_back(run(static_cast<int>(a_hundred_thousand() - i)));
    CHECK(co_await race(std::move(runners)) == 1);
}

/// Starts many tasks that await the result of `make`, and cancels them from the last to the first.
template <class Make>
task<> cancel_backwards(Make make) {
    std::vector<future<>> waiters;
    for (std::size_t i = 0; i < a_hundred_thousand(); ++i) waiters.push_back(create_task(make()));
    co_await finish();
    const std::uint64_t before = turns();
    for (auto each = waiters.rbegin(); each != waiters.rend(); ++each) each->cancel();
    for (const auto& each : waiters) {
        try {
            co_await each;
        } catch (const future_cancelled&) {
        }
    }
    CHECK(turns() - before < a_hundred_thousand() / 100);
}

RONDO_TEST("cost: a hundred thousand waiters are cancelled one by one", "[cost]",
           seeds(1).limit(30s)) {
    mutex lock;
    const auto held = lock.try_lock();
    const auto for_lock = [&]() -> task<> { const auto mine = co_await lock.lock(); };
    co_await cancel_backwards(for_lock);
    event bell;
    const auto for_bell = [&]() -> task<> { co_await bell.wait(); };
    co_await cancel_backwards(for_bell);
    semaphore none(0);
    const auto for_permit = [&]() -> task<> { const auto mine = co_await none.acquire(); };
    co_await cancel_backwards(for_permit);
    queue<int> empty;
    const auto for_item = [&]() -> task<> { static_cast<void>(co_await empty.next()); };
    co_await cancel_backwards(for_item);
    queue<int> full(1);
    CHECK(full.try_put(1));
    const auto for_room = [&]() -> task<> { co_await full.put(2); };
    co_await cancel_backwards(for_room);
    promise<int> given;
    const future<int> f = given.get_future();
    const auto for_future = [&]() -> task<> { static_cast<void>(co_await shield(f)); };
    co_await cancel_backwards(for_future);
    given.set_value(1);
}

}  // namespace
