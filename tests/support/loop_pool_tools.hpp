// SPDX-License-Identifier: MIT
// Functions that the loops of a loop_pool run in its tests.
#pragma once

#include <atomic>
#include <cstddef>

#include <rondo/loop_pool.hpp>
#include <rondo/sleep.hpp>

namespace rondo_tests {

inline rondo::task<std::size_t> index_here() {
    co_await rondo::yield_now();
    co_return rondo::loop_pool::current_index();
}
inline rondo::task<> sleep_for_ever() { co_await rondo::sleep(rondo::duration::max()); }
inline rondo::task<> sleep_a_little(rondo::duration how_long) { co_await rondo::sleep(how_long); }

/// Waits until all mains have begun: a main that is cancelled before that never enters its body.
inline rondo::task<> all_have_begun(std::atomic<std::size_t>& begun, std::size_t all) {
    for (++begun; begun < all;) co_await rondo::yield_now();
}

}  // namespace rondo_tests
