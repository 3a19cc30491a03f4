// SPDX-License-Identifier: MIT
// The storages of the queues, one per order: first in first out, last in first out, and by a
// comparison. Each is a class with `push` and `pop`; the queue keeps the counts. A push that throws
// bad_alloc has changed nothing; for that, items must move without throwing.
//
// The ring is written by hand: std::deque allocates when it is constructed and again as it goes
// round, and std::vector cannot hold raw places for items without a default constructor.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/config.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// Converts the argument of a put to a T. A T is passed on as it is, so that a push that throws has
/// not moved it.
template <class T, class U>
decltype(auto) as_item(U&& given) {
    if constexpr (std::is_same_v<T, U>)
        return static_cast<T&&>(given);
    else
        return T(std::forward<U>(given));
}

/// First in, first out. The capacity is a power of two and never shrinks. It counts all pushes and
/// all pops, so that each end writes its own counter only.
template <class T>
class ring {
public:
    ring() noexcept = default;
    ring(ring&& other) noexcept
        : items_(std::exchange(other.items_, nullptr)),
          capacity_(std::exchange(other.capacity_, 0)),
          taken_(std::exchange(other.taken_, 0)),
          put_(std::exchange(other.put_, 0)) {}
    ring& operator=(ring&&) = delete;
    ~ring() {
        for (; taken_ != put_; ++taken_) std::destroy_at(&place(taken_));
        if (items_ != nullptr) std::allocator<T>().deallocate(items_, capacity_);
    }

    /// Allocates, so that pushes up to `count` items do not.
    void reserve(std::size_t count) {
        while (capacity_ < count) grow();
    }
    void push(T&& item) {
        if (put_ - taken_ == capacity_) [[unlikely]]
            grow();
        std::construct_at(&place(put_), std::move(item));
        ++put_;
    }
    T pop() noexcept {
        T& old = place(taken_++);
        T item(std::move(old));
        std::destroy_at(&old);
        return item;
    }

private:
    T& place(std::size_t number) const noexcept { return items_[number & (capacity_ - 1)]; }

    [[gnu::noinline]] void grow() {
        const std::size_t larger = capacity_ == 0 ? 4 : capacity_ * 2;
        T* const places = std::allocator<T>().allocate(larger);
        for (std::size_t i = taken_; i != put_; ++i) {
            std::construct_at(&places[i & (larger - 1)], std::move(place(i)));
            std::destroy_at(&place(i));
        }
        if (items_ != nullptr) std::allocator<T>().deallocate(items_, capacity_);
        items_ = places;
        capacity_ = larger;
    }

    T* items_ = nullptr;
    std::size_t capacity_ = 0;
    std::size_t taken_ = 0;
    std::size_t put_ = 0;
};

/// Last in, first out.
template <class T>
class stack {
public:
    void reserve(std::size_t count) { items_.reserve(count); }
    void push(T&& item) { items_.push_back(std::move(item)); }
    T pop() noexcept {
        T item(std::move(items_.back()));
        items_.pop_back();
        return item;
    }

private:
    std::vector<T> items_;
};

/// The item that `Compare` orders before all others comes first.
template <class T, class Compare>
class heap {
public:
    explicit heap(Compare compare) : compare_(std::move(compare)) {}

    void reserve(std::size_t count) { items_.reserve(count); }
    void push(T&& item) {
        items_.push_back(std::move(item));
        rise();
    }
    T pop() noexcept {
        std::pop_heap(items_.begin(), items_.end(), later());
        T item(std::move(items_.back()));
        items_.pop_back();
        return item;
    }

private:
    void rise() noexcept { std::push_heap(items_.begin(), items_.end(), later()); }
    // The heap algorithms put the largest item on top.
    auto later() noexcept {
        return [this](const T& a, const T& b) { return compare_(b, a); };
    }

    std::vector<T> items_;
    [[no_unique_address]] Compare compare_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
