// SPDX-License-Identifier: MIT
// The part of a timer that lives in the waiting frame: 16 bytes. The deadline and the place in the
// heap are in the loop's own tables (runtime/loop/timers.hpp). So setting and cancelling one timer
// touches no other timer's frame.
#pragma once

#include <cstdint>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

struct timer_node {
    static constexpr std::uint32_t npos = ~std::uint32_t{0};

    constexpr explicit timer_node(void (*on_expiry)(timer_node&) noexcept = nullptr) noexcept
        : expire(on_expiry) {}
    timer_node(const timer_node&) = delete;  // the heap stores its address
    timer_node& operator=(const timer_node&) = delete;

    bool is_set() const noexcept { return slot != npos; }

    void (*expire)(timer_node&) noexcept;  // called once, when the node is no longer set
    std::uint32_t slot = npos;             // in the heap's tables; npos if it is not set
};
static_assert(sizeof(timer_node) == 16);

}  // namespace detail
}  // namespace v0
}  // namespace rondo
