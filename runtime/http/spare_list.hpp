// SPDX-License-Identifier: MIT
// Objects that are used in turn. If each user had a new one from malloc, the heap would grow and
// shrink all the time: page faults that cost more than a request.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Spare objects, a limited number of them. They keep what they have allocated.
template <class T>
class spare_list {
public:
    explicit spare_list(std::size_t most) { all_.reserve(most); }

    /// Returns: null if there is none.
    std::unique_ptr<T> take() noexcept {
        if (all_.empty()) return nullptr;
        auto last = std::move(all_.back());
        all_.pop_back();
        return last;
    }
    /// Frees it if there are enough.
    void give(std::unique_ptr<T> spare) noexcept {
        if (spare && all_.size() < all_.capacity()) all_.push_back(std::move(spare));
    }
    void clear() noexcept { all_.clear(); }

private:
    std::vector<std::unique_ptr<T>> all_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
