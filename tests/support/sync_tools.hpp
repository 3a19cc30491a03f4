// SPDX-License-Identifier: MIT
// Shared tools of the tests of the synchronisation primitives.
#pragma once

#include <rondo/sync.hpp>

#include "support/core_tools.hpp"

namespace rondo_tests {

/// A wait that is always ready must not keep other tasks from running forever. Counts how often the
/// wait of `make` completes before another task begins, at most a million times.
template <class Make>
task<int> rounds_before_others(Make make) {
    bool began = false;
    const auto begin = [](bool* flag) -> task<> {
        *flag = true;
        co_return;
    };
    auto other = create_task(begin(&began));
    int rounds = 0;
    for (; !began && rounds < 1'000'000; ++rounds) static_cast<void>(co_await make());
    co_await other;
    co_return rounds;
}

/// The outcome of a wait at a barrier: an index, or one of these.
inline constexpr int still_there = -1, was_cancelled = -2, was_broken = -3;

inline task<> meet(barrier* b, int* verdict) {
    try {
        *verdict = static_cast<int>(co_await b->wait());
    } catch (const broken_barrier_error&) {
        *verdict = was_broken;
    } catch (const cancelled&) {
        *verdict = was_cancelled;
        throw;
    }
}

}  // namespace rondo_tests
