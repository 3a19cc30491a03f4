// SPDX-License-Identifier: MIT
// What the tests of the loop share: a loop on each kernel that nobody runs yet, and tasks for it.
#pragma once

#include "support/core_tools.hpp"

namespace rondo_tests {

/// Each kernel has its turn with a loop that nobody runs yet.
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
