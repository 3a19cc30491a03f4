// SPDX-License-Identifier: MIT
// The awaitables that `put` and `next` of the queues return. A put's awaitable holds the item.
#pragma once

#include <type_traits>
#include <utility>

#include <rondo/detail/coroutine/gcc12.hpp>
#include <rondo/task.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// True if a U that is put into a queue of T may be a temporary that g++ 12 destroys twice. Unlike
/// owning_argument_hazard it accepts items that only lack assignment: queues of closures are rarer
/// than classes with a constant member.
template <class T, class U>
inline constexpr bool put_hazard = owning_argument_hazard<U> &&
                                   (std::is_aggregate_v<U> || !std::is_same_v<T, U>);

/// The awaitable of `put`; an Awaiter is made of the queue and the item. A trivially copyable item
/// may be put more than once, and is not stored twice.
template <class Queue, class Awaiter, class T, bool Hazard>
class [[nodiscard("a put does nothing until it is awaited")]] put_awaitable : public only_in_tasks {
public:
    template <class U>
    put_awaitable(Queue & queue, U && item) : queue_(&queue), item_(std::forward<U>(item)) {}

    Awaiter rondo_awaiter() const& requires(std::is_trivially_copyable_v<T>) {
        return {*queue_, T(item_)};
    }
    Awaiter rondo_awaiter() & requires(!std::is_trivially_copyable_v<T>) {
        return {*queue_, std::move(item_)};
    }
    Awaiter rondo_awaiter() && requires(!std::is_trivially_copyable_v<T>) {
        static_assert(!Hazard,
                      "g++ 12 destroys a temporary aggregate that owns something twice inside a "
                      "co_await: name what `put` returns on a line of its own and co_await that "
                      "name, or give the item a constructor (docs/gcc12.md)");
        return {*queue_, std::move(item_)};
    }

private:
    Queue* queue_;
    T item_;
};

/// The awaitable of `next`.
template <class Queue, class Awaiter>
class [[nodiscard("nothing is taken until it is awaited")]] next_awaitable : public only_in_tasks {
public:
    explicit next_awaitable(Queue & queue) noexcept : queue_(&queue) {}
    Awaiter rondo_awaiter() const noexcept { return Awaiter(*queue_); }

private:
    Queue* queue_;
};

}  // namespace detail
}  // namespace v0
}  // namespace rondo
