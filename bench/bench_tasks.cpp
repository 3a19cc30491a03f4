// SPDX-License-Identifier: MIT
// Tasks: awaiting, starting and joining them.
#include <vector>

#include <rondo/future.hpp>
#include <rondo/gather.hpp>
#include <rondo/sleep.hpp>

#include "cases.hpp"

namespace bench {
namespace {

rondo::task<> nothing() {
    ++sink;
    co_return;
}

rondo::task<> spawn_and_join(std::uint64_t count) {
    std::vector<rondo::future<>> all;
    all.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) all.push_back(rondo::create_task(nothing()));
    for (const auto& one : all) co_await one;
}

rondo::task<> spawn_batches() {
    for (std::uint64_t i = 0; i < batches; ++i) co_await spawn_and_join(batch_size);
}

rondo::task<std::uint64_t> deep(std::uint64_t below) {
    if (below == 0) co_return 0u;
    co_return 1 + co_await deep(below - 1);
}

rondo::task<> await_chains() {
    for (std::uint64_t i = 0; i < chains; ++i) sink += co_await deep(depth);
}

[[gnu::noinline]] rondo::task<std::uint64_t> leaf(std::uint64_t number) { co_return number; }

rondo::task<> await_leaves() {
    for (std::uint64_t i = 0; i < ready_awaits; ++i) sink += co_await leaf(i);
}

rondo::task<> yield_often() {
    for (std::uint64_t i = 0; i < yields; ++i) co_await rondo::yield_now();
}

rondo::task<> gather_often() {
    for (std::uint64_t i = 0; i < gathers; ++i) {
        std::vector<rondo::task<std::uint64_t>> children;
        children.reserve(gathered);
        for (std::uint64_t k = 0; k < gathered; ++k) children.push_back(leaf(k));
        const auto numbers = co_await rondo::gather(std::move(children));
        for (const std::uint64_t number : numbers) sink += number;
    }
}

}  // namespace

void add_task_cases(suite& cases) {
    constexpr auto cpu = judged::by_cpu;
    cases.push_back({"spawn_join", "task started and joined, a million alive", cpu,
                     [] { return measured(spawned, [] { return spawn_and_join(spawned); }); }});
    cases.push_back({"spawn_batch", "task started and joined, a thousand alive", cpu,
                     [] { return measured(batches * batch_size, spawn_batches); }});
    cases.push_back({"await_depth", "await in a chain of a thousand", cpu,
                     [] { return measured(chains * depth, await_chains); }});
    cases.push_back({"await_ready", "await of a task that returns at once", cpu,
                     [] { return measured(ready_awaits, await_leaves); }});
    cases.push_back({"yield", "pass through the ready queue", cpu,
                     [] { return measured(yields, yield_often); }});
    cases.push_back({"gather", "child of a gather of a thousand", cpu,
                     [] { return measured(gathers * gathered, gather_often); }});
}

}  // namespace bench
