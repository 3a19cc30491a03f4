// SPDX-License-Identifier: MIT
// The iterator of what gives one result after the other and blocks meanwhile.
#pragma once

#include <cstddef>
#include <iterator>
#include <optional>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Iterates in `for (auto& result : source)` over what `(source.*Next)()` gives until it is empty.
template <auto Next>
class blocking_iterator;

template <class Source, class T, std::optional<T> (Source::*Next)()>
class blocking_iterator<Next> {
public:
    using value_type = T;
    using difference_type = std::ptrdiff_t;

    explicit blocking_iterator(Source& from) : from_(&from), now_((from.*Next)()) {}
    T& operator*() noexcept { return *now_; }
    blocking_iterator& operator++() {
        now_ = (from_->*Next)();
        return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const noexcept { return !now_; }

private:
    Source* from_;
    std::optional<T> now_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
