// SPDX-License-Identifier: MIT
// A pool of objects in pages. Objects never move, and pages are freed only at the end: a simulated
// run takes and returns thousands of records, without using the allocator each time. Free objects
// are reused last in, first out, so that a stale reference soon meets the record of another user.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace rondo {
inline namespace v0 {
namespace detail {

/// T must have a member `std::uint32_t index`, which the slab sets once.
template <class T>
class sim_slab {
public:
    T& take() {
        if (free_.empty()) grow();
        T& object = (*this)[free_.back()];
        free_.pop_back();
        return object;
    }
    void give(T& object) noexcept { free_.push_back(object.index); }  // grow() has reserved room

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
