// SPDX-License-Identifier: MIT
// Terms that the queues between tasks (queue.hpp) and those between threads (bridge.hpp) share.
#pragma once

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {

/// Says what `close` does with the stored items.
enum class close_mode {
    draining,   ///< waiters can still take them
    immediate,  ///< they are destroyed
};

/// The default order of a priority queue: the smallest item comes first. Same as Python, opposite
/// of std::priority_queue.
struct smallest_first {
    template <class T>
    constexpr bool operator()(const T& a, const T& b) const {
        return a < b;
    }
};

}  // namespace v0
}  // namespace rondo
