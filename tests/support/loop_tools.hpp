// SPDX-License-Identifier: MIT
// Shared tools of the loop's tests: a loop on each kernel that does not run yet, and tasks for it.
#pragma once

#include "support/core_tools.hpp"

namespace rondo_tests {

/// Calls `test` once for each kernel, with a loop that does not run yet.
template <class F>
void on_both(F test) {
    {
        INFO("on the simulator");
        testing::world w(testing::sim_options{});
        test(w.loop());
        w.end();
    }
    INFO("on the ring");
    testing::world w(testing::ring_options{});
    test(w.loop());
    w.end();
}

inline task<int> give(int n) {
    co_await yield_now();
    co_return n;
}
inline task<> sleep_for_ever() { co_await sleep(duration::max()); }

}  // namespace rondo_tests
