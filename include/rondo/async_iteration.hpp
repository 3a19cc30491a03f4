// SPDX-License-Identifier: MIT
// The adaptors of async_generator, members that async_generator.hpp declares. Each is a generator
// around the first one, which it owns. So destroying the outermost destroys all, and an item costs
// two transfers of control for each layer. They are members because that reads in the order in
// which the items pass, and because free functions called `map` or `take` would be found by
// unrelated calls.
//
// To merge several generators use `with_merged` (merge.hpp); it needs tasks, so it is no generator.
#pragma once

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include <rondo/async_generator.hpp>

namespace rondo {
inline namespace v0 {
namespace detail {

/// An adaptor pulls with next(), so it has no values to send.
template <class Sent>
consteval void must_only_give() {
    static_assert(std::is_void_v<Sent>,
                  "the adaptors take no generator that receives values: co_await its next() and "
                  "send() in a generator of your own");
}

template <class T>
named_item<std::remove_reference_t<T>> named(std::remove_reference_t<T>& item) noexcept {
    return {std::addressof(item)};
}

template <class T, class F>
async_generator<mapped_item<F, T>> map_items(async_generator<T> source, F fn) {
    using mapped = mapped_item<F, T>;
    while (auto item = co_await source.next()) {
        if constexpr (item_or_task<std::invoke_result_t<F&, T>>::by_task) {
            mapped value = co_await fn(static_cast<T&&>(*item));
            co_yield named<mapped>(value);
        } else {
            mapped value = fn(static_cast<T&&>(*item));
            co_yield named<mapped>(value);
        }
    }
}

template <class T, class F>
async_generator<T> filter_items(async_generator<T> source, F fn) {
    using seen = std::conditional_t<std::is_reference_v<T>, T, const T&>;
    while (auto item = co_await source.next()) {
        bool wanted = false;
        if constexpr (item_or_task<std::invoke_result_t<F&, seen>>::by_task)
            wanted = co_await fn(static_cast<seen>(*item));
        else
            wanted = fn(static_cast<seen>(*item));
        if (wanted) co_yield named<T>(*item);
    }
}

template <class T>
async_generator<T> take_items(async_generator<T> source, std::size_t count) {
    for (; count != 0; --count) {
        auto item = co_await source.next();
        if (!item) co_return;
        co_yield named<T>(*item);
    }
}

template <class T>
async_generator<std::pair<std::size_t, T>> enumerate_items(async_generator<T> source,
                                                           std::size_t number) {
    using numbered = std::pair<std::size_t, T>;
    for (; auto item = co_await source.next(); ++number) {
        numbered one(number, static_cast<T&&>(*item));
        co_yield named<numbered>(one);
    }
}

template <class T>
task<std::vector<T>> collect_items(async_generator<T> source) {
    std::vector<T> all;
    while (auto item = co_await source.next()) all.push_back(std::move(*item));
    co_return all;
}

}  // namespace detail

template <class T, class Sent>
template <class F>
async_generator<detail::mapped_item<F, T>> async_generator<T, Sent>::map(F fn) && {
    detail::must_only_give<Sent>();
    return detail::map_items(std::move(*this), std::move(fn));
}

template <class T, class Sent>
template <class F>
async_generator<T> async_generator<T, Sent>::filter(F fn) && {
    detail::must_only_give<Sent>();
    return detail::filter_items(std::move(*this), std::move(fn));
}

template <class T, class Sent>
async_generator<T> async_generator<T, Sent>::take(std::size_t count) && {
    detail::must_only_give<Sent>();
    return detail::take_items(std::move(*this), count);
}

template <class T, class Sent>
async_generator<std::pair<std::size_t, T>> async_generator<T, Sent>::enumerate(
    std::size_t first) && {
    detail::must_only_give<Sent>();
    return detail::enumerate_items(std::move(*this), first);
}

template <class T, class Sent>
task<std::vector<T>> async_generator<T, Sent>::collect() && {
    detail::must_only_give<Sent>();
    return detail::collect_items(std::move(*this));
}

}  // namespace v0
}  // namespace rondo
