// SPDX-License-Identifier: MIT
// The counters of a queue: stored items, and the promises to its waiters. queue_core.hpp explains
// the promises.
#pragma once

#include <cstddef>
#include <limits>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

struct queue_counts {
    explicit queue_counts(std::size_t maxsize) noexcept
        : limit_(maxsize == 0 ? unbounded : maxsize) {}

    bool has_room() const noexcept { return stored_ + grants_ < limit_; }
    bool has_item() const noexcept { return stored_ > claims_; }
    /// True if no item is left and none will come.
    bool drained() const noexcept { return closed_ && stored_ == 0; }
    /// The number of items that the queue may hold; 0 means no limit.
    std::size_t maxsize() const noexcept { return limit_ == unbounded ? 0 : limit_; }

    static constexpr std::size_t unbounded = std::numeric_limits<std::size_t>::max();

    std::size_t stored_ = 0;
    std::size_t claims_ = 0;  // items that are promised to woken getters
    std::size_t grants_ = 0;  // places that are promised to woken putters
    std::size_t limit_;
    bool closed_ = false;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
