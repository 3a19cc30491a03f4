// SPDX-License-Identifier: MIT
// Two loops: calls from one to the other, posts, and items in a queue between them.
#include <vector>

#include <rondo/bridge.hpp>
#include <rondo/gather.hpp>
#include <rondo/loop_pool.hpp>

#include "cases.hpp"

namespace bench {
namespace {

std::uint64_t touched = 0;  // by the other loop only
std::uint64_t touch() { return ++touched; }
rondo::task<std::uint64_t> touch_later() { co_return ++touched; }

template <class F>
rondo::task<> call_in_turn(rondo::remote there, std::uint64_t calls, F fn) {
    for (std::uint64_t i = 0; i < calls; ++i) sink += co_await rondo::on(there, fn);
}

rondo::task<> call_at_once(rondo::remote there) {
    std::vector<rondo::task<>> callers;
    for (std::uint64_t i = 0; i < calls_at_once; ++i)
        callers.push_back(call_in_turn(there, calls_in_turn * 10 / calls_at_once, touch));
    co_await rondo::gather(std::move(callers));
}

rondo::task<> submit_in_turn(rondo::loop_pool* cores) {
    for (std::uint64_t i = 0; i < calls_in_turn; ++i) sink += co_await cores->submit(1, touch);
}

/// The first loop of two runs what `begin(cores)` gives.
template <class F>
measurement between_two(std::uint64_t count, F begin) {
    rondo::loop_pool cores(2);
    const stopwatch watch;
    cores.submit(0, begin, &cores).get();
    return watch.per(count);
}

measurement plain_calls() {
    return between_two(calls_in_turn, [](rondo::loop_pool* cores) {
        return call_in_turn((*cores)[1], calls_in_turn, touch);
    });
}
measurement calls_of_tasks() {
    return between_two(calls_in_turn, [](rondo::loop_pool* cores) {
        return call_in_turn((*cores)[1], calls_in_turn, touch_later);
    });
}
measurement calls_to_itself() {
    return between_two(calls_in_turn * 10, [](rondo::loop_pool* cores) {
        return call_in_turn((*cores)[0], calls_in_turn * 10, touch);
    });
}
measurement many_calls() {
    return between_two(calls_in_turn * 10,
                       [](rondo::loop_pool* cores) { return call_at_once((*cores)[1]); });
}
measurement submitted() { return between_two(calls_in_turn, submit_in_turn); }

measurement posted() {
    return between_two(posts, [](rondo::loop_pool* cores) -> rondo::task<> {
        const rondo::remote there = (*cores)[1];
        for (std::uint64_t i = 0; i < posts; ++i)
            there.call_soon_threadsafe([] { ++touched; });
        co_await rondo::on(there, touch);  // runs after all of them
    });
}

measurement bridged(std::size_t room) {
    rondo::bridge_queue<std::uint64_t> queue(room);
    rondo::loop_pool cores(2);
    const auto main = [&queue]() -> rondo::task<> {
        if (rondo::loop_pool::current_index() == 0) {
            for (std::uint64_t i = 0; i < items_bridged; ++i) co_await queue.put(i);
            queue.close();
        } else {
            while (auto item = co_await queue.next()) touched += *item;
        }
    };
    const stopwatch watch;
    cores.run(main);
    return watch.per(items_bridged);
}

}  // namespace

void add_loop_cases(suite& cases) {
    constexpr auto value = judged::by_value;
    cases.push_back(
        {"on_rtt", "plain call on another loop, one after the other", value, plain_calls});
    cases.push_back(
        {"on_task_rtt", "task on another loop, one after the other", value, calls_of_tasks});
    cases.push_back({"on_many", "plain call on another loop, 1000 outstanding", value, many_calls});
    cases.push_back({"on_same_loop", "plain call by on() on its own loop", value, calls_to_itself});
    cases.push_back({"submit_rtt", "plain call by submit, one after the other", value, submitted});
    cases.push_back(
        {"post_between_loops", "callback posted by a task of another loop", value, posted});
    cases.push_back({"bridge_loops", "item from loop to loop, queue of 1024", value,
                     [] { return bridged(1024); }});
    cases.push_back({"bridge_loops_16", "item from loop to loop, queue of 16", value,
                     [] { return bridged(16); }});
}

}  // namespace bench
