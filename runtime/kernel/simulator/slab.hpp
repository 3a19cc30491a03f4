// SPDX-License-Identifier: MIT
// Objects in pages that never move and are never given back before the end: a simulated run takes
// and gives records by the thousand, and none of that may reach the allocator. Free ones are reused
// last in, first out, so that a stale reference meets another user's record soon and not by luck.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace rondo {
inline namespace v0 {
namespace detail {

/// `T` has a member `std::uint32_t index`, which the slab sets once.
template <class T>
class sim_slab {
public:
    T& take() {
        if (free_.empty()) grow();
        T& object = (*this)[free_.back()];
        free_.pop_back();
        return object;
    }
    void give(T& object) noexcept { free_.push_back(object.index); }  // grow() reserved the place

    T& operator[](std::uint32_t index) noexcept {
        return pages_[index / page_size][index % page_size];
    }
    std::uint32_t capacity() const noexcept {
        return static_cast<std::uint32_t>(pages_.size()) * page_size;
    }
    std::size_t live() const noexcept { return capacity() - free_.size(); }

private:
    static constexpr std::uint32_t page_size = 32;

    void grow() {
        const std::uint32_t first = capacity();
        pages_.push_back(std::make_unique<T[]>(page_size));
        free_.reserve(capacity());
        for (std::uint32_t at = page_size; at-- > 0;) {
            pages_.back()[at].index = first + at;
            free_.push_back(first + at);
        }
    }

    std::vector<std::unique_ptr<T[]>> pages_;
    std::vector<std::uint32_t> free_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
